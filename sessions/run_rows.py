"""Runs, rows and waits as columns, and back: what the stores on SQLite and on PostgreSQL share.

JSON is text, so that whatever Python can say comes back as it was; what is empty is null, which takes no room.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

from engine.errors import Conflict, FenceLost, NotFound
from engine.ports import NodeRow, Process, RunEnd, RunRecord, Started, Wait

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode_ascii = json.JSONEncoder(separators=(",", ":")).encode

KEPT_SECONDS = 7 * 86_400
"""How long a process that owns nothing is remembered after its last sign of life."""
UNIT = 1e12
"""Money is added up in whole trillionths of a dollar: the sums of many small parts are exact."""

RUN_COLUMNS = (
    *(
        "id",
        "workflow",
        "digest",
        "owner",
        "conversation_id",
        "message_id",
        "force_model",
        "inputs",
        "starts",
    ),
    *("status", "created_at", "claimed_at", "epoch", "process", "parent_id", "root_id", "prefix", "depth"),
    *("part", "pins", "shape", "not_before", "priority", "dry", "limit_usd", "origin"),
)
ROW_COLUMNS = (
    *("path", "node", "kind", "iteration", "attempt", "status", "started_at", "ended_at", "writes", "fired"),
    *("starts", "event", "model", "prompt_tokens", "completion_tokens", "cost_usd", "error", "fault"),
)
WAIT_COLUMNS = (
    *("run_id", "root_id", "path", "node", "iteration", "attempt", "kind", "question", "options", "preset"),
    *(
        "has_default",
        "due_at",
        "owner",
        "conversation_id",
        "created_at",
        "answer",
        "answered_at",
        "answered_by",
    ),
)


class Columns(Protocol):
    """A row of a query's result, whatever the store."""

    def __getitem__(self, name: str, /) -> Any: ...


def dumps(value: Any) -> str:
    """Compact JSON; half a surrogate pair, which no store takes, stands escaped."""
    text = _encode(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return _encode_ascii(value)
    return text


_dumps_again = lru_cache(256)(dumps)
"""For what is the same in many rows: which edges fire."""


def clean(text: str | None) -> str | None:
    """Text as a store takes it: half a surrogate pair becomes a question mark, NUL the sign for the unreadable."""
    if text is None:
        return None
    if not text.isascii():
        text = text.encode(errors="replace").decode()
    return text.replace("\0", "\ufffd") if "\0" in text else text


def cleaned(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same with every text as a store takes it."""
    return tuple([clean(value) if type(value) is str else value for value in values])


def units(dollars: float) -> int:
    """Dollars in whole units, at most what a store's integer holds: nine million dollars."""
    return min(round(min(dollars, 9e6) * UNIT), 9 * 10**18)


def fits(total: int, limit: float) -> bool:
    """Whether a sum in units is within a limit in dollars."""
    return math.isinf(limit) or total <= round(limit * UNIT)


# --- writing ----------------------------------------------------------------------------------------------


def run_values(run: RunRecord, shape: str | None) -> tuple[Any, ...]:
    """In the order of RUN_COLUMNS; `shape` is the run's own where it is not its document's."""
    who = (run.id, run.workflow, run.digest, run.owner, run.conversation_id, run.message_id, run.force_model)
    what = (dumps(run.inputs), dumps(run.starts), run.status)
    when = (run.created_at, run.created_at, run.epoch, run.process)
    root = None if run.root_id in ("", run.id) else run.root_id
    where = (
        run.parent_id,
        root,
        run.prefix or None,
        run.depth,
        _json(run.part),
        _json(run.pins or None),
        shape,
    )
    how = (run.not_before, run.priority, int(run.dry), run.limit_usd, _json(run.origin))
    return cleaned((*who, *what, *when, *where, *how))


def row_values(row: NodeRow) -> tuple[Any, ...]:
    """In the order of ROW_COLUMNS."""
    return (
        None if row.path == row.node else clean(row.path),
        clean(row.node),
        row.kind,
        row.iteration,
        row.attempt,
        row.status,
        row.started_at,
        row.ended_at,
        dumps(row.writes) if row.writes else None,
        _dumps_again(row.fired) if row.fired else None,
        dumps(row.starts) if row.starts else None,
        row.event,
        clean(row.model),
        row.prompt_tokens,
        row.completion_tokens,
        row.cost_usd,
        clean(row.error),
        _json(row.fault),
    )


def wait_values(wait: Wait) -> tuple[Any, ...]:
    """In the order of WAIT_COLUMNS."""
    where = (wait.run_id, wait.root_id or wait.run_id, wait.path, wait.node, wait.iteration, wait.attempt)
    what = (wait.kind, wait.question, dumps(wait.options))
    preset = (dumps(wait.default) if wait.has_default else None, int(wait.has_default))
    who = (wait.due_at, wait.owner, wait.conversation_id, wait.created_at)
    answer = dumps(wait.answer) if wait.answered_at is not None else None
    return cleaned((*where, *what, *preset, *who, answer, wait.answered_at, wait.answered_by))


def end_values(end: RunEnd) -> tuple[Any, ...]:
    """status, ended_at, error, end_event, row_order, prompt_tokens, completion_tokens, cost_usd, fault."""
    order = dumps(end.order) if end.order else None
    sums = (end.prompt_tokens, end.completion_tokens, end.cost_usd)
    return (end.status, end.ended_at, clean(end.error), end.event, order, *sums, _json(end.fault))


def _json(value: Any) -> str | None:
    return None if value is None else dumps(value)


# --- reading ----------------------------------------------------------------------------------------------


def record_of(row: Columns) -> RunRecord:
    """A run; `yaml` and `shape` as the query gives them."""
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
        parent_id=row["parent_id"],
        root_id=row["root_id"] or row["id"],
        prefix=row["prefix"] or "",
        depth=row["depth"],
        part=json.loads(row["part"]) if row["part"] else None,
        pins=json.loads(row["pins"]) if row["pins"] else {},
        parked=bool(row["parked"]),
        woken=row["woken"],
        not_before=row["not_before"],
        priority=row["priority"],
        dry=bool(row["dry"]),
        limit_usd=row["limit_usd"],
        origin=json.loads(row["origin"]) if row["origin"] else None,
        fault=json.loads(row["fault"]) if row["fault"] else None,
    )


def node_row_of(run_id: str, row: Columns) -> NodeRow:
    """A row; the query names its number within the run `seq`."""
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
        seq=row["seq"],
        event=row["event"],
        starts=_starts(row["starts"]),
        fault=json.loads(row["fault"]) if row["fault"] else None,
    )


