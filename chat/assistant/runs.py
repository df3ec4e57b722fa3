"""Finding the run that is meant, and telling a model of runs: without ids and times, so that the same conversation
makes the same prompt, and with what a run gave marked as data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chat.assistant.prompts import data, shorten
from chat.assistant.turn import Turn
from chat.failures import NO_REPAIR
from engine.errors import NotFound
from engine.failures import cause_of

LISTED = 20
LONGEST_RESULT = 12_000
_OF_RUN = (
    "workflow",
    "status",
    "error",
    "inputs",
    "outputs",
    "prompt_tokens",
    "completion_tokens",
    "cost_usd",
)
_OF_NODE = ("id", "path", "status", "iteration", "attempt", "model", "error", "writes", "cost_usd")


async def find_run(turn: Turn, named: str | None) -> Mapping[str, Any] | None:
    """The object of `run --json`: the run of this number in the list, or of this id; without either the last one of
    this conversation, else the last of all. None where there is no such run, or it is somebody else's.
    """
    engine = turn.house.engine
    if named is None:
        here = await engine.runs(owner=turn.owner, conversation_id=turn.context.conversation_id, limit=1)
        last = here or await engine.runs(owner=turn.owner, limit=1)
        return await engine.view(last[0]["run_id"]) if last else None
    if named.isdecimal() and len(named) <= 2:
        listed = await engine.runs(owner=turn.owner, limit=LISTED)
        number = int(named)
        return await engine.view(listed[number - 1]["run_id"]) if 0 < number <= len(listed) else None
    try:
        record = await engine.record(named)
    except NotFound:
        return None
    return await engine.view(named) if record.owner == turn.owner else None


def runs_told(turn: Turn, found: Sequence[Mapping[str, Any]]) -> str:
    """The list for a model, numbered."""
    if not found:
        return "There are no runs yet."
    lines = [
        f"{number}. {run['workflow']}: {run['status']}, {_day(turn, str(run['created_at']))}"
        for number, run in enumerate(found, 1)
    ]
    return data("runs", "\n".join(lines))


def run_told(run: Mapping[str, Any]) -> str:
    """One run for a model."""
    told: dict[str, Any] = {name: run[name] for name in _OF_RUN if run.get(name) is not None}
    told["steps"] = [
        {name: node[name] for name in _OF_NODE if node.get(name) is not None} for node in run.get("nodes", ())
    ]
    if run["status"] == "failed":
        told["cause"] = cause_of(run.get("fault"))
        told["advice"] = NO_REPAIR if told["cause"] == "world" else "Mend it when the person asks for that."
    if run.get("waiting"):
        told["waiting"] = [{"node": w["node"], "question": w["question"]} for w in run["waiting"]]
    return data("run", shorten(json.dumps(told, ensure_ascii=False), LONGEST_RESULT))


def _day(turn: Turn, at: str) -> str:
    """When it began, as a day of the person's."""
    began = datetime.fromisoformat(at).astimezone(turn.now.tzinfo).date()
    days = (turn.now.date() - began).days
    return "today" if days <= 0 else "yesterday" if days == 1 else f"{days} days ago"
