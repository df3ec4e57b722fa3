"""Which nodes a run may visit, and how often: the range that routes, loops and cycles leave open.

Routes are tried one against the other as long as there are few ways; where there are more, the range is only made
wider: fewest are the nodes that every way has, most are all nodes that any way has.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from engine.graph import Graph
from engine.workflow import END, Edge

WAYS = 64
"""How many combinations of routes are tried."""

Targets = tuple[str, ...]
Decide = Callable[[Edge], Targets | None]
"""Which way an edge goes where that can be told before the run; None where it can't."""


@dataclass(frozen=True, slots=True)
class Way:
    """The nodes of one way through the graph, by number. `again` says how often each may be visited at most."""

    nodes: tuple[int, ...]
    again: tuple[int, ...]


class Paths:
    """The ways through a graph. `decide` tells those routes that depend on what is known already."""

    def __init__(self, graph: Graph, decide: Decide) -> None:
        self.graph = graph
        self._edges: list[tuple[int, Edge]] = [(-1, edge) for edge in graph.entries]
        self._edges += [(n, edge) for n, edges in enumerate(graph.leaving) for edge in edges]
        self._ways_of = [self._alternatives(edge, decide) for _, edge in self._edges]

    def _alternatives(self, edge: Edge, decide: Decide) -> tuple[tuple[int, ...], ...]:
        """The targets of each way that an edge may go, as numbers of nodes; a node's failure is one, too."""
        if edge.loop is not None:
            return (self._numbers(edge.loop.exit_to),)
        if edge.failure:
            return ((), self._numbers(edge.to))
        if not edge.routes:
            return (self._numbers(edge.to),)
        known = decide(edge)
        found = [known] if known is not None else [route.to for route in edge.routes]
        return tuple(dict.fromkeys(self._numbers(to) for to in found))

    def _numbers(self, names: Iterable[str]) -> tuple[int, ...]:
        return tuple(self.graph.number[name] for name in names if name != END)

    # --- cycles ---

    @cached_property
    def _after(self) -> list[set[int]]:
        """Every node that can come right after a node by its routes."""
        found: list[set[int]] = [set() for _ in self.graph.nodes]
        for (source, _), ways in zip(self._edges, self._ways_of, strict=True):
            if source >= 0:
                found[source].update(n for way in ways for n in way)
        return found

    @cached_property
    def groups(self) -> list[int]:
        """For each node the number of its group: those that lie on a cycle with each other, in an order in which
        what follows comes later."""
        return _components(self._after)

    @cached_property
    def cyclic(self) -> frozenset[int]:
        """The nodes on a cycle that routes make."""
        sizes: dict[int, int] = {}
        for group in self.groups:
            sizes[group] = sizes.get(group, 0) + 1
        return frozenset(n for n, g in enumerate(self.groups) if sizes[g] > 1 or n in self._after[n])

    @cached_property
    def _most(self) -> tuple[int, ...]:
        """How often each node may run in one run, if it runs at all."""
        visits = self.graph.workflow.execution.max_visits
        found = []
        for n, edges in enumerate(self.graph.leaving):
            rounds = max([edge.loop.max_iterations for edge in edges if edge.loop], default=1)
            found.append(rounds * (visits if n in self.cyclic else 1))
        return tuple(found)

    # --- ways ---

    def fewest(self) -> list[Way]:
        """The ways on which a run may do the least, each node once; one may stand for several, none for more."""
        once = (1,) * len(self.graph.nodes)
        choices = [ways[:1] if edge.failure else ways for (_, edge), ways in self._open()]
        if _combinations(choices) > WAYS:
            return [Way(self._always(), once)]
        found = {self._reached(picked) for picked in itertools.product(*choices)}
        ends = [nodes for nodes in found if nodes is not None]
        return [Way(nodes, once) for nodes in ends] or [Way(self._always(), once)]

    def most(self) -> list[Way]:
        """The ways on which a run may do the most; on a cycle it may have gone every way."""
        choices: list[tuple[tuple[int, ...], ...]] = []
        for (source, _), ways in self._open():
            everything = tuple(dict.fromkeys(n for way in ways for n in way))
            choices.append((everything,) if source in self.cyclic else ways)
        if _combinations(choices) > WAYS:
            choices = [(tuple(dict.fromkeys(n for way in ways for n in way)),) for ways in choices]
        found = {self._reached(picked, circles=True) for picked in itertools.product(*choices)}
        return [Way(nodes, self._most) for nodes in found if nodes is not None]

    def _open(self) -> list[tuple[tuple[int, Edge], tuple[tuple[int, ...], ...]]]:
        return list(zip(self._edges, self._ways_of, strict=True))

    def _reached(self, picked: Sequence[tuple[int, ...]], *, circles: bool = False) -> tuple[int, ...] | None:
        """The nodes that are visited when every edge goes this way; None when that would never end."""
        after: list[list[int]] = [[] for _ in self.graph.nodes]
        todo: list[int] = []
        for (source, _), targets in zip(self._edges, picked, strict=True):
            (todo if source < 0 else after[source]).extend(targets)
        seen: set[int] = set()
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo += after[node]
        if not circles and self.cyclic & seen and _has_circle(after, seen & self.cyclic):
            return None
        return tuple(sorted(seen))

    def _always(self) -> tuple[int, ...]:
        """The nodes that every run visits, as far as that is easily told."""
        must = [1 << n for n in range(len(self.graph.nodes))]
        changed = True
        while changed:
            changed = False
            for (source, edge), ways in self._open():
                if source >= 0 and not edge.failure:
                    bigger = must[source] | _common(ways, must)
                    changed |= bigger != must[source]
                    must[source] = bigger
        mask = 0
        for (source, _), ways in self._open():
            if source < 0:
                mask |= _common(ways, must)
        return tuple(n for n in range(len(must)) if mask >> n & 1)

    # --- time ---

    def longest(self, way: Way, weights: Sequence[float]) -> float:
        """The longest chain of nodes of a way; those on a cycle run one after the other."""
        inside = set(way.nodes)
        totals: dict[int, float] = {}
        for n in way.nodes:
            totals[self.groups[n]] = totals.get(self.groups[n], 0.0) + weights[n]
        ends = dict.fromkeys(totals, 0.0)
        for n in sorted(inside, key=lambda n: -self.groups[n]):
            group = self.groups[n]
            behind = [ends[self.groups[m]] for m in self._after[n] if m in inside and self.groups[m] != group]
            ends[group] = max(ends[group], totals[group], *(totals[group] + b for b in behind))
        return max(ends.values(), default=0.0)


