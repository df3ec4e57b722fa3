"""The graph of a workflow, made once and shared by all its runs: who follows whom, and who can still reach what.

Sets of nodes are ints, one bit per node in document order, so that "can any node that is running or ready
still fire this edge?" is one `&`. The masks are made when a join first asks for them: a run of a long chain
makes none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from engine.reach import on_cycles, upstream
from engine.workflow import END, START, Edge, Node, Workflow


@dataclass(frozen=True, slots=True)
class Arrow:
    """One way along an edge: from its source to one of its targets. `source` is -1 for START.

    `again` marks the way of a loop back to its own node.
    """

    number: int
    edge: int
    source: int
    target: int
    again: bool = False


class Graph:
    """Nodes by number (their place in the document), arrows by number, and the way in.

    `plain` and `failing` say per node what fires when it ends well (None: the state decides) and when it fails in
    a way that the document deals with. `errors` are the fields of the state for such failures.
    """

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.nodes: tuple[Node, ...] = tuple(workflow.nodes.values())
        self.number = {node.id: n for n, node in enumerate(self.nodes)}
        self.leaving: list[list[Edge]] = [[] for _ in self.nodes]
        self.entering: list[list[Arrow]] = [[] for _ in self.nodes]
        self.entries: list[Edge] = []
        self.arrows: dict[tuple[int, str], Arrow] = {}
        self.reducers = {
            f.name: f.reduce for f in workflow.fields.values() if f.reduce in ("append", "merge")
        }
        for edge in _with_entry(workflow):
            self._add(edge)
        self.loops: dict[int, str] = {
            n: f"_loop_iteration_{node.id}"
            for n, node in enumerate(self.nodes)
            if any(e.loop for e in self.leaving[n])
        }
        self.errors = tuple(error_field(node.id) for node in self.nodes if node.on_error != "fail")
        self.plain = [_plain(edges) for edges in self.leaving]
        self.failing = [_failing(edges) for edges in self.leaving]
        self._blockers: dict[int, int] = {}
        self._cyclic = 0
        self._upstream: dict[int, int] | None = None

    def _add(self, edge: Edge) -> None:
        source = -1 if edge.source == START else self.number[edge.source]
        (self.entries if source < 0 else self.leaving[source]).append(edge)
        for target in edge.targets:
            if target != END:
                number = self.number[target]
                again = edge.loop is not None and number == source
                arrow = Arrow(len(self.arrows), edge.index, source, number, again)
                self.arrows[edge.index, target] = arrow
                self.entering[number].append(arrow)

    def arrows_of(self, fired: Iterable[tuple[int, str]]) -> list[Arrow]:
        """The arrows of these edges (index, target); END has none. KeyError for an edge that is not there."""
        return [self.arrows[pair] for pair in fired if pair[1] != END]

    def blockers(self, arrow: Arrow) -> int:
        """The nodes that can still fire `arrow`, while they run or wait, without passing through its target."""
        mask = self._blockers.get(arrow.number)
        if mask is None:
            mask = self._blockers[arrow.number] = self._reaching(arrow)
        return mask

    def _reaching(self, arrow: Arrow) -> int:
        if arrow.source < 0 or arrow.source == arrow.target:
            return 0
        before = self._before
        if self._upstream is None:
            self._upstream = upstream(before, (1 << len(before)) - 1)
            self._cyclic = on_cycles(before)
        if not self._cyclic >> arrow.target & 1:
            return self._upstream[arrow.source]
        around = upstream(before, self._upstream[arrow.target] & ~(1 << arrow.target))
        for other in self.entering[arrow.target]:
            self._blockers[other.number] = around.get(other.source, 0)
        return self._blockers[arrow.number]

    @cached_property
    def _before(self) -> list[list[int]]:
        """The nodes with an edge to each node, without START and the node itself."""
        return [
            list(dict.fromkeys(a.source for a in arrows if 0 <= a.source != number))
            for number, arrows in enumerate(self.entering)
        ]


def _plain(edges: Iterable[Edge]) -> tuple[tuple[int, str], ...] | None:
    """What always fires when a node ends, as (edge's index, target); None where the state decides."""
    if any(edge.routes or edge.loop for edge in edges):
        return None
    return tuple(
        dict.fromkeys((edge.index, target) for edge in edges if not edge.failure for target in edge.to)
    )


def _failing(edges: Iterable[Edge]) -> tuple[tuple[int, str], ...]:
    """What fires instead when the node fails; empty where its `on_error` names no node."""
    return tuple((edge.index, target) for edge in edges if edge.failure for target in edge.to)


def error_field(node: str) -> str:
    """Where the state keeps why a node failed whose failure `on_error` deals with."""
    return f"_error_{node}"


def _with_entry(workflow: Workflow) -> tuple[Edge, ...]:
    """The edges, with one from START to the first node where the document has none."""
    if any(edge.source == START for edge in workflow.edges) or not workflow.nodes:
        return workflow.edges
    first = next(iter(workflow.nodes))
    index = max((edge.index for edge in workflow.edges), default=-1) + 1
    return (Edge(START, index, to=(first,)), *workflow.edges)
