"""What a message means to a small model's assistant (a command, a wish, a change, talk), and what is done then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from chat.assistant.drafting import Drafting
from chat.assistant.running import find_workflow, run_workflow
from chat.assistant.small import adjusting, branching, building, talking
from chat.assistant.small.changing import named_value, new_values
from chat.assistant.small.commands import Command
from chat.assistant.small.given import rest_as_input, sample_inputs
from chat.assistant.small.slots import set_defaults, slots_of
from chat.assistant.small.steps import split_steps
from chat.assistant.small.words import Request, in_words, pasted, read_request
from chat.assistant.turn import Outcome, Turn
from chat.events import Event, Question, Text

if TYPE_CHECKING:
    from chat.gallery import Example
    from engine.check import Checked

# Measured over the requests of tests/chat/assistant/test_nearest.py: with these two bounds every example that
# is taken at once is the right one; between NEAR and CLEAR the right one is among the first three. The embedded model,
# made to choose by an enum, is right in 19 of 40 among the nearest three, where the nearest is right in 39; of 20
# intents said in other words it finds 3, the embedding 16. So nothing is asked of it here.
CLEAR, MARGIN = 0.55, 0.12
NEAR = 0.42
INTENT = 0.68
TALK, LIKELY_TALK = ("chat", "greeting", "thanks"), 0.45

Events = AsyncIterator[Event | Outcome]


async def understand(turn: Turn) -> Events:
    """A message in free words: the nearest example or intent decides."""
    about = turn.pending()
    if about.get("kind") == "which" and adjusting.is_new(turn.text):
        async for event in await _by_meaning(turn, read_request(str(about["request"]))):
            yield event
        return
    request = read_request(turn.text)
    stated = branching.condition(request.wish)
    if document := pasted(turn.text):
        events = building.take_document(turn, document)
    elif request.is_steps:
        events = building.build_steps(turn, request.whole, request="")
    elif change := await adjusting.take_up(turn):
        events = change
    elif stated and (stated[3] or turn.workflow is None):
        events = branching.build_condition(turn, [request.wish], request.whole) or talking.small_talk(turn)
    else:
        events = await _by_meaning(turn, request, asks=True)
    async for event in events:
        yield event


async def _by_meaning(turn: Turn, request: Request, *, asks: bool = False) -> Events:
    """What the nearest example or intent makes of it. With `asks` nothing new is built of words about the open one."""
    found = await turn.house.nearest.find(request.wish)
    first, second = found.examples[:2]
    if found.intent_score >= INTENT and found.intent_score > first.score:
        return _intent(turn, found.intent)
    clear = first.score >= CLEAR and first.score - second.score >= MARGIN
    near = first.score >= NEAR
    talk = found.intent in TALK and found.intent_score > max(first.score, LIKELY_TALK)
    work = near or (_sounds_like_work(request.wish) and not talk) or adjusting.is_about(request.whole)
    if asks and work and turn.workflow and not adjusting.is_new(request.whole):
        return talking.open_or_new(turn.workflow.name, request.whole)
    if clear:
        return building.adapt(turn, first.example, request)
    steps = split_steps(request.wish)
    if len(steps) > (2 if near else 1) and not request.wish.endswith("?"):
        return building.build_steps(turn, "\n".join(steps), request.whole)
    if near or (_sounds_like_work(request.wish) and not talk):
        return _offer(turn, [match.example for match in found.examples[:3]], request, near)
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


async def _offer(turn: Turn, examples: list[Example], request: Request, near: bool) -> Events:
    yield talking.offer(examples, request.whole, near)


def obey(turn: Turn, command: Command, about: Mapping[str, Any]) -> Events:
    """Do what a command says."""
    if command.kind in ("run", "sample"):
        return _run(turn, command, about)
    if command.kind == "use":
        return building.use_example(turn, command.name, about)
    if command.kind == "branch":
        return branching.ask(turn, str(about.get("request") or ""))
    if command.kind == "steps":
        return building.ask_steps(turn, str(about.get("request") or ""))
    if command.kind == "change" and (document := pasted(turn.text)):
        return building.take_document(turn, document)
    if command.kind == "change":
        return _change(turn, command, about)
    return _intent(turn, command.kind)


async def _change(turn: Turn, command: Command, about: Mapping[str, Any]) -> Events:
    """Change the open workflow in what its words name, or else the value of a slot; every other byte stays."""
    from engine.check import check

    saved = turn.workflow
    checked = await asyncio.to_thread(check, saved.yaml, turn.house.tools) if saved else None
    if about.get("kind") == "which" or (checked and checked.workflow is None):
        async for event in _how_to_change(checked):
            yield event
        return
    slots = slots_of(checked.workflow) if checked and checked.workflow else []
    values = named_value(slots, command.rest)
    if not values and (change := await adjusting.take_up(turn)):
        async for event in change:
            yield event
        return
    values = values or (await new_values(turn, checked, command.rest) if checked and checked.workflow else {})
    if not (saved and checked and values):
        async for event in _no_change(turn, checked):
            yield event
        return
    text = set_defaults(checked.document, values)
    async for event in building.save(Drafting(turn), text, f"Changed {in_words(values)}", saved):
        yield event
    if text == saved.yaml:
        yield Text(f"That is how it is already: {in_words(values)}.")
        return
    yield Text(f"Changed: {in_words(values)}.\n")
    yield talking.ready(saved.name, {}, sample=turn.house.gallery.of(saved.name) is not None)


async def _no_change(turn: Turn, checked: Checked | None) -> Events:
    """Nothing that can be set was named: perhaps it was a wish after all, else say what can be changed."""
    request = read_request(turn.text)
    found = await turn.house.nearest.find(request.wish)
    if found.examples[0].score >= NEAR or checked is None or checked.workflow is None:
        async for event in await _by_meaning(turn, request, asks=True):
            yield event
        return
    async for event in _how_to_change(checked):
        yield event


async def _how_to_change(checked: Checked | None) -> Events:
    """What can be changed by words, with the names of this very workflow."""
    workflow = checked.workflow if checked else None
    if workflow is None:
        yield Text("The workflow has problems, so I can't change it by words. Mend it in the editor first.")
        return
    slots = slots_of(workflow)
    lines = "\n".join(f"- `{slot.name}`, now {slot.default}" for slot in slots)
    can = f"In this workflow I can change:\n\n{lines}\n\nSay “set {slots[0].name} to …”. " if slots else ""
    step = next(iter(workflow.nodes))
    yield Text(
        f"{can}Of the steps you can say “in step {step}, be brief”, “replace 'these words' with 'those'”, “add a step "
        f"that … after {step}” or “remove step {step}”. Anything else you can change in the YAML beside this "
        "conversation; a better model does it from your words."
    )


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
        given |= sample_inputs(example) if example else {}
    elif command.rest and not command.values:
        given |= await rest_as_input(turn, saved, given, command.rest)
    async for event in run_workflow(turn, saved, given):
        yield event


async def _nothing_to_run(turn: Turn) -> Events:
    yield Text("There is no workflow in this conversation yet. Say what should happen, and I build one.")
    yield Question("For example:", talking.first_options(turn))
