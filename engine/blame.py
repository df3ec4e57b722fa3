"""Which version of a document made each of its lines, and each of its keys, as they are.

A line keeps its origin while it is only moved or indented anew. A text that comes back as a whole, by an undo, has the
origins that it had: who undid it asked for none of its lines. A key's version is the one in which its value changed
last; nodes are known by their ids, so that one that moves keeps its story.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.differences import nodes_of
from engine.differences_nodes import find_renamed
from engine.differences_words import canonical
from engine.document import read_document
from engine.yaml_reader import Spot

_BREAK = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the newest version: its path, its line, the last line of its value, the version in which it first
    was there and the one in which its value changed last.
    """

    path: str
    line: int
    end: int
    since: int
    changed: int


@dataclass(frozen=True, slots=True)
class Blame:
    """`lines[i]` is the number of the version that made line i + 1; `keys` in the order of the document."""

    lines: tuple[int, ...] = ()
    keys: tuple[Key, ...] = ()
    nodes: Mapping[str, Key] = field(default_factory=dict)

    def key(self, path: str) -> Key | None:
        """The key at a path such as `nodes[review].prompt`; `nodes.review.prompt` is understood too."""
        wanted = plain(path)
        return next((key for key in self.keys if plain(key.path) == wanted), None)

    def line_of(self, path: str) -> int | None:
        found = self.key(path)
        return found.line if found else None

    def key_at(self, line: int) -> Key | None:
        """The innermost key whose lines include this one."""
        around = [key for key in self.keys if key.line <= line <= key.end]
        return max(around, key=lambda key: (key.line, -key.end), default=None)


def blame(versions: Sequence[tuple[int, str]]) -> Blame:
    """Of the last of some versions, each its number and its text, the oldest first."""
    texts: dict[str, tuple[int, ...]] = {}
    stories: dict[str, _Story] = {}
    lines: tuple[int, ...] = ()
    story = _Story()
    before = ""
    for number, text in versions:
        if text in texts:
            lines, story = texts[text], stories[text]
        else:
            lines = _next_lines(lines_of(before), lines, lines_of(text), number)
            story = story.next(number, read_document(text).data)
            texts[text], stories[text] = lines, story
        before = text
    keys = tuple(_keys(before, story))
    nodes = {key.path[6:-1]: key for key in keys if _is_node(key.path)}
    return Blame(lines, keys, nodes)


def plain(path: str) -> str:
    """A path in one spelling: `nodes[review].prompt` and `nodes.review.prompt` are the same."""
    return path.replace("][", ".").replace("[", ".").replace("]", "").strip(".")


def lines_of(text: str) -> list[str]:
    """The lines of a text as editors count them."""
    found = _BREAK.split(text)
    return found[:-1] if found[-1] == "" else found


def same_line(seen: str, newest: str, line: int) -> int | None:
    """Where a line (1-based) of a text stands in another one; None where it doesn't."""
    old, new = lines_of(seen), lines_of(newest)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for i, j, size in matcher.get_matching_blocks():
        if i < line <= i + size:
            return j + line - i
    return None


# --- lines ------------------------------------------------------------------------------------------------


def _next_lines(
    old: Sequence[str], origins: Sequence[int], new: Sequence[str], number: int
) -> tuple[int, ...]:
    """The origins of the lines of the next version."""
    found = [number] * len(new)
    gone: dict[str, list[int]] = defaultdict(list)
    fresh: list[int] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            found[c:d] = origins[a:b]
        else:
            for index in range(a, b):
                gone[old[index].strip()].append(origins[index])
            fresh += range(c, d)
    for index in fresh:
        known = gone.get(new[index].strip())
        if known and new[index].strip():
            found[index] = known.pop(0)
    return tuple(found)


# --- keys -------------------------------------------------------------------------------------------------

Steps = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Story:
    """Of every key what is its value, the version that brought it and the one that changed it last."""

    known: Mapping[Steps, tuple[Any, int, int]] = field(default_factory=dict)
    data: Any = None

    def next(self, number: int, data: Any) -> _Story:
        if data is None:  # it can't be read: the story goes on with the next one that can
            return self
        known = self._under_new_names(data)
        story = {}
        for steps, value in _walk(data, ()):
            seen = known.get(steps)
            value = canonical(value)
            if seen is None:
                story[steps] = (value, number, number)
            else:
                story[steps] = (value, seen[1], seen[2] if seen[0] == value else number)
        return _Story(story, data)

    def _under_new_names(self, data: Any) -> Mapping[Steps, tuple[Any, int, int]]:
        """What is known, with nodes that only got another id under that one."""
        before, after = nodes_of(self.data), nodes_of(data)
        new_names = find_renamed(before, after) if before and after else {}
        if not new_names:
            return self.known
        return {_under(steps, new_names): value for steps, value in self.known.items()}


def _under(steps: Steps, new_names: Mapping[str, str]) -> Steps:
    if len(steps) > 1 and steps[0] == "nodes" and steps[1][1:-1] in new_names:
        return ("nodes", f"[{new_names[steps[1][1:-1]]}]", *steps[2:])
    return steps


def _walk(value: Any, steps: Steps) -> Iterator[tuple[Steps, Any]]:
    """Every key with its value, those above before those below."""
    for step, below in _below(value):
        yield (*steps, step), below
        yield from _walk(below, (*steps, step))


def _below(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield str(key), below
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield _item(index, below), below


def _item(index: int, value: Any) -> str:
    """An item of a list: by its id where it has one, else by its number."""
    named = value.get("id") if isinstance(value, Mapping) else None
    return f"[{named}]" if isinstance(named, str) and named else f"[{index}]"


def _path(steps: Steps) -> str:
    return "".join(step if step.startswith("[") else f".{step}" for step in steps).lstrip(".")


def _is_node(path: str) -> bool:
    return path.startswith("nodes[") and path.endswith("]") and path.count("[") == 1


def _keys(text: str, story: _Story) -> Iterator[Key]:
    """The keys of a text with their lines, in its order."""
    document = read_document(text)
    for steps, spot in _spots(document.root, ()):
        if (seen := story.known.get(steps)) is not None:
            line = document.place(spot.key_start)[0]
            last = document.place(max(spot.start, spot.end - 1))[0]
            yield Key(_path(steps), line, max(line, last), seen[1], seen[2])


def _spots(spot: Spot | None, steps: Steps) -> Iterator[tuple[Steps, Spot]]:
    children = spot.children if spot is not None else None
    if isinstance(children, dict):
        found = [(str(key), below) for key, below in children.items()]
    else:
        found = [(_item(n, below.value), below) for n, below in enumerate(children or ())]
    for step, below in found:
        yield (*steps, step), below
        yield from _spots(below, (*steps, step))
