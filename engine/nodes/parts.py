"""A visit of a big for_each, spread over runs of their own: it starts them, waits for them, and gathers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.children import Children, child_id, child_of, usage_of
from engine.errors import NodeError, RunStopped
from engine.graph import error_field
from engine.nodes.each import strongest
from engine.nodes.step import Parked, Step
from engine.parts import Part, cut, error_of, part_data, part_plan, trouble_of


async def run_parts(step: Step, items: Sequence[Any], children: Children) -> Mapping[str, Any]:
    """The writes of the visit, once all parts have ended. NodeError of the first that failed; RunStopped, Parked."""
    each = step.node.each
    parts, at_once = cut(len(items), each.max_parallel if each else None)
    return await _Spread(step, items, children, parts).run(at_once)


class _Spread:
    """The parts of one visit."""

    def __init__(self, step: Step, items: Sequence[Any], children: Children, parts: Sequence[Part]) -> None:
        self._step = step
        self._items = items
        self._children = children
        self._parts = parts
        self._plan = part_plan(step.workflow, step.host.record.digest, step.node.id)
        self._views: dict[int, Mapping[str, Any]] = {}
        self._parked: dict[int, Parked] = {}
        self._failed: int | None = None
        self._stopped: str | None = None

    async def run(self, at_once: int) -> Mapping[str, Any]:
        """At most `at_once` parts under way, those that wait for a person not counted."""
        known = await self._children.known(self._step.host.record.id)
        todo = iter(range(len(self._parts)))
        workers = [asyncio.create_task(self._work(todo, known)) for _ in range(at_once)]
        try:
            for worker in workers:
                await worker
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)
        return self._result()

    async def _work(self, todo: Iterator[int], known: Collection[str]) -> None:
        for number in todo:
            if self._stopped is not None:
                return
            if self._failed is not None and (number > self._failed or self._step.node.on_error == "fail"):
                return
            try:
                await self._part(number, known)
            except Parked as parked:
                self._parked[number] = parked
                if parked.status == "running":
                    return  # it is under way elsewhere, and has its place until it ends

    async def _part(self, number: int, known: Collection[str]) -> None:
        step, part = self._step, self._parts[number]
        run_id = child_id(step.host.record, f"{step.path}[{part.first}..]", step.iteration)
        record, plan = step.host.record, self._plan
        child = child_of(step, plan, {}, run_id=run_id, workflow=record.workflow, prefix=record.prefix)
        child = replace(child, part=part_data(step, part, self._items))
        view = await self._children.run(child, plan, is_new=run_id not in known)
        self._views[number] = view
        if view["status"] != "ok":
            self._failed = number if self._failed is None else min(self._failed, number)
        if view["stops"]:
            self._stopped = error_of(step.node.id, view) or "A person stopped it."

    def _result(self) -> Mapping[str, Any]:
        node = self._step.node
        first = self._failed
        if self._stopped is not None:
            self._count()
            raise RunStopped(node.id, self._stopped)
        if first is not None and (node.on_error == "fail" or not any(n < first for n in self._parked)):
            self._count()
            raise NodeError(
                node.id,
                error_of(node.id, self._views[first]) or "A part of it was stopped.",
                fault=self._views[first].get("fault"),
            )
        if self._parked:
            raise strongest(self._parked.values())
        self._count()
        views = [self._views[number] for number in range(len(self._parts))]
        writes: dict[str, Any] = {
            name: [value for view in views for value in view["outputs"][name]] for name in node.outputs
        }
        troubles = [trouble for view in views if (trouble := trouble_of(node.id, view)) is not None]
        return {**writes, error_field(node.id): troubles[0]} if troubles else writes

    def _count(self) -> None:
        for view in self._views.values():
            self._step.usage.merge(usage_of(view))
