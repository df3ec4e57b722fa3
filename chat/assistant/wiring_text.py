"""Words as YAML: quoted, as blocks, and with braces that are either references or plain text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# What YAML can't hold, what ends a line in it besides \n, and marks that turn the direction of text around.
_UNFIT = re.compile(
    "[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)
_PLAIN = re.compile(r"[A-Za-z_](?:[\w ./-]*[A-Za-z0-9_.])?", re.ASCII)
_VALUES = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_NAMED = re.compile(r"\{(?:state\.)?([^\W\d]\w{0,79})\}")


def printable(text: str) -> str:
    """The text without what YAML does not allow."""
    return _UNFIT.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    return " ".join(printable(text).split())


def quoted(value: Any) -> str:
    """A value as YAML on one line: plain words as they are, all else as JSON, which YAML understands."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _VALUES:
        return value
    text = json.dumps(_clean(value), ensure_ascii=False)
    return text.replace("\x7f", " ")


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        # YAML reads no key of more than 1,024 characters.
        return {printable(str(key))[:200]: _clean(below) for key, below in value.items()}
    return [_clean(below) for below in value] if isinstance(value, list | tuple) else value


def sentence(text: str) -> str:
    """On one line, beginning large, without its full stop."""
    text = one_line(text).rstrip(".!?:")
    return text[:1].upper() + text[1:]


def literal(text: str) -> str:
    """A person's braces are text, never references: `{` is doubled, and so is the one that closes it."""
    found, depth = [], 0
    for char in text:
        doubled = char == "{" or (char == "}" and depth > 0)
        depth += (char == "{") - (char == "}" and depth > 0)
        found.append(char * 2 if doubled else char)
    return "".join(found)


def template(text: str, known: Mapping[str, str]) -> tuple[str, set[str]]:
    """The text with `{name}` led to where that stands (`known`: name to reference), every other brace being text;
    and the references that were used.
    """
    parts: list[str] = []
    used: set[str] = set()
    end = 0
    for found in _NAMED.finditer(text):
        where = known.get(found.group(1))
        if where is not None:
            parts += [literal(text[end : found.start()]), f"{{{where}}}"]
            used.add(where)
            end = found.end()
    return "".join([*parts, literal(text[end:])]), used


def named_in(*texts: Any) -> list[str]:
    """The names in braces in texts, however deep they stand."""
    found: list[str] = []
    for text in texts:
        if isinstance(text, str):
            found += _NAMED.findall(text)
        elif isinstance(text, Mapping):
            found += named_in(*text.values())
        elif isinstance(text, list | tuple):
            found += named_in(*text)
    return found


def block(key: str, text: str, indent: int) -> list[str]:
    """`key: |` with the text below it; in quotes where a block could not hold it byte for byte."""
    text = "\n".join(line.rstrip() for line in printable(text).replace("\t", "    ").split("\n")).strip("\n")
    if not text.strip() or text[0] == " ":
        return [f"{' ' * indent}{key}: {quoted(text)}"]
    inner = " " * (indent + 2)
    return [f"{' ' * indent}{key}: |", *(f"{inner}{line}" if line else "" for line in text.split("\n"))]
