"""What changed in the edges of a workflow, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.differences_words import listed, mapping, names, said

DEFAULT = "nothing else fits"


@dataclass(frozen=True, slots=True)
class Way:
    """One way that a run may take. `when` is None where it is always taken."""

    source: str
    target: str
    when: str | None = None

    @property
    def words(self) -> str:
        return "" if self.when is None else f" when {self.when}"


def ways(edges: Any) -> list[Way]:
    """The ways of `edges` in their order, loops left out."""
    found = []
    for edge in edges if isinstance(edges, list) else ():
        for source in names(mapping(edge).get("from")):
            found += [Way(source, target, when) for target, when in _targets(edge)]
    return found


def _targets(edge: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    condition = edge.get("condition")
    for target in names(edge.get("to")):
        yield target, None if condition is None else _condition(condition)
    routes = edge.get("routes")
    for route in routes if isinstance(routes, list) else ():
        given = mapping(route)
        for target in [*names(given.get("to")), *names(given.get("else"))]:
            yield target, _condition(given.get("condition"))


def _condition(condition: Any) -> str:
    text = condition.get("logic") if isinstance(condition, Mapping) else condition
    return DEFAULT if text is None or str(text).strip() == "default" else str(text).strip()


def loops(edges: Any) -> dict[str, Mapping[str, Any]]:
    """The loops by the node that runs again."""
    return {
        source: mapping(edge["loop"])
        for edge in (edges if isinstance(edges, list) else ())
        if isinstance(mapping(edge).get("loop"), Mapping)
        for source in names(edge.get("from"))
    }


def renamed(edges: Any, new_names: Mapping[str, str]) -> Any:
    """The edges with the nodes' new names."""
    if isinstance(edges, list):
        return [renamed(each, new_names) for each in edges]
    if isinstance(edges, Mapping):
        return {
            key: renamed(each, new_names) if key not in ("condition", "condition_field", "logic") else each
            for key, each in edges.items()
        }
    return new_names.get(edges, edges) if isinstance(edges, str) else edges


def place(id: str, edges: Any, before: str | None, after: str | None) -> str:
    """Where a new node stands: by the edges, or by its neighbours in a document without."""
    known = ways(edges)
    into = [way for way in known if way.target == id and way.source != id]
    out = [way for way in known if way.source == id and way.target != id]
    if not known:
        return f", after '{before}'" if before else f", before '{after}'" if after else ""
    if starts := [way.words for way in into if way.source == "START"]:
        return f", at the start{starts[0]}"
    if into:
        return ", after " + " and ".join(f"'{way.source}'{way.words}" for way in into[:3])
    targets = [way.target for way in out if way.target != "END"]
    return f", before {listed(targets[:3])}" if targets else ""


def describe_ways(old: Any, new: Any, gone: Collection[str], added: Collection[str]) -> Iterator[str]:
    """The ways and loops between nodes that are in both. Nodes that came or went say their own."""
    before, after = ways(old), ways(new)
    yield from _gone_and_new(before, after, {*gone, *added})
    for source in dict.fromkeys(way.source for way in after):
        ordered = [[w for w in some if w.source == source] for some in (before, after)]
        if ordered[0] != ordered[1] and set(ordered[0]) == set(ordered[1]):
            yield f"The order in which the ways from '{source}' are tried changed."
    yield from _loops(loops(old), loops(new))


def _gone_and_new(before: list[Way], after: list[Way], touched: Collection[str]) -> Iterator[str]:
    around = _around(before, touched) | _around(after, touched)
    lost = [way for way in before if way not in after and not {way.source, way.target} & set(touched)]
    won = [way for way in after if way not in before and not {way.source, way.target} & set(touched)]
    for way in lost:
        other = next((w for w in won if (w.source, w.target) == (way.source, way.target)), None)
        if other is not None:
            won.remove(other)
            yield _condition_changed(way, other)
        elif (way.source, way.target) not in around:
            yield f"The way from '{way.source}' to '{way.target}'{way.words} is gone."
    for way in won:
        if (way.source, way.target) not in around:
            yield f"After '{way.source}' comes '{way.target}' now{way.words and ','}{way.words}."


def _around(known: list[Way], touched: Collection[str]) -> set[tuple[str, str]]:
    """Pairs between which a node stands or stood that came or went: the way around it is no news."""
    into = [way for way in known if way.target in touched]
    return {(first.source, then.target) for first in into for then in known if then.source == first.target}


def _condition_changed(old: Way, new: Way) -> str:
    if new.when is None:
        return f"The way from '{new.source}' to '{new.target}' is always taken now (it was{old.words})."
    was = "always" if old.when is None else old.words.strip()
    return f"The way from '{new.source}' to '{new.target}' is taken{new.words} now (it was {was})."


def _loops(old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for source in dict.fromkeys([*old, *new]):
        before, after = old.get(source), new.get(source)
        if after is None:
            yield f"'{source}' is not repeated any more."
        elif before is None:
            most = after.get("max_iterations")
            yield f"'{source}' is repeated until {said(after.get('condition_field'))}, at most {most} times."
        else:
            yield from _loop(source, before, after)


def _loop(source: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for key, words in (
        ("max_iterations", "is repeated at most {new} times now (it was {old})"),
        ("condition_field", "is repeated until {new} now (it was {old})"),
        ("exit_to", "leads to {new} after its repetitions now (it was {old})"),
    ):
        if before.get(key) != after.get(key):
            yield f"'{source}' {words.format(old=said(before.get(key)), new=said(after.get(key)))}."
