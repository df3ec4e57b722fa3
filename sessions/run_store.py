"""The store of runs on a database that speaks SQL: implements `engine.ports.RunStore` but for what a database says.

Rows are written as they are, under the run's epoch, which is read in the same transaction: an owner that was
thought dead and replaced can write nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from engine.ports import NodeRow, Park, Process, RunEnd, RunRecord, RunStatus, Signal, Wait
from sessions import run_sql as sql
from sessions.run_deletes import delete_tree, erase_owner
from sessions.run_rows import (
    UNIT,
    cleaned,
    dumps,
    no_document,
    no_run,
    node_row_of,
    process_of,
    record_of,
    wait_of,
)
from sessions.run_writes import Addition, RunWrites, Task
from sessions.writer import Entry

_MANY = 2000
"""From so many rows on they are read on a thread: 10,000 would keep the loop for 60 ms."""

_MANY_WAITS = 500


class SqlDatabase(Protocol):
    """What the store needs of a database; `Database` and `Postgres` are such."""

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]: ...

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int: ...

    def write_more(self, job: Callable[[Any], Any], *, flush: bool = False) -> Entry: ...


class SqlRunStore:
    """Runs, rows, waits, budgets and owners in one database. `rows_query` takes a number and the run's id."""

    def __init__(self, db: SqlDatabase, writes: RunWrites, rows_query: str) -> None:
        self._db = db
        self._writes = writes
        self._rows_query = rows_query
        self._additions: dict[str, Addition] = {}

    async def create(self, *runs: RunRecord, rows: Sequence[NodeRow] = ()) -> None:
        await self._write(lambda c: self._writes.create(c, runs, rows))

    def append(
        self,
        run_id: str,
        epoch: int,
        rows: Sequence[NodeRow],
        end: RunEnd | None = None,
        *,
        waits: Sequence[Wait] = (),
        park: Park | None = None,
        flush: bool = False,
        shared: bool = False,
    ) -> asyncio.Future[bool]:
        plain = park is None and not waits and not flush
        addition = self._additions.get(run_id)
        if addition is None or not plain or not addition.takes(epoch):
            addition = Addition(self._writes, run_id, epoch)
            addition.waits, addition.park = waits, park
            addition.entry = self._db.write_more(addition, flush=flush or bool(waits))
            self._additions[run_id] = addition
        addition.rows += rows
        addition.end = end
        if end is not None or not plain:
            del self._additions[run_id]
        assert addition.entry is not None  # noqa: S101 - set above
        return addition.entry.shared if shared else addition.entry.wait()

    async def wake(self, run_id: str) -> None:
        await self._write(lambda c: self._writes.wake(c, run_id), run_id)

    async def answer(self, run_id: str, path: str, iteration: int, value: Any, by: str, at: float) -> Wait:
        text = dumps(value)
        task = Task(lambda c: self._writes.answer(c, run_id, path, iteration, text, by, at), (run_id,))
        answered: Wait = await self._db.write_more(task, flush=True).wait()
        return answered

    async def waits(
        self,
        *,
        run_id: str | None = None,
        root_id: str | None = None,
        owner: str | None = None,
        conversation_id: str | None = None,
        answered: bool | None = False,
        due_before: float | None = None,
        at: Collection[str] = (),
        under: str | None = None,
        iteration: int | None = None,
        newest: bool = False,
        limit: int = 1000,
    ) -> list[Wait]:
        where, values = sql.which_waits(run_id, root_id, owner, conversation_id, answered, due_before)
        place, places = sql.where_waits(at, under, iteration)
        history = answered is None and (run_id is not None or root_id is not None)
        which = sql.ALL_WAITS if history else sql.WAITS
        order = sql.NEWEST_WAITS if newest else sql.OLDEST_WAITS
        found = await self._fetch(f"{which} AND {where} AND {place} {order}", *values, *places, limit)
        if len(found) < _MANY_WAITS:
            return [wait_of(row) for row in found]
        return await asyncio.to_thread(lambda: [wait_of(row) for row in found])

    async def children(self, run_id: str) -> list[RunRecord]:
        return [record_of(row) for row in await self._fetch(sql.CHILDREN, run_id)]

    async def document(self, digest: str) -> str:
        found = await self._fetch(sql.DOCUMENT, digest)
        if not found:
            raise no_document(digest)
        text: str = found[0]["yaml"]
        return text

    async def pin(self, digest: str, text: str) -> None:
        await self._db.execute(sql.KEEP_DOCUMENT, cleaned((digest, text, "{}")))

    async def reserve(self, root_id: str, key: str, amount: float, limit: float) -> bool:
        task = Task(lambda c: self._writes.reserve(c, root_id, key, amount, limit), (), (root_id,))
        reserved: bool = await self._db.write_more(task).wait()
        return reserved

    async def settle(self, root_id: str, key: str, cost: float) -> None:
        task = Task(lambda c: self._writes.settle(c, root_id, key, cost), (), (root_id,))
        await self._db.write_more(task).wait()

    async def spent(self, root_id: str) -> tuple[float, float]:
        found = await self._fetch(sql.BUDGET, root_id)
        return (found[0]["spent"] / UNIT, found[0]["reserved"] / UNIT) if found else (0.0, 0.0)

    async def get(self, run_id: str) -> RunRecord:
        found = await self._fetch(sql.GET, run_id)
        if not found:
            raise no_run(run_id)
        return record_of(found[0])

    async def rows(self, run_id: str, after_seq: int = 0) -> list[NodeRow]:
        found = await self._fetch(self._rows_query, after_seq, run_id)
        if len(found) < _MANY:
            return [node_row_of(run_id, row) for row in found]
        return await asyncio.to_thread(lambda: [node_row_of(run_id, row) for row in found])

    async def find(
        self,
        *,
        owner: str | None = None,
        workflow: str | None = None,
        conversation_id: str | None = None,
        status: RunStatus | None = None,
        before: float | None = None,
        since: float | None = None,
        limit: int = 50,
        children: bool = False,
    ) -> list[RunRecord]:
        where, values = sql.which_runs(
            owner, workflow, conversation_id, status, before, since, children=children
        )
        found = await self._fetch(f"{sql.FIND} WHERE {where} {sql.NEWEST}", *values, limit)
        return [record_of(row) for row in found]

    async def request_cancel(self, run_id: str) -> None:
        await self._write(lambda c: self._writes.cancel(c, run_id))

    async def signals(self, process_id: str) -> list[Signal]:
        found = await self._fetch(sql.SIGNALS, process_id)
        return [Signal(row["id"], bool(row["cancel_requested"]), row["woken"]) for row in found]

    async def beat(self, process: Process) -> None:
        await self._write(lambda c: self._writes.beat(c, process))

    async def process(self, process_id: str) -> Process | None:
        found = await self._fetch(sql.PROCESS, process_id)
        return process_of(found[0]) if found else None

    async def leave(self, process_id: str) -> None:
        await self._db.execute(sql.LEAVE, cleaned((process_id,)))

    async def unfinished(self) -> list[tuple[str, int, str | None, Process | None]]:
        found = await self._fetch(sql.UNFINISHED, time.time())
        return [(row["run_id"], row["epoch"], row["process"], process_of(row)) for row in found]

    async def unowned(self) -> list[tuple[str, int]]:
        found = await self._fetch(sql.UNOWNED, time.time())
        return [(row["run_id"], row["epoch"]) for row in found]

    async def claim(self, run_id: str, epoch: int, process_id: str) -> RunRecord | None:
        claimed = await self._write(lambda c: self._writes.claim(c, run_id, epoch, process_id), run_id)
        return await self.get(run_id) if claimed else None

    async def rename_workflow(self, owner: str, old: str, new: str) -> None:
        await self._db.execute(sql.RENAME_WORKFLOW, cleaned((new, owner, old)))

    async def delete(self, run_id: str) -> list[str]:
        gone: list[str] = await self._write(lambda c: delete_tree(self._writes, c, run_id), run_id)
        return gone

    async def erase(self, owner: str) -> int:
        gone: int = await self._write(lambda c: erase_owner(self._writes, c, owner))
        return gone

    async def _fetch(self, query: str, *values: Any) -> list[Any]:
        return await self._db.fetch(query, cleaned(values))

    async def _write(self, work: Callable[[Any], Any], *runs: str) -> Any:
        return await self._db.write_more(Task(work, runs)).wait()
