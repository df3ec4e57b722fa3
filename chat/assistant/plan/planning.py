"""When a plan is made, and what a person's answer does to it: the action, the list of steps, the open question."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from chat.assistant.action import Action
from chat.assistant.drafting import Drafting
from chat.assistant.handlers import Acting
from chat.assistant.pending import yes_or_no
from chat.assistant.plan.building import Building
from chat.assistant.plan.changes import Wanted, change, read_changes
from chat.assistant.plan.outline import (
    FEW,
    OUTLINE,
    chain,
    listed_steps,
    order_schema,
    question,
    read_plan,
    shown,
)
from chat.assistant.plan.writing import tool_lines
from chat.assistant.prompts import data, prompt, shorten
from chat.assistant.turn import Outcome, Turn
from chat.assistant.wiring import Plan, plan_from_dict
from chat.events import Event, Step, Text
from engine.errors import ModelBadReply
from engine.ports import Message, ModelRequest

Events = AsyncIterator[Event | Outcome]

_LET_GO = re.compile(r"(?:drop|forget|cancel)\s+(?:the\s+plan|it|that)[\s.!]*", re.IGNORECASE)


async def plan_workflow(acting: Acting, args: Mapping[str, Any]) -> Events:
    """The action: show the outline and ask, or build it where the person wants no question."""
    turn = acting.turn
    if acting.drafting.open:
        yield Outcome("The draft still has problems. Mend it first.")
        return
    if len(args["steps"]) <= FEW:
        yield Outcome(f"{len(args['steps'])} steps need no plan. Write it with write_workflow.")
        return
    plan = read_plan(args, turn.house.tools.names())
    if args.get("build") == "now":
        events = build(turn, plan, _outline_id(turn), turn.text, acting.drafting)
    else:
        events = offer(turn, plan, turn.text)
    async for event in events:
        yield event


PLAN_WORKFLOW = Action(
    "plan_workflow",
    f"Begin a new workflow of more than {FEW} steps: the person sees the outline, changes it, has it built; the steps "
    "are written afterwards, each by itself. Never for a workflow that exists, nor for fewer steps.",
    {
        **OUTLINE,
        "build": {
            "type": "string",
            "enum": ["ask", "now"],
            "default": "ask",
            "description": "now: the person wants to be asked nothing",
        },
    },
    plan_workflow,
)


def plan_of_list(turn: Turn) -> Events | None:
    """The events of a message that itself lists more than a few steps; None for any other."""
    sentences = listed_steps(turn.text)
    return _from_list(turn, sentences) if sentences else None


async def _from_list(turn: Turn, sentences: Sequence[str]) -> Events:
    from chat.assistant.small import is_small

    if is_small(turn.info):
        plan = chain(sentences, "")
    else:
        card = f"{turn.context.message_id}-order"
        title = f"Seeing how the {len(sentences)} steps belong together"
        yield Step(card, title)
        plan, note = await _ordered(turn, sentences)
        yield Step(card, title, "ok" if not note else "failed", note, None)
    async for event in offer(turn, plan, turn.text):
        yield event


async def _ordered(turn: Turn, sentences: Sequence[str]) -> tuple[Plan, str]:
    """The plan of the person's own steps; one after the other where the model can't say how they belong together."""
    ids = [f"step_{number}" for number in range(1, len(sentences) + 1)]
    text = prompt(
        "plan_order",
        request=data("request", shorten(turn.text, 6000)),
        count=str(len(ids)),
        steps="\n".join(f"- {own}: {sentence}" for own, sentence in zip(ids, sentences, strict=True)),
        tools=tool_lines(turn, turn.house.tools.names()),
    )
    try:
        reply = await turn.complete(
            ModelRequest((Message("user", text),), temperature=0, schema=order_schema(ids))
        )
    except ModelBadReply:
        return chain(sentences, ""), "they run one after the other"
    value = reply.value if isinstance(reply.value, Mapping) else {}
    if len(value.get("steps") or ()) != len(sentences):
        return chain(sentences, ""), "they run one after the other"
    return read_plan(value, turn.house.tools.names(), sentences), ""


async def offer(turn: Turn, plan: Plan, request: str, outline_id: str = "", note: str = "") -> Events:
    """Show the outline, and ask."""
    outline_id = outline_id or _outline_id(turn)
    yield shown(plan, outline_id)
    yield question(plan, outline_id, request, note)
    yield Outcome("The person was shown the outline and asked.", ends=True)


async def build(
    turn: Turn, plan: Plan, outline_id: str, request: str, drafting: Drafting | None = None
) -> Events:
    async for event in Building(turn, plan, outline_id, request).build(drafting or Drafting(turn)):
        yield event


def outline_given(turn: Turn, about: Mapping[str, Any]) -> Events | None:
    """The answer to an outline: build it, change it, or let it go; None where a model has to read it."""
    from chat.assistant.small import is_small

    if _LET_GO.fullmatch(turn.text.strip()) or yes_or_no(turn) is False:
        return _let_go()
    wanted = Wanted(build=True) if yes_or_no(turn) else read_changes(turn.text)
    if wanted is not None:
        return _go_on(turn, about, wanted)
    return _say_how(turn, about) if is_small(turn.info) and re.search(r"\d", turn.text) else None


async def _let_go() -> Events:
    yield Text("All right, I leave the plan. Nothing was built.")


async def _say_how(turn: Turn, about: Mapping[str, Any]) -> Events:
    note = "I can drop, swap, move, change and add steps, said with their numbers. "
    plan = plan_from_dict(about["plan"])
    async for event in offer(turn, plan, str(about["request"]), str(about["id"]), note):
        yield event


async def _go_on(turn: Turn, about: Mapping[str, Any], wanted: Wanted) -> Events:
    plan, wrong = change(plan_from_dict(about["plan"]), wanted)
    outline_id, request = str(about["id"]), str(about["request"])
    if wanted.build and not wrong:
        events = build(turn, plan, outline_id, request)
    else:
        events = offer(turn, plan, request, outline_id, "".join(f"{line} " for line in wrong))
    async for event in events:
        yield event


def _outline_id(turn: Turn) -> str:
    return f"{turn.context.message_id}-outline"
