"""Follows the runs that belong to a conversation, and writes what comes of them into its messages.

A run outlives the turn that started it, the page and the process: what is owed to a message is noted in the
store (`Inbox.open_run`), and after a restart the runs that are still owed are followed again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chat.answers import Answer
from chat.events import Event, Failed, NodeChanged, RunEnded, RunStarted
from chat.hub import Hub
from chat.parts import Parts
from engine.errors import ParlanceError
from engine.ports import RunEvent
from sessions.conversations import Message
from sessions.inbox import Inbox, OpenRun

if TYPE_CHECKING:
    from engine.engine import Engine

logger = logging.getLogger(__name__)


class RunFollower:
    """One task per run. `answer_of` gives the answer that is still under way for a message id, or None."""

    def __init__(
        self, engine: Engine, inbox: Inbox, hub: Hub, answer_of: Callable[[str], Answer | None]
    ) -> None:
        self._engine = engine
        self._inbox = inbox
        self._hub = hub
        self._answer_of = answer_of
        self._tasks: dict[OpenRun, asyncio.Task[None]] = {}

    def follow(self, run: OpenRun) -> asyncio.Task[None]:
        """Follow it in the background until it ended and its result is written; once per message."""
        if run not in self._tasks:
            task = self._tasks[run] = asyncio.create_task(self._follow(run))
            task.add_done_callback(lambda _: self._tasks.pop(run, None))
        return self._tasks[run]

    async def close(self) -> None:
        """Stop following; the runs and what is owed stay as they are stored."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, run: OpenRun) -> None:
        self._nudge(run, "running")
        try:
            async for event in self._engine.events(run.run_id):
                await self._take(run, event)
        except ParlanceError as error:
            logger.exception("Run %s could not be followed", run.run_id)
            await self._write(run, Failed(error.code, error.message, error.fix))

    async def _take(self, run: OpenRun, event: RunEvent) -> None:
        if event.kind == "run_ended":
            status = str(event.data["status"])
            await self._write(run, RunEnded(run.run_id, status, event.data))
            self._nudge(run, status)
        elif event.kind in ("node_started", "node_ended"):
            answer = self._answer_of(run.message_id)
            if answer:
                answer.live.publish(NodeChanged(run.run_id, event.data))
            self._hub.publish(run.owner, run.conversation_id, "node", run_id=run.run_id, node=event.data)

    async def _write(self, run: OpenRun, event: Event) -> None:
        """Into the answer under way and its followers, or into the message as it was stored."""
        answer = self._answer_of(run.message_id)
        if answer and not answer.live.ended:
            answer.live.publish(event)
        await self._inbox.close_run(run, lambda message: _changed(message, run, event))
        self._hub.publish(run.owner, run.conversation_id, "message", message_id=run.message_id)

    def _nudge(self, run: OpenRun, status: str) -> None:
        self._hub.publish(
            run.owner,
            run.conversation_id,
            "run",
            run_id=run.run_id,
            message_id=run.message_id,
            status=status,
        )


def _changed(message: Message, run: OpenRun, event: Event) -> tuple[str, list[dict[str, Any]]]:
    """The stored message with the run's card and its end."""
    parts = Parts(message.parts)
    if not parts.has("run_started", run.run_id):
        view = event.run if isinstance(event, RunEnded) else {}
        parts.add(RunStarted(run.run_id, str(view.get("workflow", "")), view.get("inputs", {})))
    parts.add(event)
    return parts.text, parts.to_list()
