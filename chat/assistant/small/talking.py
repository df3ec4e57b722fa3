"""What the assistant says of itself when the model is small: help, lists, explanations, and a little talk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from chat.assistant.prompts import prompt
from chat.assistant.render import explain, run_result
from chat.assistant.runs import find_run
from chat.assistant.turn import Outcome, Turn
from chat.events import Event, Question, Text
from chat.gallery import Example
from engine.ports import Message, ModelRequest, TextDelta

FIRST_EXAMPLES = ("summarise_and_translate", "meeting_notes_to_tasks", "rewrite_for_tone")
LONGEST_TALK = 120  # tokens
STEPS = {"label": "Build it from steps", "value": "Build it from steps"}
CASES = {"label": "It depends on something", "value": "Build it with cases"}
ALL_EXAMPLES = {"label": "Show all examples", "value": "Show all examples"}


async def let_go() -> AsyncIterator[Event | Outcome]:
    yield Text("All right. Tell me when you want something else.")


async def welcome(turn: Turn) -> AsyncIterator[Event | Outcome]:
    yield Text("You are welcome. Tell me when you want something else.")


async def greet(turn: Turn) -> AsyncIterator[Event | Outcome]:
    yield Text("Hello! ")
    async for event in help_text(turn):
        yield event


async def help_text(turn: Turn) -> AsyncIterator[Event | Outcome]:
    yield Text(
        "I turn what you want into a **workflow**: steps that you see as a graph beside this conversation, "
        "can change, and run as often as you like. Say what should happen, for example “Summarise a text and "
        f"translate it to German”; then say “run it”.\n\n{_who(turn)}"
    )
    yield Question("What shall we start with?", first_options(turn))


def _who(turn: Turn) -> str:
    if turn.info.demo:
        return (
            "I am only the small demo model that comes with the program. I build workflows from examples, "
            "or from steps that you list. With a better model (paste a key on the page, or start Ollama) I "
            "write any workflow you describe."
        )
    return (
        f"The model that answers ({turn.info.name}) is a small one, so I build workflows from examples and "
        "from plain steps. With a larger model I write any workflow you describe."
    )


def first_options(turn: Turn) -> list[dict[str, str]]:
    found = (turn.house.gallery.get(name) for name in FIRST_EXAMPLES)
    return [{"label": e.title, "value": e.asks[0]} for e in found if e] + [ALL_EXAMPLES]


async def small_talk(turn: Turn) -> AsyncIterator[Event | Outcome]:
    """A short answer of the model itself, and then what it is good for."""
    asked = ModelRequest(
        (Message("system", prompt("small_talk").strip()), Message("user", turn.text[:1000])),
        temperature=0,
        max_tokens=LONGEST_TALK,
    )
    async for piece in turn.stream(asked):
        if isinstance(piece, TextDelta):
            yield Text(piece.text)
    yield Text(f"\n\n*Check what I say here. {_who(turn)}*")
    yield Question("I can build a workflow for you. For example:", first_options(turn))


async def list_examples(turn: Turn) -> AsyncIterator[Event | Outcome]:
    lines = [f"- **{example.title}**: {example.description}" for example in turn.house.gallery]
    yield Text(
        "These are the examples I can build from:\n\n"
        + "\n".join(lines)
        + "\n\nSay what you want, or name one."
    )


async def list_workflows(turn: Turn) -> AsyncIterator[Event | Outcome]:
    found = await turn.house.workflows.list(turn.owner)
    lines = [f"- **{w.name}** (version {w.version}): {w.description}" for w in found[:30]]
    if lines:
        yield Text("Your workflows, the newest first:\n\n" + "\n".join(lines))
    else:
        yield Text("You have no workflows yet. Say what should happen and I build one.")


async def show_run(turn: Turn) -> AsyncIterator[Event | Outcome]:
    run = await find_run(turn, None)
    if run is None:
        yield Text("There are no runs yet. Say “run it” when you have a workflow.")
        return
    steps = [f"- {node['id']}: {node['status']}" for node in run["nodes"]]
    yield Text(
        f"The last run of **{run['workflow']}** ({run['created_at']}) is *{run['status']}*.\n\n"
        + "\n".join(steps)
        + f"\n\n{run_result(run)}"
    )


async def explain_current(turn: Turn) -> AsyncIterator[Event | Outcome]:
    from engine.check import check

    if turn.workflow is None:
        yield Text("There is no workflow in this conversation yet.")
        yield Question("What shall we build?", first_options(turn))
        return
    checked = await asyncio.to_thread(check, turn.workflow.yaml, turn.house.tools)
    if checked.workflow is None:
        first = checked.errors[0]
        yield Text(f"{turn.workflow.name} has problems; the first is in line {first.line}: {first.message}")
        return
    yield Text(explain(checked.workflow))


def offer(examples: Sequence[Example], request: str, near: bool) -> Question:
    """The choice between the nearest examples, and steps of one's own."""
    options = [{"label": e.title, "value": f"Use the example {e.name}"} for e in examples]
    text = (
        "Which of these comes nearest?"
        if near
        else "I have no example for that. Is one of these near enough, or will you list the steps?"
    )
    about = {"kind": "offer", "examples": [e.name for e in examples], "request": request}
    return Question(text, [*options, STEPS, CASES], about)


def ready(workflow: str, inputs: Mapping[str, Any], *, sample: bool, note: str = "") -> Question:
    """Offers to run what was just saved."""
    options = [{"label": "Run it", "value": "Run it"}]
    if sample and not inputs:
        options.append({"label": "Run it with the sample", "value": "Run it with the sample"})
    options.append({"label": "Explain it", "value": "Explain it"})
    about = {"kind": "ready", "workflow": workflow, "inputs": dict(inputs)}
    return Question(f"{note}Shall I run it?", options, about)


async def open_or_new(workflow: str, request: str) -> AsyncIterator[Event | Outcome]:
    """Nothing was done: whether the open workflow is meant."""
    yield Question(
        f"Nothing was changed: I could not read out of your words what to change "
        f"in {workflow}. Shall I say what can be "
        "changed in it by words, or is this a new workflow?",
        [
            {"label": "Change the open workflow", "value": "Change the open workflow"},
            {"label": "Make a new one", "value": "Make a new one"},
        ],
        {"kind": "which", "request": request},
    )
