"""Edges and references around a step that is added or removed, as spans of the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.document import Document

Span = tuple[int, int, str]


class Cannot(Exception):
    """Why a change can't be made, in a sentence for the person."""


def _span(document: Document, path: Sequence[str | int], new: str) -> Span:
    start, end = document.span(path)
    return document.offset(start), document.offset(end), new


def _lines(document: Document, number: int) -> tuple[int, int]:
    """Where the lines of an edge begin and end."""
    start = document.position(("edges", number))[0]
    edges = document.data["edges"]
    if number + 1 < len(edges):
        return document.offset((start, 1)), document.offset((document.position(("edges", number + 1))[0], 1))
    last = document.offset(document.span(("edges", number))[1])
    if document.text[last - 1] != "\n":
        found = document.text.find("\n", last)
        last = len(document.text) if found < 0 else found + 1
    return document.offset((start, 1)), last


def edges_past_new(document: Document, before: str, new: str) -> Iterator[Span]:
    """The edges with `new` between `before` and all that follows it."""
    edges: list[Mapping[str, Any]] = document.data["edges"]
    mine = [number for number, edge in enumerate(edges) if edge.get("from") == before]
    if any("loop" in edges[number] for number in mine):
        raise Cannot(f"`{before}` repeats itself; add the step in the editor.")
    if any(isinstance(edge.get("from"), list) and before in edge["from"] for edge in edges):
        raise Cannot(f"The edge from `{before}` is shared with other steps; add the step in the editor.")
    for number in mine:
        yield _span(document, ("edges", number, "from"), new)
    at, end = _lines(document, mine[0] if mine else len(edges) - 1)
    line = document.text[at:end]
    margin = line[: len(line) - len(line.lstrip())]
    place = at if mine else end
    yield place, place, f"{margin}- {{from: {before}, to: {new}}}\n"


def edges_past_removed(document: Document, gone: str) -> Iterator[Span]:
    """The edges without a step: whoever led to it leads to what followed it."""
    edges: list[Mapping[str, Any]] = document.data["edges"]
    mine = [number for number, edge in enumerate(edges) if edge.get("from") == gone]
    if len(mine) > 1 or any(not isinstance(edges[number].get("to"), str) for number in mine):
        raise Cannot(f"`{gone}` decides how things go on, so I can't just take it out. Do it in the editor.")
    target = str(edges[mine[0]]["to"]) if mine else "END"
    for number in mine:
        yield (*_lines(document, number), "")
    for path, to in _targets(edges):
        if to == gone and path[1] not in mine:
            yield _span(document, path, target)


def _targets(edges: Sequence[Mapping[str, Any]]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every target in the edges, with its path."""
    for number, edge in enumerate(edges):
        places: list[tuple[tuple[str | int, ...], Any]] = [(("edges", number, "to"), edge.get("to"))]
        for place, route in enumerate(edge.get("routes") or ()):
            places.append((("edges", number, "routes", place, "to"), route.get("to")))
        for path, to in places:
            if isinstance(to, list):
                yield from (((*path, n), str(one)) for n, one in enumerate(to))
            elif to is not None:
                yield path, str(to)


def around_removed(
    document: Document, name: str, given: Sequence[str], away: tuple[int, int]
) -> Iterator[Span]:
    """The text without a field that nobody fills any more. `given` are the fields that its step read: the last one
    takes its place, or nothing where a line only handed the field over. `away` is where the step itself stands.
    """
    text = document.text
    instead = next((other for other in reversed(given) if other != name), None)
    if re.search(rf"(?<!\{{)\bstate\.{name}\b", text[: away[0]] + text[away[1] :]):
        raise Cannot(
            f"Other steps depend on `{name}` in conditions or lists. Change that first, in the editor."
        )
    for start, end, line in _each_line(text):
        if away[0] <= start < away[1] or f"{{state.{name}" not in line:
            continue
        only = re.fullmatch(r"[^\n{}]{0,60}:\s*\{state\.\w+[^{}]*\}\s*", line.strip())
        nearby = text[max(text.rfind("- id:", 0, start), 0) : start]
        if only and (instead is None or f"{{state.{instead}}}" in nearby):
            yield start, end, ""
        elif instead is None:
            raise Cannot(f"Other steps use `{name}`, and nothing could take its place.")
        else:
            for found in re.finditer(rf"\{{state\.{name}[^{{}}]*\}}", line):
                yield start + found.start(), start + found.end(), f"{{state.{instead}}}"
    first = document.position(("state", "fields", name))[0]
    if document.has(("state", "fields", name)):
        fields = list(document.data["state"]["fields"])
        following = fields.index(name) + 1
        if following < len(fields):
            stop = document.offset((document.position(("state", "fields", fields[following]))[0], 1))
        else:
            stop = _line_end(text, document.offset(document.span(("state", "fields", name))[1]))
        yield document.offset((first, 1)), stop, ""


def outputs_without(document: Document, gone: Sequence[str], given: Sequence[str]) -> Iterator[Span]:
    """What the workflow gives back without these fields; what their step read takes their place, where a step wrote
    that.
    """
    outputs = document.data["flow"].get("outputs")
    if not isinstance(outputs, list) or not set(outputs) & set(gone):
        return
    writers = {field for node in document.data["nodes"] for field in node.get("outputs") or ()} - set(gone)
    instead = next((name for name in reversed(given) if name in writers), None)
    new = dict.fromkeys(instead if name in gone else name for name in outputs)
    left = [str(name) for name in new if name is not None]
    if not left or not document.source(("flow", "outputs")).startswith("["):
        raise Cannot("That step gives the result, and nothing before it could take its place.")
    yield _span(document, ("flow", "outputs"), f"[{', '.join(left)}]")


def _each_line(text: str) -> Iterator[tuple[int, int, str]]:
    start = 0
    for line in text.splitlines(True):
        yield start, start + len(line), line
        start += len(line)


def _line_end(text: str, at: int) -> int:
    if at and text[at - 1] == "\n":
        return at
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1
