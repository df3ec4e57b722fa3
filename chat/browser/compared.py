"""Two texts compared, line by line and within a line, as rows that the page draws under or beside each other."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

CONTEXT_LINES = 3
ALIKE = 0.4  # how much two lines must have in common for what differs in them to be marked
LONGEST_MARKED = 2000  # characters; longer lines are not looked into
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")

Row = dict[str, Any]
Spans = list[list[int]]


def diff_rows(old: str, new: str) -> list[Row]:
    """Rows {kind, old, new, text, marks}: `kind` is same, add, del or skip (lines that are the same, `text` says how
    many), `old` and `new` are 1-based line numbers or None, `marks` are [start, end] of what differs within a line
    from its counterpart.
    """
    before, after = old.splitlines(), new.splitlines()
    rows: list[Row] = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        if tag == "equal":
            rows.extend(_same(before, a1, a2, b1, first=a1 == 0, last=a2 == len(before)))
        else:
            rows.extend(_changed(before[a1:a2], after[b1:b2], a1, b1))
    return rows


def _changed(gone: Sequence[str], come: Sequence[str], a: int, b: int) -> Iterable[Row]:
    """What went, then what came; each pair of lines is looked into."""
    pairs = [_marks(x, y) for x, y in zip(gone, come, strict=False)]
    for index, text in enumerate(gone):
        marks = pairs[index][0] if index < len(pairs) else []
        yield {"kind": "del", "old": a + index + 1, "new": None, "text": text, "marks": marks}
    for index, text in enumerate(come):
        marks = pairs[index][1] if index < len(pairs) else []
        yield {"kind": "add", "old": None, "new": b + index + 1, "text": text, "marks": marks}


def _marks(old: str, new: str) -> tuple[Spans, Spans]:
    """Where two lines differ, by words; nothing where they have too little in common."""
    if max(len(old), len(new)) > LONGEST_MARKED:
        return [], []
    before, after = _WORDS.findall(old.strip()), _WORDS.findall(new.strip())
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    if matcher.ratio() < ALIKE:
        return [], []
    changed = [codes for codes in matcher.get_opcodes() if codes[0] != "equal"]
    gone = _spans(before, [(a1, a2) for _, a1, a2, _, _ in changed], len(old) - len(old.lstrip()))
    come = _spans(after, [(b1, b2) for _, _, _, b1, b2 in changed], len(new) - len(new.lstrip()))
    return gone, come


def _spans(words: Sequence[str], ranges: Iterable[tuple[int, int]], offset: int) -> Spans:
    """Ranges of words as ranges of characters."""
    starts = [offset]
    for word in words:
        starts.append(starts[-1] + len(word))
    return [[starts[first], starts[last]] for first, last in ranges if last > first]


def _same(
    lines: Sequence[str], start: int, end: int, other: int, *, first: bool, last: bool
) -> Iterable[Row]:
    """Lines that stay, only those near a change; the middle becomes one row."""
    head = start if first else start + CONTEXT_LINES
    tail = end if last else end - CONTEXT_LINES
    for number in range(start, end):
        if head <= number < tail and tail - head > 1:
            if number == head:
                words = f"{tail - head} lines as before"
                yield {"kind": "skip", "old": None, "new": None, "text": words, "marks": []}
            continue
        shown = {"old": number + 1, "new": other + number - start + 1}
        yield {"kind": "same", **shown, "text": lines[number], "marks": []}
