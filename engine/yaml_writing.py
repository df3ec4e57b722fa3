"""Small pieces of YAML as people write them: a value on one line, a text as a block, lines moved to a column."""

from __future__ import annotations

import json
import re
from typing import Any

from engine.yaml_faults import quoted
from engine.yaml_scalars import plain

_SAFE = re.compile(r"[A-Za-z_/][\w./-]*(?: [\w./()-]+)*")


def flow(value: Any) -> str:
    """The value on one line, as it may also stand within brackets."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key_text(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return line(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return ".nan" if value != value else ".inf" if value > 0 else "-.inf"
    return json.dumps(value)


def line(text: str) -> str:
    """A text on one line: without quotes where that is plain to everybody."""
    if _SAFE.fullmatch(text) and plain(text) == text:
        return text
    return quoted(text) if text.isprintable() else json.dumps(text, ensure_ascii=True)


def key_text(key: str) -> str:
    """A key as it is written."""
    return key if re.fullmatch(r"[A-Za-z_][\w-]*", key) and plain(key) == key else line_in_quotes(key)


def line_in_quotes(text: str) -> str:
    return quoted(text) if text.isprintable() else json.dumps(text, ensure_ascii=True)


def block(text: str, sign: str = "|") -> list[str] | None:
    """The text as a block scalar: its header, then its lines without indentation; None where no block can hold it."""
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    first = next((part for part in body.split("\n") if part.strip()), "")
    if (
        not body
        or first[:1] in (" ", "\t")
        or re.search(r"[^\n\t -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", body)
    ):
        return None
    return [sign + {0: "-", 1: ""}.get(ends, "+"), *body.split("\n"), *[""] * max(ends - 1, 0)]


def dedent(text: str) -> str:
    """The lines without the indentation that they share; without empty lines around them, and with LF."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    while lines and not lines[0].strip():
        lines.pop(0)
    while lines and not lines[-1].strip():
        lines.pop()
    margin = min((len(part) - len(part.lstrip(" ")) for part in lines if part.strip()), default=0)
    return "\n".join(part[margin:] if part.strip() else "" for part in lines)


def indent(lines: list[str], column: int) -> list[str]:
    """The lines moved to a column; empty ones stay empty."""
    return [" " * column + part if part else part for part in lines]
