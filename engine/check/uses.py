"""Every reference of a document: in templates, in conditions, in `for_each`; with the string it stands in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.check.reading import EdgeView, NodeView, mapping, sequence
from engine.check.rules import Path
from engine.templates import Ref, compile_template

PLACES = ("prompt", "system", "ask", "options", "inputs", "args", "for_each")
"""Keys of a node that hold templates; the `config` of a tool is one, too."""


@dataclass(frozen=True)
class Use:
    """A reference: `value` is the whole string at `path`, `place` the key it belongs to, `reader` who reads
    it.

    `local` are the names that stand for something other than a state field there.
    """

    path: Path
    value: str
    ref: Ref
    place: str
    reader: NodeView | None
    local: frozenset[str] = frozenset()


def collect_uses(nodes: Sequence[NodeView], edges: Sequence[EdgeView]) -> Iterator[Use]:
    """All references, nodes first, in document order."""
    by_id = {n.id: n for n in reversed(nodes)}
    for node in nodes:
        yield from _of_node(node)
    for edge in edges:
        reader = by_id.get(edge.sources[0].text) if edge.sources else None
        for route in edge.routes:
            if route.condition and route.expression:
                for ref in route.expression.refs:
                    yield Use(route.condition.path, route.condition.text, ref, "condition", reader)


def _of_node(node: NodeView) -> Iterator[Use]:
    item = frozenset((node.element,)) if node.element else frozenset()
    inside = frozenset(k for k in node.inputs if isinstance(k, str)) | item
    for place in PLACES:
        if place in node.data and not (place == "prompt" and node.kind != "llm"):
            local = item if place == "inputs" else frozenset() if place == "for_each" else inside
            yield from _in(node.data[place], (*node.path, place), place, node, local)
    for i, tool in enumerate(sequence(node.data.get("tools"))):
        path: Path = (*node.path, "tools", i, "config")
        yield from _in(mapping(tool).get("config"), path, "config", node, inside)


def _in(value: Any, path: Path, place: str, node: NodeView, local: frozenset[str]) -> Iterator[Use]:
    for where, text in strings(value, path):
        for ref in compile_template(text, bare=place in ("inputs", "for_each")).refs:
            yield Use(where, text, ref, place, node, local)


def strings(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every string in nested lists and mappings, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(item, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from strings(item, (*path, i))
