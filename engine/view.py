"""A run as plain JSON, and its events: made of the stored run and its rows alone, by whichever process asks.

Nothing here needs the document, so a run can still be shown when the format has moved on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from engine.gates import judged
from engine.history import reduced
from engine.ports import NodeRow, RunEvent, RunRecord, Started, Wait
from engine.rehearsal import NOTE, made_inputs_of, simulates


def time_text(seconds: float | None) -> str | None:
    """ISO 8601 in UTC with milliseconds."""
    if seconds is None:
        return None
    millis = int(seconds * 1000)
    return f"{_second_text(millis // 1000)}.{millis % 1000:03d}Z"


@lru_cache(256)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def run_view(
    run: RunRecord,
    rows: Sequence[NodeRow],
    waits: Iterable[Wait] = (),
    children: Iterable[RunRecord] | None = None,
    below: Sequence[NodeRow] = (),
) -> dict[str, Any]:
    """The object that `run --json` prints. `outputs` are there once the run has ended well; `waits` are the open
    questions of the run and of those below it, `children` the runs that it has started, `below` the rows of all
    that are below a rehearsal.
    """
    state = state_of(run, rows)
    return {
        "run_id": run.id,
        "workflow": run.workflow,
        "status": run.status,
        "inputs": dict(run.inputs),
        "outputs": {name: state[name] for name in run.shape["outputs"]} if run.status == "ok" else {},
        "state": state,
        "nodes": node_views(run, rows),
        "waiting": [wait_view(wait, run.prefix) for wait in waits],
        **({} if children is None else {"children": [child_view(child, run.prefix) for child in children]}),
        **totals(rows),
        **({"gates": judged(run.shape, rows)} if "gates" in run.shape and run.part is None else {}),
        **_rehearsal(run, [*rows, *below]),
        **({} if run.origin is None else {"origin": dict(run.origin)}),
        "error": run.error,
        **({} if run.fault is None else {"fault": dict(run.fault)}),
        "created_at": time_text(run.created_at),
        "ended_at": time_text(run.ended_at),
    }


def _rehearsal(run: RunRecord, rows: Sequence[NodeRow]) -> dict[str, Any]:
    """What a dry run or a replay says of itself: the ways that were taken, and what was not real, and why."""
    if not simulates(run):
        return {}
    taken = [
        {"node": _without(r.path, run.prefix), "iteration": r.iteration, "to": [to for _, to in r.fired]}
        for r in rows
        if r.counts
    ]
    return {
        "dry": run.dry,
        **({"made_inputs": list(made_inputs_of(run))} if run.dry else {}),
        "branches": taken,
        "simulated": [
            {"node": _without(row.path, run.prefix), "iteration": row.iteration, "why": row.writes["why"]}
            for row in rows
            if row.path.endswith(NOTE)
        ],
    }


def _without(path: str, prefix: str) -> str:
    return path.removeprefix(prefix).removesuffix(NOTE)


async def view_of(
    run: RunRecord,
    rows: Sequence[NodeRow],
    waits: Sequence[Wait] = (),
    children: Sequence[RunRecord] | None = None,
    below: Sequence[NodeRow] = (),
) -> dict[str, Any]:
    """As `run_view`. What takes long, as many rows do, is done on a thread."""
    if len(rows) + len(below) < _MANY:
        return run_view(run, rows, waits, children, below)
    return await asyncio.to_thread(run_view, run, rows, waits, children, below)


_MANY = 2000


def wait_view(wait: Wait, prefix: str = "") -> dict[str, Any]:
    """An open question. `node` is where to send the answer."""
    return {
        "node": wait.path.removeprefix(prefix),
        "path": wait.path,
        "iteration": wait.iteration,
        "question": wait.question,
        "options": list(wait.options),
        "kind": wait.kind,
        "default": wait.default,
        "due_at": time_text(wait.due_at),
    }


def child_view(child: RunRecord, prefix: str = "") -> dict[str, Any]:
    """A run that a node has started. `path` is the node's, with the number of an element or those of a part."""
    path = child.prefix.removesuffix("/")
    if child.part is not None:
        first = int(child.part["first"])
        path = f"{child.prefix}{child.part['node']}[{first}-{first + int(child.part['count']) - 1}]"
    return {"run_id": child.id, "path": path.removeprefix(prefix), "status": child.status}


def question_view(wait: Wait) -> dict[str, Any]:
    """A question with its answer, for who looks at a run later; open as long as `answered_at` is None."""
    return {
        **wait_view(wait),
        "asked_at": time_text(wait.created_at),
        "answer": wait.answer,
        "answered_at": time_text(wait.answered_at),
        "answered_by": wait.answered_by,
    }


def summary_view(run: RunRecord) -> dict[str, Any]:
    """A run in a list."""
    return {
        "run_id": run.id,
        "workflow": run.workflow,
        "status": run.status,
        "dry": run.dry,
        "conversation_id": run.conversation_id,
        "prompt_tokens": run.prompt_tokens,
        "completion_tokens": run.completion_tokens,
        "cost_usd": run.cost_usd,
        "error": run.error,
        "created_at": time_text(run.created_at),
        "ended_at": time_text(run.ended_at),
    }


