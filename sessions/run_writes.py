"""What the store of runs on SQLite does within one transaction; each function is handed a connection in one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from engine.ports import NodeRow, Park, Process, RunEnd, RunRecord, Wait
from sessions import run_sql as sql
from sessions.run_rows import (
    KEPT_SECONDS,
    ROW_COLUMNS,
    answered_before,
    clean,
    cleaned,
    dumps,
    end_values,
    fence_lost,
    fits,
    no_wait,
    row_values,
    run_values,
    units,
    wait_of,
    wait_values,
)
from sessions.writer import Entry

SEQ_BITS = 20
"""The key of a row is `runs.no << 20 | seq`: the rows of a run lie together and need no second index."""

_INSERT_ROW = (
    f"INSERT INTO node_rows (key, {', '.join(ROW_COLUMNS)}) VALUES (?, {', '.join('?' * len(ROW_COLUMNS))})"  # noqa: S608
)
_LAST_SEEN = """
    SELECT r.claimed_at, max(r.claimed_at, coalesce(max(n.ended_at), 0),
               coalesce((SELECT beat_at FROM processes p WHERE p.id = r.process), 0)) AS seen
    FROM runs r LEFT JOIN node_rows n ON n.key > r.no << 20 AND n.key < (r.no + 1) << 20 WHERE r.id = ?"""


class Addition:
    """What a run adds in one transaction: the fence is read once for all rows that come together."""

    __slots__ = ("end", "entry", "epoch", "park", "rows", "run_id", "waits")

    def __init__(self, run_id: str, epoch: int) -> None:
        self.run_id = run_id
        self.epoch = epoch
        self.rows: list[NodeRow] = []
        self.waits: Sequence[Wait] = ()
        self.end: RunEnd | None = None
        self.park: Park | None = None
        self.entry: Entry | None = None

    def takes(self, epoch: int) -> bool:
        """Whether rows of this epoch may still go along."""
        return self.entry is not None and self.entry.open and self.epoch == epoch

    def __call__(self, connection: sqlite3.Connection) -> bool:
        run = connection.execute(sql.FENCE, (self.run_id,)).fetchone()
        if run is None or run["epoch"] != self.epoch or run["status"] != "running" or run["process"] is None:
            raise fence_lost(self.run_id)
        first = run["no"] << SEQ_BITS
        connection.executemany(_INSERT_ROW, [(first + row.seq, *row_values(row)) for row in self.rows])
        if self.waits:
            connection.executemany(sql.INSERT_WAIT, [wait_values(wait) for wait in self.waits])
            connection.execute(sql.ASKED, (run["no"],))
        if self.end is not None:
            _end(connection, run, self.end)
        return self.park is None or _park(connection, run, self.park)


def _end(connection: sqlite3.Connection, run: sqlite3.Row, end: RunEnd) -> None:
    connection.execute(sql.END_RUN, (*end_values(end), run["no"]))
    if run["asked"]:
        connection.execute(sql.CLOSE_WAITS, (run["id"],))
    if run["parent_id"] is not None:
        wake(connection, run["parent_id"])


def _park(connection: sqlite3.Connection, run: sqlite3.Row, park: Park) -> bool:
    """Let go of the run, whose activity ends here; False when it was woken meanwhile."""
    if run["woken"] > park.woken:
        return False
    now = time.time()
    (claimed_at,) = connection.execute(sql.CLAIMED_AT, (run["no"],)).fetchone()
    lasted = max(0.0, now - claimed_at)
    connection.execute(sql.PARK_RUN, (park.status, park.status, lasted, now, run["no"]))
    if run["parent_id"] is not None and park.status != (run["parked_as"] or "running"):
        wake(connection, run["parent_id"])
    return True


def create(connection: sqlite3.Connection, runs: Sequence[RunRecord]) -> None:
    for run in runs:
        shape = dumps(run.shape)
        own = _keep(connection, run.digest, run.yaml, shape)
        connection.execute(sql.INSERT_RUN, run_values(run, shape if own else None))


def _keep(connection: sqlite3.Connection, digest: str, text: str, shape: str) -> bool:
    """Keep a document; whether the shape kept with it is another one, so that the run needs its own."""
    found = connection.execute(sql.DOCUMENT, (digest,)).fetchone()
    if found is None:
        connection.execute(sql.KEEP_DOCUMENT, cleaned((digest, text, shape)))
    elif found["shape"] == "{}" != shape:
        connection.execute(sql.SHAPE_DOCUMENT, (shape, digest))
    else:
        return bool(found["shape"] != shape)
    return False


def wake(connection: sqlite3.Connection, run_id: str) -> None:
    connection.execute(sql.WAKE_RUN, (run_id,))


def cancel(connection: sqlite3.Connection, run_id: str) -> None:
    connection.execute(sql.TREE + sql.CANCEL, (run_id,))


def answer(
    connection: sqlite3.Connection, run_id: str, path: str, iteration: int, value: str, by: str, at: float
) -> Wait:
    """`value` is JSON. See RunStore.answer."""
    found = connection.execute(sql.WAITS_AT, cleaned((run_id, path, iteration))).fetchone()
    if found is not None and found["answered_at"] is not None:
        raise answered_before(wait_of(found))
    if found is None or found["closed"]:
        raise no_wait(run_id, path)
    connection.execute(sql.ANSWER, (value, at, clean(by), found["no"]))
    wake(connection, run_id)
    return wait_of({**dict(found), "answer": value, "answered_at": at, "answered_by": clean(by)})


def claim(connection: sqlite3.Connection, run_id: str, epoch: int, process_id: str) -> bool:
    """Take the run over; the activity of the owner before ends with its last row or sign of life."""
    claimed_at, seen = connection.execute(_LAST_SEEN, (run_id,)).fetchone()
    if claimed_at is None:
        return False
    lasted = max(0.0, seen - claimed_at)
    changed = connection.execute(sql.CLAIM_RUN, (process_id, lasted, time.time(), run_id, epoch)).rowcount
    return changed == 1


def beat(connection: sqlite3.Connection, process: Process) -> None:
    """Note the sign of life; those that gave none for days, and own nothing, are forgotten."""
    known = (process.id, process.place, process.pid, process.born, process.beat_at)
    connection.execute(sql.BEAT, known)
    connection.execute(sql.FORGET, (process.beat_at - KEPT_SECONDS,))


def reserve(connection: sqlite3.Connection, root_id: str, key: str, amount: float, limit: float) -> bool:
    """See RunStore.reserve."""
    connection.execute(sql.OPEN_BUDGET, (root_id,))
    spent, reserved = connection.execute(sql.BUDGET, (root_id,)).fetchone()
    change = units(amount) - _reserved(connection, root_id, key)
    if not fits(spent + reserved + change, limit):
        return False
    connection.execute(sql.RESERVE, (root_id, key, units(amount)))
    connection.execute(sql.CHANGE_BUDGET, (0, change, root_id))
    return True


def settle(connection: sqlite3.Connection, root_id: str, key: str, cost: float) -> None:
    """See RunStore.settle."""
    connection.execute(sql.OPEN_BUDGET, (root_id,))
    change = -_reserved(connection, root_id, key)
    connection.execute(sql.RELEASE, (root_id, key))
    connection.execute(sql.CHANGE_BUDGET, (units(cost), change, root_id))


def _reserved(connection: sqlite3.Connection, root_id: str, key: str) -> int:
    found = connection.execute(sql.RESERVATION, (root_id, key)).fetchone()
    return found["amount"] if found else 0
