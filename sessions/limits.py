"""The calls that are being made to model providers, in the SQLite database: shared by all processes of a machine."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any

from engine.models.limits import Level, Limit, refilled, taken
from engine.ports import Process
from engine.process import is_gone
from sessions.db import Database
from sessions.limit_queue import LEASE_SECONDS, LINE_SECONDS, Refused, Wanted, decide

_SET_LEVEL = """
    INSERT INTO limit_levels (provider, requests, tokens, at, paused_until) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (provider) DO UPDATE SET requests = excluded.requests, tokens = excluded.tokens,
    at = excluded.at, paused_until = excluded.paused_until"""
_TAKE = """
    INSERT INTO limit_leases (id, provider, holder, place, pid, born, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)"""
_STAND = """
    INSERT INTO limit_line (id, provider, holder, place, pid, born, since, expires_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at"""
_LINE = "SELECT * FROM limit_line WHERE provider = ? AND expires_at > ? ORDER BY since, id"
_LEASES = "SELECT * FROM limit_leases WHERE provider = ? AND expires_at > ?"


class SqliteLeases:
    """Implements `sessions.limit_queue.Leases`."""

    def __init__(self, db: Database, now: Callable[[], float] = time.time) -> None:
        self._db = db
        self._now = now

    async def take(self, wanted: Wanted, limit: Limit, holder: Process) -> Refused | None:
        return await self._db.write(lambda db: _take(db, wanted, limit, holder, self._now()))

    async def drop(self, wanted: Wanted) -> None:
        await self._db.write(lambda db: _drop(db, wanted))

    async def free(self, wanted: Wanted, limit: Limit, used: int) -> None:
        await self._db.write(lambda db: _free(db, wanted, limit, used, self._now()))

    async def renew(self, holder: str) -> None:
        until = self._now() + LEASE_SECONDS
        await self._db.execute("UPDATE limit_leases SET expires_at = ? WHERE holder = ?", (until, holder))

    async def pause(self, provider: str, seconds: float) -> None:
        await self._db.write(lambda db: _pause(db, provider, self._now() + seconds))

    async def counts(self, limits: Mapping[str, Limit]) -> dict[str, tuple[int, float]]:
        now = self._now()

        def count(db: sqlite3.Connection) -> dict[str, tuple[int, float]]:
            return {name: (len(_living(db, name, now)), _left(db, name, now)) for name in limits}

        return await self._db.read(count)


def _take(
    db: sqlite3.Connection, wanted: Wanted, limit: Limit, holder: Process, now: float
) -> Refused | None:
    who = (wanted.id, wanted.provider, holder.id, holder.place, holder.pid, holder.born)
    first, until = _first_in_line(db, wanted, now)
    busy = _busy(db, wanted.provider, limit, now)
    refused, level = decide(_level(db, wanted.provider), limit, wanted, now, older=not first, busy=busy)
    if refused is not None:
        if until - now < LINE_SECONDS / 2:  # what changes nothing costs no commit
            db.execute(_STAND, (*who, now, now + LINE_SECONDS))
        return refused
    db.execute("DELETE FROM limit_line WHERE id = ? OR expires_at <= ?", (wanted.id, now))
    db.execute(_TAKE, (*who, now + LEASE_SECONDS))
    _set_level(db, wanted.provider, level)
    return None


def _first_in_line(db: sqlite3.Connection, wanted: Wanted, now: float) -> tuple[bool, float]:
    """Whether nobody who lives waits longer, and until when our own note holds (0.0: there is none)."""
    for row in db.execute(_LINE, (wanted.provider, now)).fetchall():
        if row["id"] == wanted.id:
            return True, row["expires_at"]
        if not is_gone(_process(row, LINE_SECONDS), now):
            own = db.execute("SELECT expires_at FROM limit_line WHERE id = ?", (wanted.id,)).fetchone()
            return False, own["expires_at"] if own else 0.0
        db.execute("DELETE FROM limit_line WHERE id = ?", (row["id"],))
    return True, 0.0


def _busy(db: sqlite3.Connection, provider: str, limit: Limit, now: float) -> int:
    """How many calls are being made; where that is too many, those whose process has ended go first."""
    if limit.calls is None:
        return 0
    count: int = db.execute(
        "SELECT count(*) FROM limit_leases WHERE provider = ? AND expires_at > ?", (provider, now)
    ).fetchone()[0]
    if count < limit.calls:
        return count
    living = _living(db, provider, now)
    db.execute(
        f"DELETE FROM limit_leases WHERE provider = ? AND id NOT IN ({','.join('?' * len(living))})",  # noqa: S608
        (provider, *living),
    )
    return len(living)


def _living(db: sqlite3.Connection, provider: str, now: float) -> list[str]:
    rows = db.execute(_LEASES, (provider, now)).fetchall()
    return [row["id"] for row in rows if not is_gone(_process(row, LEASE_SECONDS), now)]


def _process(row: Any, lasts: float) -> Process:
    """Whose call it is; the note's last renewal is its last sign of life."""
    return Process(row["holder"], row["place"], row["pid"], row["born"], row["expires_at"] - lasts)


def _drop(db: sqlite3.Connection, wanted: Wanted) -> None:
    """Also a lease that was got in the moment in which the caller went away."""
    db.execute("DELETE FROM limit_line WHERE id = ?", (wanted.id,))
    db.execute("DELETE FROM limit_leases WHERE id = ?", (wanted.id,))


def _free(db: sqlite3.Connection, wanted: Wanted, limit: Limit, used: int, now: float) -> None:
    db.execute("DELETE FROM limit_leases WHERE id = ?", (wanted.id,))
    if limit.tokens_per_minute is not None and used != wanted.tokens:
        level = refilled(_level(db, wanted.provider), limit, now)
        _set_level(db, wanted.provider, taken(level, limit, used - wanted.tokens, requests=0))


def _pause(db: sqlite3.Connection, provider: str, until: float) -> None:
    level = _level(db, provider)
    _set_level(db, provider, Level(level.requests, level.tokens, level.at, max(until, level.paused_until)))


def _left(db: sqlite3.Connection, provider: str, now: float) -> float:
    return max(0.0, _level(db, provider).paused_until - now)


def _level(db: sqlite3.Connection, provider: str) -> Level:
    found = db.execute(
        "SELECT requests, tokens, at, paused_until FROM limit_levels WHERE provider = ?", (provider,)
    ).fetchone()
    return Level(*found) if found else Level()


def _set_level(db: sqlite3.Connection, provider: str, level: Level) -> None:
    db.execute(_SET_LEVEL, (provider, level.requests, level.tokens, level.at, level.paused_until))
