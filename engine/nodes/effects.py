"""What must not happen twice: a row on disk before it begins, and a question to a person when nobody knows its end.

A row with status `running` whose attempt has no later row of the same path was begun and not seen to end. Only
a person can say what came of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, NoReturn

from engine.errors import (
    ModelAuthError,
    ModelMissing,
    ModelRateLimited,
    ModelTooLong,
    NodeError,
    RunStopped,
)
from engine.nodes import Run
from engine.nodes.step import Question, Step
from engine.ports import DID_HAPPEN, STOP, TRY_AGAIN, NodeRow, NodeStatus
from engine.templates import TemplateError
from tools.errors import ToolError

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


def is_refused(step: Step, error: Exception) -> bool:
    """Whether a failure says for certain that nothing was done."""
    if isinstance(error, ToolError):
        return error.refused
    if isinstance(error, NodeError):
        return step.node.kind == "tool"  # ours, from before the call
    return isinstance(error, TemplateError | ModelMissing | ModelAuthError | ModelRateLimited | ModelTooLong)


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


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool with an effect, made by a model: the `number`-th of this tool in its visit.

    `result` is what the model was told, None for one that was begun and not seen to end.
    """

    step: Step
    tool: str
    number: int
    arguments: Mapping[str, Any]
    attempt: int
    result: str | None = None
    seq: int = 0

    @property
    def path(self) -> str:
        return f"{self.step.path}/{self.tool}#{self.number}"

    @property
    def begun(self) -> NodeRow:
        """Its row from before. LookupError where it was not begun."""
        found = begun_row(self.step.host.rows_of(self.path, self.step.iteration))
        if found is None:
            raise LookupError(self.path)
        return found

    def again(self) -> Call:
        """The same call, tried once more."""
        return replace(self, attempt=self.attempt + 1, result=None)

    async def begin(self, step: Step) -> None:
        """On disk before the call is made."""
        writes = {"arguments": self.arguments}
        await step.host.note(step, self.path, "running", writes=writes, attempt=self.attempt)

    async def ended(self, step: Step, status: NodeStatus, told: str) -> None:
        """What the model is told of its end."""
        writes = {"arguments": self.arguments, "result": told}
        error = told if status == "failed" else None
        await step.host.note(step, self.path, status, writes=writes, error=error, attempt=self.attempt)


def earlier_calls(step: Step, tools: Iterable[str]) -> list[Call]:
    """The calls with an effect that were begun for this visit, in the order in which they were."""
    found = []
    for tool in tools:
        for number in count(1):
            rows = step.host.rows_of(f"{step.path}/{tool}#{number}", step.iteration)
            if not rows:
                break
            last = begun_row(rows) or rows[-1]
            told = None if last.status == "running" else str(last.writes["result"])
            arguments = last.writes["arguments"]
            found.append(Call(step, tool, number, arguments, last.attempt, told, rows[0].seq))
    return sorted(found, key=lambda call: call.seq)
