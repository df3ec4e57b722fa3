"""Engines with a mistake put in by hand, so that the tests show that they can fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from engine.nodes import KINDS, Step, runner_of, subflow
from engine.nodes.each import PARALLEL, Elements, _items, gathered


@contextmanager
def planted(kind: str, name: str) -> Iterator[None]:
    """Nodes of this kind are run by the function of that name in this module."""
    kinds = cast("dict[str, str]", KINDS)
    right = kinds[kind]
    kinds[kind] = f"{__name__}.{name}"
    runner_of.cache_clear()
    try:
        yield
    finally:
        kinds[kind] = right
        runner_of.cache_clear()


class _InOrderOfTime(Elements):
    """Gathers what the elements gave in the order in which they ended."""

    def _result(self) -> Mapping[str, Any]:
        super()._result()
        return gathered(self.step.node, list(self._done.values()))


class _WithoutHoles(Elements):
    """Leaves out the elements that failed."""

    def _result(self) -> Mapping[str, Any]:
        writes = dict(super()._result())
        for number in self._failures:
            del self._done[number]
        return {**writes, **gathered(self.step.node, list(self._done.values()))}


class _Forgetful(Elements):
    """Runs elements again that had ended before the crash."""

    def _tries(self, number: int) -> int:
        return 1


class _Deaf(Elements):
    """Takes a failed element for a failed node, whatever the document says."""

    def _is_over(self) -> bool:
        return bool(self._failures)

    def _result(self) -> Mapping[str, Any]:
        if self._failures:
            raise self._failures[min(self._failures)]
        return super()._result()


async def in_order_of_time(step: Step) -> Mapping[str, Any]:
    return await _InOrderOfTime(step, _items(step)).run(PARALLEL)


async def without_holes(step: Step) -> Mapping[str, Any]:
    return await _WithoutHoles(step, _items(step)).run(PARALLEL)


async def forgetful(step: Step) -> Mapping[str, Any]:
    return await _Forgetful(step, _items(step)).run(PARALLEL)


async def deaf(step: Step) -> Mapping[str, Any]:
    return await _Deaf(step, _items(step)).run(PARALLEL)


async def same_child_again(step: Step) -> Mapping[str, Any]:
    """Every visit of a node takes what the first one's sub-workflow gave."""
    return await subflow.run(replace(step, iteration=1))
