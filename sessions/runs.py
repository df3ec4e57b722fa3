"""The store of runs on SQLite."""

from __future__ import annotations

from collections.abc import Sequence

from engine.ports import NodeRow
from sessions.db import Database
from sessions.run_rows import ROW_COLUMNS, clean, row_values
from sessions.run_store import SqlRunStore
from sessions.run_writes import Connection, RunWrites

SEQ_BITS = 20
"""The key of a row is `runs.no << 20 | seq`: the rows of a run lie together and need no second index."""

_INSERT_ROW = (
    f"INSERT INTO node_rows (key, {', '.join(ROW_COLUMNS)}) VALUES (?, {', '.join('?' * len(ROW_COLUMNS))})"  # noqa: S608
)
_ROWS = """
    SELECT n.*, n.key & 1048575 AS seq FROM runs r
    JOIN node_rows n ON n.key > (r.no << 20) + ? AND n.key < (r.no + 1) << 20 WHERE r.id = ? ORDER BY n.key"""
_LAST_SEEN = """
    SELECT max(r.claimed_at, coalesce(max(n.ended_at), 0),
               coalesce((SELECT beat_at FROM processes p WHERE p.id = r.process), 0)) AS seen
    FROM runs r LEFT JOIN node_rows n ON n.key > r.no << 20 AND n.key < (r.no + 1) << 20 WHERE r.id = ?"""


class SqliteRunStore(SqlRunStore):
    """Implements `engine.ports.RunStore` on a Database."""

    def __init__(self, db: Database) -> None:
        super().__init__(db, SqliteRunWrites(), _ROWS)


class SqliteRunWrites(RunWrites):
    """A transaction that writes has the whole file to itself, so nothing needs a lock."""

    def add_rows(self, connection: Connection, no: int, rows: Sequence[NodeRow]) -> None:
        first = no << SEQ_BITS
        connection.executemany(_INSERT_ROW, [(first + row.seq, *row_values(row)) for row in rows])

    def delete_rows(self, connection: Connection, numbers: Sequence[int]) -> None:
        spans = [(no << SEQ_BITS, (no + 1) << SEQ_BITS) for no in numbers]
        connection.executemany("DELETE FROM node_rows WHERE key > ? AND key < ?", spans)

    def last_seen(self, connection: Connection, run_id: str) -> float:
        seen: float = connection.execute(_LAST_SEEN, (clean(run_id),)).fetchone()["seen"]
        return seen
