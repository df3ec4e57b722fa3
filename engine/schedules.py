"""Runs that start by the clock: what a schedule is, where it is kept, and what becomes of it when its time has come.

A time that passes while nothing runs is said and made up for once, however many passed. While the run before has not
ended the next one is left out and said, unless the schedule allows both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from engine.cron import COUNTED, Cron, Due


@dataclass(frozen=True, slots=True)
class Schedule:
    """A workflow, its inputs and its times. Times are seconds since the epoch, `cron` is in `timezone`.

    `yaml` is the document as it was when the schedule was made; where it was made for a saved workflow (`saved`)
    the newest version comes before it. `next_at` is the next planned time, None while it is paused.
    `pending_at` is a planned time that has come and whose run is being stored. `missed` and `skipped` count the
    times that passed while nothing ran, and while the run before had not ended; `note` says the last such
    thing. `revision` rises with each change. `conversation_id` is where it was made, and where its results go.
    """

    id: str
    owner: str
    workflow: str
    yaml: str
    cron: str
    timezone: str
    created_at: float
    inputs: Mapping[str, Any] = field(default_factory=dict)
    saved: bool = True
    overlap: bool = False
    paused: bool = False
    next_at: float | None = None
    pending_at: float | None = None
    pending_missed: int = 0
    last_at: float | None = None
    last_run_id: str | None = None
    missed: int = 0
    skipped: int = 0
    note: str | None = None
    revision: int = 0
    conversation_id: str | None = None

    @property
    def times(self) -> Cron:
        return Cron(self.cron, self.timezone)

    def local(self, moment: float) -> str:
        """A moment on the schedule's clock, such as 2026-03-29 09:00 +02:00."""
        text = datetime.fromtimestamp(moment, ZoneInfo(self.timezone)).strftime("%Y-%m-%d %H:%M %z")
        return f"{text[:-2]}:{text[-2:]}"

    def run_id(self) -> str:
        """The id of the run of the pending time: the same for whoever stores it, so that twice is once."""
        return hashlib.blake2b(f"{self.id}/{self.pending_at:.0f}".encode(), digest_size=8).hexdigest()

    @property
    def origin(self) -> dict[str, Any]:
        """What the run of the pending time says about where it came from."""
        planned = self.pending_at or 0.0
        return {"schedule": self.id, "planned_at": planned, "missed": self.pending_missed}


Schedules = list[Schedule]


class ScheduleStore(Protocol):
    """Where schedules are kept. Every method raises StoreError when the store fails."""

    async def add(self, schedule: Schedule) -> None:
        """Conflict when its id is taken."""
        ...

    async def get(self, owner: str, schedule_id: str) -> Schedule:
        """NotFound."""
        ...

    async def list(self, owner: str) -> Schedules:
        """The one that is due next comes first, paused ones last."""
        ...

    async def due(self, now: float) -> Schedules:
        """Those of all owners whose time has come, or whose run is still to be stored."""
        ...

    async def replace(self, schedule: Schedule) -> bool:
        """Store it under the next revision; False, and nothing is, when it was changed or removed meanwhile."""
        ...

    async def remove(self, owner: str, schedule_id: str) -> None:
        """NotFound."""
        ...


def taken(schedule: Schedule, now: float) -> Schedule:
    """The schedule once its time has been taken: the run of the newest planned time is to be stored."""
    due = _due(schedule, now)
    note = _missed_note(schedule, due) if due.missed else schedule.note
    return replace(
        schedule,
        next_at=due.next_at,
        pending_at=due.planned,
        pending_missed=due.missed,
        missed=schedule.missed + due.missed,
        note=note,
    )


def left_out(schedule: Schedule, now: float, why: str) -> Schedule:
    """The schedule once its time has passed without a run."""
    due = _due(schedule, now)
    note = f"Left out at {schedule.local(due.planned)}: {why}"
    return replace(schedule, next_at=due.next_at, skipped=schedule.skipped + 1 + due.missed, note=note)


def started(schedule: Schedule, run_id: str) -> Schedule:
    """The schedule once the run of its pending time is stored."""
    return replace(
        schedule, pending_at=None, pending_missed=0, last_at=schedule.pending_at, last_run_id=run_id
    )


def failed(schedule: Schedule, why: str) -> Schedule:
    """The schedule once it is known that the run of its pending time can't be started."""
    note = f"Could not start at {schedule.local(schedule.pending_at or 0.0)}: {why}"
    return replace(schedule, pending_at=None, pending_missed=0, last_at=schedule.pending_at, note=note)


def paused(schedule: Schedule) -> Schedule:
    return replace(schedule, paused=True, next_at=None)


def resumed(schedule: Schedule, now: float) -> Schedule:
    """Times that passed during the pause are not missed."""
    return replace(schedule, paused=False, next_at=schedule.times.next(now)[0])


def _due(schedule: Schedule, now: float) -> Due:
    return schedule.times.due(schedule.next_at if schedule.next_at is not None else now, now)


def _missed_note(schedule: Schedule, due: Due) -> str:
    times = "1 time" if due.missed == 1 else f"{due.missed} times"
    more = " or more" if due.missed >= COUNTED else ""
    return f"Missed {times}{more} before {schedule.local(due.planned)}: nothing ran then."
