"""Going back by talking: "undo that", "go back to version 2". Code does it, the same for small and large models, so
the text comes back exactly.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from chat.assistant.proving import Proving
from chat.assistant.turn import Outcome, Turn
from chat.events import DraftChanged, Event, Text
from chat.turns import CurrentWorkflow

if TYPE_CHECKING:
    from sessions.workflows import Version

_POLITE = (
    r"(?:(?:please|ok(?:ay)?|no|oh|sorry|bitte|nein|can you|could you|s'il te plaît|por favor)[\s,!.]+)*"
)
_LAST = r"(?:that|it|this|again|(?:that |the |your |my |this )?(?:last |latest )?(?:change|edit|step back))"
_UNDO = (
    rf"(?:undo|revert|take back|roll back)(?: {_LAST})?(?: again)?",
    r"go (?:one version )?back(?: one version| a version)?",
    r"(?:mach|mache) (?:das|es|die (?:letzte )?änderung) (?:wieder )?rückgängig|rückgängig(?: machen)?",
    r"annule(?:z|r)?(?: (?:ça|cela|la dernière modification|ce changement))?",
    r"desh(?:az|acer)(?:lo)?(?: (?:eso|el último cambio|los cambios))?",
    r"annulla(?: (?:questo|l'ultima modifica))?",
)
_VERSION = (
    r"(?:go |switch |get |take me )?(?:back|return|revert|restore)(?: it)?(?: to)? version (?P<en>\d{1,6})",
    r"(?:geh(?:e)? )?zurück zu(?:r)? version (?P<de>\d{1,6})",
)
_ASKED = re.compile(
    rf"{_POLITE}(?:{'|'.join((*_UNDO, *_VERSION))})(?:[\s,]+(?:please|bitte))?[\s.!]*", re.IGNORECASE
)


def undo_asked(turn: Turn) -> AsyncIterator[Event | Outcome] | None:
    """The events of going back, where the whole message asks for that and a workflow is open; else None."""
    found = _ASKED.fullmatch(turn.context.text.strip())
    if found is None or turn.workflow is None:
        return None
    wanted = next((int(number) for number in found.groupdict().values() if number), None)
    return _go_back(turn, turn.workflow, wanted)


async def _go_back(turn: Turn, now: CurrentWorkflow, wanted: int | None) -> AsyncIterator[Event | Outcome]:
    versions = await turn.house.workflows.versions(turn.owner, now.name)
    target = before(versions) if wanted is None else wanted
    if target is None:
        yield Text("There is nothing to undo: this is how the workflow began.")
        return
    if not any(version.version == target for version in versions):
        yield Text(
            f"There is no version {target} of {now.name}; its versions are 1 to {versions[0].version}."
        )
        return
    name, number = await turn.house.workflows.restore(
        turn.owner, now.name, target, conversation_id=turn.context.conversation_id
    )
    if number == now.version:
        yield Text(f"{name} is as it was in version {target} already.")
        return
    saved = await turn.house.workflows.get(turn.owner, name, number)
    turn.workflow = CurrentWorkflow(name, number, saved.yaml)
    async for event in Proving(turn).show(DraftChanged(name, number, saved.summary), now, None):
        yield event
    yield Text(f"\n\nThe workflow is as it was in version {target} again; that is version {number} now.")


def before(versions: Sequence[Version]) -> int | None:
    """What "undo" goes back to: the last other text before the newest, the newest first in `versions`.

    After an undo it goes further back, not forth again: a version that restored an older one counts as that one.
    """
    place = 0
    while versions[place].author == "restore":
        same = [n for n in range(place + 1, len(versions)) if versions[n].yaml == versions[place].yaml]
        if not same:
            break
        place = same[0]
    older = (v for v in versions[place + 1 :] if v.yaml != versions[0].yaml and v.author != "restore")
    return next((version.version for version in older), None)
