"""The YAML that an edit brings: read by itself, quotes put where models leave them out, written anew for its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from engine.document import Document, read_document
from engine.yaml_faults import placeholder
from engine.yaml_writing import block, dedent, flow, indent, line

TEXT_KEYS = frozenset(("prompt", "system", "code", "description", "condition", "condition_field", "question"))
"""Keys whose value is a text, whatever YAML would make of it without quotes."""


class WrongFragment(Exception):
    """The YAML of an edit can't be read; `str()` is the sentence."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A value: as data, and as the lines in which it was written, from column 0. `block` tells that these lines
    stand below a key, not beside it.
    """

    value: Any
    lines: tuple[str, ...]
    block: bool

    @property
    def scalar_block(self) -> bool:
        return self.lines[0][:1] in ("|", ">")

    def one_line(self) -> list[str]:
        """How it can be written on one line, the given spelling first."""
        given = [self.lines[0]] if len(self.lines) == 1 and not self.block and not self.scalar_block else []
        return [*given, flow(self.value)]


def read_fragment(text: str, key: str, *, text_wanted: bool = False) -> Fragment:
    """Read the YAML of one value for `key`. With `text_wanted` what would be a set of keys is a text."""
    body = dedent(text)
    if not body:
        return Fragment(None, ("null",), False)
    plain = body[0] not in "|>\"'"
    wanted = text_wanted or key in TEXT_KEYS
    if plain and placeholder(body):
        return _text(body)
    document = _read(body, key)
    value = document.data.get(_key(key)) if isinstance(document.data, dict) else None
    broken = not isinstance(document.data, dict) or bool(document.problems)
    if (
        plain
        and wanted
        and (
            (broken and body[0] not in "[{") or (isinstance(value, dict | list) and not _flow(document, key))
        )
    ):
        return _text(body)
    if broken:
        raise WrongFragment(_why(document, key))
    if plain and wanted and isinstance(value, str) and "\n" in body:
        return _text(body)  # as lines, which a plain scalar would fold
    spot = (
        document.root.children[_key(key)]
        if document.root and isinstance(document.root.children, dict)
        else None
    )
    below = isinstance(value, dict | list) and spot is not None and not spot.flow
    return Fragment(value, _lines(document, key), below)


def text_fragment(text: str) -> Fragment:
    """A text, written so that its lines stay."""
    return _text(text)


def _text(text: str) -> Fragment:
    lines = block(f"{text}\n") if "\n" in text else None
    if lines:
        return Fragment(f"{text}\n", tuple(lines), False)
    return Fragment(text, (line(text),), False)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z_]\w*", key) else "value"


def _read(body: str, key: str) -> Document:
    """The fragment as the value of a key, with what is certain mended."""
    from engine.check.patches import apply_patches

    text = f"{_key(key)}:\n" + "\n".join(indent(body.split("\n"), 2)) + "\n"
    for _ in range(8):
        document = read_document(text)
        mended = apply_patches(text, document.problems)
        if mended == text:
            break
        text = mended
    return document


def _flow(document: Document, key: str) -> bool:
    spot, found = document.find((_key(key),))
    return found and spot is not None and spot.flow


def _lines(document: Document, key: str) -> tuple[str, ...]:
    body = document.text.split("\n", 1)[1]
    return tuple(dedent(body).split("\n"))


def _why(document: Document, key: str) -> str:
    first = document.problems[0] if document.problems else None
    said = f" (its line {max(first.line - 1, 1)}): {first.message}" if first else "."
    return f"`text` can't be read as the YAML of a value{said}"


def read_items(text: str, among: list[Any]) -> tuple[list[Fragment], list[str]]:
    """The items that are to be added to a list, whose present items are `among`; and their lines where they came
    with dashes.
    """
    whole = read_fragment(text, "items")
    if not isinstance(whole.value, list):
        return [whole], []
    if whole.block:
        return [_plain(item) for item in whole.value], list(whole.lines)
    if any(isinstance(item, list) for item in among):
        return [whole], []
    return [_plain(item) for item in whole.value], []


def entries_of(whole: Fragment) -> list[tuple[str, Fragment]]:
    """The entries of a set of keys, of which only the data is known."""
    return [(key, _plain(item)) for key, item in whole.value.items()]


def _plain(value: Any) -> Fragment:
    """A value of which only the data is known."""
    return _text(value) if isinstance(value, str) else Fragment(value, (flow(value),), False)
