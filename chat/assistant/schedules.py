"""Schedules by talking: made, listed, paused, resumed and removed. Nothing is done before the person has seen in words
what it is, with the next times, and has said yes; whoever proposed it, a model or code.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from chat.assistant.action import Action, text
from chat.assistant.pending import yes_or_no
from chat.assistant.prompts import data
from chat.assistant.running import find_workflow
from chat.assistant.times import in_words, read_when
from chat.assistant.turn import Outcome, Turn
from chat.events import Event, Question, Text
from engine.cron import Cron
from engine.errors import InputError, NotFound
from engine.inputs import read_inputs
from engine.prepare import check_text
from engine.schedules import Schedule

if TYPE_CHECKING:
    from chat.assistant.handlers import Acting
    from engine.timetable import Timetable

SCHEDULE = "schedule"
SHOWN = 3
YES, NO = "yes", "no"
Events = AsyncIterator[Event | Outcome]
_LIST = re.compile(
    r"(?:(?:list|show)(?: me)?(?: all)?(?: my| the)* |what(?:'s| is) )?(?:schedules|scheduled)[\s.!?]*"
    r"|(?:zeig(?:e)?(?: mir)?(?: alle)?(?: meine| die)* )?zeitpläne[\s.!?]*"
)
_CHANGE = re.compile(
    r"(?P<do>pause|stop|resume|continue|remove|delete|cancel|lösche|entferne|pausiere|stoppe) (?:the |my |den |die )?"
    r"(?:schedule|zeitplan)(?: (?:of|for|von|für))? ?[`\"“„]?(?P<id>[\w.-]*)[`\"”“]?[\s.!]*"
)
_DOES: Mapping[str, str] = {
    "pause": "pause",
    "stop": "pause",
    "pausiere": "pause",
    "stoppe": "pause",
    "resume": "resume",
    "continue": "resume",
    **dict.fromkeys(("remove", "delete", "cancel", "lösche", "entferne"), "remove"),
}
_DONE = {"pause": "is paused", "resume": "goes on", "remove": "is removed; runs that it has started go on"}


# --- what a model may ask for ----------------------------------------------------------------------------------


def _offered(turn: Turn) -> bool:
    return turn.house.timetable is not None


async def _schedule(acting: Acting, args: Mapping[str, Any]) -> Events:
    if acting.drafting.open:
        yield Outcome("Not scheduled: the draft still has problems. Mend it first.")
        return
    name, zone, inputs = args.get("workflow", ""), args.get("timezone", ""), args.get("inputs") or {}
    async for event in propose(acting.turn, name, args["cron"], zone, inputs):
        yield event


async def _list(acting: Acting, args: Mapping[str, Any]) -> Events:
    found = await _table(acting.turn).list(acting.turn.owner)
    lines = "\n".join(f"- {each.id}: {_line(each)}" for each in found)
    yield Outcome(data("schedules", lines) if lines else "Nothing is scheduled.")


async def _change(acting: Acting, args: Mapping[str, Any]) -> Events:
    async for event in propose_change(acting.turn, args["do"], args.get("schedule", "")):
        yield event


SCHEDULE_WORKFLOW = Action(
    "schedule_workflow",
    "Propose that a saved workflow runs by itself again and again. Code asks the person with the next times, and makes "
    "it on a yes; so say nothing of that yourself.",
    {
        "workflow": text("Its name; left out, the current one", 120, default=""),
        "cron": text(
            "When, as five fields of cron: minute hour day month weekday; every Monday at 9 is 0 9 * * 1", 80
        ),
        "timezone": text(
            "An IANA name, where the person names a place; left out, the person's own", 60, default=""
        ),
        "inputs": {
            "type": "object",
            "default": {},
            "description": "Input name to value, only what the person said",
        },
    },
    _schedule,
    offered=_offered,
)
LIST_SCHEDULES = Action("list_schedules", "List the person's schedules.", {}, _list, offered=_offered)
CHANGE_SCHEDULE = Action(
    "change_schedule",
    "Propose to pause, resume or remove a schedule; code asks the person first.",
    {
        "schedule": text("Its id, as in list_schedules; left out, the only one there is", 80, default=""),
        "do": {"type": "string", "enum": ["pause", "resume", "remove"]},
    },
    _change,
    offered=_offered,
)


# --- what is read by code --------------------------------------------------------------------------------------


def wanted(turn: Turn) -> Events | None:
    """The events of a message that plainly is about schedules; None where it is about something else."""
    if turn.house.timetable is None:
        return None
    said = " ".join(turn.text.casefold().split())
    if _LIST.fullmatch(said):
        return _show(turn)
    if found := _CHANGE.fullmatch(said):
        return propose_change(turn, _DOES[found["do"]], found["id"])
    when = read_when(turn.text)
    if when is None or turn.workflow is None:
        return None
    name = turn.workflow.name.casefold()
    if when.rest in ("", name, " ".join(re.split(r"[\W_]+", name))):
        return propose(turn, turn.workflow.name, when.cron, "", {})
    return None


async def _show(turn: Turn) -> Events:
    found = await _table(turn).list(turn.owner)
    lines = "\n".join(f"- `{each.id}`: {_line(each)}" for each in found)
    yield Text(lines or "Nothing is scheduled. Say for example “every Monday at nine”.")


# --- proposed, then done ---------------------------------------------------------------------------------------


async def propose(turn: Turn, name: str, cron: str, timezone: str, inputs: Mapping[str, Any]) -> Events:
    """Ask whether the workflow is to run at these times; what can't be is told instead."""
    saved = await find_workflow(turn, name or None)
    if saved is None:
        yield Outcome("Not scheduled: there is no workflow yet.", refused=True)
        return
    zone = timezone or person_zone(turn)
    checked = await check_text(saved.yaml, turn.house.tools, turn.house.workflows.of(turn.owner))
    try:
        times = Cron(cron, zone)
        if checked.workflow is None:
            raise InputError(f"{saved.name} has problems.", "Mend them first.")
        read_inputs(checked.workflow, inputs)
    except InputError as error:
        yield Outcome(f"Not scheduled: {error}", refused=True)
        return
    shown = _times(times.next(turn.now.timestamp(), SHOWN), zone)
    given = "".join(f"\n- {key}: {_short(value)}" for key, value in inputs.items())
    asked = f"Shall I run **{saved.name}** {in_words(times.expression)} ({zone})?{given}\n\nThe next times: {shown}."
    about = {
        "kind": SCHEDULE,
        "do": "add",
        "workflow": saved.name,
        "cron": times.expression,
        "timezone": zone,
        "inputs": dict(inputs),
    }
    yield Question(asked, [{"label": "Schedule it", "value": YES}, {"label": "No", "value": NO}], about)
    yield Outcome("The person was asked whether to schedule it.", ends=True)


