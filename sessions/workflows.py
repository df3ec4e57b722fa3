"""Saved workflows and their versions. Every change is a version with a number; none is ever overwritten.

A workflow's name is given when it is first saved and stays, whatever `flow.name` says later: runs, pages and
conversations point to it. To go back is to save the old text again, as the newest version.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.errors import Conflict, NotFound
from sessions.conversations import iso
from sessions.db import Database

FALLBACK_NAME = "workflow"
LONGEST_REQUEST = 2000  # characters that are kept of the message that asked for a version
VERSION_COLUMNS = (
    *("name", "version", "yaml", "summary", "message_id", "created_at"),
    *("author", "request", "request_id", "conversation_id", "proof"),
)
SELECT_VERSION = f"SELECT {', '.join(VERSION_COLUMNS)} FROM workflow_versions WHERE owner = ? AND name = ?"  # noqa: S608
SELECT_NEWEST = (
    f"SELECT {', '.join(VERSION_COLUMNS)} FROM workflow_versions v WHERE owner = ?"  # noqa: S608
    " AND version = (SELECT max(version) FROM workflow_versions n WHERE n.owner = v.owner AND n.name = v.name)"
)
INSERT_VERSION = (
    f"INSERT INTO workflow_versions (owner, {', '.join(VERSION_COLUMNS)})"  # noqa: S608
    f" VALUES (?, {', '.join('?' * len(VERSION_COLUMNS))})"
)
Author = Literal["assistant", "editor", "api", "command line", "restore"]


@dataclass(frozen=True, slots=True)
class Version:
    """One version. `message_id` is the assistant's message that made it, None for an edit by hand.

    `author` says who made it, `request` is the text of the message that asked for it (at most LONGEST_REQUEST
    characters), `request_id` that message and `conversation_id` where it stands: each None where there is none,
    or where the version is older than this record. `proof` is what was found out about it.
    """

    name: str
    version: int
    yaml: str
    summary: str
    message_id: str | None
    created_at: float
    author: Author | None = None
    request: str | None = None
    request_id: str | None = None
    conversation_id: str | None = None
    proof: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in VERSION_COLUMNS}
        return {**found, "created_at": iso(self.created_at)}


@dataclass(frozen=True, slots=True)
class Summary:
    """A workflow in a list: its newest version and when it was made and changed."""

    name: str
    version: int
    description: str
    created_at: float
    updated_at: float
    archived: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
            "archived": self.archived,
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
        return [summary.name for summary in await self.store.list(self.owner, archived=None)]


class Workflows:
    """The store of workflows. What belongs to another owner is NotFound."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def save(
        self,
        owner: str,
        name: str | None,
        yaml: str,
        summary: str,
        message_id: str | None = None,
        *,
        author: Author | None = None,
        request: str | None = None,
        request_id: str | None = None,
        conversation_id: str | None = None,
        base: int | None = None,
        by_flow_name: bool = False,
    ) -> tuple[str, int]:
        """(name, version). Without a name a new workflow is made, under its `flow.name` or that with -2, -3 …

        A number given to it is put into the text's `flow.name` too; every other byte stays. With a name it must
        exist already. A text that is the newest version already makes no new one. What is archived comes back
        by a new version. Conflict where `base`, the version that the text was made from, is not the newest any more.
        With `by_flow_name` it is the next version of the workflow that its `flow.name` names, where there is one. For
        the rest see Version.
        """
        flow = _flow(yaml)
        asked = request[:LONGEST_REQUEST] if request else None

        def job(connection: sqlite3.Connection) -> tuple[str, int]:
            given = name or (_named_like(connection, owner, flow) if by_flow_name else None)
            known = given or create(connection, owner, flow.get("name"))
            newest = newest_of(connection, owner, known)
            if newest is not None and newest.yaml == yaml:
                return known, newest.version
            if base is not None and newest is not None and newest.version != base:
                raise _overtaken(newest)
            text = yaml if given else named(yaml, known)
            number = newest.version + 1 if newest else 1
            origin = (author, asked, request_id, conversation_id)
            add_version(
                connection, owner, Version(known, number, text, summary, message_id, time.time(), *origin)
            )
            return known, number

        return await self._db.write(job)

    async def set_proof(self, owner: str, name: str, version: int, proof: Mapping[str, Any] | None) -> None:
        """Keep with a version what was found out about it. NotFound."""
        changed = await self._db.execute(
            "UPDATE workflow_versions SET proof = ? WHERE owner = ? AND name = ? AND version = ?",
            (None if proof is None else json.dumps(proof), owner, name, version),
        )
        if not changed:
            raise no_workflow(name, version)

    async def get(self, owner: str, name: str, version: int | None = None) -> Version:
        """The newest version, or that one."""
        rows = await self._db.fetch(
            SELECT_VERSION + " AND (? IS NULL OR version = ?) ORDER BY version DESC LIMIT 1",
            (owner, name, version, version),
        )
        if not rows:
            raise no_workflow(name, version)
        return version_of(rows[0])

    async def text(self, owner: str, name: str) -> str | None:
        """The newest text, None where there is no such workflow."""
        try:
            return (await self.get(owner, name)).yaml
        except NotFound:
            return None

    def of(self, owner: str) -> Library:
        """The workflows of one owner, for the checker."""
        return Library(self, owner)

    async def list(self, owner: str, archived: bool | None = False) -> Summaries:
        """The one changed last comes first. Those that are archived or those that are not; with None all."""
        rows = await self._db.fetch(
            "SELECT w.name, max(v.version) AS version, w.description, w.created_at, w.updated_at, w.archived"
            " FROM workflows w JOIN workflow_versions v ON v.owner = w.owner AND v.name = w.name"
            " WHERE w.owner = ? AND (? IS NULL OR w.archived = ?)"
            " GROUP BY w.name ORDER BY w.updated_at DESC, w.rowid DESC",
            (owner, archived, archived),
        )
        return [Summary(**{**dict(row), "archived": bool(row["archived"])}) for row in rows]

    async def versions(self, owner: str, name: str) -> Versions:
        """All of them, the newest first."""
        rows = await self._db.fetch(SELECT_VERSION + " ORDER BY version DESC", (owner, name))
        if not rows:
            await self.get(owner, name)  # says that there is none
        return [version_of(row) for row in rows]

    async def restore(
        self, owner: str, name: str, version: int, *, conversation_id: str | None = None
    ) -> tuple[str, int]:
        """Go back: the old text becomes the newest version."""
        old = await self.get(owner, name, version)
        said = f"Back to version {version}"
        return await self.save(owner, name, old.yaml, said, author="restore", conversation_id=conversation_id)

    async def rename(
        self,
        owner: str,
        name: str,
        new: str,
        *,
        author: Author | None = None,
        references: bool = False,
    ) -> str:
        """Give it another name, which stands in its text from then on; the new name. What goes by its name in this
        database follows. Conflict when the name is taken, and where other workflows start it by its name; with
        `references` those get a version that names the new one.
        """
        from sessions import workflow_moves as moves

        new = moves.checked_name(new)
        if new == name:
            return (await self.get(owner, name)).name
        parents = await self.parents(owner, name)
        if parents and not references:
            raise moves.still_named(name, [parent.name for parent in parents])

        def job(connection: sqlite3.Connection) -> None:
            moves.rename(connection, owner, name, new, author)
            for parent in parents:
                known = new if parent.name == name else parent.name
                moves.refer(connection, owner, known, parent, name, new, author)

        await self._db.write(job)
        return new

    async def duplicate(
        self, owner: str, name: str, new: str | None = None, *, author: Author | None = None
    ) -> tuple[str, int]:
        """(name, version) of a copy of the newest version; left out, its name ends in `-copy`. Conflict."""
        from sessions import workflow_moves as moves

        wanted = None if new is None else moves.checked_name(new)
        return await self._db.write(lambda c: moves.duplicate(c, owner, name, wanted, author))

    async def archive(self, owner: str, name: str, archived: bool = True) -> None:
        """Put it out of the lists, or back; it can be run, changed and named by others as before."""
        from sessions import workflow_moves as moves

        await self._db.write(lambda c: moves.archive(c, owner, name, archived))

    async def delete(self, owner: str, name: str) -> dict[str, int]:
        """It, its versions and what else belongs to it; how many rows went, by table. Its runs stay."""
        from sessions import workflow_moves as moves

        return await self._db.write(lambda c: moves.delete(c, owner, name))

    async def parents(self, owner: str, name: str) -> Versions:
        """The newest versions of the workflows whose nodes start this one."""
        from sessions import workflow_moves as moves

        def job(connection: sqlite3.Connection) -> Versions:
            newest = connection.execute(
                SELECT_NEWEST + " AND instr(v.yaml, 'workflow') > 0 ORDER BY v.name", (owner,)
            ).fetchall()
            return [version_of(row) for row in newest if name in moves.names_in(row["yaml"])]

        return await self._db.read(job)

    async def counts(self, owner: str, name: str) -> dict[str, int]:
        """How much belongs to a workflow, by table."""
        from sessions import workflow_moves as moves

        await self.get(owner, name)
        return await self._db.read(lambda c: moves.counts(c, owner, name))


