"""The store of schedules on a database that speaks SQL: implements `engine.schedules.ScheduleStore`.

A change is stored under the revision it was made from: of several processes that see a schedule due, one has it.
"""

from __future__ import annotations

import json
from typing import Any

from engine.errors import Conflict, NotFound
from engine.schedules import Schedule, Schedules
from sessions.run_rows import Columns, clean, dumps
from sessions.run_store import SqlDatabase

COLUMNS = (
    *("id", "owner", "workflow", "yaml", "cron", "timezone", "created_at", "inputs", "saved"),
    *(
        "overlap",
        "paused",
        "next_at",
        "pending_at",
        "pending_missed",
        "last_at",
        "last_run_id",
        "missed",
        "skipped",
        "note",
        "conversation_id",
    ),
    "revision",
)
FLAGS = ("saved", "overlap", "paused")
INSERT = (
    f"INSERT INTO schedules ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608
    " ON CONFLICT (id) DO NOTHING"
)
REPLACE = f"UPDATE schedules SET {', '.join(f'{c} = ?' for c in COLUMNS)} WHERE id = ? AND revision = ?"  # noqa: S608
GET = "SELECT * FROM schedules WHERE owner = ? AND id = ?"
LIST = "SELECT * FROM schedules WHERE owner = ? ORDER BY next_at IS NULL, next_at, id"
DUE = "SELECT * FROM schedules WHERE next_at <= ? OR pending_at IS NOT NULL ORDER BY next_at, id"
REMOVE = "DELETE FROM schedules WHERE owner = ? AND id = ?"


class SqlScheduleStore:
    """Schedules in one database."""

    def __init__(self, db: SqlDatabase) -> None:
        self._db = db

    async def add(self, schedule: Schedule) -> None:
        if not await self._db.execute(INSERT, values_of(schedule)):
            raise taken_id(schedule.id)

    async def get(self, owner: str, schedule_id: str) -> Schedule:
        found = await self._db.fetch(GET, (owner, schedule_id))
        if not found:
            raise no_schedule(schedule_id)
        return schedule_of(found[0])

    async def list(self, owner: str) -> Schedules:
        return [schedule_of(row) for row in await self._db.fetch(LIST, (owner,))]

    async def due(self, now: float) -> Schedules:
        return [schedule_of(row) for row in await self._db.fetch(DUE, (now,))]

    async def replace(self, schedule: Schedule) -> bool:
        return bool(await self._db.execute(REPLACE, changed_values(schedule)))

    async def remove(self, owner: str, schedule_id: str) -> None:
        if not await self._db.execute(REMOVE, (owner, schedule_id)):
            raise no_schedule(schedule_id)


def values_of(schedule: Schedule) -> tuple[Any, ...]:
    """What stands in the columns."""
    texts = {name: clean(getattr(schedule, name)) for name in ("workflow", "yaml", "note", "last_run_id")}
    flags = {name: int(getattr(schedule, name)) for name in FLAGS}
    given = {**texts, **flags, "inputs": dumps(schedule.inputs)}
    return tuple(given[name] if name in given else getattr(schedule, name) for name in COLUMNS)


def changed_values(schedule: Schedule) -> tuple[Any, ...]:
    """The values of REPLACE: the next revision in place of this one."""
    return (*values_of(schedule)[:-1], schedule.revision + 1, schedule.id, schedule.revision)


def schedule_of(row: Columns) -> Schedule:
    known = {name: row[name] for name in COLUMNS}
    flags = {name: bool(row[name]) for name in FLAGS}
    return Schedule(**{**known, **flags, "inputs": json.loads(row["inputs"])})


def no_schedule(schedule_id: str) -> NotFound:
    return NotFound(f"There is no schedule {schedule_id}.", "`app.py schedule list` names them.")


def taken_id(schedule_id: str) -> Conflict:
    return Conflict(f"There is a schedule {schedule_id} already.", "Remove it first, or choose another --id.")
