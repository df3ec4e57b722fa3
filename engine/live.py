"""A run while this process executes it: one task per branch, from the first visits to the run's end.

What follows a row starts only once the row is on disk. A task goes on with the first of its successors and
leaves the others to new tasks. A visit that can't go on by itself stays open without a task; when no visit has
one, the run is parked: nobody's, until it is woken and claimed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from engine.allowance import Allowance
from engine.attempts import Outcome, attempt, dealt_with, pause_before
from engine.children import is_part_of, usage_of
from engine.control import Fired, fired_by
from engine.errors import NodeError, ParlanceError, RunError, RunStopped
from engine.gates import broken, hopeless
from engine.host import RunHost
from engine.inputs import first_state
from engine.ledger import Ledger, Open
from engine.nodes import Services, Step
from engine.nodes.step import Parked
from engine.parking import Parking
from engine.plan import Plan
from engine.ports import STOPS, NodeRow, NodeStatus, RunRecord, RunStatus, RunStore
from engine.rehearsal import simulates
from engine.scheduler import Scheduler, Visit, endless

log = logging.getLogger(__name__)

GRACE = 0.8
"""Seconds that interrupted nodes get to stop before the run's end is written without them."""
PATIENCE = 1.5
"""Seconds that what must not happen twice gets to end when its process does."""
_LOOK = 0.02

Stop = Literal["failed", "cancelled", "lost", "left", "ended"]
"""Why a run starts nothing more: an error, a request, the store or another owner, our own shutdown, its end."""


