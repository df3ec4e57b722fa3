"""The schedules of an installation, and how people and programs see them: in the API and on the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.engine import SystemClock
from engine.errors import WorkflowInvalid
from engine.prepare import prepare
from engine.schedules import Schedule, ScheduleStore
from engine.timetable import Timetable
from sessions.conversations import iso

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.ports import ModelClient
    from engine.workflow import Workflow
    from sessions.workflows import Workflows
    from tools.registry import ToolRegistry

SHOWN = 3
"""How many planned times are shown."""


def make_timetable(
    store: ScheduleStore, engine: Engine, workflows: Workflows, models: ModelClient, tools: ToolRegistry
) -> Timetable:
    """Schedules whose documents are the saved workflows, checked as the editor and as a run do."""

    async def checked(text: str) -> Workflow:
        from engine.check import check

        found = await asyncio.to_thread(check, text, tools)
        if found.workflow is None:
            raise WorkflowInvalid(found.problems)
        return found.workflow

    async def ready(text: str) -> Workflow:
        return await prepare(text, tools, models)

    return Timetable(store, engine, workflows.text, checked=checked, ready=ready, clock=SystemClock())


def schedule_view(schedule: Schedule) -> dict[str, Any]:
    """Plain JSON; times are ISO 8601 in UTC. `next` is empty while the schedule is paused."""
    return {
        "id": schedule.id,
        "workflow": schedule.workflow,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "inputs": dict(schedule.inputs),
        "overlap": schedule.overlap,
        "paused": schedule.paused,
        "next": [iso(moment) for moment in next_times(schedule)],
        "last_at": None if schedule.last_at is None else iso(schedule.last_at),
        "last_run_id": schedule.last_run_id,
        "missed": schedule.missed,
        "skipped": schedule.skipped,
        "note": schedule.note,
        "created_at": iso(schedule.created_at),
    }


def schedules_view(schedules: Sequence[Schedule]) -> list[dict[str, Any]]:
    """Many of them; reckoning their times takes a millisecond each."""
    return [schedule_view(each) for each in schedules]


def next_times(schedule: Schedule, count: int = SHOWN) -> list[float]:
    """The next planned times, none while the schedule is paused."""
    if schedule.next_at is None:
        return []
    return [schedule.next_at, *schedule.times.next(schedule.next_at, count - 1)]
