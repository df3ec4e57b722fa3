"""A message while it grows: a log of events that any number of followers read at their own pace.

Followers hold a place in the log, not a queue. So a slow one cannot hold up the turn, all see the same events
with the same numbers, one who comes late or comes back starts where he likes, and memory is that of one log.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from chat.events import Event, NodeChanged, TurnEnded
from chat.parts import Parts

COMPACT_AT = 10_000  # node events


class LiveMessage:
    """The log of one message. Numbers rise by one from 1; of very many node events only the latest stay."""

    def __init__(
        self, message_id: str, conversation_id: str, parts: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        self.message_id = message_id
        self.conversation_id = conversation_id
        self.parts = Parts(parts)
        self.status: str | None = None
        self._log: list[Event | None] = [*self.parts.events()]
        self._node_events = 0
        self._closed = False
        self._grew = asyncio.Event()

    @property
    def ended(self) -> bool:
        return self._closed

    def publish(self, event: Event) -> None:
        """Append to the log and wake the followers; never waits. Nothing is taken after TurnEnded."""
        if self._closed:
            return
        self.parts.add(event)
        self._log.append(event)
        self._node_events += isinstance(event, NodeChanged)
        if self._node_events > COMPACT_AT:
            self._compact()
        if isinstance(event, TurnEnded):
            self.status = event.status
            self._closed = True
        self._wake()

    def abandon(self) -> None:
        """End the followers without a TurnEnded: the process stops, the next one goes on."""
        self._closed = True
        self._wake()

    async def follow(self, after: int = 0) -> AsyncIterator[tuple[int, Event]]:
        """(number, event) from the one after number `after` on, until TurnEnded."""
        place = max(after, 0)
        while True:
            grew = self._grew
            while place < len(self._log):
                event = self._log[place]
                place += 1
                if event is not None:
                    yield place, event
            if self._closed:
                return
            if grew is self._grew:
                await grew.wait()

    def _wake(self) -> None:
        self._grew.set()
        self._grew = asyncio.Event()

    def _compact(self) -> None:
        """Blank out node events that a later one of the same node overrules; the numbers stay."""
        latest: set[tuple[str, Any]] = set()
        for index in range(len(self._log) - 1, -1, -1):
            event = self._log[index]
            if not isinstance(event, NodeChanged):
                continue
            key = (event.run_id, event.node.get("id"))
            if key in latest:
                self._log[index] = None
            latest.add(key)
        self._node_events = 0
