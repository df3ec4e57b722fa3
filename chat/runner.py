"""Runs the turns: one at a time per conversation, in the background, whoever looks on.

A turn speaks (`answering`), then waits for the runs it started (`waiting`) unless somebody writes the next
message: then it ends, and its runs go on writing into it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any

from chat.answers import Answer
from chat.asked import questions_for, what_comes, which_of
from chat.events import (
    DraftChanged,
    Event,
    Failed,
    NodeChanged,
    RunEnded,
    RunStarted,
    RunWaiting,
    Text,
    TurnEnded,
)
from chat.failures import Failures
from chat.hub import Hub
from chat.live import LiveMessage
from chat.runs import RunFollower, runs_of
from chat.turns import Assistant, CurrentWorkflow, PastMessage, TurnContext
from engine.errors import InputError, NotFound, ParlanceError
from sessions.conversations import Conversation, Conversations, Message, MessageStatus
from sessions.inbox import Inbox, OpenRun
from sessions.workflows import Workflows

if TYPE_CHECKING:
    from engine.engine import Engine

logger = logging.getLogger(__name__)

INTERNAL_FIX = "Try again; the log tells more."
NOT_ANSWERED = "Nothing was answered yet: answer on the question's card."
STOP_SECONDS = 2.0  # how long a stopped answer waits for the last word of its runs
KEPT_LOGS = 100
OTHER_PROCESS_SECONDS = 0.5  # how often a turn looks whether another process has ended the one before it


class Turns:
    """The turns of this process."""

    def __init__(
        self,
        engine: Engine,
        assistant: Assistant,
        conversations: Conversations,
        workflows: Workflows,
        inbox: Inbox,
        hub: Hub,
        failures: Failures | None = None,
    ) -> None:
        self._engine = engine
        self._assistant = assistant
        self._conversations = conversations
        self._workflows = workflows
        self._inbox = inbox
        self._hub = hub
        self._answers: dict[str, Answer] = {}
        self._logs: OrderedDict[str, LiveMessage] = OrderedDict()
        self._queues: dict[str, deque[Answer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._runs = RunFollower(engine, inbox, hub, self._answers.get, failures)

    def answer(self, message_id: str) -> Answer | None:
        """The answer while it is under way in this process."""
        return self._answers.get(message_id)

    def log(self, message_id: str) -> LiveMessage | None:
        """The events of an answer, as they came: while it is under way, and for those that ended last.

        Who was cut off in the middle goes on by their numbers, which the parts of a message do not have.
        """
        answer = self._answers.get(message_id)
        return answer.live if answer else self._logs.get(message_id)

    def of_conversation(self, conversation_id: str, from_seq: int = 0) -> list[Answer]:
        """The answers under way, in the order of the conversation."""
        found = [a for a in self._answers.values() if a.message.conversation_id == conversation_id]
        return sorted((a for a in found if a.message.seq >= from_seq), key=lambda a: a.message.seq)

    # --- starting and stopping ---

    def enqueue(self, owner: str, message: Message) -> None:
        """Answer a queued message as soon as those before it have spoken."""
        conversation_id = message.conversation_id
        for earlier in self.of_conversation(conversation_id):
            if earlier.message.reply_to:
                earlier.released.set()
        answer = self._register(owner, message)
        queue = self._queues.setdefault(conversation_id, deque())
        queue.append(answer)
        if len(queue) == 1:
            self._spawn(self._work(conversation_id, queue))

    async def wait_for_runs(self, owner: str, message: Message, runs: Iterable[OpenRun]) -> None:
        """A message that only waits for runs: a card from the page, or one that a killed process left."""
        answer = self._register(owner, message)
        for run in runs:
            if answer.live.parts.has("run_started", run.run_id):
                self._follow(answer, run)
            else:
                await self._adopt(answer, run)
        self._nudge(answer, "message")
        self._spawn(self._guarded(answer, self._wait_and_end(answer, "ok")))

    def follow_run(self, run: OpenRun) -> None:
        """Write the run's end, or what it asks, into a message that has ended itself."""
        self._runs.follow(run)

    async def write_questions(self, run: OpenRun) -> None:
        """A question of the run was answered: say so in its message, and follow what comes next."""
        await self._runs.write_questions(run)
        self._runs.follow(run)

    async def stop(self, answers: Sequence[Answer]) -> None:
        """Stop them and the runs they started, and wait until they have ended."""
        for answer in answers:
            answer.stopping = True
            if answer.work:
                answer.work.cancel()
            for run_id in list(answer.runs):
                await self._engine.cancel(run_id)
        ends = [asyncio.create_task(answer.ended.wait()) for answer in answers]
        if ends:
            await asyncio.wait(ends, timeout=STOP_SECONDS)
            for answer in answers:
                answer.released.set()
            await asyncio.wait(ends)

    async def close(self) -> None:
        """Interrupt what speaks, keep what it has said, leave runs and queued messages to the next start."""
        self._closing = True
        for answer in self._answers.values():
            answer.released.set()
            if answer.work:
                answer.work.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        for answer in list(self._answers.values()):
            answer.abandon()
        await self._runs.close()

    # --- one turn ---

    async def _work(self, conversation_id: str, queue: deque[Answer]) -> None:
        while queue and not self._closing:
            await self._guarded(queue[0], self._turn(queue[0]))
            queue.popleft()
        if not queue:
            del self._queues[conversation_id]

    async def _guarded(self, answer: Answer, work: Coroutine[Any, Any, None]) -> None:
        """When the store fails the message stays as it is stored, and the next turn has its chance."""
        try:
            await work
        except Exception:
            logger.exception("The answer %s could not be kept", answer.message.id)
            self._forget(answer).abandon()

    async def _turn(self, answer: Answer) -> None:
        await self._after_other_processes(answer)
        if self._closing:
            return
        status: MessageStatus = "stopped"
        if not answer.stopping:
            await answer.speak(await self._engine.enter())
            self._nudge(answer, "turn_started")
            work = self._begin(answer)
            await asyncio.wait({work})
            status = self._cut_status(answer) if work.cancelled() else work.result()
            await self._adopt_runs(answer)
        await self._wait_and_end(answer, status)

    def _begin(self, answer: Answer) -> asyncio.Task[MessageStatus]:
        work = answer.work = asyncio.create_task(self._speak(answer))
        if answer.stopping or self._closing:  # said while there was no work to cancel yet
            work.cancel()
        return work

    async def _wait_and_end(self, answer: Answer, status: MessageStatus) -> None:
        """Wait for the answer's runs, unless it failed or somebody writes on; then it has ended."""
        if answer.open_runs and status in ("ok", "stopped"):
            if answer.phase != "waiting":
                await answer.wait(await self._engine.enter())
            await _first_of(answer.released, answer.runs.values())
            if self._closing and answer.open_runs and status == "ok":
                return
        await answer.end("stopped" if answer.stopping else status)
        self._forget(answer)
        self._nudge(answer, "turn_ended", status=answer.live.status)
        if answer.live.status == "ok":
            self._nudge(answer, "news", what="answer")

    async def _speak(self, answer: Answer) -> MessageStatus:
        try:
            conversation, said = await self._said(answer)
            before = [message for message in conversation.messages if message.seq < said.seq]
            asked = await questions_for(self._engine, answer.owner, said, before)
            if asked:
                return await self._pass_on(answer, asked)
            context = await self._context(answer, conversation, said, before)
            return await self._listen(answer, self._assistant.turn(context))
        except asyncio.CancelledError:
            return self._cut_status(answer)
        except ParlanceError as error:
            await answer.take(Failed(error.code, error.message, error.fix))
        except Exception:
            logger.exception("The turn %s failed", answer.message.id)
            await answer.take(Failed("internal_error", "Something went wrong in this turn.", INTERNAL_FIX))
        return "failed"

    async def _pass_on(self, answer: Answer, found: Sequence[Mapping[str, Any]]) -> MessageStatus:
        """The message is the answer to a run's question: the run goes on, no model is asked."""
        if len(found) > 1:
            await answer.take(Text(which_of(found)))
            return "ok"
        asked = found[0]
        run = await self._engine.record(asked["run_id"])
        value, path = asked["answer"], asked["path"]
        try:
            await self._engine.answer(run.id, path, value, by=answer.owner, iteration=asked["iteration"])
        except InputError as error:
            await answer.take(Text(f"{error} {NOT_ANSWERED}"))
            return "ok"
        await answer.take(Text(f"“{value}” it is: {run.workflow} goes on."))
        if run.conversation_id and run.message_id:
            await self.write_questions(OpenRun(run.id, run.owner, run.conversation_id, run.message_id))
        if came := await what_comes(self._engine, run.id):
            await answer.take(Text(f"\n\n{came}"))
        return "ok"

    async def _listen(self, answer: Answer, stream: AsyncIterator[Event]) -> MessageStatus:
        status: MessageStatus = "ok"
        async with AsyncExitStack() as stack:
            if isinstance(stream, AsyncGenerator):
                await stack.enter_async_context(aclosing(stream))
            async for event in stream:
                await self._take(answer, event)
                if isinstance(event, Failed):
                    status = "failed"
        return status

    async def _take(self, answer: Answer, event: Event) -> None:
        """Keep and publish one event. News of a run that is followed comes from its follower alone."""
        if isinstance(event, TurnEnded):
            return
        if isinstance(event, NodeChanged | RunWaiting | RunEnded) and event.run_id in answer.runs:
            return
        if isinstance(event, RunStarted):
            await self._start_following(answer, event)
            return
        await answer.take(event)
        if isinstance(event, DraftChanged):
            await self._drafted(answer, event)

    async def _drafted(self, answer: Answer, event: DraftChanged) -> None:
        conversation_id = answer.message.conversation_id
        await self._conversations.set_workflow(answer.owner, conversation_id, event.workflow)
        self._nudge(answer, "draft", workflow=event.workflow, version=event.version)

    async def _said(self, answer: Answer) -> tuple[Conversation, Message]:
        """The conversation up to the message that is answered, and that message."""
        message = answer.message
        conversation = await self._conversations.get(
            answer.owner, message.conversation_id, before=message.seq
        )
        question = next((m for m in conversation.messages if m.id == message.reply_to), None)
        if question is None:
            raise NotFound("The message that this turn answers is gone.", "Write it again.")
        return conversation, question

    async def _context(
        self, answer: Answer, conversation: Conversation, said: Message, before: Sequence[Message]
    ) -> TurnContext:
        return TurnContext(
            owner=answer.owner,
            conversation_id=conversation.id,
            message_id=answer.message.id,
            text=said.text,
            history=tuple(map(_past, before)),
            workflow=await self._current_workflow(conversation),
            user_message_id=said.id,
            files=tuple(part for part in said.parts if part["kind"] == "file"),
        )

    async def _current_workflow(self, conversation: Conversation) -> CurrentWorkflow | None:
        if conversation.workflow is None:
            return None
        newest = await self._workflows.get(conversation.owner, conversation.workflow)
        return CurrentWorkflow(newest.name, newest.version, newest.yaml)

    # --- runs of a turn ---

    async def _start_following(self, answer: Answer, event: RunStarted) -> None:
        answer.live.publish(event)
        run = OpenRun(event.run_id, answer.owner, answer.message.conversation_id, answer.message.id)
        await answer.open_run(run)
        self._follow(answer, run)

    def _follow(self, answer: Answer, run: OpenRun) -> None:
        answer.runs[run.run_id] = self._runs.follow(run)

    async def _adopt_runs(self, answer: Answer) -> None:
        """A turn that was cut may have started a run and not said so: it belongs to the message even so."""
        for run in await runs_of(self._engine, self._inbox, answer.owner, answer.message):
            if run.run_id in answer.runs:
                continue
            await self._adopt(answer, run)
            if answer.stopping:
                await self._engine.cancel(run.run_id)

    async def _adopt(self, answer: Answer, run: OpenRun) -> None:
        view = await self._engine.view(run.run_id)
        await self._start_following(answer, RunStarted(run.run_id, view["workflow"], view["inputs"]))

    # --- small helpers ---

    async def _after_other_processes(self, answer: Answer) -> None:
        """Another process (`app.py chat`) may be answering in this conversation: one turn at a time."""
        process = await self._engine.enter()
        while not (self._closing or answer.stopping):
            others = await self._inbox.answering_elsewhere(answer.message, process)
            if not [other for other in others if await self._engine.alive(other)]:
                return
            await asyncio.sleep(OTHER_PROCESS_SECONDS)

    @staticmethod
    def _cut_status(answer: Answer) -> MessageStatus:
        return "stopped" if answer.stopping else "interrupted"

    def _nudge(self, answer: Answer, type: str, **data: Any) -> None:
        message = answer.message
        self._hub.publish(answer.owner, message.conversation_id, type, message_id=message.id, **data)

    def _register(self, owner: str, message: Message) -> Answer:
        answer = self._answers[message.id] = Answer(self._inbox, owner, message)
        return answer

    def _forget(self, answer: Answer) -> Answer:
        del self._answers[answer.message.id]
        if answer.live.ended:
            self._logs[answer.message.id] = answer.live
            if len(self._logs) > KEPT_LOGS:
                self._logs.popitem(last=False)
        return answer

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _first_of(event: asyncio.Event, tasks: Iterable[asyncio.Task[None]]) -> None:
    """Wait until the event is set or all tasks have ended."""
    waiting = asyncio.create_task(event.wait())
    try:
        open_tasks = {task for task in tasks if not task.done()}
        while open_tasks and not event.is_set():
            done, _ = await asyncio.wait({waiting, *open_tasks}, return_when=asyncio.FIRST_COMPLETED)
            open_tasks -= done
    finally:
        waiting.cancel()


def _past(message: Message) -> PastMessage:
    return PastMessage(message.id, message.role, message.text, message.parts, message.status)
