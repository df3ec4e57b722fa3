"""The rows of a run while it runs: numbers them and their events, writes them, tells who follows.

What a row says to start is a part of the row: a reader of the store knows of every event that anybody has
seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.attempts import Outcome
from engine.control import Fired
from engine.errors import NodeError, ParlanceError, StoreError
from engine.nodes import Step
from engine.nodes.step import Usage
from engine.ports import NodeRow, NodeStatus, Park, RunEnd, RunRecord, RunStatus, RunStore, Started, Wait
from engine.rehearsal import NOTE
from engine.scheduler import Visit
from engine.view import totals, view_of
from engine.workflow import Node


@dataclass(slots=True, eq=False)
class Open:
    """A visit that has been started, as a row says, and has not ended. `since` is when it was to start.

    `parked` says what for it waits without a task, None while it runs; `wakes` how often its run had been woken
    when it began to run. `granted` are the attempts that a person asked for, which `retry` does not count.
    """

    visit: Visit
    node: Node
    attempt: int
    since: float
    step: Step | None = None
    parked: RunStatus | None = None
    wakes: int = 0
    granted: int = 0

    def began(self, started: float) -> float:
        """When the attempt began that was run at `started`: one that has waited is run again at its end."""
        node = self.node
        waits = node.kind in ("ask", "subflow") or node.each is not None or node.effect == "once"
        return min(self.since, started) if waits else started

    def went_to(self, attempt: int) -> None:
        """The node itself began a further attempt, because a person asked for it."""
        self.granted += attempt - self.attempt
        self.attempt = attempt

    @property
    def started(self) -> Started:
        return (self.node.id, self.node.kind, self.visit.iteration, self.attempt)


class Ledger:
    """All rows of one run. `record` is the run as it is stored, `cost` what is known of its cost in dollars."""

    def __init__(self, record: RunRecord, store: RunStore, rows: Sequence[NodeRow] = ()) -> None:
        self.record = record
        self.rows = list(rows)
        self.cost = sum(row.cost_usd or 0 for row in rows)
        self.store = store
        self._event = 1 + len(record.starts)
        if self.rows:
            self._event = self.rows[-1].event + len(self.rows[-1].starts)
        self._news: asyncio.Event | None = None
        self._found: dict[tuple[str, int], list[NodeRow]] = {}
        self._looked = 0
        self._landing: asyncio.Future[bool] | None = None
        self.on_loss: Callable[[ParlanceError], None] = lambda error: None

    def create(self, process_id: str | None, starts: tuple[Started, ...]) -> None:
        """Make the record of a new run complete: who owns it, and what it starts with."""
        self.record = replace(self.record, process=process_id, starts=starts)
        self._event = 1 + len(starts)

    def rows_of(self, path: str, iteration: int) -> Sequence[NodeRow]:
        """The rows at a path for one visit, oldest first."""
        for row in self.rows[self._looked :]:
            self._found.setdefault((row.path, row.iteration), []).append(row)
        self._looked = len(self.rows)
        return self._found.get((path, iteration), ())

    def in_doubt(self, step: Step) -> bool:
        """Whether something that must not happen twice was begun in this visit and not seen to end."""
        from engine.nodes.effects import begun_row

        paths = {r.path for r in self.rows if r.node == step.node.id and r.status == "running"}
        return any(begun_row(self.rows_of(path, step.iteration)) is not None for path in paths)

    def row(
        self,
        step: Step,
        outcome: Outcome,
        status: NodeStatus,
        fired: Fired = (),
        following: Sequence[Open] = (),
    ) -> NodeRow:
        """The row of an ended attempt; what follows must be written by `append` in the order of these calls."""
        usage = step.usage
        row = NodeRow(
            run_id=self.record.id,
            path=step.path,
            node=step.node.id,
            kind=step.node.kind,
            iteration=step.iteration,
            attempt=step.attempt,
            status=status,
            started_at=outcome.started_at,
            ended_at=outcome.ended_at,
            writes=outcome.writes,
            fired=fired,
            model=usage.model,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cost_usd=usage.cost_usd,
            error=str(outcome.error) if outcome.error else None,
            fault=outcome.error.fault if outcome.error else None,
            seq=self.rows[-1].seq + 1 if self.rows else 1,
            event=self._event + 1,
            starts=tuple([each.started for each in following]),
        )
        self._event += 1 + len(following)
        self.cost += usage.cost_usd or 0
        self.rows.append(row)
        return row

    def cut_row(self, step: Step, outcome: Outcome) -> NodeRow:
        """The row of a visit that was interrupted; where it may have done what must not happen twice, it says so."""
        if step.node.effect != "once" or not self.in_doubt(step):
            return self.row(step, outcome, "cancelled")
        what = "It may have happened: it was stopped while it ran."
        error = NodeError(step.node.id, what, "Look whether it did.")
        return self.row(step, replace(outcome, error=error), "unknown")

    def open_row(
        self,
        step: Step,
        path: str,
        status: NodeStatus,
        times: tuple[float, float],
        writes: Mapping[str, Any],
        usage: Usage,
        *,
        attempt: int,
        error: str | None = None,
        fault: Mapping[str, Any] | None = None,
    ) -> NodeRow:
        """A row that leaves its visit open, see NodeRow. What is about to begin is no event, and no more is a note."""
        self._event += status != "running" and not path.endswith(NOTE)
        row = NodeRow(
            run_id=self.record.id,
            path=path,
            node=step.node.id,
            kind=step.node.kind,
            iteration=step.iteration,
            attempt=attempt,
            status=status,
            started_at=times[0],
            ended_at=times[1],
            writes=writes,
            model=usage.model,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cost_usd=usage.cost_usd,
            error=error,
            fault=fault,
            seq=self.rows[-1].seq + 1 if self.rows else 1,
            event=self._event,
        )
        self.cost += usage.cost_usd or 0
        self.rows.append(row)
        return row

    async def append(self, *rows: NodeRow) -> None:
        """Write; returns when the rows are on disk. FenceLost when the run is no longer ours."""
        await self._write(rows)

    def append_soon(self, row: NodeRow) -> None:
        """Write a row that nothing follows, and wait for nothing: `on_loss` hears of an error.

        Whatever is written later comes after it.
        """
        landing = self.store.append(self.record.id, self.record.epoch, [row], shared=True)
        if landing is not self._landing:
            self._landing = landing
            landing.add_done_callback(self._landed)

    def _landed(self, landing: asyncio.Future[bool]) -> None:
        error = None if landing.cancelled() else landing.exception()
        if error is None:
            self._tell()
        else:
            self.on_loss(error if isinstance(error, ParlanceError) else self._unwritten(error))

    def _unwritten(self, error: BaseException) -> StoreError:
        return StoreError(f"Run {self.record.id} can't be written: {error!r}.", "Please report this.")

    def _tell(self) -> None:
        """Wake who waits for news."""
        if self._news is not None:
            self._news.set()
            self._news = None

    async def append_safely(self, row: NodeRow, waits: Sequence[Wait] = ()) -> None:
        """Write so that no loss of power undoes it."""
        await self._write([row], waits=waits, flush=True)

    async def park(self, status: RunStatus, woken: int) -> bool:
        """Let go of the run, which waits; False when it has been woken more often than `woken` times."""
        return await self._write((), park=Park(status, woken))

    async def end(
        self,
        rows: Sequence[NodeRow],
        status: RunStatus,
        error: str | None,
        now: float,
        serials: Sequence[int],
        fault: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Write the last rows and the end in one transaction; the run's view.

        `serials` says in which order the rows that count do so, numbered from 1 among themselves.
        """
        good = [row.seq for row in self.rows if row.counts]
        order = tuple(good[serial - 1] for serial in serials)
        self._event += 1
        end = RunEnd(
            status=status,
            ended_at=now,
            event=self._event,
            error=error,
            fault=fault,
            order=None if list(order) == good else order,
            **totals(self.rows),
        )
        await self._write(rows, end)
        self.record = replace(
            self.record,
            status=status,
            ended_at=now,
            error=error,
            fault=fault,
            end_event=end.event,
            order=end.order,
        )
        return await view_of(self.record, self.rows)

    async def _write(
        self,
        rows: Sequence[NodeRow],
        end: RunEnd | None = None,
        *,
        waits: Sequence[Wait] = (),
        park: Park | None = None,
        flush: bool = False,
    ) -> bool:
        run_id, epoch = self.record.id, self.record.epoch
        try:
            if flush or park is not None:
                done = await self.store.append(run_id, epoch, rows, end, waits=waits, park=park, flush=flush)
            else:
                done = await self.store.append(run_id, epoch, rows, end)
        except ParlanceError:
            raise
        except Exception as error:
            raise self._unwritten(error) from error
        self._tell()
        return done

    def news(self) -> asyncio.Event:
        """Set when the next row, or the end, is on disk."""
        if self._news is None:
            self._news = asyncio.Event()
        return self._news