def state_of(run: RunRecord, rows: Iterable[NodeRow]) -> dict[str, Any]:
    """The state after these rows: in the order that was noted at the end, before it in the order of time."""
    fields: Mapping[str, Any] = run.shape["fields"]
    state = {name: run.inputs.get(name, default) for name, (default, _) in fields.items()}
    good = {row.seq: row for row in rows if row.counts}
    for seq in run.order or good:
        for name, value in good[seq].writes.items():
            state[name] = reduced(fields[name][1], state.get(name), value) if name in fields else value
    return state


def totals(rows: Iterable[NodeRow]) -> dict[str, Any]:
    """Tokens and cost of all attempts that used a model; None where one is unknown, or no model was used."""
    used = [row for row in rows if row.model is not None]
    names = ("prompt_tokens", "completion_tokens", "cost_usd")
    return {name: _sum([getattr(row, name) for row in used]) for name in names}


def _sum(values: Sequence[Any]) -> Any:
    return None if not values or any(v is None for v in values) else sum(values)


def node_view(row: NodeRow, prefix: str = "") -> dict[str, Any]:
    """A row of a run with this prefix. `id` is the node's, with the number of an element or the name of a call."""
    return {
        "id": row.path.removeprefix(prefix) if row.path != row.node else row.node,
        "kind": row.kind,
        "iteration": row.iteration,
        "attempt": row.attempt,
        "status": row.status,
        "started_at": time_text(row.started_at),
        "ended_at": None if row.status in _OPEN else time_text(row.ended_at),
        "model": row.model,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "cost_usd": row.cost_usd,
        "error": row.error,
        **({} if row.fault is None else {"fault": dict(row.fault)}),
    }


def _started_view(started: Started, at: float) -> dict[str, Any]:
    node, kind, iteration, attempt = started
    return {
        "id": node,
        "kind": kind,
        "iteration": iteration,
        "attempt": attempt,
        "status": "running",
        "started_at": time_text(at),
        "ended_at": None,
        "model": None,
        "prompt_tokens": None,
        "completion_tokens": None,
        "cost_usd": None,
        "error": None,
    }


_OPEN = frozenset({"running", "waiting", "unknown"})


def node_views(run: RunRecord, rows: Sequence[NodeRow]) -> list[dict[str, Any]]:
    """Every attempt that ended, in the order of time, then what is open: running, or waiting for a person."""
    prefix = run.prefix
    ended = [
        node_view(row, prefix) for row in rows if row.status not in _OPEN and not row.path.endswith(NOTE)
    ]
    if run.ended_at is not None:
        doubtful = [row for row in rows if row.status == "unknown" and row.error]
        return [*ended, *(node_view(row, prefix) for row in doubtful)]
    if run.epoch == 0 and run.not_before is not None:
        return ended
    return [*ended, *open_views(run, rows)]


def open_views(run: RunRecord, rows: Sequence[NodeRow]) -> Iterator[dict[str, Any]]:
    """What has been started and has not ended: visits, and what is open within them."""
    visits = {(s[0], s[2]): _started_view(s, run.created_at) for s in run.starts}
    parts: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        key = (row.node, row.iteration)
        if not row.ends_visit:
            parts.pop((row.path, row.iteration), None)
            if row.status in _OPEN:
                parts[row.path, row.iteration] = {**node_view(row, run.prefix), "node": row.node}
        elif row.status in _OPEN:
            visits[key] = node_view(row, run.prefix)
        else:
            visits.pop(key, None)
        visits.update({(s[0], s[2]): _started_view(s, row.ended_at) for s in row.starts})
    yield from visits.values()
    for part in parts.values():
        if (part.pop("node"), part["iteration"]) in visits:
            yield part


def first_events(run: RunRecord) -> Iterator[RunEvent]:
    """run_started, and what START set off."""
    data = {
        "run_id": run.id,
        "workflow": run.workflow,
        "inputs": dict(run.inputs),
        "created_at": time_text(run.created_at),
    }
    yield RunEvent(1, run.id, "run_started", data)
    for number, started in enumerate(run.starts, 2):
        yield RunEvent(number, run.id, "node_started", _started_view(started, run.created_at))


def _asked(row: NodeRow, prefix: str) -> dict[str, Any]:
    """As `wait_view`, from what the row keeps of its question."""
    where = {"node": row.path.removeprefix(prefix), "path": row.path, "iteration": row.iteration}
    return {**where, **row.writes, "due_at": time_text(row.writes.get("due_at"))}


def row_events(row: NodeRow, prefix: str = "") -> Iterator[RunEvent]:
    """The end of a node and what follows it, or a question. What is about to begin is no event."""
    if row.status in ("waiting", "unknown") and row.writes:
        yield RunEvent(
            row.event, row.run_id, "node_waiting", {**node_view(row, prefix), "waiting": _asked(row, prefix)}
        )
    elif row.status != "running" and not row.path.endswith(NOTE):
        yield RunEvent(row.event, row.run_id, "node_ended", node_view(row, prefix))
    for number, started in enumerate(row.starts, row.event + 1):
        yield RunEvent(number, row.run_id, "node_started", _started_view(started, row.ended_at))
