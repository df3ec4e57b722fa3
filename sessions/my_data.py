"""All that the home database keeps of an owner: read for an export, erased, and scrubbed out of its files.

The tables are found by their columns, so that one that is new is neither forgotten in an export nor left behind.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from typing import Any

from engine.errors import StoreError
from sessions.db import Database

SCRUB_SECONDS = 20.0
"""How long others that read or write are waited for."""
_KEPT_APART = ("conversations", "workflows", "workflow_versions", "runs", "waits", "schedules", "preferences")
Rows = list[dict[str, Any]]


class OwnerData:
    """The rows of owners in one database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def conversation_ids(self, owner: str) -> list[str]:
        """The oldest first."""
        rows = await self._db.fetch(
            "SELECT id FROM conversations WHERE owner = ? ORDER BY created_at", (owner,)
        )
        return [row["id"] for row in rows]

    async def messages(self, conversation_id: str) -> Rows:
        """Every message, also those that are out of view since they were edited or answered anew."""
        rows = await self._db.fetch(
            "SELECT * FROM messages WHERE conversation_id = ? ORDER BY seq", (conversation_id,)
        )
        return [{**dict(row), "parts": json.loads(row["parts"])} for row in rows]

    async def others(self, owner: str) -> dict[str, Rows]:
        """By table, what is not a conversation, a workflow's version, a run, a schedule or a preference."""

        def job(connection: sqlite3.Connection) -> dict[str, Rows]:
            found = {}
            for table in _tables_of_owners(connection):
                if table not in _KEPT_APART:
                    query = f"SELECT * FROM {table} WHERE owner = ?"  # noqa: S608 - a table's name
                    found[table] = [dict(row) for row in connection.execute(query, (owner,))]
            for table in _tables_of_conversations(connection):
                query = (
                    f"SELECT t.* FROM {table} t JOIN conversations c ON c.id = t.conversation_id"  # noqa: S608
                    " WHERE c.owner = ?"
                )
                found[table] = [dict(row) for row in connection.execute(query, (owner,))]
            return {table: rows for table, rows in found.items() if rows}

        return await self._db.read(job)

    async def erase(self, owner: str) -> None:
        """Delete every row of the owner's, in one transaction; runs have been erased by their own store before."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("PRAGMA defer_foreign_keys = ON")
            for table in _tables_of_owners(connection):
                connection.execute(f"DELETE FROM {table} WHERE owner = ?", (owner,))  # noqa: S608
            connection.execute("DELETE FROM message_runs WHERE message_id NOT IN (SELECT id FROM messages)")
            connection.execute("INSERT INTO messages_index (messages_index) VALUES ('optimize')")

        await self._db.write(job)

    async def scrub(self) -> None:
        """Write the database's files anew, without what was deleted. StoreError while another program keeps at it."""
        await asyncio.to_thread(self._scrub)

    def _scrub(self) -> None:
        until = time.monotonic() + SCRUB_SECONDS
        connection = sqlite3.connect(self._db.path, timeout=SCRUB_SECONDS, isolation_level=None)
        try:
            connection.execute("VACUUM")
            while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > until:
                    raise StoreError(
                        "What was deleted may still stand in the database's log: another program reads it.",
                        "Close the other program and erase again.",
                    )
                time.sleep(0.05)
        except sqlite3.Error as error:
            raise StoreError(
                f"The database's files could not be written anew: {error}.",
                "Close other programs and erase again.",
            ) from error
        finally:
            connection.close()


def _tables_of_owners(connection: sqlite3.Connection) -> list[str]:
    """Tables with a column `owner`."""
    return _tables(connection, "owner")


def _tables_of_conversations(connection: sqlite3.Connection) -> list[str]:
    """Tables with a column `conversation_id` and no owner of their own, but messages and what leads to them."""
    owned = (*_tables_of_owners(connection), "messages", "inbox")
    return [table for table in _tables(connection, "conversation_id") if table not in owned]


def _tables(connection: sqlite3.Connection, column: str) -> list[str]:
    found = connection.execute(
        "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = ?"
        " WHERE m.type = 'table' ORDER BY m.name",
        (column,),
    )
    return [row["name"] for row in found]
