"""What outlives a process: killed, stopped, closed, replaced; and that nothing that has ended happens twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from engine.engine import Engine
from engine.errors import FenceLost, RunError
from engine.ports import NodeRow, Process
from engine.process import born, is_gone, this_process
from sessions.db import open_db
from sessions.runs import SqliteRunStore
from tests.engine.flows import NoModels, Tools, engine_on, until, workflow
from tests.engine.victim import EXPECTED, VISITS, registry
from tests.patience import within
from tests.reference.harness import cut_back

ROOT = Path(__file__).resolve().parents[2]
SLOW = """
state: {fields: {x: {type: int}, y: {type: int}}}
nodes:
  - {id: quick, tool: add, args: {a: 1}, outputs: [x]}
  - {id: slow, tool: sleep, args: {seconds: SECONDS, value: 5}, outputs: [y]}
"""


@asynccontextmanager
async def victim(
    folder: Path, synchronous: str = "NORMAL", pace: float = 0.02
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A process that runs the victim's workflow; its run's id. Killed at the end if it still lives."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.engine.victim", str(folder / "runs.db"), str(folder / "log"), synchronous,
        str(pace),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        run_id = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
        yield process, run_id
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def ended_rows(folder: Path) -> list[str]:
    """The visits with a row, as node/iteration."""
    with closing(sqlite3.connect(folder / "runs.db")) as connection:
        rows = connection.execute("SELECT node, iteration FROM node_rows WHERE status = 'ok'")
        return [f"{node}/{iteration}" for node, iteration in rows]


def begun(folder: Path) -> list[str]:
    log = folder / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line.split()[1] for line in lines if line.startswith("begin")]


@asynccontextmanager
async def successor(folder: Path) -> AsyncIterator[Engine]:
    db = open_db(folder / "runs.db", synchronous="NORMAL")
    engine = Engine(SqliteRunStore(db), NoModels(), registry(folder / "log"))
    try:
        yield engine
    finally:
        await engine.close()
        db.close()


@pytest.mark.slow
@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
async def test_killed_and_started_again(tmp_path: Path, soak: bool, synchronous: str) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    random = Random(seed)
    for number in range(20 if soak else 3):
        folder = tmp_path / str(number)
        folder.mkdir()
        rows = random.randrange(0, VISITS)
        async with victim(folder, synchronous) as (process, run_id):
            await until(lambda at=folder, n=rows: len(ended_rows(at)) >= n, 20)
            process.send_signal(signal.SIGKILL)
            await process.wait()
        done = ended_rows(folder)
        before = begun(folder)
        async with successor(folder) as engine:
            assert await engine.recover() == [run_id]
            view = await engine.wait(run_id)
            events = [e async for e in engine.events(run_id)]
        assert view["status"] == "ok", view["error"]
        assert view["outputs"] == EXPECTED, f"killed after {done}"
        again = begun(folder)[len(before) :]
        assert not set(again) & set(done), "a node that had ended ran again"
        assert sorted(done + again) == sorted(set(done + again)), "every other visit ran once more at most"
        assert len(set(done + again)) == VISITS
        assert [e.id for e in events] == list(range(1, 2 * VISITS + 3))


@pytest.mark.slow
async def test_a_process_that_only_stands_still_keeps_its_run(tmp_path: Path) -> None:
    async with victim(tmp_path) as (process, run_id):
        await until(lambda: len(ended_rows(tmp_path)) >= 2, 20)
        process.send_signal(signal.SIGSTOP)
        async with successor(tmp_path) as engine:
            assert await engine.recover() == []
            process.send_signal(signal.SIGCONT)
            assert (await asyncio.wait_for(engine.wait(run_id), 20))["outputs"] == EXPECTED
        assert sorted(begun(tmp_path)) == sorted(set(begun(tmp_path)))


@pytest.mark.slow
async def test_cancelled_from_another_process(tmp_path: Path) -> None:
    async with victim(tmp_path, pace=0.5) as (_, run_id), successor(tmp_path) as engine:
        await until(lambda: len(ended_rows(tmp_path)) >= 1, 20)
        began = time.monotonic()
        await engine.cancel(run_id)
        view = await engine.wait(run_id)
        assert view["status"] == "cancelled"
        assert time.monotonic() - began < within(2)


@pytest.mark.slow
async def test_followed_from_another_process(tmp_path: Path) -> None:
    async with victim(tmp_path) as (_, run_id), successor(tmp_path) as engine:
        events = [e async for e in engine.events(run_id)]
        assert [e.id for e in events] == list(range(1, 2 * VISITS + 3))
        assert events[-1].data["outputs"] == EXPECTED


@pytest.mark.slow
async def test_cancel_of_a_run_whose_process_is_gone(tmp_path: Path) -> None:
    async with victim(tmp_path) as (process, run_id):
        await until(lambda: len(ended_rows(tmp_path)) >= 2, 20)
        process.kill()
        await process.wait()
    async with successor(tmp_path) as engine:
        await engine.cancel(run_id)
        assert (await engine.view(run_id))["status"] == "cancelled"


async def test_closed_and_opened_again(tmp_path: Path) -> None:
    """A server that is stopped leaves its runs to its successor."""
    tools = Tools()
    flow = workflow(SLOW.replace("SECONDS", "0.3"), tools)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await engine.start(flow, {})
        await until(lambda: tools.running == 1)
        waiter = asyncio.create_task(engine.wait(run_id))
        await asyncio.sleep(0)
    with pytest.raises(RunError, match="left to another process"):
        await waiter
    assert tools.running == 0
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        assert (await engine.view(run_id))["status"] == "running"
        assert await engine.recover() == [run_id]
        view = await engine.wait(run_id)
    assert view["outputs"] == {"y": 5}
    assert [call for call in tools.log if call[0] == "add"] == [("add", 1)], (
        "what had ended did not run again"
    )


async def test_a_living_owner_keeps_its_run(tmp_path: Path) -> None:
    tools = Tools()
    async with (
        engine_on(tmp_path / "runs.db", tools) as owner,
        engine_on(tmp_path / "runs.db", tools) as other,
    ):
        run_id = await owner.start(workflow(SLOW.replace("SECONDS", "0.2"), tools), {})
        assert await other.recover() == []
        assert (await other.wait(run_id))["outputs"] == {"y": 5}


async def test_an_owner_that_was_replaced_writes_nothing(tmp_path: Path) -> None:
    tools = Tools()
    path = tmp_path / "runs.db"
    db = open_db(path)
    store = SqliteRunStore(db)
    async with engine_on(path, tools) as engine:
        run_id = await engine.start(workflow(SLOW.replace("SECONDS", "0.2"), tools), {})
        await until(lambda: tools.running == 1)
        claimed = await store.claim(run_id, 0, "thief")
        assert claimed is not None
        assert claimed.epoch == 1
        assert await store.claim(run_id, 0, "late thief") is None, "only one can be first"
        await asyncio.sleep(0.4)
        assert [row.node for row in await store.rows(run_id)] == ["quick"]
        stolen = NodeRow(run_id, "x", "x", "tool", 1, 1, "ok", 0.0, 0.0, seq=9)
        with pytest.raises(FenceLost):
            await store.append(run_id, 0, [stolen])
    db.close()


async def test_what_must_not_happen_twice_is_not_repeated(tmp_path: Path) -> None:
    tools = Tools()
    flow = workflow(SLOW.replace("SECONDS", "30"), tools)
    pay = replace(flow.nodes["slow"], effect="once")
    flow = replace(flow, nodes={**flow.nodes, "slow": pay})
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await engine.start(flow, {})
        await until(lambda: tools.running == 1)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        engine._loader.of(flow)
        await engine.recover()
        view = await engine.wait(run_id)
    assert view["status"] == "unknown"
    assert view["error"] is None
    assert [(n["id"], n["status"]) for n in view["nodes"]] == [("quick", "ok"), ("slow", "unknown")]
    assert [(w["node"], w["kind"], w["options"]) for w in view["waiting"]] == [
        ("slow", "effect", ["did happen", "try again", "stop"])
    ]


async def test_a_document_that_is_refused_now_fails_its_run(tmp_path: Path) -> None:
    tools = Tools()
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await engine.start(workflow(SLOW.replace("SECONDS", "30"), tools), {})
        await until(lambda: tools.running == 1)
    fewer = Tools()
    del fewer.registry.specs["sleep"]
    async with engine_on(tmp_path / "runs.db", fewer) as engine:
        await engine.recover()
        view = await engine.view(run_id)
    assert view["status"] == "failed"
    assert "The workflow has 1 problem" in view["error"]
    assert view["state"]["x"] == 2


async def test_time_that_earlier_owners_used_counts(tmp_path: Path) -> None:
    tools = Tools()
    text = """
    config: {execution: {timeout: 0.6}}
    state: {fields: {x: {type: int}, y: {type: int}}}
    nodes:
      - {id: first, tool: sleep, args: {seconds: 0.4, value: 1}, outputs: [x]}
      - {id: second, tool: sleep, args: {seconds: 30, value: 1}, outputs: [y]}
    """
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await engine.start(workflow(text, tools), {})
        await until(lambda: tools.log and tools.running == 1)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        began = time.monotonic()
        await engine.recover()
        view = await engine.wait(run_id)
    assert view["error"].startswith("The run took longer than its 0.6 seconds.")
    assert time.monotonic() - began < within(0.5), "only what was left of it"


def test_whether_a_process_is_gone() -> None:
    now = time.time()
    me = this_process(None, now)
    assert not is_gone(me, now + 1000), "a living process of this place is asked for, whatever its heartbeat"
    assert is_gone(replace(me, pid=999_999_999), now), "no such process"
    if me.born is not None:
        assert is_gone(replace(me, born="1"), now), "the number was given to another process"
    host, _, space = me.place.split("|")
    assert is_gone(replace(me, place=f"{host}|another boot|{space}"), now)
    elsewhere = Process("x", "another machine|boot|space", 1, None, now)
    assert not is_gone(elsewhere, now + 10)
    assert is_gone(elsewhere, now + 60)


async def test_a_zombie_is_gone() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE
    )
    seen = replace(this_process("x", time.time()), pid=process.pid, born=born(process.pid))
    assert not is_gone(seen, time.time())
    process.kill()
    await process.wait()
    assert is_gone(seen, time.time())


async def test_closed_while_it_waits_to_try_again(tmp_path: Path) -> None:
    tools = Tools()
    text = """
    state: {fields: {n: {type: int}}}
    nodes: [{id: a, tool: flaky, args: {times: 1}, outputs: [n], retry: {max_attempts: 3, backoff_seconds: 60}}]
    """
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await engine.start(workflow(text, tools), {})
        async for event in engine.events(run_id):
            if event.kind == "node_ended":
                break
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        await engine.recover()
        view = await engine.wait(run_id)
        events = [(e.id, e.kind, e.data.get("attempt")) async for e in engine.events(run_id)]
    assert [(n["attempt"], n["status"]) for n in view["nodes"]] == [(1, "failed"), (2, "ok")]
    assert events[1:5] == [
        (2, "node_started", 1),
        (3, "node_ended", 1),
        (4, "node_started", 2),
        (5, "node_ended", 2),
    ]


STOPPED = """
config: {execution: {max_visits: 1}}
state: {fields: {x: {type: int}, y: {type: int}}}
nodes:
  - {id: bad, tool: TOOL, outputs: [x]}
  - {id: other, tool: add, args: {a: 1}, outputs: [x]}
  - {id: slow, tool: sleep, args: {seconds: 30, value: 1}, outputs: [y]}
