"""The store of runs on SQLite: implements `engine.ports.RunStore` on a Database.

Rows are written as they are, under the run's epoch, which is read in the same transaction: an owner that was
thought dead and replaced can write nothing.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Awaitable, Sequence
from functools import lru_cache
from typing import Any

from engine.errors import FenceLost, NotFound
from engine.ports import NodeRow, Process, RunEnd, RunRecord, RunStatus, Started
from sessions.db import Database
from sessions.writer import Entry

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode_ascii = json.JSONEncoder(separators=(",", ":")).encode


def _dumps(value: Any) -> str:
    """Compact JSON; half a surrogate pair, which SQLite does not take, stands escaped."""
    text = _encode(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return _encode_ascii(value)
    return text


def _clean(text: str | None) -> str | None:
    """Text as SQLite takes it."""
    return text if text is None or text.isascii() else text.encode(errors="replace").decode()


_dumps_again = lru_cache(256)(_dumps)
"""For what is the same in many rows: which edges fire."""

KEPT_SECONDS = 7 * 86_400
_SEQ_BITS = 20

_RUN = """
    r.id, r.workflow, r.inputs, r.status, r.created_at, r.owner, r.conversation_id, r.message_id,
    r.force_model, r.epoch, r.ended_at, r.error, r.cancel_requested, r.digest, r.process, r.starts,
    r.end_event, r.row_order, r.active, r.prompt_tokens, r.completion_tokens, r.cost_usd"""
_GET = f"SELECT {_RUN}, d.yaml, d.shape FROM runs r JOIN run_documents d USING (digest) WHERE r.id = ?"  # noqa: S608
_FIND = f"SELECT {_RUN}, '' AS yaml, '{{}}' AS shape FROM runs r"  # noqa: S608
_ROWS = """
    SELECT n.* FROM runs r JOIN node_rows n ON n.key > (r.no << 20) + ? AND n.key < (r.no + 1) << 20
    WHERE r.id = ? ORDER BY n.key"""
_UNFINISHED = """
    SELECT r.id AS run_id, r.epoch, r.process, p.id, p.place, p.pid, p.born, p.beat_at
    FROM runs r LEFT JOIN processes p ON p.id = r.process WHERE r.status = 'running' ORDER BY r.no"""
_BEAT = """
    INSERT INTO processes (id, place, pid, born, beat_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET place = excluded.place, pid = excluded.pid, born = excluded.born,
    beat_at = excluded.beat_at"""
_FORGET = """
    DELETE FROM processes WHERE beat_at < ?
    AND id NOT IN (SELECT process FROM runs WHERE status = 'running' AND process IS NOT NULL)"""
_INSERT_RUN = """
    INSERT INTO runs (id, workflow, digest, owner, conversation_id, message_id, force_model, inputs, starts,
    status, created_at, claimed_at, epoch, process) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_INSERT_ROW = """
    INSERT INTO node_rows (key, path, node, kind, iteration, attempt, status, started_at, ended_at, writes,
    fired, starts, event, model, prompt_tokens, completion_tokens, cost_usd, error)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_END_RUN = """
    UPDATE runs SET status = ?, ended_at = ?, error = ?, end_event = ?, row_order = ?, prompt_tokens = ?,
    completion_tokens = ?, cost_usd = ? WHERE no = ?"""
_LAST_SEEN = """
    SELECT max(r.claimed_at, coalesce(max(n.ended_at), 0),
               coalesce((SELECT beat_at FROM processes p WHERE p.id = r.process), 0))
    FROM runs r LEFT JOIN node_rows n ON n.key > r.no << 20 AND n.key < (r.no + 1) << 20 WHERE r.id = ?"""
_CLAIM = """
    UPDATE runs SET epoch = epoch + 1, process = ?, active = active + max(0, ? - claimed_at), claimed_at = ?
    WHERE id = ? AND epoch = ? AND status = 'running'"""


class SqliteRunStore:
    """Runs, rows and owners in one Database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._additions: dict[str, _Addition] = {}

    async def create(self, run: RunRecord) -> None:
        await self._db.write(lambda connection: _create(connection, run))

    def append(
        self, run_id: str, epoch: int, rows: Sequence[NodeRow], end: RunEnd | None = None
    ) -> Awaitable[None]:
        addition = self._additions.get(run_id)
        if addition is None or not addition.takes(epoch):
            addition = self._additions[run_id] = _Addition(run_id, epoch)
            addition.entry = self._db.write_more(addition)
        addition.rows += rows
        addition.end = end
        if end is not None:
            del self._additions[run_id]
        assert addition.entry is not None  # noqa: S101 - set above
        return addition.entry.wait()

    async def get(self, run_id: str) -> RunRecord:
        found = await self._db.fetch(_GET, (run_id,))
        if not found:
            raise NotFound(f"There is no run {run_id}.", "List the runs to see their ids.")
        return _record(found[0])

    async def rows(self, run_id: str, after_seq: int = 0) -> list[NodeRow]:
        found = await self._db.fetch(_ROWS, (after_seq, run_id))
        return [_row(run_id, row) for row in found]

    async def find(
        self,
        *,
        owner: str | None = None,
        workflow: str | None = None,
        conversation_id: str | None = None,
        status: RunStatus | None = None,
        before: float | None = None,
        limit: int = 50,
    ) -> list[RunRecord]:
        wanted = {
            "r.owner = ?": owner,
            "r.workflow = ?": workflow,
            "r.conversation_id = ?": conversation_id,
            "r.status = ?": status,
            "r.created_at < ?": before,
        }
        given = {test: value for test, value in wanted.items() if value is not None}
        where = " AND ".join(given) or "1"
        found = await self._db.fetch(
            f"{_FIND} WHERE {where} ORDER BY r.created_at DESC, r.no DESC LIMIT ?", (*given.values(), limit)
        )
        return [_record(row) for row in found]

    async def request_cancel(self, run_id: str) -> None:
        await self._db.execute(
            "UPDATE runs SET cancel_requested = 1 WHERE id = ? AND status = 'running'", (run_id,)
        )

    async def cancel_requests(self, process_id: str) -> list[str]:
        found = await self._db.fetch(
            "SELECT id FROM runs WHERE process = ? AND status = 'running' AND cancel_requested", (process_id,)
        )
        return [row["id"] for row in found]

    async def beat(self, process: Process) -> None:
        await self._db.write(lambda connection: _beat(connection, process))

    async def process(self, process_id: str) -> Process | None:
        found = await self._db.fetch(
            "SELECT id, place, pid, born, beat_at FROM processes WHERE id = ?", (process_id,)
        )
        return _process(found[0]) if found else None

    async def leave(self, process_id: str) -> None:
        await self._db.execute("DELETE FROM processes WHERE id = ?", (process_id,))

    async def unfinished(self) -> list[tuple[str, int, str | None, Process | None]]:
        found = await self._db.fetch(_UNFINISHED)
        return [(row["run_id"], row["epoch"], row["process"], _process(row)) for row in found]

    async def claim(self, run_id: str, epoch: int, process_id: str) -> RunRecord | None:
        claimed = await self._db.write(lambda connection: _claim(connection, run_id, epoch, process_id))
        return await self.get(run_id) if claimed else None


# --- writing ----------------------------------------------------------------------------------------------


def _create(connection: sqlite3.Connection, run: RunRecord) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO run_documents (digest, yaml, shape) VALUES (?, ?, ?)",
        (run.digest, run.yaml, _dumps(run.shape)),
    )
    who = (run.id, run.workflow, run.digest, run.owner, run.conversation_id, run.message_id, run.force_model)
    what = (_dumps(run.inputs), _dumps(run.starts), run.status)
    when = (run.created_at, run.created_at, run.epoch, run.process)
    connection.execute(_INSERT_RUN, (*who, *what, *when))


