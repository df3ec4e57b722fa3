"""A run once more: from one of its nodes on with the rows before it kept, or with another model on what was recorded.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from engine.control import Fired, fired_by
from engine.errors import Conflict, InputError, RunError
from engine.inputs import first_state
from engine.plan import Plan
from engine.ports import NodeRow, RunRecord, Started
from engine.scheduler import Scheduler, Visit


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


def check_node(plan: Plan, rows: Sequence[NodeRow], node: str) -> None:
    """InputError for a node that the document does not have, or that the run never came to."""
    names = list(plan.workflow.nodes)
    if node not in names:
        near = difflib.get_close_matches(node, names, n=1)
        meant = f"Did you mean '{near[0]}'? " if near else ""
        raise InputError(f"There is no node '{node}'.", f"{meant}The nodes are: {', '.join(names)}.")
    began = {row.node for row in rows} | {start[0] for row in rows for start in row.starts}
    if rows and node not in began:
        raise InputError(
            f"The run never came to '{node}'.", f"It came to: {', '.join(n for n in names if n in began)}."
        )


def kept_rows(run: RunRecord, plan: Plan, rows: Iterable[NodeRow], node: str, run_id: str) -> list[NodeRow]:
    """The rows of `run` that do not come after `node`, as rows of the run `run_id`.

    `plan` may be of a changed document: then what a node sets off is decided anew, and a row that fits nothing
    any more is left out with all that follows it. What they cost was paid by the run they are of.
    """
    return _Keeping(run, plan, node, run_id).rows(rows)


class _Keeping:
    def __init__(self, run: RunRecord, plan: Plan, node: str, run_id: str) -> None:
        self._graph = plan.graph
        self._same = plan.digest == run.digest
        self._node = node
        self._run_id = run_id
        self._scheduler = Scheduler(plan.graph, first_state(plan.workflow, run.inputs))
        self._open: dict[tuple[str, int], Visit] = {}
        self._event = 1
        self._kept: list[NodeRow] = []

    def rows(self, rows: Iterable[NodeRow]) -> list[NodeRow]:
        state = self._scheduler.history.state(0)
        began = self._scheduler.begin(self._graph.arrows_of(fired_by(self._graph.entries, state)))
        self._event += len(self._opened(began))
        for row in rows:
            visit = self._open.get((row.node, row.iteration))
            if row.counts and visit is not None and row.node != self._node:
                self._keep(visit, row)
        return self._kept

    def _keep(self, visit: Visit, row: NodeRow) -> None:
        fired = self._fired(visit, row)
        if fired is None:
            return
        del self._open[row.node, row.iteration]
        starts = self._opened(self._scheduler.end(visit, row.writes, self._graph.arrows_of(fired)))
        self._kept.append(
            replace(
                row,
                run_id=self._run_id,
                seq=len(self._kept) + 1,
                event=self._event + 1,
                fired=fired,
                starts=starts,
                model=None,
                prompt_tokens=None,
                completion_tokens=None,
                cost_usd=None,
            )
        )
        self._event += 1 + len(starts)

    def _fired(self, visit: Visit, row: NodeRow) -> Fired | None:
        """What the node set off; None where that can't be said, and so the node has to run again."""
        if self._same:
            return row.fired or None if self._graph.leaving[visit.node] else row.fired
        if row.status != "ok":
            return None
        after = self._scheduler.after(visit, row.writes)
        try:
            return fired_by(self._graph.leaving[visit.node], after, visit.rounds + 1)
        except RunError:
            return None

    def _opened(self, visits: Sequence[Visit]) -> tuple[Started, ...]:
        found = []
        for visit in visits:
            node = self._graph.nodes[visit.node]
            self._open[node.id, visit.iteration] = visit
            found.append((node.id, str(node.kind), visit.iteration, 1))
        return tuple(found)
