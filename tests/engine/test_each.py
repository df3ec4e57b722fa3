"""Nodes that run once per element: order, bounds, failures, what is waited for, what outlives a process."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from engine.models import ModelChoice, Models
from engine.nodes.each import PARALLEL
from tests.engine.flows import engine_on, until, workflow
from tests.engine.nested import Probe
from tests.fakes.openai_server import FakeOpenAI, Reply
from tests.patience import within

MAP = """
state: {fields: {xs: {type: "list[int]"}, ys: {type: "list[int]"}, done: {type: int}}}
nodes:
  - {id: map, tool: probe, for_each: state.xs, args: {value: "{item}" ARGS}, outputs: [ys] MORE}
  - {id: after, tool: add, args: {a: 1}, outputs: [done]}
"""


@pytest.fixture
def tools() -> Probe:
    return Probe()


async def run(tmp_path: Path, tools: Probe, xs: Any, args: str = "", more: str = "", text: str = MAP) -> Any:
    flow = workflow(text.replace("ARGS", args).replace("MORE", more), tools)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        return await engine.run(flow, {"xs": xs})


def rows(view: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(n["id"], n["status"], n["attempt"]) for n in view["nodes"]]


async def test_order_is_kept_whatever_ends_first(tools: Probe, tmp_path: Path) -> None:
    text = MAP.replace('{value: "{item}" ARGS}', '{value: "{n.v}", seconds: "{n.s}"}').replace(
        "MORE", ", as: n"
    )
    flow = workflow(text.replace('xs: {type: "list[int]"}', "xs: {type: list}"), tools)
    xs = [{"v": n, "s": 0.05 - n / 100} for n in range(5)]
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        view = await engine.run(flow, {"xs": xs})
    assert view["state"]["ys"] == [0, 1, 2, 3, 4]
    assert sorted(rows(view)) == sorted(
        [*((f"map[{n}]", "ok", 1) for n in range(5)), ("map", "ok", 1), ("after", "ok", 1)]
    )
    assert view["nodes"][0]["id"] == "map[4]", "rows are in the order of time"


@pytest.mark.parametrize(
    ("more", "most"), [("", PARALLEL), (", max_parallel: 3", 3), (", max_parallel: 50", 20)]
)
async def test_so_many_at_a_time(tools: Probe, tmp_path: Path, more: str, most: int) -> None:
    view = await run(tmp_path, tools, list(range(20)), ", seconds: 0.01", more)
    assert view["state"]["ys"] == list(range(20))
    assert tools.most == most


async def test_no_elements(tools: Probe, tmp_path: Path) -> None:
    view = await run(tmp_path, tools, [])
    assert (view["state"]["ys"], view["state"]["done"]) == ([], 2)


@pytest.mark.parametrize(
    ("xs", "said"), [(None, "state.xs is empty (null), not a list."), ({"a": 1}, "not a list")]
)
async def test_no_list(tools: Probe, tmp_path: Path, xs: Any, said: str) -> None:
    view = await run(tmp_path, tools, xs, text=MAP.replace('xs: {type: "list[int]"}', "xs: {type: any}"))
    assert view["status"] == "failed"
    assert said in view["error"]
    assert "default of []" in view["error"]


async def test_a_failed_element_fails_the_node_and_is_named(tools: Probe, tmp_path: Path) -> None:
    began = time.monotonic()
    view = await run(tmp_path, tools, list(range(30)), ", seconds: 0.05, when: 3, fails: 9, hopeless: true")
    assert view["status"] == "failed"
    assert view["error"].startswith("Node 'map' failed: Element 3 (state.xs[3]) failed: The server is busy.")
    assert len(tools.keys) <= 2 * PARALLEL, "the others were not begun"
    assert time.monotonic() - began < within(2)


async def test_go_on_without_the_elements_that_failed(tools: Probe, tmp_path: Path) -> None:
    args = ", when: 2, fails: 9, hopeless: true"
    view = await run(tmp_path, tools, [0, 1, 2, 3, 2], args, ", on_error: continue")
    assert (view["status"], view["state"]["ys"]) == ("ok", [0, 1, None, 3, None])
    assert view["state"]["_error_map"].startswith("Element 2 (state.xs[2]) failed: The server is busy.")
    assert view["state"]["_error_map"].endswith("(1 more failed.)")
    assert view["state"]["done"] == 2


async def test_the_failure_that_counts_is_the_first_elements(tools: Probe, tmp_path: Path) -> None:
    """Where the document goes on after it, time has no say in what the state becomes."""
    text = MAP.replace('value: "{item}" ARGS', 'value: "{item}", seconds: "{item}", fails: 9, hopeless: true')
    text = text.replace('"list[int]"}, ys', '"list[float]"}, ys').replace(
        'ys: {type: "list[int]"}', "ys: {type: list}"
    )
    view = await run(tmp_path, tools, [0.05, 0.0, 0.02], more=", on_error: after", text=text)
    assert view["status"] == "ok"
    assert view["state"]["ys"] is None
    assert view["state"]["_error_map"].startswith("Element 0 (state.xs[0]) failed")


async def test_each_element_is_tried_again_by_itself(tools: Probe, tmp_path: Path) -> None:
    retry = ", retry: {max_attempts: 3, backoff_seconds: 0.001}"
    view = await run(tmp_path, tools, [5, 6, 7], ", when: 6, fails: 2", retry)
    assert view["state"]["ys"] == [5, 6, 7]
    assert [r for r in rows(view) if r[0].startswith("map[1]")] == [
        ("map[1]", "failed", 1),
        ("map[1]", "failed", 2),
        ("map[1]", "ok", 3),
    ]
    assert len(tools.keys) == 5


async def test_time_is_bounded_per_element(tools: Probe, tmp_path: Path) -> None:
    text = MAP.replace('value: "{item}" ARGS', 'value: 1, seconds: "{item}"').replace(
        '"list[int]"}, ys', '"list[float]"}, ys'
    )
    more = ", timeout: 1.5, max_parallel: 1, on_error: continue"
    view = await run(tmp_path, tools, [0.8, 60.0, 0.8], more=more, text=text)
    assert view["state"]["ys"] == [1, None, 1], "together they take longer, and may"
    assert "It took longer than its 1.5 seconds." in view["state"]["_error_map"]


async def test_outputs_are_checked_per_element(tools: Probe, tmp_path: Path) -> None:
    view = await run(
        tmp_path, tools, [1, "x"], text=MAP.replace('xs: {type: "list[int]"}', "xs: {type: list}")
    )
    assert "Element 1 (state.xs[1]) failed" in view["error"]
    assert "'x' is not a whole number" in view["error"]


async def test_elements_are_appended(tools: Probe, tmp_path: Path) -> None:
    fields = 'ys: {type: "list[int]", reduce: append, default: [9]}'
    view = await run(tmp_path, tools, [1, 2], text=MAP.replace('ys: {type: "list[int]"}', fields))
    assert view["state"]["ys"] == [9, 1, 2]


async def test_calls_are_counted_once(tools: Probe, tmp_path: Path) -> None:
    text = """
    state: {fields: {names: {type: "list[str]"}, hellos: {type: "list[str]"}}}
    nodes:
      - {id: greet, prompt: "Greet {item}", for_each: state.names, outputs: [hellos], max_parallel: 1}
    """
    with FakeOpenAI([Reply("Hi 1", usage=(10, 2)), Reply("Hi 2", usage=(20, 3))]) as fake:
        models = Models(ModelChoice(model="openai/fake", api_base=fake.base_url, api_key="k"))
        async with engine_on(tmp_path / "runs.db", tools, models=models) as engine:
            view = await engine.run(workflow(text, tools), {"names": ["Ada", "Bob"]})
        await models.close()
    assert view["outputs"] == {"hellos": ["Hi 1", "Hi 2"]}
    assert (view["prompt_tokens"], view["completion_tokens"]) == (30, 5)
    assert [(n["id"], n["prompt_tokens"]) for n in view["nodes"]] == [
        ("greet[0]", 10),
        ("greet[1]", 20),
        ("greet", None),
    ]


# --- waiting ----------------------------------------------------------------------------------------------

ASK = """
state: {fields: {xs: {type: "list[str]"}, ys: {type: "list[str]"}}}
nodes:
  - {id: ask, ask: "What of {item}?", options: [keep, drop], for_each: state.xs, outputs: [ys], max_parallel: 1}
