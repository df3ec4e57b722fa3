"""Building and running with a small model: an example adapted, steps wired, values changed, inputs asked one
by one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from chat.assistant.drafting import Drafting
from chat.assistant.inputs import from_words, missing
from chat.assistant.prompts import prompt
from chat.assistant.running import find_workflow, run_workflow
from chat.assistant.small import talking
from chat.assistant.small.commands import Command
from chat.assistant.small.slots import fill_slots, set_defaults, slots_of
from chat.assistant.small.steps import split_steps, wire_steps
from chat.assistant.small.words import Request, given_inputs, in_words, read_request
from chat.assistant.turn import Outcome, Turn
from chat.events import Event, Question, Text
from chat.turns import CurrentWorkflow
from engine.errors import ModelBadReply
from engine.ports import Message, ModelRequest

if TYPE_CHECKING:
    from chat.gallery import Example
    from engine.check import Checked
    from engine.workflow import Field, Workflow

# Measured over the requests of tests/chat/assistant/test_nearest.py: with these two bounds every example
# that
# is
# taken at once is the right one; between NEAR and CLEAR the right one is among the first three.
CLEAR, MARGIN = 0.55, 0.12
NEAR = 0.42
INTENT = 0.68
TALK = ("chat", "greeting", "thanks")

Events = AsyncIterator[Event | Outcome]


# --- what is wanted
# ---------------------------------------------------------------------------------------


async def understand(turn: Turn) -> Events:
    """A message in free words: the nearest example or intent decides."""
    request = read_request(turn.text)
    if request.is_steps:
        events = _from_steps(turn, request.whole, request="")
    else:
        events = await _by_meaning(turn, request)
    async for event in events:
        yield event


async def _by_meaning(turn: Turn, request: Request) -> Events:
    found = await turn.house.nearest.find(request.wish)
    first, second = found.examples[:2]
    if found.intent_score >= INTENT and found.intent_score > first.score:
        return _intent(turn, found.intent)
    if first.score >= CLEAR and first.score - second.score >= MARGIN:
        return adapt(turn, first.example, request)
    near = first.score >= NEAR
    talk = found.intent in TALK and found.intent_score > first.score
    if near or (_sounds_like_work(request.wish) and not talk):
        return _offer(turn, [match.example for match in found.examples[:3]], near)
    return talking.small_talk(turn)


def _sounds_like_work(wish: str) -> bool:
    return len(wish.split()) >= 4 and not wish.endswith("?")


def _intent(turn: Turn, intent: str) -> Events:
    if intent == "run":
        return _run(turn, Command("run"), {})
    plain = {
        "list": talking.list_workflows,
        "runs": talking.show_run,
        "explain": talking.explain_current,
        "examples": talking.list_examples,
        "help": talking.help_text,
        "greeting": talking.greet,
        "thanks": talking.welcome,
    }
    return plain.get(intent, talking.small_talk)(turn)


async def _offer(turn: Turn, examples: list[Example], near: bool) -> Events:
    yield talking.offer(examples, turn.text, near)


def obey(turn: Turn, command: Command, about: Mapping[str, Any]) -> Events:
    """Do what a command says."""
    if command.kind in ("run", "sample"):
        return _run(turn, command, about)
    if command.kind == "use":
        return _use(turn, command.name, about)
    if command.kind == "steps":
        return _ask_steps(turn, str(about.get("request") or ""))
    if command.kind == "change":
        return _change(turn, command)
    return _intent(turn, command.kind)


# --- building
# ---------------------------------------------------------------------------------------------


async def _use(turn: Turn, name: str, about: Mapping[str, Any]) -> Events:
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
    values = await fill_slots(turn, slots_of(checked.workflow), request.wish) if request.wish else {}
    text = set_defaults(checked.document, values)
    with_values = f", with {in_words(values)}" if values else ""
    drafting = Drafting(turn)
    async for event in _save(drafting, text, f"Made from the example “{example.title}”{with_values}", None):
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


async def _ask_steps(turn: Turn, request: str) -> Events:
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
    async for event in _from_steps(turn, "\n".join(steps), request):
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


async def take_steps(turn: Turn, about: Mapping[str, Any]) -> Events:
    async for event in _from_steps(turn, turn.text, str(about.get("request") or "")):
        yield event


async def _from_steps(turn: Turn, text: str, request: str) -> Events:
    steps = split_steps(text)
    if not steps:
        yield Question(
            "I could not read any step. One per line, please.", [], {"kind": "steps", "request": request}
        )
        return
    before = turn.workflow
    wish = read_request(request).wish if request else ""
    drafting = Drafting(turn)
    async for event in _save(drafting, wire_steps(steps, wish), f"Made from {len(steps)} steps", None):
        yield event
    if turn.workflow is None or turn.workflow is before:
        return
    yield Text(
        "I made a workflow of your steps:\n\n" + "\n".join(f"{n}. {s}" for n, s in enumerate(steps, 1)) + "\n"
    )
    payload = read_request(request).payload if request else ""
    inputs = {"text": payload} if payload else {}
    yield talking.ready(turn.workflow.name, inputs, sample=False)


async def _save(drafting: Drafting, text: str, summary: str, base: CurrentWorkflow | None) -> Events:
    async for event in drafting.submit(text, summary, base):
        yield event
    if drafting.open:
        async for event in drafting.give_up():
            yield event


# --- changing
# ---------------------------------------------------------------------------------------------


async def _change(turn: Turn, command: Command) -> Events:
    """Change the value of a slot in the text of the document; every other byte stays."""
    from engine.check import check

    saved = turn.workflow
    checked = await asyncio.to_thread(check, saved.yaml, turn.house.tools) if saved else None
    values = await _new_values(turn, checked, command.rest) if checked and checked.workflow else {}
    if not (saved and checked and values):
        async for event in _no_change(turn, checked):
            yield event
        return
    text = set_defaults(checked.document, values)
    async for event in _save(Drafting(turn), text, f"Changed {in_words(values)}", saved):
        yield event
    if text == saved.yaml:
        yield Text(f"That is how it is already: {in_words(values)}.")
        return
    yield Text(f"Changed: {in_words(values)}.\n")
    yield talking.ready(saved.name, {}, sample=turn.house.gallery.of(saved.name) is not None)


async def _new_values(turn: Turn, checked: Checked, words: str) -> dict[str, Any]:
    workflow = checked.workflow
    if workflow is None:
        return {}
    slots = slots_of(workflow)
    named = _named_value(slots, words)
    return named or await fill_slots(turn, slots, words)


def _named_value(slots: list[Field], words: str) -> dict[str, Any]:
    """`set count to 3`, `change the language to French`, said with the field's own name."""
    found = re.search(
        r"(?:set|change|switch)\s+(?:the\s+)?(?P<name>[\w ]+?)\s*(?:\bto\b|=)\s*(?P<value>.+)",
        words,
        re.IGNORECASE | re.DOTALL,
    )
    if not found:
        return {}
    name = found.group("name").strip().lower().replace(" ", "_")
    for slot in slots:
        if slot.name == name:
            try:
                return {name: from_words(slot, found.group("value").strip().rstrip(".!"))}
            except ValueError:
                return {}
    return {}


