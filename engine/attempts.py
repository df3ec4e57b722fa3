"""One attempt of a node, or of one element of it: run it within its time, and say in one form how it went,
whatever it raised.

An attempt that can't go on by itself is no outcome: Parked passes through.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from engine.errors import ModelError, NodeError, ParlanceError, RunStopped
from engine.graph import error_field
from engine.nodes import Run, Step, runner_of
from engine.nodes.step import Parked
from engine.templates import TemplateError
from tools.errors import ToolError, ToolRetry

log = logging.getLogger(__name__)

LONGEST_PAUSE = 300.0


@dataclass(slots=True)
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
    clock, node = step.services.clock, step.node
    started = clock.now()
    try:
        if step.workflow.holds_files and node.each is None:
            from engine.nodes.files import open_files

            await open_files(step)
        if node.timeout is None and node.each is None and node.effect != "once" and not step.rehearses:
            writes = await runner_of(node.kind)(step)
        else:
            writes = await _in_time(step)
    except Parked:
        raise
    except (asyncio.CancelledError, Exception) as trouble:  # foreign code: the outcome records what happened
        if isinstance(trouble, asyncio.CancelledError) and _is_cancelled():
            raise
        error = _node_error(step, trouble)
        await _make_sure(step, trouble, error)
        return Outcome(started, clock.now(), error=error)
    return Outcome(started, clock.now(), writes)


def _is_cancelled() -> bool:
    """Whether it is us who are to break off, and not something within the node that did."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def _make_sure(step: Step, trouble: BaseException, error: NodeError) -> None:
    """Where something that must not happen twice was under way, only a definite refusal is a failure."""
    if step.in_flight is None:
        return
    from engine.nodes.effects import doubt, is_refused

    timed_out = isinstance(trouble, _TookTooLong)
    if timed_out or not isinstance(trouble, Exception) or not is_refused(step, trouble):
        await doubt(step, error.message)


class _TookTooLong(NodeError):
    """The node's own `timeout` is over."""


async def _in_time(step: Step) -> Mapping[str, Any]:
    node = step.node
    run = runner_of("each" if node.each is not None else node.kind)
    if step.rehearses:
        from engine.simulate import instead

        run = partial(instead, run=run)
    if node.timeout is None or node.each is not None or node.kind in ("ask", "subflow"):
        return await _guarded(step, run)
    limit = asyncio.timeout(node.timeout)
    try:
        async with limit:
            return await _guarded(step, run)
    except TimeoutError:
        if not limit.expired():
            raise
        raise _TookTooLong(
            node.id,
            f"It took longer than its {node.timeout:g} second{'' if node.timeout == 1 else 's'}.",
            "Raise `timeout`."
            if node.retry.max_attempts > 1
            else "Raise `timeout`, or set `retry` to try again.",
            retryable=True,
            fault={"code": "node_timeout"},
        ) from None


async def _guarded(step: Step, run: Run) -> Mapping[str, Any]:
    """Run it; what must not happen twice as a whole says so before it begins."""
    node = step.node
    if step.rehearses or node.effect != "once" or node.each is not None or node.kind == "subflow":
        return await run(step)
    if node.kind != "tool" and node.said_effect != "once":
        return await run(step)
    from engine.nodes.effects import once

    return await once(step, run)


def dealt_with(step: Step, outcome: Outcome) -> Outcome:
    """A failure that `on_error` deals with: the outputs stay as they were, and the state says what happened."""
    return replace(outcome, writes={error_field(step.node.id): str(outcome.error)})


def pause_before(step: Step) -> float:
    """Seconds before the next attempt: `backoff_seconds`, doubled each time."""
    return float(min(step.node.retry.backoff_seconds * 2.0 ** (step.attempt - 1), LONGEST_PAUSE))


def _node_error(step: Step, error: BaseException) -> NodeError:
    """Any failure in words; what its own errors are not is a fault of ours or of a plug-in, and logged."""
    name = step.node.id
    if isinstance(error, asyncio.CancelledError):
        return NodeError(
            name, "It broke off by itself.", "Try again.", retryable=True, fault={"code": "broke_off"}
        )
    if isinstance(error, RunStopped):
        return error
    if isinstance(error, NodeError):
        return NodeError(
            name,
            step.hide(error.message),
            step.hide(error.fix),
            retryable=error.can_retry,
            fault=step.hide(error.fault),
        )
    if isinstance(error, ToolError):
        retryable = isinstance(error, ToolRetry)
        return NodeError(
            name,
            step.hide(error.message),
            step.hide(error.fix),
            retryable=retryable,
            fault=step.hide(error.fault),
        )
    if isinstance(error, ParlanceError):
        return NodeError(
            name,
            error.message,
            error.fix,
            retryable=error.retryable and isinstance(error, ModelError),
            fault=error.fault,
        )
    if isinstance(error, TemplateError):
        return NodeError(
            name, error.message, "Check the references of this node.", fault=step.hide(error.fault)
        )
    log.error("node %s failed", name, exc_info=error)
    what = step.hide(f"{type(error).__name__}: {error}")
    return NodeError(
        name,
        f"It failed unexpectedly ({what}).",
        "The program's log has the details.",
        fault={"code": "unexpected"},
    )
