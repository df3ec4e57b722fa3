"""Another name for a step or a field, wherever it stands; every other byte stays."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chat.assistant.small.places import fields_of, nodes_of, scalars
from chat.assistant.small.rewiring import Cannot
from engine.document import Document, Path
from engine.text_edits import put

_Q = r"[`'\"“”‘’]?"
_N = rf"{_Q}(?P<{{0}}>[^\W\d]\w*){_Q}"
_KIND = r"(?:(?:field|input|step|feld|eingabe|schritt)\s+)?"
_AFTER = r"(?:\s+(?:field|input|step))?"
_OLD, _NEW = _N.format("old"), _N.format("new")
_END = r"(?:\s+instead)?(?:,?\s+everywhere)?"
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"rename\s+(?:the\s+)?{_KIND}{_OLD}{_AFTER}\s+(?:to|into|as)\s+{_NEW}{_END}",
        rf"call\s+(?:the\s+)?{_KIND}{_OLD}{_AFTER}\s+{_NEW}{_END}",
        rf"(?:(?:oops|sorry|ah)\W+)?(?:i\s+meant\W+)?(?:the\s+)?{_KIND}{_OLD}{_AFTER}\s+should\s+be\s+(?:called|named)\s+{_NEW}{_END}",
        rf"(?:das\s+|den\s+|die\s+)?{_KIND}{_OLD}\s+(?:bitte\s+)?in\s+{_NEW}\s+umbenennen",
        rf"benenne\s+(?:das\s+|den\s+|die\s+)?{_KIND}{_OLD}\s+in\s+{_NEW}\s+um",
    )
)
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")


def renamed(words: str, document: Document) -> tuple[str, str] | None:
    """(the new text, what was done) where words give a step or a field of the document another name, which is one word;
    else None. Cannot says why it can't be done.
    """
    found = next((match for pattern in _PATTERNS if (match := pattern.fullmatch(words))), None)
    if found is None or not _IDENTIFIER.fullmatch(found["new"]):
        return None
    old, new = found["old"], found["new"]
    steps, fields = [str(node["id"]) for node in nodes_of(document)], fields_of(document)
    step = old in steps and (
        old not in fields or not re.search(r"\b(?:field|input|feld|eingabe)\b", words, re.IGNORECASE)
    )
    if not step and old not in fields:
        return None
    if new in steps or new in fields:
        raise Cannot(f"There is a `{new}` already, so `{old}` keeps its name.")
    spans = _of_step(document, old, new) if step else _of_field(document, old, new)
    return put(document.text, spans), f"Renamed the {'step' if step else 'field'} `{old}` to `{new}`"


def _span(document: Document, path: Path, new: str) -> tuple[int, int, str]:
    start, end = document.span(path)
    return document.offset(start), document.offset(end), new


def _of_step(document: Document, old: str, new: str) -> Iterator[tuple[int, int, str]]:
    for path, value in scalars(document.data):
        keys = [key for key in path if isinstance(key, str)]
        way = path[0] == "edges" and keys[-1] in ("from", "to")
        if value == old and (way or keys in (["nodes", "id"], ["nodes", "on_error"])):
            yield _span(document, path, new)


def _of_field(document: Document, old: str, new: str) -> Iterator[tuple[int, int, str]]:
    start, end = document.key_span(("state", "fields", old))
    yield document.offset(start), document.offset(end), new
    for path, value in scalars(document.data):
        keys = [key for key in path if isinstance(key, str)]
        if keys[-1] == "code" and re.search(rf"\b{re.escape(old)}\b", str(value)):
            raise Cannot(f"The code of a step uses `{old}`; rename it in the editor.")
        if value == old and keys in (["nodes", "outputs"], ["nodes", "inputs"], ["flow", "outputs"]):
            yield _span(document, path, new)
        elif isinstance(value, str) and keys[-1] != "description" and path[0] in ("nodes", "edges"):
            first = document.offset(document.span(path)[0])
            for found in re.finditer(rf"\bstate\.({re.escape(old)})\b", document.source(path)):
                yield first + found.start(1), first + found.end(1), new
