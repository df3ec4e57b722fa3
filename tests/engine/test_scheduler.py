"""When nodes start: the rules of the format's page, one by one, on the scheduler alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from engine.control import fired_by
from engine.graph import Graph
from engine.inputs import first_state
from engine.scheduler import Scheduler, Visit
from tests.engine.flows import Tools

TOOLS = Tools()


class Play:
    """A run played by hand: `end("a", x=1)` ends a running node; `running` says what runs then."""

    def __init__(self, edges: str, nodes: str = "a b c d e", fields: str = "") -> None:
        given = yaml.safe_load(f"{{{fields}}}") if fields else {}
        own = {n: {"type": "int"} for n in nodes.split()}
        made = [{"id": n, "tool": "echo", "args": {"value": 1}, "outputs": [n]} for n in nodes.split()]
        document = {"state": {"fields": own | given}, "nodes": made, "edges": yaml.safe_load(edges)}
        self.graph = Graph(_built(document))
        state = first_state(self.graph.workflow, {})
        self.scheduler = Scheduler(self.graph, state)
        self.visits: list[Visit] = self.scheduler.begin(
            self.graph.arrows_of(fired_by(self.graph.entries, state))
        )
        self.history = self.names(self.visits)

    def names(self, visits: list[Visit]) -> list[str]:
        return [self.graph.nodes[v.node].id for v in visits]

    @property
    def running(self) -> str:
        return " ".join(sorted(self.names(self.visits)))

    def visit(self, name: str) -> Visit:
        return next(v for v in self.visits if self.graph.nodes[v.node].id == name)

    def end(self, name: str, **writes: Any) -> str:
        """End a node; what starts now, in order."""
        visit = self.visit(name)
        self.visits.remove(visit)
        after = self.scheduler.after(visit, writes)
        fired = fired_by(self.graph.leaving[visit.node], after, visit.rounds + 1)
        started = self.scheduler.end(visit, writes, self.graph.arrows_of(fired))
        self.visits += started
        self.history += self.names(started)
        return " ".join(self.names(started))

    def sees(self, name: str) -> Mapping[str, Any]:
        return self.visit(name).state


def _built(document: Mapping[str, Any]) -> Any:
    """Built without the checker: some of these graphs are ones that it warns of or refuses."""
    from engine.build import build_workflow
    from engine.document import read_document

    text = yaml.safe_dump({"schema_version": "1.0", "flow": {"name": "play"}, **document}, sort_keys=False)
    return build_workflow(read_document(text), TOOLS.registry)


def test_a_join_after_a_fork_waits_for_all() -> None:
    play = Play("[{from: START, to: [a, b, c]}, {from: [a, b, c], to: d}]", "a b c d")
    assert play.running == "a b c"
    assert play.end("b") == ""
    assert play.end("a") == ""
    assert play.end("c") == "d"


def test_a_join_after_a_route_waits_for_the_one_taken() -> None:
    routes = "routes: [{condition: state.a > 5, to: b}, {condition: default, to: c}]"
    play = Play(f"[{{from: START, to: a}}, {{from: a, {routes}}}, {{from: [b, c], to: d}}]", "a b c d")
    assert play.end("a", a=9) == "b"
    assert play.end("b") == "d"
    assert play.end("d") == ""
    assert play.scheduler.idle


def test_a_join_waits_for_an_edge_far_upstream() -> None:
    play = Play(
        "[{from: START, to: [a, b]}, {from: a, to: d}, {from: b, to: c}, {from: c, to: d}]", "a b c d"
    )
    assert play.end("a") == ""
    assert play.end("b") == "c"
    assert play.end("c") == "d"


def test_a_branch_does_not_wait_for_anothers_steps() -> None:
    play = Play("[{from: START, to: [a, b]}, {from: a, to: c}, {from: b, to: d}]", "a b c d")
    assert play.end("a") == "c"
    assert play.end("c") == ""
    assert play.running == "b"


def test_a_join_starts_when_the_branch_it_waited_for_goes_elsewhere() -> None:
    routes = "routes: [{condition: state.b > 5, to: c}, {condition: default, to: d}]"
    play = Play(f"[{{from: START, to: [a, b]}}, {{from: a, to: c}}, {{from: b, {routes}}}]", "a b c d")
    assert play.end("a") == ""
    assert play.end("b", b=1) == "c d"


def test_what_was_waited_for_in_vain_is_seen() -> None:
    """b must have ended before c started, so c sees what b wrote, though b's way led elsewhere."""
    routes = "routes: [{condition: state.b > 5, to: c}, {condition: default, to: d}]"
    play = Play(f"[{{from: START, to: [a, b]}}, {{from: a, to: c}}, {{from: b, {routes}}}]", "a b c d")
    play.end("b", b=1)
    play.end("a", a=2)
    assert (play.sees("c")["a"], play.sees("c")["b"]) == (2, 1)
    assert play.sees("d")["a"] is None, "a ran beside d"


