"""Kill -9, again and again, of processes that share a store: every run ends, and nothing that has ended runs again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engine.ports import NodeRow, RunRecord
from sessions.run_store import SqlRunStore
from tests.contracts.stores import opened
from tests.engine.victim import EXPECTED, VISITS

ROOT = Path(__file__).resolve().parents[2]
TOGETHER = 5
"""Runs that are under way at once."""


@dataclass
class Crew:
    """Processes that share a store, and a log of what their nodes did."""

    kind: str
    where: str
    log: Path
    pace: float
    members: list[asyncio.subprocess.Process] = field(default_factory=list)
    hiring: set[asyncio.Task[Any]] = field(default_factory=set)

    async def hire(self) -> asyncio.subprocess.Process:
        """Start a process; it is at work when this returns."""
        words = ("-m", "tests.engine.killable", self.kind, self.where, str(self.log), str(self.pace))
        member = await asyncio.create_subprocess_exec(
            *(sys.executable, *words), cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self.members.append(member)
        assert await self.hear(member) == ["ready"]
        return member

    def hire_soon(self) -> None:
        """Start a process in the background; the others go on meanwhile."""
        task = asyncio.create_task(self.hire())
        self.hiring.add(task)
        task.add_done_callback(self.hiring.discard)

    async def hear(self, member: asyncio.subprocess.Process) -> list[str]:
        assert member.stdout is not None
        return (await asyncio.wait_for(member.stdout.readline(), 60)).decode().split()

    async def start(self, member: asyncio.subprocess.Process, count: int) -> list[str]:
        assert member.stdin is not None
        member.stdin.write(f"start {count}\n".encode())
        return await self.hear(member)

    async def kill(self, member: asyncio.subprocess.Process) -> None:
        self.members.remove(member)
        member.kill()
        await member.wait()

    def lines(self, word: str) -> list[tuple[str, int, float]]:
        """Key, process and time of what the nodes noted with this word."""
        found = [line.split() for line in self.log.read_text().splitlines()]
        return [(key, int(pid), float(at)) for what, key, pid, at in found if what == word]


@pytest.fixture(params=["sqlite at NORMAL", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def where(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("postgres_url") if kind == "postgres" else tmp_path / "runs.db")


@asynccontextmanager
async def crew_of(kind: str, where: str, log: Path, pace: float) -> AsyncIterator[Crew]:
    crew = Crew(kind, where, log, pace)
    try:
        yield crew
    finally:
        await asyncio.gather(*crew.hiring, return_exceptions=True)
        for member in list(crew.members):
            await crew.kill(member)


async def all_rows(store: SqlRunStore, runs: list[str]) -> dict[str, list[NodeRow]]:
    return {run_id: await store.rows(run_id) for run_id in runs}


async def until_rows(store: SqlRunStore, runs: list[str], count: int) -> None:
    async with asyncio.timeout(60):
        while sum(map(len, (await all_rows(store, runs)).values())) < count:
            await asyncio.sleep(0.01)


async def until_ended(store: SqlRunStore, runs: list[str]) -> list[RunRecord]:
    async with asyncio.timeout(90):
        while True:
            records = [await store.get(run_id) for run_id in runs]
            if all(record.status != "running" for record in records):
                return records
            await asyncio.sleep(0.05)


async def kill_an_owner(crew: Crew, store: SqlRunStore, runs: list[str], random: Random) -> None:
    """One of those that have something to do now; another process comes in its place."""
    owners = {owner.pid for run_id, _, _, owner in await store.unfinished() if owner and run_id in runs}
    members = [member for member in crew.members if member.pid in owners]
    if members:
        await crew.kill(random.choice(members))
        crew.hire_soon()


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_killed_again_and_again(kind: str, where: str, tmp_path: Path, soak: bool) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    random = Random(seed)
    with opened(kind, where) as store:
        async with crew_of(kind, where, tmp_path / "log", 0.15) as crew:
            await asyncio.gather(crew.hire(), crew.hire(), crew.hire())
            records: list[RunRecord] = []
            for _ in range((100 if soak else 10) // TOGETHER):
                starter = random.choice(crew.members)
                runs = await crew.start(starter, TOGETHER)
                await until_rows(store, runs, random.randrange(4 * TOGETHER))
                await crew.kill(starter)
                crew.hire_soon()
                for _ in range(random.randrange(1, 5)):
                    behind = sum(map(len, (await all_rows(store, runs)).values()))
                    await until_rows(store, runs, min(behind + random.randrange(15), VISITS * TOGETHER))
                    await kill_an_owner(crew, store, runs, random)
                records += await until_ended(store, runs)
                await asyncio.gather(*crew.hiring)
        print("killed so often, so many runs:", sorted(Counter(record.epoch for record in records).items()))
        await nothing_ran_twice(crew, store, records)


async def nothing_ran_twice(crew: Crew, store: SqlRunStore, records: list[RunRecord]) -> None:
    """A visit whose row is stored never began again after that; every other one at most once for each kill."""
    begun = defaultdict(list)
    for key, _, at in crew.lines("begin"):
        begun[key].append(at)
    seen = 0
    for record in records:
        assert record.status == "ok", record.error
        assert 1 <= record.epoch <= 6
        rows = await store.rows(record.id)
        assert [row.seq for row in rows] == list(range(1, VISITS + 1))
        assert {row.status for row in rows} == {"ok"}
        for row in rows:
            times = begun[f"{record.id}/{row.path}/{row.iteration}"]
            assert 1 <= len(times) <= 1 + record.epoch
            assert max(times) <= row.ended_at, "it ran again after its row was stored"
            seen += 1
    assert len(begun) == seen == VISITS * len(records)


@pytest.mark.slow
async def test_stopped_past_its_heartbeat_and_revived(kind: str, where: str, tmp_path: Path) -> None:
    """A process on another machine falls silent, loses its run, wakes up: it writes nothing and begins nothing."""
    with opened(kind, where) as store:
        async with crew_of(kind, where, tmp_path / "log", 0.3) as crew:
            sleeper = await crew.hire()
            (run_id,) = await crew.start(sleeper, 1)
            await until_rows(store, [run_id], 2)
            sleeper.send_signal(signal.SIGSTOP)
            before = await store.rows(run_id)
            await fall_silent(store, run_id)
            await crew.hire()
            (record,) = await until_ended(store, [run_id])
            assert record.epoch == 1
            rows = await store.rows(run_id)
            assert rows[: len(before)] == before
            revived = time.time()
            sleeper.send_signal(signal.SIGCONT)
            await asyncio.sleep(2)
            assert (await store.rows(run_id), await store.get(run_id)) == (rows, record)
            assert not [at for _, pid, at in crew.lines("begin") if pid == sleeper.pid and at > revived]
            assert len(await crew.start(sleeper, 1)) == 1, "it goes on with other work"
    assert len(rows) == VISITS
    assert record.status == "ok"
    assert EXPECTED["count"] == max(row.writes.get("count", 0) for row in rows)


async def fall_silent(store: SqlRunStore, run_id: str) -> None:
    """As if the owner were elsewhere, where it can't be looked at, and had not been heard of for a minute."""
    ((_, _, _, owner),) = [found for found in await store.unfinished() if found[0] == run_id]
    assert owner is not None
    await store.beat(replace(owner, place="elsewhere|boot|1", beat_at=time.time() - 60))