async def propose_change(turn: Turn, do: str, schedule_id: str) -> Events:
    """Ask whether a schedule is to be paused, resumed or removed; the only one there is where none is named."""
    found = await _table(turn).list(turn.owner)
    meant = [
        each for each in found if schedule_id.casefold() in ("", each.id.casefold(), each.workflow.casefold())
    ]
    if len(meant) != 1:
        which = ", ".join(f"`{each.id}`" for each in found)
        yield Outcome(
            f"Which schedule? There are: {which}." if found else "Nothing is scheduled.", refused=True
        )
        return
    about = {"kind": SCHEDULE, "do": do, "id": meant[0].id}
    asked = f"Shall I {do} the schedule **{meant[0].id}** ({_line(meant[0])})?"
    yield Question(asked, [{"label": do.capitalize(), "value": YES}, {"label": "No", "value": NO}], about)
    yield Outcome("The person was asked.", ends=True)


def answered(turn: Turn, about: Mapping[str, Any]) -> Events | None:
    """The person said yes or no to a schedule, or to a change of one; anything else is read anew."""
    said = yes_or_no(turn)
    if said is None or turn.house.timetable is None:
        return None
    return _leave() if not said else _add(turn, about) if about.get("do") == "add" else _do(turn, about)


async def _leave() -> Events:
    yield Text("The schedules stay as they are.")


async def _add(turn: Turn, about: Mapping[str, Any]) -> Events:
    made = await _table(turn).add(
        turn.owner,
        cron=str(about["cron"]),
        workflow=str(about["workflow"]),
        timezone=str(about["timezone"]),
        inputs=about.get("inputs") or {},
        conversation_id=turn.context.conversation_id,
    )
    first = _times([made.next_at], made.timezone) if made.next_at is not None else ""
    yield Text(
        f"Scheduled as `{made.id}`: **{made.workflow}** {in_words(made.cron)} ({made.timezone}), for the first time on "
        f"{first}. The results come into this conversation, as long as Parlance runs then. Say “pause the schedule "
        f"{made.id}” or “remove the schedule {made.id}” to end that."
    )


async def _do(turn: Turn, about: Mapping[str, Any]) -> Events:
    table, schedule_id, do = _table(turn), str(about["id"]), str(about["do"])
    acts = {"pause": table.pause, "resume": table.resume, "remove": table.remove}
    try:
        await acts[do](turn.owner, schedule_id)
    except NotFound as error:
        yield Text(error.message)
        return
    yield Text(f"The schedule `{schedule_id}` {_DONE[do]}.")


# --- words -----------------------------------------------------------------------------------------------------


def person_zone(turn: Turn) -> str:
    """The person's time zone by its name: as preferred, else this machine's, else UTC."""
    preferred = turn.preferences.get("timezone")
    own = turn.now.tzinfo
    if preferred:
        return str(preferred)
    if isinstance(own, ZoneInfo) and own.key:
        return own.key
    parts = Path("/etc/localtime").resolve().parts
    name = "/".join(parts[parts.index("zoneinfo") + 1 :]) if "zoneinfo" in parts else ""
    try:
        return ZoneInfo(name).key if name else "UTC"
    except (KeyError, ValueError, OSError):
        return "UTC"


def _line(schedule: Schedule) -> str:
    when = f"{schedule.workflow} {in_words(schedule.cron)} ({schedule.timezone})"
    if schedule.paused or schedule.next_at is None:
        return f"{when}, paused"
    return f"{when}, next on {_times([schedule.next_at], schedule.timezone)}"


def _times(moments: list[float], zone: str) -> str:
    shown = [datetime.fromtimestamp(moment, ZoneInfo(zone)) for moment in moments]
    return "; ".join(f"{at:%A}, {at.day} {at:%B %Y}, {at:%H:%M}" for at in shown)


def _short(value: Any) -> str:
    flat = " ".join(str(value).split())
    return flat if len(flat) <= 200 else f"{flat[:199]}…"


def _table(turn: Turn) -> Timetable:
    if turn.house.timetable is None:
        raise NotFound("There are no schedules here.", "Start Parlance with `app.py serve`.")
    return turn.house.timetable
