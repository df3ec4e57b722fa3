"""`for_each`: a node once per element of a list, some of them at a time, its outputs gathered in the list's order.

An element is an attempt like any other, at the path `node[3]`, with the node's own time and retries. Its row is
on disk before the visit's, so a crash or a wake repeats only what had not ended. An element that waits for a
person holds nobody up: it gives its place to the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from engine.attempts import Outcome, attempt, pause_before
from engine.children import child_id
from engine.errors import NodeError, RunStopped
from engine.graph import error_field
from engine.nodes.step import Parked, Step
from engine.ports import RunStatus
from engine.types import show
from engine.workflow import Field, Node, Workflow

PARALLEL = 8
"""How many elements run at the same time where the document does not say."""

_END = frozenset({"ok", "failed"})


async def run(step: Step) -> Mapping[str, Any]:
    """Every element that has not ended; lists of the outputs. NodeError names the element that failed.

    Raises Parked when nothing but elements that wait are left.
    """
    part = _part(step)
    if part is not None:
        step.state = {**step.state, **part["state"]}
        elements = Elements(step, part["items"], part["first"], in_order=part["in_order"])
        return await elements.run(part["parallel"] or PARALLEL)
    items = _items(step)
    children = step.services.children
    if children is not None and not step.rehearses and children.spreads(len(items)):
        from engine.nodes.parts import run_parts

        return await run_parts(step, items, children)
    each = step.node.each
    return await Elements(step, items).run((each and each.max_parallel) or PARALLEL)


def _part(step: Step) -> Mapping[str, Any] | None:
    """What this run has to do of its parent's node, where it is a part of one."""
    with suppress(LookupError):
        return step.host.record.part
    return None


def _items(step: Step) -> Sequence[Any]:
    each = step.node.each
    assert each is not None  # noqa: S101 - who calls looks for it
    items = each.items.render(step.lookup)
    if isinstance(items, list | tuple):
        return items
    what = f"{name_of(step.node)} is {'empty (null)' if items is None else show(items)}, not a list."
    raise NodeError(
        step.node.id,
        what,
        "`for_each` needs a list; a default of [] is one without elements.",
        fault={"code": "no_list", "empty": items is None},
    )


def name_of(node: Node) -> str:
    """The list as the document names it."""
    ref = node.each.items.only_ref if node.each else None
    return ref.text if ref else "The value of for_each"


