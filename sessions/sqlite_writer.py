"""The writer of an SQLite database.

With synchronous=FULL a commit waits for the disk, so a thread does it. Otherwise a commit costs less than
handing it to a thread (15 µs against 120 µs), so it is done at the end of the loop's turn, unless another
process holds the lock: then the thread waits for it. Checkpoints, which reach the disk either way, are the
thread's.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from engine.errors import ParlanceError, StoreError
from sessions.writer import Batch, Entry, Job, Outcome, Writer, fail

BUSY_SECONDS = 10.0
WAL_LIMIT = 4 * 1024 * 1024
PATIENCE = 0.1
"""Seconds that a checkpoint waits for readers, and keeps writers waiting; then it is put off."""

_LOOK_EVERY = 64


class SqliteWriter(Writer):
    """`connect` makes a connection; given 0 it must be one that does not wait for a lock.

    `inline` allows commits on the loop's own thread.
    """

    def __init__(self, connect: Callable[[float], sqlite3.Connection], path: Path, *, inline: bool) -> None:
        super().__init__()
        self._connection = connect(0)
        self._connect = connect
        self._checkpointer: sqlite3.Connection | None = None
        self._wal = path.with_name(path.name + "-wal")
        self._inline = inline
        self._lock = threading.Lock()
        self._commits = 0

    def now(self, job: Job) -> Any:
        """Run one job at once on the calling thread, for code without a loop; waits for a lock as long as needed."""
        entry = Entry(job)
        with self._lock:
            _commit(self._connection, [entry])
        good, value = entry.outcome
        if good:
            return value
        raise value

    def close(self) -> None:
        """Write what waits, end the thread, close the connection."""
        super().close()
        self._connection.close()

    def _at_once(self, batch: Batch) -> bool:
        """Commit here if nobody holds the database."""
        if not self._inline or batch.flush or not self._lock.acquire(blocking=False):
            return False
        try:
            if not _begin(self._connection, wait=0):
                return False
            _finish(self._connection, batch.entries)
        except sqlite3.Error:
            return False  # the thread tries it too, and says what is wrong
        finally:
            self._lock.release()
        self._commits += 1
        if self._commits % _LOOK_EVERY == 0:
            self._hand_over(Batch(batch.loop))
        return True

    # --- on the writer's thread ---

    def _work(self) -> None:
        with closing(self._connect(PATIENCE)) as self._checkpointer:
            super()._work()

    def _commit(self, entries: Sequence[Entry], *, flush: bool) -> None:
        with self._lock, _flushed(self._connection) if flush and self._inline else nullcontext():
            _commit(self._connection, entries)

    def _rest(self) -> None:
        try:
            if self._checkpointer is not None and self._wal.stat().st_size > WAL_LIMIT:
                self._checkpointer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except (OSError, sqlite3.Error):
            return  # a checkpoint is only put off: the next one does its work too


@contextmanager
def _flushed(connection: sqlite3.Connection) -> Iterator[None]:
    """A commit in here reaches the disk, and with it everything that was committed before."""
    connection.execute("PRAGMA synchronous = FULL")
    try:
        yield
    finally:
        connection.execute("PRAGMA synchronous = NORMAL")


def _commit(connection: sqlite3.Connection, entries: Sequence[Entry]) -> None:
    try:
        if not _begin(connection, wait=BUSY_SECONDS):
            raise StoreError("The database is locked by another program.", "Close it, or try again.")
    except (sqlite3.Error, StoreError) as error:
        fail(entries, _translated(error))
        return
    _finish(connection, entries)


def _begin(connection: sqlite3.Connection, *, wait: float) -> bool:
    """Begin to write; False when another process still holds the lock after `wait` seconds."""
    until = time.monotonic() + wait
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return True
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            if time.monotonic() >= until:
                return False
            time.sleep(0.001)


def _finish(connection: sqlite3.Connection, entries: Sequence[Entry]) -> None:
    """Run the jobs, each in its savepoint, in the transaction that has begun; commit. A single one needs none."""
    try:
        if len(entries) == 1:
            _alone(connection, entries[0])
            return
        for entry in entries:
            entry.outcome = _attempt(connection, entry.job)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        fail(entries, _translated(error))


def _alone(connection: sqlite3.Connection, entry: Entry) -> None:
    try:
        value = entry.job(connection)
    except Exception as error:  # noqa: BLE001 - whoever submitted the job gets its error
        connection.execute("ROLLBACK")
        entry.outcome = (False, error if isinstance(error, ParlanceError) else _translated(error))
        return
    connection.execute("COMMIT")
    entry.outcome = (True, value)


def _attempt(connection: sqlite3.Connection, job: Job) -> Outcome:
    connection.execute("SAVEPOINT job")
    try:
        value = job(connection)
    except Exception as error:  # noqa: BLE001 - whoever submitted the job gets its error
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return (False, error if isinstance(error, ParlanceError) else _translated(error))
    connection.execute("RELEASE job")
    return (True, value)


def _translated(error: Exception) -> Exception:
    if isinstance(error, sqlite3.IntegrityError) or not isinstance(error, sqlite3.Error):
        return error
    return StoreError(
        f"The database can't be written: {error}.", "Check the disk's space and its permissions."
    )
