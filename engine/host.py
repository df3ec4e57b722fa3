"""A live run as its nodes see it: the stored rows of a visit, rows that leave it open, and questions to a person."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from engine.allowance import Allowance
from engine.errors import NodeError
from engine.ledger import Ledger
from engine.nodes.step import Parked, Question, Step, Usage
from engine.ports import Clock, NodeRow, NodeStatus, RunRecord, RunStatus, Wait
from engine.workflow import MISSING

_MANY = 1_000_000
_NOTHING = Usage()

TIMEOUT = "timeout"
"""Who answers when nobody does in time."""


class RunHost:
    """The `Host` of every step of one run. The answers are read from the store once per wake.

    Once `leaving` is set nothing begins any more that must not happen twice: Parked is raised instead.
    """

    def __init__(self, ledger: Ledger, clock: Clock, allowance: Allowance) -> None:
        self._ledger = ledger
        self._allowance = allowance
        self._clock = clock
        self._waits: dict[tuple[str, int, int], Wait] | None = None
        self._dues: list[float] = []
        self.leaving = False

    @property
    def next_due(self) -> float:
        """When the first of the questions that were put or looked at here is due; infinite for none."""
        return min(self._dues, default=math.inf)

    @property
    def record(self) -> RunRecord:
        return self._ledger.record

    @property
    def seconds_left(self) -> float | None:
        return self._allowance.left()

    def rows_of(self, path: str, iteration: int) -> Sequence[NodeRow]:
        return self._ledger.rows_of(path, iteration)

    def forget(self) -> None:
        """The run was woken: there may be answers."""
        self._waits = None
        self._dues.clear()

    async def note(
        self,
        step: Step,
        path: str,
        status: NodeStatus,
        *,
        writes: Mapping[str, Any] | None = None,
        error: str | None = None,
        started_at: float | None = None,
        usage: Usage | None = None,
        attempt: int | None = None,
    ) -> None:
        if status == "running" and self.leaving:
            raise Parked("running")  # it is begun by whoever goes on with the run
        now = self._clock.now()
        row = self._ledger.open_row(
            step,
            path,
            status,
            (now if started_at is None else started_at, now),
            writes or {},
            usage or _NOTHING,
            attempt=step.attempt if attempt is None else attempt,
            error=error,
        )
        if status == "running":
            await self._ledger.append_safely(row)
        else:
            await self._ledger.append(row)

    def note_soon(
        self,
        step: Step,
        status: NodeStatus,
        *,
        writes: Mapping[str, Any],
        error: str | None,
        started_at: float,
        fault: Mapping[str, Any] | None = None,
    ) -> None:
        times = (started_at, self._clock.now())
        row = self._ledger.open_row(
            step, step.path, status, times, writes, step.usage, attempt=step.attempt, error=error, fault=fault
        )
        self._ledger.append_soon(row)

    async def wait(self, step: Step, path: str, question: Question, *, attempt: int | None = None) -> Any:
        wait = self._wait(step, path, question, step.attempt if attempt is None else attempt)
        status: RunStatus = "unknown" if wait.kind == "effect" else "waiting"
        if await self.put(step, wait):
            raise Parked(status)
        found = (await self._answers()).get((path, step.iteration, wait.attempt))
        if found is None or found.answered_at is None:
            raise Parked(status)
        if found.answered_by == TIMEOUT and not found.has_default:
            seconds = (found.due_at or found.answered_at) - found.created_at
            raise NodeError(
                step.node.id,
                f"Nobody answered within {_span(seconds)}.",
                "Raise `timeout`, or give a `default` that is taken then.",
                fault={"code": "unanswered"},
            )
        return found.answer

    async def put(self, step: Step, wait: Wait) -> bool:
        """Store a question and the row that says so, in one transaction; False when they are there already."""
        status: NodeStatus = "unknown" if wait.kind == "effect" else "waiting"
        for row in self.rows_of(wait.path, wait.iteration):
            if row.status == status and row.attempt == wait.attempt:
                self._mind(row.writes.get("due_at"))
                return False
        times = (wait.created_at, wait.created_at)
        usage, step.usage = step.usage, Usage()
        row = self._ledger.open_row(
            step, wait.path, status, times, asked_of(wait), usage, attempt=wait.attempt
        )
        await self._ledger.append_safely(row, [wait])
        self._mind(wait.due_at)
        return True

    def _mind(self, due_at: float | None) -> None:
        if due_at is not None:
            self._dues.append(due_at)

    async def _answers(self) -> dict[tuple[str, int, int], Wait]:
        if self._waits is None:
            found = await self._ledger.store.waits(run_id=self.record.id, answered=True, limit=_MANY)
            self._waits = {(wait.path, wait.iteration, wait.attempt): wait for wait in found}
        return self._waits

    def _wait(self, step: Step, path: str, question: Question, attempt: int) -> Wait:
        now, record = self._clock.now(), self.record
        has_default = question.default is not MISSING
        return Wait(
            run_id=record.id,
            root_id=record.root_id or record.id,
            path=path,
            node=step.node.id,
            iteration=step.iteration,
            attempt=attempt,
            question=question.text,
            created_at=now,
            kind=question.kind,
            options=question.options,
            default=question.default if has_default else None,
            has_default=has_default,
            due_at=None if question.timeout is None else now + question.timeout,
            owner=record.owner,
            conversation_id=record.conversation_id,
        )


def asked_of(wait: Wait) -> dict[str, Any]:
    """What a row keeps of its question, for who follows the run."""
    return {
        "question": wait.question,
        "options": list(wait.options),
        "kind": wait.kind,
        "default": wait.default,
        "due_at": wait.due_at,
    }


def _span(seconds: float) -> str:
    """Seconds as a person says them: 90 seconds, 3 hours, 2 days."""
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * size or seconds == size:
            count = math.floor(seconds / size * 10) / 10
            return f"{count:g} {name}{'' if count == 1 else 's'}"
    return f"{seconds:g} seconds"
