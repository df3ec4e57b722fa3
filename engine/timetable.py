"""Keeps the schedules of an installation, and starts their runs when their times come.

Every process that goes on with unfinished runs may tick. Which of them has a planned time is decided in the store; the
run's id follows from schedule and time, so that one that dies in between leaves nothing that could happen twice.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.cron import Cron
from engine.errors import Conflict, InputError, NotFound, ParlanceError, StoreError, WorkflowInvalid
from engine.inputs import read_inputs
from engine.schedules import (
    Schedule,
    Schedules,
    ScheduleStore,
    failed,
    left_out,
    paused,
    resumed,
    started,
    taken,
)

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.ports import Clock
    from engine.workflow import Workflow

log = logging.getLogger(__name__)

Documents = Callable[[str, str], Awaitable[str | None]]
"""The newest text of an owner's saved workflow; None where there is none of that name."""
Placed = Callable[[Schedule, str], Awaitable[None]]
"""Gives the run of this id, which the schedule has just started, its place in the schedule's conversation. It may be
called again for the same run."""
Prepare = Callable[[str], Awaitable["Workflow"]]
"""Checks a text; WorkflowInvalid where it has errors."""

TICK = 1.0
"""Seconds between looks for what is due."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class Timetable:
    """The schedules of one store. `checked` is how a text is looked at when a schedule is made, `ready` before
    it runs: then what the machine lacks is an error too.
    """

    def __init__(
        self,
        store: ScheduleStore,
        engine: Engine,
        documents: Documents,
        *,
        checked: Prepare,
        ready: Prepare,
        clock: Clock,
        placed: Placed | None = None,
    ) -> None:
        """`placed` may be set later, by who follows runs."""
        self.placed = placed
        self._store = store
        self._engine = engine
        self._documents = documents
        self._checked = checked
        self._ready = ready
        self._clock = clock
        self._ticking: asyncio.Task[None] | None = None

    # --- by people ---

    async def add(
        self,
        owner: str,
        *,
        cron: str,
        workflow: str | None = None,
        yaml: str | None = None,
        timezone: str = "UTC",
        inputs: Mapping[str, Any] | None = None,
        schedule_id: str | None = None,
        overlap: bool = False,
        conversation_id: str | None = None,
    ) -> Schedule:
        """Make a schedule for a saved workflow, or for a text. Its document and inputs are checked now.

        InputError, WorkflowInvalid, NotFound, Conflict; nothing is stored then.
        """
        times = await asyncio.to_thread(Cron, cron, timezone)
        if schedule_id is not None and not _ID.match(schedule_id):
            raise InputError(
                f"{schedule_id!r} can't be an id.", "Use up to 64 letters, digits, dots, - and _.", "id"
            )
        text = yaml if yaml is not None else await self._saved(owner, workflow or "")
        document = await self._checked(text)
        now = self._clock.now()
        name = workflow or document.name
        made = Schedule(
            id=schedule_id or _id_from(name),
            owner=owner,
            workflow=name,
            yaml=text,
            cron=times.expression,
            timezone=timezone,
            created_at=now,
            inputs=await self._engine.with_files(document, read_inputs(document, inputs or {}), owner),
            saved=yaml is None,
            overlap=overlap,
            conversation_id=conversation_id,
            next_at=times.next(now)[0],
        )
        return await self._stored(made, fixed=schedule_id is not None)

    async def list(self, owner: str) -> Schedules:
        return await self._store.list(owner)

    async def pause(self, owner: str, schedule_id: str) -> Schedule:
        """Nothing starts until it is resumed. NotFound."""
        return await self._change(owner, schedule_id, paused)

    async def resume(self, owner: str, schedule_id: str) -> Schedule:
        """Go on with the next planned time. NotFound."""
        return await self._change(owner, schedule_id, lambda found: resumed(found, self._clock.now()))

    async def rename_workflow(self, owner: str, old: str, new: str) -> None:
        """The schedules of a saved workflow are of that name from now on."""
        for schedule in await self._store.list(owner):
            while schedule.saved and schedule.workflow == old:
                if await self._store.replace(replace(schedule, workflow=new)):
                    break
                try:
                    schedule = await self._store.get(owner, schedule.id)  # it was changed meanwhile
                except NotFound:
                    break

    async def remove(self, owner: str, schedule_id: str) -> None:
        """Runs that it has started go on. NotFound."""
        await self._store.remove(owner, schedule_id)

    async def _saved(self, owner: str, workflow: str) -> str:
        text = await self._documents(owner, workflow)
        if text is None:
            raise NotFound(f'There is no workflow "{workflow}".', "`app.py workflows` lists what there is.")
        return text

    async def _stored(self, schedule: Schedule, *, fixed: bool) -> Schedule:
        """Under its id, or under that with -2, -3 … where the id is not the person's own."""
        base, number = schedule.id, 1
        while True:
            try:
                await self._store.add(schedule)
                return schedule
            except Conflict:
                if fixed:
                    raise
                number += 1
                schedule = replace(schedule, id=f"{base}-{number}")

    async def _change(self, owner: str, schedule_id: str, change: Callable[[Schedule], Schedule]) -> Schedule:
        while True:
            changed = await asyncio.to_thread(change, await self._store.get(owner, schedule_id))
            if await self._store.replace(changed):
                return changed

    # --- by the clock ---

    def start(self) -> None:
        """Look for what is due from now on, until `close`."""
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick_on())

    async def close(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.wait([self._ticking])
            self._ticking = None

    async def tick(self) -> Sequence[str]:
        """Start what is due; the ids of the runs. StoreError."""
        runs = []
        for schedule in await self._store.due(self._clock.now()):
            run_id = await self._come(schedule)
            if run_id is not None:
                runs.append(run_id)
        return runs

    async def _tick_on(self) -> None:
        while True:
            try:
                await self.tick()
            except ParlanceError as error:
                log.warning("schedules can't be looked after: %s", error)
            await asyncio.sleep(TICK)

    async def _come(self, schedule: Schedule) -> str | None:
        """Take the time that has come, then start its run. Another process may be faster with either."""
        if schedule.pending_at is None:
            now = self._clock.now()
            why = await self._in_the_way(schedule)
            if why:
                change = await asyncio.to_thread(left_out, schedule, now, why)
            else:
                change = await asyncio.to_thread(taken, schedule, now)
            if not await self._store.replace(change) or why:
                return None
            schedule = replace(change, revision=schedule.revision + 1)
        run_id = schedule.run_id()
        try:
            await self._start(schedule, run_id)
        except StoreError:
            raise  # the time stays pending
        except ParlanceError as error:
            await self._store.replace(failed(schedule, _why(error)))
            return None
        return run_id if await self._store.replace(started(schedule, run_id)) else None

    async def _in_the_way(self, schedule: Schedule) -> str | None:
        """Why the next run is left out: the one before has not ended."""
        if schedule.overlap or schedule.last_run_id is None:
            return None
        try:
            run = await self._engine.record(schedule.last_run_id)
        except NotFound:
            return None
        return None if run.ended_at is not None else f"run {run.id} had not ended (it is {run.status})."

    async def _start(self, schedule: Schedule, run_id: str) -> None:
        text = await self._documents(schedule.owner, schedule.workflow) if schedule.saved else None
        workflow = await self._ready(schedule.yaml if text is None else text)
        place = schedule.conversation_id if self.placed is not None else None
        await self._engine.start(
            workflow,
            schedule.inputs,
            owner=schedule.owner,
            run_id=run_id,
            origin=schedule.origin,
            conversation_id=place,
            message_id=None if place is None else run_id,
        )
        if place is not None and self.placed is not None:
            await self.placed(schedule, run_id)


def _id_from(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:48] or "schedule"


def _why(error: ParlanceError) -> str:
    if isinstance(error, WorkflowInvalid):
        return "; ".join(p.message for p in error.problems if p.severity == "error") or str(error)
    return str(error)
