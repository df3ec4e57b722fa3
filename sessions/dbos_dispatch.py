"""The dispatcher over DBOS on PostgreSQL: whoever starts a run stores it with a ticket, and a worker executes it.

What makes a run free to be claimed enqueues its ticket in the same transaction (`Tickets.enqueue`); from then on some
worker takes it, or the sweep of another one does when that worker dies. Fence, cancel and heartbeat are those of every
dispatcher. A worker that gives no sign of life for half a minute counts as dead wherever it is: what it may still
do then, it does under an old epoch.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from engine.dispatch import BEAT, DUE, POLL, Chore, LocalDispatcher
from engine.errors import Conflict, ParlanceError, RunError, StoreError
from engine.live import PATIENCE, LiveRun
from engine.process import SILENT, is_gone
from sessions.dbos_tickets import DEATHS, Tickets
from sessions.dbos_worker import DbosWorker, make_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.dispatch import MakeDispatcher
    from engine.executor import PlanLoader
    from engine.nodes import Services
    from engine.plan import Plan
    from engine.ports import NodeRow, Process, RunRecord
    from sessions.postgres import Postgres
    from sessions.postgres_runs import PostgresRunStore

log = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0
NO_WORKER = "Waiting for a worker: start one with `app.py worker`."


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: between signs of life, between looks for the dead, and without a sign until one counts as dead."""

    beat: float = BEAT
    reap: float = 2.0
    silent: float = SILENT


