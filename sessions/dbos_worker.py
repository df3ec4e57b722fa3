"""DBOS in this process: takes tickets from the queue on PostgreSQL and has the runs they name executed.

One DBOS workflow is one segment of a run. DBOS keeps no record of nodes and is handed ids alone; it runs on threads of
its own, and what it takes is executed on the loop that started it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from engine.errors import StoreError
from sessions.dbos_tickets import APPLICATION, QUEUE, SCHEMA, SEGMENT

if TYPE_CHECKING:
    from dbos import DBOSConfig

log = logging.getLogger(__name__)

Segment = Callable[[str], Awaitable[None]]
"""Goes on with a run until it ends, is parked or is let go of; returns at once where there is nothing to do."""

POLL = 0.06
"""Seconds between looks for tickets: a run starts half of that after it was stored, at the median."""
THREADS = 8
CONNECTIONS = 6


class DbosWorker:
    """At most one per process: DBOS allows no more."""

    def __init__(self, url: str, executor_id: str, version: str, slots: int, segment: Segment) -> None:
        self._url = url
        self._executor_id = executor_id
        self._version = version
        self._slots = slots
        self._segment = segment
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Take tickets from now on. StoreError when DBOS can't be started."""
        self._loop = asyncio.get_running_loop()
        try:
            await asyncio.to_thread(self._launch)
        except Exception as error:
            await asyncio.to_thread(_destroy)
            raise StoreError(
                f"The queue on PostgreSQL can't be used: {type(error).__name__}.",
                "Check that the user of PARLANCE_DATABASE_URL may make a schema there.",
            ) from error

    async def stop(self) -> None:
        """Take no more tickets; those held stay as they are, for `Tickets.leave` to renew."""
        await asyncio.to_thread(_destroy)

    async def remove(self, tickets: list[str]) -> None:
        """Delete tickets that are done with."""
        from dbos import DBOS

        await asyncio.to_thread(DBOS.delete_workflows, tickets)

    async def newest_version(self) -> str:
        """The version whose workers take tickets."""
        from dbos import DBOS

        found = await asyncio.to_thread(DBOS.get_latest_application_version)
        return str(found["version_name"])

    async def become_newest(self) -> None:
        """From now on the workers of this version take the tickets, and others only finish what they have."""
        from dbos import DBOS

        await asyncio.to_thread(DBOS.set_latest_application_version, self._version)

    def _launch(self) -> None:
        from dbos import DBOS

        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": self._url,
            "dbos_system_schema": SCHEMA,
            "application_version": self._version,
            "executor_id": self._executor_id,
            "max_executor_threads": THREADS,
            "sys_db_pool_size": CONNECTIONS,
            "enable_otlp": False,
            "log_level": "CRITICAL",
        }
        dbos = DBOS(config=config)

        async def segment(run_id: str, epoch: int) -> None:
            await self._hand_over(run_id)

        DBOS.workflow(name=SEGMENT, max_recovery_attempts=None)(segment)
        # A queue kept in the database has one limit for all workers; each of ours has slots of its own.
        dbos._registry._register_internal_queue(
            QUEUE, worker_concurrency=self._slots, polling_interval_sec=POLL
        )
        DBOS.launch()

    async def _hand_over(self, run_id: str) -> None:
        """One ticket: comes on DBOS's loop, is executed on ours."""
        assert self._loop is not None  # noqa: S101 - set by start
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._execute(run_id), self._loop))

    async def _execute(self, run_id: str) -> None:
        try:
            await self._segment(run_id)
        except Exception:
            log.exception("the ticket of run %s failed", run_id)
            raise


def _destroy() -> None:
    from dbos import DBOS

    DBOS.destroy(destroy_registry=True)


def make_tables(url: str) -> None:
    """Make, or bring up to date, the queue's own tables. Blocks."""
    from dbos import DBOS

    DBOS.migrate(url, schema=SCHEMA)
