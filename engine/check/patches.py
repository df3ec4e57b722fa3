"""Ready mends: making them so that they touch one name and nothing else, and applying them.

A name in a template stands inside a scalar that may be quoted, folded or a block. Where the text as written
does not show the name as often as the value does (escapes, aliases), no mend is certain and none is
offered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.document import Document
from engine.problems import Patch, Problem

if TYPE_CHECKING:
    from engine.check.rules import Path
    from engine.templates import Ref

_STEP = re.compile(r"\w+|\[[^\]]*\]")


def replace_name(document: Document, path: Path, name: str) -> Patch | None:
    """Put `name` in the place of the scalar at `path`, with the quotes it had."""
    source = document.source(path)
    if not document.has(path) or source[:1] in ("*", "&", "!", "|", ">"):
        return None
    quote = source[:1] if source[:1] in ("'", '"') else ""
    return document.replace_value(path, f"{quote}{name}{quote}")


def replace_key(document: Document, path: Path, name: str) -> Patch | None:
    """Put `name` in the place of the key at `path`, with the quotes it had."""
    start, end = (document.offset(place) for place in document.key_span(path))
    source = document.text[start:end]
    if not document.has(path) or not source or source[:1] in ("*", "&", "!"):
        return None
    quote = source[:1] if source[:1] in ("'", '"') else ""
    return document.replace_key(path, f"{quote}{name}{quote}")


def replace_inside(
    document: Document, path: Path, value: str, start: int, end: int, text: str
) -> Patch | None:
    """Put `text` in the place of `value[start:end]`, where `value` is the string at `path`."""
    source = document.source(path)
    old, around = value[start:end], value[max(start - 1, 0) : end + 1]
    needle, shift = (around, min(start, 1)) if source.count(around) == value.count(around) else (old, 0)
    if not document.has(path) or not old or source.count(needle) != value.count(needle):
        return None
    before = value.count(needle, 0, start - shift)
    at = -1
    for _ in range(before + 1):
        at = source.find(needle, at + len(needle) if at >= 0 else 0)
    if at < 0 or _conflict(source, text, at + shift):
        return None
    begin = document.offset(document.span(path)[0]) + at + shift
    return Patch(document.place(begin), document.place(begin + len(old)), text)


def text_place(document: Document, path: Path, value: str, offset: int) -> tuple[int, int]:
    """The line and column of `value[offset]`, where `value` is the string at `path`.

    Where the text as written does not show the value line by line, it is the place of the key.
    """
    source, start = document.source(path), document.offset(document.span(path)[0])
    line = value.count("\n", 0, offset)
    content = value.split("\n")[line] if document.has(path) else ""
    column = offset - (value.rfind("\n", 0, offset) + 1)
    written = source.split("\n")
    if source[:1] == "|" and line + 1 < len(written):
        before = sum(len(text) + 1 for text in written[: line + 1])
        at = written[line + 1].find(content)
        return document.place(start + before + at + column) if at >= 0 else document.position(path)
    if len(written) == 1 and line == 0 and source.count(content) == 1 and content:
        return document.place(start + source.find(content) + column)
    return document.position(path)


def replace_step(document: Document, path: Path, value: str, ref: Ref, step: int, name: str) -> Patch | None:
    """Put `name` in the place of one step of a reference in the string at `path`; step 0 is its root."""
    steps = list(_STEP.finditer(ref.text))
    if step >= len(steps) or not steps[step].group().isidentifier():
        return None
    start = ref.start + steps[step].start()
    return replace_inside(document, path, value, start, start + len(steps[step].group()), name)


def _conflict(source: str, text: str, at: int) -> bool:
    """Whether `text`, put at `at`, would end or bend the scalar as it is written."""
    if source[:1] == "'":
        return "'" in text
    if source[:1] == '"':
        return '"' in text or "\\" in text
    if source[:1] in ("|", ">"):
        return "\n" in text
    return (at == 0 and not text[:1].isalnum()) or any(
        s in text for s in (": ", " #", "[", "]", "{", "}", ",")
    )


def unite(document: Document, problems: Iterable[Problem]) -> list[Problem]:
    """Problems that say the same of the same place as one, with one patch for all their mends."""
    groups: dict[tuple[str, str, int, int, str], list[Problem]] = {}
    for problem in problems:
        key = (problem.rule, problem.path, problem.line, problem.column, problem.message)
        groups.setdefault(key, []).append(problem)
    return [g[0] if len(g) == 1 else replace(g[0], patch=_united(document, g)) for g in groups.values()]


def _united(document: Document, problems: Sequence[Problem]) -> Patch | None:
    patches = [p.patch for p in problems if p.patch]
    if not patches:
        return None
    start, end = min(p.start for p in patches), max(p.end for p in patches)
    before, after = document.offset(start), document.offset(end)
    mended = _apply(document.text, patches)
    return Patch(start, end, mended[before : len(mended) - (len(document.text) - after)])


def apply(text: str, patch: Patch) -> str:
    """The text with one patch applied."""
    return _apply(text, [patch])


def apply_patches(text: str, problems: Iterable[Problem]) -> str:
    """The text with the certain mends of all problems applied; every other character stays as it was.

    Where two mends overlap, the one that begins first is applied; the other problem will be found anew.
    """
    return _apply(text, [p.patch for p in problems if p.patch is not None])


def _apply(text: str, patches: Sequence[Patch]) -> str:
    document = Document(text)
    spans = sorted((document.offset(p.start), document.offset(p.end), p.text) for p in patches)
    pieces, position, last = [], 0, None
    for start, end, new in spans:
        if start < position or (start, end, new) == last:
            continue
        pieces += [text[position:start], new]
        position, last = max(start, end), (start, end, new)
    return "".join([*pieces, text[position:]])
