"""Edits at text that stands in the document exactly once: found in the spellings in which models copy it."""

from __future__ import annotations

import difflib
import re

from engine.yaml_writing import indent

_NUMBERS = re.compile(r"^ *\d+\| ?", re.MULTILINE)
_TOP = re.compile(r"(?:schema_version|flow|state|nodes|edges|config|memory)\s*:")


class WrongAnchor(Exception):
    """The place can't be told; `str()` is the sentence."""


def anchored(text: str, op: str, at: str, new: str) -> tuple[int, int, str]:
    """Start, end and new text of an edit that is anchored by text."""
    start, found, new = _place(text, at, new)
    end = start + len(found)
    if op == "delete":
        return _deleted(text, start, end)
    if op == "replace":
        return start, end, new
    return _inserted(text, start, end, new, before=op == "insert_before")


def _deleted(text: str, start: int, end: int) -> tuple[int, int, str]:
    """Whole lines go with their line break."""
    begin = _line_start(text, start)
    if (
        not text[begin:start].strip()
        and (end == len(text) or text[end] in "\r\n")
        and "\n" not in text[end - 1 : end]
    ):
        match = re.compile(r"\r\n|\r|\n").match(text, end)
        return begin, match.end() if match else end, ""
    return start, end, ""


def _inserted(text: str, start: int, end: int, new: str, *, before: bool) -> tuple[int, int, str]:
    """The new text as lines of its own, before or after the lines in which the anchor stands."""
    eol = "\r\n" if "\r\n" in text else "\n"
    begin, stop = (
        _line_start(text, start),
        _line_end(text, max(end - 1, start) if text[end - 1 : end] == "\n" else end),
    )
    lines = new.replace("\r\n", "\n").strip("\n").split("\n")
    anchor = text[begin:stop].split("\n")[0]
    margin = len(anchor) - len(anchor.lstrip(" "))
    if margin and lines[0][:1] not in (" ", "\t", "") and not _TOP.match(lines[0]):
        lines = indent(lines, _margin(text, begin, margin, lines[0]))
    body = eol.join(lines)
    return (begin, begin, body + eol) if before else (stop, stop, eol + body)


def _margin(text: str, begin: int, margin: int, first: str) -> int:
    """The column for lines that came without indentation: of the list that the anchor is part of, or its own."""
    if not first.startswith("- "):
        own = text[begin + margin : begin + margin + 2]
        return margin + 2 if own == "- " else margin
    for line in reversed(text[: _line_end(text, begin)].split("\n")):
        column = len(line) - len(line.lstrip(" "))
        if line.lstrip().startswith("- ") and column <= margin:
            return column
    return margin


def _line_start(text: str, offset: int) -> int:
    return text.rfind("\n", 0, offset) + 1


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    end = len(text) if end < 0 else end
    return end - 1 if end and text[end - 1 : end] == "\r" else end


def _place(text: str, at: str, new: str) -> tuple[int, str, str]:
    """Where the anchor stands, its spelling there, and the new text in the same spelling."""
    if not at:
        raise WrongAnchor("`at` is empty. Give the text that stands there now.")
    last = ""
    for old, put in _spellings(text, at, new):
        places = _places(text, old)
        if len(places) == 1:
            return places[0], old, put
        if places:
            lines = ", ".join(str(text.count("\n", 0, place) + 1) for place in places[:6])
            more = " …" if len(places) > 6 else ""
            last = last or (
                f"`at` stands in the document {len(places)} times (lines {lines}{more}): {_short(at)}. "
                "Give more of the text around it."
            )
    raise WrongAnchor(last or f"`at` does not stand in the document: {_short(at)}. {_nearest(text, at)}")


def _spellings(text: str, at: str, new: str) -> list[tuple[str, str]]:
    """As written; with the document's line ends; without line numbers or ends of lines that were copied along."""
    pairs = [(at, new)]
    bare = _NUMBERS.sub("", at)
    if bare != at and bare.strip():
        pairs.append((bare, _NUMBERS.sub("", new)))
    stripped = at.strip("\n")
    if stripped and stripped != at:
        pairs.append((stripped, new.strip("\n")))
    if "\r\n" in text:
        pairs += [(_crlf(a), _crlf(n)) for a, n in list(pairs)]
        return [(a, _crlf(n)) for a, n in pairs]
    return pairs


def _crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _places(text: str, old: str) -> list[int]:
    """Every offset at which `old` stands; places that overlap count too, since they are just as unclear."""
    places: list[int] = []
    start = text.find(old)
    while start >= 0 and len(places) < 1000:
        places.append(start)
        start = text.find(old, start + 1)
    return places


def _nearest(text: str, old: str) -> str:
    """The line of the document that is most like the first line of what was looked for."""
    wanted = next((line.strip() for line in old.splitlines() if line.strip()), "")[:300]
    lines = [line[:300] for line in text.splitlines()[:3000]]
    near = difflib.get_close_matches(wanted, [line.strip() for line in lines], n=1, cutoff=0.5)
    if not near:
        return "Copy it from the document exactly, spaces included."
    number = next(n for n, line in enumerate(lines, 1) if line.strip() == near[0])
    return f"The nearest is line {number}: {lines[number - 1]}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:79]}…")
