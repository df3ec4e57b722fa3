"""A model with tools, in turns: it calls, is told what came of it, and answers in the end.

Models with function calling use it. All others say in one JSON object which tool they want, or their answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.errors import NodeError
from engine.ports import Message, ModelReply, ToolCall, ToolSpec
from engine.templates import as_text
from engine.workflow import ToolUse
from tools.errors import ToolError

if TYPE_CHECKING:
    from engine.nodes.llm import Asker
    from tools.registry import Tool

ROUNDS = 10
LONGEST_RESULT = 50_000


async def ask_with_tools(asker: Asker, messages: list[Message]) -> ModelReply:
    """The final reply. NodeError when the model still calls tools after ROUNDS rounds."""
    turns = _Turns(asker, messages)
    return await (turns.by_function() if asker.info.function_calling else turns.by_json())


class _Turns:
    """The conversation of one attempt."""

    def __init__(self, asker: Asker, messages: list[Message]) -> None:
        self.asker = asker
        self.messages = messages
        self.calls = 0
        node = asker.step.node
        self.uses: Mapping[str, ToolUse] = {use.name: use for use in node.tools}
        self.tools: Mapping[str, Tool] = {name: self._tool(name) for name in self.uses}
        self.specs = tuple(ToolSpec(name, t.description, t.parameters) for name, t in self.tools.items())

    def _tool(self, name: str) -> Tool:
        try:
            return self.asker.step.services.tools.get(name)
        except KeyError:
            node = self.asker.step.node.id
            raise NodeError(node, f"There is no tool {name}.", "Check the name.") from None

    async def by_function(self) -> ModelReply:
        """Tools by function calling. JSON, where it is wanted, is asked for when the model is done."""
        schema = self.asker.schema
        for _ in range(ROUNDS):
            text = schema is None
            reply = await self.asker.ask(self.messages, tools=self.specs, final=text)
            if not reply.tool_calls:
                return reply if text else await self._as_json(reply, schema)
            self.messages.append(Message("assistant", reply.text, reply.tool_calls))
            for call in reply.tool_calls:
                self.messages.append(Message("tool", await self._call(call), tool_call_id=call.id))
        raise self._endless()

    async def _as_json(self, reply: ModelReply, schema: Mapping[str, Any] | None) -> ModelReply:
        self.messages += [
            Message("assistant", reply.text),
            Message("user", "Give the result of that as JSON."),
        ]
        return await self.asker.ask(self.messages, schema=schema, final=True)

    async def by_json(self) -> ModelReply:
        """Tools by one object: {tool, args}, or {answer}."""
        schema = _choice_schema(self.specs, self.asker.schema)
        self.messages.insert(0, Message("system", _manual(self.specs)))
        for number in range(ROUNDS):
            reply = await self.asker.ask(self.messages, schema=schema)
            if "answer" in reply.value:
                return self._answer(reply)
            call = ToolCall(f"call_{number}", reply.value["tool"], reply.value.get("args") or {})
            self.messages.append(Message("assistant", reply.text))
            self.messages.append(Message("user", f"{call.name} gave: {await self._call(call)}"))
        raise self._endless()

    def _answer(self, reply: ModelReply) -> ModelReply:
        answer = reply.value["answer"]
        return replace(reply, text=as_text(answer), value=answer)

    async def _call(self, call: ToolCall) -> str:
        """What a tool gave, as text for the model; its errors too, unless the node is to fail with them."""
        step, use = self.asker.step, self.uses.get(call.name)
        if use is None:
            return f"Error: there is no tool {call.name}. There is: {', '.join(self.uses)}."
        self.calls += 1
        try:
            result = await self._tool(call.name)(call.arguments, self._context(use))
        except ToolError as error:
            if use.on_error == "fail":
                raise
            return f"Error: {step.hide(str(error))}"
        text = as_text(step.hide(result))
        return text if len(text) <= LONGEST_RESULT else f"{text[:LONGEST_RESULT]}… (cut)"

    def _context(self, use: ToolUse) -> Any:
        from tools.registry import ToolContext

        step = self.asker.step
        return ToolContext(
            run_id=step.run_id,
            node=step.node.id,
            idempotency_key=f"{step.key}/{self.calls}",
            config=use.config.render(step.lookup_with_secrets) if use.config else {},
            allow_private=step.services.tools.allow_private,
            timeout=step.node.timeout,
            now=step.services.clock.now,
        )

    def _endless(self) -> NodeError:
        return NodeError(
            self.asker.step.node.id,
            f"The model has called tools {self.calls} times without giving an answer.",
            "Say in the prompt when to stop, or use a larger model.",
        )


def _choice_schema(specs: Sequence[ToolSpec], answer: Mapping[str, Any] | None) -> dict[str, Any]:
    """One of: a tool with its arguments, or the answer."""
    calls = [_object({"tool": {"const": spec.name}, "args": spec.parameters}) for spec in specs]
    return {"anyOf": [*calls, _object({"answer": answer or {"type": "string", "maxLength": 2000}})]}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _manual(specs: Sequence[ToolSpec]) -> str:
    """How to call a tool, for a model that has not learnt it."""
    lines = [f"- {s.name}: {s.description} Arguments: {json.dumps(dict(s.parameters))}" for s in specs]
    return "\n".join(
        [
            "You may use these tools:",
            *lines,
            'To use one, reply with {"tool": "its name", "args": {…}}; you are then told what it gave.',
            'When you need no tool (any more), reply with {"answer": …}.',
        ]
    )
