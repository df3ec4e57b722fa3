"""A model with tools, in turns: it calls, is told what came of it, and answers in the end.

How a model is made to call tools (by its own function calling, or in one JSON object) is the model
client's affair. A call with an effect has rows of its own; a further attempt, also after a crash, begins by
telling the model of them, so that nothing is done again because it has been forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.errors import NodeError
from engine.nodes.effects import Call, earlier_calls, settled
from engine.ports import Message, ModelReply, ToolCall, ToolSpec
from engine.templates import as_text
from engine.workflow import ToolUse
from tools.errors import ToolError
from tools.registry import ToolContext

if TYPE_CHECKING:
    from engine.nodes.llm import Asker
    from tools.registry import Tool

ROUNDS = 10
LONGEST_RESULT = 50_000


async def ask_with_tools(asker: Asker, messages: list[Message]) -> ModelReply:
    """The reply without calls. NodeError when the model still calls tools after ROUNDS rounds."""
    turns = _Turns(asker)
    specs = tuple(ToolSpec(name, tool.description, tool.parameters) for name, tool in turns.tools.items())
    messages += await turns.remember()
    for _ in range(ROUNDS):
        reply = await asker.ask(messages, specs)
        if not reply.tool_calls:
            return reply
        messages.append(Message("assistant", reply.text, reply.tool_calls))
        told = [Message("tool", await turns.call(call), tool_call_id=call.id) for call in reply.tool_calls]
        messages += told
    raise NodeError(
        asker.step.node.id,
        f"The model has called tools {turns.calls} times without giving an answer.",
        "Say in the prompt when to stop, or use a larger model.",
        fault={"code": "model_bad_reply"},
    )


class _Turns:
    """The calls of one attempt."""

    def __init__(self, asker: Asker) -> None:
        self.step = asker.step
        self.calls = 0
        self.uses: dict[str, ToolUse] = {use.name: use for use in self.step.node.tools}
        self.tools: dict[str, Tool] = {name: self._tool(name) for name in self.uses}
        if self.step.node.sandbox.enabled:
            from engine.nodes.code import python_tool

            self.uses.setdefault("python", ToolUse("python"))
            self.tools.setdefault("python", python_tool(self.step))
        self._made: dict[str, int] = {}

    def _tool(self, name: str) -> Tool:
        try:
            return self.step.services.tools.get(name)
        except KeyError:
            raise NodeError(
                self.step.node.id,
                f"There is no tool {name}.",
                "Check the name.",
                fault={"code": "tool_missing"},
            ) from None

    async def remember(self) -> list[Message]:
        """What earlier attempts of this visit called with an effect, and what came of it, as messages.

        A call that was begun and not seen to end is settled first: by a person where it must not happen twice, by
        the same call with the same key otherwise.
        """
        messages: list[Message] = []
        with_effect = [name for name, tool in self.tools.items() if tool.effect != "none"]
        for number, call in enumerate(earlier_calls(self.step, with_effect), 1):
            self._made[call.tool] = max(self._made.get(call.tool, 0), call.number)
            told = call.result if call.result is not None else await self._settle(call)
            asked = ToolCall(f"earlier_{number}", call.tool, call.arguments)
            messages.append(Message("assistant", "", (asked,)))
            messages.append(Message("tool", told, tool_call_id=asked.id))
        return messages

    async def _settle(self, call: Call) -> str:
        if self.tools[call.tool].effect == "once":
            answer = await settled(self.step, call.begun)
            if answer is not None:
                told = as_text(answer) if answer else "It has been done."
                await call.ended(self.step, "ok", told)
                return told
        return await self._with_rows(call.again())

    async def call(self, call: ToolCall) -> str:
        """What a tool gave, as text for the model; its errors too, unless the node is to fail with them."""
        if call.name not in self.uses:
            return f"Error: there is no tool {call.name}. There is: {', '.join(self.uses)}."
        self.calls += 1
        if self.tools[call.name].effect == "none":
            try:
                return await self._run(call.name, call.arguments, f"{self.step.key}/{self.calls}")
            except ToolError as error:
                return self._told(call.name, error)
        number = self._made[call.name] = self._made.get(call.name, 0) + 1
        if self.step.rehearses:
            from engine.simulate import told_again

            return await told_again(self.step, call.name, number)
        return await self._with_rows(Call(self.step, call.name, number, call.arguments, self.step.attempt))

    async def _with_rows(self, call: Call) -> str:
        """A call with an effect. What must not happen twice is in flight until something is known of its end."""
        step, outer = self.step, self.step.in_flight
        once = self.tools[call.tool].effect == "once"
        await call.begin(step)
        if once:
            step.in_flight = call.path
        try:
            told = await self._run(call.tool, call.arguments, f"{step.key}/{call.tool}#{call.number}")
        except ToolError as error:
            if once and not error.refused:
                raise
            step.in_flight = outer
            await call.ended(step, "failed", f"Error: {step.hide(str(error))}")
            return self._told(call.tool, error)
        step.in_flight = outer
        await call.ended(step, "ok", told)
        return told

    async def _run(self, name: str, arguments: Mapping[str, Any], key: str) -> str:
        result = await self.tools[name](arguments, self._context(self.uses[name], key))
        text = as_text(self.step.hide(result))
        return text if len(text) <= LONGEST_RESULT else f"{text[:LONGEST_RESULT]}… (cut)"

    def _told(self, name: str, error: ToolError) -> str:
        if self.uses[name].on_error == "fail":
            raise error
        return f"Error: {self.step.hide(str(error))}"

    def _context(self, use: ToolUse, key: str) -> ToolContext:
        step = self.step
        return ToolContext(
            run_id=step.run_id,
            node=step.node.id,
            idempotency_key=key,
            config=use.config.render(step.lookup_with_secrets) if use.config else {},
            allow_private=step.services.tools.allow_private,
            timeout=step.node.timeout,
            now=step.services.clock.now,
        )
