"""Runs within runs: a sub-workflow, or a part of a big for_each, is a run of its own that its parent waits for.

Its id follows from who starts it, so a parent that is resumed finds its children where it left them. While a
child is executed in this process its parent just waits for it; otherwise the parent is parked, and the child's
end wakes it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from engine.allowance import within
from engine.budget import limit_of
from engine.errors import RunError
from engine.nodes.step import Parked, Step, Usage
from engine.plan import Plan
from engine.ports import RunRecord, RunStatus, RunStore
from engine.view import view_of
from engine.workflow import EFFECTS, Effect

if TYPE_CHECKING:
    from engine.dispatch import Dispatcher

_KEPT = 32
_SLACK = 1.0
"""Seconds that a child has more than the run above it: where that can, it says itself that its time is over."""

Planner = Callable[[str], Awaitable[Plan]]
"""Makes the plan of a document's text; WorkflowInvalid when it is refused."""


class Children:
    """Starts the children of this process's runs, waits for them and stops them."""

    def __init__(self, store: RunStore, planner: Planner) -> None:
        self._store = store
        self._planner = planner
        self._dispatcher: Dispatcher | None = None
        self._plans: OrderedDict[str, Plan] = OrderedDict()

    def bind(self, dispatcher: Dispatcher) -> None:
        """Say who executes them; once, before the first."""
        self._dispatcher = dispatcher

    @property
    def dispatcher(self) -> Dispatcher:
        assert self._dispatcher is not None, "bind() comes first"  # noqa: S101 - a fault of the composition
        return self._dispatcher

    def spreads(self, elements: int) -> bool:
        """Whether so many elements are to be several runs, for the sake of other workers."""
        return self.dispatcher.spreads and elements > self.dispatcher.many

    async def plan(self, digest: str) -> Plan:
        """The plan of a pinned document."""
        found = self._plans.get(digest)
        if found is None:
            found = self._plans[digest] = await self._planner(await self._store.document(digest))
            if len(self._plans) > _KEPT:
                self._plans.popitem(last=False)
        self._plans.move_to_end(digest)
        return found

    async def known(self, run_id: str) -> set[str]:
        """The ids of the children that a run has already."""
        return {child.id for child in await self._store.children(run_id)}

    async def waiting(self, run_id: str) -> dict[str, RunStatus]:
        """The children of a run that wait for a person, with how; what ends that wakes the run."""
        found = await self._store.children(run_id)
        return {child.id: child.status for child in found if child.parked and child.status != "running"}

    async def effect(self, pins: Mapping[str, str], name: str) -> Effect:
        """The strongest effect of what a pinned workflow does, with all that is below it."""
        found: list[Effect] = ["none"]
        for node in (await self.plan(pins[name])).workflow.nodes.values():
            found.append(node.effect)
            if node.subflow is not None and node.subflow in pins:
                found.append(await self.effect(pins, node.subflow))
        return max(found, key=EFFECTS.index)

    async def run(self, child: RunRecord, plan: Plan, *, is_new: bool = True) -> dict[str, Any]:
        """The view of a child once it has ended; it is started unless it is there. Raises Parked when it can't be
        waited for here: it waits itself, or is executed elsewhere.
        """
        if is_new and self.dispatcher.live(child.id) is None:
            await self.dispatcher.offer(child, plan)
        while True:
            live = self.dispatcher.live(child.id)
            if live is not None:
                await asyncio.wait([live.settled])
                await asyncio.sleep(0)  # who else waited for that has done what it had to
            record = await self._store.get(child.id)
            if record.end_event is not None:
                return await self.view(child.id)
            if record.parked:
                raise Parked(record.status)
            if live is None:
                await self.dispatcher.nudge(child.id)
                if self.dispatcher.live(child.id) is None:
                    await self._check_elsewhere(child.id)

    async def _check_elsewhere(self, run_id: str) -> None:
        """Raise Parked, unless the child has ended or been parked in just this moment."""
        record = await self._store.get(run_id)
        if record.end_event is None and not record.parked and self.dispatcher.live(run_id) is None:
            raise Parked("running")

    async def stop(self, run_id: str) -> dict[str, Any]:
        """Stop one child, which nobody waits for any more; its view."""
        await self.dispatcher.cancel(run_id)
        return await self.view(run_id)

    async def stop_all(self, run_id: str, *, failed: bool, path: str | None = None) -> list[RunRecord]:
        """Stop the children of a run that is coming to its end, or of the visit at a `path` that is; those that had
        not ended. Where the run has failed, what must not happen twice may end in them too.
        """
        found = [child for child in await self._store.children(run_id) if child.end_event is None]
        left = [child for child in found if path is None or is_part_of(child, path)]
        await asyncio.gather(*(self._end(child.id, failed=failed) for child in left))
        return left

    async def _end(self, run_id: str, *, failed: bool) -> None:
        live = self.dispatcher.live(run_id)
        if failed and live is not None:
            live.conclude(RunError("The run that started it has failed."))
            await asyncio.wait([live.settled])
            if not live.parked:  # it may have been parked in just that moment
                return
        await self.dispatcher.cancel(run_id)

    async def view(self, run_id: str) -> dict[str, Any]:
        """A child as it is stored; `stops` says whether its end is that of all above it too."""
        rows = await self._store.rows(run_id)
        view = await view_of(await self._store.get(run_id), rows)
        return {**view, "stops": any(row.stops for row in rows)}