class LiveRun:
    """One run in this process.

    `settled` gives its view once it has ended, None once it is parked, or the error for which this process let go
    of it.
    """

    def __init__(
        self, record: RunRecord, plan: Plan, services: Services, store: RunStore, rows: Sequence[NodeRow] = ()
    ) -> None:
        self.plan = plan
        self.scheduler = Scheduler(plan.graph, first_state(plan.workflow, record.inputs))
        self.ledger = Ledger(record, store, rows)
        self.ledger.on_loss = partial(self._halt, "lost")
        self._has_gates = bool(plan.workflow.gates.gates) and record.part is None
        self._allowance = Allowance(record, plan.workflow.execution.timeout)
        self.host = RunHost(self.ledger, services.clock, self._allowance)
        self.settled: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()
        self._services = services
        self._prefix = record.prefix
        self._rehearses = simulates(record)
        self._open: dict[Visit, Open] = {}
        self._tasks: dict[asyncio.Task[None], Open] = {}
        self._stop: Stop | None = None
        self._patience = PATIENCE
        self._finisher: asyncio.Task[None] | None = None
        self._loaded = False
        self._parking = Parking(self.ledger, self.host, self._open)
        self._waker: asyncio.Task[None] | None = None
        self._put_off: tuple[Stop, ParlanceError | None] | None = None
        self._ended_as: RunStatus | None = None

    # --- from outside ---

    @property
    def parked(self) -> bool:
        """Whether this process has let go of it because it waits."""
        done = self.settled.done() and self.settled.exception() is None
        return done and self.settled.result() is None

    @property
    def _comes_to_an_end(self) -> bool:
        """Whether it is stopped for good: what another process goes on with is not."""
        return self._stop not in (None, "left")

    def opened(self, visit: Visit, since: float, attempt: int = 1) -> Open:
        return Open(visit, self.plan.graph.nodes[visit.node], attempt, since)

    def launch(self, opens: Sequence[Open]) -> None:
        """Start these visits; the store knows of them already."""
        self._open.update({each.visit: each for each in opens})
        if not self.plan.asks_models or self.ledger.record.dry:
            self._start_clock()
        for each in opens:
            self._spawn(each)
        if not opens:
            self.conclude()

    def conclude(self, error: ParlanceError | None = None, opens: Sequence[Open] = ()) -> None:
        """End a run in which nothing runs: well, or with this error. What was open counts as interrupted."""
        self._open.update({each.visit: each for each in opens})
        self._halt("failed" if error else "ended", error)

    def cancel(self, opens: Sequence[Open] = ()) -> None:
        """Interrupt what runs, and what was open; the run ends as cancelled."""
        self._open.update({each.visit: each for each in opens})
        self._halt("cancelled", None)

    def wake(self, woken: int | None = None) -> None:
        """Something that the run waits for may have come. `woken` is the store's count of that, where it is known."""
        if self._stop is None and self._parking.wake(woken) and self._waker is None:
            self._waker = asyncio.create_task(self._wake())

    async def leave(self, patience: float = PATIENCE) -> None:
        """Interrupt what runs: whoever claims the run goes on with it. What must not happen twice and is under way
        may end within `patience` seconds, and says so; nothing new begins.
        """
        self.host.leaving = True
        self._patience = patience
        self._halt("left", None)
        await asyncio.wait([self.settled])

    async def _load(self) -> None:
        """Load what asks models before any clock runs: the first import of an SDK takes half a second or more."""
        from engine.nodes.llm import asked_by

        await self._services.models.load(asked_by(self.plan.workflow, self.ledger.record.force_model))
        if self._stop is None and not self._loaded:
            self._start_clock()

    def _start_clock(self) -> None:
        self._loaded = True
        self._allowance.begin(partial(self._halt, "failed"))

    # --- tasks ---

    def _spawn(self, each: Open) -> None:
        self._tasks[asyncio.create_task(self._branch(each))] = each

    async def _branch(self, each: Open) -> None:
        """A task's whole life. Whatever goes wrong in it, the run gets an end or is let go of."""
        task = asyncio.current_task()
        try:
            await self._follow(each, task)
        except ParlanceError as error:  # the store's: a node's own are in its outcome
            self._halt("lost", error)
        except Exception as error:
            log.exception("run %s: the engine failed", self.ledger.record.id)
            self._halt("failed", RunError(f"The engine failed: {error!r}.", "Please report this."))
        finally:
            if task is not None:
                self._tasks.pop(task, None)
        if not self._tasks and self._stop is None and self._open:
            await self._park_run()

    async def _follow(self, each: Open, task: asyncio.Task[None] | None) -> None:
        """Run a visit, then the first of what follows it, and so on."""
        if not self._loaded:
            await self._load()
        following: list[Open] = [each]
        while following and self._stop is None:
            first, *others = following
            for other in others:
                self._spawn(other)
            if task is not None:
                self._tasks[task] = first
            following = await self._visit(first)

    # --- visits ---

    async def _visit(self, each: Open) -> list[Open]:
        """One visit with all its attempts; gives what starts next, once that is on disk."""
        while True:
            step = each.step = self._step(each)
            each.wakes = self._parking.wakes
            try:
                outcome = await attempt(step)
            except Parked as parked:
                is_over = each.visit not in self._open or self._stop is not None
                if is_over or await self._parking.hold(each, step, parked):
                    return []
                continue
            if each.visit not in self._open:  # it would not be interrupted, and the run has ended without it
                return []
            outcome.started_at = each.began(outcome.started_at)
            each.went_to(step.attempt)
            if outcome.error is None:
                return await self._succeed(each, step, outcome, "ok")
            if each.node.each is not None and not self._may_try_again(each, outcome.error):
                await self._stop_children(failed=True, path=step.path)
            if self._is_dealt_with(each, outcome.error):
                return await self._succeed(each, step, dealt_with(step, outcome), "failed")
            if not self._may_try_again(each, outcome.error):
                del self._open[each.visit]
                stops = STOPS if isinstance(outcome.error, RunStopped) else ()
                await self._fail(self.ledger.row(step, outcome, "failed", stops), outcome.error)
                return []
            await self._try_again(each, step, outcome)
            if self._stop == "left":
                return []

    def _step(self, each: Open) -> Step:
        record, visit = self.ledger.record, each.visit
        return Step(
            node=each.node,
            workflow=self.plan.workflow,
            state=visit.state,
            services=self._services,
            run_id=record.id,
            path=self._prefix + each.node.id,
            iteration=visit.iteration,
            attempt=each.attempt,
            force_model=record.force_model,
            host=self.host,
            rehearses=self._rehearses,
        )

    async def _succeed(self, each: Open, step: Step, outcome: Outcome, status: NodeStatus) -> list[Open]:
        """A visit has ended, well or in a way that the document deals with: what follows."""
        visit = each.visit
        fired, error = self._fired(visit, outcome)
        started = self.scheduler.end(visit, outcome.writes, self.plan.graph.arrows_of(fired))
        error = error or endless(self.plan.graph, started) or self._past_gates(step)
        stopped = self._comes_to_an_end or error is not None
        following = [] if stopped else [self.opened(found, outcome.ended_at) for found in started]
        del self._open[visit]
        self._open.update({found.visit: found for found in following})
        row = self.ledger.row(step, outcome, status, fired, following)
        if error is not None:
            await self._fail(row, error)
        elif stopped or following or (self._stop is not None and not self.scheduler.idle):
            await self.ledger.append(row)
        elif not self.scheduler.idle:  # others go on, and what they write comes after it
            self.ledger.append_soon(row)
        else:
            await self._end([row], "ok", None)
        return following

    def _fired(self, visit: Visit, outcome: Outcome) -> tuple[Fired, RunError | None]:
        """The edges that fire; none in a run that is being stopped, or when its routes can't be decided."""
        if self._comes_to_an_end:
            return (), None
        graph = self.plan.graph
        if outcome.error is not None and graph.failing[visit.node]:
            return graph.failing[visit.node], None
        plain = graph.plain[visit.node]
        if plain is not None:
            return plain, None
        after = self.scheduler.after(visit, outcome.writes)
        try:
            return fired_by(graph.leaving[visit.node], after, visit.rounds + 1), None
        except RunError as error:
            return (), error

    def _past_gates(self, step: Step) -> RunError | None:
        """A run that has gone through a gate for good does not go on; one that has just ended is judged as a whole."""
        if not self._has_gates or self.scheduler.idle:
            return None
        return hopeless(self.plan.shape, self.ledger.rows, step.usage)

    def _is_dealt_with(self, each: Open, error: NodeError) -> bool:
        """Whether the document says what follows this failure, and nothing else does."""
        if each.node.on_error == "fail" or isinstance(error, RunStopped) or self._comes_to_an_end:
            return False
        return not self._may_try_again(each, error)

    def _may_try_again(self, each: Open, error: NodeError) -> bool:
        return (
            not self._comes_to_an_end
            and error.can_retry
            and each.attempt - each.granted < each.node.retry.max_attempts
        )

    async def _try_again(self, each: Open, step: Step, outcome: Outcome) -> None:
        """Note the failed attempt and what follows it, then wait."""
        pause = pause_before(step)
        each.attempt += 1
        each.since = outcome.ended_at + pause
        await self.ledger.append(self.ledger.row(step, outcome, "failed", (), [each]))
        if self._stop != "left":
            await self._services.clock.sleep(pause)

    # --- waiting ---

    async def _park_run(self) -> None:
        """No visit has a task: give the run away, unless it has been woken meanwhile."""
        try:
            parked = await self._parking.give_away()
        except ParlanceError as error:
            self._halt("lost", error)
            return
        if parked:
            self._allowance.close()
            self.settled.set_result(None)
        elif self._put_off is not None:
            self._halt(*self._put_off)
        else:
            self.wake()

    async def _wake(self) -> None:
        """Run the parked visits again."""
        try:
            await self._parking.catch_up()
        except ParlanceError as error:
            self._halt("lost", error)
        finally:
            self._waker = None
        if self._stop is None and not self.settled.done() and not self._parking.busy:
            self._parking.again(self._spawn)

    # --- the end ---

    async def _fail(self, row: NodeRow, error: RunError) -> None:
        """A node has failed for good: the others are interrupted, and the run fails."""
        if self._open or self._stop is not None:
            self._halt("failed", error)
            await self.ledger.append(row)
        else:
            await self._end([row], "failed", error)

    def _halt(self, stop: Stop, error: ParlanceError | None) -> None:
        """Interrupt what runs, then end the run or let go of it. The first reason counts, but for a lost store."""
        if self._stop == "failed" and stop == "cancelled":
            self._interrupt_all()  # also what was spared when the run failed
        if self.settled.done() or (self._stop is not None and stop != "lost"):
            return
        if self._parking.busy:
            self._put_off = (stop, error)
            return
        self._stop = stop
        for task, each in self._tasks.items():
            if not self._is_spared(each, stop) and task is not asyncio.current_task():
                task.cancel()
        self._finisher = asyncio.create_task(self._finish(stop, error))

    def _is_spared(self, each: Open, stop: Stop) -> bool:
        """Whether a visit may go on to its end although the run is halted."""
        if each.node.effect != "once" or stop not in ("failed", "left"):
            return False
        return stop == "failed" or (each.step is not None and self.ledger.in_doubt(each.step))

    async def _let_end(self) -> None:
        """Wait, not for long, for what must not happen twice; whatever goes on after that is interrupted."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        while self._tasks and loop.time() < until:
            for task, each in self._tasks.items():
                if not self._is_spared(each, "left") and not task.cancelling() and each.visit in self._open:
                    task.cancel()
            await asyncio.wait(self._tasks, timeout=_LOOK)
        self._interrupt_all()

    def _interrupt_all(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _finish(self, stop: Stop, error: ParlanceError | None) -> None:
        spared = [task for task, each in self._tasks.items() if self._is_spared(each, stop)]
        if spared and stop == "left":
            await self._let_end()
        elif spared:
            await asyncio.wait(spared)
        if stop in ("failed", "cancelled"):
            await self._stop_children(failed=stop == "failed")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE)
        if stop in ("lost", "left"):
            self._let_go(error)
            return
        status: RunStatus = "ok" if stop == "ended" else "cancelled" if stop == "cancelled" else "failed"
        rows = self._cut()
        doubtful = next((row for row in rows if row.status == "unknown"), None)
        if error is None and doubtful is not None:
            error = RunError(f"Node '{doubtful.node}': {doubtful.error}")
        try:
            await self._end(rows, status, error)
        except ParlanceError as trouble:
            self._let_go(trouble)

    @property
    def _has_children(self) -> bool:
        """Whether it can have started runs of its own."""
        nodes = self.plan.workflow.nodes.values()
        return self._services.children is not None and any(n.each or n.kind == "subflow" for n in nodes)

    @property
    def may_leave_children(self) -> bool:
        """Whether it has come to an early end while it could have been starting runs of its own."""
        return self._ended_as in ("failed", "cancelled") and self._has_children

    async def _stop_children(self, *, failed: bool, path: str | None = None) -> None:
        """Nobody waits any more for the runs that this one has started, or that the visit at `path` has. What they used
        counts all the same.
        """
        children = self._services.children
        if children is None or not self._has_children:
            return
        try:
            for child in await children.stop_all(self.ledger.record.id, failed=failed, path=path):
                for each in self._open.values():
                    each.step = each.step or self._step(each)
                    if is_part_of(child, each.step.path):
                        each.step.usage.merge(usage_of(await children.view(child.id)))
                        break
        except ParlanceError as error:
            log.warning("run %s: its children can't be stopped: %s", self.ledger.record.id, error)

    def _cut(self) -> list[NodeRow]:
        """A row for every visit that was interrupted, in document order."""
        now = self._services.clock.now()
        opens = sorted(self._open.values(), key=lambda each: (each.visit.node, each.visit.iteration))
        self._open.clear()
        return [self._cut_row(each, now) for each in opens]

    def _cut_row(self, each: Open, now: float) -> NodeRow:
        step = each.step if each.step is not None and each.step.attempt >= each.attempt else self._step(each)
        return self.ledger.cut_row(step, Outcome(min(each.since, now), now))

    async def _end(self, rows: Sequence[NodeRow], status: RunStatus, error: ParlanceError | None) -> None:
        """Write the end. From here on nothing can stop the run in another way."""
        self._stop = self._stop or "ended"
        if status == "ok" and self._has_gates and (error := broken(self.plan.shape, self.ledger.rows)):
            status = "failed"
        text = _error_text(error) if error else None
        now = self._services.clock.now()
        fault = _fault(error) if error else None
        view = await self.ledger.end(rows, status, text, now, self.scheduler.history.order(), fault)
        self._allowance.close()
        if not self.settled.done():
            self.settled.set_result(view)

    def _let_go(self, error: ParlanceError | None) -> None:
        self._allowance.close()
        if not self.settled.done():
            self.settled.set_exception(error or RunError("The run was left to another process."))
            self.settled.exception()  # who does not wait for the run need not hear of it


def _error_text(error: ParlanceError) -> str:
    return f"Node '{error.node}' failed: {error}" if isinstance(error, NodeError) else str(error)


def _fault(error: ParlanceError) -> dict[str, Any]:
    """What a run keeps of its error for programs: the fault, and the node where it is one's."""
    return {**error.fault, **({"node": error.node} if isinstance(error, NodeError) else {})}
