"""The schedules of an installation, and how people and programs see them: in the API and on the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chat.events import Text
from engine.engine import SystemClock
from engine.errors import WorkflowInvalid
from engine.prepare import prepare
from engine.schedules import Schedule, ScheduleStore
from engine.timetable import Timetable
from sessions.conversations import Message, iso
from sessions.inbox import Inbox, OpenRun

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.ports import ModelClient
    from engine.workflow import Workflow
    from sessions.workflows import Workflows
    from tools.registry import ToolRegistry

SHOWN = 3
"""How many planned times are shown."""


def make_timetable(
    store: ScheduleStore,
    engine: Engine,
    workflows: Workflows,
    models: ModelClient,
    tools: ToolRegistry,
    inbox: Inbox | None = None,
) -> Timetable:
    """Schedules whose documents are the saved workflows, checked as the editor and as a run do. With an `inbox` the
    results of one that was made in a conversation go there.
    """

    async def checked(text: str) -> Workflow:
        from engine.check import check

        found = await asyncio.to_thread(check, text, tools)
        if found.workflow is None:
            raise WorkflowInvalid(found.problems)
        return found.workflow

    async def ready(text: str) -> Workflow:
        return await prepare(text, tools, models)

    async def placed(schedule: Schedule, run_id: str) -> None:
        assert inbox is not None  # noqa: S101  it is not set otherwise
        await put_card(inbox, schedule, run_id, None)

    return Timetable(
        store,
        engine,
        workflows.text,
        checked=checked,
        ready=ready,
        clock=SystemClock(),
        placed=placed if inbox is not None else None,
    )


async def put_card(
    inbox: Inbox, schedule: Schedule, run_id: str, process: str | None
) -> tuple[Message, OpenRun] | None:
    """The message for a run of the schedule in its conversation, which says when it was planned. None where it is there
    already, or the conversation is gone. Without a `process` whoever recovers next follows the run.
    """
    run = OpenRun(run_id, schedule.owner, schedule.conversation_id or "", run_id)
    planned = schedule.local(schedule.pending_at or schedule.created_at)
    said = Text(f"By the schedule **{schedule.id}**, {planned}:")
    card = await inbox.put_card(run, process, [said.to_dict()])
    return None if card is None else (card, run)


def schedule_view(schedule: Schedule) -> dict[str, Any]:
    """Plain JSON; times are ISO 8601 in UTC. `next` is empty while the schedule is paused."""
    return {
        "id": schedule.id,
        "workflow": schedule.workflow,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "conversation_id": schedule.conversation_id,
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
