"""Which nodes start when: the pure heart of a run, without time, tasks or a store.

A node starts once one of its edges has fired and none of the others still can, as reckoned from the nodes
that run or wait, without passing through the node itself. Where only nodes that wait for each other are
left, the first in the document starts. What the same calls in the same order say is always the same: that
is how a run is resumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.errors import NodeError
from engine.graph import Arrow, Graph
from engine.history import History, Past


@dataclass(slots=True, eq=False)
class Visit:
    """One execution of a node. `iteration` counts the node's visits from 1.

    `entry` counts those that its own loop did not cause, `rounds` how often the loop has run in this entry
    before. `state` is what the node sees; it must not be changed.
    """

    node: int
    iteration: int
    entry: int
    rounds: int
    past: Past
    state: Mapping[str, Any] = field(repr=False)


@dataclass(slots=True)
class _Waiting:
    """A node that an edge has reached. `fired` holds the arrows, `entered` one that is not its own loop's.

    The first `settled` of its arrows have fired or can fire no more. That stays so until the node starts:
    what could make it otherwise would have to come from a node that could reach the arrow all along.
    """

    fired: set[int]
    past: Past
    rounds: int = 0
    entered: bool = False
    settled: int = 0


class Scheduler:
    """The nodes that run and wait. `begin` once, `end` for each visit; both say which visits start now."""

    def __init__(self, graph: Graph, state: Mapping[str, Any]) -> None:
        self.graph = graph
        hidden = {**dict.fromkeys(graph.loops.values(), 0), **dict.fromkeys(graph.errors)}
        self.history = History(graph, {**hidden, **state})
        self._waiting: dict[int, _Waiting] = {}
        self._waiting_mask = 0
        self._running = [0] * len(graph.nodes)
        self._running_mask = 0
        self._visits = [0] * len(graph.nodes)
        self._entries = [0] * len(graph.nodes)

    @property
    def idle(self) -> bool:
        """Nothing runs and nothing waits: the run is over."""
        return not self._running_mask and not self._waiting

    def begin(self, arrows: Iterable[Arrow]) -> list[Visit]:
        """START fires."""
        for arrow in arrows:
            self._fire(arrow, self.history.nothing, 0)
        return self._start()

    def after(self, visit: Visit, writes: Mapping[str, Any]) -> Mapping[str, Any]:
        """The state as the visit sees it with its own writes; what its routes are decided on."""
        return self.history.apply(visit.state, self._with_rounds(visit, writes))

    def end(self, visit: Visit, writes: Mapping[str, Any], arrows: Iterable[Arrow]) -> list[Visit]:
        """A visit has ended, and these arrows fire."""
        node = visit.node
        self._running[node] -= 1
        if not self._running[node]:
            self._running_mask &= ~(1 << node)
        writes = self._with_rounds(visit, writes)
        past = self.history.add(node, visit.iteration, visit.past, visit.state, writes)
        for arrow in arrows:
            self._fire(arrow, past, visit.rounds + 1 if arrow.again else 0)
        return self._start()

    def _with_rounds(self, visit: Visit, writes: Mapping[str, Any]) -> Mapping[str, Any]:
        """A looping node also writes how often it has run."""
        name = self.graph.loops.get(visit.node)
        return writes if name is None else {**writes, name: visit.rounds + 1}

    def _fire(self, arrow: Arrow, past: Past, rounds: int) -> None:
        waiting = self._waiting.get(arrow.target)
        if waiting is None:
            self._waiting[arrow.target] = _Waiting({arrow.number}, past, rounds, not arrow.again)
            self._waiting_mask |= 1 << arrow.target
            return
        waiting.fired.add(arrow.number)
        waiting.past |= past
        waiting.rounds = max(waiting.rounds, rounds)
        waiting.entered |= not arrow.again

    # --- who may start ---

    def _start(self) -> list[Visit]:
        if not self._waiting:
            return []
        active = self._running_mask | self._waiting_mask
        ready, held = [], []
        for node in sorted(self._waiting):
            verdict = self._verdict(node, active)
            if verdict is None:
                ready.append(node)
            elif not verdict:
                held.append(node)
        if held:
            ready = sorted(ready + self._first_of_circles(held))
        waiting = [(node, self._waiting.pop(node)) for node in ready]
        for node in ready:
            self._waiting_mask &= ~(1 << node)
        pasts = [self._past(node, found) for node, found in waiting]
        if not self._running_mask and not self._waiting:
            pasts = self.history.collapse(pasts)
        return [self._visit(node, found, past) for (node, found), past in zip(waiting, pasts, strict=True)]

    def _verdict(self, node: int, active: int) -> bool | None:
        """None: the node may start. True: it waits for one that runs. False: it waits for waiting ones only."""
        arrows, waiting = self.graph.entering[node], self._waiting[node]
        if len(arrows) == len(waiting.fired):
            return None
        while waiting.settled < len(arrows):
            arrow = arrows[waiting.settled]
            if arrow.number not in waiting.fired and (blockers := self.graph.blockers(arrow) & active):
                return bool(blockers & self._running_mask or self._waits_for(node) & self._running_mask)
            waiting.settled += 1
        return None

    def _first_of_circles(self, held: list[int]) -> list[int]:
        """Of each group of nodes that wait for nothing but each other, the first in the document."""
        waits = {node: self._waits_for(node) for node in held}
        group = sum(1 << node for node in held)
        changed = True
        while changed:
            stuck = [node for node in waits if waits[node] & ~group]
            changed = bool(stuck)
            for node in stuck:
                group &= ~(1 << node)
                del waits[node]
        reach = {node: _closure(node, waits) for node in waits}
        return [
            node
            for node in waits
            if all(reach[other] >> node & 1 for other in _bits(reach[node]))
            and node == min(_bits(reach[node] | 1 << node))
        ]

    def _waits_for(self, node: int) -> int:
        fired = self._waiting[node].fired
        mask = 0
        for arrow in self.graph.entering[node]:
            if arrow.number not in fired:
                mask |= self.graph.blockers(arrow)
        return mask & (self._running_mask | self._waiting_mask) & ~(1 << node)

    # --- what starts ---

    def _past(self, node: int, waiting: _Waiting) -> Past:
        """All that must have ended before: along the edges that fired, and in what could have fired the others."""
        past = waiting.past
        arrows = self.graph.entering[node]
        if len(arrows) > len(waiting.fired):
            mask = 0
            for arrow in arrows:
                if arrow.number not in waiting.fired:
                    mask |= self.graph.blockers(arrow)
            past |= self.history.of_nodes(mask)
        return past

    def _visit(self, node: int, waiting: _Waiting, past: Past) -> Visit:
        self._running[node] += 1
        self._running_mask |= 1 << node
        self._visits[node] += 1
        self._entries[node] += waiting.entered
        state = self.history.state(past)
        rounds = 0 if waiting.entered else waiting.rounds
        name = self.graph.loops.get(node)
        if name is not None and state.get(name) != rounds:
            state = {**state, name: rounds}
        return Visit(node, self._visits[node], self._entries[node], rounds, past, state)


def endless(graph: Graph, started: Iterable[Visit]) -> NodeError | None:
    """What is wrong with a visit that a cycle has led to more often than the document allows."""
    most = graph.workflow.execution.max_visits
    for visit in started:
        if visit.entry > most:
            return NodeError(
                graph.nodes[visit.node].id,
                f"The cycle came back to it more than {most} times.",
                "Let a route lead out of the cycle, or raise config.execution.max_visits.",
                fault={"code": "endless"},
            )
    return None


def _closure(node: int, waits: Mapping[int, int]) -> int:
    """Every node that `node` waits for, directly or through others."""
    found, todo = 0, [node]
    while todo:
        for other in _bits(waits[todo.pop()] & ~found):
            found |= 1 << other
            todo.append(other)
    return found


def _bits(mask: int) -> list[int]:
    return [n for n in range(mask.bit_length()) if mask >> n & 1]