edges:
  - {from: START, to: [bad, slow]}
  - {from: bad, routes: [ROUTES]}
"""


@pytest.mark.parametrize(
    ("tool", "routes"),
    [
        ("flaky, args: {times: 9, hopeless: true}", "{condition: default, to: other}"),
        ("add, args: {a: 1}", "{condition: state.x > 5, to: other}"),
        ("add, args: {a: 1}", "{condition: state.x > 5, to: other}, {condition: default, to: bad}"),
    ],
)
async def test_killed_between_a_failure_and_the_end_of_its_run(
    tmp_path: Path, tool: str, routes: str
) -> None:
    """The row that fails the run is on disk, its end is not: the run fails for the same reason."""
    tools = Tools()
    text = STOPPED.replace("TOOL", tool).replace("ROUTES", routes)
    path = tmp_path / "runs.db"
    async with engine_on(path, tools) as engine:
        view = await engine.run(workflow(text, tools), {})
    assert view["status"] == "failed"
    assert [n["id"] for n in view["nodes"]] == ["bad", "slow"]
    calls = len(tools.log)
    db = open_db(path)
    cut_back(db, view["run_id"], rows=1)
    db.close()
    async with engine_on(path, tools) as engine:
        assert await engine.recover() == [view["run_id"]]
        again = await engine.wait(view["run_id"])
    assert (again["status"], again["state"]) == (view["status"], view["state"])
    assert again["error"] in (view["error"], "The run was being stopped when the program ended.")
    assert [(n["id"], n["status"]) for n in again["nodes"]] == [(n["id"], n["status"]) for n in view["nodes"]]
    assert len(tools.log) == calls, "nothing ran again"