class _Addition:
    """What a run adds in one transaction: the fence is read once for all rows that come together."""

    __slots__ = ("end", "entry", "epoch", "rows", "run_id")

    def __init__(self, run_id: str, epoch: int) -> None:
        self.run_id = run_id
        self.epoch = epoch
        self.rows: list[NodeRow] = []
        self.end: RunEnd | None = None
        self.entry: Entry | None = None

    def takes(self, epoch: int) -> bool:
        """Whether rows of this epoch may still go along."""
        return self.entry is not None and self.entry.open and self.epoch == epoch and self.end is None

    def __call__(self, connection: sqlite3.Connection) -> None:
        _append(connection, self.run_id, self.epoch, self.rows, self.end)


def _append(
    connection: sqlite3.Connection, run_id: str, epoch: int, rows: Sequence[NodeRow], end: RunEnd | None
) -> None:
    run = connection.execute("SELECT no, epoch, status FROM runs WHERE id = ?", (run_id,)).fetchone()
    if run is None or run["epoch"] != epoch or run["status"] != "running":
        raise FenceLost(f"Run {run_id} has been taken over by another process.")
    first = run["no"] << _SEQ_BITS
    connection.executemany(_INSERT_ROW, [_values(first + row.seq, row) for row in rows])
    if end is not None:
        order = _dumps(end.order) if end.order else None
        sums = (end.prompt_tokens, end.completion_tokens, end.cost_usd)
        how = (end.status, end.ended_at, _clean(end.error), end.event, order)
        connection.execute(_END_RUN, (*how, *sums, run["no"]))


