"""Follows the runs that belong to a conversation, and writes what comes of them into its messages.

A run outlives the turn that started it, the page and the process: what is owed to a message is noted in the
store (`Inbox.open_run`), and after a restart the runs that are still owed are followed again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from chat.answers import Answer
from chat.events import Event, Failed, Fix, NodeChanged, RunEnded, RunStarted, RunWaiting, Step
from chat.failures import Failures
from chat.hub import Hub
from chat.parts import Parts
from engine.errors import ParlanceError
from engine.ports import RunEvent
from engine.view import question_view
from sessions.conversations import Message
from sessions.inbox import Inbox, OpenRun

if TYPE_CHECKING:
    from engine.engine import Engine

logger = logging.getLogger(__name__)

LACKING_SECONDS = 1.0
"""How often it is looked whether anybody can execute a run that has not started."""

DUE_LOOK_SECONDS = 0.5
"""How often it is looked whether the time of a question is over, while any waits that has one."""
DUE_AFTER_SECONDS = 1.5
"""How long after its time a question is looked at: by then its default was taken."""
DUE_GIVEN_UP_SECONDS = 30.0
"""How long a question that nobody takes the default of is looked at; then it is left to the next recovery."""


class RunFollower:
    """One task per run, while it runs: none for one that waits for a person, which has to be followed again when it
    goes on. `answer_of` gives the answer that is still under way for a message id, or None.
    """

    def __init__(
        self,
        engine: Engine,
        inbox: Inbox,
        hub: Hub,
        answer_of: Callable[[str], Answer | None],
        failures: Failures | None = None,
    ) -> None:
        self._failures = failures
        self._engine = engine
        self._inbox = inbox
        self._hub = hub
        self._answer_of = answer_of
        self._tasks: dict[OpenRun, asyncio.Task[None]] = {}
        self._lacking: dict[OpenRun, str] = {}
        self._looks: dict[
            OpenRun, float
        ] = {}  # when to look at a waiting run again, as its default will be taken
        self._looking: asyncio.Task[None] | None = None

    def follow(self, run: OpenRun) -> asyncio.Task[None]:
        """Follow it in the background until it has ended or waits for a person, and that is written."""
        if run not in self._tasks:
            task = self._tasks[run] = asyncio.create_task(self._follow(run))
            task.add_done_callback(lambda _: self._tasks.pop(run, None))
        return self._tasks[run]

    async def close(self) -> None:
        """Stop following; the runs and what is owed stay as they are stored."""
        self._looks.clear()
        tasks = [*self._tasks.values(), *([self._looking] if self._looking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, run: OpenRun) -> None:
        self._nudge(run, "running")
        watching = asyncio.create_task(self._say_what_lacks(run))
        try:
            async for event in self._engine.events(run.run_id, until_waiting=True):
                await self._take(run, event)
            await self.write_questions(run)  # a sub-workflow's too: its events are not the run's own
        except ParlanceError as error:
            logger.exception("Run %s could not be followed", run.run_id)
            await self._write(run, Failed(error.code, error.message, error.fix))
        finally:
            watching.cancel()
            self._lacking.pop(run, None)

    async def _say_what_lacks(self, run: OpenRun) -> None:
        """As long as nobody executes the run, a step of the answer says why."""
        while True:
            await asyncio.sleep(LACKING_SECONDS)
            try:
                found = await self._engine.lacking(run.run_id)
            except ParlanceError as error:
                logger.warning("Run %s can't be looked at: %s", run.run_id, error)
                continue
            if found is None:
                self._lacks_nothing(run)
            elif self._lacking.get(run) != found:
                self._lacking[run] = found
                self._publish(run, Step(f"waits-{run.run_id}", found))

    def _lacks_nothing(self, run: OpenRun) -> None:
        said = self._lacking.pop(run, None)
        if said is not None:
            self._publish(run, Step(f"waits-{run.run_id}", said, "ok"))

    def _publish(self, run: OpenRun, event: Event) -> None:
        answer = self._answer_of(run.message_id)
        if answer is not None and not answer.live.ended:
            answer.live.publish(event)

    async def _take(self, run: OpenRun, event: RunEvent) -> None:
        if event.kind != "run_started":
            self._lacks_nothing(run)
        if event.kind == "run_ended":
            status = str(event.data["status"])
            await self.write_questions(run)
            why = await self._why(run) if status == "failed" else []
            await self._write(run, RunEnded(run.run_id, status, event.data), *why)
            self._nudge(run, status)
            times = {name: event.data.get(name) for name in ("workflow", "created_at", "ended_at")}
            self._tell(run, "run", status=status, **times)
            self._hub.publish(run.owner, run.conversation_id, "list_changed")
        elif event.kind != "run_started":
            answer = self._answer_of(run.message_id)
            if answer:
                answer.live.publish(NodeChanged(run.run_id, event.data))
            self._hub.publish(run.owner, run.conversation_id, "node", run_id=run.run_id, node=event.data)
            if event.kind == "node_waiting":
                await self.write_questions(run)
                self._tell(run, "question")

    async def _why(self, run: OpenRun) -> list[Event]:
        """Why it failed, and what can be done about it; what can't be found out is left out, and logged."""
        if self._failures is None:
            return []
        try:
            return await self._failures.explain(run.run_id)
        except ParlanceError as error:
            logger.warning("Why run %s failed can't be told: %s", run.run_id, error)
            return []

    async def write_questions(self, run: OpenRun) -> None:
        """Bring what the run has asked, and what it was answered, up to date in the message."""
        found = await self._engine.store.waits(root_id=run.run_id, answered=None)
        if found:
            await self._write(
                run, RunWaiting(run.run_id, [question_view(wait) for wait in found]), ended=False
            )
            is_open = any(wait.answered_at is None for wait in found)
            self._nudge(run, "waiting" if is_open else "running")
        dues = [wait.due_at for wait in found if wait.answered_at is None and wait.due_at is not None]
        self._look_at(run, min(dues, default=None))

    def _look_at(self, run: OpenRun, due_at: float | None) -> None:
        """Follow the run again once this time is over. One task does so for all runs."""
        now = time.time()
        if due_at is None or now > due_at + DUE_GIVEN_UP_SECONDS:
            self._looks.pop(run, None)
            return
        self._looks[run] = max(due_at, now) + DUE_AFTER_SECONDS
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while self._looks:
            await asyncio.sleep(DUE_LOOK_SECONDS)
            now = time.time()
            for run in [run for run, at in self._looks.items() if at <= now]:
                del self._looks[run]
                self.follow(run)

    async def _write(self, run: OpenRun, *events: Event, ended: bool = True) -> None:
        """Into the answer under way and its followers, or into the message as it was stored."""
        answer = self._answer_of(run.message_id)
        if answer and not answer.live.ended:
            for event in _new(answer.live.parts, run, events):
                answer.live.publish(event)
        await self._inbox.write_run(run, lambda message: _changed(message, run, events), ended=ended)
        self._hub.publish(run.owner, run.conversation_id, "message", message_id=run.message_id)

    def _tell(self, run: OpenRun, what: str, **data: Any) -> None:
        self._hub.publish(run.owner, run.conversation_id, "news", what=what, run_id=run.run_id, **data)

    def _nudge(self, run: OpenRun, status: str) -> None:
        self._hub.publish(
            run.owner,
            run.conversation_id,
            "run",
            run_id=run.run_id,
            message_id=run.message_id,
            status=status,
        )