def test_of_nodes_that_wait_for_each_other_the_first_in_the_document_starts() -> None:
    edges = (
        "[{from: START, to: [c, d]}, {from: c, to: a}, {from: d, to: b}, {from: a, to: b}, {from: b, to: a}]"
    )
    play = Play(edges, "a b c d")
    assert play.end("c") == ""
    assert play.end("d") == "a", "b could still come from a, and a from b"
    assert play.end("a") == "b", "one visit of b for both edges"
    assert play.end("b") == "a", "an edge that fires after the start is a new visit"


def test_a_circle_does_not_wait_for_what_can_not_reach_it() -> None:
    edges = "[{from: START, to: [c, d, e]}, {from: c, to: a}, {from: d, to: b}, {from: a, to: b}, {from: b, to: a}]"
    play = Play(edges)
    play.end("c")
    assert play.end("d") == "a"
    assert "e" in play.running


def test_a_node_that_waits_for_a_circle_is_not_its_first() -> None:
    """b stands before c and d, but they do not wait for it."""
    edges = (
        "[{from: START, to: [a, e]}, {from: a, to: [b, c]}, {from: e, to: d}, {from: c, to: d}, {from: d, to: c},"
        " {from: c, to: b}]"
    )
    play = Play(edges)
    play.end("a")
    assert play.end("e") == "c"
    assert play.end("c") == "b d"


def test_a_cycle_by_routes_visits_again() -> None:
    routes = "routes: [{condition: state.b < 3, to: a}, {condition: default, to: c}]"
    play = Play(f"[{{from: START, to: a}}, {{from: a, to: b}}, {{from: b, {routes}}}]", "a b c")
    for number in (1, 2):
        assert play.end("a", a=number) == "b"
        assert play.end("b", b=number) == "a"
        assert play.visit("a").iteration == number + 1
    play.end("a", a=3)
    assert play.end("b", b=3) == "c"
    assert play.sees("c")["a"] == 3


def test_several_entries_of_one_node_all_fire() -> None:
    routes = "routes: [{condition: state.a > 5, to: [b, c]}, {condition: default, to: e}]"
    play = Play(f"[{{from: START, to: a}}, {{from: a, to: d}}, {{from: a, {routes}}}]")
    assert play.end("a", a=9) == "b c d"


def test_without_an_edge_from_start_the_first_node_starts() -> None:
    play = Play("[{from: b, to: c}, {from: a, to: b}]", "a b c")
    assert play.running == "a"


def test_a_loop_counts_from_nought_and_anew_when_entered_anew() -> None:
    edges = """
    - {from: START, to: a}
    - {from: a, to: b}
    - {from: b, loop: {condition_field: done, max_iterations: 2, exit_to: c}}
    - {from: c, routes: [{condition: state.c < 2, to: a}, {condition: default, to: d}]}
    """
    play = Play(edges, "a b c d", "done: {type: bool}")
    for turn in (1, 2):
        play.end("a")
        for count in (0, 1):
            assert play.sees("b")["_loop_iteration_b"] == count
            play.end("b", done=False)
        assert play.sees("c")["_loop_iteration_b"] == 2
        play.end("c", c=turn)
    assert play.history == ["a", "b", "b", "c", "a", "b", "b", "c", "d"]


def test_a_loop_ends_when_its_field_is_true() -> None:
    edges = "[{from: a, loop: {condition_field: done, max_iterations: 9, exit_to: b}}]"
    play = Play(edges, "a b", "done: {type: bool}")
    assert play.end("a", done=False) == "a"
    assert play.end("a", done=True) == "b"


def test_writes_beside_each_other_count_in_document_order() -> None:
    fields = "log: {type: 'list[str]', reduce: append, default: []}, last: {type: str, reduce: last}"
    play = Play("[{from: START, to: [c, b, a]}, {from: [a, b, c], to: d}]", "a b c d", fields)
    for name in "bca":
        play.end(name, log=[name], last=name)
    assert play.sees("d")["log"] == ["a", "b", "c"]
    assert play.sees("d")["last"] == "c"


def test_what_comes_after_counts_after_whatever_the_document_says() -> None:
    fields = "log: {type: 'list[str]', reduce: append, default: []}, last: {type: str, reduce: last}"
    play = Play("[{from: START, to: c}, {from: c, to: a}, {from: a, to: b}]", "a b c", fields)
    for name in "ca":
        play.end(name, log=[name], last=name)
    assert (play.sees("b")["log"], play.sees("b")["last"]) == (["c", "a"], "a")


def test_a_node_does_not_see_what_runs_beside_it() -> None:
    play = Play("[{from: START, to: [a, b]}, {from: a, to: c}, {from: [b, c], to: d}]", "a b c d")
    play.end("b", b=5)
    play.end("a", a=1)
    assert play.sees("c")["b"] is None, "b need not have ended before c starts"
    play.end("c", c=2)
    assert (play.sees("d")["a"], play.sees("d")["b"], play.sees("d")["c"]) == (1, 5, 2)


def test_a_long_run_keeps_no_past() -> None:
    """Chains and loops fold what has ended, so a node costs the same however long the run is."""
    play = Play(
        "[{from: a, to: b}, {from: b, routes: [{condition: state.b < 500, to: a}, {condition: default, to: c}]}]"
    )
    for number in range(1, 500):
        play.end("a", a=number)
        play.end("b", b=number)
        assert len(play.scheduler.history._ended) <= 1
