"""Schedules on a real store and engine, with a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.check import check
from engine.engine import Engine
from engine.errors import Conflict, InputError, NotFound, WorkflowInvalid
from engine.schedules import Schedule
from engine.timetable import Timetable
from engine.workflow import Workflow
from sessions.db import open_db
from sessions.postgres import open_postgres
from sessions.postgres_runs import PostgresRunStore
from sessions.runs import SqliteRunStore
from sessions.schedules import SqlScheduleStore
from tests.engine.flows import NoModels, Tools, until

HEAD = 'schema_version: "1.0"\nflow: {name: echoing}\n'
ECHO = f"""{HEAD}
state: {{fields: {{word: {{type: str, required: true}}, count: {{type: int, default: 1}}, out: str}}}}
nodes:
  - {{id: say, tool: echo, args: {{value: "{{state.word}}"}}, outputs: [out]}}
"""
SLOW = ECHO.replace("tool: echo, args: {", "tool: sleep, args: {seconds: 30, ")
MONDAY = datetime(2026, 6, 1, 8, 0, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
DAY = 86_400.0


class SetClock:
    def __init__(self) -> None:
        self.time = MONDAY

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class Kit:
    engine: Engine
    table: Timetable
    clock: SetClock
    saved: dict[str, str]
    store: SqlScheduleStore

    async def only(self) -> Schedule:
        (found,) = await self.table.list("local")
        return found


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new and empty store is."""
    if request.param == "SQLite":
        return str(tmp_path / "p.db")
    return str(request.getfixturevalue("postgres_url"))


def opened(where: str) -> tuple[Any, Any]:
    """The database, and the store of runs in it."""
    if where.startswith("postgresql"):
        postgres = open_postgres(where)
        return postgres, PostgresRunStore(postgres)
    db = open_db(where, synchronous="NORMAL")
    return db, SqliteRunStore(db)


@asynccontextmanager
async def kit_on(where: str, clock: SetClock | None = None) -> AsyncIterator[Kit]:
    tools, clock, saved = Tools(), clock or SetClock(), {"echoing": ECHO}
    db, runs = opened(where)
    engine = Engine(runs, NoModels(), tools.registry, clock=clock)

    async def document(owner: str, name: str) -> str | None:
        return saved.get(name)

    async def checked(text: str) -> Workflow:
        found = check(text, tools.registry)
        if found.workflow is None:
            raise WorkflowInvalid(found.problems)
        return found.workflow

    store = SqlScheduleStore(db)
    table = Timetable(store, engine, document, checked=checked, ready=checked, clock=clock)
    try:
        yield Kit(engine, table, clock, saved, store)
    finally:
        await table.close()
        await engine.close()
        db.close()


async def test_a_run_starts_at_its_time_with_its_inputs(where: str) -> None:
    async with kit_on(where) as kit:
        made = await kit.table.add(
            "local",
            cron="0 9 * * *",
            workflow="echoing",
            timezone="Europe/Berlin",
            inputs={"word": "tea", "count": "3"},
        )
        assert (made.id, made.next_at, made.inputs["count"]) == ("echoing", MONDAY + 3600, 3)
        assert await kit.table.tick() == []
        kit.clock.time = MONDAY + 3601
        (run_id,) = await kit.table.tick()
        view = await kit.engine.wait(run_id)
        assert (view["status"], view["outputs"]["out"]) == ("ok", "tea")
        record = await kit.engine.record(run_id)
        assert record.origin == {"schedule": "echoing", "planned_at": MONDAY + 3600, "missed": 0}
        assert await kit.table.tick() == []
        after = await kit.only()
        assert (after.last_run_id, after.next_at, after.missed) == (run_id, MONDAY + 3600 + DAY, 0)


async def test_times_that_passed_are_said_and_run_once(where: str) -> None:
    async with kit_on(where) as kit:
        await kit.table.add(
            "local", cron="0 9 * * *", workflow="echoing", timezone="Europe/Berlin", inputs={"word": "x"}
        )
        kit.clock.time = MONDAY + 3 * DAY + 7200
        (run_id,) = await kit.table.tick()
        await kit.engine.wait(run_id)
        assert await kit.table.tick() == []
        after = await kit.only()
        assert after.missed == 3
        assert after.note == "Missed 3 times before 2026-06-04 09:00 +02:00: nothing ran then."
        assert (await kit.engine.record(run_id)).origin == {
            "schedule": "echoing",
            "planned_at": MONDAY + 3600 + 3 * DAY,
            "missed": 3,
        }


async def test_the_next_is_left_out_while_the_one_before_runs(where: str) -> None:
    async with kit_on(where) as kit:
        for overlap in (False, True):
            await kit.table.add(
                "local",
                cron="* * * * *",
                yaml=SLOW,
                inputs={"word": "x"},
                schedule_id=f"s-{overlap}",
                overlap=overlap,
            )
        kit.clock.time += 60
        first = await kit.table.tick()
        kit.clock.time += 60
        second = await kit.table.tick()
        assert (len(first), len(second)) == (2, 1)
        found = {each.id: each for each in await kit.table.list("local")}
        assert (found["s-False"].skipped, found["s-True"].skipped) == (1, 0)
        note = found["s-False"].note
        assert note is not None
        assert "had not ended (it is running)" in note
        for run_id in first + second:
            await kit.engine.cancel(run_id)
        kit.clock.time += 60
        assert len(await kit.table.tick()) == 2


