"""The database on PostgreSQL: one writer that groups, a server that goes away, errors that name no secret."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from engine.errors import Conflict, StoreError
from engine.ports import Park, RunEnd
from sessions import postgres_migrations
from sessions.postgres import Postgres, open_postgres
from sessions.postgres_runs import PostgresRunStore
from tests.contracts.stores import ROW, RUN, a_row, a_run, a_wait
from tests.servers import PASSWORD, PASSWORD_IN_URL, PostgresServer


@pytest.fixture
def db(postgres_url: str) -> Iterator[Postgres]:
    found = open_postgres(postgres_url)
    yield found
    found.close()


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """Another program's connection."""
    with psycopg.connect(postgres_url, options="-c search_path=parlance") as connection:
        yield connection


async def table(db: Postgres) -> None:
    await db.execute("CREATE TABLE t (n integer PRIMARY KEY, word text, at timestamptz DEFAULT now())")


def insert(n: int, word: str = "") -> Any:
    return lambda c: c.execute("INSERT INTO t (n, word) VALUES (?, ?) RETURNING n", (n, word)).fetchone()["n"]


# --- one writer -------------------------------------------------------------------------------------------


async def test_it_has_the_face_of_the_other_database(db: Postgres) -> None:
    await table(db)
    assert await db.write(insert(1, "a%")) == 1
    updating = asyncio.create_task(db.execute("UPDATE t SET word = word || ?", ("?",)))
    await asyncio.sleep(0)
    assert [await db.write(insert(2)), await updating] == [2, 1]
    (row, _) = await db.fetch("SELECT n, word FROM t ORDER BY n")
    assert (row["word"], row[0], tuple(row), dict(row)) == ("a%?", 1, (1, "a%?"), {"n": 1, "word": "a%?"})
    assert await db.read(lambda c: c.execute("SELECT count(*) FROM t").fetchone()[0]) == 2
    with pytest.raises(StoreError, match="refused a request: cannot execute INSERT in a read-only"):
        await db.read(insert(3))


async def test_what_waits_shares_one_transaction(db: Postgres) -> None:
    await table(db)
    await asyncio.gather(*(db.write(insert(n)) for n in range(100)))
    (count,) = (await db.fetch("SELECT count(DISTINCT at) FROM t"))[0]
    assert count == 1


async def test_a_job_that_fails_hurts_no_other(db: Postgres) -> None:
    await table(db)

    def half(connection: Any) -> None:
        connection.execute("INSERT INTO t VALUES (2, 'half')")
        raise Conflict("no")

    def broken(connection: Any) -> None:
        connection.execute("INSERT INTO t VALUES (4, 'half')")
        raise KeyError("no")

    results = await asyncio.gather(
        *(db.write(job) for job in (insert(1), half, insert(1), broken, insert(3))), return_exceptions=True
    )
    assert [type(result) for result in results] == [int, Conflict, StoreError, KeyError, int]
    assert [row["n"] for row in await db.fetch("SELECT n FROM t ORDER BY n")] == [1, 3]


async def test_a_closed_database_says_so(postgres_url: str) -> None:
    db = open_postgres(postgres_url)
    writing = db.write(lambda c: c.execute("CREATE TABLE t (n integer)"))
    db.close()
    db.close()
    await writing
    for call in (lambda: db.execute("SELECT 1"), lambda: db.fetch("SELECT 1")):
        with pytest.raises(StoreError, match="closed"):
            await call()


@pytest.mark.slow
async def test_the_loop_stays_free(db: Postgres) -> None:
    """A thousand rows of 2 KB from fifty runs: no step of the loop takes 50 ms of its own work."""
    store = PostgresRunStore(db)
    await store.create(*(a_run(f"r{n}") for n in range(50)))
    gaps: list[float] = []

    async def look() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            gaps.append(now - last)
            last = now

    async def one(n: int) -> None:
        for seq in range(1, 21):
            await store.append(f"r{n}", 0, [a_row(f"r{n}", seq, writes={"x": "y" * 2000})])
        await store.rows(f"r{n}")

    looker = asyncio.create_task(look())
    await asyncio.gather(*(one(n) for n in range(50)))
    looker.cancel()
    assert max(gaps) < 0.05, f"{max(gaps) * 1000:.0f} ms"


