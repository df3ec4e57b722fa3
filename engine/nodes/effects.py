"""What must not happen twice: a row on disk before it begins, and a question to a person when nobody knows its end.

A row with status `running` whose attempt has no later row of the same path was begun and not seen to end. Only
a person can say what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from engine.errors import RunStopped
from engine.nodes import Run
from engine.nodes.step import Question, Step
from engine.ports import DID_HAPPEN, STOP, TRY_AGAIN, NodeRow

_ENDED = frozenset({"ok", "failed", "cancelled"})


async def once(step: Step, run: Run) -> Mapping[str, Any]:
    """Run a node that must not happen twice; its writes. A person's "did happen" leaves the outputs as they were."""
    begun = begun_row(step.host.rows_of(step.path, step.iteration))
    if begun is not None:
        step.attempt = begun.attempt
        outputs = await settled(step, begun)
        if outputs is not None:
            return outputs
        step.attempt += 1
    await step.host.note(step, step.path, "running")
    step.in_flight = step.path
    writes = await run(step)
    step.in_flight = None
    return writes


def begun_row(rows: Sequence[NodeRow]) -> NodeRow | None:
    """The row of what was begun at this path last, where nothing says how it ended."""
    begun: NodeRow | None = None
    for row in rows:
        if row.status == "running":
            begun = row
        elif begun is not None and row.status in _ENDED and row.attempt >= begun.attempt:
            begun = None
    return begun


async def settled(step: Step, begun: NodeRow) -> Mapping[str, Any] | None:
    """What a person says of something that may have happened: it did (an object gives the outputs), or None to
    try it again. Raises Parked until there is an answer, and RunStopped when the run is to stop.
    """
    answer = await _ask(step, begun.path, begun.attempt, "the program stopped while it ran")
    if answer == TRY_AGAIN:
        return None
    if answer == STOP:
        raise RunStopped(step.node.id, "It may have happened, and the run was stopped for that.")
    return answer if isinstance(answer, Mapping) else {}


async def doubt(step: Step, why: str) -> NoReturn:
    """Ask a person about what this attempt began and did not see end. Raises Parked."""
    path, step.in_flight = step.in_flight or step.path, None
    begun = begun_row(step.host.rows_of(path, step.iteration))
    await _ask(step, path, begun.attempt if begun else step.attempt, why[:1].lower() + why[1:].rstrip("."))
    raise AssertionError("a question that was just put has no answer")


async def _ask(step: Step, path: str, attempt: int, why: str) -> Any:
    call = path.rpartition("/")[2]
    what = f"Node '{step.node.id}'"
    if "#" in call:
        what = f"The call of {call.rpartition('#')[0]} in node '{step.node.id}'"
    text = f"{what} may have happened: {why}, and it must not happen twice. Did it?"
    question = Question(text, "effect", (DID_HAPPEN, TRY_AGAIN, STOP))
    return await step.host.wait(step, path, question, attempt=attempt)
