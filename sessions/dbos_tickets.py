"""The queue's side of runs on PostgreSQL: a ticket for each time that a run becomes free to be claimed.

A ticket only says that there is something to do; whether there is, and who does it, the run's epoch decides. So one
ticket too many does nothing, and one too few is made up for by `sweep`. It names the run's id and its epoch, so that a
run that is freed twice before it is claimed has one.
"""

# ruff: noqa: S608 - statements are put together from constants

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.ports import Process
from sessions.run_rows import process_of

if TYPE_CHECKING:
    import psycopg

    from sessions.postgres import Postgres

SCHEMA = "dbos"
QUEUE = "runs"
SEGMENT = "segment"
APPLICATION = "parlance"
KEPT_SECONDS = 600
"""How long tickets that are done with are kept, for people to look at."""
DEATHS = 5
"""A run that was being executed when this many workers died one after the other, and got no further, is ended."""

_ARE_READY = f"""
    SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = '{SCHEMA}' AND p.proname = 'enqueue_workflow'"""
_TICKET = f"""
    {SCHEMA}.enqueue_workflow(
        workflow_name => '{SEGMENT}', queue_name => '{QUEUE}', application_name => '{APPLICATION}',
        positional_args => ARRAY[to_json(r.id), to_json(r.epoch)], workflow_id => r.id || ':' || r.epoch,
        priority => r.priority::int4,
        delay_until_epoch_ms => CASE WHEN r.not_before > extract(epoch FROM now())
                                THEN (r.not_before * 1000)::bigint END
    )"""
_ENQUEUE = f"""
    SELECT {_TICKET} FROM
    (SELECT * FROM runs WHERE id = ANY(%s) AND status = 'running' AND parked = 0 ORDER BY priority, no) r"""
_ENQUEUE_FREE = f"""
    SELECT {_TICKET} FROM (
        SELECT f.* FROM runs f WHERE f.status = 'running' AND f.parked = 0
        AND NOT EXISTS (SELECT 1 FROM processes p WHERE p.id = f.process)
        AND NOT EXISTS (SELECT 1 FROM {SCHEMA}.workflow_status t WHERE t.workflow_uuid = f.id || ':' || f.epoch)
        ORDER BY f.priority, f.no LIMIT 1000
    ) r"""
_OURS = f"t.queue_name = '{QUEUE}' AND t.application_name = '{APPLICATION}'"
_DEAD_TICKETS = f"""
    SELECT t.workflow_uuid AS id FROM {SCHEMA}.workflow_status t WHERE {_OURS} AND (
        (t.status = 'PENDING' AND NOT EXISTS (SELECT 1 FROM processes p WHERE p.id = t.executor_id))
        OR (t.status IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED') AND (
            t.updated_at < (extract(epoch FROM now()) - ?) * 1000
            OR EXISTS (
                SELECT 1 FROM runs r WHERE r.id || ':' || r.epoch = t.workflow_uuid AND r.status = 'running'
                AND r.parked = 0 AND NOT EXISTS (SELECT 1 FROM processes p WHERE p.id = r.process)
            )
        ))
    ) LIMIT 1000"""
_PROCESSES = """
    SELECT p.id, p.place, p.pid, p.born, p.beat_at, w.version FROM processes p LEFT JOIN workers w ON w.id = p.id"""
_REGISTER = """
    INSERT INTO workers (id, version, slots) VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET version = excluded.version, slots = excluded.slots"""
_COUNT_DEATHS = """
    INSERT INTO run_deaths (run_id, deaths, seq)
    SELECT r.id, 1, coalesce((SELECT max(n.seq) FROM node_rows n WHERE n.run_no = r.no), 0)
    FROM runs r WHERE r.process = ? AND r.status = 'running'
    ON CONFLICT (run_id) DO UPDATE SET seq = excluded.seq,
    deaths = CASE WHEN excluded.seq > run_deaths.seq THEN 1 ELSE run_deaths.deaths + 1 END"""
_HOPELESS = f"""
    SELECT r.id, r.epoch FROM run_deaths d JOIN runs r ON r.id = d.run_id
    WHERE d.deaths >= {DEATHS} AND r.status = 'running' AND r.parked = 0
    AND NOT EXISTS (SELECT 1 FROM processes p WHERE p.id = r.process)"""
_FORGET_DEATHS = "DELETE FROM run_deaths d USING runs r WHERE r.id = d.run_id AND r.ended_at IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Known:
    """A process that has said that it lives; `version` is None for one that is no worker."""

    process: Process
    version: str | None


class Tickets:
    """The tickets, the workers and the deaths of one database."""

    def __init__(self, db: Postgres) -> None:
        self._db = db
        self._ready = False

    def enqueue(self, connection: psycopg.Connection[Any], run_ids: Sequence[str]) -> None:
        """In the transaction that lets these runs be claimed: a ticket for each.

        Where the queue has no tables yet there is no worker either; the first one makes both.
        """
        if not self._ready:
            found = connection.execute(_ARE_READY.encode()).fetchone()
            self._ready = bool(found and found[0])
        if self._ready:
            connection.execute(_ENQUEUE.encode(), (list(run_ids),))

    async def are_ready(self) -> bool:
        """Whether the queue's own tables are there."""
        found = await self._db.fetch(_ARE_READY)
        return bool(found[0][0])

    async def register(self, process_id: str, version: str, slots: int) -> None:
        """Say that this process is a worker."""
        await self._db.execute(_REGISTER, (process_id, version, slots))

    async def processes(self) -> list[Known]:
        """Every process that has said that it lives and not that it ends."""
        found = []
        for row in await self._db.fetch(_PROCESSES):
            process = process_of(row)
            if process is not None:
                found.append(Known(process, row["version"]))
        return found

    async def leave(self, process_id: str) -> None:
        """A worker has ended in an orderly way: what it let go of gets tickets at once."""

        def job(c: Any) -> None:
            c.execute("DELETE FROM workers WHERE id = ?", (process_id,))
            c.execute("DELETE FROM processes WHERE id = ?", (process_id,))
            c.execute(_ENQUEUE_FREE)

        await self._db.write(job)

    async def bury(self, known: Known) -> None:
        """A process has died: what it executed is nobody's now, and it is noted that it died of that, perhaps."""
        process_id = known.process.id

        def job(c: Any) -> None:
            if known.version is not None:
                c.execute(_COUNT_DEATHS, (process_id,))
            c.execute("DELETE FROM workers WHERE id = ?", (process_id,))
            c.execute("DELETE FROM processes WHERE id = ?", (process_id,))

        await self._db.write(job)

    async def hopeless(self) -> list[tuple[str, int]]:
        """The runs that are to be ended: id and epoch."""
        return [(row["id"], row["epoch"]) for row in await self._db.fetch(_HOPELESS)]

    async def dead(self) -> list[str]:
        """Tickets that nobody will do anything about: held by the dead, done with long ago, or to be made anew."""
        return [row["id"] for row in await self._db.fetch(_DEAD_TICKETS, (KEPT_SECONDS,))]

    async def enqueue_free(self) -> None:
        """A ticket for every run that is free and has none."""

        def job(c: Any) -> None:
            c.execute("SELECT pg_advisory_xact_lock(7268451129044)")
            c.execute(_ENQUEUE_FREE)
            c.execute(_FORGET_DEATHS)

        await self._db.write(job)
