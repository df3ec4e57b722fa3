"""A message that answers what a run asks: one of its options, typed or tapped in the run's own conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.engine import Engine


async def question_for(engine: Engine, owner: str, conversation_id: str, text: str) -> dict[str, Any] | None:
    """The one open question of this conversation's runs that has the text among its options, with `answer`, the option.

    None where no question has it, or several do: then the message is one for the assistant.
    """
    said = text.strip().casefold()
    waiting = await engine.waiting(owner=owner, conversation_id=conversation_id)
    found = [
        {**wait, "answer": option}
        for wait in waiting
        for option in wait["options"]
        if str(option).casefold() == said
    ]
    return found[0] if len(found) == 1 else None
