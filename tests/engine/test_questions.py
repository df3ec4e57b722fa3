"""Questions of big and of early-ended maps: what is open, what can be answered, and what looking for it costs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.errors import NotFound
from tests.engine.flows import Tools, engine_on, workflow
from tests.engine.nested import Probe, Spreading, saved

EARLY = """
state: {fields: {xs: {type: "list[int]", default: [0, 5, 6]}, y: {type: "list[int]"}, z: str}}
nodes:
  - {id: map, MAP, for_each: state.xs, outputs: [y], on_error: later}
  - {id: later, ask: And now?, outputs: [z]}
edges: [{from: START, to: map}, {from: map, to: END}, {from: later, to: END}]
"""
PAYS = (
    "tool: pay, timeout: 0.1, args: {value: '{item}', seconds: '{item}', fails: 1, when: 0, hopeless: true}"
)
CHILD = """
state: {fields: {x: {type: int, required: true}, y: {type: int}, w: str}}
nodes:
  - {id: try, tool: probe, args: {value: "{state.x}", fails: 1, when: 0, hopeless: true}, outputs: [y]}
  - {id: q, ask: "What of {state.x}?", outputs: [w]}
"""


@pytest.mark.parametrize("kind", ["effects", "children", "parts"])
async def test_a_visit_that_ends_early_takes_its_questions_along(tmp_path: Path, kind: str) -> None:
    tools = Probe()
    text = EARLY.replace("MAP", PAYS if kind == "effects" else 'workflow: child, inputs: {x: "{item}"}')
    xs = [0, 5, 6] if kind != "parts" else [0, *range(5, 25)]
    dispatcher = {"dispatcher": Spreading} if kind == "parts" else {}
    async with engine_on(tmp_path / "runs.db", tools, **dispatcher) as engine:
        made = workflow(text, tools)
        run_id = await engine.start(made, {"xs": xs}, workflows=saved(child=CHILD))
        view = await engine.wait(run_id)
        assert view["status"] == "waiting", view
        assert [wait["node"] for wait in view["waiting"]] == ["later"]
        assert [wait["node"] for wait in await engine.waiting()] == ["later"]
        path = "map[1]" if kind == "effects" else "map[1]/q"
        with pytest.raises(NotFound):
            await engine.answer(run_id, path, "did happen" if kind == "effects" else "approve")
        await engine.answer(run_id, "later", "approve")
        assert (await engine.wait(run_id))["status"] == "ok"


async def test_one_of_thousands_of_questions_is_found_quickly(tmp_path: Path, soak: bool) -> None:
    """The loop guard watches that nothing here keeps the loop."""
    tools, count = Tools(), 20_000 if soak else 3_000
    text = """
    state: {fields: {xs: "list[int]", ys: "list[str]"}}
    nodes: [{id: map, ask: "What of {item}?", for_each: state.xs, outputs: [ys]}]
    """
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        view = await engine.run(workflow(text, tools), {"xs": list(range(count))})
        run_id = view["run_id"]
        assert view["status"] == "waiting"
        assert len(await engine.waiting(limit=20_000)) == count
        after = await engine.answer(run_id, f"map[{count - 7}]", "approve")
        assert after["status"] in ("running", "waiting")
        await engine.answer(run_id, "map", "reject")
        found = await engine.store.waits(run_id=run_id, answered=True)
        assert {wait.path for wait in found} == {f"map[{count - 7}]", "map[0]"}
        with pytest.raises(NotFound, match=r"What waits: map\[1\], map\[2\], .* and more"):
            await engine.answer(run_id, "nowhere", "approve")


async def test_a_map_that_fails_leaves_no_question_behind(tmp_path: Path) -> None:
    tools = Probe()
    text = EARLY.replace("MAP", 'workflow: child, inputs: {x: "{item}"}').replace(", on_error: later", "")
    text = text.replace("  - {id: later, ask: And now?, outputs: [z]}\n", "").partition("edges")[0]
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await engine.start(workflow(text, tools), {"xs": [5, 6, 0]}, workflows=saved(child=CHILD))
        assert (await engine.wait(run_id))["status"] == "failed"
        async with asyncio.timeout(60):  # a child that was just beginning ends a moment later
            while any(child.end_event is None for child in await engine.store.children(run_id)):
                await asyncio.sleep(0.02)
        assert await engine.waiting() == []
