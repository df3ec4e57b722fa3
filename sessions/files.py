"""What people attach: the bytes in a folder under ids of our own, a row each in the home database.

A name is a label and never a path. An upload that is not finished leaves nothing; one that nobody attached, and no
run was given, goes after a day; what was attached goes with its conversation.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import sqlite3
import time
import unicodedata
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import Any

from engine.errors import Conflict, InputError, NotFound
from engine.ports import FileContent, FileInfo
from sessions.conversations import iso, new_id
from sessions.db import Database
from sessions.file_kinds import MOST_TEXT, PDF, Kind, decode, for_models, kind_of
from sessions.pdf_text import pdf_text

LARGEST_FILE = 20 * 1024 * 1024  # bytes
MOST_FILES = 10  # of a message
LONGEST_NAME = 120
UNATTACHED_SECONDS = 24 * 3600.0
SWEEP_SECONDS = 3600.0
PIECE = 1024 * 1024
_SELECT = (
    "SELECT id, owner, conversation_id, message_id, name, media_type, size, sha256, details, created_at"
    " FROM files"
)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file. `size` in bytes, `details` as in `Kind`; `message_id` is None until it is attached."""

    id: str
    owner: str
    conversation_id: str | None
    message_id: str | None
    name: str
    media_type: str
    size: int
    sha256: str
    details: dict[str, Any]
    created_at: float

    def to_part(self) -> dict[str, Any]:
        """The part of the message that it is attached to."""
        return {
            "kind": "file",
            "id": self.id,
            "name": self.name,
            "media_type": self.media_type,
            "size": self.size,
        }

    def to_dict(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            **{key: value for key, value in self.to_part().items() if key != "kind"},
            "sha256": self.sha256,
            "details": self.details,
            "conversation_id": self.conversation_id,
            "created_at": iso(self.created_at),
        }


class FileStore:
    """The files of owners; `folder` is where the bytes are. What belongs to somebody else is NotFound."""

    def __init__(self, db: Database, folder: Path) -> None:
        self._db = db
        self._folder = folder
        self._swept_at = 0.0

    # --- coming in ---

    async def add(self, owner: str, name: str, content: AsyncIterable[bytes]) -> StoredFile:
        """Keep what streams in. InputError where it is too large, empty, or of a kind that can't be attached."""
        name, id = clean_name(name), new_id()
        await asyncio.to_thread(self._make_folder)
        part = self._folder / f".{id}.part"
        try:
            size, digest = await _write(part, name, content)
            kind, text = await self._look(part, name)
            if text is not None:
                await asyncio.to_thread(_write_private, self._text_path(id), text.encode("utf-8", "replace"))
            await asyncio.to_thread(part.replace, self._folder / id)
            return await self._insert(owner, id, name, kind, size, digest)
        except BaseException:
            await asyncio.to_thread(self._unlink, id)
            raise

    async def _look(self, path: Path, name: str) -> tuple[Kind, str | None]:
        """What it is, and its text where that is costly to get again."""
        kind = await asyncio.to_thread(kind_of, path, name)
        if kind.media_type != PDF:
            return kind, None
        found = await pdf_text(path, name, MOST_TEXT)
        details: dict[str, Any] = {"pages": found.pages, "characters": len(found.text)}
        if found.cut:
            details["note"] = "Only its beginning was read."
        if not found.text.strip():
            details["note"] = "It has no text: its pages are pictures, and text in pictures is not read."
        return Kind(PDF, details), found.text

    async def _insert(self, owner: str, id: str, name: str, kind: Kind, size: int, digest: str) -> StoredFile:
        now = time.time()
        made = StoredFile(id, owner, None, None, name, kind.media_type, size, digest, kind.details, now)
        await self._db.execute(
            "INSERT INTO files (id, owner, name, media_type, size, sha256, details, created_at)"
            " VALUES (?,?,?,?,?,?,?,?)",
            (id, owner, name, kind.media_type, size, digest, json.dumps(kind.details), now),
        )
        return made

    # --- as a port of the engine ---

    async def take(
        self, owner: str, ids: Sequence[str], conversation_id: str | None = None, *, keep: bool = True
    ) -> dict[str, FileInfo]:
        """What the files are, by id. With `keep` they stay from now on: a run has been given them. NotFound."""
        found = {id: await self.get(owner, id) for id in dict.fromkeys(ids)}
        if found and keep:
            marks = ", ".join("?" * len(found))
            await self._db.execute(
                "UPDATE files SET kept = 1, conversation_id = coalesce(conversation_id, ?)"  # noqa: S608
                f" WHERE owner = ? AND id IN ({marks})",
                (conversation_id, owner, *found),
            )
        return {id: FileInfo(id, f.name, f.media_type, f.size) for id, f in found.items()}

    async def read(self, owner: str, id: str) -> FileContent:
        """The file with its text, or as an image for a model. NotFound."""
        found = await self.get(owner, id)
        return await asyncio.to_thread(self._read, found)

    def _read(self, found: StoredFile) -> FileContent:
        path = self._folder / found.id
        info = FileInfo(found.id, found.name, found.media_type, found.size)
        try:
            if found.media_type.startswith("image/"):
                media_type, data = for_models(path, found.media_type)
                return FileContent(info, "", media_type, data)
            if found.media_type == PDF:
                return FileContent(info, self._text_path(found.id).read_text("utf-8"))
            return FileContent(info, decode(path.read_bytes(), found.name)[0][:MOST_TEXT])
        except FileNotFoundError:
            raise NotFound(f"The content of “{found.name}” is gone.", "Attach it again.") from None

    # --- looking up ---

    async def get(self, owner: str, id: str) -> StoredFile:
        """NotFound where there is none of this owner's."""
        rows = await self._db.fetch(f"{_SELECT} WHERE id = ? AND owner = ?", (id, owner))
        if not rows:
            raise NotFound("There is no such file.", "Attach it again.")
        return _stored(rows[0])

    async def path(self, owner: str, id: str) -> tuple[StoredFile, Path]:
        """The file and where its bytes are."""
        found = await self.get(owner, id)
        return found, self._folder / found.id

    async def of_conversation(self, owner: str, conversation_id: str) -> list[StoredFile]:
        """What was attached in a conversation, the oldest first."""
        rows = await self._db.fetch(
            f"{_SELECT} WHERE owner = ? AND conversation_id = ? ORDER BY created_at, id",
            (owner, conversation_id),
        )
        return [_stored(row) for row in rows]

    # --- going ---

    async def remove(self, owner: str, id: str) -> None:
        """Delete a file that is not attached. NotFound, Conflict."""
        found = await self.get(owner, id)
        if found.message_id is not None:
            raise Conflict("The file is attached to a message.", "It goes with its conversation.")
        await self._db.execute("DELETE FROM files WHERE id = ? AND owner = ?", (id, owner))
        await asyncio.to_thread(self._unlink, id)

    async def forget(self, ids: Sequence[str]) -> None:
        """Delete the bytes of files whose rows went with their conversation."""
        for id in ids:
            await asyncio.to_thread(self._unlink, id)

    async def sweep(self, now: float | None = None) -> None:
        """Delete what nobody attached within a day, and bytes without a row; once an hour is often enough.

        `now` is in seconds since the epoch, left out the present.
        """
        now = time.time() if now is None else now
        if now - self._swept_at < SWEEP_SECONDS:
            return
        self._swept_at = now
        before = now - UNATTACHED_SECONDS
        await self._db.execute(
            "DELETE FROM files WHERE message_id IS NULL AND kept = 0 AND created_at < ?", (before,)
        )
        known = {row["id"] for row in await self._db.fetch("SELECT id FROM files")}
        await asyncio.to_thread(self._sweep_folder, known, before)

    def _sweep_folder(self, known: set[str], before: float) -> None:
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            id = path.name.strip(".").split(".")[0]
            if id not in known and path.stat().st_mtime < before:
                path.unlink(missing_ok=True)

    def _unlink(self, id: str) -> None:
        for path in (self._folder / id, self._text_path(id), self._folder / f".{id}.part"):
            path.unlink(missing_ok=True)

    def _text_path(self, id: str) -> Path:
        return self._folder / f"{id}.txt"

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def attach(
    connection: sqlite3.Connection, owner: str, ids: Sequence[str], conversation_id: str, message_id: str
) -> list[dict[str, Any]]:
    """Within a message's transaction: the files are its own from now on; its parts. NotFound, Conflict."""
    parts = []
    for id in dict.fromkeys(ids):
        row = connection.execute(f"{_SELECT} WHERE id = ? AND owner = ?", (id, owner)).fetchone()
        if row is None:
            raise NotFound("One of the files is not there any more.", "Attach it again.")
        if row["conversation_id"] not in (None, conversation_id):
            raise Conflict(
                f"“{row['name']}” is attached in another conversation.", "Attach it here once more."
            )
        connection.execute(
            "UPDATE files SET conversation_id = ?, message_id = ?, kept = 1 WHERE id = ?",
            (conversation_id, message_id, id),
        )
        parts.append(_stored(row).to_part())
    return parts


