"""The store of runs on PostgreSQL, for several machines that share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.ports import NodeRow
from sessions import run_sql as sql
from sessions.postgres import Postgres
from sessions.postgres_writer import OnClaimable
from sessions.run_rows import ROW_COLUMNS, RUN_COLUMNS, Columns, clean, row_values
from sessions.run_store import SqlRunStore
from sessions.run_writes import RunWrites

_INSERT_ROW = (
    f"INSERT INTO node_rows (run_no, seq, {', '.join(ROW_COLUMNS)})"  # noqa: S608
    f" VALUES (?, ?, {', '.join('?' * len(ROW_COLUMNS))})"
)
_ROWS = """
    SELECT n.* FROM node_rows n WHERE n.seq > ? AND n.run_no = (SELECT no FROM runs WHERE id = ?)
    ORDER BY n.seq"""
_LAST_SEEN = """
    SELECT greatest(
        r.claimed_at,
        (SELECT max(n.ended_at) FROM node_rows n WHERE n.run_no = r.no),
        (SELECT p.beat_at FROM processes p WHERE p.id = r.process)
    ) AS seen FROM runs r WHERE r.id = ?"""
_ID, _PROCESS = RUN_COLUMNS.index("id"), RUN_COLUMNS.index("process")


class PostgresRunStore(SqlRunStore):
    """Implements `engine.ports.RunStore` on a Postgres.

    `on_claimable(connection, run_ids)` is called within each transaction that makes runs claimable: created
    without an owner, or parked and woken by an answer, a child, a cancellation.
    """

    def __init__(self, db: Postgres, on_claimable: OnClaimable | None = None) -> None:
        super().__init__(db, PostgresRunWrites(), _ROWS)
        if on_claimable is not None:
            db.on_claimable(on_claimable)


class PostgresRunWrites(RunWrites):
    """The rows of runs and budgets are locked when they are first looked at."""

    locking = " FOR NO KEY UPDATE OF r"
    sharing = " FOR KEY SHARE"
    delete_more = ("DELETE FROM run_deaths WHERE run_id = ?",)

    def fence(self, connection: Any, run_id: str) -> Columns | None:
        found: Columns | None = connection.run(clean(run_id))
        return found

    def changed(self, connection: Any, run_id: str) -> None:
        connection.locked.pop(clean(run_id), None)

    def claimable(self, connection: Any, run_ids: Sequence[str]) -> None:
        connection.claimable += [run_id for run_id in run_ids if run_id not in connection.claimable]

    def add_rows(self, connection: Any, no: int, rows: Sequence[NodeRow]) -> None:
        connection.executemany(_INSERT_ROW, [(no, row.seq, *row_values(row)) for row in rows])

    def delete_rows(self, connection: Any, numbers: Sequence[int]) -> None:
        connection.executemany("DELETE FROM node_rows WHERE run_no = ?", [(no,) for no in numbers])

    def lock_documents(self, connection: Any, digests: Sequence[str]) -> None:
        """In a statement of its own: the next one sees the runs of those for whom this one waited."""
        connection.execute(
            "SELECT 1 FROM run_documents WHERE digest = ANY(?) ORDER BY digest FOR UPDATE", (list(digests),)
        )

    def add_runs(self, connection: Any, runs: Sequence[tuple[Any, ...]]) -> None:
        """What is nobody's can be claimed, unless it was there before."""
        cursors = [connection.execute(f"{sql.INSERT_RUN} RETURNING id", run) for run in runs]
        free = [
            run[_ID]
            for run, cursor in zip(runs, cursors, strict=True)
            if run[_PROCESS] is None and cursor.fetchone() is not None
        ]
        self.claimable(connection, free)

    def last_seen(self, connection: Any, run_id: str) -> float:
        seen: float = connection.execute(_LAST_SEEN, (run_id,)).fetchone()["seen"]
        return seen
