"""Who can still fire an edge, against a plain search on random graphs; and what it costs."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph import Graph
from engine.reach import on_cycles, upstream
from engine.types import parse_type
from engine.workflow import Edge, Field, Node, Workflow

Pairs = list[tuple[int, int]]


def graph_of(size: int, pairs: Pairs) -> Graph:
    nodes = {f"n{i}": Node(f"n{i}", "tool", i, outputs=("x",), tool="echo") for i in range(size)}
    edges = tuple(Edge(f"n{a}", index, to=(f"n{b}",)) for index, (a, b) in enumerate(pairs))
    fields = {"x": Field("x", parse_type("int"))}
    return Graph(Workflow("w", "", "", "", fields, nodes, edges, (), ("x",)))


def reaches(pairs: Pairs, source: int, goal: int, avoid: int) -> bool:
    seen: set[int] = set()
    todo = [source]
    while todo:
        node = todo.pop()
        if node in seen or node == avoid:
            continue
        seen.add(node)
        todo += [b for a, b in pairs if a == node]
    return goal in seen


@st.composite
def graphs(draw: Any) -> tuple[int, Pairs]:
    size = draw(st.integers(2, 9))
    number = st.integers(0, size - 1)
    return size, draw(st.lists(st.tuples(number, number), max_size=20, unique=True))


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_blockers_are_those_with_a_way_that_avoids_the_target(drawn: tuple[int, Pairs]) -> None:
    size, pairs = drawn
    graph = graph_of(size, pairs)
    for arrow in (a for arrows in graph.entering for a in arrows if a.source >= 0):
        expected = {
            n for n in range(size) if n != arrow.target and reaches(pairs, n, arrow.source, arrow.target)
        }
        mask = graph.blockers(arrow)
        assert {n for n in range(size) if mask >> n & 1} == expected


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_cycles_and_what_lies_upstream(drawn: tuple[int, Pairs]) -> None:
    size, pairs = drawn
    before = [[a for a, b in pairs if b == n and a != n] for n in range(size)]
    masks = upstream(before, (1 << size) - 1)
    for n in range(size):
        assert {m for m in range(size) if masks[n] >> m & 1} == {
            m for m in range(size) if reaches(pairs, m, n, avoid=-1)
        }
    cyclic = {
        n for n in range(size) if any(m != n and masks[n] >> m & 1 and masks[m] >> n & 1 for m in range(size))
    }
    assert {n for n in range(size) if on_cycles(before) >> n & 1} == cyclic


def test_a_thousand_nodes_in_one_cycle() -> None:
    """The worst case: every join lies on the cycle, so each needs a search of its own; a slow one never ends."""
    size = 1000
    ring = [(i, (i + 1) % size) for i in range(size)]
    chords = [(i, (i * 7 + 3) % size) for i in range(0, size, 10)]
    graph = graph_of(size, list(dict.fromkeys(ring + chords)))
    joins = [arrows for arrows in graph.entering if len(arrows) > 1]
    for arrows in joins[:20]:
        for arrow in arrows:
            assert not graph.blockers(arrow) >> arrow.target & 1, "not through the join itself"
