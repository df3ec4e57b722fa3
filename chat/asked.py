"""A message that answers what a run asks: one of its options, typed or tapped in the run's own conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.engine import Engine

MOST_NAMED = 5


async def questions_for(engine: Engine, owner: str, conversation_id: str, text: str) -> list[dict[str, Any]]:
    """The open questions of this conversation's runs that have the text among their options, each with `answer`, the
    option. Where none has it the message is one for the assistant.
    """
    said = text.strip().casefold()
    waiting = await engine.waiting(owner=owner, conversation_id=conversation_id)
    return [
        {**wait, "answer": option}
        for wait in waiting
        for option in wait["options"]
        if str(option).casefold() == said
    ]


def which_of(found: Sequence[Mapping[str, Any]]) -> str:
    """What is said where several questions have the text among their options."""
    places = ", ".join(f"`{wait['path']}`" for wait in found[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return (
        f"“{found[0]['answer']}” would answer {len(found)} open questions: {places}{more}. "
        "Answer each on its card; nothing was answered yet."
    )