async def test_the_newest_saved_version_runs_else_the_text_that_was_kept(where: str) -> None:
    async with kit_on(where) as kit:
        await kit.table.add("local", cron="0 9 * * *", workflow="echoing", inputs={"word": "x"})
        kit.saved["echoing"] = ECHO.replace('"{state.word}"', '"new {state.word}"')
        kit.clock.time += DAY
        (run_id,) = await kit.table.tick()
        assert (await kit.engine.wait(run_id))["outputs"]["out"] == "new x"
        del kit.saved["echoing"]
        kit.clock.time += DAY
        (run_id,) = await kit.table.tick()
        assert (await kit.engine.wait(run_id))["outputs"]["out"] == "x"


async def test_what_cant_start_says_so_and_goes_on(where: str) -> None:
    async with kit_on(where) as kit:
        await kit.table.add("local", cron="0 9 * * *", workflow="echoing", inputs={"word": "x"})
        kit.saved["echoing"] = ECHO.replace("tool: echo", "tool: no_such_tool")
        kit.clock.time += DAY
        assert await kit.table.tick() == []
        broken = await kit.only()
        assert broken.note is not None
        assert "no_such_tool" in broken.note
        assert broken.pending_at is None
        kit.saved["echoing"] = ECHO
        kit.clock.time += DAY
        assert len(await kit.table.tick()) == 1


async def test_who_dies_between_taking_and_starting_loses_nothing_and_doubles_nothing(where: str) -> None:
    async with kit_on(where) as kit:
        await kit.table.add("local", cron="0 9 * * *", workflow="echoing", inputs={"word": "x"})
        taken = replace(await kit.only(), pending_at=MONDAY + 3600, next_at=MONDAY + 3600 + DAY)
        assert await kit.store.replace(taken)
        (first,) = await kit.table.tick()  # the run is stored, but that it was is not noted:
        stored = await kit.only()
        assert await kit.store.replace(replace(stored, pending_at=MONDAY + 3600, last_run_id=None))
        (second,) = await kit.table.tick()
        assert first == second
        await kit.engine.wait(first)
        assert len(await kit.engine.runs()) == 1


async def test_of_many_processes_one_starts_the_run(where: str) -> None:
    clock = SetClock()
    async with (
        kit_on(where, clock) as one,
        kit_on(where, clock) as two,
        kit_on(where, clock) as three,
    ):
        for number in range(20):
            await one.table.add("local", cron="0 9 * * *", yaml=ECHO, inputs={"word": f"{number}"})
        clock.time += DAY
        await asyncio.gather(*(kit.table.tick() for kit in (one, two, three)))

        async def all_ended() -> int:
            return sum(run["status"] == "ok" for run in await one.engine.runs(limit=100))

        async with asyncio.timeout(10):
            while await all_ended() < 20:
                await asyncio.sleep(0.02)
        assert len(await one.engine.runs(limit=100)) == 20
        found = await one.table.list("local")
        assert len({each.last_run_id for each in found}) == 20


async def test_pause_resume_and_remove(where: str) -> None:
    async with kit_on(where) as kit:
        made = await kit.table.add("local", cron="0 9 * * *", workflow="echoing", inputs={"word": "x"})
        assert (await kit.table.pause("local", made.id)).next_at is None
        kit.clock.time += 5 * DAY
        assert await kit.table.tick() == []
        again = await kit.table.resume("local", made.id)
        assert (again.missed, again.next_at) == (0, MONDAY + 5 * DAY + 3 * 3600)
        with pytest.raises(NotFound):
            await kit.table.pause("somebody", made.id)
        with pytest.raises(NotFound):
            await kit.table.remove("somebody", made.id)
        await kit.table.remove("local", made.id)
        assert await kit.table.list("local") == []


async def test_what_is_wrong_is_refused_when_the_schedule_is_made(where: str) -> None:
    async with kit_on(where) as kit:
        with pytest.raises(InputError, match="word"):
            await kit.table.add("local", cron="0 9 * * *", workflow="echoing")
        with pytest.raises(InputError, match="no schedule"):
            await kit.table.add("local", cron="daily", workflow="echoing", inputs={"word": "x"})
        with pytest.raises(NotFound, match="no workflow"):
            await kit.table.add("local", cron="0 9 * * *", workflow="unknown")
        with pytest.raises(WorkflowInvalid):
            await kit.table.add("local", cron="0 9 * * *", yaml=HEAD)
        with pytest.raises(InputError, match="can't be an id"):
            await kit.table.add("local", cron="0 9 * * *", workflow="echoing", schedule_id="a b")
        for _ in range(2):
            await kit.table.add("local", cron="0 9 * * *", workflow="echoing", inputs={"word": "x"})
        assert sorted(each.id for each in await kit.table.list("local")) == ["echoing", "echoing-2"]
        with pytest.raises(Conflict):
            await kit.table.add(
                "local", cron="0 9 * * *", workflow="echoing", inputs={"word": "x"}, schedule_id="echoing"
            )


async def test_it_ticks_by_itself(where: str) -> None:
    async with kit_on(where) as kit:
        await kit.table.add("local", cron="0 9 * * *", workflow="echoing", inputs={"word": "x"})
        kit.clock.time += DAY
        kit.table.start()
        runs: list[object] = []

        async def look() -> None:
            while not runs:
                runs.extend(await kit.engine.runs())
                await asyncio.sleep(0.02)

        await asyncio.wait_for(look(), 5)
        await until(lambda: len(runs) == 1)
