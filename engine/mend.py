"""Drafts mended by code alone, as far as each mend has one reading; every other byte stays.

First what needs no checker (what stands around the document, odd signs, another shape), then the checker's own patches,
each round of which is kept only where it leaves fewer problems.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from engine.check import Checked, apply_patches
from engine.document import Document
from engine.mend_json import mend_json
from engine.mend_lines import mend_lines
from engine.mend_names import mend_references, offered
from engine.mend_shape import mend_shape
from engine.mend_text import unwrap
from engine.problems import Problem

MAX_ROUNDS = 12
LONGEST = 200_000
"""Characters of a text that is mended before it is checked; no model writes as many in one answer."""
Check = Callable[[str], Awaitable[Checked]]


@dataclass(frozen=True, slots=True)
class Mended:
    """The text after the mends, what the checker says of it, and what was mended, a phrase each."""

    text: str
    checked: Checked
    said: tuple[str, ...]


def mend_text(text: str) -> tuple[str, list[str]]:
    """A model's whole document, mended as far as that needs no checker."""
    text, around = unwrap(text)
    text, signs = mend_lines(text)
    text, json = mend_json(text)
    text, shape = mend_shape(text)
    text, names = mend_references(text)
    return text, [*around, *signs, *json, *shape, *names]


async def mend(text: str, check: Check, base: str | None = None) -> Mended:
    """Mend a document and check it. What stands in `base`, the document that was edited, is left as it is."""
    said: list[str] = []
    if base is None and len(text) <= LONGEST:
        text, said = await asyncio.to_thread(mend_text, text)
    checked = await check(text)
    for _ in range(MAX_ROUNDS):
        certain = _within(checked, base)
        if not certain:
            break
        mended = apply_patches(text, certain)
        again = await check(mended)
        if mended == text or not _better(again, checked):
            found = await _first_alone(text, checked, certain, check)
            if found is None:
                break
            mended, again, certain = found
        said += [_said(checked.document, problem) for problem in certain]
        text, checked = mended, again
    return Mended(text, checked, tuple(dict.fromkeys(said)))


async def _first_alone(
    text: str, checked: Checked, certain: Sequence[Problem], check: Check
) -> tuple[str, Checked, list[Problem]] | None:
    """The first mend that helps by itself, where all together do not."""
    for problem in certain[:8] if len(certain) > 1 else ():
        mended = apply_patches(text, [problem])
        again = await check(mended)
        if _better(again, checked):
            return mended, again, [problem]
    return None


def _within(checked: Checked, base: str | None) -> list[Problem]:
    """The errors with a certain mend, in the lines that are new."""
    patched = [p for p in (offered(checked.document, p) for p in checked.errors) if p.patch is not None]
    if base is None or not patched:
        return patched
    new = new_lines(base, checked.document.text)
    return [p for p in patched if p.patch and p.patch.start[0] in new and _last_line(p) in new]


def _last_line(problem: Problem) -> int:
    """The last line that a patch changes; one that ends before a line's first sign does not change that line."""
    assert problem.patch is not None  # noqa: S101  the caller looked
    (first, _), (last, column) = problem.patch.start, problem.patch.end
    return last - 1 if column == 1 and last > first else last


def new_lines(before: str, after: str) -> set[int]:
    """The numbers (from 1) of the lines of `after` that do not stand in `before` at their place."""
    old, new = before.splitlines(), after.splitlines()
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    matcher = difflib.SequenceMatcher(
        None, old[start : len(old) - end], new[start : len(new) - end], autojunk=False
    )
    found: set[int] = set()
    for tag, _, _, first, last in matcher.get_opcodes():
        if tag != "equal":
            found.update(range(start + first + 1, start + last + 1))
    return found


def _better(now: Checked, before: Checked) -> bool:
    """Whether fewer problems are left, or the document can be read further than before."""
    if now.document.root is None and before.document.root is None:
        return now.errors[-1].line > before.errors[-1].line
    if now.document.root is None or before.document.root is None:
        return before.document.root is None
    return len(now.errors) < len(before.errors)


def _said(document: Document, problem: Problem) -> str:
    patch = problem.patch
    assert patch is not None  # noqa: S101  the caller looked
    old = document.text[document.offset(patch.start) : document.offset(patch.end)]
    line = patch.start[0]
    if not old.strip():
        return f"line {line}: added {_short(patch.text)}"
    return (
        f"line {line}: {_short(old)} → {_short(patch.text)}"
        if patch.text.strip()
        else f"line {line}: left out {_short(old)}"
    )


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 60 else f"{flat[:59]}…"
