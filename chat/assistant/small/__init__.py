"""A turn with a model that is too small to write a workflow: code decides, embeddings find, the model fills
slots.

The order: what the last message asked for, then plain commands, then the nearest example or intent. What must
be remembered between two turns rides on the question that is open, so a restart loses nothing.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from chat.assistant import schedules
from chat.assistant.small import changing, commands, meaning, talking
from chat.assistant.small.orders import read_order
from chat.assistant.turn import Outcome, Turn
from chat.events import Event, Text
from engine.ports import ModelInfo

LARGEST_SMALL = (
    2e9  # parameters; up to 1.5e9 wrote 7 of 10 wirings right at best, and 10 of 10 lists of steps
)
_SIZE = re.compile(r"(?<![\d.a-z])(\d+(?:\.\d+)?)([bm])(?![a-z])", re.IGNORECASE)


def is_small(info: ModelInfo) -> bool:
    """Whether a model can't be trusted with the wiring: the demo model, or one whose name tells a small
    size.
    """
    if info.demo:
        return True
    sizes = [
        float(number) * (1e9 if unit.lower() == "b" else 1e6)
        for number, unit in _SIZE.findall(info.name.rpartition("/")[2])
    ]
    # "1m" is a length of prompts, not a size.
    return any(1e7 <= size <= LARGEST_SMALL for size in sizes)


async def small_turn(turn: Turn) -> AsyncIterator[Event]:
    """Answer one message. ParlanceErrors of models, store and engine pass through."""
    if not turn.text.strip():
        yield Text("I have what you attached. Say what should happen with it.")
        return
    async for event in _answer(turn):
        if not isinstance(event, Outcome):
            yield event
        elif event.refused:
            yield Text(event.text)


def _answer(turn: Turn) -> AsyncIterator[Event | Outcome]:
    about = turn.pending()
    if about and commands.is_exit(turn.text):
        return talking.let_go()
    planned = schedules.wanted(turn)
    if planned is not None:
        return planned
    order = read_order(turn.text) if turn.workflow else None
    if order:
        return changing.reshape(turn, order)
    command = commands.read(turn.text, offered=about.get("examples", ()))
    if command:
        return meaning.obey(turn, command, about)
    return meaning.understand(turn)
