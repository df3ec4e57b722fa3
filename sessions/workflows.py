"""Saved workflows and their versions. Every change is a version with a number; none is ever overwritten.

A workflow's name is given when it is first saved and stays, whatever `flow.name` says later: runs, pages and
conversations point to it. To go back is to save the old text again, as the newest version.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from engine.errors import NotFound
from sessions.conversations import iso
from sessions.db import Database

FALLBACK_NAME = "workflow"
SELECT_VERSION = (
    "SELECT name, version, yaml, summary, message_id, created_at FROM workflow_versions"
    " WHERE owner = ? AND name = ?"
)


@dataclass(frozen=True, slots=True)
class Version:
    """One version. `message_id` is the assistant's message that made it, None for an edit by hand."""

    name: str
    version: int
    yaml: str
    summary: str
    message_id: str | None
    created_at: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "yaml": self.yaml,
            "summary": self.summary,
            "message_id": self.message_id,
            "created_at": iso(self.created_at),
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """A workflow in a list: its newest version and when it was made and changed."""

    name: str
    version: int
    description: str
    created_at: float
    updated_at: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
        }


Versions = list[Version]
Summaries = list[Summary]


@dataclass(frozen=True, slots=True)
class Library:
    """What one owner has saved: texts by name."""

    store: Workflows
    owner: str

    async def text(self, name: str) -> str | None:
        return await self.store.text(self.owner, name)

    async def names(self) -> list[str]:
        return [summary.name for summary in await self.store.list(self.owner)]


class Workflows:
    """The store of workflows. What belongs to another owner is NotFound."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def save(
        self, owner: str, name: str | None, yaml: str, summary: str, message_id: str | None = None
    ) -> tuple[str, int]:
        """(name, version). Without a name a new workflow is made, under its `flow.name` or that with -2, -3 …

        A number given to it is put into the text's `flow.name` too; every other byte stays. With a name it must
        exist already. A text that is the newest version already makes no new one.
        """
        flow = _flow(yaml)

        def job(connection: sqlite3.Connection) -> tuple[str, int]:
            known = name or _create(connection, owner, flow.get("name"))
            newest = _newest(connection, owner, known)
            if newest is not None and newest["yaml"] == yaml:
                return known, newest["version"]
            text = yaml if name else _named(yaml, known)
            version = newest["version"] + 1 if newest else 1
            description = flow.get("description")
            _add_version(connection, owner, Version(known, version, text, summary, message_id, time.time()))
            connection.execute(
                "UPDATE workflows SET description = ? WHERE owner = ? AND name = ?",
                (description if isinstance(description, str) else "", owner, known),
            )
            return known, version

        return await self._db.write(job)

    async def get(self, owner: str, name: str, version: int | None = None) -> Version:
        """The newest version, or that one."""
        rows = await self._db.fetch(
            SELECT_VERSION + " AND (? IS NULL OR version = ?) ORDER BY version DESC LIMIT 1",
            (owner, name, version, version),
        )
        if not rows:
            what = f'workflow "{name}"' if version is None else f'version {version} of a workflow "{name}"'
            raise NotFound(f"There is no {what}.", "The page and `app.py workflows` list what there is.")
        return Version(**dict(rows[0]))

    async def text(self, owner: str, name: str) -> str | None:
        """The newest text, None where there is no such workflow."""
        try:
            return (await self.get(owner, name)).yaml
        except NotFound:
            return None

    def of(self, owner: str) -> Library:
        """The workflows of one owner, for the checker."""
        return Library(self, owner)

    async def list(self, owner: str) -> Summaries:
        """The one changed last comes first."""
        rows = await self._db.fetch(
            "SELECT w.name, max(v.version) AS version, w.description, w.created_at, w.updated_at"
            " FROM workflows w JOIN workflow_versions v ON v.owner = w.owner AND v.name = w.name"
            " WHERE w.owner = ? GROUP BY w.name ORDER BY w.updated_at DESC, w.rowid DESC",
            (owner,),
        )
        return [Summary(**dict(row)) for row in rows]

    async def versions(self, owner: str, name: str) -> Versions:
        """All of them, the newest first."""
        rows = await self._db.fetch(SELECT_VERSION + " ORDER BY version DESC", (owner, name))
        if not rows:
            await self.get(owner, name)  # says that there is none
        return [Version(**dict(row)) for row in rows]

    async def restore(self, owner: str, name: str, version: int) -> tuple[str, int]:
        """Go back: the old text becomes the newest version."""
        old = await self.get(owner, name, version)
        return await self.save(owner, name, old.yaml, f"Back to version {version}")


def _create(connection: sqlite3.Connection, owner: str, wanted: object) -> str:
    """A workflow without versions, under the first free name."""
    rows = connection.execute("SELECT name FROM workflows WHERE owner = ?", (owner,))
    taken = {row["name"] for row in rows}
    base = str(wanted or "").strip() or FALLBACK_NAME
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    now = time.time()
    connection.execute(
        "INSERT INTO workflows (owner, name, description, created_at, updated_at) VALUES (?,?,'',?,?)",
        (owner, name, now, now),
    )
    return name


def _named(yaml: str, name: str) -> str:
    """The text with this `flow.name`, where it has another one that can be replaced for certain."""
    from engine.check.patches import apply, replace_name
    from engine.document import read_document

    document = read_document(yaml)
    path = ("flow", "name")
    if _flow(yaml).get("name") in (name, None, ""):
        return yaml
    patch = replace_name(document, path, name)
    return apply(yaml, patch) if patch else yaml


def _newest(connection: sqlite3.Connection, owner: str, name: str) -> sqlite3.Row | None:
    exists = connection.execute("SELECT 1 FROM workflows WHERE owner = ? AND name = ?", (owner, name))
    if exists.fetchone() is None:
        raise NotFound(f'There is no workflow "{name}".', "Save it without a name to make a new one.")
    row: sqlite3.Row | None = connection.execute(
        SELECT_VERSION + " ORDER BY version DESC LIMIT 1", (owner, name)
    ).fetchone()
    return row


def _add_version(connection: sqlite3.Connection, owner: str, new: Version) -> None:
    connection.execute(
        "INSERT INTO workflow_versions (owner, name, version, yaml, summary, message_id, created_at)"
        " VALUES (?,?,?,?,?,?,?)",
        (owner, new.name, new.version, new.yaml, new.summary, new.message_id, new.created_at),
    )
    connection.execute(
        "UPDATE workflows SET updated_at = ? WHERE owner = ? AND name = ?", (new.created_at, owner, new.name)
    )


def _flow(yaml: str) -> dict[str, Any]:
    """The `flow` block as far as it can be read; saving does not check, the checker does."""
    from engine.document import read_document

    data = read_document(yaml).data
    flow = data.get("flow") if isinstance(data, dict) else None
    return flow if isinstance(flow, dict) else {}
