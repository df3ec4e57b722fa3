"""Where control goes when a node ends: its edges, routes and loops, decided on the state as that node sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.errors import NodeError, RunError
from engine.expressions import ExpressionError
from engine.templates import Ref, TemplateError, walk
from engine.types import show
from engine.workflow import START, Edge, Loop

Fired = tuple[tuple[int, str], ...]


def fired_by(edges: Iterable[Edge], state: Mapping[str, Any], rounds: int = 0) -> Fired:
    """The edges that fire when a node ends well, as (edge's index, target), END included, none twice.

    `rounds` says how often a looping node has run in this entry. RunError, naming the node, when no route
    matches or a condition can't be evaluated.
    """
    fired: dict[tuple[int, str], None] = {}
    for edge in edges:
        if not edge.failure:
            for target in _targets(edge, state, rounds):
                fired[edge.index, target] = None
    return tuple(fired)


def _targets(edge: Edge, state: Mapping[str, Any], rounds: int) -> tuple[str, ...]:
    if edge.loop is not None:
        return edge.loop.exit_to if _is_over(edge.loop, state, rounds) else (edge.source,)
    return _route(edge, state) if edge.routes else edge.to


def _is_over(loop: Loop, state: Mapping[str, Any], rounds: int) -> bool:
    return rounds >= loop.max_iterations or state.get(loop.condition_field) is True


def _route(edge: Edge, state: Mapping[str, Any]) -> tuple[str, ...]:
    lookup = state_lookup(state)
    default: tuple[str, ...] | None = None
    for route in edge.routes:
        if route.condition is None:
            default = default or route.to
            continue
        try:
            if route.condition.evaluate(lookup):
                return route.to
        except ExpressionError as error:
            raise _error(
                edge, str(error), "Correct the condition, or the value it is about.", "condition"
            ) from None
    if default is None:
        raise _error(
            edge, _nothing_matches(edge, state), "Add a route with `condition: default`.", "no_route"
        )
    return default


def _nothing_matches(edge: Edge, state: Mapping[str, Any]) -> str:
    refs = {ref.text: ref for route in edge.routes if route.condition for ref in route.condition.refs}
    values = ", ".join(f"{text} is {_value(state, ref)}" for text, ref in refs.items())
    return f"No route after {_name(edge)} matches{': ' + values if values else ''}."


def _value(state: Mapping[str, Any], ref: Ref) -> str:
    try:
        return show(walk(state, ref.path))
    except TemplateError:
        return "missing"


def _error(edge: Edge, message: str, fix: str, code: str) -> RunError:
    if edge.source == START:
        return RunError(message, fix)
    return NodeError(edge.source, message, fix, fault={"code": code, "edge": edge.index})


def _name(edge: Edge) -> str:
    return "START" if edge.source == START else f"node '{edge.source}'"


def state_lookup(state: Mapping[str, Any]) -> Callable[[Ref], Any]:
    """How an expression finds values: every reference is one into the state."""

    def look(ref: Ref) -> Any:
        return walk(state, ref.path if ref.root == "state" else (ref.root, *ref.path))

    return look
