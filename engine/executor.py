"""Executes runs in this process, each from the moment it is claimed until it ends, is parked or is let go of.

What every dispatcher needs: one segment of a run is `claim`, then its `settled`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from engine.errors import ParlanceError
from engine.ledger import Ledger, Open
from engine.live import PATIENCE, LiveRun
from engine.nodes import Services
from engine.plan import Plan
from engine.ports import NodeRow, RunRecord, RunStore
from engine.resume import begin, resume

log = logging.getLogger(__name__)

PlanLoader = Callable[[RunRecord], Awaitable[Plan]]
"""Makes the plan of a stored run anew; ParlanceError when its document is refused now."""

Nudge = Callable[[str], Awaitable[None]]
"""Is told the id of a run that has just been woken in the store."""


class Executor:
    """The live runs of one process, which the store knows as `process_id`.

    `nudge` is told of the parent when a child has ended or been parked here.
    """

    def __init__(
        self, store: RunStore, services: Services, load: PlanLoader, process_id: str, nudge: Nudge
    ) -> None:
        self._store = store
        self._services = services
        self._load = load
        self._process_id = process_id
        self._nudge = nudge
        self._runs: dict[str, LiveRun] = {}
        self._claiming = asyncio.Lock()
        self._nudging: set[asyncio.Task[None]] = set()
        self._leaving = False

    def live(self, run_id: str) -> LiveRun | None:
        """The run, while it is executed here."""
        live = self._runs.get(run_id)
        return None if live is None or live.settled.done() else live

    async def start(self, record: RunRecord, plan: Plan) -> LiveRun:
        """Store a new run as this process's own and execute it in the background."""
        live, opens, failure = self._begun(record, plan, self._process_id)
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
        return live

    async def create(self, record: RunRecord, plan: Plan, rows: Sequence[NodeRow] = ()) -> None:
        """Store a new run that nobody owns, with rows that it has from another: whoever claims it executes it."""
        live, _, _ = self._begun(record, plan, None)
        await self._store.create(live.ledger.record, rows=rows)

    async def claim(self, run_id: str, epoch: int) -> LiveRun | None:
        """Take a run over from whoever had it at `epoch` and go on with it in the background.

        None when somebody was faster, it is parked or has ended, or it is executed here already.
        """
        async with self._claiming:
            if self._leaving:
                return None
            if run_id in self._runs and self.live(run_id) is not None:
                return None
            record = await self._store.claim(run_id, epoch, self._process_id)
            return None if record is None else await self._go_on(record)

    async def fail(self, run_id: str, epoch: int, error: ParlanceError) -> bool:
        """Take a run over and end it as failed, executing nothing; False when somebody was faster."""
        async with self._claiming:
            record = await self._store.claim(run_id, epoch, self._process_id)
            if record is None:
                return False
            await self._give_up(Ledger(record, self._store, await self._store.rows(run_id)), error)
        if record.parent_id is not None:
            await self._tell(record.parent_id)
        return True

    async def attend(self) -> None:
        """Tell the runs here what others have asked of them: to stop, or to look again for what they wait for."""
        if not self._runs:
            return
        for signal in await self._store.signals(self._process_id):
            live = self.live(signal.run_id)
            if live is not None and signal.cancel_requested:
                live.cancel()
            elif live is not None:
                live.wake(signal.woken)

    def is_due(self, now: float) -> bool:
        """Whether the time of a question is over that a run here has put."""
        return any(live.host.next_due <= now for live in self._runs.values())

    async def leave(self, patience: float = PATIENCE) -> None:
        """Let go of every run, and take none any more; whoever claims them goes on. What must not happen twice gets
        `patience` seconds to end.
        """
        self._leaving = True
        await asyncio.gather(*(live.leave(patience) for live in list(self._runs.values())))
        if self._nudging:
            await asyncio.wait(self._nudging)

    # --- beginning and going on ---

    def _begun(
        self, record: RunRecord, plan: Plan, process_id: str | None
    ) -> tuple[LiveRun, list[Open], ParlanceError | None]:
        live = LiveRun(record, plan, self._services, self._store)
        failure: ParlanceError | None = None
        try:
            opens = [live.opened(visit, record.created_at) for visit in begin(live)]
        except ParlanceError as error:
            opens, failure = [], error
        live.ledger.create(process_id, tuple(each.started for each in opens))
        return live, opens, failure

    async def _go_on(self, record: RunRecord) -> LiveRun | None:
        loading = asyncio.ensure_future(self._load(record))
        try:
            rows = await self._store.rows(record.id)
        except BaseException:
            loading.cancel()
            raise
        try:
            plan = await loading
        except Exception as error:
            log.warning("run %s can't go on", record.id, exc_info=error)
            await self._give_up(Ledger(record, self._store, rows), error)
            return None
        live = LiveRun(record, plan, self._services, self._store, rows)
        self._keep(live)
        resume(live)
        return live

    async def _give_up(self, ledger: Ledger, error: Exception) -> None:
        """End a run whose document this version refuses."""
        good = sum(row.counts for row in ledger.rows)
        fault = error.fault if isinstance(error, ParlanceError) else {"code": "unexpected"}
        await ledger.end([], "failed", str(error), self._services.clock.now(), range(1, good + 1), fault)

    def _keep(self, live: LiveRun) -> None:
        record = live.ledger.record
        self._runs[record.id] = live

        def forget(_: asyncio.Future[dict[str, Any] | None]) -> None:
            if self._runs.get(record.id) is live:
                del self._runs[record.id]
            if self._leaving:
                return
            if record.parent_id is not None:
                self._in_background(self._tell(record.parent_id))
            if live.may_leave_children:
                self._in_background(self._end_late(record.id))

        live.settled.add_done_callback(forget)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._nudging.add(task)
        task.add_done_callback(self._nudging.discard)

    async def _end_late(self, run_id: str) -> None:
        """End the children of a run that has ended: one may have been stored while the others were stopped."""
        try:
            for child in await self._store.children(run_id):
                if child.end_event is None:
                    await self._store.request_cancel(child.id)
                    await self._nudge(child.id)
        except ParlanceError as error:
            log.warning("run %s: its children can't be stopped: %s", run_id, error)

    async def _tell(self, run_id: str) -> None:
        try:
            await self._nudge(run_id)
        except ParlanceError as error:
            log.warning("run %s was not told of its child: %s", run_id, error)
