"""Finding the run that is meant: by its id, else the last one of this conversation, else the last of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chat.assistant.turn import Turn
from engine.errors import NotFound


async def find_run(turn: Turn, run_id: str | None) -> Mapping[str, Any] | None:
    """The object of `run --json`; None where there is no such run, or it is somebody else's."""
    engine = turn.house.engine
    if run_id is None:
        here = await engine.runs(owner=turn.owner, conversation_id=turn.context.conversation_id, limit=1)
        last = here or await engine.runs(owner=turn.owner, limit=1)
        return await engine.view(last[0]["run_id"]) if last else None
    try:
        record = await engine.record(run_id)
    except NotFound:
        return None
    return await engine.view(run_id) if record.owner == turn.owner else None
