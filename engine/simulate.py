"""What a node does in a run that only rehearses: nothing is asked of a model, nothing happens outside.

A dry run makes up what models, people and tools with an effect would give; code runs in its sandbox, and
tools that only read may read. A replay asks the models again and takes all else from the rows of the run that
it repeats. What was not real is noted in a row of its own at `node/simulated`, with the reason.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import NodeError
from engine.made import made_writes
from engine.nodes import Run
from engine.nodes.outputs import Misfit, writes_of
from engine.nodes.step import Step
from engine.ports import NodeRow, RunStore
from engine.rehearsal import NOTE, replayed
from tools.errors import ToolError

_KEPT = 8

REASONS = {
    "llm": "no model is asked in a dry run",
    "ask": "nobody is asked in a dry run",
    "tool": "it has an effect, and a dry run has none",
}


async def instead(step: Step, run: Run) -> Mapping[str, Any]:
    """What this attempt gives in a rehearsal: `run` is what would really be done. NodeError, ToolError."""
    record = step.host.record
    if (original := replayed(record)) is not None:
        return await _replay(step, run, original)
    choices = (record.origin or {}).get("choices") or ()
    if [step.path, step.iteration] in ((record.origin or {}).get("failures") or ()):
        raise NodeError(step.node.id, "It fails in this dry run, to see where that leads.")
    return {**await rehearse(step, run), **_chosen(step, choices)}


async def rehearse(step: Step, run: Run) -> Mapping[str, Any]:
    """What a node gives in a dry run."""
    kind, node = step.node.kind, step.node
    if kind in ("code", "subflow") or node.each is not None:
        return await run(step)
    if kind == "tool" and node.effect == "none":
        return await _read(step, run)
    await note(step, REASONS.get(kind, REASONS["llm"]))
    if kind == "ask":
        return _answer(step)
    return made_writes(node, step.workflow)


async def _read(step: Step, run: Run) -> Mapping[str, Any]:
    """A tool that only reads is called. What can't be reached now stands for itself; wrong arguments fail as ever."""
    args = step.node.args.value if step.node.args else None
    outside = isinstance(args, Mapping) and "url" in args
    try:
        return await run(step)
    except ToolError as error:
        if not outside:
            raise
        await note(step, f"{step.node.tool} could not read: {step.hide(error.message)}")
        return made_writes(step.node, step.workflow)


def _answer(step: Step) -> Mapping[str, Any]:
    """What a person might say: the first option, or what the document takes when nobody answers."""
    from engine.nodes.ask import answer_writes, options_of
    from engine.workflow import MISSING

    options = options_of(step)
    said = options[0] if options else step.node.default
    if said is MISSING or said is None:
        return made_writes(step.node, step.workflow)
    try:
        return answer_writes(step.node, step.workflow, options, said)
    except Misfit as error:
        raise NodeError(step.node.id, str(error), "Let the options fit the output's type.") from None


def _chosen(step: Step, choices: Sequence[Any]) -> dict[str, Any]:
    """The values that this rehearsal was told to take, of this visit's outputs."""
    return {
        name: value
        for path, iteration, name, value in choices
        if path == step.path and iteration == step.iteration and name in step.node.outputs
    }


async def note(step: Step, why: str) -> None:
    """Keep that this was not real, and why."""
    await step.host.note(step, step.path + NOTE, "ok", writes={"why": why})


# --- replay ---------------------------------------------------------------------------------------------------


async def _replay(step: Step, run: Run, original: str) -> Mapping[str, Any]:
    """Models are asked again; what else was done gives what it gave then."""
    if step.node.kind in ("llm", "subflow") or step.node.each is not None:
        return await run(step)
    recorded = step.services.recorded
    if recorded is None:
        raise NodeError(step.node.id, "The recorded run can't be read here.", "Start it as a part of a run.")
    row = (await recorded.rows(original)).get((step.path, step.iteration))
    if row is None:
        await note(step, "it did not run in the recorded run")
        return await rehearse(step, run)
    if row.status == "failed":
        raise NodeError(step.node.id, f"As in the recorded run: {row.error}")
    try:
        return writes_of(step.node, step.workflow, dict(row.writes))
    except Misfit as error:
        raise NodeError(step.node.id, f"The recorded value does not fit any more. {error}") from None


async def told_again(step: Step, tool: str, number: int) -> str:
    """What a model is told of a call with an effect in a replay: what came of it then; it is not made again."""
    original, recorded = replayed(step.host.record), step.services.recorded
    rows = await recorded.rows(original) if recorded is not None and original is not None else {}
    row = rows.get((f"{step.path}/{tool}#{number}", step.iteration))
    if row is not None and "result" in row.writes:
        return str(row.writes["result"])
    await note(step, f"{tool} has an effect, and a replay has none")
    return "This run only repeats another one: the call was not made."


class Recorded:
    """The rows of the runs that were repeated last, read once."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._runs: OrderedDict[str, Mapping[tuple[str, int], NodeRow]] = OrderedDict()

    async def rows(self, run_id: str) -> Mapping[tuple[str, int], NodeRow]:
        """How each visit and element of a run ended, by path and iteration."""
        if run_id not in self._runs:
            rows = await self._store.rows(run_id)
            self._runs[run_id] = {(r.path, r.iteration): r for r in rows if r.status in ("ok", "failed")}
            if len(self._runs) > _KEPT:
                self._runs.popitem(last=False)
        return self._runs[run_id]