class DbosDispatcher(LocalDispatcher):
    """Stores runs for workers; after `work`, this process is one.

    `version` is that of what executes runs here. Only workers of the newest version take tickets, so that what a
    newer one wrote is not read by an older one; which version is the newest is settled when a worker starts, and
    again when the newest has no living worker.
    """

    spreads = True

    def __init__(
        self,
        store: PostgresRunStore,
        services: Services,
        load: PlanLoader,
        name: str | None,
        *,
        tickets: Tickets,
        url: str,
        version: str,
        pace: Pace | None = None,
    ) -> None:
        super().__init__(store, services, load, name)
        self._tickets = tickets
        self._url = url
        self._version = version
        self._pace = pace or Pace()
        self._slots = 0
        self._worker: DbosWorker | None = None
        self._ready = False
        self._closing = False

    # --- starting runs ---

    async def start(self, record: RunRecord, plan: Plan) -> None:
        await self.enter()
        await self._executor.create(record, plan)

    async def offer(self, record: RunRecord, plan: Plan, rows: Sequence[NodeRow] = ()) -> None:
        await self._executor.create(record, plan, rows)

    async def nudge(self, run_id: str) -> None:
        """Whatever woke the run has enqueued it, unless it is executed somewhere: then its owner hears of it."""
        live = self._executor.live(run_id)
        if live is not None:
            live.wake()

    async def lacking(self) -> str | None:
        now = self._clock.now()
        known = await self._tickets.processes()
        alive = [each for each in known if each.version and not self._is_dead(each.process, now)]
        return None if alive else NO_WORKER

    async def enter(self) -> str:
        if not self._ready:
            if not await self._tickets.are_ready():
                await asyncio.to_thread(make_tables, self._url)
            self._ready = True
        return await super().enter()

    async def recover(self) -> list[str]:
        """From now on answer questions whose time is over; workers alone take over runs."""
        await self.enter()
        self._recovers = True
        return []

    # --- being a worker ---

    async def work(self, slots: int) -> None:
        """Execute what is in the queue, up to `slots` runs at once, until `close`. StoreError; Conflict the second
        time.
        """
        if self._worker is not None:
            raise Conflict("This process is a worker already.", "Start another process.")
        process_id = await self.enter()
        self._slots = slots
        worker = DbosWorker(self._url, process_id, self._version, slots, self._segment)
        await worker.start()
        self._worker = worker
        await self._guarded(worker.become_newest())
        await self._tickets.register(process_id, self._version, slots)
        self._recovers = True
        await self._reap()

    async def close(self, patience: float = PATIENCE) -> None:
        """Let go of what runs. Other workers take it at once."""
        self._closing = True
        if self._worker is None:
            await super().close(patience)
            return
        await self._stop_watching()
        await self._worker.stop()
        await self._executor.leave(patience)
        await self._tickets.leave(self._process.id)
        self._worker = None

    async def _segment(self, run_id: str) -> None:
        """Go on with a run, from its claim to where it ends, is parked, or is another's. What keeps it from being
        claimed may pass; as long as it does not, the ticket stays taken, so that another worker has it once this one
        ends.
        """
        pause = 1.0
        while not self._closing:
            try:
                live = await self._take(run_id)
            except Exception as error:
                known = isinstance(error, ParlanceError)
                log.warning("run %s can't be claimed now: %s", run_id, error, exc_info=not known)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            if live is None:
                return
            await asyncio.wait([live.settled])
            if not _was_lost(live):
                return

    async def _reap(self) -> None:
        """See to what dead workers left: their runs get new tickets, or an end."""
        if self._worker is None:
            return
        now = self._clock.now()
        known = await self._tickets.processes()
        dead = [each for each in known if self._is_dead(each.process, now)]
        for each in dead:
            log.warning("process %s gives no sign of life; its runs go to others", each.process.id)
            await self._tickets.bury(each)
        for run_id, epoch in await self._tickets.hopeless():
            await self._executor.fail(run_id, epoch, _deadly())
        await self._guarded(self._renew({each.version for each in known if each not in dead}))

    async def _renew(self, versions: set[str | None]) -> None:
        worker = self._worker
        if worker is None:
            return
        tickets = await self._tickets.dead()
        if tickets:
            await worker.remove(tickets)
        await self._tickets.enqueue_free()
        if await worker.newest_version() not in versions:
            await worker.become_newest()

    async def _guarded(self, work: Any) -> None:
        """What DBOS raises is its database's trouble, and passes."""
        try:
            await work
        except ParlanceError:
            raise
        except Exception as error:
            raise StoreError(
                f"The queue on PostgreSQL can't be looked after: {type(error).__name__}."
            ) from error

    # --- who lives ---

    async def alive(self, process_id: str) -> bool:
        if process_id == self._process.id:
            return True
        known = await self._store.process(process_id)
        return known is not None and not self._is_dead(known, self._clock.now())

    def _is_free(self, owner_id: str | None, owner: Process | None) -> bool:
        if owner is None or owner_id == self._process.id:
            return True
        return self._is_dead(owner, self._clock.now())

    def _is_dead(self, process: Process, now: float) -> bool:
        """Also one that is there but stopped: nobody may hold a run for ever."""
        if process.id == self._process.id:
            return False
        return is_gone(process, now) or now - process.beat_at > self._pace.silent

    def _chores(self) -> list[tuple[Chore, float]]:
        return [
            (self._executor.attend, POLL),
            (self._answer_due, DUE),
            (self._beat, self._pace.beat),
            (self._reap, self._pace.reap),
        ]

    async def _beat(self) -> None:
        await super()._beat()
        if self._worker is not None:
            await self._tickets.register(self._process.id, self._version, self._slots)


def for_workers(db: Postgres, url: str, version: str) -> MakeDispatcher:
    """The dispatcher of an installation of this version whose runs are in this database."""
    tickets = Tickets(db)
    db.on_claimable(tickets.enqueue)
    make: Any = partial(DbosDispatcher, tickets=tickets, url=url, version=f"{version}+{_sources()}")
    return cast("MakeDispatcher", make)


def _sources() -> str:
    """What tells one state of the code that executes runs from another."""
    found = hashlib.blake2b(digest_size=6)
    root = Path(__file__).resolve().parent.parent
    for folder in ("engine", "sessions", "tools"):
        for path in sorted((root / folder).rglob("*.py")):
            found.update(f"{path.relative_to(root)}\0".encode())
            found.update(path.read_bytes())
    return found.hexdigest()


def _was_lost(live: LiveRun) -> bool:
    """Whether this process let go of the run without having come to its end."""
    return not live.settled.cancelled() and live.settled.exception() is not None


def _deadly() -> RunError:
    return RunError(
        f"{DEATHS} workers died one after the other while they executed this run, and it got no further.",
        "Look into the workers' logs and at their memory, then start the run again.",
    )
