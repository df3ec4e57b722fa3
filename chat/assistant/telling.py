"""How the words of a turn come out: those of several replies kept apart, claims only as far as the record bears them
out (`honest`), and a draft's summary where the model said nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from chat.assistant.honest import Honest, warm
from chat.assistant.turn import Turn
from chat.events import DraftChanged, Event, Question, Text
from engine.errors import NotFound

NOTHING = "The model gave an empty answer. Send the message again, or say it in other words."


class Telling:
    """All events of a dialogue go through here on their way out."""

    def __init__(self) -> None:
        self._honest = Honest()
        self._said = False
        self._after_text = False
        self._begins = False
        self._summary = ""
        self._seen = False

    async def look(self, turn: Turn) -> None:
        """Take up what is known of the workflow as it is now, so that old truths may be told."""
        await asyncio.to_thread(warm)
        if turn.workflow is None:
            return
        try:
            version = await turn.house.workflows.get(turn.owner, turn.workflow.name, turn.workflow.version)
        except NotFound:  # another page has deleted it meanwhile
            return
        self._honest.record.proof(version.proof)

    def begin(self) -> None:
        """A new reply: its words do not run on from those before."""
        self._begins = True

    def words(self, text: str) -> Iterator[Event]:
        """Words of the model's, as they come."""
        yield from self._text(self._honest.feed(text))

    def event(self, event: Event) -> Iterator[Event]:
        """What code says or did."""
        yield from self._text(self._honest.note(event))
        if isinstance(event, Text):
            yield from self._text(event.text)
            return
        self._after_text, self._seen = False, True
        self._said = self._said or isinstance(event, Question)
        if isinstance(event, DraftChanged):
            self._summary = event.summary
        yield event

    def close(self) -> Iterator[Event]:
        """What the model's words leave behind at the end."""
        yield from self._text(self._honest.close())

    def left(self) -> Iterator[Event]:
        """The draft's summary, where nothing was said; and that there is nothing, where nothing was done either."""
        if self._said:
            return
        if self._summary:
            yield from self._text(self._honest.feed(self._summary) + self._honest.close())
        elif not self._seen:
            yield Text(NOTHING)

    def _text(self, text: str) -> Iterator[Event]:
        if not text:
            return
        if self._begins and self._after_text:
            text = f"\n\n{text}"
        self._begins, self._after_text, self._said = False, True, self._said or bool(text.strip())
        yield Text(text)
