"""An answer under way: its log for the followers, and its keeping in the store, twice a second at least."""

from __future__ import annotations

import asyncio
from typing import Any

from chat.events import Event, Text, TurnEnded
from chat.live import LiveMessage
from sessions.conversations import Message, MessageStatus
from sessions.inbox import Inbox, OpenRun

SAVE_SECONDS = 0.4


class Answer:
    """One message of the assistant until it ends. The store writes in the order of the calls, so no older
    state can overtake a newer one.

    `work` is the task in which the assistant speaks, `runs` the tasks that follow its runs. `released` is set
    when nobody wants to wait for those runs any longer, `ended` when the message has ended or is left to the
    next start.
    """

    def __init__(self, inbox: Inbox, owner: str, message: Message) -> None:
        self.owner = owner
        self.message = message
        self.live = LiveMessage(message.id, message.conversation_id, message.parts)
        self.phase = message.phase
        self.work: asyncio.Task[MessageStatus] | None = None
        self.runs: dict[str, asyncio.Task[None]] = {}
        self.stopping = False
        self.released = asyncio.Event()
        self.ended = asyncio.Event()
        self._inbox = inbox
        self._due: asyncio.TimerHandle | None = None
        self._saving: asyncio.Task[None] | None = None

    @property
    def open_runs(self) -> bool:
        """Whether a run of it is still followed."""
        return any(not task.done() for task in self.runs.values())

    async def take(self, event: Event) -> None:
        """Tell the followers and keep it: text within SAVE_SECONDS, everything else that lasts at once."""
        self.live.publish(event)
        if isinstance(event, Text):
            if self._due is None:
                self._due = asyncio.get_running_loop().call_later(SAVE_SECONDS, self._save_now)
        elif event.lasting:
            await self._inbox.save(self.message.id, *self._content())

    async def speak(self, process: str) -> None:
        """Its turn has come."""
        self.phase = "answering"
        await self._inbox.set_phase(self.message.id, self.phase, process)

    async def wait(self, process: str) -> None:
        """All is said, and kept; what comes now are its runs."""
        self.phase = "waiting"
        await self._inbox.set_waiting(self.message.id, process, *self._content())

    async def open_run(self, run: OpenRun) -> None:
        """Keep what there is, with the note that the run's result belongs here."""
        await self._inbox.open_run(run, *self._content())

    async def end(self, status: MessageStatus) -> None:
        """Keep the whole, then tell the followers that this was it."""
        self._forget_due()
        self.phase = None
        await self._inbox.finish(self.message.id, status, *self._content())
        self.live.publish(TurnEnded(self.message.id, status))
        self.ended.set()

    def abandon(self) -> None:
        """Leave it as it is stored: the next start of the process goes on with it."""
        self._forget_due()
        self.live.abandon()
        self.ended.set()

    def _content(self) -> tuple[str, list[dict[str, Any]]]:
        return self.live.parts.text, self.live.parts.to_list()

    def _save_now(self) -> None:
        self._due = None
        self._saving = asyncio.create_task(self._save())

    async def _save(self) -> None:
        await self._inbox.save(self.message.id, *self._content())

    def _forget_due(self) -> None:
        if self._due:
            self._due.cancel()
        self._due = None
