"""The one WebSocket of an open page: the server pushes what to show, the page says what it looks at.

To the page: hello {script, server, password}; list {items, query}; head {conversation, title, live, earlier,
again}; chat {conversation, first, entries}, from entry number `first` on; workflow; run; runs; draft; model;
news {conversation_id, what, …}; gone {message, fix}; error {message, fix}. From the page: open {conversation},
earlier, search {query}, run {run_id}, draft {message, part}. Nothing that changes anything comes this way: what
people do goes to `chat.browser.actions`.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from chat.browser.cards import Entry
from chat.browser.follow import Followed
from engine.errors import NotFound, ParlanceError

if TYPE_CHECKING:
    from fastapi import WebSocket

    from chat.browser.house import House

logger = logging.getLogger(__name__)

LOG_TELLS = "The program's log has the details."
RATE = 10.0  # pushes a second
BURST = 6.0  # so many at once after a quiet time, so that first words do not wait
GATHER = 0.004  # seconds in which what changes together is pushed together
MODEL_PAUSE = 3.0  # how often a model that is not being loaded is looked at
LOADING_PAUSE = 0.4


class PageSocket:
    """One page. `serve` returns when it is gone. `password`: there is one, so that one can sign out."""

    def __init__(self, socket: WebSocket, house: House, owner: str, *, password: bool = False) -> None:
        self._socket = socket
        self._house = house
        self._service = house.service
        self._owner = owner
        self._password = password
        self._followed: Followed | None = None
        self._following: asyncio.Task[None] | None = None
        self._query = ""
        self._topics: set[str] = set()
        self._wake = asyncio.Event()
        self._sent: list[Entry] = []

    async def serve(self) -> None:
        house = self._house
        await self._send("hello", script=house.script, server=house.server, password=self._password)
        tasks = [
            asyncio.create_task(work())
            for work in (self._read, self._push, self._watch_list, self._watch_model)
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._forget()
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception) and not _is_gone(result):
                    logger.error("A page was lost", exc_info=result)

    # --- from the page ---

    async def _read(self) -> None:
        while True:
            asked = await self._socket.receive_json()
            try:
                await self._do(asked)
            except ParlanceError as error:
                await self._send("error", message=error.message, fix=error.fix)

    async def _do(self, asked: dict[str, Any]) -> None:
        name = asked.get("op")
        if name == "open":
            self._open(asked.get("conversation"))
        elif name == "search":
            self._query = str(asked.get("query") or "")
            self._changed("list")
        elif self._followed is None:
            return
        elif name == "earlier":
            await self._followed.show_earlier()
        elif name == "run":
            await self._followed.show_run(str(asked.get("run_id")))
        elif name == "draft":
            yaml = self._followed.draft(str(asked.get("message")), int(asked.get("part") or 0))
            await self._send("draft", yaml=yaml)

    def _open(self, conversation_id: str | None) -> None:
        self._forget()
        self._sent = []
        if not conversation_id:
            return
        self._followed = Followed(self._service, self._owner, conversation_id, self._changed)
        self._following = asyncio.create_task(self._follow(self._followed))

    async def _follow(self, followed: Followed) -> None:
        try:
            await followed.run()
        except NotFound as error:
            told = {"message": error.message, "fix": error.fix}
            await self._send("gone", conversation=followed.conversation_id, **told)
        except ParlanceError as error:
            await self._send("error", message=error.message, fix=error.fix)

    def _forget(self) -> None:
        if self._following:
            self._following.cancel()
        self._followed = self._following = None

    # --- to the page ---

    def _changed(self, topic: str) -> None:
        self._topics.add(topic)
        self._wake.set()

    async def _push(self) -> None:
        """What changed, at once when it was quiet, and at most ten times a second in the long run."""
        now = asyncio.get_running_loop().time
        left, since = BURST, now()
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER)
            left, since = min(BURST, left + (now() - since) * RATE), now()
            if left < 1:
                await asyncio.sleep((1 - left) / RATE)
                left, since = 1.0, now()
            left -= 1
            self._wake.clear()
            topics, self._topics = self._topics, set()
            for topic in ("list", "head", "chat", "workflow", "run", "runs"):
                if topic in topics:
                    await self._try_push(topic)

    async def _try_push(self, topic: str) -> None:
        """One part that can't be made must not take the others with it."""
        try:
            await self._push_topic(topic)
        except NotFound:  # deleted in this moment; the nudge says so
            return
        except ParlanceError as error:
            await self._send("error", message=error.message, fix=error.fix)
        except Exception as error:
            if _is_gone(error):
                raise
            logger.exception("The page's %s could not be made", topic)
            await self._send("error", message="A part of the page could not be shown.", fix=LOG_TELLS)

    async def _push_topic(self, topic: str) -> None:
        followed = self._followed
        if topic == "list":
            found = await self._service.list(self._owner, self._query)
            await self._send("list", query=self._query, items=[c.to_dict() for c in found])
        elif followed is None:
            return
        elif topic == "head":
            await self._send("head", conversation=followed.conversation_id, **followed.head())
        elif topic == "chat":
            await self._push_chat(followed)
        elif topic == "workflow":
            workflow = await followed.workflow()
            await self._send("workflow", conversation=followed.conversation_id, workflow=workflow)
        elif topic == "runs":
            await self._send("runs", conversation=followed.conversation_id, runs=await followed.runs())
        elif topic == "run":
            await self._send("run", conversation=followed.conversation_id, run=followed.run_shown())

    async def _push_chat(self, followed: Followed) -> None:
        """Only from the first entry that differs from what the page has."""
        entries = followed.entries()
        first = 0
        for old, new in zip(self._sent, entries, strict=False):
            if old is not new and old != new:
                break
            first += 1
        if first == len(entries) == len(self._sent) and entries:
            return
        self._sent = entries
        await self._send("chat", conversation=followed.conversation_id, first=first, entries=entries[first:])

    async def _watch_list(self) -> None:
        self._changed("list")
        async for nudge in self._service.subscribe(self._owner, None):
            if nudge["type"] in ("list_changed", "resync"):
                self._changed("list")
            elif nudge["type"] == "news":
                await self._send("news", **{name: value for name, value in nudge.items() if name != "type"})

    async def _watch_model(self) -> None:
        """Tell which model answers, and how far it is loaded."""
        told: dict[str, Any] | None = None
        while True:
            state = await self._house.model_state()
            if state != told:
                told = state
                await self._send("model", **state)
            loading = state["loading"] in ("idle", "loading")
            with suppress(TimeoutError):
                async with asyncio.timeout(LOADING_PAUSE if loading else MODEL_PAUSE):
                    await self._house.model_changed()

    async def _send(self, kind: str, **data: Any) -> None:
        await self._socket.send_json({"type": kind, **data})


def _is_gone(error: Exception) -> bool:
    """Whether this is how a page that was closed shows itself."""
    from starlette.websockets import WebSocketDisconnect

    return isinstance(error, WebSocketDisconnect | RuntimeError) and (
        isinstance(error, WebSocketDisconnect) or "close" in str(error) or "WebSocket" in str(error)
    )
