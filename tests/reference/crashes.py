"""Runs nested documents on the whole engine: questions answered at random moments, and the store copied as it is when
drawn rows have just reached it, which is what a process finds that starts after a kill -9.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from engine.check import check
from engine.children import child_id
from engine.dispatch import LocalDispatcher, MakeDispatcher
from engine.engine import Engine
from engine.errors import Conflict, NotFound
from engine.ports import NodeRow
from engine.workflow import Workflow
from sessions.db import open_db
from sessions.runs import SqliteRunStore
from tests.reference.harness import NoModels, Work
from tests.reference.interpreter import Result, interpret
from tests.reference.nested import Nested
from tests.reference.work import answered


class Spreading(LocalDispatcher):
    """Cuts every for_each of more than one element into parts."""

    spreads = True
    many = 1


@dataclass
class Watch:
    """Copies the database to `copies` whenever one of `at` rows has been written."""

    path: Path
    at: Sequence[int] = ()
    written: int = 0
    copies: list[Path] = field(default_factory=list)

    def count(self, rows: int) -> None:
        before, self.written = self.written, self.written + rows
        if any(before < number <= self.written for number in self.at):
            copy = self.path.with_name(f"{self.path.name}.{self.written}")
            with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(copy)) as goal:
                source.backup(goal)
                goal.execute("DELETE FROM processes")  # they were killed
                goal.commit()
            self.copies.append(copy)


class WatchedStore(SqliteRunStore):
    """Tells a Watch of every row, at the moment in which it is on disk and nothing later is."""

    def __init__(self, db: Any, watch: Watch) -> None:
        super().__init__(db)
        self._watch = watch

    def append(
        self, run_id: str, epoch: int, rows: Sequence[NodeRow], *args: Any, **kwargs: Any
    ) -> Awaitable[bool]:
        done = super().append(run_id, epoch, rows, *args, **kwargs)
        future = asyncio.ensure_future(done)
        future.add_done_callback(lambda _: self._watch.count(len(rows)))
        return future


@asynccontextmanager
async def engine_at(
    watch: Watch, work: Work, dispatcher: MakeDispatcher = LocalDispatcher
) -> AsyncIterator[Engine]:
    db = open_db(watch.path, synchronous="NORMAL")
    engine = Engine(WatchedStore(db, watch), NoModels(), work.registry(), dispatcher=dispatcher)
    try:
        yield engine
    finally:
        await engine.close()
        db.close()


def nested_workflow(document: Nested) -> Workflow:
    checked = check(document.text, Work().registry(), workflows=document.library.get)
    assert checked.workflow is not None, checked.errors
    return checked.workflow


async def begin(engine: Engine, document: Nested) -> str:
    """Start it; its run's id."""

    async def saved(name: str) -> str | None:
        return document.library.get(name)

    workflow = await asyncio.to_thread(nested_workflow, document)
    return await engine.start(workflow, document.inputs, workflows=saved)


async def followed(engine: Engine, run_id: str, random: Random) -> dict[str, Any]:
    """The run's view at its end. Whatever it or a run below it asks is answered, at random moments."""
    async with asyncio.timeout(30):
        while (await engine.record(run_id)).end_event is None:
            waits = await engine.store.waits(root_id=run_id)
            if waits and random.random() < 0.7:
                wait = random.choice(waits)
                try:
                    said = answered(wait.question, wait.options)
                    await engine.answer(wait.run_id, wait.path, said, iteration=wait.iteration)
                except (NotFound, Conflict):
                    pass  # its run has failed meanwhile
            await asyncio.sleep(random.random() * 0.002)
    return await engine.view(run_id)


async def result_below(engine: Engine, run_id: str) -> Result:
    """The run as the interpreter shows it: the visits of the whole tree, but for what failed within it."""
    view = await engine.view(run_id)
    assert view["status"] == "ok", view["error"]
    state = {name: bool(v) if name.startswith("_error_") else v for name, v in view["state"].items()}
    visits = [visit async for visit in _visits(engine, run_id)]
    return Result(tuple(sorted(visits)), state)


async def _visits(engine: Engine, run_id: str) -> AsyncIterator[tuple[str, int]]:
    """Of visits that failed it is a matter of time which of their elements had ended."""
    record = await engine.record(run_id)
    rows = await engine.store.rows(run_id)
    if record.part is None:
        for row in rows:
            if row.counts:
                yield row.path, row.iteration
    failed = {(r.path, r.iteration) for r in rows if r.ends_visit and r.status == "failed"}
    lost = {child_id(record, f"{path}[{n}]", iteration) for path, iteration in failed for n in range(100)}
    for child in await engine.store.children(run_id):
        if child.status == "ok" and child.id not in lost:
            async for visit in _visits(engine, child.id):
                yield visit


async def ended_calls(engine: Engine, run_id: str) -> set[str]:
    """The keys of all calls of the tree whose row is on disk."""
    record = await engine.record(run_id)
    rows = await engine.store.rows(run_id)
    keys = {
        f"{run_id}/{r.path}/{r.iteration}" for r in rows if r.kind == "tool" and r.status in ("ok", "failed")
    }
    for child in await engine.store.children(record.id):
        keys |= await ended_calls(engine, child.id)
    return keys


def reference(document: Nested, seed: int) -> Result:
    """What the interpreter makes of it, without what are no fields."""
    result = interpret(document.text, document.inputs, seed, document.library)
    state = {name: value for name, value in result.state.items() if not name.startswith("_loop")}
    return Result(result.visits, state)


def differs(result: Result, wanted: Result) -> Mapping[str, Any]:
    """What is not the same, for the message of a test; empty when all is."""
    names = result.state.keys() | wanted.state.keys()
    found: dict[str, Any] = {
        name: (result.state.get(name), wanted.state.get(name))
        for name in sorted(names)
        if result.state.get(name) != wanted.state.get(name)
    }
    if result.visits != wanted.visits:
        found["visits"] = (set(result.visits) - set(wanted.visits), set(wanted.visits) - set(result.visits))
    return found
