"""Fields, nodes and edges read out of a document's data, each with its place, as far as they can be read.

It is forgiving on purpose: what is malformed was reported by the schema and is left out here, so that one
fault does not hide another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from engine.check.rules import Path
from engine.expressions import Expression, ExpressionError, compile_expression
from engine.schema import cached_type, node_kind
from engine.types import ANY, Type, TypeSyntaxError
from engine.workflow import END


class Name(NamedTuple):
    """A name as it stands in the document, and where."""

    text: str
    path: Path


@dataclass(frozen=True)
class FieldView:
    """A state field. `type` is None where it can't be read."""

    name: str
    path: Path
    data: Mapping[str, Any]
    type: Type | None

    @property
    def enum(self) -> Sequence[Any] | None:
        found = self.data.get("enum")
        return found if isinstance(found, list) and found else None

    @property
    def given(self) -> bool:
        """Whether it has a value from the start: the person must give it, or there is a default."""
        return self.data.get("required") is True or self.data.get("default") is not None


@dataclass(frozen=True)
class NodeView:
    """A node. `id` and `kind` are None where they can't be read; `twin` is true for a second node of one
    id.
    """

    index: int
    path: Path
    data: Mapping[str, Any]
    id: str | None
    kind: str | None
    outputs: tuple[Name, ...]
    inputs: Mapping[str, Any]
    twin: bool

    @property
    def handler(self) -> Name | None:
        """The node that `on_error` names."""
        said = self.data.get("on_error")
        if not isinstance(said, str) or said in ("fail", "continue"):
            return None
        return Name(said, (*self.path, "on_error"))

    @property
    def element(self) -> str | None:
        """The name of the element in a node that runs once per element; None for all others."""
        name = self.data.get("as", "item")
        return name if "for_each" in self.data and isinstance(name, str) else None

    @property
    def label(self) -> str:
        return f"'{self.id}'" if self.id else f"number {self.index + 1}"


@dataclass(frozen=True)
class RouteView:
    """A branch. `condition` is None for the default; `expression` is None where it can't be read."""

    path: Path
    condition: Name | None
    targets: tuple[Name, ...]
    expression: Expression | None = None
    error: ExpressionError | None = None


@dataclass(frozen=True)
class LoopView:
    path: Path
    field: Name | None
    max_iterations: int
    exits: tuple[Name, ...]


@dataclass(frozen=True)
class EdgeView:
    """An entry of `edges`."""

    index: int
    path: Path
    sources: tuple[Name, ...]
    to: tuple[Name, ...] = ()
    routes: tuple[RouteView, ...] = ()
    loop: LoopView | None = None

    @property
    def targets(self) -> Iterator[Name]:
        yield from self.to
        for route in self.routes:
            yield from route.targets
        if self.loop:
            yield from self.loop.exits


def mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def given(value: Any) -> Mapping[str, Any]:
    """The keys of a mapping that have a value: one without is as good as left out."""
    return {k: v for k, v in mapping(value).items() if v is not None}


def sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def names(value: Any, path: Path) -> tuple[Name, ...]:
    """The names in a string or a list of strings."""
    if isinstance(value, str):
        return (Name(value, path),)
    return tuple(Name(v, (*path, i)) for i, v in enumerate(sequence(value)) if isinstance(v, str))


def read_type(data: Mapping[str, Any]) -> Type | None:
    """The type of a field or output, inner fields of an object included; None where it can't be read."""
    if not isinstance(data.get("type"), str):
        return None
    try:
        found = cached_type(data["type"])
    except TypeSyntaxError:
        return None
    inner = mapping(data.get("schema"))
    if not inner:
        return found
    fields = {k: read_type(v if isinstance(v, Mapping) else {"type": v}) or ANY for k, v in inner.items()}
    return _with_fields(found, fields)


def _with_fields(kind: Type, fields: Mapping[str, Type]) -> Type:
    if kind.name == "object":
        return replace(kind, fields=fields)
    return replace(kind, args=tuple(_with_fields(arg, fields) for arg in kind.args)) if kind.args else kind


def read_node(index: int, data: Mapping[str, Any], seen: set[str]) -> NodeView:
    id = data.get("id")
    path: Path = ("nodes", index)
    return NodeView(
        index=index,
        path=path,
        data=data,
        id=id if isinstance(id, str) else None,
        kind=node_kind(data),
        outputs=names(data.get("outputs"), (*path, "outputs")),
        inputs=mapping(data.get("inputs")),
        twin=isinstance(id, str) and id in seen,
    )


def read_edges(value: Any) -> list[EdgeView]:
    """The entries of `edges`. Those with `condition` beside `to` are routes of one edge for each source."""
    found: list[EdgeView] = []
    bundled: dict[str, int] = {}  # source to the place of its edge made of such entries
    for index, item in enumerate(sequence(value)):
        data, path = given(item), ("edges", index)
        sources = names(data.get("from"), (*path, "from"))
        if "condition" not in data:
            found.append(_edge(index, data, path, sources))
            continue
        route = _route(data, path)
        for source in sources:
            if source.text in bundled:
                first = found[bundled[source.text]]
                found[bundled[source.text]] = replace(first, routes=(*first.routes, route))
            else:
                bundled[source.text] = len(found)
                found.append(EdgeView(index, path, (source,), routes=(route,)))
    return found


def _edge(index: int, data: Mapping[str, Any], path: Path, sources: tuple[Name, ...]) -> EdgeView:
    if "loop" in data:
        return EdgeView(index, path, sources, loop=_loop(given(data["loop"]), (*path, "loop")))
    if "routes" in data:
        routes = [_route(given(r), (*path, "routes", i)) for i, r in enumerate(sequence(data["routes"]))]
        return EdgeView(index, path, sources, routes=tuple(routes))
    return EdgeView(index, path, sources, to=names(data.get("to"), (*path, "to")))


def _route(data: Mapping[str, Any], path: Path) -> RouteView:
    if "else" in data:
        return RouteView(path, None, names(data["else"], (*path, "else")))
    targets = names(data.get("to"), (*path, "to"))
    condition, place = data.get("condition"), (*path, "condition")
    if isinstance(condition, Mapping):
        condition, place = condition.get("logic"), (*place, "logic")
    if not isinstance(condition, str) or condition.strip() == "default":
        return RouteView(path, None, targets)
    try:
        return RouteView(path, Name(condition, place), targets, compile_expression(condition))
    except ExpressionError as error:
        return RouteView(path, Name(condition, place), targets, None, error)


def _loop(data: Mapping[str, Any], path: Path) -> LoopView:
    field, limit = data.get("condition_field"), data.get("max_iterations", 10)
    return LoopView(
        path=path,
        field=Name(field, (*path, "condition_field")) if isinstance(field, str) else None,
        max_iterations=limit if isinstance(limit, int) else 10,
        exits=names(data.get("exit_to", END), (*path, "exit_to")),
    )
