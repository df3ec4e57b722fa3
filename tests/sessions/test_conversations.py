"""Conversations and the inbox on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import Conflict, NotFound
from sessions.conversations import NEW_TITLE, TITLE_LENGTH, Conversations, shorten
from sessions.db import Database, open_db
from sessions.inbox import Inbox, OpenRun

ANN, BOB = "ann", "bob"
HERE = "process-1"


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    opened = open_db(tmp_path / "parlance.db", synchronous="NORMAL")
    yield opened
    opened.close()


@pytest.fixture
def conversations(db: Database) -> Conversations:
    return Conversations(db)


@pytest.fixture
def inbox(db: Database) -> Inbox:
    return Inbox(db)


async def say(inbox: Inbox, conversation_id: str, text: str, external_id: str | None = None) -> str:
    answer, _ = await inbox.receive(
        conversation_id, text, channel="browser", external_id=external_id, process=HERE
    )
    return answer.id


async def test_a_conversation_is_named_after_its_first_message_until_renamed(
    conversations: Conversations, inbox: Inbox
) -> None:
    made = await conversations.create(ANN)
    assert made.title == NEW_TITLE
    await say(inbox, made.id, "\n  Sum up   my mail,\nthen translate it")
    await say(inbox, made.id, "And now something else")
    assert (await conversations.head(ANN, made.id)).title == "Sum up my mail,"
    assert (await conversations.rename(ANN, made.id, "Mail")).title == "Mail"
    await say(inbox, made.id, "A third thing")
    assert (await conversations.head(ANN, made.id)).title == "Mail"
    assert (await conversations.rename(ANN, made.id, "  ")).title == "Sum up my mail,"


async def test_an_answer_to_a_run_does_not_name_the_conversation(
    conversations: Conversations, inbox: Inbox
) -> None:
    made = await conversations.create(ANN)
    await conversations.set_workflow(ANN, made.id, "contacts")
    await inbox.add_card(made.id, "browser", "p")
    await say(inbox, made.id, "fix and run from there")
    assert (await conversations.head(ANN, made.id)).title == "contacts"
    other = await conversations.create(ANN)
    await conversations.set_workflow(ANN, other.id, "contacts")
    await say(inbox, other.id, "make it shorter")
    assert (await conversations.head(ANN, other.id)).title == "make it shorter"


async def test_messages_come_in_order_and_by_pages(conversations: Conversations, inbox: Inbox) -> None:
    made = await conversations.create(ANN)
    for number in range(5):
        await say(inbox, made.id, f"message {number}")
    whole = await conversations.get(ANN, made.id)
    assert [m.text for m in whole.messages if m.role == "user"] == [f"message {n}" for n in range(5)]
    assert not whole.earlier
    last = await conversations.get(ANN, made.id, limit=4)
    assert [m.id for m in last.messages] == [m.id for m in whole.messages[-4:]]
    assert last.earlier
    before = await conversations.get(ANN, made.id, limit=100, before=last.messages[0].seq)
    assert [m.id for m in before.messages] == [m.id for m in whole.messages[:-4]]
    assert not before.earlier


async def test_the_list_has_the_latest_first_and_only_ones_own(
    conversations: Conversations, inbox: Inbox
) -> None:
    first, second = await conversations.create(ANN), await conversations.create(ANN)
    await conversations.create(BOB)
    assert [c.id for c in await conversations.list(ANN)] == [second.id, first.id]
    await say(inbox, first.id, "hello")
    assert [c.id for c in await conversations.list(ANN)] == [first.id, second.id]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("invoice", {"bills"}),
        ("INVOI", {"bills"}),
        ("invoice march", {"bills"}),
        ("invoice april", set()),
        ("ärger", {"mood"}),
        ("ÄRGER", {"mood"}),
        ("发票报", {"chinese"}),
        ("up", {"bills"}),
        ('"', set()),
        ("100%", {"mood"}),
        ("_", set()),
        ("NEAR(a b) OR *", set()),
        ("answer text", {"chinese"}),
        ("growing", set()),
    ],
)
async def test_search_in_titles_and_messages(
    conversations: Conversations, inbox: Inbox, query: str, found: set[str]
) -> None:
    said = {
        "bills": "Add up the invoices\nof March and send them",
        "mood": "Was tun gegen Ärger?\nIt is 100% bad",
        "chinese": "请整理发票报告",
    }
    names = {}
    for name, text in said.items():
        names[(made := await conversations.create(ANN)).id] = name
        answer = await say(inbox, made.id, text)
        if name == "chinese":
            await inbox.finish(answer, "ok", "The Answer Text", [])
        if name == "mood":
            await inbox.save(answer, "growing", [])
    other = await conversations.create(BOB)
    await say(inbox, other.id, "\n".join(said.values()))
    assert {names[c.id] for c in await conversations.list(ANN, query)} == found


async def test_search_forgets_what_is_hidden_or_deleted(conversations: Conversations, inbox: Inbox) -> None:
    made = await conversations.create(ANN, "Plans")
    await say(inbox, made.id, "breakfast")
    await say(inbox, made.id, "elephants")
    messages = (await conversations.get(ANN, made.id)).messages
    await inbox.hide_from(made.id, messages[2].seq)
    assert await conversations.list(ANN, "elephants") == []
    assert [c.id for c in await conversations.list(ANN, "breakfast")] == [made.id]
    await conversations.delete(ANN, made.id)
    assert await conversations.list(ANN, "breakfast") == []
    assert await inbox.unfinished() == []


async def test_a_foreign_conversation_is_as_if_it_did_not_exist(conversations: Conversations) -> None:
    made = await conversations.create(ANN)
    for call in (
        conversations.get(BOB, made.id),
        conversations.head(BOB, made.id),
        conversations.rename(BOB, made.id, "mine"),
        conversations.set_workflow(BOB, made.id, "x"),
        conversations.delete(BOB, made.id),
    ):
        with pytest.raises(NotFound) as foreign:
            await call
        with pytest.raises(NotFound) as missing:
            await conversations.head(BOB, "nothing")
        assert str(foreign.value) == str(missing.value)
    assert (await conversations.head(ANN, made.id)).title == NEW_TITLE


async def test_ten_deliveries_are_one_message(conversations: Conversations, inbox: Inbox) -> None:
    made = await conversations.create(ANN)
    ids = {await say(inbox, made.id, "hello", "delivery-1") for _ in range(10)}
    assert len(ids) == 1
    assert [m.role for m in (await conversations.get(ANN, made.id)).messages] == ["user", "assistant"]
    assert await say(inbox, made.id, "hello", "delivery-2") not in ids


async def test_a_delivery_belongs_to_one_conversation(conversations: Conversations, inbox: Inbox) -> None:
    first, second = await conversations.create(ANN), await conversations.create(BOB)
    await say(inbox, first.id, "hello", "delivery-1")
    with pytest.raises(Conflict):
        await say(inbox, second.id, "hello", "delivery-1")
    assert (await conversations.get(BOB, second.id)).messages == ()


async def test_an_answer_grows_and_ends(conversations: Conversations, inbox: Inbox) -> None:
    made = await conversations.create(ANN)
    answer = await say(inbox, made.id, "hello")
    assert [(owner, m.id, m.phase, m.process) for owner, m in await inbox.unfinished()] == [
        (ANN, answer, "queued", HERE)
    ]
    await inbox.set_phase(answer, "answering", "process-2")
    await inbox.save(answer, "so far", [{"kind": "text", "text": "so far"}])
    live = await inbox.message(made.id, answer)
    assert (live.status, live.phase, live.process, live.text) == ("live", "answering", "process-2", "so far")
    await inbox.finish(answer, "ok", "all", [{"kind": "text", "text": "all"}])
    done = await inbox.message(made.id, answer)
    assert (done.status, done.phase, done.process, done.parts) == (
        "ok",
        None,
        None,
        ({"kind": "text", "text": "all"},),
    )
    await inbox.set_phase(answer, "answering", HERE)
    assert (await inbox.message(made.id, answer)).phase is None
    assert await inbox.unfinished() == []


async def test_who_else_is_answering_before(conversations: Conversations, inbox: Inbox) -> None:
    made = await conversations.create(ANN)
    earlier = await inbox.message(made.id, await say(inbox, made.id, "one"))
    later = await inbox.message(made.id, await say(inbox, made.id, "two"))
    assert await inbox.answering_elsewhere(later, HERE) == set()
    assert await inbox.answering_elsewhere(later, "process-2") == {HERE}
    assert await inbox.answering_elsewhere(earlier, "process-2") == set()
    await inbox.set_phase(earlier.id, "waiting", HERE)
    assert await inbox.answering_elsewhere(later, "process-2") == set()


async def test_a_run_is_owed_until_its_end_is_written(conversations: Conversations, inbox: Inbox) -> None:
    made = await conversations.create(ANN)
    first, second = await say(inbox, made.id, "one"), await say(inbox, made.id, "two")
    run, other = OpenRun("r1", ANN, made.id, first), OpenRun("r2", ANN, made.id, second)
    await inbox.open_run(run, "started", [{"kind": "run_started", "run_id": "r1"}])
    await inbox.open_run(other, "started", [])
    assert await inbox.owed_runs() == [run, other]
    await inbox.write_run(run, lambda message: (f"{message.text} asks", message.parts), ended=False)
    assert await inbox.owed_runs() == [run, other]
    await inbox.write_run(
        run, lambda message: (f"{message.text} ends", [*message.parts, {"kind": "run_ended"}]), ended=True
    )
    closed = await inbox.message(made.id, first)
    assert closed.text == "started asks ends"
    assert [part["kind"] for part in closed.parts] == ["run_started", "run_ended"]
    assert await inbox.owed_runs() == [other]
    assert await inbox.noted_runs(first) == {"r1": None}
    assert await inbox.noted_runs(second) == {"r2": other}
    await inbox.hide_from(made.id, 0)
    await inbox.write_run(other, lambda message: pytest.fail("a hidden message is left alone"), ended=True)
    assert await inbox.owed_runs() == []


@settings(deadline=None)
@given(st.text())
def test_a_title_is_one_short_line_of_the_message(text: str) -> None:
    title = shorten(text)
    assert len(title) <= TITLE_LENGTH
    assert title == title.strip()
    assert len(title.splitlines()) == bool(title)
    assert bool(title) == bool(text.strip())


def test_a_title_is_cut_between_words() -> None:
    assert shorten("word " * 30) == "word " * 10 + "word…"
    assert shorten("x" * 100) == "x" * 59 + "…"
