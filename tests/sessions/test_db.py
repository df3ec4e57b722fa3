"""The database: one writer for all, readers beside it, several processes, migrations."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.ports import Park
from sessions import migrations
from sessions.db import Database, open_db
from sessions.runs import SqliteRunStore

LEVELS = {"FULL": 2, "NORMAL": 1}


@pytest.fixture(params=["FULL", "NORMAL"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    found = open_db(tmp_path / "deep" / "x.db", synchronous=request.param)
    found.write_now(lambda c: c.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, word TEXT)"))
    yield found
    found.close()


def insert(n: int, word: str = "") -> object:
    return lambda c: c.execute("INSERT INTO t VALUES (?, ?)", (n, word)).lastrowid


async def test_what_is_written_can_be_read(db: Database) -> None:
    assert await db.write(insert(1, "a")) == 1
    assert await db.execute("UPDATE t SET word = 'b' WHERE n = 1") == 1
    assert [tuple(row) for row in await db.fetch("SELECT * FROM t")] == [(1, "b")]
    assert await db.read(lambda c: c.execute("SELECT count(*) FROM t").fetchone()[0]) == 1
    assert db.connection.execute("SELECT word FROM t").fetchone()["word"] == "b"
    (level,) = db.connection.execute("PRAGMA synchronous").fetchone()
    assert level == LEVELS[db.synchronous]
    assert db.connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


async def test_what_waits_shares_one_commit(db: Database) -> None:
    """A commit writes at least a page of 512 bytes; a hundred of them would write a hundred."""
    log = db.path.with_name("x.db-wal")
    before = log.stat().st_size
    await asyncio.gather(*(db.write(insert(n)) for n in range(100)))
    assert log.stat().st_size - before < 30 * 540
    assert len(await db.fetch("SELECT * FROM t")) == 100


async def test_jobs_run_in_the_order_of_the_calls(db: Database) -> None:
    seen: list[int] = []
    await asyncio.gather(*(db.write(lambda c, n=n: seen.append(n)) for n in range(50)))
    assert seen == list(range(50))


async def test_a_job_that_fails_hurts_no_other(db: Database) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO t VALUES (2, 'half')")
        raise KeyError("no")

    results = await asyncio.gather(
        db.write(insert(1)), db.write(half), db.write(insert(1)), db.write(insert(3)), return_exceptions=True
    )
    assert results[0] == 1
    assert isinstance(results[1], KeyError)
    assert isinstance(results[2], sqlite3.IntegrityError)
    assert results[3] == 3
    assert [row["n"] for row in await db.fetch("SELECT n FROM t")] == [1, 3]


async def test_who_stops_waiting_stops_nothing(db: Database) -> None:
    first, second = db.write(insert(1)), db.write(insert(2))
    first.cancel()
    await second
    assert len(await db.fetch("SELECT * FROM t")) == 2


async def test_another_process_holds_the_lock(db: Database) -> None:
    """The write waits for it on a thread; the loop goes on."""
    other = sqlite3.connect(db.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    began = time.monotonic()
    release.start()
    writing = db.write(insert(1))
    for _ in range(10):
        await asyncio.sleep(0.001)
    assert time.monotonic() - began < 0.25, "the loop was held up"
    assert not writing.done()
    await asyncio.gather(writing, db.write(insert(2)))
    assert time.monotonic() - began >= 0.25
    release.join()
    other.close()
    assert [row["n"] for row in await db.fetch("SELECT n FROM t")] == [1, 2]


async def test_a_write_from_each_of_two_loops(db: Database) -> None:
    def elsewhere() -> None:
        async def write() -> None:
            for n in range(100, 150):
                await db.write(insert(n))

        asyncio.run(write())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    for n in range(50):
        await db.write(insert(n))
    await asyncio.to_thread(thread.join)
    assert len(await db.fetch("SELECT * FROM t")) == 100


async def test_the_log_does_not_grow_without_end(db: Database) -> None:
    for n in range(4 * 64):
        await db.write(insert(n, "x" * 60_000))
    assert db.path.with_name("x.db-wal").stat().st_size < 2 * 64 * 70_000


async def test_a_closed_database_says_so(tmp_path: Path) -> None:
    db = open_db(tmp_path / "x.db")
    writing = db.write(lambda c: c.execute("CREATE TABLE t (n)"))
    db.close()
    db.close()
    await writing
    with pytest.raises(StoreError, match="closed"):
        db.write(lambda c: None)
    assert open_db(tmp_path / "x.db").connection.execute("SELECT count(*) FROM t").fetchone()[0] == 0


def test_what_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("some notes of mine, long enough to be no header of SQLite's at all" * 20)
    with pytest.raises(StoreError, match=r"can't be opened.*Check the folder"):
        open_db(tmp_path / "x.db")
    with pytest.raises(StoreError, match="can't be opened"):
        open_db(tmp_path / "x.db" / "y.db")
    with pytest.raises(StoreError, match="Use FULL or NORMAL"):
        open_db(tmp_path / "z.db", synchronous="OFF")


def test_migrations_run_once_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    open_db(path).close()
    connection = sqlite3.connect(path)
    applied = [row[0] for row in connection.execute("SELECT name FROM migrations ORDER BY rowid")]
    assert sorted(applied) == sorted(name for name, _ in migrations.MIGRATIONS)
    assert len(set(applied)) == len(migrations.MIGRATIONS)
    open_db(path).close()
    assert [row[0] for row in connection.execute("SELECT name FROM migrations ORDER BY rowid")] == applied
    connection.close()


def schema_of(path: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
        ).fetchall()
    connection.close()
    return found


@pytest.mark.parametrize("steps", range(len(migrations.MIGRATIONS)))
def test_every_older_schema_becomes_the_present_one(tmp_path: Path, steps: int) -> None:
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)")
    for name, step in migrations.MIGRATIONS[:steps]:
        step(connection)
        connection.execute("INSERT INTO migrations VALUES (?, 'then')", (name,))
    connection.close()
    open_db(path).close()
    open_db(tmp_path / "new.db").close()
    assert schema_of(path) == schema_of(tmp_path / "new.db")


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    open_db(tmp_path / "x.db").close()
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("INSERT INTO migrations VALUES ('fly_to_the_moon', 'later')")
    connection.close()
    with pytest.raises(StoreError, match=r"newer Parlance.*fly_to_the_moon.*Update"):
        open_db(tmp_path / "x.db")


def test_several_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    errors: list[Exception] = []

    def go() -> None:
        try:
            open_db(tmp_path / "x.db").close()
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_the_folder_it_makes_is_the_persons_alone(tmp_path: Path) -> None:
    open_db(tmp_path / "home" / "parlance.db").close()
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0


async def test_what_is_flushed_is_on_the_disk(tmp_path: Path) -> None:
    """With NORMAL a commit is not; what asks for it is, with all that was written before, and later commits are not."""
    db = open_db(tmp_path / "x.db", synchronous="NORMAL")
    levels: list[int] = []

    def note(connection: sqlite3.Connection) -> None:
        levels.append(connection.execute("PRAGMA synchronous").fetchone()[0])

    await db.write(note)
    await db.write_more(note, flush=True).wait()
    await asyncio.gather(db.write(note), db.write_more(note, flush=True).wait(), db.write(note))
    await db.write(note)
    assert levels == [1, 2, 2, 2, 2, 1]
    db.close()


async def test_runs_of_the_first_version_are_still_there(tmp_path: Path) -> None:
    """A database as version 0.1 left it, with a run that had ended and one that was running."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)")
        for name, step in migrations.MIGRATIONS[:3]:
            step(connection)
            connection.execute("INSERT INTO migrations VALUES (?, 'then')", (name,))
        connection.execute("INSERT INTO run_documents VALUES ('d', 'flow: x', '{\"fields\": {}}')")
        for no, status in ((1, "ok"), (2, "running")):
            connection.execute(
                "INSERT INTO runs (no, id, workflow, digest, owner, inputs, starts, status, created_at, claimed_at,"
                " epoch, process) VALUES (?, ?, 'x', 'd', 'local', '{}', '[]', ?, 1.0, 1.0, 0, 'p')",
                (no, f"r{no}", status),
            )
        connection.execute(
            "INSERT INTO node_rows (key, node, kind, iteration, attempt, status, started_at, ended_at, event)"
            " VALUES (?, 'a', 'tool', 1, 1, 'ok', 1.0, 2.0, 3)",
            ((2 << 20) + 1,),
        )
    db = open_db(path)
    store = SqliteRunStore(db)
    assert [run.id for run in await store.find(owner="local")] == ["r2", "r1"]
    run = await store.get("r2")
    assert (run.root_id, run.shape, run.woken, run.parked, run.priority) == (
        "r2",
        {"fields": {}},
        0,
        False,
        0,
    )
    assert [run_id for run_id, *_ in await store.unfinished()] == ["r2"]
    claimed = await store.claim("r2", 0, "new")
    assert claimed is not None
    assert [row.path for row in await store.rows("r2")] == ["a"]
    assert await store.append("r2", 1, [], park=Park("waiting", 0))
    db.close()
