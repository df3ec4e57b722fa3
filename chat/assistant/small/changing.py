"""Which value a person wants changed: said by the field's name, or in words that the model is asked about."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from chat.assistant.inputs import from_words
from chat.assistant.small.slots import fill_slots, slots_of
from chat.assistant.turn import Turn

if TYPE_CHECKING:
    from engine.check import Checked
    from engine.workflow import Field


async def new_values(turn: Turn, checked: Checked, words: str) -> dict[str, Any]:
    workflow = checked.workflow
    if workflow is None:
        return {}
    slots = slots_of(workflow)
    named = _named_value(slots, words)
    return named or await fill_slots(turn, slots, words)


def _named_value(slots: list[Field], words: str) -> dict[str, Any]:
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
