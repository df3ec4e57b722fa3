"""Big maps that are cut into runs of their own, executed here by the local dispatcher."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.parts import MOST, cut
from tests.engine.flows import engine_on, until, workflow
from tests.engine.nested import Probe, Spreading, saved

MAP = """
state:
  fields:
    {xs: "list[int]", k: {type: int, default: 5}, big: {type: str, default: unused}, ys: "list[int]", done: int}
nodes:
  - {id: map, tool: probe, for_each: state.xs, args: {value: "{item}" ARGS}, outputs: [ys] MORE}
  - {id: after, tool: add, args: {a: 1}, outputs: [done]}
"""


@pytest.fixture
def tools() -> Probe:
    return Probe()


def flow(tools: Probe, args: str = "", more: str = "", text: str = MAP) -> Any:
    return workflow(text.replace("ARGS", args).replace("MORE", more), tools)


@given(st.integers(1, 20_000), st.none() | st.integers(1, 300))
def test_parts_are_all_elements_once_and_within_the_bound(elements: int, most: int | None) -> None:
    parts, at_once = cut(elements, most)
    assert parts[0].first == 0
    assert parts[-1].first + parts[-1].count == elements
    assert all(a.first + a.count == b.first for a, b in pairwise(parts))
    assert len(parts) <= MOST
    assert max(p.count for p in parts) - min(p.count for p in parts) <= 1
    if most is not None:
        assert at_once * max(p.parallel or 0 for p in parts) <= most
    assert all(p.parallel is None or p.parallel >= 1 for p in parts)


async def test_the_same_as_in_one_run(tools: Probe, tmp_path: Path) -> None:
    xs = list(range(50))
    async with engine_on(tmp_path / "runs.db", tools, dispatcher=Spreading) as engine:
        view = await engine.run(flow(tools), {"xs": xs})
        children = await engine.store.children(view["run_id"])
        assert (view["status"], view["state"]["ys"], view["state"]["done"]) == ("ok", xs, 2)
        assert [n["id"] for n in view["nodes"]] == ["map", "after"]
        assert view["children"][0]["path"] == "map[0-6]"
        assert len(children) == 7
        rows = [row.path for child in children for row in await engine.store.rows(child.id)]
        assert {path for path in rows if path != "map"} == {f"map[{n}]" for n in xs}
        assert all("big" not in child.part["state"] for child in children if child.part)
        small = await engine.run(flow(tools), {"xs": xs[:16]})
        assert small["children"] == [], "not worth the trouble"


async def test_so_many_at_a_time_over_all_parts(tools: Probe, tmp_path: Path) -> None:
    async with engine_on(tmp_path / "runs.db", tools, dispatcher=Spreading) as engine:
        view = await engine.run(flow(tools, ", seconds: 0.005", ", max_parallel: 3"), {"xs": list(range(40))})
    assert view["state"]["ys"] == list(range(40))
    assert tools.most <= 3


async def test_a_failed_element_is_named(tools: Probe, tmp_path: Path) -> None:
    args = ", when: 33, fails: 9, hopeless: true"
    async with engine_on(tmp_path / "runs.db", tools, dispatcher=Spreading) as engine:
        view = await engine.run(flow(tools, args), {"xs": list(range(40))})
        assert view["error"].startswith(
            "Node 'map' failed: Element 33 (state.xs[33]) failed: The server is busy."
        )
        assert {c.status for c in await engine.store.children(view["run_id"])} <= {"ok", "failed"}
        view = await engine.run(flow(tools, args, ", on_error: after"), {"xs": list(range(40))})
        assert view["state"]["_error_map"].startswith("Element 33 ")
        view = await engine.run(flow(tools, args, ", on_error: continue"), {"xs": list(range(40))})
        assert view["state"]["ys"] == [*range(33), None, *range(34, 40)]
        assert view["state"]["_error_map"].startswith("Element 33 (state.xs[33]) failed")


async def test_questions_of_parts(tools: Probe, tmp_path: Path) -> None:
    text = MAP.replace(
        'tool: probe, for_each: state.xs, args: {value: "{item}" ARGS}',
        'ask: "{item} of {state.k}?", for_each: state.xs',
    )
    async with engine_on(tmp_path / "runs.db", tools, dispatcher=Spreading) as engine:
        view = await engine.run(flow(tools, text=text), {"xs": list(range(20))})
        assert (view["status"], len(view["waiting"])) == ("waiting", 20)
        assert {w["question"] for w in view["waiting"]} == {f"{n} of 5?" for n in range(20)}
        for number in reversed(range(20)):
            await engine.answer(view["run_id"], f"map[{number}]", number * 2)
        view = await engine.wait(view["run_id"])
    assert view["state"]["ys"] == [n * 2 for n in range(20)]


async def test_a_person_stops_all_parts(tools: Probe, tmp_path: Path) -> None:
    text = MAP.replace("tool: probe", "tool: pay")
    args = ', seconds: "{state.k}"'
    async with engine_on(tmp_path / "runs.db", tools, dispatcher=Spreading) as engine:
        made = flow(tools, args, ", timeout: 0.05, on_error: continue", text)
        view = await engine.run(made, {"xs": list(range(20))})
        assert view["status"] == "unknown"
        await engine.answer(view["run_id"], "map[11]", "stop")
        view = await engine.wait(view["run_id"])
    assert (view["status"], view["waiting"]) == ("failed", [])
    assert "the run was stopped for that" in view["error"]


async def test_sub_workflows_in_parts(tools: Probe, tmp_path: Path) -> None:
    child = (
        "state: {fields: {x: int, y: int}}\n"
        + 'nodes: [{id: a, tool: add, args: {a: "{state.x}"}, outputs: [y]}]\n'
    )
    text = """
    state: {fields: {xs: {type: "list[int]"}, y: {type: "list[int]"}}}
    nodes: [{id: call, workflow: child, for_each: state.xs, inputs: {x: "{item}"}, outputs: [y]}]
    """
    async with engine_on(tmp_path / "runs.db", tools, dispatcher=Spreading) as engine:
        run_id = await engine.start(
            workflow(text, tools), {"xs": list(range(20))}, workflows=saved(child=child)
        )
        view = await engine.wait(run_id)
        assert view["outputs"] == {"y": list(range(1, 21))}
        deepest = [r for r in await engine.store.find(children=True, limit=100) if r.workflow == "child"]
    assert len(deepest) == 20
    assert {r.root_id for r in deepest} == {run_id}


async def test_cancelled_and_resumed(tools: Probe, tmp_path: Path) -> None:
    slow = flow(tools, ", seconds: 0.1")
    async with engine_on(tmp_path / "runs.db", tools, dispatcher=Spreading) as engine:
        run_id = await engine.start(slow, {"xs": list(range(40))})
        await until(lambda: tools.running >= 20)
        await engine.cancel(run_id)
        assert (await engine.wait(run_id))["status"] == "cancelled"
        assert {c.status for c in await engine.store.children(run_id)} == {"cancelled"}
        assert tools.running == 0
        tools.keys.clear()
        run_id = await engine.start(slow, {"xs": list(range(40)), "k": 6})
        await until(lambda: len(tools.keys) >= 25)
    async with engine_on(tmp_path / "runs.db", tools, dispatcher=Spreading) as engine:
        await engine.recover()
        view = await engine.wait(run_id)
    assert view["state"]["ys"] == list(range(40))
