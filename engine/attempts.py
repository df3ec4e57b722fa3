"""One attempt of a node, or of one element of it: run it within its time, and say in one form how it went,
whatever it raised.

An attempt that can't go on by itself is no outcome: Parked passes through.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.errors import ModelError, NodeError, ParlanceError, RunStopped
from engine.nodes import Run, Step, runner_of
from engine.nodes.step import Parked
from engine.templates import TemplateError
from tools.errors import ToolError, ToolRetry

log = logging.getLogger(__name__)

LONGEST_PAUSE = 300.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: with writes, or with an error."""

    started_at: float
    ended_at: float
    writes: Mapping[str, Any] = field(default_factory=dict)
    error: NodeError | None = None


async def attempt(step: Step) -> Outcome:
    """Run the node once. Every failure is a NodeError of that node; only cancellation and Parked pass through.

    Parked also where something that must not happen twice may have happened: then a person is asked.
    """
    clock = step.services.clock
    started = clock.now()
    try:
        writes = await _in_time(step)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        error = NodeError(step.node.id, "It broke off by itself.", "Try again.", retryable=True)
        refused = False
    except Parked:
        raise
    except Exception as trouble:  # noqa: BLE001 - foreign code: the outcome records what happened
        error = _node_error(step, trouble)
        refused = isinstance(trouble, ToolError) and trouble.refused
    else:
        return Outcome(started, clock.now(), writes)
    if step.in_flight is not None and not refused:
        from engine.nodes.effects import doubt

        await doubt(step, error.message)
    return Outcome(started, clock.now(), error=error)


async def _in_time(step: Step) -> Mapping[str, Any]:
    node = step.node
    run = runner_of("each" if node.each is not None else node.kind)
    if node.timeout is None or node.each is not None or node.kind == "ask":
        return await _guarded(step, run)
    limit = asyncio.timeout(node.timeout)
    try:
        async with limit:
            return await _guarded(step, run)
    except TimeoutError:
        if not limit.expired():
            raise
        raise NodeError(
            node.id,
            f"It took longer than its {node.timeout:g} seconds.",
            "Raise `timeout`, or set `retry` to try again.",
            retryable=True,
        ) from None


async def _guarded(step: Step, run: Run) -> Mapping[str, Any]:
    """Run it; what must not happen twice as a whole says so before it begins."""
    node = step.node
    if node.effect != "once" or node.each is not None:
        return await run(step)
    if node.kind != "tool" and node.said_effect != "once":
        return await run(step)
    from engine.nodes.effects import once

    return await once(step, run)


def pause_before(step: Step) -> float:
    """Seconds before the next attempt: `backoff_seconds`, doubled each time."""
    return float(min(step.node.retry.backoff_seconds * 2.0 ** (step.attempt - 1), LONGEST_PAUSE))


def _node_error(step: Step, error: Exception) -> NodeError:
    """Any failure in words; what its own errors are not is a fault of ours or of a plug-in, and logged."""
    name = step.node.id
    if isinstance(error, RunStopped):
        return error
    if isinstance(error, NodeError):
        return NodeError(name, step.hide(error.message), step.hide(error.fix), retryable=error.can_retry)
    if isinstance(error, ToolError):
        retryable = isinstance(error, ToolRetry)
        return NodeError(name, step.hide(error.message), step.hide(error.fix), retryable=retryable)
    if isinstance(error, ParlanceError):
        return NodeError(
            name, error.message, error.fix, retryable=error.retryable and isinstance(error, ModelError)
        )
    if isinstance(error, TemplateError):
        return NodeError(name, error.message, "Check the references of this node.")
    log.error("node %s failed", name, exc_info=error)
    what = step.hide(f"{type(error).__name__}: {error}")
    return NodeError(name, f"It failed unexpectedly ({what}).", "The program's log has the details.")
