"""The calls that are being made to model providers, in PostgreSQL: shared by the processes of all machines."""

from __future__ import annotations

from sessions.limits import SqlLeases
from sessions.run_writes import Connection


class PostgresLeases(SqlLeases):
    """Implements `sessions.limit_queue.Leases`; the time is the server's."""

    def now(self, db: Connection) -> float:
        found = db.execute("SELECT extract(epoch FROM clock_timestamp())::float8 AS now").fetchone()
        return float(found["now"])

    def lock(self, db: Connection, provider: str) -> None:
        db.execute("SELECT pg_advisory_xact_lock(hashtextextended('limit ' || ?, 0))", (provider,))