def child_id(parent: RunRecord, path: str, iteration: int, attempt: int = 1) -> str:
    """The id of the child that a visit to a node starts; each attempt has its own."""
    return child_id_of(parent.id, path, iteration, attempt)


def child_id_of(parent_id: str, path: str, iteration: int, attempt: int) -> str:
    """As `child_id`, of a parent that is known by its id only."""
    text = f"{parent_id}/{path}/{iteration}/{attempt}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def child_of(
    step: Step, plan: Plan, inputs: Mapping[str, Any], *, run_id: str, workflow: str, prefix: str
) -> RunRecord:
    """The record of a child: whatever holds for its parent holds for it."""
    parent, left = step.host.record, step.host.seconds_left
    return RunRecord(
        id=run_id,
        root_id=parent.root_id or parent.id,
        parent_id=parent.id,
        prefix=prefix,
        depth=parent.depth + 1,
        workflow=workflow,
        yaml=plan.workflow.text,
        inputs=inputs,
        status="running",
        created_at=step.services.clock.now(),
        owner=parent.owner,
        conversation_id=parent.conversation_id,
        message_id=parent.message_id,
        force_model=parent.force_model,
        digest=plan.digest,
        shape=plan.shape,
        pins=parent.pins,
        priority=parent.priority,
        limit_usd=limit_of(parent, step.workflow),
        dry=parent.dry,
        origin=within(None, None if left is None else left + _SLACK),
    )


def usage_of(view: Mapping[str, Any]) -> Usage:
    """What a child used, with all that is below it."""
    models = [node["model"] for node in view["nodes"] if node["model"] is not None]
    counts = (view["prompt_tokens"], view["completion_tokens"], view["cost_usd"])
    return Usage(models[-1], *counts) if models else Usage()


def is_part_of(child: RunRecord, path: str) -> bool:
    """Whether the visit at this path has started the child, or one of its elements has."""
    if child.part is not None:
        return child.prefix + str(child.part["node"]) == path
    return child.prefix == f"{path}/" or child.prefix.startswith(f"{path}[")


async def wake_above(store: RunStore, run_id: str) -> None:
    """Tell the runs above a child that it goes on: what they wait for is no person any more."""
    parent_id = (await store.get(run_id)).parent_id
    while parent_id is not None:
        await store.wake(parent_id)
        parent_id = (await store.get(parent_id)).parent_id
