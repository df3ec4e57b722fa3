"""What the actions do: each handler gives the events that people see and one Outcome that the model is
told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chat.assistant.drafting import Drafting, flow_name, strip_fences
from chat.assistant.edits import apply_edits, read_edits
from chat.assistant.gates import ask_to_open, ask_to_run, may_open, may_run, new_secrets
from chat.assistant.intent import wants_no_questions, wants_rewrite
from chat.assistant.prompts import data
from chat.assistant.questions import MOST_OPEN, objection_to, question_of
from chat.assistant.running import find_workflow, run_workflow
from chat.assistant.runs import LISTED, find_run, run_told, runs_told
from chat.assistant.turn import OPENED, Outcome, Turn
from chat.events import DraftChanged, Event, Text
from chat.gallery import listing


@dataclass
class Acting:
    """What a handler is handed."""

    turn: Turn
    drafting: Drafting


async def write(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    async for event in write_document(acting, args["yaml"], args):
        yield event


async def write_document(
    acting: Acting, yaml: str, args: Mapping[str, Any]
) -> AsyncIterator[Event | Outcome]:
    """Save a whole document. The current workflow is written anew only where the person asks for that."""
    turn, current = acting.turn, acting.turn.workflow
    same = current is not None and flow_name(strip_fences(yaml)) == flow_name(current.yaml)
    if current and same and not acting.drafting.open and not wants_rewrite(turn.context.request):
        yield Outcome(
            f"Not saved: {current.name} exists. Change it with edit_workflow, so that all else stays as it is; or "
            "give a new one another flow.name."
        )
        return
    if refused := _unnamed_secrets(acting, yaml):
        yield refused
        return
    submit = acting.drafting.replace if same else acting.drafting.write
    async for event in _saving(submit(yaml, args["summary"]), args):
        yield event


async def edit(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    if refused := _unnamed_secrets(acting, "\n".join(str(edit.get("text", "")) for edit in args["edits"])):
        yield refused
        return
    async for event in _saving(acting.drafting.edit(read_edits(args["edits"]), args["summary"]), args):
        yield event


def _unnamed_secrets(acting: Acting, text: str) -> Outcome | None:
    """A draft that would hand out a secret which the person never spoke of is not saved."""
    before = acting.turn.workflow.yaml if acting.turn.workflow else ""
    names = new_secrets(acting.turn, before, text)
    if not names:
        return None
    return Outcome(
        f"Not saved: the person has not spoken of the secret {', '.join(names)}. Leave it out, or ask the person to "
        "name the secret and what it is for."
    )


async def use_example(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    example = acting.turn.house.gallery.get(args["name"])
    if example is None:
        yield Outcome(
            f"There is no example {args['name']}. There are:\n{listing(list(acting.turn.house.gallery))}"
        )
        return
    text, edits = example.yaml, read_edits(args.get("edits") or [])
    if edits:
        text, wrong = apply_edits(text, edits)
        if wrong:
            lines = "\n".join(wrong)
            yield Outcome(f"Not saved:\n{lines}\nThe example:\n{data(example.name, example.yaml)}")
            return
    async for event in _saving(acting.drafting.write(text, args["summary"]), args):
        yield event


async def _saving(
    events: AsyncIterator[Event | Outcome], args: Mapping[str, Any]
) -> AsyncIterator[Event | Outcome]:
    """A draft that was saved ends the turn unless there is more to do. What was assumed in it is told."""
    async for event in events:
        if isinstance(event, Outcome) and event.saved:
            if assumed := args.get("assumed"):
                yield Text("\n\n**Assumed:**\n" + "\n".join(f"- {line}" for line in assumed))
            yield replace(event, ends=args.get("then", "stop") == "stop" and not event.unfinished)
        else:
            yield event


async def read_example(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    gallery = acting.turn.house.gallery
    example = gallery.get(args["name"])
    if example is None:
        yield Outcome(f"There is no example {args['name']}. There are:\n{listing(list(gallery))}")
    else:
        yield Outcome(data(example.name, example.yaml))


async def run(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    if acting.drafting.open:
        yield Outcome("Not run: the draft still has problems. Mend it first.")
        return
    saved = await find_workflow(acting.turn, args.get("workflow"))
    if saved is None:
        yield Outcome("There is no workflow in this conversation yet. Write one, or name a saved one.")
        return
    given = dict(args.get("inputs") or {})
    take = args.get("take")
    if take:
        given[take["input"]] = _taken(acting.turn.text, take.get("begins", ""))
    if not may_run(acting.turn, saved):
        yield ask_to_run(saved, given)
        yield Outcome(
            "Not run: the person has not asked for it in this message, so was asked now.", ends=True
        )
        return
    async for event in run_workflow(acting.turn, saved, given):
        yield event


def _taken(message: str, begins: str) -> str:
    """The person's message from the words `begins` on, word for word; all of it when they are not found."""
    start = message.lower().find(begins.strip().lower()) if begins.strip() else 0
    return message[max(start, 0) :].strip()


async def open_workflow(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    turn = acting.turn
    saved = await find_workflow(turn, args["workflow"])
    if saved is None:
        yield Outcome("There is no workflow of that name.")
        return
    if not may_open(turn, saved.name):
        yield ask_to_open(saved.name)
        yield Outcome("Not opened: the person has not spoken of it, so was asked now.", ends=True)
        return
    if turn.workflow is None or turn.workflow.name != saved.name:
        turn.workflow = saved
        yield DraftChanged(saved.name, saved.version, OPENED)
    yield Outcome(f"It is the current workflow now.\n{data(saved.name, saved.yaml)}")


async def list_workflows(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    found = await acting.turn.house.workflows.list(acting.turn.owner)
    lines = "\n".join(f"- {item.name} (version {item.version}): {item.description}" for item in found)
    yield Outcome(data("workflows", lines) if lines else "There are no saved workflows.")


async def list_runs(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    yield Outcome(
        runs_told(acting.turn, await acting.turn.house.engine.runs(owner=acting.turn.owner, limit=LISTED))
    )


async def show_run(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    run = await find_run(acting.turn, args.get("run_id") or None)
    yield Outcome("There is no such run." if run is None else run_told(run))


async def ask_person(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    turn = acting.turn
    if wants_no_questions(turn.text):
        yield Outcome(
            "Not asked: the person wants it done without questions. Choose yourself, act now, and put what you chose "
            "into `assumed`."
        )
        return
    refused = [why for asked in args["questions"] if (why := objection_to(turn, asked))]
    asking = [asked for asked in args["questions"] if objection_to(turn, asked) is None]
    asking = asking[: max(0, MOST_OPEN - turn.asked)]
    for asked in asking:
        yield question_of(asked)
    if asking:
        yield Outcome(" ".join(["The person was asked.", *refused]), ends=True)
    else:
        yield Outcome(
            " ".join(refused) or f"Not asked: {MOST_OPEN} questions are open already.", ends=not refused
        )
