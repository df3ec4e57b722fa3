"""Tests of workflows in the store: they belong to one owner's workflow and go where it goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import InputError, NotFound
from sessions.db import Database, open_db
from sessions.workflow_tests import MOST, WorkflowTests
from sessions.workflows import Workflows

YAML = "flow: {name: triage}\n"
CASE = {"inputs": {"x": "ü"}, "must_run": ["a"]}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    found = open_db(tmp_path / "a.db", synchronous="NORMAL")
    yield found
    found.close()


async def test_a_test_is_kept_and_removed(db: Database) -> None:
    tests = WorkflowTests(db)
    await Workflows(db).save("ada", None, YAML, "made")
    key = await tests.add("ada", "triage", " Refunds\n go ", "if it mentions a refund", CASE, "m1")
    (found,) = await tests.list("ada", "triage")
    assert (found.id, found.title, found.quote, found.case, found.message_id) == (
        key,
        "Refunds go",
        "if it mentions a refund",
        CASE,
        "m1",
    )
    assert await tests.add("ada", "triage", "Again", "", CASE) == key
    assert await tests.list("bob", "triage") == []
    with pytest.raises(NotFound):
        await tests.remove("bob", "triage", key)
    await tests.remove("ada", "triage", key)
    assert await tests.list("ada", "triage") == []


async def test_tests_need_a_workflow_and_are_bounded(db: Database) -> None:
    tests = WorkflowTests(db)
    with pytest.raises(NotFound):
        await tests.add("ada", "triage", "t", "q", CASE)
    await Workflows(db).save("ada", None, YAML, "made")
    many = [("t", "q", {"must_run": [str(number)]}) for number in range(MOST)]
    await tests.add_all("ada", "triage", many)
    with pytest.raises(InputError, match="the most"):
        await tests.add("ada", "triage", "t", "q", CASE)
    assert len(await tests.list("ada", "triage")) == MOST


async def test_tests_follow_their_workflow(db: Database) -> None:
    tests, workflows = WorkflowTests(db), Workflows(db)
    await workflows.save("ada", None, YAML, "made")
    await tests.add("ada", "triage", "t", "q", CASE)
    await workflows.rename("ada", "triage", "sorting")
    assert [test.workflow for test in await tests.list("ada", "sorting")] == ["sorting"]
    copy, _ = await workflows.duplicate("ada", "sorting")
    assert [test.case for test in await tests.list("ada", copy)] == [CASE]
    await workflows.delete("ada", "sorting")
    assert await tests.list("ada", "sorting") == []
    assert len(await tests.list("ada", copy)) == 1
