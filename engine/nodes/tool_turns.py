"""A model with tools, in turns: it calls, is told what came of it, and answers in the end.

How a model is made to call tools (by its own function calling, or in one JSON object) is the model
client's affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import NodeError
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

    def _tool(self, name: str) -> Tool:
        try:
            return self.step.services.tools.get(name)
        except KeyError:
            raise NodeError(self.step.node.id, f"There is no tool {name}.", "Check the name.") from None

    async def call(self, call: ToolCall) -> str:
        """What a tool gave, as text for the model; its errors too, unless the node is to fail with them."""
        use = self.uses.get(call.name)
        if use is None:
            return f"Error: there is no tool {call.name}. There is: {', '.join(self.uses)}."
        self.calls += 1
        try:
            result = await self.tools[call.name](call.arguments, self._context(use))
        except ToolError as error:
            if use.on_error == "fail":
                raise
            return f"Error: {self.step.hide(str(error))}"
        text = as_text(self.step.hide(result))
        return text if len(text) <= LONGEST_RESULT else f"{text[:LONGEST_RESULT]}… (cut)"

    def _context(self, use: ToolUse) -> ToolContext:
        step = self.step
        return ToolContext(
            run_id=step.run_id,
            node=step.node.id,
            idempotency_key=f"{step.key}/{self.calls}",
            config=use.config.render(step.lookup_with_secrets) if use.config else {},
            allow_private=step.services.tools.allow_private,
            timeout=step.node.timeout,
            now=step.services.clock.now,
        )
