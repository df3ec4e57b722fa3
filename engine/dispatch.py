"""Who executes a run: the port, and its local form, where this process does and the store keeps what is unfinished.

Every process says from time to time that it lives. A run is taken over only from a process that has ended,
under a higher epoch, so that even an owner thought dead by mistake can write nothing more. A parked run is
nobody's; it is taken by whoever woke it, or by a process that recovers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol

from engine.errors import Conflict, InputError, NotFound, ParlanceError
from engine.executor import Executor, PlanLoader
from engine.host import TIMEOUT
from engine.live import PATIENCE, LiveRun
from engine.nodes import Services
from engine.plan import Plan
from engine.ports import NodeRow, Process, RunRecord, RunStore
from engine.process import is_gone, this_process

log = logging.getLogger(__name__)

MANY = 16
"""How many elements of a for_each are not worth the trouble of several runs."""
POLL = 0.4
"""Seconds between looks for requests to cancel and for wakes, while runs are executed here."""
DUE = 1.0
"""Seconds between looks for questions whose time is over, and for runs that nobody owns."""
BEAT = 5.0
RECOVER = 15.0


class Dispatcher(Protocol):
    """Starts runs and sees to it that they end.

    Where `spreads` is true other workers may take a part of the work: a for_each of more than `many` elements is
    cut into runs of its own then.
    """

    spreads: bool
    many: int

    async def start(self, record: RunRecord, plan: Plan) -> None:
        """Store the run and have it executed; at `not_before`, where it says so."""
        ...

    async def offer(self, record: RunRecord, plan: Plan, rows: Sequence[NodeRow] = ()) -> None:
        """As `start`, but a run whose id is there already is left as it is. `rows` are those that it begins with."""
        ...

    async def nudge(self, run_id: str) -> None:
        """The run has been woken in the store: somebody is to go on with it now."""
        ...

    async def cancel(self, run_id: str) -> None: ...

    async def recover(self) -> list[str]: ...

    async def work(self, slots: int) -> None:
        """Execute what others store, up to `slots` runs at once, until `close`. InputError where that is not how
        runs are executed."""
        ...

    def live(self, run_id: str) -> LiveRun | None: ...

    async def lacking(self) -> str | None:
        """What keeps new runs from being executed, in a sentence with its fix; None where nothing does."""
        ...

    async def enter(self) -> str: ...

    async def alive(self, process_id: str) -> bool: ...

    async def close(self, patience: float = PATIENCE) -> None:
        """Let go of what runs. What must not happen twice gets `patience` seconds to end."""
        ...


MakeDispatcher = Callable[[RunStore, Services, PlanLoader, str | None], Dispatcher]
"""Given the store, the services, how to load a plan, and the name of this process (None: one of its own)."""


Chore = Callable[[], Awaitable[object]]


class LocalDispatcher:
    """Executes runs in this process."""

    spreads = False
    many = MANY

    def __init__(self, store: RunStore, services: Services, load: PlanLoader, name: str | None) -> None:
        self._store = store
        self._clock = services.clock
        self._process: Process = this_process(name, services.clock.now())
        self._executor = Executor(store, services, load, self._process.id, self.nudge)
        self._watcher: asyncio.Task[None] | None = None
        self._recovers = False
        self._entering = asyncio.Lock()

    def live(self, run_id: str) -> LiveRun | None:
        return self._executor.live(run_id)

    async def lacking(self) -> str | None:
        return None

    async def enter(self) -> str:
        """Before the first run: say that this process lives, and go on saying so. Its id."""
        async with self._entering:
            if self._watcher is None:
                await self._store.beat(self._process)
                self._watcher = asyncio.create_task(self._watch())
        return self._process.id

    async def alive(self, process_id: str) -> bool:
        """Whether a process still lives, this one included."""
        if process_id == self._process.id:
            return True
        known = await self._store.process(process_id)
        return known is not None and not is_gone(known, self._clock.now())

    async def start(self, record: RunRecord, plan: Plan) -> None:
        await self.enter()
        if record.not_before is not None and record.not_before > self._clock.now():
            await self._executor.create(record, plan)
        else:
            await self._executor.start(record, plan)

    async def offer(self, record: RunRecord, plan: Plan, rows: Sequence[NodeRow] = ()) -> None:
        await self._executor.create(record, plan, rows)
        if record.not_before is None or record.not_before <= self._clock.now():
            await self._take(record.id)

    async def nudge(self, run_id: str) -> None:
        live = self._executor.live(run_id)
        if live is not None:
            live.wake()
        else:
            await self._take(run_id)

    async def cancel(self, run_id: str) -> None:
        """Stop a run and those below it, wherever they are executed; what has no living owner is taken over for
        that.
        """
        await self._store.request_cancel(run_id)
        await self._stop(run_id)

    async def _stop(self, run_id: str) -> None:
        for _ in range(3):  # it may be parked, or woken, in just that moment
            live = self._executor.live(run_id) or await self._take(run_id)
            if live is None:
                break
            live.cancel()
            await asyncio.wait([live.settled], timeout=2)
            if self._executor.live(run_id) is None and not live.parked:
                break
        for child in await self._store.children(run_id):
            if child.end_event is None:
                await self._stop(child.id)

    async def work(self, slots: int) -> None:
        raise InputError(
            "There is nothing for a worker to do: whoever starts a run executes it.",
            "Set PARLANCE_DISPATCH=dbos here and where runs are started, and PARLANCE_DATABASE_URL to a PostgreSQL "
            "database that all of them share.",
        )

    async def recover(self) -> list[str]:
        """Take over what has no living owner, now and from time to time; the ids of the runs that go on."""
        await self.enter()
        self._recovers = True
        return await self._take_gone()

    async def close(self, patience: float = PATIENCE) -> None:
        """Let go of what runs, and say that this process has ended."""
        entered = self._watcher is not None
        await self._stop_watching()
        await self._executor.leave(patience)
        if entered:
            await self._store.leave(self._process.id)

    async def _stop_watching(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
            self._watcher = None

    # --- taking over ---

    async def _take(self, run_id: str) -> LiveRun | None:
        """Go on with one run here, unless a living process has it, it is parked, or it has ended."""
        run = await self._store.get(run_id)
        owner = None if run.process is None else await self._store.process(run.process)
        if run.end_event is not None or run.parked or not self._is_free(run.process, owner):
            return None
        await self.enter()
        return await self._executor.claim(run_id, run.epoch)

    async def _take_gone(self) -> list[str]:
        claimed = []
        for run_id, epoch, owner_id, owner in await self._store.unfinished():
            if self._is_free(owner_id, owner) and await self._executor.claim(run_id, epoch) is not None:
                claimed.append(run_id)
        return claimed

    async def _take_unowned(self) -> None:
        for run_id, epoch in await self._store.unowned():
            await self._executor.claim(run_id, epoch)

    def _is_free(self, owner_id: str | None, owner: Process | None) -> bool:
        """Whether nobody executes the run. What is ours and not here was let go of when the store failed."""
        if owner is None or (owner_id == self._process.id and owner.pid == self._process.pid):
            return True
        return is_gone(owner, self._clock.now())

    # --- signs of life ---

    async def _watch(self) -> None:
        """All that this process does from time to time, in one task however many runs there are."""
        now = asyncio.get_running_loop().time
        tasks = self._chores()
        due = [now() + every for _, every in tasks]
        while True:
            await asyncio.sleep(POLL)
            for number, (task, every) in enumerate(tasks):
                if now() < due[number]:
                    continue
                due[number] = now() + every
                try:
                    await task()
                except ParlanceError as error:
                    log.warning("runs can't be looked after: %s", error)

    def _chores(self) -> list[tuple[Chore, float]]:
        """What is done, and every how many seconds."""
        return [
            (self._executor.attend, POLL),
            (self._answer_due, DUE),
            (self._take_woken, DUE),
            (self._beat, BEAT),
            (self._take_lost, RECOVER),
        ]

    async def _beat(self) -> None:
        await self._store.beat(replace(self._process, beat_at=self._clock.now()))

    async def _take_woken(self) -> None:
        if self._recovers:
            await self._take_unowned()

    async def _take_lost(self) -> None:
        if self._recovers:
            await self._take_gone()

    async def _answer_due(self) -> None:
        """Give the default answer, or none, to questions whose time is over; those of runs executed elsewhere
        only where this process recovers.
        """
        at = self._clock.now()
        if not self._recovers and not self._executor.is_due(at):
            return
        for wait in await self._store.waits(due_before=at):
            if not self._recovers and self._executor.live(wait.run_id) is None:
                continue
            try:
                await self._store.answer(wait.run_id, wait.path, wait.iteration, wait.default, TIMEOUT, at)
            except (Conflict, NotFound):
                continue  # somebody was faster
            await self.nudge(wait.run_id)
