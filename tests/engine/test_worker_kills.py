"""Three workers on PostgreSQL, of which two are killed, again and again, while they execute many runs.

A log that the nodes write themselves, each line on its own, is held against the rows in the store.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.ports import DID_HAPPEN, TRY_AGAIN
from tests.engine.actor import KINDS, Where, engine_at
from tests.engine.actors import Actor, Stage, stage_at

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FLOW = """
schema_version: "1.0"
flow: {name: much, outputs: [log, each, rounds]}
config: {execution: {timeout: 3600}}
state:
  fields:
    log: {type: "list[str]", reduce: append, default: []}
    words: {type: "list[str]", default: [a, b, c, d, e]}
    each: "list[str]"
    rounds: {type: "list[str]", reduce: append, default: []}
    again: {type: bool, default: false}
nodes:
  - {id: split, tool: note, args: {value: split, seconds: 0.375}, outputs: [log]}
  - {id: left, tool: note, args: {value: left, seconds: 0.5}, outputs: [log]}
  - {id: right, tool: note, args: {value: right, seconds: 1.25}, outputs: [log]}
  - id: map
    for_each: state.words
    max_parallel: 2
    tool: note
    args: {value: "{item}!", seconds: 0.5}
    outputs: [each]
  - {id: join, tool: note, args: {value: "after {state.log}", seconds: 0.25}, outputs: [log]}
  - {id: pay, tool: pay, args: {seconds: 0.75}, outputs: []}
  - {id: turn, tool: note, args: {value: {rounds: turn, again: false}, seconds: 0.375}, outputs: [rounds, again]}
  - {id: gate, tool: hold, outputs: []}
  - {id: last, tool: note, args: {value: last, seconds: 0.375}, outputs: [log]}
edges:
  - {from: split, to: [left, right, map]}
  - {from: [left, right, map], to: join}
  - {from: join, to: pay}
  - {from: pay, to: turn}
  - {from: turn, loop: {condition_field: again, max_iterations: 3, exit_to: gate}}
  - {from: gate, to: last}
"""
EXPECTED = {
    "each": ["a!", "b!", "c!", "d!", "e!"],
    "rounds": ["turn", "turn", "turn"],
    "log": ["split", "left", "right", 'after ["split","left","right"]', "last"],
}


class Massacre:
    """Kills workers, and knows how often each run lost the one that executed it."""

    def __init__(self, stage: Stage, here: Engine, seed: int) -> None:
        self.stage = stage
        self.here = here
        self.kills: Counter[str] = Counter()
        self.random = random.Random(seed)

    async def held(self) -> dict[str, list[str]]:
        """Process -> its runs."""
        found: dict[str, list[str]] = {}
        for run in await self.here.store.find(limit=1000):
            if run.process is not None and run.end_event is None:
                found.setdefault(run.process, []).append(run.id)
        return found

    async def until_rows(self, more: int) -> None:
        """Wait until about so many further rows are stored, or nothing moves any more."""
        seen = len(self.stage.log())
        still = 0
        while len(self.stage.log()) < seen + 2 * more and still < 100:
            before = len(self.stage.log())
            await asyncio.sleep(0.01)
            still = 0 if len(self.stage.log()) > before else still + 1

    async def kill_two(self, workers: dict[str, Actor]) -> None:
        """Two of the three, each at a row of its own, those first whose runs were killed least."""
        held = await self.held()

        def spared(name: str) -> tuple[int, float]:
            never = sum(self.kills[run_id] == 0 for run_id in held.get(name, []))
            return (-never, self.random.random())

        for name in sorted(workers, key=spared)[:2]:
            await self.until_rows(self.random.randint(0, 12))
            mine = (await self.held()).get(name, [])
            await workers.pop(name).kill()
            self.kills.update(mine)

    async def answer(self) -> None:
        """Say of what may have happened whether it did: the log knows."""
        paid = self.stage.count("paid")
        for wait in await self.here.store.waits():
            happened = paid[f"{wait.run_id}/pay/1"] > 0
            await self.here.answer(wait.run_id, wait.path, DID_HAPPEN if happened else TRY_AGAIN, by="test")


async def test_every_run_ends_whoever_is_killed(tmp_path: Path, postgres_url: str, soak: bool) -> None:
    seed = int(os.environ.get("PARLANCE_SEED", "0")) or random.SystemRandom().randint(1, 10**6)
    count, slots, rounds = (100, 50, 4) if soak else (10, 6, 2)
    where = Where(KINDS[2], postgres_url, str(tmp_path / "log"))
    async with stage_at(where) as stage, engine_at(where) as here:
        workers = dict(await asyncio.gather(*(_worker(stage, slots) for _ in range(3))))
        ids = await next(iter(workers.values())).start(FLOW, times=count)
        massacre = Massacre(stage, here, seed)
        await stage.until_log(lambda log: len(log) >= count)
        killed = 0
        while killed < rounds or (killed < 3 * rounds and not all(massacre.kills[run_id] for run_id in ids)):
            await massacre.kill_two(workers)
            killed += 1
            workers |= await asyncio.gather(*(_worker(stage, slots) for _ in range(2)))
            await massacre.answer()
        Path(f"{where.log}.go").touch()
        async with asyncio.timeout(900 if soak else 120):
            while [run for run in await here.store.find(limit=1000) if run.end_event is None]:
                await massacre.answer()
                await asyncio.sleep(0.1)
        shares = Counter(massacre.kills[run_id] for run_id in ids)
        print(f"seed {seed}: {count} runs; how often killed: {dict(sorted(shares.items()))}")
        for run_id in ids:
            await _is_right(stage, here, run_id)
        assert min(shares) >= 1, f"a run that no kill met proves nothing: {shares}"


async def _worker(stage: Stage, slots: int) -> tuple[str, Actor]:
    """Its name in the store, and the process."""
    actor = await stage.worker(slots)
    return actor.name, actor


async def _is_right(stage: Stage, here: Engine, run_id: str) -> None:
    view = await here.view(run_id)
    assert view["status"] == "ok", view["error"]
    assert view["outputs"] == EXPECTED
    begun: dict[str, list[float]] = {}
    for word, key, moment, _ in stage.log():
        if word == "begin" and key.startswith(run_id):
            begun.setdefault(key, []).append(float(moment))
    for row in await here.store.rows(run_id):
        key = f"{run_id}/{row.path}/{row.iteration}"
        if row.status == "ok" and key in begun:
            assert max(begun[key]) <= row.ended_at + 0.005, f"{key} ran again after it had finished"
    assert stage.count("paid")[f"{run_id}/pay/1"] == 1, "once is neither twice nor never"


DEADLY = """
schema_version: "1.0"
flow: {name: deadly}
state: {fields: {a: str}}
nodes:
  - {id: first, tool: note, args: {value: x}, outputs: [a]}
  - {id: crash, tool: crash, outputs: []}
