"""Edits of a document's text: each names a place, by text that stands there once or by path, and every byte outside
the places stays.

All places are looked up in the text as it was. What an edit by path did is proven afterwards: the document is read
again, and nothing but the values it names may have changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from engine.check.patches import apply_patches
from engine.document import Document, read_document
from engine.edit_anchors import WrongAnchor, anchored
from engine.edit_places import Span
from engine.edit_units import PATH_OPS, Unit, copy, same, units

Op = Literal["replace", "insert_before", "insert_after", "delete", "set", "add", "remove"]
OPS: tuple[Op, ...] = ("replace", "insert_before", "insert_after", "delete", "set", "add", "remove")
MAX_WAYS = 8


@dataclass(frozen=True, slots=True)
class Edit:
    """One change. `at` is text that stands in the document once, or for set, add and remove a path."""

    op: Op
    at: str
    text: str = ""


def apply_edits(text: str, edits: Sequence[Edit]) -> tuple[str, list[str]]:
    """The edited text, and what is wrong with the edits in sentences. With anything wrong the text is given back
    unchanged.

    A document that could be read before can be read afterwards, else the edits are refused.
    """
    if not edits:
        return text, ["There is no edit."]
    spans, problems = _spans(text, edits)
    problems = problems or _overlaps(text, spans)
    if problems:
        return text, problems
    edited = put(text, spans)
    return (edited, []) if edited == text else _readable(text, edited, spans)


def put(text: str, spans: Iterable[Span]) -> str:
    """The text with all spans replaced, which do not overlap; several at one place keep their order."""
    pieces, position = [], 0
    for start, end, new in sorted(spans, key=lambda span: span[:2]):
        pieces += [text[position:start], new]
        position = end
    return "".join([*pieces, text[position:]])


def _spans(text: str, edits: Sequence[Edit]) -> tuple[list[Span], list[str]]:
    problems: list[str] = []
    spans: list[Span] = []
    by_path = [(number, edit) for number, edit in enumerate(edits, 1) if edit.op in PATH_OPS]
    for number, edit in enumerate(edits, 1):
        if edit.op not in PATH_OPS:
            try:
                spans.append(anchored(text, edit.op, edit.at, edit.text))
            except WrongAnchor as wrong:
                problems.append(f"Edit {number}: {wrong}")
    if by_path:
        found, wrong_paths = _path_spans(text, by_path)
        spans += found
        problems += wrong_paths
    return spans, problems


def _path_spans(text: str, edits: Sequence[tuple[int, Edit]]) -> tuple[list[Span], list[str]]:
    """The spans of all edits by path together, proven; or what is wrong with them."""
    document = read_document(text)
    if document.root is None:
        said = document.problems[0]
        return [], [
            f"The document can't be read as it is (line {said.line}: {said.message}), so there are no paths in it. "
            "Use replace."
        ]
    found, problems = units(document, edits)
    if problems:
        return [], problems
    first: list[Span] = []
    for unit in found:
        first += next(iter(unit.ways()), [])
    if not _overlaps(text, first) and proven(document, put(text, first), found):
        return first, []
    return _one_by_one(document, found)


def _one_by_one(document: Document, found: Sequence[Unit]) -> tuple[list[Span], list[str]]:
    """Each unit by itself, in the first way that holds; then all together."""
    spans: list[Span] = []
    problems = []
    for unit in found:
        way = _way(document, unit)
        if way is None:
            problems.append(f"{unit.label}: {_no_way(document, unit)}")
        else:
            spans += way
    if problems:
        return [], problems
    overlaps = _overlaps(document.text, spans)
    if overlaps:
        return [], overlaps
    if len(found) > 1 and not proven(document, put(document.text, spans), found):
        return [], ["These edits can't be made together. Make one of them, and the others after it."]
    return spans, []


def _way(document: Document, unit: Unit) -> list[Span] | None:
    for number, spans in enumerate(unit.ways()):
        if number >= MAX_WAYS:
            break
        if not _overlaps(document.text, spans) and proven(document, put(document.text, spans), [unit]):
            return spans
    return None


def proven(before: Document, text: str, found: Sequence[Unit]) -> bool:
    """Whether the text says what the document said, but for what the units change."""
    after = read_document(text)
    if after.root is None or len(after.problems) > len(before.problems):
        return False
    wanted = copy(before.data)
    for unit in sorted(found, key=lambda unit: unit.op == "remove"):
        unit.change(wanted)
    return same(after.data, wanted)


def _no_way(document: Document, unit: Unit) -> str:
    way = [*unit.target.above, *([unit.target.spot] if unit.target.spot else [])]
    if (
        any(document.text[spot.start : spot.start + 1] in ("*", "&") for spot in way)
        or "<<:" in document.text
    ):
        return (
            f"{unit.where} is shared by an alias (& and *), so it can't be changed alone by path. Use replace, "
            "or write the value out where it is used."
        )
    return f"{unit.where} can't be changed by path as it is written. Use replace with the text itself."


def _overlaps(text: str, spans: Sequence[Span]) -> list[str]:
    ordered = sorted(spans, key=lambda span: span[:2])
    return [
        f"Two edits change the same place: {_short(text[after[0] : before[1]])}"
        for before, after in pairwise(ordered)
        if after[0] < before[1]
    ]


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:79]}…")


def _readable(before: str, text: str, spans: Sequence[Span]) -> tuple[str, list[str]]:
    """The text as it is, or with quotes where the new parts lack them; a problem where it can't be read any more."""
    document = read_document(text)
    if document.root is not None or read_document(before).root is None:
        return text, []
    for _ in range(len(spans) + 3):
        new = _new_parts(spans)
        inside = [
            p
            for p in document.problems
            if p.patch and any(a <= document.offset(p.patch.start) <= b for a, b in new)
        ]
        if not inside:
            break
        text = apply_patches(text, inside[:1])
        document = read_document(text)
        if document.root is not None:
            return text, []
    said = document.problems[0]
    line = text.splitlines()[said.line - 1 : said.line]
    shown = f" That line would be: {line[0].strip()[:120]}" if line else ""
    return before, [
        f"After these edits the document could not be read: line {said.line}: {said.message}{shown}"
    ]


def _new_parts(spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Where the new texts stand once all spans are put in."""
    found, shift = [], 0
    for start, end, new in sorted(spans, key=lambda span: span[:2]):
        found.append((start + shift, start + shift + len(new)))
        shift += len(new) - (end - start)
    return found
