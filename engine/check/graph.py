"""Questions to the graph of a document: what is reachable, what leads nowhere, what can run at the same
time.

Nodes are numbers in document order, START is the number after the last; END is not in the graph, a way to
it is noted as an exit. Sets of nodes are bits of one int, so that pairs of nodes cost a machine word for 64
of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

Choice = frozenset[int]
"""Nodes that start together when one way out of a node is taken."""


@dataclass(frozen=True)
class Graph:
    """`ways[v]` holds, for each entry of `edges` from v, the alternatives of which a run takes one.

    `exits` are the nodes from which an entry may lead to END. A node without any entry ends as well.
    `failures` says where a node leads that fails, in place of its entries; `passing` are the nodes that go on as
    if they had not failed.
    """

    size: int
    ways: Sequence[Sequence[Sequence[Choice]]]
    exits: frozenset[int] = field(default_factory=frozenset)
    failures: Mapping[int, int] = field(default_factory=dict)
    passing: frozenset[int] = field(default_factory=frozenset)

    @property
    def start(self) -> int:
        return self.size

    @cached_property
    def going(self) -> list[list[int]]:
        """For each node those that may follow it when it has not failed."""
        return [
            list(dict.fromkeys(t for entry in entries for choice in entry for t in sorted(choice)))
            for entries in self.ways
        ]

    @cached_property
    def successors(self) -> list[list[int]]:
        """For each node those that may follow it, on whatever way."""
        if not self.failures:
            return self.going
        return [
            [*targets, self.failures[v]] if self.failures.get(v, v) not in (v, *targets) else targets
            for v, targets in enumerate(self.going)
        ]

    @cached_property
    def reached(self) -> frozenset[int]:
        """Nodes that a run can come to, START among them."""
        return frozenset(_spread([self.start], self.successors))

    @cached_property
    def ending(self) -> frozenset[int]:
        """Nodes from which a run can come to an end, if only by a failure that is dealt with."""
        return self._leading_out(self.successors)

    @cached_property
    def ending_well(self) -> frozenset[int]:
        """Nodes from which a run can come to an end without a failure."""
        return self._leading_out(self.going) if self.failures else self.ending

    def _leading_out(self, following: Sequence[Sequence[int]]) -> frozenset[int]:
        ends = [v for v in range(self.size + 1) if v in self.exits or not self.ways[v]]
        before: list[list[int]] = [[] for _ in range(self.size + 1)]
        for v, targets in enumerate(following):
            for t in targets:
                before[t].append(v)
        return frozenset(_spread(ends, before))

    def reached_without(self, barred: Iterable[int]) -> frozenset[int]:
        """Nodes that a run can come to without any of `barred` succeeding; those themselves count."""
        following = list(self.successors)
        for v in set(barred) - self.passing:
            following[v] = [self.failures[v]] if v in self.failures else []
        return frozenset(_spread([self.start], following))

    @cached_property
    def below(self) -> list[int]:
        """For each node the bits of those that can follow it; of itself only where it is on a cycle."""
        found = [0] * (self.size + 1)
        for component in self.components:
            inside = _mask(component)
            steps = _union(_mask(self.successors[v]) for v in component)
            whole = steps | _union(found[w] for w in bits(steps & ~inside))
            for v in component:
                found[v] = whole
        return found

    @cached_property
    def components(self) -> list[list[int]]:
        """Strongly connected components of all nodes, those that lead to others after them (Tarjan's
        order).
        """
        return list(_components(self.successors))

    @cached_property
    def _together(self) -> _Together:
        return _Together(self)

    def has_company(self, node: int) -> bool:
        """Whether any node can be running while `node` runs."""
        return bool(self._together.rows[node])

    def beside(self, node: int, among: Iterable[int]) -> Iterator[int]:
        """Those of `among`, rising, that can be running while `node` runs; see `_Together`."""
        rows = self._together.rows
        for other in bits(rows[node] & _mask(among)):
            if rows[other] >> node & 1:
                yield other


def _spread(first: Iterable[int], following: Sequence[Sequence[int]]) -> set[int]:
    found = set(first)
    todo = list(found)
    while todo:
        for w in following[todo.pop()]:
            if w not in found:
                found.add(w)
                todo.append(w)
    return found


def bits(value: int) -> Iterator[int]:
    """The places of the ones in `value`, rising."""
    if value.bit_count() * 8 > value.bit_length():
        yield from (i for i, digit in enumerate(reversed(f"{value:b}")) if digit == "1")
        return
    while value:
        low = value & -value
        yield low.bit_length() - 1
        value ^= low


def _components(successors: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Tarjan's algorithm without recursion: a chain of 1,000 nodes is deeper than Python's stack likes."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    for root in range(len(successors)):
        work = [] if root in index else [(root, iter(successors[root]))]
        while work:
            v, rest = work[-1]
            if v not in index:
                index[v] = low[v] = len(index)
                stack.append(v)
                on_stack.add(v)
            for w in rest:
                if w not in index:
                    work.append((w, iter(successors[w])))
                    break
                if w in on_stack:
                    low[v] = min(low[v], index[w])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[v])
                if low[v] == index[v]:
                    yield _pop_until(v, stack, on_stack)


def _pop_until(v: int, stack: list[int], on_stack: set[int]) -> list[int]:
    found: list[int] = []
    while not found or found[-1] != v:
        found.append(stack.pop())
        on_stack.discard(found[-1])
    return sorted(found)


class _Together:
    """Which nodes can run at the same time, by following two runners through the graph.

    Two runners part where one node starts several. Either may go on, except that a node with several ways
    in waits while the other runner can still come to it; where they meet they are one. Conditions are not
    weighed: any route may be taken, but two routes of one list never both. Back edges of loops are told by
    a depth-first walk.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        count = graph.size + 1
        self.rows = [0] * count
        self._fork()
        if not any(self.rows):
            return
        self._sort()
        forward_out: list[list[int]] = [[] for _ in range(count)]
        for v, sources in enumerate(self._forward_in):
            for p in sources:
                forward_out[p].append(v)
        self._above = self._collect(self.order, self._forward_in)
        self._beneath = self._collect(self.order[::-1], forward_out)
        self._waits = [self._waiting(v) for v in range(count)]
        self._run()
        self._keep()

    def _fork(self) -> None:
        """Where runners part: targets of one choice, and of any choices of two entries."""
        for v in self.graph.reached:
            entries = [[_mask(choice) for choice in entry] for entry in self.graph.ways[v]]
            whole = [_union(entry) for entry in entries]
            for n, entry in enumerate(entries):
                others = _union(whole[:n] + whole[n + 1 :])
                for choice in entry:
                    for t in bits(choice) if others or choice & (choice - 1) else ():
                        self.rows[t] |= (choice | others) & ~(1 << t)
                    for t in bits(others):
                        self.rows[t] |= choice & ~(1 << t)

    def _sort(self) -> None:
        """Reverse postorder from START, and the ways into each node split into forward and back."""
        successors = self.graph.successors
        count = self.graph.size + 1
        self._forward_in: list[list[int]] = [[] for _ in range(count)]
        self._back_in: list[list[int]] = [[] for _ in range(count)]
        active, done, order = {self.graph.start}, set[int](), list[int]()
        work = [(self.graph.start, iter(successors[self.graph.start]))]
        while work:
            v, rest = work[-1]
            for w in rest:
                (self._back_in if w in active else self._forward_in)[w].append(v)
                if w not in active and w not in done:
                    active.add(w)
                    work.append((w, iter(successors[w])))
                    break
            else:
                work.pop()
                active.discard(v)
                done.add(v)
                order.append(v)
        self.order = order[::-1]

    def _collect(self, order: Sequence[int], before: Sequence[Sequence[int]]) -> list[int]:
        found = [0] * (self.graph.size + 1)
        for v in order:
            for p in before[v]:
                found[v] |= found[p] | 1 << p
        return found

    def _waiting(self, v: int) -> int:
        """The nodes for which `v`, once set off, still waits: they can come to another of its ways in."""
        if len(self._forward_in[v]) + len(self._back_in[v]) < 2:
            return 0
        found = self._above[v]
        for source in self._back_in[v]:
            found |= (self._above[source] | 1 << source) & self._beneath[v]
        return found

    def _run(self) -> None:
        """Let the runners go on until no new pair turns up. Without loops the first round finds all."""
        ways_in = [f + b for f, b in zip(self._forward_in, self._back_in, strict=True)]
        changed = True
        while changed:
            changed = False
            for v in self.order:
                found = _union([self.rows[p] & ~self._waits[p] for p in ways_in[v]]) & ~(1 << v)
                added = found & ~self.rows[v]
                if not added:
                    continue
                changed = True
                self.rows[v] |= added
                for w in bits(added):
                    self.rows[w] |= 1 << v

    def _keep(self) -> None:
        """Drop from each row what the node itself waits for; a pair counts where both rows have it."""
        self.rows = [row & ~waits for row, waits in zip(self.rows, self._waits, strict=True)]


def _mask(nodes: Iterable[int]) -> int:
    found = 0
    for v in nodes:
        found |= 1 << v
    return found


def _union(masks: Iterable[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found
