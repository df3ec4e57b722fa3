"""One attempt of a node: run it within its time, and say in one form how it went, whatever it raised."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.errors import ModelError, NodeError, ParlanceError
from engine.nodes import Step, runner_of
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
    """Run the node once. Every failure is a NodeError of that node; only cancellation passes through."""
    clock = step.services.clock
    started = clock.now()
    try:
        writes = await _in_time(step)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        error = NodeError(step.node.id, "It broke off by itself.", "Try again.", retryable=True)
        return Outcome(started, clock.now(), error=error)
    except Exception as error:  # noqa: BLE001 - foreign code: the outcome records what happened
        return Outcome(started, clock.now(), error=_node_error(step, error))
    return Outcome(started, clock.now(), writes)


async def _in_time(step: Step) -> Mapping[str, Any]:
    run = runner_of(step.node.kind)
    if step.node.timeout is None:
        return await run(step)
    limit = asyncio.timeout(step.node.timeout)
    try:
        async with limit:
            return await run(step)
    except TimeoutError:
        if not limit.expired():
            raise
        raise NodeError(
            step.node.id,
            f"It took longer than its {step.node.timeout:g} seconds.",
            "Raise `timeout`, or set `retry` to try again.",
            retryable=True,
        ) from None


def pause_before(step: Step) -> float:
    """Seconds before the next attempt: `backoff_seconds`, doubled each time."""
    return float(min(step.node.retry.backoff_seconds * 2.0 ** (step.attempt - 1), LONGEST_PAUSE))


def _node_error(step: Step, error: Exception) -> NodeError:
    """Any failure in words; what its own errors are not is a fault of ours or of a plug-in, and logged."""
    name = step.node.id
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
