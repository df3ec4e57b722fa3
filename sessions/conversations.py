"""Conversations and what was said in them, as people see them: made, found, named, read, deleted.

Every call names the owner; what belongs to somebody else is NotFound, just like what does not exist. How a
message comes in and grows is in `sessions.inbox`.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from engine.errors import NotFound
from sessions.db import Database

Role = Literal["user", "assistant"]
MessageStatus = Literal["live", "ok", "failed", "stopped", "interrupted"]

NEW_TITLE = "New conversation"
TITLE_LENGTH = 60
SELECT_MESSAGE = (
    "SELECT seq, id, conversation_id, role, channel, external_id, reply_to, text, parts, status, phase,"
    " process, created_at, ended_at FROM messages"
)
SELECT_CONVERSATION = "SELECT id, owner, title, workflow, created_at, updated_at FROM conversations c"

Places = list[tuple[str, str]]
"""Conversations and messages in them, by their ids."""


def iso(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_id() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `parts` are the lasting events' `to_dict()`s; `seq` rises in the conversation's order.

    `reply_to` is the id of the person's message that an answer answers; None for the card of a run that
    was started from the page. `phase` and `process` are the inbox's, None when the message has ended.
    Times are seconds since the epoch.
    """

    seq: int
    id: str
    conversation_id: str
    role: Role
    channel: str
    external_id: str | None
    reply_to: str | None
    text: str
    parts: tuple[dict[str, Any], ...]
    status: MessageStatus
    phase: str | None
    process: str | None
    created_at: float
    ended_at: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "role": self.role,
            "channel": self.channel,
            "text": self.text,
            "parts": list(self.parts),
            "status": self.status,
            "created_at": iso(self.created_at),
        }


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation; `workflow` names the one it is about. Only `get` fills `messages`, oldest first.

    `earlier` says that there are messages before the first of `messages`.
    """

    id: str
    owner: str
    title: str
    workflow: str | None
    created_at: float
    updated_at: float
    messages: tuple[Message, ...] = ()
    earlier: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "title": self.title,
            "workflow": self.workflow,
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
        }


def message_of(row: sqlite3.Row) -> Message:
    """The record of a row of SELECT_MESSAGE."""
    return Message(**{**dict(row), "parts": tuple(json.loads(row["parts"]))})


def shorten(text: str, length: int = TITLE_LENGTH) -> str:
    """The first line that says something, cut between words."""
    line = next((" ".join(part.split()) for part in text.splitlines() if part.strip()), "")
    if len(line) <= length:
        return line
    cut = line[: length - 1]
    return (cut[: cut.rindex(" ")] if " " in cut[length // 2 :] else cut).rstrip(" ,.;:") + "…"


class Conversations:
    """The store of conversations."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def create(self, owner: str, title: str | None = None) -> Conversation:
        now = time.time()
        given = shorten(title or "")
        made = Conversation(new_id(), owner, given or NEW_TITLE, None, now, now)
        await self._db.execute(
            "INSERT INTO conversations (id, owner, title, named, created_at, updated_at)"
            " VALUES (?,?,?,?,?,?)",
            (made.id, owner, made.title, bool(given), now, now),
        )
        return made

    async def get(
        self, owner: str, conversation_id: str, *, limit: int | None = None, before: int | None = None
    ) -> Conversation:
        """With its visible messages: the last `limit` ones, of those before seq `before` where given."""

        def job(connection: sqlite3.Connection) -> Conversation:
            found = head_of(connection, owner, conversation_id)
            some = None if limit is None else limit + 1
            messages = visible_messages(connection, conversation_id, limit=some, before=before)
            earlier = limit is not None and len(messages) > limit
            return replace(found, messages=tuple(messages[1:] if earlier else messages), earlier=earlier)

        return await self._db.read(job)

    async def head(self, owner: str, conversation_id: str) -> Conversation:
        """Without messages. NotFound when there is none, or it is somebody else's."""
        return await self._db.read(lambda connection: head_of(connection, owner, conversation_id))

    async def list(self, owner: str, query: str = "", *, limit: int = 200) -> list[Conversation]:
        """The newest first; with `query`, those in whose title or messages every word of it stands."""
        condition, values = _search(query.split())
        rows = await self._db.fetch(
            f"{SELECT_CONVERSATION} WHERE owner = ? {condition} ORDER BY updated_at DESC, rowid DESC LIMIT ?",
            (owner, *values, limit),
        )
        return [Conversation(**dict(row)) for row in rows]

    async def rename(self, owner: str, conversation_id: str, title: str) -> Conversation:
        """Name it; with an empty title it is named after its first message again."""

        def job(connection: sqlite3.Connection) -> Conversation:
            head_of(connection, owner, conversation_id)
            messages = visible_messages(connection, conversation_id)
            first = next((shorten(m.text) for m in messages if m.role == "user"), "")
            name = shorten(title) or first
            connection.execute(
                "UPDATE conversations SET title = ?, named = ? WHERE id = ?",
                (name or NEW_TITLE, bool(name), conversation_id),
            )
            return head_of(connection, owner, conversation_id)

        return await self._db.write(job)

    async def set_workflow(self, owner: str, conversation_id: str, workflow: str) -> None:
        """Say which workflow the conversation is about. One in which nobody said anything yet is titled after it."""

        def job(connection: sqlite3.Connection) -> None:
            head_of(connection, owner, conversation_id)
            connection.execute(
                "UPDATE conversations SET workflow = ?, title = iif(named, title, ?) WHERE id = ?",
                (workflow, shorten(workflow), conversation_id),
            )

        await self._db.write(job)

    async def delete(self, owner: str, conversation_id: str) -> None:
        """The conversation and its messages; workflows and runs stay."""

        def job(connection: sqlite3.Connection) -> None:
            head_of(connection, owner, conversation_id)
            connection.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))

        await self._db.write(job)

    async def forget_runs(self, run_ids: Sequence[str]) -> Places:
        """Take runs that are gone out of the messages that show them: (conversation, message) of those changed."""
        wanted = set(run_ids)

        def job(connection: sqlite3.Connection) -> Places:
            changed = []
            for run_id in run_ids:
                connection.execute("DELETE FROM message_runs WHERE run_id = ?", (run_id,))
                found = connection.execute(
                    "SELECT id, conversation_id, parts FROM messages WHERE instr(parts, ?) > 0", (run_id,)
                ).fetchall()
                for row in found:
                    parts = without_runs(json.loads(row["parts"]), wanted)
                    connection.execute(
                        "UPDATE messages SET parts = ? WHERE id = ?",
                        (json.dumps(parts, ensure_ascii=False, separators=(",", ":")), row["id"]),
                    )
                    changed.append((row["conversation_id"], row["id"]))
            return list(dict.fromkeys(changed))

        return await self._db.write(job)


