"""Building with a small model: an example adapted, or steps wired. Code makes the document; it is checked like any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chat.assistant.drafting import Drafting
from chat.assistant.prompts import prompt
from chat.assistant.small import talking
from chat.assistant.small.slots import fill_slots, set_defaults, slots_of
from chat.assistant.small.steps import split_steps, wire_steps
from chat.assistant.small.words import Request, given_inputs, in_words, read_request
from chat.assistant.turn import Outcome, Turn
from chat.events import Event, Question, Step, Text
from chat.turns import CurrentWorkflow
from engine.errors import ModelBadReply
from engine.ports import Message, ModelRequest

if TYPE_CHECKING:
    from chat.gallery import Example
    from engine.workflow import Workflow

Events = AsyncIterator[Event | Outcome]


async def use_example(turn: Turn, name: str, about: Mapping[str, Any]) -> Events:
    example = turn.house.gallery.get(name)
    if example is None:
        yield Text(f"There is no example “{name}”.")
        return
    asked = str(about.get("request") or "")
    async for event in adapt(turn, example, read_request(asked)):
        yield event


async def adapt(turn: Turn, example: Example, request: Request) -> Events:
    """Copy an example, put what the request says into its slots, save it and offer to run it."""
    from engine.check import check

    checked = await asyncio.to_thread(check, example.yaml, turn.house.tools)
    if checked.workflow is None:
        yield Text(f"The example {example.name} can't be used here: {checked.errors[0].message}")
        return
    yield Step(f"{turn.context.message_id}-example", f"Found the example “{example.title}”", "ok")
    values = await fill_slots(turn, slots_of(checked.workflow), request.wish) if request.wish else {}
    text = set_defaults(checked.document, values)
    with_values = f", with {in_words(values)}" if values else ""
    drafting = Drafting(turn)
    async for event in save(drafting, text, f"Made from the example “{example.title}”{with_values}", None):
        yield event
    if turn.workflow is None or turn.workflow.yaml != text:
        return
    inputs = given_inputs(example, checked.workflow, request)
    yield Text(_made(example.title, checked.workflow, values))
    note = f"I have {in_words(inputs)}. " if inputs else ""
    yield talking.ready(turn.workflow.name, inputs, sample=True, note=note)


def _made(name: str, workflow: Workflow, values: Mapping[str, Any]) -> str:
    steps = " → ".join((node.description or node.id).rstrip(".") for node in workflow.nodes.values())
    needs = ", ".join(f"`{n}`" for n in workflow.inputs if workflow.fields[n].required)
    fixed = [f"`{f.name}` = {values.get(f.name, f.default)}" for f in slots_of(workflow) if f.default]
    kept = f"\n\nSet, and easy to change: {', '.join(fixed)}." if fixed else ""
    return f"I made a workflow from the example **{name}**: {steps}.\n\nIt needs {needs}.{kept}\n"


async def ask_steps(turn: Turn, request: str) -> Events:
    """The person lists the steps; a small model that is no demo is asked for them first."""
    if turn.info.demo or not request:
        yield Question(
            "Tell me the steps, one per line, each as a short sentence.\n\n"
            "For example:\n1. Find out what the customer complains about\n2. Write a polite answer",
            [],
            {"kind": "steps", "request": request},
        )
        return
    steps = await _steps_of_model(turn, request)
    async for event in build_steps(turn, "\n".join(steps), request):
        yield event


async def _steps_of_model(turn: Turn, request: str) -> list[str]:
    items = {"type": "array", "minItems": 1, "maxItems": 5, "items": {"type": "string", "maxLength": 120}}
    schema = {
        "type": "object",
        "properties": {"steps": items},
        "required": ["steps"],
        "additionalProperties": False,
    }
    text = prompt("steps", request=" ".join(request.split())[:600])
    try:
        reply = await turn.complete(
            ModelRequest((Message("user", text),), temperature=0, max_tokens=300, schema=schema)
        )
    except ModelBadReply:
        return []
    value = reply.value if isinstance(reply.value, Mapping) else {}
    return [str(step) for step in value.get("steps", ()) if str(step).strip()]


def steps_given(turn: Turn, about: Mapping[str, Any]) -> Events | None:
    """The message as the steps that were asked for, unless it is a command or a large model can read it."""
    from chat.assistant.small import commands, is_small

    if not is_small(turn.info) or commands.is_exit(turn.text) or commands.read(turn.text):
        return None
    return take_steps(turn, about)


async def take_steps(turn: Turn, about: Mapping[str, Any]) -> Events:
    async for event in build_steps(turn, turn.text, str(about.get("request") or "")):
        yield event


async def build_steps(turn: Turn, text: str, request: str) -> Events:
    steps = split_steps(text)
    if not steps:
        yield Question(
            "I could not read any step. One per line, please.", [], {"kind": "steps", "request": request}
        )
        return
    if events := _other_shape(turn, steps, request):
        async for event in events:
            yield event
        return
    before = turn.workflow
    wish = read_request(request).wish if request else ""
    drafting = Drafting(turn)
    async for event in save(drafting, wire_steps(steps, wish), f"Made from {len(steps)} steps", None):
        yield event
    if turn.workflow is None or turn.workflow is before:
        return
    yield Text(
        "I made a workflow of your steps:\n\n" + "\n".join(f"{n}. {s}" for n, s in enumerate(steps, 1)) + "\n"
    )
    payload = read_request(request).payload if request else ""
    inputs = {"text": payload} if payload else {}
    yield talking.ready(turn.workflow.name, inputs, sample=False)


def _other_shape(turn: Turn, steps: Sequence[str], request: str) -> Events | None:
    """What becomes of steps that are more than a short chain: a branch, or an outline first; None for such a chain."""
    from chat.assistant.plan.outline import FEW, chain
    from chat.assistant.plan.planning import offer
    from chat.assistant.small.branching import build_condition

    if len(steps) > FEW:
        return offer(turn, chain(steps, read_request(request).wish if request else ""), request or turn.text)
    return build_condition(turn, steps, request)


async def take_document(turn: Turn, document: str) -> Events:
    """A document that a person pasted: code mends what is certain; it is saved once the checker accepts it."""
    before = turn.workflow
    drafting = Drafting(turn)
    async for event in drafting.replace(document, "Pasted by the person"):
        yield event
    if drafting.open:
        async for event in drafting.give_up():
            yield event
    elif turn.workflow is None or turn.workflow is before:
        yield Text("That is how it is saved already.")
    else:
        yield Text(f"I took your document as **{turn.workflow.name}**.\n")
        yield talking.ready(turn.workflow.name, {}, sample=False)


async def save(drafting: Drafting, text: str, summary: str, base: CurrentWorkflow | None) -> Events:
    async for event in drafting.submit(text, summary, base, edited=base is not None):
        yield event
    if drafting.open:
        async for event in drafting.give_up():
            yield event
