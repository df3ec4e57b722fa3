"""Running a workflow from a conversation: inputs read, missing ones asked for, the run followed, the result
told.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from chat.assistant.attached import files_of, resolve_files
from chat.assistant.inputs import ask_for, missing, read_inputs
from chat.assistant.prompts import problem_lines
from chat.assistant.render import run_result
from chat.assistant.turn import Outcome, Turn, chosen_option
from chat.events import Event, Problems, RunEnded, RunStarted, Text
from chat.turns import CurrentWorkflow

if TYPE_CHECKING:
    from engine.workflow import Workflow

DEMO = "embedded/"
DEMO_NOTE = "\n\n*The small demo model wrote this, so don't rely on it.*"


async def find_workflow(turn: Turn, name: str | None) -> CurrentWorkflow | None:
    """The workflow of this name, or the current one. NotFound when there is none of that name."""
    if not name or (turn.workflow and name == turn.workflow.name):
        return turn.workflow
    found = await turn.house.workflows.get(turn.owner, name)
    return CurrentWorkflow(found.name, found.version, found.yaml)


async def run_workflow(
    turn: Turn,
    saved: CurrentWorkflow,
    given: Mapping[str, Any],
    *,
    note: str = "",
    limit_usd: float | None = None,
) -> AsyncIterator[Event | Outcome]:
    """Run `saved` with the inputs given, or ask for the first that is missing. Ends the turn either way."""
    workflow, problem_events = await _checked(turn, saved)
    for problem_event in problem_events:
        yield problem_event
    if workflow is None:
        yield Outcome(f"{saved.name} has problems and was not run.", ends=True)
        return
    given, no_files = await resolve_files(turn, workflow, given)
    read = read_inputs(workflow, given)
    read.wrong.update(no_files)
    if unknown := [name for name in read.wrong if name not in workflow.inputs]:
        yield Outcome("Not run: " + "; ".join(read.wrong[name] for name in unknown) + ".", refused=True)
        return
    notes = "".join(f"`{name}` can't be used: {why}. " for name, why in read.wrong.items())
    required = [name for name in read.wrong if workflow.fields[name].required]
    if missing(workflow, read.values):
        yield ask_for(saved, workflow, read.values, turn.house.gallery, note + notes, files_of(turn))
        yield Outcome("The person was asked for a missing input.", ends=True)
        return
    if read.wrong and not required:
        yield Outcome(f"Not run. {notes}", refused=True)
        return
    async for event in _start(turn, saved, workflow, read.values, limit_usd):
        yield event


_RUN_IT = re.compile(
    r"(?:please )?(?:run|start|execute) (?:it|this|that|the workflow)(?: now| please)*[.!]*", re.I
)


def input_given(turn: Turn, about: Mapping[str, Any]) -> AsyncIterator[Event | Outcome] | None:
    """The message as the input that was asked for. A large model is left to read a short one: it may be something
    else. A page of text is what was asked for, and no model has to read it in order to hand it on.
    """
    from chat.assistant.small import is_small
    from chat.assistant.small.commands import is_exit
    from chat.assistant.small.talking import let_go

    if any(chosen_option(question, turn.text) is not None for question in turn.questions()):
        return take_input(turn, about)
    if not turn.text.strip():  # a file alone is what was asked for
        return take_input(turn, about)
    if is_exit(turn.text):
        return let_go() if is_small(turn.info) else None
    if is_small(turn.info) and _RUN_IT.fullmatch(turn.text.strip()):
        return _ask_again(turn, about)
    return take_input(turn, about) if is_small(turn.info) or _is_material(turn.text) else None


async def _ask_again(turn: Turn, about: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    """Who says "run it" once more has not given what was asked for."""
    saved = await find_workflow(turn, str(about["workflow"]))
    if saved is not None:
        async for event in run_workflow(turn, saved, about.get("inputs", {})):
            yield event


def _is_material(text: str) -> bool:
    return len(text) > 400 or text.count("\n") > 3


async def take_input(turn: Turn, about: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    """The message is the value that was asked for; `about` is what rode on the question."""
    saved = await find_workflow(turn, str(about["workflow"]))
    if saved is not None:
        given = {**about.get("inputs", {}), str(about["field"]): turn.text}
        async for event in run_workflow(turn, saved, given):
            yield event


async def _checked(turn: Turn, saved: CurrentWorkflow) -> tuple[Workflow | None, list[Event]]:
    from engine.check import check

    checked = await asyncio.to_thread(check, saved.yaml, turn.house.tools)
    if checked.workflow is not None:
        return checked.workflow, []
    return None, [
        Problems(saved.yaml, [p.to_dict() for p in checked.errors]),
        Text(f"{saved.name} can't be run as it stands:\n{problem_lines(checked.errors)}"),
    ]


async def _start(
    turn: Turn,
    saved: CurrentWorkflow,
    workflow: Workflow,
    values: Mapping[str, Any],
    limit_usd: float | None,
) -> AsyncIterator[Event | Outcome]:
    engine = turn.house.engine
    run_id = await engine.start(
        workflow,
        values,
        owner=turn.owner,
        conversation_id=turn.context.conversation_id,
        message_id=turn.context.message_id,
        limit_usd=limit_usd,
    )
    async for event in follow_run(turn, run_id, saved.name, values):
        yield event


async def follow_run(
    turn: Turn, run_id: str, name: str, values: Mapping[str, Any]
) -> AsyncIterator[Event | Outcome]:
    """Say that a run was started and, once it has ended, what it gave."""
    yield RunStarted(run_id, name, dict(values))
    run = await turn.house.engine.wait(run_id)
    if run["ended_at"]:
        yield RunEnded(run_id, run["status"], run)
    by_demo = any(str(node.get("model") or "").startswith(DEMO) for node in run.get("nodes", ()))
    # What the run asks stands on its own card, and why it failed is explained by whoever follows it.
    if not run["waiting"] and run["status"] != "failed":
        yield Text(run_result(run) + (DEMO_NOTE if by_demo and run["status"] == "ok" else ""))
    how = "ended" if run["ended_at"] else "has not ended"
    yield Outcome(f"The run {how}: {run['status']}.", ends=True)
