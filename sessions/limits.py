"""The calls that are being made to model providers, in a database that all processes share.

Each primitive is one transaction. On SQLite transactions follow each other anyway; elsewhere a lock of the
provider sees to that.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from engine.models.limits import Level, Limit, refilled, taken
from engine.ports import Process
from engine.process import is_gone
from sessions.limit_queue import LEASE_SECONDS, LINE_SECONDS, Refused, Wanted, decide
from sessions.run_writes import Connection

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
_RENEW = "UPDATE limit_leases SET expires_at = ? WHERE holder = ?"
_LEASES = "SELECT * FROM limit_leases WHERE provider = ? AND expires_at > ?"


class SharedDatabase(Protocol):
    """A database as `sessions.db` and `sessions.postgres` open it."""

    def read(self, job: Callable[[Any], Any]) -> Awaitable[Any]: ...

    def write(self, job: Callable[[Any], Any]) -> Awaitable[Any]: ...


class SqlLeases:
    """Implements `sessions.limit_queue.Leases` on SQLite, and all but two steps of it on other databases."""

    def __init__(self, db: SharedDatabase) -> None:
        self._db = db

    def now(self, db: Connection) -> float:
        """The time that all processes share: on one machine it is the system's."""
        return time.time()

    def lock(self, db: Connection, provider: str) -> None:
        """Let nobody else look at the provider until this transaction has ended."""

    async def take(self, wanted: Wanted, limit: Limit, holder: Process) -> Refused | None:
        def job(db: Connection) -> Refused | None:
            self.lock(db, wanted.provider)
            return _take(db, wanted, limit, holder, self.now(db))

        refused: Refused | None = await self._db.write(job)
        return refused

    async def drop(self, wanted: Wanted) -> None:
        await self._db.write(lambda db: _drop(db, wanted))

    async def free(self, wanted: Wanted, limit: Limit, used: int) -> None:
        def job(db: Connection) -> None:
            self.lock(db, wanted.provider)
            _free(db, wanted, limit, used, self.now(db))

        await self._db.write(job)

    async def renew(self, holder: str) -> None:
        def job(db: Connection) -> None:
            db.execute(_RENEW, (self.now(db) + LEASE_SECONDS, holder))

        await self._db.write(job)

    async def pause(self, provider: str, seconds: float) -> None:
        def job(db: Connection) -> None:
            self.lock(db, provider)
            _pause(db, provider, self.now(db) + seconds)

        await self._db.write(job)

    async def counts(self, limits: Mapping[str, Limit]) -> dict[str, tuple[int, float]]:
        def job(db: Connection) -> dict[str, tuple[int, float]]:
            now = self.now(db)
            return {name: (len(_living(db, name, now)), _left(db, name, now)) for name in limits}

        found: dict[str, tuple[int, float]] = await self._db.read(job)
        return found


def _take(db: Connection, wanted: Wanted, limit: Limit, holder: Process, now: float) -> Refused | None:
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


def _first_in_line(db: Connection, wanted: Wanted, now: float) -> tuple[bool, float]:
    """Whether nobody who lives waits longer, and until when our own note holds (0.0: there is none)."""
    for row in db.execute(_LINE, (wanted.provider, now)).fetchall():
        if row["id"] == wanted.id:
            return True, row["expires_at"]
        if not is_gone(_process(row, LINE_SECONDS), now):
            own = db.execute("SELECT expires_at FROM limit_line WHERE id = ?", (wanted.id,)).fetchone()
            return False, own["expires_at"] if own else 0.0
        db.execute("DELETE FROM limit_line WHERE id = ?", (row["id"],))
    return True, 0.0


def _busy(db: Connection, provider: str, limit: Limit, now: float) -> int:
    """How many calls are being made; where that is too many, those whose process has ended go first."""
    if limit.calls is None:
        return 0
    count: int = db.execute(
        "SELECT count(*) FROM limit_leases WHERE provider = ? AND expires_at > ?", (provider, now)
    ).fetchone()[0]
    if count < limit.calls:
        return count
    living = _living(db, provider, now)
    for row in db.execute("SELECT id FROM limit_leases WHERE provider = ?", (provider,)).fetchall():
        if row["id"] not in living:
            db.execute("DELETE FROM limit_leases WHERE id = ?", (row["id"],))
    return len(living)


def _living(db: Connection, provider: str, now: float) -> list[str]:
    rows = db.execute(_LEASES, (provider, now)).fetchall()
    return [row["id"] for row in rows if not is_gone(_process(row, LEASE_SECONDS), now)]


def _process(row: Any, lasts: float) -> Process:
    """Whose call it is; the note's last renewal is its last sign of life."""
    return Process(row["holder"], row["place"], row["pid"], row["born"], row["expires_at"] - lasts)


def _drop(db: Connection, wanted: Wanted) -> None:
    """Also a lease that was got in the moment in which the caller went away."""
    db.execute("DELETE FROM limit_line WHERE id = ?", (wanted.id,))
    db.execute("DELETE FROM limit_leases WHERE id = ?", (wanted.id,))


def _free(db: Connection, wanted: Wanted, limit: Limit, used: int, now: float) -> None:
    db.execute("DELETE FROM limit_leases WHERE id = ?", (wanted.id,))
    if limit.tokens_per_minute is not None and used != wanted.tokens:
        level = refilled(_level(db, wanted.provider), limit, now)
        _set_level(db, wanted.provider, taken(level, limit, used - wanted.tokens, requests=0))


def _pause(db: Connection, provider: str, until: float) -> None:
    level = _level(db, provider)
    _set_level(db, provider, Level(level.requests, level.tokens, level.at, max(until, level.paused_until)))


def _left(db: Connection, provider: str, now: float) -> float:
    return max(0.0, _level(db, provider).paused_until - now)


def _level(db: Connection, provider: str) -> Level:
    found = db.execute(
        "SELECT requests, tokens, at, paused_until FROM limit_levels WHERE provider = ?", (provider,)
    ).fetchone()
    return Level(*found) if found else Level()


def _set_level(db: Connection, provider: str, level: Level) -> None:
    db.execute(_SET_LEVEL, (provider, level.requests, level.tokens, level.at, level.paused_until))