async def _no_change(turn: Turn, checked: Checked | None) -> Events:
    """Nothing that can be set was named: perhaps it was a wish after all, else say what can be changed."""
    request = read_request(turn.text)
    found = await turn.house.nearest.find(request.wish)
    if found.examples[0].score >= NEAR or checked is None or checked.workflow is None:
        async for event in await _by_meaning(turn, request):
            yield event
        return
    slots = slots_of(checked.workflow)
    lines = "\n".join(f"- `{slot.name}`, now {slot.default}" for slot in slots)
    can = f"In this workflow I can change:\n\n{lines}\n\nSay “set {slots[0].name} to …”. " if slots else ""
    yield Text(
        f"{can}Anything else you can change in the YAML beside this conversation; a better model does it "
        "from your words."
    )


# --- running
# ----------------------------------------------------------------------------------------------


async def _run(turn: Turn, command: Command, about: Mapping[str, Any]) -> Events:
    saved = await find_workflow(turn, command.name or None)
    if saved is None:
        events = understand(turn) if command.rest else _nothing_to_run(turn)
        async for event in events:
            yield event
        return
    known = (
        about.get("inputs") if about.get("kind") == "ready" and about.get("workflow") == saved.name else None
    )
    given: dict[str, Any] = dict(known or {}) | dict(command.values)
    if command.kind == "sample":
        example = turn.house.gallery.of(saved.name)
        given |= _required_of(example) if example else {}
    elif command.rest and not command.values:
        given |= await _rest(turn, saved, given, command.rest)
    async for event in run_workflow(turn, saved, given):
        yield event


def _required_of(example: Example) -> dict[str, Any]:
    """The sample's inputs without those that were set by default and perhaps changed since."""
    from engine.document import read_document

    fields = read_document(example.yaml).data["state"]["fields"]
    return {name: value for name, value in example.inputs.items() if fields[name].get("required")}


async def _rest(turn: Turn, saved: CurrentWorkflow, given: Mapping[str, Any], rest: str) -> dict[str, Any]:
    """What came after "run it with": the first required input that is open, else the first of all."""
    from engine.check import check

    workflow = (await asyncio.to_thread(check, saved.yaml, turn.house.tools)).workflow
    if workflow is None:
        return {}
    names = missing(workflow, given) or [n for n in workflow.inputs if workflow.fields[n].required]
    return {names[0]: rest} if names else {}


async def _nothing_to_run(turn: Turn) -> Events:
    yield Text("There is no workflow in this conversation yet. Say what should happen, and I build one.")
    yield Question("For example:", talking.first_options(turn))
