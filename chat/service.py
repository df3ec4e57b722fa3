"""The one service for conversations: the page, the HTTP API, the terminal and the bots all come through here.

Every call names the owner; what belongs to somebody else is NotFound, as if it did not exist. A turn runs
in the background, whoever follows it: following is reading, and closing a page stops nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from chat.answers import Answer
from chat.events import Event, TurnEnded
from chat.failures import Failures
from chat.hub import Hub, Nudge
from chat.library import WorkflowLibrary
from chat.my_data import FILES, MyData
from chat.parts import Parts
from chat.proof import Proofs
from chat.recovery import recover
from chat.runner import Turns
from chat.schedules import make_timetable, put_card
from chat.service_runs import RunService
from chat.sharing import Sharing
from chat.spending import AssistantSpending
from chat.turns import Assistant
from engine.errors import Conflict, InputError
from engine.ports import ModelClient
from sessions.conversations import Conversation, Conversations, Message
from sessions.db import Database
from sessions.files import MOST_FILES, FileStore
from sessions.inbox import Inbox
from sessions.preferences import Preferences
from sessions.schedules import SqlScheduleStore
from sessions.workflow_tests import WorkflowTests
from sessions.workflows import Workflows

if TYPE_CHECKING:
    from engine.check import Checked
    from engine.engine import Engine
    from engine.schedules import Schedule
    from engine.timetable import Timetable
    from tools.registry import ToolRegistry

LARGEST_TEXT = 200_000  # characters of a message
POLL_SECONDS = 0.5  # how often a turn of another process is looked at
BROWSER = "browser"
LOCAL = "local"  # the one owner, until there are users


class ChatService(RunService):
    """Made once per process, inside its event loop; `recover` before the first use, `close` at the end.

    `conversations`, `workflows` and `preferences` are the stores, `library` the saved workflows as people change
    them, `proofs` what was verified of them, `my_data` exports and erases what an owner has (`home` is the data
    folder), `spending` what the assistant costs, `hub` the nudges, `timetable` the schedules; they may be used
    directly. What is done with runs is in RunService.
    """

    def __init__(
        self,
        db: Database,
        engine: Engine,
        models: ModelClient,
        tools: ToolRegistry,
        assistant: Assistant,
        timetable: Timetable | None = None,
        home: Path | None = None,
        *,
        proofs: Proofs | None = None,
        files: FileStore | None = None,
    ) -> None:
        self.db = db
        self.engine = engine
        self.models = models
        self.tools = tools
        self.conversations = Conversations(db)
        self.workflows = Workflows(db)
        self.hub = Hub()
        self.proofs = proofs or Proofs(engine, tools, self.workflows, WorkflowTests(db))
        self.sharing = Sharing(self.workflows, self.proofs, tools)
        self._inbox = Inbox(db)
        self._tasks: set[asyncio.Task[str]] = set()
        self.timetable = timetable or make_timetable(
            SqlScheduleStore(db), engine, self.workflows, models, tools
        )
        self.timetable.placed = self._follow_scheduled
        self.failures = Failures(engine, self.workflows, tools, models)
        self._turns = Turns(
            engine, assistant, self.conversations, self.workflows, self._inbox, self.hub, self.failures
        )
        self.library = library = WorkflowLibrary(
            self.workflows,
            self.conversations,
            self.timetable,
            engine.store,
            models,
            tools,
            self.hub,
            self.proofs,
        )
        self.current_workflow = library.current_workflow
        self.save_yaml = library.save_yaml
        self.save_workflow = library.save_workflow
        self.use_workflow = library.use_workflow
        self.restore = library.restore
        self.preferences = Preferences(db)
        home = home or db.path.parent
        self.files = files or FileStore(db, home / FILES)
        self.my_data = MyData(self, home)
        self.spending = AssistantSpending(db, assistant, self.conversations, self.workflows)

    async def recover(self) -> None:
        """Go on with what a process left that is gone: queued messages are answered, cut turns marked, open
        runs followed. At the start, after `Engine.recover`, and from time to time.
        """
        await recover(self._turns, self._inbox, self.engine)
        await self.files.sweep()

    async def close(self) -> None:
        """Interrupt live turns with their text kept, end all followers. Runs go on with the next start."""
        await self._turns.close()
        await self.proofs.close()
        self.hub.close()
        await self.timetable.close()

    async def _follow_scheduled(self, schedule: Schedule, run_id: str) -> None:
        """A run that a schedule of a conversation has started gets its message there, and is followed."""
        placed = await put_card(self._inbox, schedule, run_id, await self.engine.enter())
        if placed is not None:
            card, run = placed
            await self._turns.wait_for_runs(schedule.owner, card, [run])

    # --- conversations ---

    async def create(self, owner: str, title: str | None = None) -> Conversation:
        made = await self.conversations.create(owner, title)
        self._list_changed(owner, made.id)
        return made

    async def list(self, owner: str, query: str = "") -> list[Conversation]:
        """Newest first, without messages; `query` finds words in titles and messages."""
        return await self.conversations.list(owner, query)

    async def get(
        self, owner: str, conversation_id: str, *, limit: int | None = None, before: int | None = None
    ) -> Conversation:
        """With its messages: all, or the last `limit` (before seq `before`). Live ones as they are now."""
        found = await self.conversations.get(owner, conversation_id, limit=limit, before=before)
        return replace(found, messages=tuple(self._fresh(message) for message in found.messages))

    async def message(self, owner: str, conversation_id: str, message_id: str) -> Message:
        """One message, as it is now."""
        await self.conversations.head(owner, conversation_id)
        return self._fresh(await self._inbox.message(conversation_id, message_id))

    async def rename(self, owner: str, conversation_id: str, title: str) -> Conversation:
        renamed = await self.conversations.rename(owner, conversation_id, title)
        self._list_changed(owner, conversation_id)
        return renamed

    async def delete(self, owner: str, conversation_id: str) -> None:
        """Stop what happens in it, runs included, and delete it. Its workflow stays."""
        await self.conversations.head(owner, conversation_id)
        await self._turns.stop(self._turns.of_conversation(conversation_id))
        attached = [file.id for file in await self.files.of_conversation(owner, conversation_id)]
        await self.conversations.delete(owner, conversation_id)
        await self.files.forget(attached)
        self.hub.publish(owner, conversation_id, "deleted")
        self._list_changed(owner, conversation_id)

    # --- turns ---

    async def post(
        self,
        owner: str,
        conversation_id: str,
        text: str,
        *,
        channel: str = BROWSER,
        external_id: str | None = None,
        files: Sequence[str] = (),
    ) -> str:
        """Take a message in; the answer's id. It is answered in the background, after what came before it.

        `files` are the ids of what is attached to it; then the text may be empty. The same (channel, external_id)
        again gives the same id and changes nothing. InputError for an empty or oversized text, or too many files;
        NotFound or Conflict for a file that can't be attached here.
        """
        text = _checked(text, files)
        await self.conversations.head(owner, conversation_id)
        process = await self.engine.enter()
        answer, new = await self._inbox.receive(
            conversation_id, text, channel=channel, external_id=external_id, process=process, files=files
        )
        if new:
            self._begin(owner, answer)
        return answer.id

    async def follow(
        self, owner: str, conversation_id: str, *, message_id: str | None = None, after: int = 0
    ) -> AsyncGenerator[tuple[int, Event]]:
        """(number, event): the answer so far, then live, up to TurnEnded. Numbers rise by one from 1.

        Without `message_id` the answer that is under way; nothing when none is. `after` leaves out what
        has been seen. An answer that has ended is played back from its parts.
        """
        await self.conversations.head(owner, conversation_id)
        if message_id is None:
            answer = self._current(conversation_id)
            if answer is None:
                return
        else:
            await self._inbox.message(conversation_id, message_id)
            answer = self._turns.answer(message_id)
        log = answer.live if answer else self._turns.log(message_id) if message_id and after else None
        stream = log.follow(after) if log else self._play_back(conversation_id, message_id, after)
        async for numbered in stream:
            yield numbered

    async def stop(self, owner: str, conversation_id: str) -> None:
        """Stop the turn under way and the runs it started; kept is what was said. Messages that wait behind it
        are answered next.

        Returns when it has ended. Runs that were started from the page are cancelled on their own.
        """
        await self.conversations.head(owner, conversation_id)
        turns = [a for a in self._turns.of_conversation(conversation_id) if a.message.reply_to]
        first = [a for a in turns if a.phase == "queued"][:1]
        await self._turns.stop([a for a in turns if a.phase != "queued"] or first)

    async def edit(self, owner: str, conversation_id: str, message_id: str, text: str) -> str:
        """Send a message again with another text; it and what followed go out of view. The answer's id.

        What was attached to it stays attached.
        """
        await self.conversations.head(owner, conversation_id)
        message = await self._inbox.message(conversation_id, message_id)
        files = [str(part["id"]) for part in message.parts if part["kind"] == "file"]
        text = _checked(text, files)
        if message.role != "user":
            raise Conflict("Only your own messages can be edited.", "Ask for the answer anew instead.")
        await self._take_back(owner, message)
        return await self.post(owner, conversation_id, text, channel=message.channel, files=files)

    async def regenerate(self, owner: str, conversation_id: str, message_id: str) -> str:
        """Answer the same message anew ("try again"): the old answer and what followed go out of view."""
        await self.conversations.head(owner, conversation_id)
        message = await self._inbox.message(conversation_id, message_id)
        if message.reply_to is None:
            raise Conflict(
                "This message answers nothing.", "Start the run again, or ask for the answer anew."
            )
        question = await self._inbox.message(conversation_id, message.reply_to)
        await self._take_back(owner, message)
        answer = await self._inbox.ask_again(question, await self.engine.enter())
        self._begin(owner, answer)
        return answer.id

    async def subscribe(self, owner: str, conversation_id: str | None = None) -> AsyncGenerator[Nudge]:
        """What changes from now on, see `chat.hub`; without a conversation the owner's list alone."""
        if conversation_id is not None:
            await self.conversations.head(owner, conversation_id)
        async for nudge in self.hub.subscribe(owner, conversation_id):
            yield nudge

    async def check(self, yaml: str, owner: str = LOCAL) -> Checked:
        """What the one checker says of a document, and of the models here that it needs."""
        return await self.library.check(yaml, owner)

    # --- inside ---

    def _begin(self, owner: str, answer: Message) -> None:
        self._turns.enqueue(owner, answer)
        self.hub.publish(owner, answer.conversation_id, "message", message_id=answer.id)
        self._list_changed(owner, answer.conversation_id)

    def _current(self, conversation_id: str) -> Answer | None:
        """Who speaks or will speak first; else what only waits for a run, the latest."""
        under_way = self._turns.of_conversation(conversation_id)
        speaking = [answer for answer in under_way if answer.phase in ("answering", "queued")]
        return speaking[0] if speaking else under_way[-1] if under_way else None

    def _fresh(self, message: Message) -> Message:
        answer = self._turns.answer(message.id)
        if answer is None:
            return message
        parts = answer.live.parts
        return replace(message, text=parts.text, parts=tuple(parts.to_list()))

    async def _play_back(
        self, conversation_id: str, message_id: str | None, after: int
    ) -> AsyncIterator[tuple[int, Event]]:
        message = await self._inbox.message(conversation_id, message_id or "")
        while message.status == "live":  # another process is at it
            await asyncio.sleep(POLL_SECONDS)
            message = await self._inbox.message(conversation_id, message.id)
        events = [*Parts(message.parts).events(), TurnEnded(message.id, message.status)]
        for number, event in enumerate(events, start=1):
            if number > after:
                yield number, event

    async def _take_back(self, owner: str, message: Message) -> None:
        """Stop what is under way from this message on, and take it all out of view."""
        await self._turns.stop(self._turns.of_conversation(message.conversation_id, from_seq=message.seq))
        await self._inbox.hide_from(message.conversation_id, message.seq)
        self.hub.publish(owner, message.conversation_id, "messages")

    def _list_changed(self, owner: str, conversation_id: str) -> None:
        self.hub.publish(owner, conversation_id, "list_changed")


def _checked(text: str, files: Sequence[str] = ()) -> str:
    text = text.strip()
    if len(set(files)) > MOST_FILES:
        raise InputError(
            f"{len(set(files))} files are too many for a message; {MOST_FILES} are the most.",
            "Send the others with the next one.",
            "files",
        )
    if not text and not files:
        raise InputError("The message is empty.", "Write what should happen.", "text")
    if len(text) > LARGEST_TEXT:
        raise InputError(
            f"The message has {len(text):,} characters; {LARGEST_TEXT:,} is the most.", "Send less.", "text"
        )
    return text
