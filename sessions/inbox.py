"""What comes in, and the messages that grow from it: the log of turns that survives a killed process.

A delivery is one row by (channel, external id), written with the person's message and the empty answer in one
transaction: what was acknowledged is answered, and what came twice is one message. `phase` says how far
an answer is: queued, answering, waiting (for a run), None when it ended. `process` is who works on it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import Conflict, NotFound
from sessions.conversations import SELECT_MESSAGE, Message, MessageStatus, Role, message_of, new_id, shorten
from sessions.db import Database
from sessions.files import attach

PartList = Sequence[Mapping[str, Any]]
NOTED_RUNS = """
    SELECT n.run_id, c.owner, c.id AS conversation_id, n.message_id, n.ended_at
    FROM message_runs n JOIN messages m ON m.id = n.message_id JOIN conversations c ON c.id = m.conversation_id
"""


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run whose result still has to be written into a message."""

    run_id: str
    owner: str
    conversation_id: str
    message_id: str


class Inbox:
    """The store of deliveries, and of messages while they grow. Its callers have checked the owner."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # --- coming in ---

    async def receive(
        self,
        conversation_id: str,
        text: str,
        *,
        channel: str,
        external_id: str | None,
        process: str,
        files: Sequence[str] = (),
    ) -> tuple[Message, bool]:
        """(the answer to be, whether this is new). Conflict: the id was used in another conversation.

        `files` are the ids of what is attached; NotFound or Conflict, and nothing is taken in, where one can't be.
        """

        def job(connection: sqlite3.Connection) -> tuple[Message, bool]:
            known = connection.execute(
                "SELECT conversation_id, answer_id FROM inbox WHERE channel = ? AND external_id = ?",
                (channel, external_id),
            ).fetchone()
            if known is None:
                return _receive(connection, conversation_id, text, channel, external_id, process, files), True
            if known["conversation_id"] != conversation_id:
                raise Conflict("A message with this id was taken already.", "Give each message its own id.")
            return _message(connection, known["answer_id"]), False

        return await self._db.write(job)

    async def ask_again(self, question: Message, process: str) -> Message:
        """A new queued answer to a question that was asked before."""

        def job(connection: sqlite3.Connection) -> Message:
            return _insert(
                connection,
                question.conversation_id,
                "assistant",
                question.channel,
                reply_to=question.id,
                phase="queued",
                process=process,
            )

        return await self._db.write(job)

    async def add_card(self, conversation_id: str, channel: str, process: str) -> Message:
        """An answer that nobody's message set off: it waits for a run that is about to start."""

        def job(connection: sqlite3.Connection) -> Message:
            _touch(connection, conversation_id)
            return _insert(
                connection, conversation_id, "assistant", channel, phase="waiting", process=process
            )

        return await self._db.write(job)

    async def put_card(self, run: OpenRun, process: str | None, parts: PartList = ()) -> Message | None:
        """The message that the run belongs into, which nobody's message set off, under the run's own id; None where it
        is there already, or the conversation is gone. Without a process whoever recovers next follows the run.
        """

        def job(connection: sqlite3.Connection) -> Message | None:
            there = connection.execute("SELECT 1 FROM messages WHERE id = ?", (run.message_id,)).fetchone()
            where = (run.conversation_id, run.owner)
            open_ = connection.execute(
                "SELECT 1 FROM conversations WHERE id = ? AND owner = ?", where
            ).fetchone()
            if there is not None or open_ is None:
                return None
            _touch(connection, run.conversation_id)
            return _insert(
                connection,
                run.conversation_id,
                "assistant",
                "schedule",
                id=run.message_id,
                parts=parts,
                phase="waiting",
                process=process,
            )

        return await self._db.write(job)

    async def remove(self, message_id: str) -> None:
        """Take back a card whose run did not start."""
        await self._db.execute("DELETE FROM messages WHERE id = ?", (message_id,))

    # --- growing ---

    async def message(self, conversation_id: str, message_id: str) -> Message:
        """A message of the conversation that is in view, or NotFound."""
        rows = await self._db.fetch(
            SELECT_MESSAGE + " WHERE id = ? AND conversation_id = ? AND hidden_at IS NULL",
            (message_id, conversation_id),
        )
        if not rows:
            raise NotFound("There is no such message in this conversation.", "Load the conversation again.")
        return message_of(rows[0])

    async def answering_elsewhere(self, message: Message, process: str) -> set[str]:
        """The other processes that still have to answer something that was said before `message`."""
        rows = await self._db.fetch(
            "SELECT DISTINCT process FROM messages WHERE conversation_id = ? AND seq < ? AND process <> ?"
            " AND phase IN ('queued', 'answering') AND hidden_at IS NULL",
            (message.conversation_id, message.seq, process),
        )
        return {row["process"] for row in rows}

    async def set_phase(self, message_id: str, phase: str, process: str) -> None:
        await self._db.execute(
            "UPDATE messages SET phase = ?, process = ? WHERE id = ? AND phase IS NOT NULL",
            (phase, process, message_id),
        )

    async def set_waiting(self, message_id: str, process: str, text: str, parts: PartList) -> None:
        """All is said; after a restart the message only waits for its runs, so it must be there as a whole."""

        def job(connection: sqlite3.Connection) -> None:
            _save(connection, message_id, text, parts)
            connection.execute(
                "UPDATE messages SET phase = 'waiting', process = ? WHERE id = ?", (process, message_id)
            )

        await self._db.write(job)

    async def save(self, message_id: str, text: str, parts: PartList) -> None:
        """What there is so far."""
        await self._db.write(lambda connection: _save(connection, message_id, text, parts))

    async def finish(self, message_id: str, status: MessageStatus, text: str, parts: PartList) -> None:
        """The answer is ended; what it has is what stays."""

        def job(connection: sqlite3.Connection) -> None:
            _save(connection, message_id, text, parts)
            connection.execute(
                "UPDATE messages SET status = ?, phase = NULL, process = NULL, ended_at = ? WHERE id = ?",
                (status, time.time(), message_id),
            )

        await self._db.write(job)

    async def hide_from(self, conversation_id: str, seq: int) -> None:
        """Take the messages from `seq` on out of view; they stay in the store."""
        await self._db.execute(
            "UPDATE messages SET hidden_at = ? WHERE conversation_id = ? AND seq >= ? AND hidden_at IS NULL",
            (time.time(), conversation_id, seq),
        )

    # --- runs that write into a message ---

    async def open_run(self, run: OpenRun, text: str, parts: PartList) -> None:
        """Note that the run's result belongs into the message, with what the message says of it."""

        def job(connection: sqlite3.Connection) -> None:
            _save(connection, run.message_id, text, parts)
            _note_run(connection, run)

        await self._db.write(job)

    async def write_run(
        self, run: OpenRun, change: Callable[[Message], tuple[str, PartList]], *, ended: bool
    ) -> None:
        """Write what comes of a run into the message; with its end, also the note that this is all.

        `change` gets the message as it is stored and gives its new text and parts. A message that is out
        of view, or deleted, is left alone.
        """

        def job(connection: sqlite3.Connection) -> None:
            row = connection.execute(
                SELECT_MESSAGE + " WHERE id = ? AND hidden_at IS NULL", (run.message_id,)
            ).fetchone()
            if row is not None:
                _save(connection, run.message_id, *change(message_of(row)))
                if ended:
                    _touch(connection, run.conversation_id)
            _note_run(connection, run, ended_at=time.time() if ended else None)

        await self._db.write(job)

    # --- after a restart ---

    async def owed_runs(self) -> list[OpenRun]:
        """Runs that have been noted and whose end is in no message yet."""
        rows = await self._db.fetch(NOTED_RUNS + "WHERE n.ended_at IS NULL ORDER BY m.seq")
        return [_run_of(row) for row in rows]

    async def noted_runs(self, message_id: str) -> dict[str, OpenRun | None]:
        """The runs of one message by id; None for one whose end is written."""
        rows = await self._db.fetch(NOTED_RUNS + "WHERE n.message_id = ?", (message_id,))
        return {row["run_id"]: _run_of(row) if row["ended_at"] is None else None for row in rows}

    async def unfinished(self) -> list[tuple[str, Message]]:
        """(owner, answer) for all answers that have not ended, whoever works on them, oldest first."""

        def job(connection: sqlite3.Connection) -> list[tuple[str, Message]]:
            rows = connection.execute(
                SELECT_MESSAGE + " WHERE phase IS NOT NULL AND hidden_at IS NULL ORDER BY seq"
            )
            return [(_owner(connection, row["conversation_id"]), message_of(row)) for row in rows.fetchall()]

        return await self._db.read(job)


