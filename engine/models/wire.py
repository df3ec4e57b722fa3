"""What both wires share: one call as it is sent, and the pieces of a streamed reply put together again.

LiteLLM mirrors the OpenAI SDK's chunks, so that one reader serves both.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from engine.errors import ModelBadReply, ModelRefused
from engine.models.names import Target
from engine.models.pricing import Usage
from engine.ports import Image, Message, ToolCall, ToolSpec

CONNECT_SECONDS = 10.0
# Between two pieces; a model on a slow machine reads a long prompt for minutes before it says a word.
SILENCE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `body` has the OpenAI protocol's fields, without model and stream."""

    target: Target
    body: Mapping[str, Any]


class WireClient(Protocol):
    """Sends a call and yields the vendor's chunks as they come; raises the vendor's errors."""

    async def load(self) -> None: ...

    def chunks(self, call: Call) -> AsyncGenerator[Any, None]: ...

    async def close(self) -> None: ...


def message_body(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.images:
        text = [{"type": "text", "text": message.content}] if message.content else []
        body["content"] = [*text, *map(_image_part, message.images)]
    if message.tool_calls:
        body["content"] = message.content or None
        body["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": json.dumps(dict(call.arguments), ensure_ascii=False),
                },
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def _image_part(image: Image) -> dict[str, Any]:
    packed = base64.b64encode(image.data).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{packed}"}}


def text_of(content: Any) -> str:
    """The words in the content of a message, which is text or a list of parts."""
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if part["type"] == "text")
    return str(content or "")


def images_in(body: Mapping[str, Any]) -> int:
    """How many images a request has."""
    contents = (message.get("content") for message in body["messages"])
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return sum(part["type"] == "image_url" for part in parts)


def tool_body(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


@dataclass(slots=True)
class _PartialCall:
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Assembly:
    """The reply so far. `add` takes a chunk and gives back the new text."""

    text: str = ""
    usage: Usage = field(default_factory=Usage)
    finish_reason: str | None = None
    refusal: str = ""
    _calls: dict[int, _PartialCall] = field(default_factory=dict)

    def add(self, chunk: Any) -> str:
        if getattr(chunk, "usage", None):
            self.usage = _usage(chunk.usage)
        piece = ""
        for choice in (getattr(chunk, "choices", None) or ())[:1]:
            delta = choice.delta
            piece = getattr(delta, "content", None) or ""
            self.refusal += getattr(delta, "refusal", None) or ""
            self.finish_reason = choice.finish_reason or self.finish_reason
            for part in getattr(delta, "tool_calls", None) or ():
                self._add_call(part)
        self.text += piece
        return piece

    def _add_call(self, part: Any) -> None:
        """A call's parts carry its index; some servers send none, and one whole call per part."""
        index = part.index if part.index is not None else len(self._calls)
        call = self._calls.setdefault(index, _PartialCall())
        call.id = part.id or call.id
        if part.function is not None:
            call.name = part.function.name or call.name
            call.arguments += part.function.arguments or ""

    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls, arguments parsed. Raises ModelBadReply for arguments that are no JSON object."""
        return tuple(
            ToolCall(call.id or f"call_{index}", call.name, _arguments(call))
            for index, call in sorted(self._calls.items())
        )

    def check_refusal(self, title: str) -> None:
        """Raises ModelRefused when the model, or the vendor's filter, said no."""
        if self.refusal:
            raise ModelRefused(f"Refused by {title}: {self.refusal.strip()[:300]}", "Say it in other words.")
        if self.finish_reason == "content_filter" and not self.text:
            raise ModelRefused(f"The filter of {title} stopped the reply.", "Say it in other words.")


def _arguments(call: _PartialCall) -> dict[str, Any]:
    try:
        parsed = json.loads(call.arguments) if call.arguments.strip() else {}
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise ModelBadReply(
            f"The model called {call.name or 'a tool'} with arguments that are not a JSON object.",
            "Try again, or use a larger model.",
        )
    return parsed


def _usage(found: Any) -> Usage:
    details = getattr(found, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None) or 0
    return Usage(found.prompt_tokens, found.completion_tokens, int(cached))