"""


async def test_who_waits_holds_nobody_up(tools: Probe, tmp_path: Path) -> None:
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        view = await engine.run(workflow(ASK, tools), {"xs": ["a", "b", "c"]})
        assert view["status"] == "waiting"
        assert [(w["node"], w["question"]) for w in view["waiting"]] == [
            (f"ask[{n}]", f"What of {name}?") for n, name in enumerate("abc")
        ]
        assert engine._dispatcher.live(view["run_id"]) is None, "no task, no memory"
        for number, said in ((2, "drop"), (0, "keep"), (1, "drop")):
            await engine.answer(view["run_id"], f"ask[{number}]", said)
            view = await engine.wait(view["run_id"])
    assert view["outputs"] == {"ys": ["keep", "drop", "drop"]}


async def test_answered_after_a_restart(tools: Probe, tmp_path: Path) -> None:
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = (await engine.run(workflow(ASK, tools), {"xs": ["a", "b"]}))["run_id"]
        await engine.answer(run_id, "ask[1]", "drop")
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        await engine.recover()
        await engine.answer(run_id, "ask[0]", "keep")
        assert (await engine.wait(run_id))["outputs"] == {"ys": ["keep", "drop"]}


# --- stopping and going on --------------------------------------------------------------------------------


async def test_cancelled_with_all_its_elements(tools: Probe, tmp_path: Path) -> None:
    flow = workflow(MAP.replace("ARGS", ", seconds: 30").replace("MORE", ""), tools)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await engine.start(flow, {"xs": list(range(20))})
        await until(lambda: tools.running == PARALLEL)
        await engine.cancel(run_id)
        view = await engine.wait(run_id)
    assert tools.running == 0
    assert [(n["id"], n["status"]) for n in view["nodes"]] == [("map", "cancelled")]


async def test_nothing_that_ended_runs_again(tools: Probe, tmp_path: Path) -> None:
    text = MAP.replace('value: "{item}" ARGS', 'value: 1, seconds: "{item}"').replace(
        '"list[int]"}, ys', '"list[float]"}, ys'
    )
    flow = workflow(text.replace("MORE", ""), tools)
    xs = [0.0, 30.0, 0.0, 0.0, 30.0, 0.0]
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await engine.start(flow, {"xs": xs})
        await until(lambda: len(tools.keys) == 6 and tools.running == 2)
        await asyncio.sleep(0.05)
    before = len(tools.keys)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        await engine.recover()
        await until(lambda: tools.running == 2)
        await asyncio.sleep(0.05)
        assert sorted(tools.keys[before:]) == ["map[1]/1", "map[4]/1"]
        await engine.cancel(run_id)


async def test_what_must_not_happen_twice_ends_when_another_element_fails(
    tools: Probe, tmp_path: Path
) -> None:
    text = MAP.replace("probe", "pay").replace(
        'value: "{item}" ARGS', 'value: "{item}", seconds: 0.1, when: 1, fails: WHAT'
    )
    flow = workflow(text.replace("WHAT", "9, hopeless: true").replace("MORE", ""), tools)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        view = await engine.run(flow, {"xs": [0, 1, 2]})
        stored = await engine.store.rows(view["run_id"])
    ended = {row.path for row in stored if row.status == "ok"}
    assert {"map[0]", "map[2]"} <= ended or view["status"] == "unknown", view
    assert tools.running == 0


async def test_what_may_have_happened_is_asked_per_element(tools: Probe, tmp_path: Path) -> None:
    text = MAP.replace("probe", "pay").replace("ARGS", ", seconds: 0.3").replace("MORE", "")
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await engine.start(workflow(text, tools), {"xs": [7, 8]})
        await until(lambda: tools.running == 2)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        await engine.recover()
        view = await engine.wait(run_id)
        assert (view["status"], [w["node"] for w in view["waiting"]]) == ("unknown", ["map[0]", "map[1]"])
        await engine.answer(run_id, "map[0]", {"ys": 70})
        await engine.answer(run_id, "map[1]", "try again")
        view = await engine.wait(run_id)
    assert view["state"]["ys"] == [70, 8]
    assert sorted(tools.keys) == ["map[0]/1", "map[1]/1", "map[1]/1"]


# --- what it costs ----------------------------------------------------------------------------------------


async def test_many_elements_are_not_many_tasks(tools: Probe, soak: bool, tmp_path: Path) -> None:
    count = 10_000 if soak else 2_000
    view = await run(tmp_path, tools, list(range(count)))
    assert view["state"]["ys"] == list(range(count))
    assert tools.tasks < PARALLEL + 20
