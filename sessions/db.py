"""The one way to a database: opens it, brings its schema up to date, reads on threads, writes through one writer.

SQLite in WAL mode: several processes may use the same file. `synchronous` is FULL for people's data; NORMAL
may lose the last moments when the power fails, never the database.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeVar

from engine.errors import StoreError
from sessions.migrations import migrate
from sessions.sqlite_writer import BUSY_SECONDS, SqliteWriter
from sessions.writer import Entry

T = TypeVar("T")
Synchronous = Literal["FULL", "NORMAL"]

# A commit writes whole pages to the log. Rows of a few hundred bytes to a few kB, one commit each, cost 1.6
# times their size with pages of 512 bytes and 6 times with the usual 4096, at the same speed.
PAGE_SIZE = 512


class Database:
    """A database that is open. Made by `open_db`.

    `await read(job)` and `await fetch(sql, …)` run on a thread of their own; `await write(job)` runs the
    job with everything else that waits in one transaction. `connection` is for code without a loop:
    reading, at any time; writing only by `write_now`.
    """

    def __init__(self, path: Path, synchronous: Synchronous) -> None:
        self.path = path
        self.synchronous = synchronous
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._readers: ThreadPoolExecutor | None = None
        self._writer = SqliteWriter(self._connect, path, inline=synchronous != "FULL")

    @property
    def connection(self) -> sqlite3.Connection:
        """The calling thread's own connection, in autocommit mode, with rows that go by name."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self._connect()
            self._opened.append(found)
        return found

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` in one read transaction on a reader's thread. StoreError when the database fails."""
        if self._readers is None:
            self._readers = ThreadPoolExecutor(2, thread_name_prefix="parlance-reader")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, job)

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """The rows of one query."""
        return await self.read(lambda connection: connection.execute(sql, parameters).fetchall())

    def write(self, job: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Run `job` in the next transaction; awaited, gives what it returns, once it is committed.

        Jobs run in the order of the calls. One that raises writes nothing and gets its own error.
        """
        return self._writer.submit(job)

    def write_more(self, job: Callable[[sqlite3.Connection], Any], *, flush: bool = False) -> Entry:
        """As `write`, for a job that is to write more things that come up before its transaction begins.

        `flush`: the disk has it when the entry's future ends, also with synchronous=NORMAL.
        """
        return self._writer.add(job, flush=flush)

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Write one statement; the number of rows it changed."""
        return await self.write(lambda connection: connection.execute(sql, parameters).rowcount)

    def write_now(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Write on the calling thread, for code without a loop."""
        done: T = self._writer.now(job)
        return done

    def close(self) -> None:
        """Write what waits and close every connection."""
        if self._writer.closed:
            return
        self._writer.close()
        if self._readers is not None:
            self._readers.shutdown()
        for connection in self._opened:
            connection.close()

    def _read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        connection = self.connection
        try:
            connection.execute("BEGIN")
            try:
                return job(connection)
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"The database can't be read: {error}.", f"Check {self.path}.") from error

    def _connect(self, patience: float = BUSY_SECONDS) -> sqlite3.Connection:
        """A connection that waits up to `patience` seconds for a lock; longer while it is being made."""
        connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA synchronous = {self.synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
        return connection


def open_db(path: Path | str, *, synchronous: str = "FULL") -> Database:
    """Open the database at `path`, made where it is missing, with every migration applied.

    StoreError, with the fix, when it can't be opened or was made by a newer version.
    """
    if synchronous not in ("FULL", "NORMAL"):
        raise StoreError(f"synchronous can't be {synchronous}.", "Use FULL or NORMAL.")
    path = Path(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _prepare(path)
        return Database(path, "FULL" if synchronous == "FULL" else "NORMAL")
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"The database {path} can't be opened: {error}.", "Check the folder and its permissions."
        ) from error


def _prepare(path: Path) -> None:
    """Switch to WAL and migrate. Where several processes do that at once, SQLite does not always wait by itself."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.02)
        finally:
            connection.close()
