"""Mends of single names as models carry them over from other formats, where the checker offers none of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.document import Document, read_document
from engine.problems import Patch, Problem
from engine.yaml_reader import Spot

_REFERENCE = re.compile(r"\{(?P<steps>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)\}")
_DOUBLED = re.compile(r"\{\{\s*(?P<name>state\.(?P<field>[A-Za-z_]\w*)[\w.\[\]]*)\s*\}\}")
_INPUTS = frozenset(("inputs", "input", "fields", "context", "vars", "variables"))
_ELSE = re.compile(
    r"(?P<lead>\bcondition:[ ]*)(?P<word>[\"']?(?:else|otherwise|always)[\"']?)(?=[ ]*(?:,|\}|#|$))"
)


def mend_references(text: str) -> tuple[str, list[str]]:
    """`{{state.field}}`, as other programs write it, in the place of the text in braces that it would be here."""
    if not _DOUBLED.search(text):
        return text, []
    document = read_document(text)
    fields = _fields(document.data)
    codes = _codes(document)
    mended = _DOUBLED.sub(
        lambda m: (
            m.group()
            if m["field"] not in fields or any(code.start <= m.start() < code.end for code in codes)
            else f"{{{m['name']}}}"
        ),
        text,
    )
    return mended, ["wrote {state.…} for {{state.…}}"] if mended != text else []


def _codes(document: Document) -> list[Spot]:
    """Where code stands, in which braces are the code's own."""
    nodes = document.data.get("nodes") if isinstance(document.data, Mapping) else None
    count = len(nodes) if isinstance(nodes, list) else 0
    found = [document.find(("nodes", index, "code")) for index in range(count)]
    return [spot for spot, there in found if there and spot is not None]


def _fields(data: Any) -> Mapping[str, Any]:
    state = data.get("state") if isinstance(data, Mapping) else None
    fields = state.get("fields") if isinstance(state, Mapping) else None
    return fields if isinstance(fields, Mapping) else {}


def offered(document: Document, problem: Problem) -> Problem:
    """The problem, with a patch where what was meant is certain."""
    if problem.patch is not None:
        return problem
    start = document.offset((problem.line, 1))
    line = document.text[start : document.text.find("\n", start) if "\n" in document.text[start:] else None]
    if problem.rule == "unknown-name":
        found = [m for m in _REFERENCE.finditer(line) if m.group() in problem.message]
        name = _meant(document.data, found[0]["steps"].split(".")) if len(found) == 1 else None
        return (
            problem if name is None else _at(document, problem, start, found[0].span(), f"{{state.{name}}}")
        )
    if problem.rule == "bad-condition" and (match := _ELSE.search(line)):
        return _at(document, problem, start, match.span("word"), "default")
    if problem.rule in ("unknown-key", "missing-key"):
        route = re.fullmatch(r"\s*- (?:\{\s*)?(?P<key>default|otherwise): *\w+\s*\}?\s*(?:#.*)?", line)
        if route and "routes" in problem.path:
            return _at(document, problem, start, route.span("key"), "else")
    return problem


def _meant(data: Any, steps: list[str]) -> str | None:
    """The state field that a reference to a node's output or to an input means."""
    if steps[-1] not in _fields(data):
        return None
    if steps[0] in _INPUTS:
        return steps[-1] if len(steps) == 2 else None
    steps = steps[1:] if steps[0] in ("nodes", "steps") else steps
    if not (len(steps) == 2 or (len(steps) == 3 and steps[1] in ("outputs", "output"))):
        return None
    nodes = data.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        if isinstance(node, Mapping) and node.get("id") == steps[0]:
            outputs = node.get("outputs")
            outputs = [outputs] if isinstance(outputs, str) else outputs
            return steps[-1] if isinstance(outputs, list) and steps[-1] in outputs else None
    return None


def _at(document: Document, problem: Problem, start: int, span: tuple[int, int], text: str) -> Problem:
    places = document.place(start + span[0]), document.place(start + span[1])
    return replace(problem, patch=Patch(*places, text))
