"""What a visit sees: the writes of the visits that must have ended before it, in an order that time has no part in.

An ended visit is a bit; a Past is a set of them, closed under "came before". The state of a past is its
writes, each after those it came after, otherwise in document order. Whenever everything that ended lies in
the past of all that starts, it is folded into one base and forgotten, so chains and loops keep nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any

from engine.graph import Graph

Past = int

_KEPT = 256
"""How many states are kept ready; older ones are made again when somebody asks."""


class _Ended:
    """An ended visit: where its writes belong, what came before it, the state it saw (None: forgotten)."""

    __slots__ = ("after", "node", "past", "place", "serial", "state", "writes")

    def __init__(
        self,
        node: int,
        iteration: int,
        past: Past,
        serial: int,
        state: Mapping[str, Any],
        writes: Mapping[str, Any],
    ) -> None:
        self.node = node
        self.place = (node, iteration)
        self.past = past
        self.serial = serial
        self.state: Mapping[str, Any] | None = state
        self.writes = writes
        self.after: Mapping[str, Any] | None = None


class History:
    """The visits that ended since the last time when all of them could be folded into the base."""

    nothing: Past = 0

    def __init__(self, graph: Graph, state: Mapping[str, Any]) -> None:
        self._reducers = graph.reducers
        self._base = state
        self._ended: list[_Ended] = []
        self._nodes = 0
        self._serial = 0
        self._order: list[int] = []
        self._states: dict[Past, Mapping[str, Any]] = {}

    def apply(self, state: Mapping[str, Any], writes: Mapping[str, Any]) -> Mapping[str, Any]:
        """The state after the writes, reduced where the field says so; neither is changed."""
        if not self._reducers:
            return {**state, **writes}
        return {
            **state,
            **{name: reduced(self._reducers.get(name), state.get(name), writes[name]) for name in writes},
        }

    def add(
        self, node: int, iteration: int, past: Past, state: Mapping[str, Any], writes: Mapping[str, Any]
    ) -> Past:
        """A visit that saw `state` has ended: the past of what follows it."""
        bit = 1 << len(self._ended)
        self._serial += 1
        self._ended.append(_Ended(node, iteration, past, self._serial, state, writes))
        self._nodes |= 1 << node
        if len(self._ended) > _KEPT:
            old = self._ended[-_KEPT]
            old.state = old.after = None
        return past | bit

    def of_nodes(self, mask: int) -> Past:
        """Every visit of these nodes that has ended, with all that came before it."""
        past = 0
        if self._nodes & mask:
            for n, ended in enumerate(self._ended):
                if mask >> ended.node & 1:
                    past |= ended.past | 1 << n
        return past

    def collapse(self, pasts: list[Past]) -> list[Past]:
        """Fold all that ended into the base if it is in every one of these pasts, which are all there are."""
        everything = (1 << len(self._ended)) - 1
        if not everything or any(past != everything for past in pasts):
            return pasts
        self._base = self.state(everything)
        self._order += [ended.serial for ended in self._sorted(everything)]
        self._ended.clear()
        self._states.clear()
        self._nodes = 0
        return [self.nothing] * len(pasts)

    def state(self, past: Past) -> Mapping[str, Any]:
        """The state that a visit with this past sees."""
        if not past:
            return self._base
        last = self._ended[past.bit_length() - 1]
        if last.state is not None and last.past | 1 << (past.bit_length() - 1) == past:
            if last.after is None:
                last.after = self.apply(last.state, last.writes)
            return last.after
        found = self._states.get(past)
        if found is None:
            if len(self._states) >= _KEPT:
                self._states.clear()
            found = self._states[past] = self._fold(past)
        return found

    def final(self) -> Mapping[str, Any]:
        """The state after everything that ended."""
        return self.state((1 << len(self._ended)) - 1)

    def order(self) -> list[int]:
        """Which ended visits, counted from 1 in the order of `add`, wrote in which order."""
        return self._order + [ended.serial for ended in self._sorted((1 << len(self._ended)) - 1)]

    def _fold(self, past: Past) -> Mapping[str, Any]:
        state = dict(self._base)
        for ended in self._sorted(past):
            for name, value in ended.writes.items():
                reduce = self._reducers.get(name)
                state[name] = value if reduce is None else reduced(reduce, state.get(name), value)
        return state

    def _sorted(self, past: Past) -> list[_Ended]:
        """Each visit after those it came after, otherwise in document order (then by iteration)."""
        numbers = [n for n in range(past.bit_length()) if past >> n & 1]
        numbers.sort(key=lambda n: self._ended[n].place)
        seen = 0
        for n in numbers:
            if self._ended[n].past & past & ~seen:
                return self._sorted_slowly(numbers)
            seen |= 1 << n
        return [self._ended[n] for n in numbers]

    def _sorted_slowly(self, numbers: list[int]) -> list[_Ended]:
        """Kahn's order with the document's as the choice among those that are free."""
        todo = [(self._ended[n].place, n) for n in numbers]
        found: list[_Ended] = []
        seen = 0
        free: list[tuple[tuple[int, int], int]] = []
        while todo or free:
            blocked = []
            for place, n in todo:
                if self._ended[n].past & ~seen:
                    blocked.append((place, n))
                else:
                    heapq.heappush(free, (place, n))
            todo = blocked
            _, n = heapq.heappop(free)
            seen |= 1 << n
            found.append(self._ended[n])
        return found


def reduced(reduce: str | None, old: Any, new: Any) -> Any:
    """The field's value after a write. What is appended is always a list, see `engine.outputs`."""
    if reduce == "append":
        return [*(old or ()), *new]
    if reduce == "merge":
        return {**(old or {}), **new}
    return new