def _receive(
    connection: sqlite3.Connection,
    conversation_id: str,
    text: str,
    channel: str,
    external_id: str | None,
    process: str,
    files: Sequence[str] = (),
) -> Message:
    """The question with its files, the empty answer and the delivery."""
    id = new_id()
    attached = attach(connection, _owner(connection, conversation_id), files, conversation_id, id)
    parts = [*([{"kind": "text", "text": text}] if text and attached else []), *attached]
    question = _insert(
        connection, conversation_id, "user", channel, id=id, external_id=external_id, text=text, parts=parts
    )
    answer = _insert(
        connection,
        conversation_id,
        "assistant",
        channel,
        reply_to=question.id,
        phase="queued",
        process=process,
    )
    connection.execute(
        "INSERT INTO inbox (channel, external_id, conversation_id, answer_id, received_at)"
        " VALUES (?,?,?,?,?)",
        (channel, external_id or question.id, conversation_id, answer.id, question.created_at),
    )
    _touch(connection, conversation_id, text or ", ".join(part["name"] for part in attached))
    return answer


def _insert(
    connection: sqlite3.Connection,
    conversation_id: str,
    role: Role,
    channel: str,
    *,
    id: str | None = None,
    external_id: str | None = None,
    reply_to: str | None = None,
    text: str = "",
    parts: PartList = (),
    phase: str | None = None,
    process: str | None = None,
) -> Message:
    """A message; with a `phase` it is live."""
    now = time.time()
    values = {
        "id": id or new_id(),
        "conversation_id": conversation_id,
        "role": role,
        "channel": channel,
        "external_id": external_id,
        "reply_to": reply_to,
        "text": text,
        "parts": _json(parts),
        "status": "live" if phase else "ok",
        "phase": phase,
        "process": process,
        "created_at": now,
        "ended_at": None if phase else now,
    }
    columns, places = ", ".join(values), ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO messages ({columns}) VALUES ({places})", tuple(values.values()))  # noqa: S608
    return _message(connection, values["id"])