def gathered(node: Node, found: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """The writes of the visit: a list per output, null where an element failed or nobody knows what it gave."""
    return {name: [None if one is None else one.get(name) for one in found] for name in node.outputs}


def for_element(workflow: Workflow, node: Node) -> tuple[Workflow, Node]:
    """The workflow and the node as one element sees them: its outputs are single values of the lists' type."""
    fields = {**workflow.fields, **{name: _single(workflow.fields[name]) for name in node.outputs}}
    return replace(workflow, fields=fields), replace(node, each=None)


def _single(field: Field) -> Field:
    kind = field.type.item if field.type.name == "list" else field.type
    return replace(field, type=kind, reduce=None, enum=None)


def strongest(found: Iterable[Parked]) -> Parked:
    """What a visit waits for that waits for several things."""
    statuses = {parked.status for parked in found}
    return Parked(next((status for status in _FIRST if status in statuses), "running"))


_FIRST: tuple[RunStatus, ...] = ("unknown", "waiting")


class Elements:
    """The elements of one visit, or of a part of it; the number of the first is `first`.

    `in_order`: the failure that counts is that of the first element, not the first in time, so that time has no
    say in what the state becomes. It is so wherever the document goes on after a failure.
    """

    def __init__(
        self, step: Step, items: Sequence[Any], first: int = 0, *, in_order: bool | None = None
    ) -> None:
        self.step = step
        self._items = items
        self._in_order = step.node.on_error != "fail" if in_order is None else in_order
        self._numbers = range(first, first + len(items))
        self._workflow, self._node = for_element(step.workflow, step.node)
        self._name = step.node.each.name if step.node.each else "item"
        self._done: dict[int, Mapping[str, Any] | None] = {}
        self._failures: dict[int, NodeError] = {}
        self._parked: dict[int, Parked] = {}
        self._waiting: Mapping[str, RunStatus] = {}
        self._end = self._numbers.stop

    async def run(self, parallel: int) -> Mapping[str, Any]:
        """The writes, after at most `parallel` elements at a time. NodeError, Parked."""
        todo = iter([(number, tries) for number in self._numbers if (tries := self._tries(number))])
        await self._find_waiting()
        if not self._is_over():
            workers = [asyncio.create_task(self._work(todo)) for _ in range(min(parallel, len(self._items)))]
            try:
                await self._finish(workers)
            finally:
                await self._stop(workers)
        return self._result()

    async def _find_waiting(self) -> None:
        """Which sub-workflows of earlier rounds still wait: with many of them, to ask for each would take long."""
        children = self.step.services.children
        if self._node.kind == "subflow" and children is not None:
            self._waiting = await children.waiting(self.step.host.record.id)

    async def _finish(self, workers: Sequence[asyncio.Task[None]]) -> None:
        """Wait for the workers; one that breaks off ends the waiting."""
        left = set(workers)
        while left:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()

    async def _stop(self, workers: Sequence[asyncio.Task[None]]) -> None:
        """Interrupt what runs, save for what must not happen twice."""
        self._end = self._numbers.start
        task = asyncio.current_task()
        if self._node.effect != "once" or (task is not None and task.cancelling()):
            for worker in workers:
                worker.cancel()
        if workers:
            await asyncio.wait(workers)

    def _is_over(self) -> bool:
        """An element has failed, and that fails the node."""
        goes_on = self._in_order or self.step.node.on_error == "continue"
        return bool(self._failures) and not goes_on

    def _result(self) -> Mapping[str, Any]:
        node = self.step.node
        if self._failures and node.on_error != "continue":
            number = min(self._failures)
            before = [parked for n, parked in self._parked.items() if n < number]
            if before and not self._is_over():
                raise strongest(before)
            raise self._failures[number]
        if self._parked:
            raise strongest(self._parked.values())
        writes = gathered(node, [self._done[n] for n in self._numbers])
        if self._failures:
            writes[error_field(node.id)] = told(self._failures)
        return writes

    # --- elements ---

    def _tries(self, number: int) -> int:
        """The number of the attempt that is to come; 0 for an element that has ended, as its rows say."""
        rows = self.step.host.rows_of(self._path(number), self.step.iteration)
        ended = [row for row in rows if row.status in _END] if rows else []
        if not ended:
            return 1
        name, last = error_field(self._node.id), ended[-1]
        if last.status == "ok":
            self._done[number] = last.writes
        elif name in last.writes:  # the mark of a failure that is final
            self._lose(number, NodeError(self._node.id, str(last.writes[name]), fault=last.fault))
        else:
            return last.attempt + 1
        return 0

    def _path(self, number: int) -> str:
        return f"{self.step.path}[{number}]"

    async def _work(self, todo: Iterator[tuple[int, int]]) -> None:
        for number, tries in todo:
            if number >= self._end:
                break
            try:
                await self._element(number, tries)
            except Parked as parked:
                self._parked[number] = parked
            await asyncio.sleep(0)  # an element need not wait for anything, and others want their turn

    async def _element(self, number: int, tries: int) -> None:
        most = self._node.retry.max_attempts
        while True:
            step = self._step(number, tries)
            if self._waiting:
                self._leave_waiting(step)
            try:
                outcome = await attempt(step)
            except (asyncio.CancelledError, Parked):
                self.step.usage.merge(step.usage)
                self.step.in_flight = self.step.in_flight or step.in_flight
                raise
            error = outcome.error
            most += step.attempt - tries  # what a person asked for is not counted
            if error is None:
                self._done[number] = outcome.writes
                self._note(step, outcome, outcome.writes)
                return
            if isinstance(error, RunStopped):
                raise error
            if not error.can_retry or step.attempt >= most:
                final = self._error(number, error)
                self._note(step, outcome, {error_field(self._node.id): str(final)})
                self._lose(number, final)
                if self._is_over():
                    raise final
                return
            self._note(step, outcome, {})
            await step.services.clock.sleep(pause_before(step))
            tries = step.attempt + 1

    def _leave_waiting(self, step: Step) -> None:
        status = self._waiting.get(child_id(step.host.record, step.path, step.iteration, step.attempt))
        if status is not None:
            raise Parked(status)

    def _step(self, number: int, tries: int) -> Step:
        whole = self.step
        return Step(
            node=self._node,
            workflow=self._workflow,
            state={**whole.state, self._name: self._items[number - self._numbers.start]},
            services=whole.services,
            run_id=whole.run_id,
            path=self._path(number),
            iteration=whole.iteration,
            attempt=tries,
            force_model=whole.force_model,
            host=whole.host,
            rehearses=whole.rehearses,
        )

    def _error(self, number: int, error: NodeError) -> NodeError:
        where = f"{name_of(self.step.node)}[{number}]"
        return NodeError(
            error.node, f"Element {number} ({where}) failed: {error.message}", error.fix, fault=error.fault
        )

    def _lose(self, number: int, error: NodeError) -> None:
        """An element has failed for good. Those after it are not begun, unless the document goes on with them; those
        before it end first where their failure would count instead.
        """
        self._failures[number] = error
        self._done[number] = None
        if self.step.node.on_error != "continue":
            self._end = min(self._end, number)

    def _note(self, step: Step, outcome: Outcome, writes: Mapping[str, Any]) -> None:
        """Put the row on its way: nothing but the visit's own follows it, and that is written after it."""
        step.host.note_soon(
            step,
            "failed" if outcome.error else "ok",
            writes=writes,
            error=str(outcome.error) if outcome.error else None,
            started_at=outcome.started_at,
            fault=outcome.error.fault if outcome.error else None,
        )


def told(failures: Mapping[int, NodeError]) -> str:
    """What `state._error_<id>` says when some elements failed and the node went on."""
    first = failures[min(failures)]
    more = len(failures) - 1
    return f"{first} ({more} more failed.)" if more else str(first)
