"""Finding the run that is meant: by its id, or the last one of this conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chat.assistant.turn import Turn
from engine.errors import NotFound


async def find_run(turn: Turn, run_id: str | None) -> Mapping[str, Any] | None:
    """The object of `run --json`; None where there is no such run, or it is somebody else's."""
    mine = [run["run_id"] for run in await turn.house.engine.runs(owner=turn.owner, limit=200)]
    wanted = run_id or _last_of(turn) or (mine[0] if mine else None)
    if wanted is None or wanted not in mine:
        return None
    try:
        return await turn.house.engine.view(wanted)
    except NotFound:
        return None


def _last_of(turn: Turn) -> str | None:
    for message in reversed(turn.context.history):
        for part in reversed(message.parts):
            if part.get("kind") == "run_started":
                return str(part["run_id"])
    return None
