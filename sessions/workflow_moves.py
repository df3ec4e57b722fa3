"""Renaming, copying, archiving and deleting saved workflows, with all in this database that goes by their names.

Tables whose rows belong to a workflow have a foreign key on (owner, name); they are found by it, so that a table
that is new follows a rename like the others.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.errors import Conflict, InputError, NotFound
from sessions.workflow_tests import copy_tests
from sessions.workflows import (
    Author,
    Version,
    add_version,
    create,
    named,
    newest_of,
    no_workflow,
)

LONGEST_NAME = 200  # characters
BUSY = (
    "SELECT 1 FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE c.owner = ?"
    " AND c.workflow = ? AND m.phase IN ('queued', 'answering') AND m.hidden_at IS NULL"
)
DRAFTS = (
    "SELECT m.seq, m.parts FROM messages m JOIN conversations c ON c.id = m.conversation_id"
    " WHERE c.owner = ? AND m.parts LIKE '%\"draft\"%'"
)


def checked_name(name: str) -> str:
    """A name that a workflow can be given. InputError."""
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(
            f"A workflow can't be called {name[:40]!r}.",
            f"Give a name of 1 to {LONGEST_NAME} characters on one line.",
            "name",
        )
    return name


def references(text: str) -> list[tuple[str | int, ...]]:
    """The paths in a document at which a node names a saved workflow."""
    return [path for path, _ in _named_in(text)]


def names_in(text: str) -> set[str]:
    """The saved workflows that a document's nodes name."""
    return {name for _, name in _named_in(text)}


def _named_in(text: str) -> Iterator[tuple[tuple[str | int, ...], str]]:
    from engine.document import read_document

    if "workflow" not in text:
        return
    data = read_document(text).data
    nodes = data.get("nodes") if isinstance(data, Mapping) else None
    for index, node in enumerate(nodes if isinstance(nodes, list) else ()):
        found = node.get("workflow") if isinstance(node, Mapping) else None
        if isinstance(found, str) and found.strip():
            yield ("nodes", index, "workflow"), found


def with_reference(text: str, old: str, new: str) -> str:
    """The document with the nodes that name `old` naming `new`; every other byte stays."""
    from engine.document import read_document

    document = read_document(text)
    spans = []
    for path, name in _named_in(text):
        if name == old:
            start, end = document.span(path)
            spans.append((document.offset(start), document.offset(end)))
    for begin, end_ in sorted(spans, reverse=True):
        text = text[:begin] + scalar(new) + text[end_:]
    return text


def scalar(name: str) -> str:
    """A name as it is written in YAML: quoted where it must be."""
    from engine.document import read_document

    plain = read_document(f"[{name}]\n")
    return name if not plain.problems and plain.data == [name] else json.dumps(name, ensure_ascii=False)


def text_named(text: str, name: str) -> str:
    """The text with this `flow.name`; left as it is where it has none that can be replaced for certain."""
    from engine.document import read_document

    found = named(text, name)
    data = read_document(found).data
    flow = data.get("flow") if isinstance(data, Mapping) else None
    if isinstance(flow, Mapping) and flow.get("name") == name:
        return found
    document = read_document(text)
    if not document.has(("flow", "name")) or document.source(("flow", "name"))[:1] in ("*", "&", "!"):
        return text
    start, end = (document.offset(place) for place in document.span(("flow", "name")))
    return text[:start] + scalar(name) + text[end:]


# --- within a transaction ---------------------------------------------------------------------------------


def rename(connection: sqlite3.Connection, owner: str, old: str, new: str, author: Author | None) -> None:
    """Give a workflow another name, in its text too; what goes by its name follows. NotFound, Conflict."""
    newest = _existing(connection, owner, old)
    not_busy(connection, owner, old)
    _free(connection, owner, new)
    connection.execute("PRAGMA defer_foreign_keys = ON")
    connection.execute("UPDATE workflows SET name = ? WHERE owner = ? AND name = ?", (new, owner, old))
    for table, owner_column, name_column in following(connection):
        connection.execute(
            f"UPDATE {table} SET {name_column} = ? WHERE {owner_column} = ? AND {name_column} = ?",  # noqa: S608
            (new, owner, old),
        )
    connection.execute(
        "UPDATE conversations SET workflow = ? WHERE owner = ? AND workflow = ?", (new, owner, old)
    )
    _rename_in_messages(connection, owner, old, new)
    text = text_named(newest.yaml, new)
    if text != newest.yaml:
        archived = is_archived(connection, owner, new)
        said = f'Renamed from "{old}"'
        add_version(
            connection,
            owner,
            Version(new, newest.version + 1, text, said, None, time.time(), author),
        )
        archive(connection, owner, new, archived)


def refer(
    connection: sqlite3.Connection,
    owner: str,
    name: str,
    seen: Version,
    old: str,
    new: str,
    author: Author | None,
) -> None:
    """A version of another workflow, which names the new name. Conflict when it is no more as it was seen."""
    newest = _existing(connection, owner, name)
    if newest.version != seen.version:
        raise Conflict(f'"{name}" has just been changed.', "Try again.")
    not_busy(connection, owner, name)
    archived = is_archived(connection, owner, name)
    said = f'"{old}" is called "{new}" now'
    text = with_reference(newest.yaml, old, new)
    add_version(connection, owner, Version(name, newest.version + 1, text, said, None, time.time(), author))
    archive(connection, owner, name, archived)


