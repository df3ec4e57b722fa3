"""Which nodes can run at the same time, beside a search through every course that a run can take."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.check.graph import Graph, bits

EXAMPLES = 3000 if os.environ.get("PARLANCE_SOAK") else 200
Ways = list[list[list[frozenset[int]]]]
Failures = dict[int, int]
"""Where a node leads that fails, in place of its entries."""
Arrow = tuple[int, int]
Course = tuple[frozenset[int], tuple[tuple[int, frozenset[Arrow]], ...]]
"""Nodes that run, and nodes that wait with the arrows that have reached them."""


def _leads(ways: Ways, failures: Failures, v: int, to: int) -> bool:
    """Whether a way leads from one node to another."""
    return failures.get(v) == to or any(to in choice for entry in ways[v] for choice in entry)


def _blockers(ways: Ways, failures: Failures, arrow: Arrow) -> set[int]:
    """The nodes that can still set off `arrow` without passing through its target."""
    source, target = arrow
    found, todo = {source}, [source]
    while todo:
        v = todo.pop()
        for u in range(len(ways)):
            if _leads(ways, failures, u, v) and u not in found and u != target:
                found.add(u)
                todo.append(u)
    return found - {target, len(ways) - 1}


def _started(ways: Ways, failures: Failures, course: Course) -> Course:
    """Let every waiting node start that nothing can still reach; of a circle of waiting ones, the first."""
    running, waiting = course
    active = set(running) | {v for v, _ in waiting}
    ready = set()
    for v, fired in waiting:
        arrows = {(u, v) for u in range(len(ways)) if _leads(ways, failures, u, v)}
        if not any(_blockers(ways, failures, a) & (active - {v}) for a in arrows - fired):
            ready.add(v)
    if not ready and not running and waiting:
        ready = {min(v for v, _ in waiting)}
    return frozenset(running | ready), tuple(w for w in waiting if w[0] not in ready)


def _courses(ways: Ways, failures: Failures) -> set[frozenset[int]]:
    """Pairs of nodes that run at the same time in any course of a run of an acyclic graph."""
    start = len(ways) - 1
    first: Course = (frozenset({start}), ())
    seen, todo, pairs = {first}, [first], set()
    while todo:
        running, waiting = todo.pop()
        pairs |= {frozenset(p) for p in itertools.combinations(running, 2)}
        for v in running:
            ends = [*itertools.product(*ways[v])]
            if v in failures:
                ends.append((frozenset({failures[v]}),))
            for chosen in ends:
                fired = dict(waiting)
                for t in {t for choice in chosen for t in choice}:
                    fired[t] = fired.get(t, frozenset()) | {(v, t)}
                after = _started(ways, failures, (running - {v}, tuple(sorted(fired.items()))))
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
    return pairs


@st.composite
def acyclic(draw: st.DrawFn) -> Ways:
    size = draw(st.integers(2, 6))
    ways: Ways = []
    for v in [*range(size), -1]:
        later = list(range(v + 1, size))
        entries = []
        for _ in range(draw(st.integers(1 if v < 0 else 0, 2)) if later else 0):
            choices = st.frozensets(st.sampled_from(later), min_size=1, max_size=3)
            entries.append(draw(st.lists(choices, min_size=1, max_size=2)))
        ways.append(entries)
    return ways


def _pairs(graph: Graph) -> set[frozenset[int]]:
    everybody = range(graph.size)
    return {frozenset((v, w)) for v in everybody for w in graph.beside(v, everybody) if v in graph.reached}


@settings(max_examples=EXAMPLES, deadline=None)
@given(acyclic(), st.data())
def test_together_is_what_some_course_of_a_run_shows(ways: Ways, data: st.DataObject) -> None:
    size = len(ways) - 1
    failures: Failures = {}
    for v in range(size - 1):
        if data.draw(st.integers(0, 3)) == 0:
            failures[v] = data.draw(st.integers(v + 1, size - 1))
    assert _pairs(Graph(size, ways, failures=failures)) == _courses(ways, failures)


def _graph(
    size: int, edges: Sequence[tuple[int, Sequence[Sequence[int]]]], exits: Sequence[int] = ()
) -> Graph:
    """`edges` are (source, choices); source `size` is START."""
    ways: Ways = [[] for _ in range(size + 1)]
    for source, choices in edges:
        ways[source].append([frozenset(c) for c in choices])
    return Graph(size, ways, frozenset(exits))


def test_branches_within_a_cycle_run_at_the_same_time() -> None:
    """0 forks to 1 and 2, 3 joins them and leads back to 0 or out."""
    graph = _graph(4, [(4, [[0]]), (0, [[1, 2]]), (1, [[3]]), (2, [[3]]), (3, [[0], []])], exits=[3])
    assert _pairs(graph) == {frozenset((1, 2))}


def test_branches_with_cycles_of_their_own() -> None:
    """0 forks to 1 and 2; 1 leads to 3, which leads back to 1 or on to 4, as does 2; 4 leads back to 0 or
    out.
    """
    graph = _graph(
        5, [(5, [[0]]), (0, [[1, 2]]), (1, [[3]]), (3, [[1], [4]]), (2, [[4]]), (4, [[0], []])], exits=[4]
    )
    assert _pairs(graph) == {frozenset((1, 2)), frozenset((2, 3))}


def test_a_branch_that_leads_back_meets_what_the_other_began() -> None:
    """0 forks to 1 and 2; 1 leads back to 0 or out; 2 goes on to 3."""
    graph = _graph(4, [(4, [[0]]), (0, [[1, 2]]), (1, [[0], []]), (2, [[3]])], exits=[1, 3])
    assert {frozenset((0, 2)), frozenset((0, 3)), frozenset((1, 2)), frozenset((1, 3))} <= _pairs(graph)


def test_routes_never_run_together_but_entries_do() -> None:
    routes = _graph(3, [(3, [[0]]), (0, [[1], [2]])])
    entries = _graph(3, [(3, [[0]]), (0, [[1]]), (0, [[2]])])
    assert _pairs(routes) == set()
    assert _pairs(entries) == {frozenset((1, 2))}


def test_what_follows_a_loop_runs_beside_what_its_node_sets_off_besides() -> None:
    """0 runs in a loop and leads to 1 after it; another entry leads from 0 to 2 each time."""
    graph = _graph(3, [(3, [[0]]), (0, [[0], [1]]), (0, [[2]])], exits=[1, 2])
    assert frozenset((0, 2)) in _pairs(graph)
    assert frozenset((1, 2)) in _pairs(graph)


def test_a_failure_leads_elsewhere_and_ends_what_leads_only_to_itself() -> None:
    """0 leads to 1, which leads to itself, or to 2 when it fails; 2 ends."""
    graph = replace(_graph(3, [(3, [[0]]), (0, [[1]]), (1, [[1]])]), failures={1: 2})
    assert graph.reached == {0, 1, 2, 3}
    assert graph.ending == {0, 1, 2, 3}
    assert graph.ending_well == {2}
    assert graph.reached_without({1}) == {0, 1, 2, 3}
    assert replace(graph, failures={}).reached_without({1}) == {0, 1, 3}
    assert replace(graph, failures={}, passing=frozenset({0})).reached_without({0}) == {0, 1, 3}


def test_reach() -> None:
    graph = _graph(5, [(5, [[0]]), (0, [[1]]), (1, [[2], [1]]), (3, [[4]]), (4, [[3]])], exits=[2])
    assert graph.reached == {0, 1, 2, 5}
    assert graph.ending == {0, 1, 2, 5}
    assert list(bits(graph.below[0])) == [1, 2]
    assert list(bits(graph.below[1])) == [1, 2]
    assert list(bits(graph.below[3])) == [3, 4]
    assert graph.reached_without({1}) == {0, 1, 5}
    assert sorted(map(tuple, graph.components)) == [(0,), (1,), (2,), (3, 4), (5,)]


@given(st.integers(min_value=0, max_value=2**300))
def test_bits(value: int) -> None:
    assert sum(1 << i for i in bits(value)) == value