def _message(connection: sqlite3.Connection, message_id: object) -> Message:
    return message_of(connection.execute(SELECT_MESSAGE + " WHERE id = ?", (message_id,)).fetchone())


def _owner(connection: sqlite3.Connection, conversation_id: str) -> str:
    row = connection.execute("SELECT owner FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
    return str(row["owner"])


def _touch(connection: sqlite3.Connection, conversation_id: str, text: str = "") -> None:
    """The conversation moves up the list, and is named after its first message.

    Where a run of its workflow came first, that message answers it, and the conversation stays named after it.
    """
    connection.execute("UPDATE conversations SET updated_at = ? WHERE id = ?", (time.time(), conversation_id))
    if text:
        connection.execute(
            "UPDATE conversations SET title = ?, named = 1 WHERE id = ? AND named = 0 AND (workflow IS NULL"
            " OR NOT EXISTS (SELECT 1 FROM messages WHERE conversation_id = conversations.id AND reply_to IS NULL"
            " AND role = 'assistant' AND hidden_at IS NULL))",
            (shorten(text), conversation_id),
        )


def _note_run(connection: sqlite3.Connection, run: OpenRun, ended_at: float | None = None) -> None:
    connection.execute(
        "INSERT INTO message_runs (run_id, message_id, ended_at) VALUES (?,?,?)"
        " ON CONFLICT (run_id, message_id) DO UPDATE SET ended_at = coalesce(excluded.ended_at, ended_at)",
        (run.run_id, run.message_id, ended_at),
    )


def _run_of(row: sqlite3.Row) -> OpenRun:
    return OpenRun(row["run_id"], row["owner"], row["conversation_id"], row["message_id"])


def _save(connection: sqlite3.Connection, message_id: str, text: str, parts: PartList) -> None:
    connection.execute(
        "UPDATE messages SET text = ?, parts = ? WHERE id = ?", (text, _json(parts), message_id)
    )


def _json(parts: PartList) -> str:
    return json.dumps(list(parts), ensure_ascii=False, separators=(",", ":"))
