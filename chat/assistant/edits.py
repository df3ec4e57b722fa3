"""Edits of a document: each replaces a text that stands there once, and every other byte stays as it was."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `old`, which must stand in the document exactly once, by `new`."""

    old: str
    new: str


def read_edits(items: Sequence[Mapping[str, str]]) -> list[Edit]:
    return [Edit(item["old"], item["new"]) for item in items]


def apply_edits(text: str, edits: Sequence[Edit]) -> tuple[str, list[str]]:
    """The edited text, and what is wrong with the edits. With anything wrong the text is given back
    unchanged.

    All places are looked up in the text as it was, so the order of the edits does not matter.
    """
    problems: list[str] = []
    spans: list[tuple[int, int, str]] = []
    for number, edit in enumerate(edits, 1):
        found = _place(text, edit)
        if isinstance(found, str):
            problems.append(f"Edit {number}: {found}")
        else:
            spans.append(found)
    spans.sort()
    for before, after in pairwise(spans):
        if after[0] < before[1]:
            problems.append(f"Two edits change the same place: {_short(text[after[0] : before[1]])}")
    if problems or not edits:
        return text, problems or ["There is no edit."]
    for start, end, new in reversed(spans):
        text = text[:start] + new + text[end:]
    return text, []


def _place(text: str, edit: Edit) -> tuple[int, int, str] | str:
    """Where the edit goes, or what is wrong with it."""
    if not edit.old:
        return "`old` is empty. Give the text to replace."
    last = ""
    for old, new in _spellings(text, edit):
        places = _places(text, old)
        if len(places) == 1:
            return places[0], places[0] + len(old), new
        if places:
            lines = ", ".join(str(text.count("\n", 0, place) + 1) for place in places[:6])
            last = (
                f"`old` stands in the document {len(places)} times (lines {lines}). Give more of the text "
                "around it."
            )
    return last or f"`old` does not stand in the document: {_short(edit.old)}. {_nearest(text, edit.old)}"


def _spellings(text: str, edit: Edit) -> list[tuple[str, str]]:
    """As written; with the document's line ends; without line numbers that were copied along."""
    pairs = [(edit.old, edit.new)]
    if "\r\n" in text:
        pairs.append((_crlf(edit.old), _crlf(edit.new)))
    bare = re.sub(r"^ *\d+\| ?", "", edit.old, flags=re.MULTILINE)
    if bare != edit.old:
        pairs.append((bare, re.sub(r"^ *\d+\| ?", "", edit.new, flags=re.MULTILINE)))
    return pairs


def _crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _places(text: str, old: str) -> list[int]:
    """Every offset at which `old` stands; places that overlap count too, since they are just as unclear."""
    places, start = [], text.find(old)
    while start >= 0:
        places.append(start)
        start = text.find(old, start + 1)
    return places


def _nearest(text: str, old: str) -> str:
    """The line of the document that is most like the first line of what was looked for."""
    wanted = next((line.strip() for line in old.splitlines() if line.strip()), "")
    lines = text.splitlines()
    near = difflib.get_close_matches(wanted, [line.strip() for line in lines], n=1, cutoff=0.5)
    if not near:
        return "Copy it from the document exactly, spaces included."
    number = next(n for n, line in enumerate(lines, 1) if line.strip() == near[0])
    return f"The nearest is line {number}: {lines[number - 1]}"


def _short(text: str) -> str:
    flat = text if len(text) <= 80 else f"{text[:79]}…"
    return repr(flat)


def numbered(text: str) -> str:
    """The text with line numbers, as it is shown to a model."""
    lines = text.splitlines() or [""]
    width = len(str(len(lines)))
    return "\n".join(f"{n:>{width}}| {line}" for n, line in enumerate(lines, 1))
