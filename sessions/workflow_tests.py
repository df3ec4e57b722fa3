"""Tests of saved workflows: what somebody wished, in their own words, and the case that stands for it.

A test belongs to a workflow, not to a version: every version is tried on all of them. It follows its workflow when
that is renamed, and goes with it.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import InputError, NotFound
from sessions.conversations import iso
from sessions.db import Database

MOST = 200
"""So many tests a workflow can have."""
LONGEST_TITLE, LONGEST_QUOTE = 200, 2000
_COLUMNS = "id, workflow, title, quote, case_json, message_id, created_at"
_INSERT = f"INSERT INTO workflow_tests (owner, {_COLUMNS}) VALUES (?,?,?,?,?,?,?,?)"  # noqa: S608


@dataclass(frozen=True, slots=True)
class WorkflowTest:
    """One test. `case` is as `engine.cases.Case.to_dict` gives it; `quote` what the person said, in message
    `message_id`; both may be missing ("" and None) where it was made by hand."""

    id: str
    workflow: str
    title: str
    quote: str
    case: Mapping[str, Any]
    message_id: str | None
    created_at: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "workflow": self.workflow,
            "title": self.title,
            "quote": self.quote,
            "case": dict(self.case),
            "message_id": self.message_id,
            "created_at": iso(self.created_at),
        }


Tests = list[WorkflowTest]


class WorkflowTests:
    """The store of tests. What belongs to another owner is NotFound."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(
        self,
        owner: str,
        workflow: str,
        title: str,
        quote: str,
        case: Mapping[str, Any],
        message_id: str | None = None,
    ) -> str:
        """Keep a test; its id. The same case again is the same test. NotFound for the workflow, InputError when it
        has too many.
        """
        return await self.add_all(owner, workflow, [(title, quote, case)], message_id)

    async def add_all(
        self,
        owner: str,
        workflow: str,
        tests: list[tuple[str, str, Mapping[str, Any]]],
        message_id: str | None = None,
    ) -> str:
        """Keep tests (title, quote, case), all of them or none; the last one's id."""

        def job(connection: sqlite3.Connection) -> str:
            key = ""
            for title, quote, case in tests:
                key = _add(connection, owner, workflow, title, quote, _packed(case), message_id)
            return key

        return await self._db.write(job)

    async def list(self, owner: str, workflow: str) -> Tests:
        """The oldest first; none where there is no such workflow."""
        rows = await self._db.fetch(
            f"SELECT {_COLUMNS} FROM workflow_tests WHERE owner = ? AND workflow = ? ORDER BY rowid",  # noqa: S608
            (owner, workflow),
        )
        return [_test(row) for row in rows]

    async def remove(self, owner: str, workflow: str, test_id: str) -> None:
        """NotFound where there is none."""
        gone = await self._db.execute(
            "DELETE FROM workflow_tests WHERE owner = ? AND workflow = ? AND id = ?",
            (owner, workflow, test_id),
        )
        if not gone:
            raise NotFound(f'"{workflow}" has no test {test_id}.', "List its tests to see their ids.")


def copy_tests(connection: sqlite3.Connection, owner: str, old: str, new: str) -> None:
    """Give a copy of a workflow copies of its tests."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM workflow_tests WHERE owner = ? AND workflow = ? ORDER BY rowid",  # noqa: S608
        (owner, old),
    ).fetchall()
    for row in rows:
        found = {**dict(row), "id": _new_id(), "workflow": new}
        connection.execute(_INSERT, (owner, *found.values()))


def _add(
    connection: sqlite3.Connection,
    owner: str,
    workflow: str,
    title: str,
    quote: str,
    packed: str,
    message_id: str | None,
) -> str:
    known = connection.execute("SELECT 1 FROM workflows WHERE owner = ? AND name = ?", (owner, workflow))
    if known.fetchone() is None:
        raise NotFound(f'There is no workflow "{workflow}".', "Save it first.")
    there = connection.execute(
        "SELECT id, case_json FROM workflow_tests WHERE owner = ? AND workflow = ?", (owner, workflow)
    ).fetchall()
    same: str | None = next((row["id"] for row in there if row["case_json"] == packed), None)
    if same is not None:
        return same
    if len(there) >= MOST:
        raise InputError(f'"{workflow}" has {MOST} tests, which is the most.', "Remove some first.")
    title = " ".join(title.split())[:LONGEST_TITLE] or "Test"
    values = (_new_id(), workflow, title, quote[:LONGEST_QUOTE], packed, message_id, time.time())
    connection.execute(_INSERT, (owner, *values))
    return values[0]


def _new_id() -> str:
    return uuid.uuid4().hex[:12]


def _packed(case: Mapping[str, Any]) -> str:
    return json.dumps(case, ensure_ascii=False, sort_keys=True)


def _test(row: sqlite3.Row) -> WorkflowTest:
    found = dict(row)
    return WorkflowTest(case=json.loads(found.pop("case_json")), **found)