# --- a server that goes away ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_a_server_that_starts_again_loses_nothing(
    db: Postgres, postgres_server: PostgresServer, how: signal.Signals
) -> None:
    """Stopped and crashed: each row is there once, and nobody was told a lie."""
    store = PostgresRunStore(db)
    names = [f"r{n}" for n in range(8)]
    await store.create(*(a_run(name) for name in names))
    stop = asyncio.Event()

    async def write(name: str) -> int:
        seq = 0
        while not stop.is_set():
            seq += 1
            assert await store.append(name, 0, [a_row(name, seq)]) is True
        return seq

    async def read() -> None:
        while not stop.is_set():
            assert (await store.get("r1")).status == "running"

    writing = [asyncio.create_task(write(name)) for name in names]
    reading = asyncio.create_task(read())
    for _ in range(2):
        await asyncio.sleep(0.2)
        await asyncio.to_thread(postgres_server.stop, how)
        await asyncio.sleep(0.1)
        await asyncio.to_thread(postgres_server.start)
    await asyncio.sleep(0.2)
    stop.set()
    counts = await asyncio.gather(*writing)
    await reading
    for name, count in zip(names, counts, strict=True):
        assert [row.seq for row in await store.rows(name)] == list(range(1, count + 1))


async def test_a_connection_that_breaks_off_at_the_commit(
    db: Postgres, admin: psycopg.Connection[Any]
) -> None:
    """The server is asked what became of it: what was committed is not made twice, what was not is made again."""
    await table(db)
    kill = "SELECT pg_terminate_backend(pg_backend_pid())"
    await db.execute(
        "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF NOT EXISTS (SELECT FROM cuts) THEN PERFORM * FROM ({kill}) k; END IF; RETURN NULL; END $$"
    )
    await db.execute("CREATE TABLE cuts (n integer)")
    await db.execute(
        "CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION cut()"
    )
    writing = db.write(insert(1))
    await asyncio.sleep(0.3)
    assert not writing.done()
    admin.execute("INSERT INTO cuts VALUES (1)")
    admin.commit()
    assert await writing == 1
    assert [row["n"] for row in await db.fetch("SELECT n FROM t")] == [1]


async def test_others_in_the_way_are_waited_for(db: Postgres, admin: psycopg.Connection[Any]) -> None:
    """Of two transactions that wait for each other, PostgreSQL ends one; it is made again."""
    store = PostgresRunStore(db)
    await store.create(a_run("a"), a_run("b"))
    admin.execute("SELECT 1 FROM runs WHERE id = 'b' FOR UPDATE")
    both = asyncio.gather(store.append("a", 0, [a_row("a", 1)]), store.append("b", 0, [a_row("b", 1)]))
    await asyncio.sleep(0.2)

    def cross() -> None:
        try:
            admin.execute("SELECT 1 FROM runs WHERE id = 'a' FOR UPDATE")
            admin.commit()
        except psycopg.errors.DeadlockDetected:
            admin.rollback()

    thread = threading.Thread(target=cross)
    thread.start()
    assert await both == [True, True]
    await asyncio.to_thread(thread.join)


# --- who hears of what can be claimed ---------------------------------------------------------------------


async def test_what_becomes_claimable_is_told_in_the_same_transaction(db: Postgres) -> None:
    await db.execute("CREATE TABLE told (id text)")
    calls: list[list[str]] = []

    def tell(connection: psycopg.Connection[Any], run_ids: Sequence[str]) -> None:
        calls.append(sorted(run_ids))
        for run_id in run_ids:
            connection.execute("INSERT INTO told VALUES (%s)", (run_id,))

    store = PostgresRunStore(db, tell)
    free = replace(RUN, process=None)
    await store.create(replace(free, id="new"), a_run("owned"))
    await store.create(replace(free, id="new"))
    await store.create(a_run("top"))
    await store.create(a_run("child", parent_id="top", root_id="top"))
    await store.append("owned", 0, [], waits=[a_wait("owned")], park=Park("waiting", 0))
    await store.append("top", 0, [], park=Park("running", 0))
    assert calls == [["new"]]
    await store.answer("owned", "a", 1, "approve", "Ada", 1.0)
    await store.wake("owned")
    await store.append("child", 0, [], RunEnd("ok", 1.0, 3))
    assert calls == [["new"], ["owned"], ["top"]]
    await store.claim("top", 0, "p2")
    await store.append("top", 1, [], park=Park("running", 1))
    await store.request_cancel("top")
    assert calls[3:] == [["top"]]
    assert sorted(row["id"] for row in await db.fetch("SELECT id FROM told")) == [
        "new",
        "owned",
        "top",
        "top",
    ]