edges: [{from: first, to: crash}]
"""


async def test_a_run_that_kills_its_workers_is_ended(tmp_path: Path, postgres_url: str) -> None:
    where = Where(KINDS[2], postgres_url, str(tmp_path / "log"))
    async with stage_at(where) as stage, engine_at(where) as here:
        starter = await stage.actor()
        (run_id,) = await starter.start(DEADLY)
        started = 0
        while (await here.record(run_id)).end_event is None:
            started += 1
            assert started <= 6
            worker = await stage.worker()
            async with asyncio.timeout(30):
                while not worker.ended and (await here.record(run_id)).end_event is None:
                    await asyncio.sleep(0.05)
        view = await here.view(run_id)
    assert view["status"] == "failed"
    assert view["error"].startswith("5 workers died one after the other while they executed this run")
    assert next((node["id"], node["status"]) for node in view["nodes"]) == ("first", "ok")
    assert stage.count("begin")[f"{run_id}/crash/1"] == 5
    assert stage.count("begin")[f"{run_id}/first/1"] == 1


async def test_what_was_stored_before_there_was_a_queue_is_executed(
    tmp_path: Path, postgres_url: str
) -> None:
    """A database that was used without workers: a question asked then is answered now, and goes on on a worker."""
    ask = """
schema_version: "1.0"
flow: {name: asking}
state: {fields: {a: str, b: str}}
nodes:
  - {id: ask, ask: "Well?", options: [], outputs: [a]}
  - {id: last, tool: note, args: {value: "{state.a}!"}, outputs: [b]}
edges: [{from: ask, to: last}]
"""
    where = Where(KINDS[1], postgres_url, str(tmp_path / "log"))
    async with stage_at(where) as stage, engine_at(replace(where, kind=KINDS[2])) as here:
        before = await stage.actor()
        (run_id,) = await before.start(ask)
        assert (await here.wait(run_id))["status"] == "waiting"
        await before.close()
        await here.answer(run_id, "ask", "yes")
        await stage.worker(kind=KINDS[2])
        async with asyncio.timeout(20):
            view = await here.wait(run_id)
    assert (view["status"], view["state"]["b"]) == ("ok", "yes!")