async def runs_of(engine: Engine, inbox: Inbox, owner: str, message: Message) -> list[OpenRun]:
    """The runs whose end this message lacks: those it noted, and those that a process started for it that was killed
    before it could note them."""
    noted = await inbox.noted_runs(message.id)
    stored = await engine.store.find(owner=owner, conversation_id=message.conversation_id, limit=1000)
    silent = [
        OpenRun(run.id, owner, message.conversation_id, message.id)
        for run in reversed(stored)
        if run.message_id == message.id and run.id not in noted
    ]
    return [*filter(None, noted.values()), *silent]


def _new(parts: Parts, run: OpenRun, events: Sequence[Event]) -> Sequence[Event]:
    """Why a run failed is said once, and asked about once, however often its end is seen."""
    return events[:1] if parts.has(Fix.kind, run.run_id) else events


def _changed(message: Message, run: OpenRun, events: Sequence[Event]) -> tuple[str, list[dict[str, Any]]]:
    """The stored message with the run's card and its end."""
    event = events[0]
    parts = Parts(message.parts)
    if not parts.has("run_started", run.run_id):
        view = event.run if isinstance(event, RunEnded) else {}
        parts.add(RunStarted(run.run_id, str(view.get("workflow", "")), view.get("inputs", {})))
    for event in _new(parts, run, events):
        parts.add(event)
    return parts.text, parts.to_list()
