"""What a node does in a run that only rehearses: nothing is asked of a model, nothing happens outside.

A dry run makes up what models, people and tools with an effect would give; code runs in its sandbox, and
tools that only read may read. A replay asks the models again and takes all else from the rows of the run that
it repeats. What was not real is noted in a row of its own at `node/simulated`, with the reason.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from engine.children import child_id_of
from engine.errors import NodeError
from engine.made import made_writes
from engine.nodes import Run
from engine.nodes.outputs import Misfit
from engine.nodes.step import Step
from engine.ports import NodeRow, RunRecord, RunStore
from engine.rehearsal import NOTE, made_inputs_of, replayed
from engine.unreal import fields_seen, reaches_out, unreal_fields
from tools.errors import ToolError

_KEPT = 8
_OWN_FAULTS = ("is not defined", "No module named", "invalid syntax", "The code set no result")
"""Parts of what is said of code that is wrong whatever it is given."""

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
    if kind == "subflow" or node.each is not None:
        return await run(step)
    if kind == "code" or (kind == "tool" and node.effect == "none"):
        return await _really(step, run)
    await note(step, REASONS.get(kind, REASONS["llm"]))
    if kind == "ask":
        return _answer(step)
    return made_writes(node, step.workflow)


async def _really(step: Step, run: Run) -> Mapping[str, Any]:
    """Code runs, and a tool that only reads is called. It may fail for what can't be reached now, or for values that
    were made up: then its own are made up as well. What fails for another reason fails as ever.
    """
    try:
        return await run(step)
    except ToolError as error:
        said = step.hide(error.message)
        if reaches_out(step.node):
            await note(step, f"{step.node.tool} could not read: {said}")
        elif _is_unsure(step) and not any(fault in said for fault in _OWN_FAULTS):
            await note(step, f"what it was given was made up, and it failed with that: {said}")
        else:
            raise
    return made_writes(step.node, step.workflow)


def _is_unsure(step: Step) -> bool:
    """Whether any value that the node was given may be made up."""
    workflow = step.workflow
    unreal = unreal_fields(workflow, made_inputs_of(step.host.record))
    seen = fields_seen(step.node, workflow)
    return bool(unreal & seen) or not seen <= workflow.fields.keys()


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
    return {name: row.writes[name] for name in step.node.outputs if name in row.writes}


async def told_again(step: Step, tool: str, number: int) -> str:
    """What a model is told of a call with an effect in a replay: what came of it then; it is not made again."""
    original, recorded = replayed(step.host.record), step.services.recorded
    rows = await recorded.rows(original) if recorded is not None and original is not None else {}
    row = rows.get((f"{step.path}/{tool}#{number}", step.iteration))
    if row is not None and "result" in row.writes:
        return str(row.writes["result"])
    await note(step, f"{tool} has an effect, and a replay has none")
    return "This run only repeats another one: the call was not made."


async def origin_of_child(step: Step) -> dict[str, Any]:
    """What the sub-workflow of a rehearsal has to know: the run that it repeats, or that its inputs may be made up."""
    original, recorded = replayed(step.host.record), step.services.recorded
    if original is None or recorded is None:
        return {"made_inputs": list(step.inputs)}
    return {"replay_of": await recorded.child(original, step.path, step.iteration, step.attempt)}


class Recorded:
    """The runs that were repeated last, read once. A big for_each may have been recorded in parts: their rows count
    as the run's own.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._runs: OrderedDict[str, Mapping[tuple[str, int], NodeRow]] = OrderedDict()

    async def rows(self, run_id: str) -> Mapping[tuple[str, int], NodeRow]:
        """How each visit and element of a run ended, by path and iteration; nothing where there is no such run."""
        if run_id not in self._runs:
            self._runs[run_id] = await self._read(run_id)
            if len(self._runs) > _KEPT:
                self._runs.popitem(last=False)
        return self._runs[run_id]

    async def _read(self, run_id: str) -> Mapping[tuple[str, int], NodeRow]:
        found = {(r.path, r.iteration): r for r in await self._store.rows(run_id) if r.status in _ENDED}
        for part in await self._parts(run_id):
            visit = int((part.part or {})["iteration"])
            rows = await self._store.rows(part.id)
            found |= {(r.path, visit): r for r in rows if r.status in _ENDED and not r.ends_visit}
        return found

    async def _parts(self, run_id: str) -> list[RunRecord]:
        return [child for child in await self._store.children(run_id) if child.part is not None]

    async def child(self, run_id: str, path: str, iteration: int, attempt: int) -> str:
        """The id of the run that a node, or an element of it, had started, or would have."""
        known = {child.id for child in await self._store.children(run_id) if child.part is None}
        own = child_id_of(run_id, path, iteration, attempt)
        if own in known:
            return own
        for part in await self._parts(run_id):
            within = child_id_of(part.id, path, 1, attempt)
            if within in {child.id for child in await self._store.children(part.id)}:
                return within
        return own


_ENDED = ("ok", "failed")
