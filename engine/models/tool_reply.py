"""Tools for models that can't call functions: one JSON value, either a call or the answer.

The schema is `anyOf` over {tool: const, args}, one per tool, and the answer; what comes back is turned
into the same ToolCall that other models give.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from engine.ports import Message, ToolCall, ToolSpec

_ANSWER = "answer"


def schema_of(tools: Sequence[ToolSpec], answer: Mapping[str, Any] | None) -> dict[str, Any]:
    """The schema of a call or an answer. `answer` is what the answer itself must fit, None for a text."""
    options = [_object({"tool": {"const": tool.name}, "args": dict(tool.parameters)}) for tool in tools]
    inner = dict(answer) if answer is not None else {"type": "string"}
    definitions = inner.pop("$defs", None)
    schema: dict[str, Any] = {"anyOf": [*options, _object({_ANSWER: inner})]}
    return {**schema, "$defs": definitions} if definitions else schema


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def messages_of(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> tuple[Message, ...]:
    """The conversation in plain words: what the tools are, and past calls and results as text."""
    lines = [f"- {tool.name}: {tool.description} args: {_names(tool)}" for tool in tools]
    text = (
        'You can use tools. To use one, answer {"tool": name, "args": {…}}; its result is told to you. '
        'To answer, write {"answer": …}.\nTools:\n' + "\n".join(lines)
    )
    return (Message("system", text), *(_plain(message) for message in messages))


def _names(tool: ToolSpec) -> str:
    return json.dumps(list(tool.parameters.get("properties", {})))


def _plain(message: Message) -> Message:
    if message.role == "tool":
        return Message("user", f"Result of the tool: {message.content}")
    if message.tool_calls:
        call = message.tool_calls[0]
        return Message("assistant", json.dumps({"tool": call.name, "args": dict(call.arguments)}))
    return message


def is_answer(value: Any) -> bool:
    """Whether a value is meant as the answer, be it of the form that was asked for or not."""
    return isinstance(value, Mapping) and "tool" not in value and _ANSWER in value


def split(value: Any, turn: int) -> tuple[tuple[ToolCall, ...], Any]:
    """(calls, answer) of a value that fits `schema_of`. `turn` makes the call's id unique."""
    if "tool" in value:
        return (ToolCall(f"call_{turn}", value["tool"], value["args"]),), None
    return (), value[_ANSWER]
