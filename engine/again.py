"""A run once more: from one of its nodes on with the rows before it kept, or on what was recorded of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from engine.control import Fired, fired_by
from engine.errors import Conflict, InputError, RunError
from engine.graph import error_field
from engine.inputs import first_state
from engine.nodes.effects import begun_row
from engine.plan import Plan
from engine.ports import NodeRow, RunRecord, Started
from engine.rehearsal import NOTE
from engine.scheduler import Scheduler, Visit
from engine.types import convert
from engine.workflow import Field


def anew(run: RunRecord, run_id: str, now: float, **changes: object) -> RunRecord:
    """The record of a new run with what the old one was started with, and nothing of what came of it."""
    fresh = replace(
        run,
        id=run_id,
        root_id=run_id,
        created_at=now,
        status="running",
        epoch=0,
        ended_at=None,
        error=None,
        fault=None,
        cancel_requested=False,
        process=None,
        starts=(),
        end_event=None,
        order=None,
        active=0.0,
        prompt_tokens=None,
        completion_tokens=None,
        cost_usd=None,
        parked=False,
        woken=0,
        not_before=None,
        conversation_id=None,
        message_id=None,
    )
    return replace(fresh, **changes)  # type: ignore[arg-type]


def check_root(run: RunRecord) -> None:
    """Only what a person started can be run once more, and only when it has ended. Conflict."""
    if run.parent_id is not None:
        raise Conflict(f"Run {run.id} is a part of run {run.root_id}.", "Name that one.")
    if run.end_event is None:
        raise Conflict(
            f"Run {run.id} has not ended: it is {run.status}.", "Wait for its end, or cancel it first."
        )


def check_recorded(run: RunRecord) -> None:
    """Only what was really done can be repeated. Conflict."""
    if run.dry:
        raise Conflict(
            f"Run {run.id} was a dry run: no model was asked in it.", "Run the workflow, or replay a run."
        )


def check_node(plan: Plan, run: RunRecord, rows: Sequence[NodeRow], node: str) -> None:
    """InputError for a node that the document does not have, or that the run never came to.

    Where the document has been changed since, any of its nodes may be meant.
    """
    names = list(plan.workflow.nodes)
    if node not in names:
        near = difflib.get_close_matches(node, names, n=1)
        meant = f"Did you mean '{near[0]}'? " if near else ""
        raise InputError(f"There is no node '{node}'.", f"{meant}The nodes are: {', '.join(names)}.")
    began = {row.node for row in rows} | {start[0] for row in rows for start in row.starts}
    if rows and node not in began and plan.digest == run.digest:
        raise InputError(
            f"The run never came to '{node}'.", f"It came to: {', '.join(n for n in names if n in began)}."
        )


def kept_rows(run: RunRecord, plan: Plan, rows: Iterable[NodeRow], node: str, run_id: str) -> list[NodeRow]:
    """The rows of `run` that do not come after `node`, as rows of the run `run_id`.

    `plan` may be of a changed document: then what a node sets off is decided anew, and a row that fits nothing
    any more is left out with all that follows it. What they cost was paid by the run they are of.
    """
    return _Keeping(run, plan, node, run_id).rows(rows)


def under_way(rows: Iterable[NodeRow]) -> list[NodeRow]:
    """Of the rows of a visit that did not end, those that it goes on with: the elements that ended well, the calls
    that were made, and what must not happen twice and may have happened.
    """
    paths: dict[str, list[NodeRow]] = {}
    for row in rows:
        paths.setdefault(row.path, []).append(row)
    found = []
    for path, several in paths.items():
        last = several[-1]
        begun = begun_row(several)
        if begun is not None:
            found.append(begun)
        elif not last.ends_visit and (last.status == "ok" or (last.status == "failed" and "#" in path)):
            found.append(last)
    return sorted(found, key=lambda row: row.seq)


def _is_of(field: Field, value: Any) -> bool:
    try:
        convert(value, field.type, enum=None if field.reduce else field.enum)
    except ValueError:
        return value is None
    return True


class _Keeping:
    def __init__(self, run: RunRecord, plan: Plan, node: str, run_id: str) -> None:
        self._graph = plan.graph
        self._same = plan.digest == run.digest
        self._node = node
        self._run_id = run_id
        self._workflow = plan.workflow
        self._scheduler = Scheduler(plan.graph, first_state(plan.workflow, run.inputs))
        self._open: dict[tuple[str, int], Visit] = {}
        self._within: dict[tuple[str, int], list[NodeRow]] = {}
        self._event = 1
        self._kept: list[NodeRow] = []

    def rows(self, rows: Iterable[NodeRow]) -> list[NodeRow]:
        state = self._scheduler.history.state(0)
        began = self._scheduler.begin(self._graph.arrows_of(fired_by(self._graph.entries, state)))
        self._event += len(self._opened(began))
        for row in rows:
            key = (row.node, row.iteration)
            visit = self._open.get(key)
            if row.node == self._node or visit is None:
                continue
            if row.counts and self._fits(row):
                self._keep(visit, row)
            else:
                self._within.setdefault(key, []).append(row)
        for key in self._open:
            for row in under_way(self._within.get(key, ())):
                self._add_open(row)
        return self._kept

    def _fits(self, row: NodeRow) -> bool:
        """Whether what the node wrote is what it has to write now."""
        if self._same:
            return True
        node = self._workflow.nodes[row.node]
        if row.status != "ok":
            return node.on_error != "fail"
        return row.writes.keys() - {error_field(node.id)} == set(node.outputs) and all(
            _is_of(self._workflow.fields[name], row.writes[name]) for name in node.outputs
        )

    def _keep(self, visit: Visit, row: NodeRow) -> None:
        fired = self._fired(visit, row)
        for note in self._within.pop((row.node, row.iteration), ()):
            if note.path.endswith(NOTE):
                self._add_open(note)
        del self._open[row.node, row.iteration]
        starts = self._opened(self._scheduler.end(visit, row.writes, self._graph.arrows_of(fired)))
        self._event += 1
        self._add(row, fired=fired, starts=starts)
        self._event += len(starts)

    def _add_open(self, row: NodeRow) -> None:
        """A row that leaves its visit open."""
        self._event += row.status != "running" and not row.path.endswith(NOTE)
        self._add(row)

    def _add(self, row: NodeRow, **changes: Any) -> None:
        number: dict[str, Any] = {"run_id": self._run_id, "seq": len(self._kept) + 1, "event": self._event}
        paid: dict[str, Any] = dict.fromkeys(("model", "prompt_tokens", "completion_tokens", "cost_usd"))
        self._kept.append(replace(row, **number, **paid, **changes))

    def _fired(self, visit: Visit, row: NodeRow) -> Fired:
        """What the node sets off; nothing where that can't be decided, of which the run fails as it did before."""
        if row.fired and self._same:
            return row.fired
        if row.status == "failed" and (failing := self._graph.failing[visit.node]):
            return failing
        after = self._scheduler.after(visit, row.writes)
        try:
            return fired_by(self._graph.leaving[visit.node], after, visit.rounds + 1)
        except RunError:
            return ()

    def _opened(self, visits: Sequence[Visit]) -> tuple[Started, ...]:
        found = []
        for visit in visits:
            node = self._graph.nodes[visit.node]
            self._open[node.id, visit.iteration] = visit
            found.append((node.id, str(node.kind), visit.iteration, 1))
        return tuple(found)
