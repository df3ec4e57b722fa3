"""Nudges: small notes that tell open pages what changed, so that two tabs on one conversation agree.

A nudge is a JSON object {type, conversation_id, …}; the page fetches or follows what it wants to know:
ready {}                            always the first: what happens from now on will be told
turn_started {message_id}           follow it
turn_ended {message_id, status}
message {message_id}                one came, or changed outside a turn (a run's card, its result)
messages {}                         some were taken out of view
draft {workflow, version}           the workflow has a new version
run {run_id, message_id, status}    a run started, waits for a person, goes on or ended
node {run_id, node}                 `node` is what `run --json` prints for it
deleted {}                          this conversation is gone
news {what, …}                      an answer or a run is over, or a run asks; goes to pages that follow the list alone
list_changed {}                     the owner's list of conversations did; goes to all pages of the owner
resync {}                           nudges were lost: read everything again
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Any

Nudge = Mapping[str, Any]
CAPACITY = 500


class _Subscriber:
    def __init__(self, owner: str, conversation_id: str | None) -> None:
        self.owner = owner
        self.conversation_id = conversation_id
        self.waiting: deque[Nudge] = deque()
        self.ready = asyncio.Event()

    def wants(self, owner: str, nudge: Nudge) -> bool:
        if owner != self.owner:
            return False
        if nudge["type"] == "news":
            return self.conversation_id is None
        return nudge["type"] == "list_changed" or bool(nudge["conversation_id"] == self.conversation_id)

    def put(self, nudge: Nudge) -> None:
        """Queue it; one that repeats the last is dropped, and too many become one `resync`."""
        if self.waiting and self.waiting[-1] == nudge:
            return
        if len(self.waiting) >= CAPACITY:
            self.waiting.clear()
            nudge = {"type": "resync", "conversation_id": self.conversation_id}
        self.waiting.append(nudge)
        self.ready.set()


class Hub:
    """Who listens, and what they have not heard yet. Used from one event loop only."""

    def __init__(self) -> None:
        self._subscribers: set[_Subscriber] = set()
        self._closed = False

    def publish(self, owner: str, conversation_id: str, type: str, **data: Any) -> None:
        """Tell the owner's subscribers of this conversation; never waits."""
        nudge = {"type": type, "conversation_id": conversation_id, **data}
        for subscriber in self._subscribers:
            if subscriber.wants(owner, nudge):
                subscriber.put(nudge)

    async def subscribe(self, owner: str, conversation_id: str | None) -> AsyncGenerator[Nudge]:
        """The nudges from now on, of one conversation and of the owner's list; ends when the hub closes."""
        subscriber = _Subscriber(owner, conversation_id)
        subscriber.put({"type": "ready", "conversation_id": conversation_id})
        self._subscribers.add(subscriber)
        try:
            while not self._closed:
                await subscriber.ready.wait()
                subscriber.ready.clear()
                while subscriber.waiting:
                    yield subscriber.waiting.popleft()
        finally:
            self._subscribers.discard(subscriber)

    def close(self) -> None:
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.ready.set()