def without_runs(parts: Sequence[dict[str, Any]], run_ids: Collection[str]) -> list[dict[str, Any]]:
    """A message's parts without those of these runs; a line in their place says so."""
    found: list[dict[str, Any]] = []
    said: set[str] = set()
    for part in parts:
        about = part.get("about")
        run_id = str(part.get("run_id") or (about.get("run_id") if isinstance(about, dict) else ""))
        if run_id not in run_ids:
            found.append(part)
        elif run_id not in said and part.get("kind") == "run_started":
            said.add(run_id)
            found.append({"kind": "text", "text": f"*Run {run_id} was deleted.*"})
    return found


def head_of(connection: sqlite3.Connection, owner: str, conversation_id: str) -> Conversation:
    """The conversation without messages, or NotFound."""
    row = connection.execute(
        SELECT_CONVERSATION + " WHERE id = ? AND owner = ?", (conversation_id, owner)
    ).fetchone()
    if row is None:
        raise NotFound("There is no such conversation.", "Open one from the list, or start a new one.")
    return Conversation(**dict(row))


def visible_messages(
    connection: sqlite3.Connection,
    conversation_id: str,
    *,
    limit: int | None = None,
    before: int | None = None,
) -> list[Message]:
    """The messages in view, oldest first; the last `limit` of those before seq `before`."""
    rows = connection.execute(
        SELECT_MESSAGE + " WHERE conversation_id = ? AND hidden_at IS NULL AND (? IS NULL OR seq < ?)"
        " ORDER BY seq DESC LIMIT ?",
        (conversation_id, before, before, -1 if limit is None else limit),
    ).fetchall()
    return [message_of(row) for row in reversed(rows)]


def _search(words: Sequence[str]) -> tuple[str, list[str]]:
    """A condition on `c`: each word stands in the title, or in a message by the index of trigrams.

    A word of one or two letters has no trigram and is looked for in the titles alone.
    """
    parts, values = [], []
    for word in words:
        like = "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        parts.append("title LIKE ? ESCAPE '\\'")
        values.append(like)
        if len(word) > 2:
            parts[-1] += (
                " OR c.id IN (SELECT m.conversation_id FROM messages_index i JOIN messages m"
                " ON m.seq = i.rowid WHERE messages_index MATCH ? AND m.hidden_at IS NULL)"
            )
            values.append('"' + word.replace('"', '""') + '"')
    return " ".join(f"AND ({part})" for part in parts), values
