"""Which bytes of a document changed outside of what was to change.

Both texts lose the parts that may change (found by their paths, in each text for itself); what is left has to be the
same. A line that is only a comment may be new: to explain is no harm. One that is gone is a change.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from engine.document import read_document
from evals.facts import steps_of

if TYPE_CHECKING:
    from engine.document import Document
    from engine.yaml_reader import Spot

ALWAYS = ("flow.description", "flow.tags")
"""What may follow any change: the words about the whole."""


def bytes_outside(before: str, after: str, allowed: Sequence[str]) -> int:
    """How many bytes changed outside of the paths in `allowed`.

    A path names a part: `nodes.draft.prompt`, `state.fields`, `edges[classify]` (what leaves that step). `*` is any
    part, and `+` at the end any part that the other text does not have: `nodes.+` are steps that are new.
    """
    old, new = read_document(before), read_document(after)
    if old.root is None or new.root is None:
        return 0 if before == after else len(after.encode())
    paths = [steps_of(path) for path in (*allowed, *ALWAYS, *_descriptions(allowed))]
    return _differing(_without(old, new, paths), _without(new, old, paths))


def _descriptions(allowed: Sequence[str]) -> list[str]:
    """Who changes a step may change what is said of it."""
    steps = {path.split(".")[1] for path in allowed if path.startswith("nodes.") and path.count(".") > 1}
    return [f"nodes.{step}.description" for step in sorted(steps)]


def _without(document: Document, other: Document, paths: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a document that are left when the parts at these paths are cut out."""
    spans = sorted({span for path in paths for span in _spans(document, other, path)})
    text, end = [], 0
    for start, stop in spans:
        if start >= end:
            text.append(document.text[end:start])
        end = max(end, stop)
    rest = "".join([*text, document.text[end:]])
    return [line.rstrip() for line in rest.splitlines() if line.strip()]


def _spans(document: Document, other: Document, path: Sequence[str]) -> Iterator[tuple[int, int]]:
    def walk(spot: Spot, twin: Spot | None, left: Sequence[str]) -> Iterator[tuple[int, int]]:
        if not left:
            yield _cut(document.text, spot)
            return
        twins = {} if twin is None else dict(_named(twin))
        for name, below in _named(spot):
            if left[0] == "+":
                if name not in twins:
                    yield _cut(document.text, below)
            elif left[0] in ("*", name) or name.startswith(f"{left[0]}#"):
                yield from walk(below, twins.get(name), left[1:])

    if document.root is not None:
        yield from walk(document.root, other.root, path)


def _named(spot: Spot) -> list[tuple[str, Spot]]:
    """The parts of a value with their names: a step by its id, an edge as `source#what it says`."""
    if isinstance(spot.children, dict):
        return list(spot.children.items())
    return [(_name(number, each), each) for number, each in enumerate(spot.children or ())]


def _name(number: int, spot: Spot) -> str:
    value = spot.value if isinstance(spot.value, dict) else {}
    if "id" in value:
        return str(value["id"])
    if "from" in value:
        return f"{value['from']}#{value.get('to')}"
    return str(number)


def _cut(text: str, spot: Spot) -> tuple[int, int]:
    """What to cut out for a part: its whole lines where it has them to itself, else with one comma."""
    start, end = min(spot.key_start, spot.start), _end(text, spot)
    line = text.rfind("\n", 0, start) + 1
    if re.fullmatch(r"[\s-]*", text[line:start]):
        after = re.compile(r"[ \t]*(?:\r?\n|\Z)").match(text, end)
        return line, after.end() if after else end
    comma = re.search(r",[ \t]*\Z", text[line:start])
    if comma:
        return line + comma.start(), end
    after = re.compile(r",[ \t]*").match(text, end)
    return start, after.end() if after else end


def _end(text: str, spot: Spot) -> int:
    """Where the part ends, without the blank lines and comments that follow it and belong to what comes next."""
    part = text[spot.start : spot.end]
    trimmed = re.sub(r"(?:[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z))+\Z", "", part) if "\n" in part else part
    return spot.start + len(trimmed.rstrip())


def _differing(old: Sequence[str], new: Sequence[str]) -> int:
    count = 0
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        gone, come = old[a:b], new[c:d]
        if not gone:
            come = [line for line in come if not line.lstrip().startswith("#")]
        count += max(_size(gone), _size(come))
    return count


def _size(lines: Sequence[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)
