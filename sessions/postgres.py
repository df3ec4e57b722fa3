"""The way to a PostgreSQL database: a few readers on threads, one writer that groups.

It has the same face as `sessions.db.Database`, so what is written for the one works on the other. Connections
are the driver's synchronous ones: they work under every event loop of every system, and keep none busy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg

from engine.errors import ParlanceError, StoreError
from sessions.postgres_connections import AGAIN, PATIENCE, Connections
from sessions.postgres_errors import Translator, lost, may_help_again, read_url
from sessions.postgres_migrations import SCHEMA, migrate
from sessions.postgres_writer import OnClaimable, PostgresWriter, Transaction, dialect
from sessions.run_rows import cleaned
from sessions.writer import Entry

T = TypeVar("T")

CONNECT_SECONDS = 10
READERS = 4
OLDEST = 13_00_00
_SETTINGS = f"""
    SET search_path TO {SCHEMA}; SET client_encoding TO 'UTF8'; SET lock_timeout TO '20s';
    SET idle_in_transaction_session_timeout TO '10s'; SET statement_timeout TO '60s'"""
"""A process that is stopped in the middle of a transaction must not keep others from its runs for long."""


class Row(tuple[Any, ...]):
    """A row whose values go by name and by number."""

    places: dict[str, int]

    def __getitem__(self, key: Any) -> Any:
        return tuple.__getitem__(self, self.places[key] if isinstance(key, str) else key)

    def keys(self) -> Iterator[str]:
        return iter(self.places)


def _named(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Row]:
    places = {column.name: number for number, column in enumerate(cursor.description or ())}

    def make(values: Sequence[Any]) -> Row:
        row = Row(values)
        row.places = places
        return row

    return make


class Postgres:
    """A database that is open. Made by `open_postgres`; `version` is the server's.

    `await read(job)` and `await fetch(sql, …)` run on a thread; `await write(job)` runs the job with everything
    else that waits in one transaction. In statements `?` stands for a value.
    """

    def __init__(self, parameters: dict[str, Any], translate: Translator, version: str) -> None:
        self.version = version
        self.place = translate.place
        self._translate = translate
        self._connections = Connections(lambda: _connect(parameters))
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="parlance-postgres")
        self._writer = PostgresWriter(self._connections, translate)

    def on_claimable(self, hook: OnClaimable | None) -> None:
        """Call this in every transaction that lets runs be claimed. It may be called twice for one that failed."""
        self._writer.on_claimable = hook

    async def read(self, job: Callable[[Any], T]) -> T:
        """Run `job` in one read transaction on a reader's thread. StoreError when the database fails."""
        return await self._on_thread(lambda raw: _read(raw, job))

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """The rows of one query."""
        statement, values = dialect(sql), cleaned(tuple(parameters))
        return await self._on_thread(lambda raw: raw.execute(statement, values).fetchall())

    def write(self, job: Callable[[Any], T]) -> asyncio.Future[T]:
        """Run `job` in the next transaction; awaited, gives what it returns, once it is committed.

        Jobs run in the order of the calls. One that raises writes nothing and gets its own error. A job runs
        again when its transaction could not be made, so it must do nothing but write.
        """
        return self._writer.submit(job)

    def write_more(self, job: Callable[[Any], Any], *, flush: bool = False) -> Entry:
        """As `write`, for a job that is to write more things that come up before its transaction begins."""
        return self._writer.add(job, flush=flush)

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Write one statement; the number of rows it changed."""
        count: int = await self._writer.submit(lambda connection: connection.execute(sql, parameters))
        return count

    def close(self) -> None:
        """Write what waits and close every connection."""
        if self._writer.closed:
            return
        self._writer.close()
        self._readers.shutdown()
        self._connections.close()

    async def _on_thread(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        if self._writer.closed:
            raise StoreError("The database is closed.")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._patiently, work)

    def _patiently(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Reading changes nothing, so it is tried again while the server is away."""
        until = time.monotonic() + PATIENCE
        while True:
            raw: psycopg.Connection[Any] | None = None
            try:
                with self._connections.use() as raw:
                    return work(raw)
            except psycopg.Error as error:
                again = lost(error, raw) or may_help_again(error)
                if not again or time.monotonic() > until:
                    raise self._translate(error) from None
                time.sleep(AGAIN)


def open_postgres(url: str) -> Postgres:
    """Open the database at `url`, with every migration applied.

    StoreError, with the fix, when it can't be reached or used, or was made by a newer version.
    """
    parameters = read_url(url)
    translate = Translator(parameters)
    try:
        with psycopg.connect(**_defaults(parameters), autocommit=True) as connection:
            version = connection.info.parameter_status("server_version") or "unknown"
            _suits(connection, version)
            migrate(connection)
    except ParlanceError:
        raise
    except psycopg.Error as error:
        raise translate(error) from None
    return Postgres(parameters, translate, version.split()[0])


def _defaults(parameters: dict[str, Any]) -> dict[str, Any]:
    return {"connect_timeout": CONNECT_SECONDS, "application_name": "parlance", **parameters}


def _suits(connection: psycopg.Connection[Any], version: str) -> None:
    if connection.info.server_version < OLDEST:
        raise StoreError(f"PostgreSQL {version} is too old.", f"Use version {OLDEST // 10_000} or later.")
    if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
        raise StoreError(
            f"The database keeps text as {encoding}.",
            "Make one with: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0.",
        )


def _connect(parameters: dict[str, Any]) -> psycopg.Connection[Any]:
    connection = psycopg.connect(**_defaults(parameters), autocommit=True, row_factory=_named)
    connection.execute(_SETTINGS.encode())
    return connection


@contextmanager
def _transaction(raw: psycopg.Connection[Any]) -> Iterator[None]:
    raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        yield
    finally:
        if not raw.closed:
            raw.execute("COMMIT")


def _read(raw: psycopg.Connection[Any], job: Callable[[Any], T]) -> T:
    with _transaction(raw):
        return job(Transaction(raw))
