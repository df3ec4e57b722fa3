"""The edges of a workflow, each with one source: short forms written out, a line where there are none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from engine.expressions import compile_expression
from engine.workflow import END, START, Edge, Loop, Node, Route

DEFAULT = "default"


def build_edges(data: Sequence[Mapping[str, Any]] | None, nodes: Mapping[str, Node]) -> tuple[Edge, ...]:
    """The edges in document order, numbered by their place; with none from START one to the first node before
    them, and after them the ways that `on_error` of nodes names.

    Without any entry the nodes run one after the other, in the order in which they stand.
    """
    edges = list(_edges(data)) if data else _line(list(nodes))
    if not any(edge.source == START for edge in edges):
        edges.insert(0, Edge(START, 0, to=(next(iter(nodes)),)))
    edges += [
        Edge(node.id, 0, to=(node.on_error,), failure=True)
        for node in nodes.values()
        if node.on_error not in ("fail", "continue")
    ]
    return tuple(replace(edge, index=index) for index, edge in enumerate(edges))


def _line(nodes: Sequence[str]) -> list[Edge]:
    stops = [START, *nodes, END]
    return [Edge(a, 0, to=(b,)) for a, b in pairwise(stops)]


def _edges(data: Sequence[Mapping[str, Any]]) -> Iterable[Edge]:
    """Entries of several sources taken apart; `condition` beside `to` is a route, one source's together."""
    found: list[Edge] = []
    single: dict[str, int] = {}  # source to the place of its edge made of single routes
    for entry in data:
        for source in _names(entry["from"]):
            if entry.get("condition") is None:
                found.append(_edge(source, entry))
            elif source in single:
                edge = found[single[source]]
                found[single[source]] = replace(edge, routes=_in_order([*edge.routes, _route(entry)]))
            else:
                single[source] = len(found)
                found.append(Edge(source, 0, routes=(_route(entry),)))
    return found


def _edge(source: str, entry: Mapping[str, Any]) -> Edge:
    if entry.get("loop"):
        return Edge(source, 0, loop=_loop(entry["loop"]))
    if entry.get("routes"):
        return Edge(source, 0, routes=_in_order(_route(route) for route in entry["routes"]))
    return Edge(source, 0, to=_names(entry["to"]))


def _route(data: Mapping[str, Any]) -> Route:
    if data.get("else") is not None:
        return Route(None, _names(data["else"]))
    condition = data["condition"]
    text = condition["logic"] if isinstance(condition, Mapping) else condition
    return Route(None if text.strip() == DEFAULT else compile_expression(text), _names(data["to"]))


def _in_order(routes: Iterable[Route]) -> tuple[Route, ...]:
    """The default is tried last wherever it stands."""
    return tuple(sorted(routes, key=lambda route: route.condition is None))


def _loop(data: Mapping[str, Any]) -> Loop:
    limit = data.get("max_iterations")
    return Loop(
        data["condition_field"], 10 if limit is None else int(limit), _names(data.get("exit_to") or END)
    )


def _names(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))
