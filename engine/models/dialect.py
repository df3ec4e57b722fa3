"""What a server has been found not to understand, so that the next request leaves it out.

Servers that speak the OpenAI protocol differ in a few optional fields. Instead of a list of vendors, a
refusal is read: it names the field, the field is changed, and the same request is sent again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

_NO_TOOLS = re.compile(
    r"(tool|function).{0,60}(support|unknown|unrecogni[sz]ed|not (allowed|permitted|available)|enable|jinja|extra)|"
    r"(support|unknown|unrecogni[sz]ed|extra|enable).{0,60}(tool|function)"
)
_ONE_SCHEMA = re.compile(r"invalid.{0,40}schema|schema.{0,60}(invalid|too )")

SchemaTier = Literal["json_schema", "json_object", "words"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How to ask. `schema` is the strongest way of asking for JSON that works here; without `native_tools`
    tools are asked for as JSON too.
    """

    schema: SchemaTier = "json_schema"
    native_tools: bool = True
    long_token_name: bool = False
    temperature: bool = True
    usage: bool = True

    def without(self, refusal: str, body: Mapping[str, Any]) -> Dialect | None:
        """Leave out what `refusal` complains of in `body`; None when there is nothing to leave out."""
        words = refusal.lower()
        if "max_tokens" in body and "max_completion_tokens" in words:
            return replace(self, long_token_name=True)
        if "temperature" in body and "temperature" in words:
            return replace(self, temperature=False)
        if "stream_options" in body and "stream_options" in words:
            return replace(self, usage=False)
        if "tools" in body and _NO_TOOLS.search(words):
            return replace(self, native_tools=False)
        if "response_format" in body:
            return replace(self, schema="json_object" if self.schema == "json_schema" else "words")
        return None

    def body(
        self,
        messages: list[dict[str, Any]],
        *,
        temperature: float | None,
        max_tokens: int | None,
        schema: Mapping[str, Any] | None,
        strict: bool,
        tools: list[dict[str, Any]],
    ) -> dict[str, Any]:
        """The fields of a request, without model and stream. `schema` is as it goes over the wire."""
        body: dict[str, Any] = {"messages": messages}
        if temperature is not None and self.temperature:
            body["temperature"] = temperature
        if max_tokens is not None:
            body["max_completion_tokens" if self.long_token_name else "max_tokens"] = max_tokens
        if self.usage:
            body["stream_options"] = {"include_usage": True}
        if tools:
            body["tools"] = tools
        if schema is not None:
            if self.schema == "json_schema":
                named = {"name": "answer", "schema": dict(schema), "strict": strict}
                body["response_format"] = {"type": "json_schema", "json_schema": named}
            else:
                body["messages"] = with_schema_in_words(messages, schema)
                if self.schema == "json_object":
                    body["response_format"] = {"type": "json_object"}
        return body


def lasting(refusal: str) -> bool:
    """Whether what was refused will be refused again: one schema that is too much says nothing of others."""
    return not _ONE_SCHEMA.search(refusal.lower())


def with_schema_in_words(messages: list[dict[str, Any]], schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The messages, the last of the person's with the schema after it."""
    text = (
        "Answer with one JSON value that fits this JSON Schema, with no other words and no code fence:\n"
        + json.dumps(dict(schema), ensure_ascii=False)
    )
    *earlier, last = messages
    if last["role"] == "user":
        said = last["content"]
        more = [*said, {"type": "text", "text": text}] if isinstance(said, list) else f"{said}\n\n{text}"
        return [*earlier, {**last, "content": more}]
    return [*messages, {"role": "user", "content": text}]
