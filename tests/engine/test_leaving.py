"""An orderly stop: what must not happen twice may end, and nothing new begins."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.engine.flows import engine_on, until, workflow
from tests.engine.test_effects import PAY, Payments, statuses
from tests.patience import within
from tools.registry import ToolError


async def test_a_payment_under_way_ends_and_what_follows_is_left_to_the_next(tmp_path: Path) -> None:
    tools = Payments()
    tools.hold = 0.3
    async with engine_on(tmp_path / "runs.db", tools, patience=1.5) as engine:
        run_id = await engine.start(workflow(PAY.replace("MORE", ""), tools), {})
        await until(lambda: tools.running == 1)
    assert (tools.paid, tools.log) == (["bank"], [])
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        assert statuses(await engine.view(run_id)) == [("pay", 1, "ok"), ("last", 1, "running")]
        assert await engine.recover() == [run_id]
        view = await engine.wait(run_id)
    assert (view["status"], view["outputs"]) == ("ok", {"said": "for bank!"})
    assert statuses(view) == [("pay", 1, "ok"), ("last", 1, "ok")]
    assert tools.paid == ["bank"]


async def test_the_last_node_ends_its_run(tmp_path: Path) -> None:
    tools = Payments()
    tools.hold = 0.2
    flow = """
state: {fields: {receipt: str}}
nodes: [{id: pay, tool: pay, args: {to: bank}, outputs: [receipt]}]
"""
    async with engine_on(tmp_path / "runs.db", tools, patience=1.5) as engine:
        run_id = await engine.start(workflow(flow, tools), {})
        await until(lambda: tools.running == 1)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        assert (await engine.view(run_id))["status"] == "ok"


async def test_what_takes_longer_is_in_doubt_and_nobody_waits_for_more(tmp_path: Path) -> None:
    tools = Payments()
    tools.hold = 30
    async with engine_on(tmp_path / "runs.db", tools, patience=0.3) as engine:
        run_id = await engine.start(workflow(PAY.replace("MORE", ""), tools), {})
        await until(lambda: tools.running == 1)
        began = time.monotonic()
    assert 0.3 <= time.monotonic() - began < within(1.2)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        await engine.recover()
        assert (await engine.wait(run_id))["status"] == "unknown"


async def test_elements_under_way_end_and_no_further_one_begins(tmp_path: Path) -> None:
    tools = Payments()
    tools.hold = 0.2
    flow = """
state: {fields: {names: {type: "list[str]", default: [a, b, c, d]}, receipt: "list[str]"}}
nodes:
  - id: pay
    tool: pay
    for_each: state.names
    as: name
    max_parallel: 2
    args: {to: "{name}"}
    outputs: [receipt]
"""
    async with engine_on(tmp_path / "runs.db", tools, patience=1.5) as engine:
        run_id = await engine.start(workflow(flow, tools), {})
        await until(lambda: tools.running == 2)
    assert sorted(tools.paid) == ["a", "b"]
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        await engine.recover()
        assert (await engine.wait(run_id))["status"] == "ok"
    assert sorted(tools.paid) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("on_error", ["fail", "continue"])
async def test_a_refusal_while_leaving_counts_as_ever(tmp_path: Path, on_error: str) -> None:
    tools = Payments()
    tools.late = ToolError("The bank is closed.", "Come back tomorrow.")
    tools.hold = 0.2
    async with engine_on(tmp_path / "runs.db", tools, patience=1.5) as engine:
        run_id = await engine.start(workflow(PAY.replace("MORE", f", on_error: {on_error}"), tools), {})
        await until(lambda: tools.running == 1)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        await engine.recover()
        view = await engine.wait(run_id)
    assert statuses(view)[0] == ("pay", 1, "failed")
    assert view["status"] == ("failed" if on_error == "fail" else "ok")
    assert tools.paid == []
