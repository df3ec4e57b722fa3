"""What one open page shows of one conversation, kept up to date: read from the store, then followed live.

It only reads. A page that closes, reloads or comes back loses nothing, and two pages on one conversation show
the same, because both are made from the same store and the same nudges.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from chat.browser.cards import Entry, message_entries
from chat.browser.views import run_view, runs_view, with_node, workflow_view
from chat.events import Event, NodeChanged, RunEnded, RunStarted, RunWaiting, TurnEnded
from chat.hub import Nudge
from chat.parts import Parts
from chat.service import ChatService
from engine.errors import NotFound, ParlanceError
from sessions.conversations import Conversation, Message

MOST_RUNS = 30  # in the list
WINDOW = 50  # messages shown at first; "load earlier" adds as many


class Followed:
    """One conversation as one page sees it. `changed` is called with what is to be shown anew.

    Topics: chat, head, workflow, run, runs.
    """

    def __init__(
        self, service: ChatService, owner: str, conversation_id: str, changed: Callable[[str], None]
    ) -> None:
        self.conversation_id = conversation_id
        self.window = WINDOW
        self.shown_run: str | None = None
        self._service = service
        self._owner = owner
        self._changed = changed
        self._conversation: Conversation | None = None
        self._live: dict[str, tuple[asyncio.Task[None], Parts]] = {}
        self._runs: dict[str, Mapping[str, Any]] = {}
        self._kept: dict[str, tuple[Message, list[Entry]]] = {}

    async def run(self) -> None:
        """Follow until cancelled, or until the conversation is deleted (NotFound)."""
        try:
            async for nudge in self._service.subscribe(self._owner, self.conversation_id):
                await self._take(nudge)
        finally:
            for task, _ in self._live.values():
                task.cancel()

    # --- what to show ---

    def entries(self) -> list[Entry]:
        """The messages as the chat component takes them; those that did not change are the same objects."""
        shown: list[Entry] = []
        messages = self._conversation.messages if self._conversation else ()
        for message in messages:
            shown.extend(self._entries_of(message))
        return shown

    def head(self) -> dict[str, Any]:
        """Title, and whether something is under way, earlier messages are left, the last answers one."""
        found = self._conversation
        messages = found.messages if found else ()
        return {
            "title": found.title if found else "",
            "live": any(m.status == "live" and m.reply_to for m in messages),
            "earlier": bool(found and found.earlier),
            "again": bool(messages and messages[-1].reply_to),
        }

    async def workflow(self) -> dict[str, Any] | None:
        """The newest version of the conversation's workflow with its picture, None when it has none."""
        found = await self._service.current_workflow(self._owner, self.conversation_id)
        if found is None:
            return None
        versions = await self._service.workflows.versions(self._owner, found.name)
        checked = await self._service.check(found.yaml)
        return await asyncio.to_thread(workflow_view, found.name, found.yaml, checked, versions)

    def run_shown(self) -> dict[str, Any] | None:
        run = self._runs.get(self.shown_run or "")
        return run_view(run, self._questions(self.shown_run or "")) if run else None

    async def runs(self) -> list[dict[str, Any]]:
        """The conversation's runs, the newest first."""
        await self._service.conversations.head(self._owner, self.conversation_id)
        found = await self._service.engine.runs(
            owner=self._owner, conversation_id=self.conversation_id, limit=MOST_RUNS
        )
        return runs_view(found)

    def draft(self, message_id: str, index: int) -> str:
        """The text of a draft that was not saved: part number `index` of a message in view."""
        for message in self._conversation.messages if self._conversation else ():
            if message.id == message_id and index < len(message.parts):
                return str(message.parts[index].get("yaml") or "")
        raise NotFound("This draft is not in view any more.", "Load the page again.")

    def _questions(self, run_id: str) -> list[Mapping[str, Any]]:
        """What the run has asked, as its message tells it."""
        messages = self._conversation.messages if self._conversation else ()
        for message in messages:
            following = self._live.get(message.id)
            parts = (following[1].to_list() if following else None) or message.parts
            for part in parts:
                if part["kind"] == "run_waiting" and part["run_id"] == run_id:
                    return list(part["questions"])
        return []

    # --- what people ask for ---

    async def show_earlier(self) -> None:
        self.window += WINDOW
        await self._reload()

    async def show_run(self, run_id: str) -> None:
        """Show this run from now on. NotFound when it is not the owner's."""
        await self._load_run(run_id)
        self.shown_run = run_id
        self._changed("run")

    # --- what happens ---

    async def _take(self, nudge: Nudge) -> None:
        kind = nudge["type"]
        if kind == "deleted":
            raise NotFound("This conversation was deleted.", "Open another one, or start a new one.")
        if kind in ("ready", "resync"):
            await self._reload()
            self._changed("workflow")
            await self._find_run()
        elif kind in ("message", "messages", "turn_started", "turn_ended", "list_changed"):
            await self._reload()
        elif kind == "draft":
            self._changed("workflow")
        elif kind == "run":
            await self._load_run(nudge["run_id"])
            self.shown_run = nudge["run_id"]
            self._run_changed(nudge["run_id"])
            self._changed("runs")
        elif kind == "node":
            self._add_node(nudge["run_id"], nudge["node"])

    async def _reload(self) -> None:
        """Read the conversation again and follow whatever in it is live."""
        found = await self._service.get(self._owner, self.conversation_id, limit=self.window)
        self._conversation = found
        live = {message.id for message in found.messages if message.status == "live"}
        for message_id in [known for known in self._live if known not in live]:
            self._live.pop(message_id)[0].cancel()
        for message in found.messages:
            if message.status == "live" and message.id not in self._live:
                parts = Parts()
                self._live[message.id] = (asyncio.create_task(self._follow(message.id, parts)), parts)
        self._changed("chat")
        self._changed("head")

    async def _follow(self, message_id: str, parts: Parts) -> None:
        """Fold a live message's events until it ends; the nudge that follows has it read from the store."""
        with suppress(ParlanceError):  # taken out of view meanwhile
            async for _, event in self._service.follow(
                self._owner, self.conversation_id, message_id=message_id
            ):
                parts.add(event)
                self._take_event(event)

    def _take_event(self, event: Event) -> None:
        if isinstance(event, NodeChanged):
            self._add_node(event.run_id, event.node)
        elif isinstance(event, RunStarted):
            known = {"run_id": event.run_id, "workflow": event.workflow, "inputs": event.inputs}
            self._runs.setdefault(event.run_id, {**known, "status": "running", "nodes": []})
            self.shown_run = event.run_id
            self._run_changed(event.run_id)
        elif isinstance(event, RunEnded):
            self._runs[event.run_id] = event.run
            self._run_changed(event.run_id)
        elif isinstance(event, RunWaiting):
            self._run_changed(event.run_id)
        elif not isinstance(event, TurnEnded):
            self._changed("chat")

    # --- runs ---

    async def _find_run(self) -> None:
        """The latest run of the messages in view is the one to show."""
        messages = self._conversation.messages if self._conversation else ()
        started = [p["run_id"] for m in messages for p in m.parts if p["kind"] == "run_started"]
        for run_id in started:
            with suppress(NotFound):
                await self._load_run(run_id)
                self._forget_entries(run_id)
        if started and self.shown_run is None:
            self.shown_run = started[-1]
        for topic in ("chat", "run", "runs"):
            self._changed(topic)

    async def _load_run(self, run_id: str) -> None:
        known = self._runs.get(run_id)
        if known is None or not known.get("ended_at"):
            self._runs[run_id] = await self._service.view_run(self._owner, run_id)

    def _add_node(self, run_id: str, node: Mapping[str, Any]) -> None:
        run = self._runs.get(run_id)
        if run is not None and not run.get("ended_at"):
            self._runs[run_id] = with_node(run, node)
            self._run_changed(run_id)

    def _forget_entries(self, run_id: str) -> None:
        for message_id in [m for m, (message, _) in self._kept.items() if _has_run(message, run_id)]:
            del self._kept[message_id]

    def _run_changed(self, run_id: str) -> None:
        self._forget_entries(run_id)
        self._changed("chat")
        if run_id == self.shown_run:
            self._changed("run")

    def _entries_of(self, message: Message) -> list[Entry]:
        following = self._live.get(message.id)
        if following:
            message = replace(message, parts=tuple(following[1].to_list()) or message.parts)
            return message_entries(message, self._runs)
        kept = self._kept.get(message.id)
        if kept is None or kept[0] != message:
            kept = self._kept[message.id] = (message, message_entries(message, self._runs))
        return kept[1]


def _has_run(message: Message, run_id: str) -> bool:
    return any(part["kind"] == "run_started" and part["run_id"] == run_id for part in message.parts)
