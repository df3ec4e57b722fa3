"""What the actions do: each handler gives the events that people see and one Outcome that the model is
told.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chat.assistant.drafting import Drafting, flow_name
from chat.assistant.edits import apply_edits, read_edits
from chat.assistant.prompts import data, shorten
from chat.assistant.running import find_workflow, run_workflow
from chat.assistant.runs import find_run
from chat.assistant.turn import Outcome, Turn
from chat.events import DraftChanged, Event, Question
from chat.gallery import listing

LONGEST_RESULT = 12_000


@dataclass
class Acting:
    """What a handler is handed."""

    turn: Turn
    drafting: Drafting


async def write(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    current = acting.turn.workflow
    if current and not acting.drafting.open and flow_name(args["yaml"]) == flow_name(current.yaml):
        yield Outcome(
            f"Not saved: {current.name} exists. Change it with edit_workflow, or give a new one "
            "another flow.name."
        )
        return
    async for event in acting.drafting.write(args["yaml"], args["summary"]):
        yield _and_then(event, args)


async def edit(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    async for event in acting.drafting.edit(read_edits(args["edits"]), args["summary"]):
        yield _and_then(event, args)


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
    async for event in acting.drafting.write(text, args["summary"]):
        yield _and_then(event, args)


def _and_then(event: Event | Outcome, args: Mapping[str, Any]) -> Event | Outcome:
    """A draft that was saved ends the turn unless there is more to do."""
    if isinstance(event, Outcome) and event.saved:
        return replace(event, ends=args.get("then", "stop") == "stop")
    return event


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
    if turn.workflow is None or turn.workflow.name != saved.name:
        turn.workflow = saved
        yield DraftChanged(saved.name, saved.version, "Opened")
    yield Outcome(f"It is the current workflow now.\n{data(saved.name, saved.yaml)}")


async def list_workflows(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    found = await acting.turn.house.workflows.list(acting.turn.owner)
    lines = "\n".join(f"- {item.name} (version {item.version}): {item.description}" for item in found)
    yield Outcome(data("workflows", lines) if lines else "There are no saved workflows.")


async def list_runs(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    found = await acting.turn.house.engine.runs(owner=acting.turn.owner, limit=20)
    yield Outcome(data("runs", json.dumps(found, ensure_ascii=False)) if found else "There are no runs yet.")


async def show_run(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    run = await find_run(acting.turn, args.get("run_id") or None)
    if run is None:
        yield Outcome("There is no such run.")
    else:
        yield Outcome(data("run", shorten(json.dumps(run, ensure_ascii=False), LONGEST_RESULT)))


async def ask_person(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    options = [{"label": option, "value": option} for option in args.get("options") or []]
    yield Question(args["question"], options)
    yield Outcome("The person was asked.", ends=True)
