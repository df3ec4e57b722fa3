"""One writer for a database: everything that waits shares one transaction and one commit.

With synchronous=FULL a commit waits for the disk, so a thread does it. Otherwise a commit costs less than
handing it to a thread (15 µs against 120 µs), so it is done at the end of the loop's turn, unless another
process holds the lock: then the thread waits for it. Checkpoints, which reach the disk either way, are the
thread's.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from engine.errors import ParlanceError, StoreError

Job = Callable[[sqlite3.Connection], Any]
Outcome = tuple[bool, Any]

BUSY_SECONDS = 10.0
WAL_LIMIT = 4 * 1024 * 1024
PATIENCE = 0.1
"""Seconds that a checkpoint waits for readers, and keeps writers waiting; then it is put off."""

_LOOK_EVERY = 64


class Entry:
    """A job and who waits for it. While it is `open`, what it will write may still grow."""

    __slots__ = ("futures", "job", "open", "outcome")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.futures: list[asyncio.Future[Any]] = []
        self.open = True
        self.outcome: Outcome = (False, None)

    def wait(self) -> asyncio.Future[Any]:
        """A future that ends when the job is committed; cancelling it hurts nobody else."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        return future


class _Batch:
    """What one loop wants written in one transaction."""

    __slots__ = ("entries", "flush", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.entries: list[Entry] = []
        self.flush = False


class Writer:
    """Runs jobs in the order in which they are submitted. `inline` allows commits on the loop's own thread.

    `connect` makes a connection; given 0 it must be one that does not wait for a lock.
    """

    def __init__(self, connect: Callable[[float], sqlite3.Connection], path: Path, *, inline: bool) -> None:
        self._connection = connect(0)
        self._connect = connect
        self._wal = path.with_name(path.name + "-wal")
        self._inline = inline
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._filling: dict[asyncio.AbstractEventLoop, _Batch] = {}
        self._queue: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._handed = 0
        self._taken = 0
        self._commits = 0
        self._thread: threading.Thread | None = None
        self.closed = False

    def submit(self, job: Job) -> asyncio.Future[Any]:
        """Write in the next transaction. The future ends when it is committed, or with the job's own error.

        A job that raises writes nothing; the others in its transaction are not touched.
        """
        return self.add(job).wait()

    def add(self, job: Job, *, flush: bool = False) -> Entry:
        """As `submit`, for who wants to put more into the job while its entry is open.

        `flush`: the disk has it when the future ends, also with synchronous=NORMAL.
        """
        if self.closed:
            raise StoreError("The database is closed.")
        loop = asyncio.get_running_loop()
        batch = self._filling.get(loop)
        if batch is None:
            batch = self._filling[loop] = _Batch(loop)
            loop.call_soon(self._flush, loop)
        entry = Entry(job)
        batch.entries.append(entry)
        batch.flush = batch.flush or flush
        return entry

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
        for loop in list(self._filling):
            self._hand_over(self._filling.pop(loop))
        self.closed = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
        self._connection.close()

    # --- on the loop's thread ---

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = self._filling.pop(loop, None)
        if batch is None:
            return
        for entry in batch.entries:
            entry.open = False
        if self._inline and not batch.flush and self._handed == self._taken and self._try_now(batch):
            _resolve(batch.entries)
        else:
            self._hand_over(batch)

    def _try_now(self, batch: _Batch) -> bool:
        """Commit here if nobody holds the database."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if not _begin(self._connection, wait=0):
                return False
            _finish(self._connection, batch.entries)
        finally:
            self._lock.release()
        self._commits += 1
        if self._commits % _LOOK_EVERY == 0:
            self._hand_over(_Batch(batch.loop))
        return True

    def _hand_over(self, batch: _Batch) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="parlance-writer", daemon=True)
                self._thread.start()
            self._handed += 1
            self._queue.put(batch)

    # --- on the writer's thread ---

    def _work(self) -> None:
        checkpointer = self._connect(PATIENCE)
        try:
            while (batch := self._queue.get()) is not None:
                batches, last = [batch], False
                while not self._queue.empty():
                    further = self._queue.get()
                    if further is None:
                        last = True
                        break
                    batches.append(further)
                self._write(batches)
                self._checkpoint(checkpointer)
                if last:
                    break
        finally:
            checkpointer.close()

    def _write(self, batches: Sequence[_Batch]) -> None:
        entries = [entry for batch in batches for entry in batch.entries]
        if entries:
            flush = self._inline and any(batch.flush for batch in batches)
            with self._lock, _flushed(self._connection) if flush else nullcontext():
                _commit(self._connection, entries)
        for batch in batches:
            self._taken += 1
            if batch.entries and not batch.loop.is_closed():
                batch.loop.call_soon_threadsafe(_resolve, batch.entries)

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        try:
            if self._wal.stat().st_size > WAL_LIMIT:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
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
        _fail(entries, error)
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
    """Run the jobs, each in its savepoint, in the transaction that has begun; commit."""
    try:
        for entry in entries:
            entry.outcome = _attempt(connection, entry.job)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        _fail(entries, error)


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


def _fail(entries: Sequence[Entry], error: Exception) -> None:
    failure = _translated(error)
    for entry in entries:
        entry.outcome = (False, failure)


def _resolve(entries: Sequence[Entry]) -> None:
    for entry in entries:
        good, value = entry.outcome
        for future in entry.futures:
            if future.done():
                continue
            if good:
                future.set_result(value)
            else:
                future.set_exception(value)
