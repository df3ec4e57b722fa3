"""A workflow document as it stands in a file: its data, the place of each part, and what is wrong with its
YAML.

Positions are found from character offsets with line breaks as editors count them, so that a problem's line
and a patch's columns hold for the text as it is, with its byte order mark, its CRLF and its tabs.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from engine.problems import Patch, Problem
from engine.yaml_faults import YamlFault
from engine.yaml_reader import Limits, Spot, read_yaml

MAX_BYTES = 1024 * 1024
MAX_NODES = 1000
MAX_DEPTH = 20
MAX_VALUES = 200_000

Path = tuple[str | int, ...]
Place = tuple[int, int]

_BREAK = re.compile(r"\r\n|\n|\r")


class Document:
    """The text, its data (None where it can't be read) and the problems of its YAML."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.data: Any = None
        self.root: Spot | None = None
        self.problems: list[Problem] = []

    @cached_property
    def line_starts(self) -> list[int]:
        """The offset of each line's first character."""
        return [0, *(match.end() for match in _BREAK.finditer(self.text))]

    def place(self, offset: int) -> Place:
        """The 1-based line and column of a character offset."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def offset(self, place: Place) -> int:
        """The character offset of a 1-based line and column, within the text's bounds."""
        line = min(max(place[0], 1), len(self.line_starts))
        return min(self.line_starts[line - 1] + max(place[1], 1) - 1, len(self.text))

    def find(self, path: Sequence[str | int]) -> tuple[Spot | None, bool]:
        """The spot of a path, or of its nearest parent that exists; and whether it is the path's own."""
        spot = self.root
        for step in path:
            below = spot.child(step) if spot else None
            if below is None:
                return spot, False
            spot = below
        return spot, spot is not None

    def has(self, path: Sequence[str | int]) -> bool:
        """Whether something stands at the path."""
        return self.find(path)[1]

    def position(self, path: Sequence[str | int]) -> Place:
        """Where the key of a path (or the list item) stands; of the nearest parent where there is none."""
        spot, _ = self.find(path)
        return self.place(spot.key_start if spot else 0)

    def span(self, path: Sequence[str | int]) -> tuple[Place, Place]:
        """Start and end (exclusive) of the value at a path, or of its nearest parent's."""
        spot, _ = self.find(path)
        return (self.place(spot.start), self.place(spot.end)) if spot else ((1, 1), (1, 1))

    def key_span(self, path: Sequence[str | int]) -> tuple[Place, Place]:
        """Start and end (exclusive) of the key at a path; for a list item, which has no key, of nothing."""
        spot, _ = self.find(path)
        return (self.place(spot.key_start), self.place(spot.key_end)) if spot else ((1, 1), (1, 1))

    def source(self, path: Sequence[str | int]) -> str:
        """The text of the value at a path, as written."""
        spot, _ = self.find(path)
        return self.text[spot.start : spot.end] if spot else ""

    def problem(
        self,
        rule: str,
        path: Sequence[str | int],
        message: str,
        *,
        severity: Any = "error",
        patch: Patch | None = None,
        at: Place | None = None,
    ) -> Problem:
        """A problem at a path, with its position filled in."""
        line, column = at or self.position(path)
        return Problem(rule, severity, path_text(path), line, column, message, patch)

    def replace_value(self, path: Sequence[str | int], text: str) -> Patch:
        """The patch that puts `text` in the place of the value at a path."""
        return Patch(*self.span(path), text)

    def replace_key(self, path: Sequence[str | int], text: str) -> Patch:
        """The patch that puts `text` in the place of the key at a path."""
        return Patch(*self.key_span(path), text)


def read_document(text: str) -> Document:
    """Read a document by the core rules of YAML 1.2. Never raises: what is wrong is among its problems."""
    document = Document(text)
    size = len(text) if text.isascii() else len(text.encode("utf-8", errors="surrogatepass"))
    if size > MAX_BYTES:
        message = f"The document has {size:,} bytes; at most {MAX_BYTES:,} (1 MiB) can be read."
        document.problems.append(Problem("limit-size", "error", "", 1, 1, message))
        return document
    limits = Limits(size=MAX_BYTES, depth=MAX_DEPTH, values=MAX_VALUES)
    root, faults = read_yaml(text, limits)
    document.problems += [_as_problem(document, fault) for fault in faults]
    if root is not None:
        document.root, document.data = root, root.value
        document.problems += _node_limit(document)
    document.problems.sort(key=lambda problem: (problem.line, problem.column))
    return document


def _as_problem(document: Document, fault: YamlFault) -> Problem:
    patch = None
    if fault.patch is not None:
        start, end, text = fault.patch
        patch = Patch(document.place(start), document.place(end), text)
    return Problem(
        fault.rule, "error", path_text(fault.path), *document.place(fault.offset), fault.message, patch
    )


def _node_limit(document: Document) -> list[Problem]:
    nodes = document.data.get("nodes") if isinstance(document.data, dict) else None
    if not isinstance(nodes, list) or len(nodes) <= MAX_NODES:
        return []
    message = (
        f"The workflow has {len(nodes):,} nodes; at most {MAX_NODES:,} are allowed. Split it into several."
    )
    return [document.problem("limit-nodes", ("nodes",), message)]


def path_text(path: Sequence[str | int]) -> str:
    """A path for people: ("nodes", 2, "prompt") is `nodes[2].prompt`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[\w-]+", step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text
