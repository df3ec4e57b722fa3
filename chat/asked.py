"""A message that answers what a run asks, written in the run's own conversation: one of its options, typed or tapped,
or the first words after a question that takes any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chat.assistant.render import run_result
from sessions.conversations import Message

if TYPE_CHECKING:
    from engine.engine import Engine

MOST_NAMED = 5
SETTLE_SECONDS = 3.0
"""How long the message that answers a question waits for what comes next."""


async def questions_for(
    engine: Engine, owner: str, said: Message, before: Sequence[Message]
) -> list[dict[str, Any]]:
    """The open questions of this conversation's runs that the message answers, each with `answer`; `before` are the
    messages before it. Where it answers none it is one for the assistant.
    """
    words = said.text.strip()
    waiting = await engine.waiting(owner=owner, conversation_id=said.conversation_id)
    chosen = [
        {**wait, "answer": option}
        for wait in waiting
        for option in wait["options"]
        if str(option).casefold() == words.casefold()
    ]
    free = [wait for wait in waiting if wait["kind"] == "ask" and not wait["options"]]
    if chosen or not words or len(free) != 1 or not _is_first_since(free[0], said, before):
        return chosen
    return [{**free[0], "answer": words}]


def _is_first_since(wait: Mapping[str, Any], said: Message, before: Sequence[Message]) -> bool:
    """Whether nothing else was said since the question: who goes on talking talks with the assistant."""
    asked_at = datetime.fromisoformat(wait["asked_at"]).timestamp()
    earlier = [message.created_at for message in before if message.role == "user"]
    return said.created_at > asked_at >= max(earlier, default=0.0)


def which_of(found: Sequence[Mapping[str, Any]]) -> str:
    """What is said where several questions have the text among their options."""
    places = ", ".join(f"`{wait['path']}`" for wait in found[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return (
        f"“{found[0]['answer']}” would answer {len(found)} open questions: {places}{more}. "
        "Answer each on its card; nothing was answered yet."
    )


async def what_comes(engine: Engine, run_id: str) -> str | None:
    """What the run asks next, or what it gave, in words; None where that takes longer."""
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            return run_result(await engine.wait(run_id))
    except TimeoutError:
        return None
