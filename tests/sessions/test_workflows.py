"""Saved workflows and their versions on a real database."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import NotFound
from sessions import migrations
from sessions.db import open_db
from sessions.workflows import LONGEST_REQUEST, Version, Workflows

ANN, BOB = "ann", "bob"


def document(name: str = "greet", prompt: str = "Say hello", description: str = "Greets") -> str:
    return (
        'schema_version: "1.0"\n'
        f"flow: {{name: {name}, description: {description}}}\n"
        "state: {fields: {text: {type: str}}}\n"
        f"nodes: [{{id: say, prompt: {prompt}, outputs: [text]}}]\n"
    )


@pytest.fixture
async def workflows(tmp_path: Path) -> AsyncIterator[Workflows]:
    db = open_db(tmp_path / "parlance.db", synchronous="NORMAL")
    yield Workflows(db)
    db.close()


async def test_a_first_draft_takes_its_flows_name_made_unique(workflows: Workflows) -> None:
    saved = [await workflows.save(ANN, None, document(prompt=f"p{n}"), "first") for n in range(3)]
    assert saved == [("greet", 1), ("greet-2", 1), ("greet-3", 1)]
    assert await workflows.save(BOB, None, document(), "his own") == ("greet", 1)


@pytest.mark.parametrize(
    ("line", "mended"),
    [
        ("flow: {name: greet, description: greet}", "flow: {name: greet-2, description: greet}"),
        ("flow:\n  name: 'greet'   # the name: greet", "flow:\n  name: 'greet-2'   # the name: greet"),
        ('flow: {"name": "greet"}', 'flow: {"name": "greet-2"}'),
        ("flow: {version: &n greet, name: *n}", "flow: {version: &n greet, name: *n}"),  # no mend is certain
    ],
)
async def test_a_second_one_of_a_name_carries_its_number_in_its_text(
    workflows: Workflows, line: str, mended: str
) -> None:
    text = f'schema_version: "1.0"\n{line}\n# greet\nstate: {{}}\n'
    await workflows.save(ANN, None, text, "First")
    name, version = await workflows.save(ANN, None, text, "Second")
    assert (name, version) == ("greet-2", 1)
    assert (await workflows.get(ANN, name)).yaml == text.replace(line, mended)
    assert (await workflows.get(ANN, "greet")).yaml == text


async def test_every_change_is_a_version(workflows: Workflows) -> None:
    await workflows.save(ANN, None, document(), "first", "message-1")
    assert await workflows.save(ANN, "greet", document(prompt="Wave"), "Waves now", "message-2") == (
        "greet",
        2,
    )
    assert await workflows.save(ANN, "greet", document(prompt="Wave"), "nothing new") == ("greet", 2)
    newest = await workflows.get(ANN, "greet")
    assert (newest.version, newest.summary, newest.message_id) == (2, "Waves now", "message-2")
    assert newest.yaml == document(prompt="Wave")
    assert (await workflows.get(ANN, "greet", 1)).yaml == document()
    assert [v.version for v in await workflows.versions(ANN, "greet")] == [2, 1]


async def test_to_go_back_is_a_new_version_with_the_old_text(workflows: Workflows) -> None:
    await workflows.save(ANN, None, document(), "first")
    await workflows.save(ANN, "greet", document(prompt="Wave"), "second")
    assert await workflows.restore(ANN, "greet", 1) == ("greet", 3)
    newest = await workflows.get(ANN, "greet")
    assert newest.yaml == document()
    assert newest.summary == "Back to version 1"
    assert len(await workflows.versions(ANN, "greet")) == 3


async def test_the_name_stays_when_the_flow_is_renamed(workflows: Workflows) -> None:
    await workflows.save(ANN, None, document(), "first")
    assert await workflows.save(ANN, "greet", document("other", description="Changed"), "renamed") == (
        "greet",
        2,
    )
    [only] = await workflows.list(ANN)
    assert (only.name, only.version, only.description) == ("greet", 2, "Changed")


async def test_the_list_has_the_last_changed_first(workflows: Workflows) -> None:
    await workflows.save(ANN, None, document("one"), "")
    await workflows.save(ANN, None, document("two"), "")
    await workflows.save(BOB, None, document("three"), "")
    assert [w.name for w in await workflows.list(ANN)] == ["two", "one"]
    await workflows.save(ANN, "one", document("one", "changed"), "")
    assert [w.name for w in await workflows.list(ANN)] == ["one", "two"]


@pytest.mark.parametrize("yaml", ["", "flow: 3", "- a", "flow: {name: ''}", "{unclosed"])
async def test_a_document_without_a_name_is_called_workflow(workflows: Workflows, yaml: str) -> None:
    assert await workflows.save(ANN, None, yaml, "odd") == ("workflow", 1)
    assert (await workflows.get(ANN, "workflow")).yaml == yaml


async def test_a_foreign_workflow_is_as_if_it_did_not_exist(workflows: Workflows) -> None:
    await workflows.save(ANN, None, document(), "first")
    for call in (
        workflows.get(BOB, "greet"),
        workflows.get(BOB, "greet", 1),
        workflows.versions(BOB, "greet"),
        workflows.restore(BOB, "greet", 1),
        workflows.save(BOB, "greet", document(prompt="stolen"), "theft"),
        workflows.get(ANN, "greet", 7),
    ):
        with pytest.raises(NotFound):
            await call
    assert len(await workflows.versions(ANN, "greet")) == 1
    assert await workflows.list(BOB) == []


async def test_a_version_says_who_made_it_and_what_was_asked(workflows: Workflows) -> None:
    await workflows.save(ANN, None, document(), "first")
    await workflows.save(
        ANN,
        "greet",
        document(prompt="Wave"),
        "Waves",
        "answer-1",
        author="assistant",
        request="Wave, please. " * 1000,
        request_id="said-1",
        conversation_id="talk-1",
    )
    newest, oldest = await workflows.versions(ANN, "greet")
    assert (oldest.author, oldest.request, oldest.request_id, oldest.conversation_id) == (None,) * 4
    assert (newest.author, newest.request_id, newest.conversation_id) == ("assistant", "said-1", "talk-1")
    assert newest.request == ("Wave, please. " * 1000)[:LONGEST_REQUEST]
    assert newest.to_dict()["request"] == newest.request
    await workflows.restore(ANN, "greet", 1, conversation_id="talk-2")
    back = await workflows.get(ANN, "greet")
    assert (back.author, back.request, back.conversation_id) == ("restore", None, "talk-2")


async def test_a_proof_is_kept_with_its_version(workflows: Workflows) -> None:
    await workflows.save(ANN, None, document(), "first")
    await workflows.save(ANN, "greet", document(prompt="Wave"), "second")
    proof = {"checked": {"ok": True}, "tests": [{"id": "ä"}]}
    await workflows.set_proof(ANN, "greet", 1, proof)
    assert (await workflows.get(ANN, "greet", 1)).proof == proof
    assert (await workflows.get(ANN, "greet", 2)).proof is None
    await workflows.set_proof(ANN, "greet", 1, None)
    assert (await workflows.get(ANN, "greet", 1)).proof is None
    for owner, version in ((BOB, 1), (ANN, 3)):
        with pytest.raises(NotFound):
            await workflows.set_proof(owner, "greet", version, proof)


async def test_versions_of_an_older_database_have_no_origin(tmp_path: Path) -> None:
    """A database as the second version left it: what it does not know is None, all else is as it was."""
    path = tmp_path / "old.db"
    names = [name for name, _ in migrations.MIGRATIONS]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)")
        for name, step in migrations.MIGRATIONS[: names.index("add_version_origin")]:
            step(connection)
            connection.execute("INSERT INTO migrations VALUES (?, 'then')", (name,))
        connection.execute("INSERT INTO workflows VALUES ('ann', 'greet', 'd', 1.0, 2.0)")
        connection.execute(
            "INSERT INTO workflow_versions VALUES ('ann', 'greet', 1, ?, 'first', 'm', 2.0)", (document(),)
        )
    db = open_db(path)
    old = Workflows(db)
    assert await old.get(ANN, "greet") == Version("greet", 1, document(), "first", "m", 2.0)
    assert [w.archived for w in await old.list(ANN)] == [False]
    assert await old.save(ANN, "greet", document(prompt="Wave"), "next", author="editor") == ("greet", 2)
    db.close()