def _common(ways: Sequence[tuple[int, ...]], must: Sequence[int]) -> int:
    """The nodes that are visited whichever way is taken."""
    found = -1
    for way in ways:
        mask = 0
        for n in way:
            mask |= must[n]
        found &= mask
    return max(found, 0)


def _combinations(choices: Iterable[Sequence[object]]) -> int:
    count = 1
    for each in choices:
        count *= max(1, len(each))
    return count


def _has_circle(after: Sequence[Iterable[int]], nodes: set[int]) -> bool:
    """Whether a circle lies within these nodes: taking away what nothing leads to leaves something."""
    left = set(nodes)
    while True:
        entered = {m for n in left for m in after[n] if m in left}
        if entered == left:
            return bool(left)
        left = entered


def _components(after: Sequence[Iterable[int]]) -> list[int]:
    """Strongly connected components by Tarjan, without recursion; numbered so that what follows has a higher one."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    group = [-1] * len(after)
    path: list[int] = []
    count = 0
    for root in range(len(after)):
        if root in index:
            continue
        work = [(root, iter(after[root]))]
        index[root] = low[root] = len(index)
        path.append(root)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in index:
                    index[other] = low[other] = len(index)
                    path.append(other)
                    work.append((other, iter(after[other])))
                    break
                if group[other] < 0:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    while group[node] < 0:
                        group[path.pop()] = count
                    count += 1
    return [count - 1 - g for g in group]