async def test_a_listener_that_fails_keeps_the_run_where_it_was(db: Postgres) -> None:
    def fail(connection: psycopg.Connection[Any], run_ids: Sequence[str]) -> None:
        raise StoreError("The queue is full.")

    store = PostgresRunStore(db, fail)
    await store.create(RUN)
    await store.append("r1", 0, [ROW], waits=[a_wait("r1")], park=Park("waiting", 0))
    with pytest.raises(StoreError, match="queue is full"):
        await store.wake("r1")
    assert (await store.get("r1")).parked


# --- opening ----------------------------------------------------------------------------------------------


def test_several_may_open_a_new_database_at_once(postgres_url: str) -> None:
    errors: list[Exception] = []

    def go() -> None:
        try:
            open_postgres(postgres_url).close()
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


@pytest.mark.parametrize("steps", range(len(postgres_migrations.MIGRATIONS)))
def test_every_older_schema_becomes_the_present_one(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    def schema_of(url: str) -> list[Any]:
        columns = "table_name, column_name, data_type, is_nullable, column_default"
        with psycopg.connect(url) as connection:
            of = "WHERE table_schema = 'parlance' ORDER BY table_name, column_name"
            found = connection.execute(f"SELECT {columns} FROM information_schema.columns {of}").fetchall()
            indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'parlance' ORDER BY indexname"
            return found + connection.execute(indexes).fetchall()

    old, new = postgres_server.create(), postgres_server.create()
    with monkeypatch.context() as patch:
        patch.setattr(postgres_migrations, "MIGRATIONS", postgres_migrations.MIGRATIONS[:steps])
        open_postgres(old).close()
    for url in (old, new):
        open_postgres(url).close()
    assert schema_of(old) == schema_of(new)


def test_a_database_of_a_newer_version_is_refused(postgres_url: str) -> None:
    open_postgres(postgres_url).close()
    with psycopg.connect(postgres_url) as connection:
        connection.execute("INSERT INTO parlance.migrations VALUES ('fly_to_the_moon', now())")
    with pytest.raises(StoreError, match=r"newer Parlance.*fly_to_the_moon.*Update"):
        open_postgres(postgres_url)


def test_a_database_that_does_not_take_all_text_is_refused(postgres_server: PostgresServer) -> None:
    postgres_server.admin("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(StoreError, match=r"keeps text as LATIN1.*ENCODING 'UTF8'"):
        open_postgres(postgres_server.url("latin"))


def test_a_user_who_may_not_make_a_schema(postgres_server: PostgresServer, postgres_url: str) -> None:
    postgres_server.admin("CREATE ROLE guest LOGIN PASSWORD 'guest-planted'")
    url = postgres_url.replace(f"parlance:{PASSWORD_IN_URL}", "guest:guest-planted")
    with pytest.raises(StoreError, match="Give the user of PARLANCE_DATABASE_URL the right") as error:
        open_postgres(url)
    assert "planted" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:{0}@127.0.0.1:1/x",
        "postgresql://127.0.0.1:1/x?user=u&password={0}",
        "postgresql://u:{1}@127.0.0.1:1/x",
        "postgresql://u:12/{1}@127.0.0.1:1/x",
        "postgresql://u:12?{1}@127.0.0.1:1/x",
        "postgresql://u:%zz{1}@127.0.0.1:1/x",
    ],
)
def test_no_error_and_no_log_has_the_password(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StoreError) as error:
        open_postgres(url.format(PASSWORD_IN_URL, PASSWORD))
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__
    assert error.value.fix
    for secret in (PASSWORD, PASSWORD_IN_URL, "planted", "Pa:ss"):
        assert secret not in str(error.value) + caplog.text
