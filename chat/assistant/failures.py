"""What is done about a run that failed: the certain mend applied and the run gone on with, tried again as it is, or the
model asked for a mend. Always on the person's word; a model starts nothing here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from chat.assistant.drafting import Drafting
from chat.assistant.pending import yes_or_no
from chat.assistant.prompts import data
from chat.assistant.running import follow_run
from chat.assistant.turn import Outcome, Turn
from chat.events import Event, Fix, Question, RunStarted, Text
from chat.failures import AGAIN, APPLY, ASK, FIX, LABELS, LEAVE, UNLIMITED
from chat.turns import CurrentWorkflow
from engine.errors import NotFound
from engine.ports import RunRecord
from engine.prepare import check_text, prepare
from engine.workflow import Workflow

Events = AsyncIterator[Event | Outcome]


def answered(turn: Turn, about: Mapping[str, Any]) -> Events | None:
    """The person chose what to do about a failed run; anything else is for the model."""
    choices = [str(choice) for choice in about.get("choices", ())]
    said = turn.text.strip().casefold()
    if said in choices:
        choice = said
    else:
        yes = yes_or_no(turn)
        if yes is None and said != LEAVE:
            return None
        choice = choices[0] if yes and choices else LEAVE
    ways = {APPLY: _apply, AGAIN: _again, UNLIMITED: _unlimited, ASK: _ask}
    return ways[choice](turn, about) if choice in ways else _leave()


async def _leave() -> Events:
    yield Text("All stays as it is. Tell me when you want something else.")


async def _again(turn: Turn, about: Mapping[str, Any]) -> Events:
    """The same document from that node on; after a change that was made for it, the workflow as it is now."""
    run = await _own(turn, about)
    workflow = None
    if about.get("mended"):
        saved = await turn.house.workflows.get(turn.owner, str(about["workflow"]))
        workflow = await _ready(turn, saved.yaml)
    async for event in _retry(turn, run, str(about["node"]), workflow):
        yield event


async def _unlimited(turn: Turn, about: Mapping[str, Any]) -> Events:
    """The same document from that node on, without the budget that the person had set."""
    run = await _own(turn, about)
    async for event in _retry(turn, run, str(about["node"]), None, unlimited=True):
        yield event


async def _apply(turn: Turn, about: Mapping[str, Any]) -> Events:
    """Save the mend as a version, with its check and proof, then go on from the node."""
    run, fix = await _own(turn, about), _offered(turn, str(about["run_id"]))
    saved = await turn.house.workflows.get(turn.owner, str(about["workflow"]))
    if fix is None or saved.version != about.get("version"):
        yield Text(f"{saved.name} has changed since I offered that, so the mend is not applied.")
        return
    turn.workflow = CurrentWorkflow(saved.name, saved.version, saved.yaml)
    drafting = Drafting(turn)
    is_saved = False
    said = f"Mended the step {fix.node} after a run had failed there"
    async for event in drafting.submit(fix.yaml or "", said, turn.workflow, edited=True):
        if isinstance(event, Outcome):
            is_saved = is_saved or event.saved
        else:
            yield event
    if not is_saved or turn.workflow is None:
        yield Text("The mend could not be saved, so nothing was run.")
        return
    yield replace(fix, status="applied")
    workflow = await _ready(turn, turn.workflow.yaml)
    async for event in _retry(turn, run, fix.node, workflow):
        yield event


async def _ask(turn: Turn, about: Mapping[str, Any]) -> Events:
    """Let the model mend the workflow, as in any turn; what it saves is offered to be run from there."""
    from chat.assistant.large import large_turn
    from chat.assistant.small import is_small

    if is_small(turn.info):
        yield Text("The small model can't find a mend. Say what is to be changed.")
        return
    fix = _told(turn, str(about["run_id"]))
    text = data("failure", fix.text if fix else "")
    wanted = (
        f"A run of {about['workflow']} failed at the step {about['node']}. Mend the workflow so that this does not "
        f"happen again, with as small a change as possible; don't run it.\n{text}"
    )
    turn.context = replace(turn.context, text=wanted)
    async for event in large_turn(turn):
        yield event


async def after_change(turn: Turn) -> AsyncIterator[Event]:
    """Offer to go on with a failed run of the workflow that this turn has changed; what the world did is left out."""
    workflow = turn.workflow
    fix = _last_failure(turn)
    if turn.asked or workflow is None or fix is None or fix.workflow != workflow.name:
        return
    if workflow.name not in turn.made:
        return
    try:
        await turn.house.engine.record(fix.run_id)
    except NotFound:  # it was deleted meanwhile
        return
    checked = await check_text(workflow.yaml, turn.house.tools, turn.house.workflows.of(turn.owner))
    if checked.workflow is None or fix.node not in checked.workflow.nodes:
        return
    about = {
        "kind": FIX,
        "run_id": fix.run_id,
        "node": fix.node,
        "workflow": workflow.name,
        "version": workflow.version,
        "choices": [AGAIN],
        "mended": True,
    }
    options = [{"label": LABELS[APPLY], "value": AGAIN}, {"label": LABELS[LEAVE], "value": LEAVE}]
    asked = f"Shall I run from `{fix.node}` on with this version? What had finished is not run again."
    yield Question(asked, options, about)


def _last_failure(turn: Turn) -> Fix | None:
    """What failed in the last run that this conversation shows, unless it was the world's fault."""
    for message in reversed(turn.context.history):
        for part in reversed(message.parts):
            if part.get("kind") == Fix.kind:
                fix = _fix(part)
                return fix if fix.cause != "world" and fix.status != "applied" and fix.node else None
            if part.get("kind") == RunStarted.kind:
                return None
    return None


def _told(turn: Turn, run_id: str) -> Fix | None:
    for message in reversed(turn.context.history):
        for part in message.parts:
            if part.get("kind") == Fix.kind and part.get("run_id") == run_id:
                return _fix(part)
    return None


def _offered(turn: Turn, run_id: str) -> Fix | None:
    fix = _told(turn, run_id)
    return fix if fix is not None and fix.yaml is not None and fix.status == "offered" else None


def _fix(part: Mapping[str, Any]) -> Fix:
    return Fix(**{name: value for name, value in part.items() if name != "kind"})


async def _own(turn: Turn, about: Mapping[str, Any]) -> RunRecord:
    run = await turn.house.engine.record(str(about["run_id"]))
    if run.owner != turn.owner:
        raise NotFound("There is no such run.", "List the runs to see what there is.")
    return run


async def _ready(turn: Turn, text: str) -> Workflow:
    house = turn.house
    return await prepare(text, house.tools, house.models, house.workflows.of(turn.owner))


async def _retry(
    turn: Turn, run: RunRecord, node: str, workflow: Workflow | None, *, unlimited: bool = False
) -> Events:
    run_id = await turn.house.engine.retry(
        run.id,
        node,
        workflow,
        conversation_id=turn.context.conversation_id,
        message_id=turn.context.message_id,
        unlimited=unlimited,
    )
    async for event in follow_run(turn, run_id, run.workflow, run.inputs):
        yield event
