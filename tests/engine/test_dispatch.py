"""Who executes a run and when: delays, priorities, claims of what nobody owns, and stopping all of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.dispatch import LocalDispatcher
from engine.engine import Engine
from tests.engine.flows import Tools, engine_on, until, workflow
from tests.patience import within

ONE = """
state: {fields: {x: int, y: int}}
nodes:
  - {id: one, tool: add, args: {a: "{state.x}"}, outputs: [y]}
"""
SLOW = "state: {fields: {y: int}}\nnodes: [{id: slow, tool: sleep, args: {seconds: 30}, outputs: [y]}]\n"


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
async def engine(tools: Tools, tmp_path: Path) -> AsyncIterator[Engine]:
    async with engine_on(tmp_path / "runs.db", tools) as made:
        yield made


async def test_a_delayed_run_starts_when_it_is_due(engine: Engine, tools: Tools) -> None:
    await engine.recover()
    began = time.monotonic()
    run_id = await engine.start(workflow(ONE, tools), {"x": 1}, delay=1.0)
    view = await engine.view(run_id)
    assert (view["status"], view["nodes"], engine._dispatcher.live(run_id)) == ("running", [], None)
    view = await engine.wait(run_id)
    assert (view["status"], view["outputs"]) == ("ok", {"y": 2})
    assert 1.0 <= time.monotonic() - began < within(4.0)


async def test_a_delayed_run_waits_for_a_process_that_recovers(tools: Tools, tmp_path: Path) -> None:
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await engine.start(workflow(ONE, tools), {"x": 1}, delay=0.2)
        later = await engine.start(workflow(ONE, tools), {"x": 2}, delay=3600)
        await asyncio.sleep(0.3)
        assert tools.log == []
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        assert await engine.recover() == [run_id]
        assert (await engine.wait(run_id))["status"] == "ok"
        assert (await engine.view(later))["nodes"] == []
        await engine.cancel(later)
        assert (await engine.wait(later))["status"] == "cancelled"
    assert tools.log == [("add", 1)]


async def test_what_is_more_urgent_is_claimed_first(tools: Tools, tmp_path: Path) -> None:
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        began = time.time()
        ids = [
            await engine.start(workflow(ONE, tools), {"x": n}, delay=2, priority=priority)
            for n, priority in enumerate((5, 0, -3, 0))
        ]
        assert time.time() - began < 2, "none is to be due before the last is stored"
    await asyncio.sleep(2.1)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        assert await engine.recover() == [ids[2], ids[1], ids[3], ids[0]]


async def test_a_run_is_stopped_within_a_second_wherever_it_is(tools: Tools, tmp_path: Path) -> None:
    async with (
        engine_on(tmp_path / "runs.db", tools) as owner,
        engine_on(tmp_path / "runs.db", tools) as other,
    ):
        for who in (owner, other):
            run_id = await owner.start(workflow(SLOW, tools), {})
            await until(lambda: tools.running == 1)
            began = time.monotonic()
            await who.cancel(run_id)
            await until(lambda: tools.running == 0)
            assert time.monotonic() - began < within(1)
            assert (await who.wait(run_id))["status"] == "cancelled"


async def test_a_woken_run_is_taken_by_one_process_only(tools: Tools, tmp_path: Path) -> None:
    text = """
    state: {fields: {ok: bool, y: int}}
    nodes:
      - {id: ask, ask: "Go?", outputs: [ok]}
      - {id: one, tool: sleep, args: {seconds: 0.3, value: 1}, outputs: [y]}
    """
    async with (
        engine_on(tmp_path / "runs.db", tools) as first,
        engine_on(tmp_path / "runs.db", tools) as second,
    ):
        await first.recover()
        await second.recover()
        ids = [(await first.run(workflow(text, tools), {}))["run_id"] for _ in range(8)]
        for run_id in ids:  # woken in the store alone: whoever looks first takes it
            await first.store.answer(run_id, "ask", 1, "approve", "local", time.time())
        async with asyncio.timeout(10):
            for run_id in ids:
                async for _ in second.events(run_id):
                    pass
                assert (await second.view(run_id))["status"] == "ok"
    assert len(tools.log) == 8
    assert isinstance(first._dispatcher, LocalDispatcher)
