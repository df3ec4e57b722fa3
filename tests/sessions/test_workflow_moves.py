"""Workflows get other names, are copied, archived and deleted; what goes by their names follows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.document import read_document
from engine.errors import Conflict, InputError, NotFound
from sessions.conversations import Conversations
from sessions.db import Database, open_db
from sessions.inbox import Inbox
from sessions.workflow_moves import names_in, text_named, with_reference
from sessions.workflow_tests import WorkflowTests
from sessions.workflows import Workflows

ANN, BOB = "ann", "bob"
TEXT = """\
schema_version: "1.0"
flow: {name: greet, description: Greets}  # the name
state: {fields: {text: str}}
nodes: [{id: say, prompt: Hello, outputs: [text]}]
"""
PARENT = """\
schema_version: "1.0"
flow: {name: parent}
state: {fields: {text: str}}
nodes:
  - id: first
    workflow: "greet"   # says hello
    outputs: [text]
  - {id: second, workflow: greet, outputs: [text]}
  - {id: third, prompt: greet, outputs: [text]}
"""


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    found = open_db(tmp_path / "parlance.db", synchronous="NORMAL")
    yield found
    found.close()


@pytest.fixture
async def workflows(db: Database) -> Workflows:
    found = Workflows(db)
    await found.save(ANN, None, TEXT, "first")
    await found.save(ANN, "greet", TEXT.replace("Hello", "Hi"), "second")
    return found


async def test_a_new_name_stands_in_the_text_and_the_story_stays(workflows: Workflows) -> None:
    assert await workflows.rename(ANN, "greet", " hail ", author="api") == "hail"
    newest, second, first = await workflows.versions(ANN, "hail")
    assert newest.yaml == TEXT.replace("Hello", "Hi").replace("name: greet,", "name: hail,")
    assert (newest.summary, newest.author, second.summary, first.yaml) == (
        'Renamed from "greet"',
        "api",
        "second",
        TEXT,
    )
    with pytest.raises(NotFound):
        await workflows.get(ANN, "greet")
    assert [found.name for found in await workflows.list(ANN)] == ["hail"]


async def test_conversations_cards_and_tests_follow(db: Database, workflows: Workflows) -> None:
    talks, tests, inbox = Conversations(db), WorkflowTests(db), Inbox(db)
    mine, other = await talks.create(ANN), await talks.create(BOB)
    for talk, owner in ((mine, ANN), (other, BOB)):
        await talks.set_workflow(owner, talk.id, "greet")
        card = await inbox.add_card(talk.id, "browser", "p")
        parts = [
            {"kind": "text", "text": "draft of greet"},
            {"kind": "draft", "workflow": "greet", "version": 1},
        ]
        await inbox.finish(card.id, "ok", "draft of greet", parts)
    await tests.add(ANN, "greet", "Says hello", "hello!", {"inputs": {}})
    await workflows.rename(ANN, "greet", "hail")
    found = await talks.get(ANN, mine.id)
    assert found.workflow == "hail"
    assert [part.get("workflow") for part in found.messages[0].parts] == [None, "hail"]
    assert found.messages[0].text == "draft of greet"
    assert [test.title for test in await tests.list(ANN, "hail")] == ["Says hello"]
    theirs = await talks.get(BOB, other.id)
    assert (theirs.workflow, theirs.messages[0].parts[1]["workflow"]) == ("greet", "greet")


async def test_a_name_that_is_taken_or_is_none(workflows: Workflows) -> None:
    await workflows.save(ANN, None, TEXT.replace("greet", "other"), "")
    with pytest.raises(Conflict, match='There is a workflow "other" already'):
        await workflows.rename(ANN, "greet", "other")
    for name in ("", "  ", "a\nb", "x" * 201, "\x00"):
        with pytest.raises(InputError):
            await workflows.rename(ANN, "greet", name)
    assert await workflows.rename(ANN, "greet", "greet") == "greet"
    for call in (
        workflows.rename(BOB, "greet", "x"),
        workflows.rename(ANN, "nobody", "x"),
        workflows.duplicate(BOB, "greet"),
        workflows.archive(BOB, "greet"),
        workflows.delete(BOB, "greet"),
    ):
        with pytest.raises(NotFound):
            await call
    assert len(await workflows.versions(ANN, "greet")) == 2


async def test_workflows_that_start_it_are_told_or_changed(workflows: Workflows) -> None:
    await workflows.save(ANN, None, PARENT, "")
    await workflows.save(BOB, None, PARENT, "")
    with pytest.raises(Conflict, match='"greet" is started by "parent"'):
        await workflows.rename(ANN, "greet", "hail")
    assert (await workflows.get(ANN, "greet")).version == 2
    await workflows.rename(ANN, "greet", "a: b", author="editor", references=True)
    parent = await workflows.get(ANN, "parent")
    expected = PARENT.replace('"greet"', '"a: b"').replace("workflow: greet,", 'workflow: "a: b",')
    assert (parent.version, parent.yaml, parent.author) == (2, expected, "editor")
    assert names_in(parent.yaml) == {"a: b"}
    assert (await workflows.get(BOB, "parent")).version == 1


async def test_nothing_happens_under_the_hands_of_the_assistant(db: Database, workflows: Workflows) -> None:
    talks, inbox = Conversations(db), Inbox(db)
    talk = await talks.create(ANN)
    await talks.set_workflow(ANN, talk.id, "greet")
    answer, _ = await inbox.receive(talk.id, "Change it", channel="browser", external_id=None, process="p")
    for call in (workflows.rename(ANN, "greet", "hail"), workflows.delete(ANN, "greet")):
        with pytest.raises(Conflict, match="at work"):
            await call
    await inbox.finish(answer.id, "ok", "Done", [])
    assert await workflows.rename(ANN, "greet", "hail") == "hail"


async def test_a_copy_is_a_workflow_of_its_own(db: Database, workflows: Workflows) -> None:
    tests = WorkflowTests(db)
    await tests.add(ANN, "greet", "Says hello", "hello!", {"inputs": {}})
    assert await workflows.duplicate(ANN, "greet") == ("greet-copy", 1)
    assert await workflows.duplicate(ANN, "greet") == ("greet-copy-2", 1)
    assert await workflows.duplicate(ANN, "greet", "bye", author="editor") == ("bye", 1)
    with pytest.raises(Conflict):
        await workflows.duplicate(ANN, "greet", "bye")
    copied = await workflows.get(ANN, "bye")
    assert copied.yaml == TEXT.replace("Hello", "Hi").replace("name: greet,", "name: bye,")
    assert (copied.summary, copied.author) == ('Copied from "greet", version 2', "editor")
    assert [test.title for test in await tests.list(ANN, "bye")] == ["Says hello"]
    assert len(await tests.list(ANN, "greet")) == 1


async def test_what_is_archived_is_out_of_the_list_until_it_changes(workflows: Workflows) -> None:
    await workflows.archive(ANN, "greet")
    assert await workflows.list(ANN) == []
    assert [found.name for found in await workflows.list(ANN, archived=True)] == ["greet"]
    assert await workflows.of(ANN).names() == ["greet"]
    assert await workflows.rename(ANN, "greet", "hail") == "hail"
    assert await workflows.list(ANN) == []
    await workflows.save(ANN, "hail", TEXT, "again")
    assert [found.archived for found in await workflows.list(ANN)] == [False]
    await workflows.archive(ANN, "hail")
    await workflows.archive(ANN, "hail", archived=False)
    assert len(await workflows.list(ANN)) == 1


async def test_what_is_deleted_is_gone_with_all_that_belongs_to_it(
    db: Database, workflows: Workflows
) -> None:
    talks, tests = Conversations(db), WorkflowTests(db)
    talk = await talks.create(ANN)
    await talks.set_workflow(ANN, talk.id, "greet")
    await tests.add(ANN, "greet", "Says hello", "hello!", {"inputs": {}})
    gone = {"workflow_tests": 1, "workflow_versions": 2, "conversations": 1}
    assert await workflows.counts(ANN, "greet") == gone
    assert await workflows.delete(ANN, "greet") == gone
    assert (await talks.head(ANN, talk.id)).workflow is None
    assert await db.fetch("SELECT * FROM workflow_tests") == []
    assert await db.fetch("SELECT * FROM workflow_versions") == []


async def test_moves_at_the_same_time_hurt_no_other(workflows: Workflows) -> None:
    calls = [workflows.rename(ANN, "greet", f"n{n}") for n in range(4)]
    calls += [workflows.save(ANN, None, TEXT.replace("greet", "other"), "") for _ in range(3)]  # type: ignore[misc]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, NotFound) for result in results) == 3
    assert len(await workflows.list(ANN)) == 4


NAMES = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=12).filter(
    str.strip
)


@given(NAMES)
def test_any_name_can_be_put_into_a_text(name: str) -> None:
    name = name.strip()
    for line in ("name: greet", "name: 'greet'", 'name: "greet"'):
        text = TEXT.replace("{name: greet, description: Greets}", f"{{{line}, description: Greets}}")
        found = text_named(text, name)
        assert read_document(found).data == {
            **read_document(text).data,
            "flow": {"name": name, "description": "Greets"},
        }
        assert found.endswith(text[text.index(", description") :])
    found = with_reference(PARENT, "greet", name)
    data = json.loads(
        json.dumps(read_document(PARENT).data).replace(
            '"workflow": "greet"', f'"workflow": {json.dumps(name)}'
        )
    )
    assert read_document(found).data == data
