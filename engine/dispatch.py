"""Who executes a run: the port, and its local form, where this process does and the store keeps what is unfinished.

Every process says from time to time that it lives. A run is taken over only from a process that has ended,
under a higher epoch, so that even an owner thought dead by mistake can write nothing more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from engine.errors import ParlanceError
from engine.ledger import Ledger
from engine.live import LiveRun
from engine.nodes import Services
from engine.plan import Plan
from engine.ports import Process, RunRecord, RunStore
from engine.process import is_gone, this_process
from engine.resume import begin, resume

log = logging.getLogger(__name__)

PlanLoader = Callable[[RunRecord], Plan]
"""Makes the plan of a stored run anew; ParlanceError when its document is refused now."""

POLL = 0.4
"""Seconds between looks for requests to cancel, while runs are executed here."""
BEAT = 5.0
RECOVER = 15.0


class Dispatcher(Protocol):
    """Starts runs and sees to it that they end."""

    async def start(self, record: RunRecord, plan: Plan) -> None: ...

    async def cancel(self, run_id: str) -> None: ...

    async def recover(self) -> list[str]: ...

    def live(self, run_id: str) -> LiveRun | None: ...

    async def enter(self) -> str: ...

    async def alive(self, process_id: str) -> bool: ...

    async def close(self) -> None: ...


class LocalDispatcher:
    """Executes runs in this process."""

    def __init__(self, store: RunStore, services: Services, load: PlanLoader, name: str | None) -> None:
        self._store = store
        self._services = services
        self._load = load
        self._process: Process = this_process(name, services.clock.now())
        self._runs: dict[str, LiveRun] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._recovers = False
        self._entering = asyncio.Lock()
        self._claiming = asyncio.Lock()

    def live(self, run_id: str) -> LiveRun | None:
        return self._runs.get(run_id)

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
        return known is not None and not is_gone(known, self._services.clock.now())

    async def start(self, record: RunRecord, plan: Plan) -> None:
        """Store the run, then execute it in the background."""
        await self.enter()
        live = LiveRun(record, plan, self._services, self._store)
        failure: ParlanceError | None = None
        try:
            opens = [live.opened(visit, record.created_at) for visit in begin(live)]
        except ParlanceError as error:
            opens, failure = [], error
        live.ledger.create(self._process.id, tuple(each.started for each in opens))
        self._keep(live)
        try:
            await self._store.create(live.ledger.record)
        except BaseException:
            self._runs.pop(record.id, None)
            raise
        if failure is not None:
            live.conclude(failure)
        else:
            live.launch(opens)

    async def cancel(self, run_id: str) -> None:
        """Stop a run wherever it is executed; one whose owner has ended is taken over for that."""
        live = self._runs.get(run_id)
        if live is None:
            await self._store.request_cancel(run_id)
            await self._claim_gone(only=run_id)
            live = self._runs.get(run_id)
        if live is not None:
            live.cancel()
            await asyncio.wait([live.ended], timeout=2)

    async def recover(self) -> list[str]:
        """Take over what has no living owner, now and from time to time; the ids of the runs that go on."""
        await self.enter()
        self._recovers = True
        return await self._claim_gone()

    async def close(self) -> None:
        """Let go of what runs, and say that this process has ended."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
        await asyncio.gather(*(live.leave() for live in list(self._runs.values())))
        if self._watcher is not None:
            await self._store.leave(self._process.id)
            self._watcher = None

    # --- taking over ---

    async def _claim_gone(self, only: str | None = None) -> list[str]:
        claimed = []
        async with self._claiming:
            for run_id, epoch, owner_id, owner in await self._store.unfinished():
                if run_id in self._runs or only not in (None, run_id) or not self._is_free(owner_id, owner):
                    continue
                await self.enter()
                record = await self._store.claim(run_id, epoch, self._process.id)
                if record is not None:
                    await self._go_on(record)
                    claimed.append(run_id)
        return claimed

    def _is_free(self, owner_id: str | None, owner: Process | None) -> bool:
        """Whether nobody executes the run. What is ours and not here was let go of when the store failed."""
        if owner is None or (owner_id == self._process.id and owner.pid == self._process.pid):
            return True
        return is_gone(owner, self._services.clock.now())

    async def _go_on(self, record: RunRecord) -> None:
        rows = await self._store.rows(record.id)
        try:
            plan = self._load(record)
        except Exception as error:
            log.warning("run %s can't go on", record.id, exc_info=error)
            await self._give_up(Ledger(record, self._store, rows), error)
            return
        live = LiveRun(record, plan, self._services, self._store, rows)
        self._keep(live)
        resume(live)
        if record.cancel_requested:
            live.cancel()

    async def _give_up(self, ledger: Ledger, error: Exception) -> None:
        """End a run whose document this version refuses."""
        good = sum(row.status == "ok" for row in ledger.rows)
        await ledger.end([], "failed", str(error), self._services.clock.now(), range(1, good + 1))

    def _keep(self, live: LiveRun) -> None:
        run_id = live.ledger.record.id
        self._runs[run_id] = live
        live.ended.add_done_callback(lambda _: self._runs.pop(run_id, None))

    # --- signs of life ---

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        beat = recovered = loop.time()
        while True:
            await asyncio.sleep(POLL)
            try:
                if self._runs:
                    for run_id in await self._store.cancel_requests(self._process.id):
                        if run_id in self._runs:
                            self._runs[run_id].cancel()
                if loop.time() - beat >= BEAT:
                    beat = loop.time()
                    await self._store.beat(replace(self._process, beat_at=self._services.clock.now()))
                if self._recovers and loop.time() - recovered >= RECOVER:
                    recovered = loop.time()
                    await self._claim_gone()
            except ParlanceError as error:
                log.warning("runs can't be looked after: %s", error)