def create(connection: sqlite3.Connection, owner: str, wanted: object) -> str:
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


def _named_like(connection: sqlite3.Connection, owner: str, flow: Mapping[str, Any]) -> str | None:
    """The name of the saved workflow that a `flow` block names, None where there is none."""
    name = str(flow.get("name") or "").strip()
    found = connection.execute("SELECT 1 FROM workflows WHERE owner = ? AND name = ?", (owner, name))
    return name if found.fetchone() else None


def named(yaml: str, name: str) -> str:
    """The text with this `flow.name`, where it has another one that can be replaced for certain."""
    from engine.check.patches import apply, replace_name
    from engine.document import read_document

    document = read_document(yaml)
    path = ("flow", "name")
    if _flow(yaml).get("name") in (name, None, ""):
        return yaml
    patch = replace_name(document, path, name)
    return apply(yaml, patch) if patch else yaml


def newest_of(connection: sqlite3.Connection, owner: str, name: str) -> Version | None:
    """The newest version of a workflow that exists; None where it has none yet. NotFound."""
    exists = connection.execute("SELECT 1 FROM workflows WHERE owner = ? AND name = ?", (owner, name))
    if exists.fetchone() is None:
        raise NotFound(f'There is no workflow "{name}".', "Save it without a name to make a new one.")
    row = connection.execute(SELECT_VERSION + " ORDER BY version DESC LIMIT 1", (owner, name)).fetchone()
    return None if row is None else version_of(row)


