"""The writer on PostgreSQL: what waits shares one transaction, whose statements go out together.

A transaction takes its locks first, all at once and in one order, so that those of several processes wait for
each other and never in a circle. When the server goes away in the middle, it is asked afterwards whether the
commit was made; a restart costs time and loses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from functools import lru_cache
from typing import Any

import psycopg

from engine.errors import ParlanceError, StoreError
from sessions.postgres_connections import AGAIN, PATIENCE, Connections
from sessions.postgres_errors import Translator, lost, may_help_again
from sessions.run_rows import cleaned
from sessions.run_sql import FENCED
from sessions.writer import Entry, Job, Writer, fail

OnClaimable = Callable[[psycopg.Connection[Any], Sequence[str]], None]
"""Called on the writer's thread, in the transaction that lets these runs be claimed, before its commit."""

_LOCK_RUNS = f"""
    WITH wanted AS (
        SELECT unnest(%s::text[]) AS id
        UNION SELECT parent_id FROM runs WHERE id = ANY(%s::text[]) AND parent_id IS NOT NULL
    )
    SELECT {", ".join(f"r.{name}" for name in FENCED.split(", "))}
    FROM runs r JOIN wanted w ON w.id = r.id ORDER BY r.id FOR NO KEY UPDATE OF r"""  # noqa: S608
_LOCK_RUN = f"SELECT {FENCED} FROM runs WHERE id = %s FOR NO KEY UPDATE"  # noqa: S608
_LOCK_BUDGETS = "SELECT 1 FROM run_budgets WHERE root_id = ANY(%s::text[]) ORDER BY root_id FOR NO KEY UPDATE"


@lru_cache(512)
def dialect(statement: str) -> bytes:
    """A statement with `?` in the driver's own form."""
    return statement.replace("%", "%%").replace("?", "%s").encode()


class Transaction:
    """What a job is handed: `?` stands for a value, as in the other database."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw
        self.locked: dict[str, Any] = {}
        self.claimable: list[str] = []

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        return self.raw.execute(dialect(statement), cleaned(tuple(values)))

    def executemany(self, statement: str, values: Iterable[Sequence[Any]], /) -> psycopg.Cursor[Any]:
        cursor = self.raw.cursor()
        cursor.executemany(dialect(statement), [cleaned(tuple(each)) for each in values])
        return cursor

    def run(self, run_id: str) -> Any:
        """The run as FENCE reads it, locked until the transaction ends; None where there is none."""
        if run_id not in self.locked:
            self.locked[run_id] = self.raw.execute(_LOCK_RUN, (run_id,)).fetchone()
        return self.locked[run_id]

    def lock(self, jobs: Iterable[Job]) -> None:
        """Take the locks that the jobs name."""
        runs: dict[str, bool] = {}
        budgets: set[str] = set()
        for job in jobs:
            for run_id in getattr(job, "runs", ()):
                runs[run_id] = runs.get(run_id, False) or job.upward  # type: ignore[attr-defined]
            budgets.update(getattr(job, "budgets", ()))
        if budgets:
            self.raw.execute(_LOCK_BUDGETS, (list(cleaned(tuple(budgets))),))
        if runs:
            wanted = list(cleaned(tuple(runs)))
            self.locked.update(dict.fromkeys(wanted))
            values = (wanted, [run_id for run_id, up in zip(wanted, runs.values(), strict=True) if up])
            for run in self.raw.execute(_LOCK_RUNS, values).fetchall():
                self.locked[run["id"]] = run


class PostgresWriter(Writer):
    """Commits groups of jobs on its thread's connection, which is in autocommit mode."""

    def __init__(self, connections: Connections, translate: Translator) -> None:
        super().__init__()
        self._connections = connections
        self._translate = translate
        self.on_claimable: OnClaimable | None = None

    def _commit(self, entries: Sequence[Entry], *, flush: bool) -> None:
        """One transaction for all; where one of them spoils it, one for each."""
        try:
            self._persist(entries)
        except StoreError as error:
            fail(entries, error)
        except Exception as error:  # noqa: BLE001 - who submitted the job gets its error
            if len(entries) == 1:
                fail(entries, self._translate(error))
            else:
                for entry in entries:
                    self._commit([entry], flush=flush)

    def _persist(self, entries: Sequence[Entry]) -> None:
        """Commit, again and again while the server is away or others are in the way."""
        until = time.monotonic() + PATIENCE
        while True:
            attempt = _Attempt(self._connections)
            try:
                attempt.make(entries, self.on_claimable)
                return
            except psycopg.Error as error:
                if attempt.lost(error):
                    if attempt.committing and self._was_committed(attempt.number, until):
                        return
                elif not may_help_again(error):
                    raise
                if time.monotonic() > until:
                    raise
                time.sleep(AGAIN)

    def _was_committed(self, number: str, until: float) -> bool:
        """Ask the server, once it is there again, what has become of a transaction."""
        while True:
            try:
                with self._connections.use() as raw:
                    (status,) = raw.execute("SELECT pg_xact_status(%s::xid8)", (number,)).fetchone() or (
                        None,
                    )
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(AGAIN)
                continue
            if status in ("committed", "aborted"):
                return bool(status == "committed")
            if status is None or time.monotonic() > until:
                raise StoreError(
                    "The connection to PostgreSQL broke off.", "Look whether the last change was made."
                )
            time.sleep(0.05)


class _Attempt:
    """One try to commit a group."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._raw: psycopg.Connection[Any] | None = None
        self.committing = False
        self.number = ""

    def lost(self, error: psycopg.Error) -> bool:
        return lost(error, self._raw)

    def make(self, entries: Sequence[Entry], on_claimable: OnClaimable | None) -> None:
        with self._connections.use() as raw:
            self._raw = raw
            try:
                self._fill(Transaction(raw), entries, on_claimable)
                self.committing = True
                raw.execute("COMMIT")
            except BaseException:
                if not raw.closed:
                    with suppress(psycopg.Error):
                        raw.execute("ROLLBACK")
                raise

    def _fill(
        self, transaction: Transaction, entries: Sequence[Entry], on_claimable: OnClaimable | None
    ) -> None:
        raw = transaction.raw
        with raw.pipeline() if len(entries) > 1 or hasattr(entries[0].job, "runs") else nullcontext():
            raw.execute("BEGIN")
            number = raw.execute("SELECT pg_current_xact_id()::text AS number")
            transaction.lock(entry.job for entry in entries)
            for entry in entries:
                entry.outcome = _attempted(transaction, entry.job)
            (self.number,) = number.fetchone() or ("",)
        for entry in entries:
            _count(entry)
        if transaction.claimable and on_claimable is not None:
            on_claimable(raw, transaction.claimable)


def _attempted(transaction: Transaction, job: Job) -> tuple[bool, Any]:
    """A job of ours looks before it writes, and so has written nothing when it raises; others get a savepoint."""
    careful = hasattr(job, "runs")
    if not careful:
        transaction.raw.execute("SAVEPOINT job")
    try:
        value = job(transaction)
    except ParlanceError as error:
        if not careful:
            transaction.raw.execute("ROLLBACK TO SAVEPOINT job")
        return (False, error)
    if not careful:
        transaction.raw.execute("RELEASE SAVEPOINT job")
    return (True, value)


def _count(entry: Entry) -> None:
    """Where a job gave its cursor, the answer is how many rows it changed; a pipeline knows that at its end."""
    good, value = entry.outcome
    if good and isinstance(value, psycopg.Cursor):
        entry.outcome = (True, value.rowcount)
