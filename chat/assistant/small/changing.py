"""What a person wants changed: steps, in words that code reads; or a value, said by the field's name, or in words that
the model is asked about.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from chat.assistant.drafting import Drafting
from chat.assistant.inputs import from_words
from chat.assistant.small import adjusting
from chat.assistant.small.building import save
from chat.assistant.small.editing import carry_out
from chat.assistant.small.orders import Order
from chat.assistant.small.rewiring import Cannot
from chat.assistant.small.slots import fill_slots, slots_of
from chat.assistant.small.talking import ready
from chat.assistant.turn import Outcome, Turn
from chat.events import Event, Text
from engine.check import check
from engine.document import read_document

if TYPE_CHECKING:
    from engine.check import Checked
    from engine.workflow import Field


async def reshape(turn: Turn, order: Order) -> AsyncIterator[Event | Outcome]:
    """Change steps of the current workflow as a person said; what would not pass the checker is not done."""
    saved = turn.workflow
    if saved is None:
        yield Text("There is no workflow in this conversation yet.")
        return
    if order.kind in ("say", "rename") and (events := await adjusting.take_up(turn)):
        async for event in events:
            yield event
        return
    try:
        text, done = carry_out(read_document(saved.yaml), order)
    except Cannot as why:
        yield Text(str(why))
        return
    checked = await asyncio.to_thread(check, text, turn.house.tools)
    if checked.workflow is None:
        yield Text(f"That would break the workflow, so nothing was changed: {checked.errors[0].message}")
        return
    async for event in save(Drafting(turn), text, done, saved):
        yield event
    steps = (
        f"{n}. `{node.id}`: {node.description}" for n, node in enumerate(checked.workflow.nodes.values(), 1)
    )
    yield Text(f"{done}. The steps now:\n\n" + "\n".join(steps) + "\n")
    yield ready(turn.workflow.name if turn.workflow else saved.name, {}, sample=False)


async def new_values(turn: Turn, checked: Checked, words: str) -> dict[str, Any]:
    workflow = checked.workflow
    if workflow is None:
        return {}
    return await fill_slots(turn, slots_of(workflow), words)


def named_value(slots: list[Field], words: str) -> dict[str, Any]:
    """`set count to 3`, `change the language to French`, said with the field's own name."""
    found = re.search(
        r"(?:set|change|switch)\s+(?:the\s+)?(?P<name>[\w ]+?)\s*(?:\bto\b|=)\s*(?P<value>.+)",
        words,
        re.IGNORECASE | re.DOTALL,
    )
    if not found:
        return {}
    name = found.group("name").strip().lower().replace(" ", "_")
    for slot in slots:
        if slot.name == name:
            try:
                return {name: from_words(slot, found.group("value").strip().rstrip(".!"))}
            except ValueError:
                return {}
    return {}