def wait_of(row: Columns) -> Wait:
    """A question, with its answer where there is one."""
    return Wait(
        run_id=row["run_id"],
        root_id=row["root_id"],
        path=row["path"],
        node=row["node"],
        iteration=row["iteration"],
        attempt=row["attempt"],
        question=row["question"],
        created_at=row["created_at"],
        kind=row["kind"],
        options=tuple(json.loads(row["options"])),
        default=json.loads(row["preset"]) if row["preset"] else None,
        has_default=bool(row["has_default"]),
        due_at=row["due_at"],
        owner=row["owner"],
        conversation_id=row["conversation_id"],
        answer=json.loads(row["answer"]) if row["answer"] else None,
        answered_at=row["answered_at"],
        answered_by=row["answered_by"],
    )


def process_of(row: Columns) -> Process | None:
    """A process; None where a join found none."""
    if row["id"] is None:
        return None
    return Process(row["id"], row["place"], row["pid"], row["born"], row["beat_at"])


def _starts(text: str | None) -> tuple[Started, ...]:
    return (
        tuple((node, kind, iteration, attempt) for node, kind, iteration, attempt in json.loads(text))
        if text
        else ()
    )


# --- errors -----------------------------------------------------------------------------------------------


def no_run(run_id: str) -> NotFound:
    return NotFound(f"There is no run {run_id}.", "List the runs to see their ids.")


def no_document(digest: str) -> NotFound:
    return NotFound(f"There is no document {digest}.", "Save the workflow again, or start a new run.")


def fence_lost(run_id: str) -> FenceLost:
    return FenceLost(f"Run {run_id} has been taken over by another process.")


def no_wait(run_id: str, path: str) -> NotFound:
    return NotFound(
        f"Run {run_id} does not wait for an answer at '{path}'.", "Look at the run to see what it asks."
    )


def answered_before(wait: Wait) -> Conflict:
    """Who was first, and when."""
    when = datetime.fromtimestamp(wait.answered_at or 0, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Conflict(
        f"'{wait.path}' was answered by {wait.answered_by} already, at {when}: {dumps(wait.answer)}.",
        "Look at the run to see how it went on.",
    )