def duplicate(
    connection: sqlite3.Connection, owner: str, name: str, new: str | None, author: Author | None
) -> tuple[str, int]:
    """The newest version as a workflow of its own, with what else belongs to the workflow; (name, version)."""
    newest = _existing(connection, owner, name)
    if new is not None:
        _free(connection, owner, new)
    made = create(connection, owner, new or f"{name}-copy")
    text, said = text_named(newest.yaml, made), f'Copied from "{name}", version {newest.version}'
    add_version(connection, owner, Version(made, 1, text, said, None, time.time(), author))
    copy_tests(connection, owner, name, made)
    return made, 1


def archive(connection: sqlite3.Connection, owner: str, name: str, archived: bool) -> None:
    """Put it out of the lists, or back. NotFound."""
    changed = connection.execute(
        "UPDATE workflows SET archived = ? WHERE owner = ? AND name = ?", (archived, owner, name)
    )
    if not changed.rowcount:
        raise no_workflow(name)


def is_archived(connection: sqlite3.Connection, owner: str, name: str) -> bool:
    found = connection.execute(
        "SELECT archived FROM workflows WHERE owner = ? AND name = ?", (owner, name)
    ).fetchone()
    return bool(found and found["archived"])


def delete(connection: sqlite3.Connection, owner: str, name: str) -> dict[str, int]:
    """Every version and all that belongs to the workflow; how many rows of which table went. NotFound, Conflict.

    Conversations about it are about none then.
    """
    _existing(connection, owner, name)
    not_busy(connection, owner, name)
    gone = counts(connection, owner, name)
    connection.execute("DELETE FROM workflows WHERE owner = ? AND name = ?", (owner, name))
    connection.execute(
        "UPDATE conversations SET workflow = NULL WHERE owner = ? AND workflow = ?", (owner, name)
    )
    return gone


def counts(connection: sqlite3.Connection, owner: str, name: str) -> dict[str, int]:
    """How much belongs to a workflow: rows by table, and `conversations` about it."""
    found = {
        table: connection.execute(
            f"SELECT count(*) FROM {table} WHERE {owner_column} = ? AND {name_column} = ?",  # noqa: S608
            (owner, name),
        ).fetchone()[0]
        for table, owner_column, name_column in following(connection)
    }
    talks = "SELECT count(*) FROM conversations WHERE owner = ? AND workflow = ?"
    return {**found, "conversations": connection.execute(talks, (owner, name)).fetchone()[0]}


def following(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """The tables with a foreign key on workflows: table, its column for the owner, its column for the name."""
    tables = [
        row["name"]
        for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    ]
    found = []
    for table in tables:
        keys = connection.execute(f"SELECT * FROM pragma_foreign_key_list('{table}')").fetchall()  # noqa: S608
        columns = {key["seq"]: key["from"] for key in keys if key["table"] == "workflows"}
        if len(columns) == 2:
            found.append((table, columns[0], columns[1]))
    return found


def not_busy(connection: sqlite3.Connection, owner: str, name: str) -> None:
    """Conflict while the assistant answers in a conversation about the workflow: it may be about to save it."""
    if connection.execute(BUSY, (owner, name)).fetchone():
        raise Conflict(
            f'The assistant is at work on "{name}" just now.',
            "Wait for its answer, or stop it, and try again.",
        )


def still_named(name: str, parents: Sequence[str]) -> Conflict:
    """Others start it by its name."""
    which = ", ".join(f'"{parent}"' for parent in parents)
    return Conflict(
        f'"{name}" is started by {which}.',
        "Change them too by saying so (references on the page and in the API, --references), or change them first.",
    )


def _existing(connection: sqlite3.Connection, owner: str, name: str) -> Version:
    try:
        found = newest_of(connection, owner, name)
    except NotFound:
        found = None
    if found is None:
        raise no_workflow(name)
    return found


def _free(connection: sqlite3.Connection, owner: str, name: str) -> None:
    taken = connection.execute("SELECT 1 FROM workflows WHERE owner = ? AND name = ?", (owner, name))
    if taken.fetchone():
        raise Conflict(f'There is a workflow "{name}" already.', "Choose another name.")


def _rename_in_messages(connection: sqlite3.Connection, owner: str, old: str, new: str) -> None:
    """The cards of drafts in conversations lead to the workflow by its name."""
    for row in connection.execute(DRAFTS, (owner,)).fetchall():
        parts: list[dict[str, Any]] = json.loads(row["parts"])
        changed = [
            {**part, "workflow": new} if part.get("kind") == "draft" and part.get("workflow") == old else part
            for part in parts
        ]
        if changed != parts:
            connection.execute(
                "UPDATE messages SET parts = ? WHERE seq = ?",
                (json.dumps(changed, ensure_ascii=False, separators=(",", ":")), row["seq"]),
            )
