"""What the fake OpenAI server can answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.fitting import fitting


@dataclass(frozen=True)
class Reply:
    """What the server answers to one request.

    `pieces` are the streamed parts of the text (made by cutting it when left out). `tool_calls` are
    pairs of name and arguments (a str goes out as it is). A `status` other than 200 sends an error with
    `message`, `code` and `param`, or `body` as it is. `break_after` closes the connection after so many
    pieces. Seconds: `delay` before the first byte, `piece_delay` after each piece. `usage` is (prompt,
    completion) tokens, False leaves it out. `when` is for lists.
    """

    text: str | None = None
    value: Any = None
    tool_calls: tuple[tuple[str, Mapping[str, Any] | str], ...] = ()
    pieces: tuple[str, ...] | None = None
    status: int = 200
    message: str = "planted error"
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    break_after: int | None = None
    pause: bool = False
    delay: float = 0.0
    piece_delay: float = 0.0
    usage: tuple[int, int] | bool = True
    finish_reason: str | None = None
    refusal: str | None = None
    when: str | None = None

    def content(self) -> str:
        if self.text is not None:
            return self.text
        return "" if self.value is None else json.dumps(self.value, ensure_ascii=False)

    def parts(self) -> tuple[str, ...]:
        if self.pieces is not None:
            return self.pieces
        text = self.content()
        size = max(1, -(-len(text) // 8))
        return tuple(text[i : i + size] for i in range(0, len(text), size))

    def counts(self, body: Mapping[str, Any]) -> tuple[int, int]:
        """Tokens as set, else a word each."""
        if isinstance(self.usage, tuple):
            return self.usage
        prompt = sum(len(str(m.get("content") or "").split()) for m in body.get("messages", ()))
        return max(1, prompt), max(1, len(self.content().split()))


def written(arguments: Mapping[str, Any] | str) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(dict(arguments))


def last_message(body: Mapping[str, Any]) -> str:
    messages = body.get("messages") or [{}]
    return str(messages[-1].get("content") or "")


def as_reply(answer: Any, body: Mapping[str, Any]) -> Reply:
    if isinstance(answer, Reply):
        return answer
    if isinstance(answer, str):
        return Reply(text=answer)
    return Reply(value=answer) if answer is not None else automatic(body)


def automatic(body: Mapping[str, Any]) -> Reply:
    """A value that fits the schema asked for, else a line about the last message."""
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return Reply(value=fitting(wanted["json_schema"]["schema"]))
    return Reply(text=f"About: {last_message(body)[:200]}")