def add_version(connection: sqlite3.Connection, owner: str, new: Version) -> None:
    """Store a version, and what its workflow's row says of the newest one."""
    proof = None if new.proof is None else json.dumps(new.proof)
    values = {name: getattr(new, name) for name in VERSION_COLUMNS} | {"proof": proof}
    connection.execute(INSERT_VERSION, (owner, *values.values()))
    description = _flow(new.yaml).get("description")
    connection.execute(
        "UPDATE workflows SET updated_at = ?, description = ?, archived = 0 WHERE owner = ? AND name = ?",
        (new.created_at, description if isinstance(description, str) else "", owner, new.name),
    )


def version_of(row: sqlite3.Row) -> Version:
    """The record of a row of SELECT_VERSION."""
    return Version(**{**dict(row), "proof": json.loads(row["proof"]) if row["proof"] else None})


def no_workflow(name: str, version: int | None = None) -> NotFound:
    what = f'workflow "{name}"' if version is None else f'version {version} of a workflow "{name}"'
    return NotFound(f"There is no {what}.", "The page and `app.py workflows` list what there is.")


def _overtaken(newest: Version) -> Conflict:
    return Conflict(
        f"{newest.name} was changed meanwhile, to version {newest.version}, so this change was not saved.",
        "Look at that version, then ask for the change again.",
    )


def _flow(yaml: str) -> dict[str, Any]:
    """The `flow` block as far as it can be read; saving does not check, the checker does."""
    from engine.document import read_document

    data = read_document(yaml).data
    flow = data.get("flow") if isinstance(data, dict) else None
    return flow if isinstance(flow, dict) else {}