def clean_name(name: str) -> str:
    """A name as a label: the last step of a path, without what can't be seen, of a length that can be shown."""
    last = re.split(r"[/\\]", name)[-1]
    seen = "".join(c for c in unicodedata.normalize("NFC", last) if unicodedata.category(c)[0] != "C")
    seen = " ".join(seen.split()).strip(". ")
    if len(seen) > LONGEST_NAME:
        stem, dot, suffix = seen.rpartition(".")
        tail = dot + suffix if stem and len(suffix) <= 10 else ""
        seen = seen[: LONGEST_NAME - len(tail) - 1].rstrip() + "…" + tail
    return seen or "file"


async def _write(path: Path, name: str, content: AsyncIterable[bytes]) -> tuple[int, str]:
    """(bytes, SHA-256) of what was written."""
    digest, size, waiting = hashlib.sha256(), 0, bytearray()
    target = await asyncio.to_thread(_open_private, path)
    try:
        async for piece in content:
            size += len(piece)
            if size > LARGEST_FILE:
                raise InputError(
                    f"“{name}” is larger than {LARGEST_FILE // 1024**2} MB.", "Attach a part of it.", "file"
                )
            digest.update(piece)
            waiting += piece
            if len(waiting) >= PIECE:
                await asyncio.to_thread(target.write, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(target.write, bytes(waiting))
        await asyncio.to_thread(target.flush)
        await asyncio.to_thread(os.fsync, target.fileno())
    finally:
        target.close()
    if not size:
        raise InputError(f"“{name}” is empty.", "Attach a file with something in it.", "file")
    return size, digest.hexdigest()


def _open_private(path: Path) -> BufferedWriter:
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))


def _write_private(path: Path, data: bytes) -> None:
    with _open_private(path) as target:
        target.write(data)


def _stored(row: sqlite3.Row) -> StoredFile:
    return StoredFile(**{**dict(row), "details": json.loads(row["details"])})