def _values(key: int, row: NodeRow) -> tuple[Any, ...]:
    """What stands in a column; what is empty is null, which takes no room."""
    return (
        key,
        None if row.path == row.node else row.path,
        row.node,
        row.kind,
        row.iteration,
        row.attempt,
        row.status,
        row.started_at,
        row.ended_at,
        _dumps(row.writes) if row.writes else None,
        _dumps_again(row.fired) if row.fired else None,
        _dumps(row.starts) if row.starts else None,
        row.event,
        row.model,
        row.prompt_tokens,
        row.completion_tokens,
        row.cost_usd,
        _clean(row.error),
    )


def _beat(connection: sqlite3.Connection, process: Process) -> None:
    """Note the sign of life; those that gave none for days, and own nothing, are forgotten."""
    known = (process.id, process.place, process.pid, process.born, process.beat_at)
    connection.execute(_BEAT, known)
    connection.execute(_FORGET, (process.beat_at - KEPT_SECONDS,))


def _claim(connection: sqlite3.Connection, run_id: str, epoch: int, process_id: str) -> bool:
    """Take the run over; the activity of the owner before ends with its last row or sign of life."""
    seen = connection.execute(_LAST_SEEN, (run_id,)).fetchone()[0]
    now = time.time()
    changed = connection.execute(_CLAIM, (process_id, seen, now, run_id, epoch)).rowcount
    return changed == 1


# --- reading ----------------------------------------------------------------------------------------------


def _record(row: sqlite3.Row) -> RunRecord:
    order = row["row_order"]
    return RunRecord(
        id=row["id"],
        workflow=row["workflow"],
        yaml=row["yaml"],
        inputs=json.loads(row["inputs"]),
        status=row["status"],
        created_at=row["created_at"],
        owner=row["owner"],
        conversation_id=row["conversation_id"],
        message_id=row["message_id"],
        force_model=row["force_model"],
        epoch=row["epoch"],
        ended_at=row["ended_at"],
        error=row["error"],
        cancel_requested=bool(row["cancel_requested"]),
        digest=row["digest"],
        shape=json.loads(row["shape"]),
        process=row["process"],
        starts=_starts(row["starts"]),
        end_event=row["end_event"],
        order=tuple(json.loads(order)) if order else None,
        active=row["active"],
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        cost_usd=row["cost_usd"],
    )


def _row(run_id: str, row: sqlite3.Row) -> NodeRow:
    fired = json.loads(row["fired"]) if row["fired"] else ()
    return NodeRow(
        run_id=run_id,
        path=row["path"] or row["node"],
        node=row["node"],
        kind=row["kind"],
        iteration=row["iteration"],
        attempt=row["attempt"],
        status=row["status"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        writes=json.loads(row["writes"]) if row["writes"] else {},
        fired=tuple((edge, target) for edge, target in fired),
        model=row["model"],
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        cost_usd=row["cost_usd"],
        error=row["error"],
        seq=row["key"] & ((1 << _SEQ_BITS) - 1),
        event=row["event"],
        starts=_starts(row["starts"]),
    )


def _starts(text: str | None) -> tuple[Started, ...]:
    return (
        tuple((node, kind, iteration, attempt) for node, kind, iteration, attempt in json.loads(text))
        if text
        else ()
    )


def _process(row: sqlite3.Row) -> Process | None:
    if row["id"] is None:
        return None
    return Process(row["id"], row["place"], row["pid"], row["born"], row["beat_at"])
