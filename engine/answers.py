"""Answers to what a run asks: which question is meant, and whether the answer fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import InputError, NotFound
from engine.nodes.ask import answer_value
from engine.nodes.each import for_element
from engine.nodes.outputs import Misfit, writes_of
from engine.ports import DID_HAPPEN, RunRecord, RunStore, Wait
from engine.workflow import Workflow

_NAMED = 20
"""How many of the questions that wait are named where another one was meant."""


async def find_wait(store: RunStore, run: RunRecord, node: str, iteration: int | None) -> Wait:
    """The question that is meant: an open one first, then the oldest; one that was answered, where none is open.

    `node` is a node's id or a path. NotFound names what waits.
    """
    root, at = run.root_id or run.id, {node, run.prefix + node}
    own = await store.waits(run_id=run.id, at=at, iteration=iteration, limit=1)
    if not own:
        own = await store.waits(root_id=root, under=run.prefix, at=at, iteration=iteration, limit=1)
    if not own:
        own = await store.waits(
            root_id=root, under=run.prefix, at=at, iteration=iteration, answered=None, newest=True, limit=1
        )
    if own:
        return own[0]
    if run.end_event is not None:
        return await _of_ended(store, run, node, iteration)
    raise _nothing(run, node, await store.waits(root_id=root, under=run.prefix, limit=_NAMED + 1))


async def _of_ended(store: RunStore, run: RunRecord, node: str, iteration: int | None) -> Wait:
    """The last question of a run that has ended; the store knows whether it was answered, and by whom."""
    for row in reversed(await store.rows(run.id)):
        asked = row.status in ("waiting", "unknown") and row.writes
        if asked and node in (row.path, row.node) and iteration in (None, row.iteration):
            text, options = str(row.writes["question"]), tuple(row.writes["options"])
            return Wait(
                run_id=run.id,
                root_id=run.root_id or run.id,
                path=row.path,
                node=row.node,
                iteration=row.iteration,
                attempt=row.attempt,
                question=text,
                created_at=row.ended_at,
                kind=row.writes["kind"],
                options=options,
                answered_at=row.ended_at,
            )
    raise NotFound(f"Run {run.id} has ended: nothing waits there any more.", "Start it anew.")


def _nothing(run: RunRecord, node: str, waits: Sequence[Wait]) -> NotFound:
    if not waits:
        return NotFound(f"Run {run.id} waits for no answer.", "Look at the run to see what it does.")
    names = list(dict.fromkeys(wait.path.removeprefix(run.prefix) for wait in waits[:_NAMED]))
    more = " and more" if len(waits) > _NAMED else ""
    return NotFound(f"Nothing waits at '{node}' in run {run.id}.", f"What waits: {', '.join(names)}{more}.")


def read_answer(wait: Wait, workflow: Workflow, value: Any) -> Any:
    """The answer as it is stored. InputError, saying what fits, for one that does not."""
    if wait.answered_at is not None:
        return None  # the store says who was first
    node = workflow.nodes[wait.node]
    if node.each is not None:
        workflow, node = for_element(workflow, node)
    try:
        if wait.kind == "ask":
            return answer_value(node, workflow, wait.options, value)
        if isinstance(value, Mapping):
            return dict(value) if "#" in wait.path else writes_of(node, workflow, dict(value))
        return _choice(wait, value)
    except Misfit as error:
        raise InputError(str(error), _what_fits(wait), wait.node) from None


def _choice(wait: Wait, value: Any) -> str:
    text = str(value).strip().casefold().replace("_", " ")
    if text in wait.options:
        return text
    raise Misfit(f"{value!r} is none of the answers.")


def _what_fits(wait: Wait) -> str | None:
    more = (
        f" '{DID_HAPPEN}' may also be said as an object with the node's outputs."
        if wait.kind != "ask"
        else ""
    )
    return f"Answer with one of: {', '.join(wait.options)}.{more}" if wait.options else None
