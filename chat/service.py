"""The one service for conversations: the page, the HTTP API, the terminal and the bots all come through here.

Every call names the owner; what belongs to somebody else is NotFound, as if it did not exist. A turn runs
in the background, whoever follows it: following is reading, and closing a page stops nothing.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chat.answers import Answer
from chat.events import Event, TurnEnded
from chat.hub import Hub, Nudge
from chat.parts import Parts
from chat.proof import Proofs
from chat.recovery import recover
from chat.runner import Turns
from chat.schedules import make_timetable
from chat.turns import Assistant
from engine.errors import Conflict, InputError, NotFound, WorkflowInvalid
from engine.ports import ModelClient, RunEvent, RunRecord
from engine.prepare import prepare
from sessions.conversations import Conversation, Conversations, Message
from sessions.db import Database
from sessions.inbox import Inbox, OpenRun
from sessions.schedules import SqlScheduleStore
from sessions.workflow_tests import WorkflowTests
from sessions.workflows import Author, Version, Workflows

if TYPE_CHECKING:
    from engine.check import Checked
    from engine.engine import Engine
    from engine.timetable import Timetable
    from engine.workflow import Workflow
    from tools.registry import ToolRegistry

LARGEST_TEXT = 200_000  # characters of a message
POLL_SECONDS = 0.5  # how often a turn of another process is looked at
BROWSER = "browser"
LOCAL = "local"  # the one owner, until there are users


class ChatService:
    """Made once per process, inside its event loop; `recover` before the first use, `close` at the end.

    `conversations` and `workflows` are the stores, `hub` the nudges, `timetable` the schedules; they may be used
    directly.
    """

    def __init__(
        self,
        db: Database,
        engine: Engine,
        models: ModelClient,
        tools: ToolRegistry,
        assistant: Assistant,
        timetable: Timetable | None = None,
    ) -> None:
        self.db = db
        self.engine = engine
        self.models = models
        self.tools = tools
        self.conversations = Conversations(db)
        self.workflows = Workflows(db)
        self.hub = Hub()
        self.proofs = Proofs(engine, tools, self.workflows, WorkflowTests(db))
        self._inbox = Inbox(db)
        self._tasks: set[asyncio.Task[str]] = set()
        self.timetable = timetable or make_timetable(
            SqlScheduleStore(db), engine, self.workflows, models, tools
        )
        self._turns = Turns(engine, assistant, self.conversations, self.workflows, self._inbox, self.hub)

    async def recover(self) -> None:
        """Go on with what a process left that is gone: queued messages are answered, cut turns marked, open
        runs followed. At the start, after `Engine.recover`, and from time to time.
        """
        await recover(self._turns, self._inbox, self.engine)

    async def close(self) -> None:
        """Interrupt live turns with their text kept, end all followers. Runs go on with the next start."""
        await self._turns.close()
        await self.proofs.close()
        self.hub.close()
        await self.timetable.close()

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
        await self.conversations.delete(owner, conversation_id)
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
    ) -> str:
        """Take a message in; the answer's id. It is answered in the background, after what came before it.

        The same (channel, external_id) again gives the same id and changes nothing. InputError for an
        empty or oversized text.
        """
        text = _checked(text)
        await self.conversations.head(owner, conversation_id)
        process = await self.engine.enter()
        answer, new = await self._inbox.receive(
            conversation_id, text, channel=channel, external_id=external_id, process=process
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
        """Send a message again with another text; it and what followed go out of view. The answer's id."""
        text = _checked(text)
        await self.conversations.head(owner, conversation_id)
        message = await self._inbox.message(conversation_id, message_id)
        if message.role != "user":
            raise Conflict("Only your own messages can be edited.", "Ask for the answer anew instead.")
        await self._take_back(owner, message)
        return await self.post(owner, conversation_id, text, channel=message.channel)

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

    # --- workflows ---

    async def current_workflow(self, owner: str, conversation_id: str) -> Version | None:
        """The newest version of the workflow that the conversation is about."""
        head = await self.conversations.head(owner, conversation_id)
        return await self.workflows.get(owner, head.workflow) if head.workflow else None

    async def check(self, yaml: str, owner: str = LOCAL) -> Checked:
        """What the one checker says of a document, and of the models here that it needs."""
        from engine.prepare import check_here

        return await check_here(yaml, self.tools, self.models, self.workflows.of(owner))

    async def save_yaml(self, owner: str, conversation_id: str, yaml: str, summary: str) -> Version:
        """What the editor saves: the next version of the conversation's workflow, or a new one.

        WorkflowInvalid when the checker finds errors: what is saved can run.
        """
        head = await self.conversations.head(owner, conversation_id)
        await self._checked_workflow(owner, yaml)
        name, number = await self.workflows.save(
            owner, head.workflow, yaml, summary, author="editor", conversation_id=conversation_id
        )
        return await self._drafted(owner, conversation_id, name, number)

    async def save_workflow(
        self, owner: str, yaml: str, summary: str, author: Author = "api"
    ) -> dict[str, Any]:
        """Keep a document under its `flow.name`, outside of any conversation: {name, version}. WorkflowInvalid."""
        checked = await self._checked_workflow(owner, yaml)
        known = {each.name for each in await self.workflows.list(owner, archived=None)}
        name = checked.name if checked.name in known else None
        saved, version = await self.workflows.save(owner, name, yaml, summary, author=author)
        return {"name": saved, "version": version, "proof": await self.proofs.prove(owner, saved, version)}

    async def use_workflow(self, owner: str, conversation_id: str, name: str) -> Version:
        """Make the conversation about a workflow that is saved already."""
        found = await self.workflows.get(owner, name)
        return await self._drafted(owner, conversation_id, name, found.version)

    async def restore(self, owner: str, conversation_id: str, version: int) -> Version:
        """Go back to an older version of the conversation's workflow: its text becomes the newest version."""
        head = await self.conversations.head(owner, conversation_id)
        if head.workflow is None:
            raise Conflict("This conversation has no workflow yet.", "Ask for one first.")
        name, number = await self.workflows.restore(
            owner, head.workflow, version, conversation_id=conversation_id
        )
        return await self._drafted(owner, conversation_id, name, number)

    # --- runs ---

    async def start_run(
        self,
        owner: str,
        conversation_id: str,
        inputs: Mapping[str, Any],
        yaml: str | None = None,
        *,
        limit_usd: float | None = None,
        ignore_gates: bool = False,
    ) -> str:
        """Run the conversation's workflow, or `yaml`; the run's id. Its card and result become a message.

        WorkflowInvalid, InputError, Conflict where a gate blocks it: nothing was started. The start itself can't
        be cut: it goes on when the caller is cancelled.
        """
        current = await self.current_workflow(owner, conversation_id)
        text = yaml if yaml is not None else current.yaml if current else None
        if text is None:
            raise Conflict("This conversation has no workflow yet.", "Ask for one first.")
        workflow = await prepare(text, self.tools, self.models, self.workflows.of(owner))
        bounds = {"limit_usd": limit_usd, "ignore_gates": ignore_gates}
        task = asyncio.create_task(self._start_run(owner, conversation_id, workflow, inputs, bounds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def start_detached_run(
        self,
        owner: str,
        yaml: str,
        inputs: Mapping[str, Any],
        *,
        limit_usd: float | None = None,
        ignore_gates: bool = False,
        dry: bool = False,
    ) -> str:
        """Run a document outside of any conversation, or rehearse it; the run's id. WorkflowInvalid, InputError;
        Conflict where a gate blocks it."""
        if dry:
            workflow = await self._checked_workflow(owner, yaml)
        else:
            workflow = await prepare(yaml, self.tools, self.models, self.workflows.of(owner))
        return await self.engine.start(
            workflow, inputs, owner=owner, limit_usd=limit_usd, ignore_gates=ignore_gates or dry, dry=dry
        )

    async def branches(self, owner: str, yaml: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Which ways through a document a dry run can take, see `Engine.branches`. WorkflowInvalid, InputError."""
        return await self.engine.branches(await self._checked_workflow(owner, yaml), inputs)

    async def retry_run(self, owner: str, run_id: str, node: str, yaml: str | None = None) -> str:
        """Run once more from a node on, see `Engine.retry`; the new run's id. `yaml` is the document put right."""
        await self._own_run(owner, run_id)
        workflow = None if yaml is None else await self._checked_workflow(owner, yaml)
        return await self.engine.retry(run_id, node, workflow)

    async def replay_run(self, owner: str, run_id: str, model: str) -> str:
        """Ask another model on what was recorded, see `Engine.replay`; the new run's id."""
        await self._own_run(owner, run_id)
        return await self.engine.replay(run_id, model)

    async def resume_run(self, owner: str, run_id: str) -> dict[str, Any]:
        """Go on with a run whose process has ended; its view."""
        await self._own_run(owner, run_id)
        return await self.engine.resume(run_id)

    async def estimate(
        self, owner: str, conversation_id: str | None, yaml: str | None, inputs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What a run of `yaml`, or else of the conversation's workflow, would take; see `engine.estimate.Estimate`.

        WorkflowInvalid, InputError; Conflict where there is no workflow. Missing inputs are no error.
        """
        from chat.estimates import estimate

        text = yaml
        if text is None and conversation_id is not None:
            current = await self.current_workflow(owner, conversation_id)
            text = current.yaml if current else None
        if text is None:
            raise Conflict("This conversation has no workflow yet.", "Ask for one first.")
        found = await estimate(
            text, inputs, owner, self.models, self.tools, self.engine.store, self.workflows
        )
        return found.to_dict()

    async def view_run(self, owner: str, run_id: str) -> dict[str, Any]:
        """What `run --json` prints."""
        await self._own_run(owner, run_id)
        return await self.engine.view(run_id)

    async def run_events(self, owner: str, run_id: str, after: int = 0) -> AsyncIterator[RunEvent]:
        """The run's events after number `after`, stored ones first, until it has ended."""
        await self._own_run(owner, run_id)
        async for event in self.engine.events(run_id, after):
            yield event

    async def cancel_run(self, owner: str, run_id: str) -> None:
        """Ask for its end; a run that has ended already stays as it is."""
        await self._own_run(owner, run_id)
        await self.engine.cancel(run_id)

    async def answer_run(
        self,
        owner: str,
        run_id: str,
        node: str,
        value: Any,
        *,
        by: str | None = None,
        iteration: int | None = None,
    ) -> dict[str, Any]:
        """Answer what a run asks, see `Engine.answer`; the run's view. `by` is who answers, left out the owner."""
        run = await self._own_run(owner, run_id)
        view = await self.engine.answer(run_id, node, value, by=by or owner, iteration=iteration)
        if run.conversation_id and run.message_id:
            await self._turns.write_questions(OpenRun(run.id, owner, run.conversation_id, run.message_id))
        return view

    async def waiting(self, owner: str, conversation_id: str | None = None) -> builtins.list[dict[str, Any]]:
        """The open questions of the owner's runs, oldest first, each with its `run_id`."""
        if conversation_id is not None:
            await self.conversations.head(owner, conversation_id)
        return await self.engine.waiting(owner=owner, conversation_id=conversation_id)

    async def runs(self, owner: str, *, limit: int = 50, **which: Any) -> builtins.list[dict[str, Any]]:
        """Summaries, newest first; `which`: status, workflow, since, as in `Engine.runs`."""
        return await self.engine.runs(owner=owner, limit=limit, **which)

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

    async def _drafted(self, owner: str, conversation_id: str, name: str, version: int) -> Version:
        await self.conversations.set_workflow(owner, conversation_id, name)
        found = await self.workflows.get(owner, name, version)

        def announce() -> None:
            self.hub.publish(owner, conversation_id, "draft", workflow=name, version=version)

        announce()
        if found.proof is None:
            self.proofs.prove_soon(owner, name, version, announce)
        return found

    async def _checked_workflow(self, owner: str, yaml: str) -> Workflow:
        """Of a document that is to be saved: what the machine lacks does not matter yet."""
        checked = await self.check(yaml, owner)
        if checked.workflow is None:
            raise WorkflowInvalid(checked.problems)
        return checked.workflow

    async def _start_run(
        self,
        owner: str,
        conversation_id: str,
        workflow: Workflow,
        inputs: Mapping[str, Any],
        bounds: Mapping[str, Any],
    ) -> str:
        """The card comes first, so that a run always has its message, whenever the process is killed."""
        card = await self._inbox.add_card(conversation_id, BROWSER, await self.engine.enter())
        try:
            run_id = await self.engine.start(
                workflow, inputs, owner=owner, conversation_id=conversation_id, message_id=card.id, **bounds
            )
        except BaseException:
            await self._inbox.remove(card.id)
            raise
        await self._turns.wait_for_runs(owner, card, [OpenRun(run_id, owner, conversation_id, card.id)])
        return run_id

    async def _own_run(self, owner: str, run_id: str) -> RunRecord:
        found = await self.engine.record(run_id)
        if found.owner != owner:
            raise NotFound(f"There is no run {run_id}.", "List the runs to see their ids.")
        return found

    def _list_changed(self, owner: str, conversation_id: str) -> None:
        self.hub.publish(owner, conversation_id, "list_changed")


def _checked(text: str) -> str:
    text = text.strip()
    if not text:
        raise InputError("The message is empty.", "Write what should happen.", "text")
    if len(text) > LARGEST_TEXT:
        raise InputError(
            f"The message has {len(text):,} characters; {LARGEST_TEXT:,} is the most.", "Send less.", "text"
        )
    return text
