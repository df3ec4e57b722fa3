"""Schedules by talking: read from plain words, shown with the next times, made on a yes; results come into the talk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from chat.assistant.times import in_words, read_when
from chat.events import Question, RunStarted
from chat.terminal.talk import _print_news
from sessions.schedules import SqlScheduleStore
from tests.chat.assistant.house import OWNER, Talk, call, last_told, none_of, only, open_talk, text_of
from tests.fakes.openai_server import FakeOpenAI, Reply

SMALL, LARGE = {"demo": True, "function_calling": False}, {"function_calling": True}
BRIEF = """\
schema_version: "1.0"
flow: {name: brief, description: Write a brief, outputs: [text]}
state: {fields: {topic: {type: str, default: the news}, text: str}}
nodes:
  - {id: write, prompt: "A brief on {state.topic}", outputs: [text]}
"""


@pytest.mark.parametrize(
    ("said", "cron"),
    [
        ("every Monday at nine", "0 9 * * 1"),
        ("jeden Montag um 9", "0 9 * * 1"),
        ("täglich um 7:30", "30 7 * * *"),
        ("every weekday at 18:00", "0 18 * * 1-5"),
        ("on the 1st of the month", "0 9 1 * *"),
        ("am 15. jedes Monats um 8 Uhr 30", "30 8 15 * *"),
        ("Run it every Tuesday and Thursday at 5 p.m., please", "0 17 * * 2,4"),
        ("alle 15 Minuten", "*/15 * * * *"),
        ("every 2 hours", "0 */2 * * *"),
        ("Führe den Workflow werktags um 8 Uhr aus", "0 8 * * 1-5"),
        ("jeden Abend um 8", "0 20 * * *"),
        ("every evening at 7", "0 19 * * *"),
        ("jeden Freitag um halb zehn", "30 9 * * 5"),
        ("at noon every day", "0 12 * * *"),
        ("every day at 12 am", "0 0 * * *"),
    ],
)
def test_plain_phrases_are_read(said: str, cron: str) -> None:
    found = read_when(said)
    assert found is not None
    assert (found.cron, found.rest) == (cron, "")
    assert "cron" not in in_words(cron)


@pytest.mark.parametrize(
    "said",
    [
        *("run it now", "on Monday at nine", "every day at 25:00", "every Friday at quarter past nine"),
        *("fix it every time", "read each mail", "on the 1st of May", "every 0 minutes", ""),
    ],
)
def test_what_is_no_such_time_is_not_guessed(said: str) -> None:
    assert read_when(said) is None


def test_what_else_is_wanted_is_left_over() -> None:
    found = read_when("Every Monday at 9 summarise my mails")
    assert found is not None
    assert found.rest == "summarise mails"


def opened(home: Path, fake: FakeOpenAI, kind: dict[str, bool]) -> AbstractAsyncContextManager[Talk]:
    return open_talk(home, fake, kind, schedules=True)


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Talk]:
    async with FakeOpenAI() as fake, opened(tmp_path, fake, SMALL) as talk:
        await talk.service.preferences.set(OWNER, timezone="Europe/Berlin")
        await talk.service.library.save_yaml(OWNER, talk.conversation, BRIEF, "By hand")
        yield talk


async def test_made_on_a_yes_and_its_results_come_here(
    small: Talk, capsys: pytest.CaptureFixture[str]
) -> None:
    table = small.service.timetable
    asked = only(await small.say("jeden Montag um 9"), Question)
    assert "every Monday at 09:00 (Europe/Berlin)" in asked.text
    assert asked.text.count("Monday, ") == 3
    assert await table.list(OWNER) == []
    assert "first time on Monday" in text_of(await small.say("ja"))
    (made,) = await table.list(OWNER)
    assert (made.cron, made.timezone, made.conversation_id) == (
        "0 9 * * 1",
        "Europe/Berlin",
        small.conversation,
    )
    assert not small.fake.requests, "code needs no model for it"

    store = SqlScheduleStore(small.db)
    await store.replace(replace(made, next_at=made.created_at - 60))
    await small.answer(Reply(text="All is calm."))
    (run_id,) = await table.tick()
    await small.engine.wait(run_id)
    follow = small.service.follow(OWNER, small.conversation, message_id=run_id)
    events = [event async for _, event in follow]
    assert only(events, RunStarted).run_id == run_id
    assert "By the schedule **brief**" in text_of(events)
    message = (await small.service.get(OWNER, small.conversation)).messages[-1]
    assert [part["kind"] for part in message.parts] == ["text", "run_started", "run_ended"]
    assert message.parts[-1]["run"]["outputs"] == {"text": "All is calm."}
    await _print_news(small, small.conversation)  # type: ignore[arg-type]
    printed = capsys.readouterr().err
    assert "By the schedule **brief**" in printed
    assert "All is calm." in printed

    assert "brief every Monday at 09:00" in text_of(await small.say("list my schedules"))
    only(await small.say("pause the schedule"), Question)
    await small.say("no")
    assert not (await table.list(OWNER))[0].paused
    only(await small.say("pause the schedule brief"), Question)
    await small.say("yes")
    assert (await table.list(OWNER))[0].paused
    await small.say("remove the schedule brief")
    await small.say("yes")
    assert await table.list(OWNER) == []


async def test_a_result_that_nobody_followed_is_written_after_a_restart(tmp_path: Path) -> None:
    async with FakeOpenAI() as fake:
        fake.script = Reply(text="All is calm.")
        async with opened(tmp_path, fake, SMALL) as talk:
            await talk.service.library.save_yaml(OWNER, talk.conversation, BRIEF, "By hand")
            made = await talk.service.timetable.add(
                OWNER, cron="0 9 * * 1", workflow="brief", conversation_id=talk.conversation
            )
            await SqlScheduleStore(talk.db).replace(replace(made, next_at=made.created_at - 60))
            from chat.schedules import make_timetable
            from sessions.inbox import Inbox

            # A worker ticks: it has an inbox, and nobody who follows runs.
            tools, models = talk.service.tools, talk.service.models
            inbox = Inbox(talk.db)
            alone = make_timetable(
                SqlScheduleStore(talk.db), talk.engine, talk.workflows, models, tools, inbox
            )
            (run_id,) = await alone.tick()
            await talk.engine.wait(run_id)
            conversation = talk.conversation
        async with open_talk(tmp_path, fake, SMALL, conversation, schedules=True) as talk:
            follow = talk.service.follow(OWNER, conversation, message_id=run_id)
            assert [event async for _, event in follow]
            (message,) = (await talk.service.get(OWNER, conversation)).messages
            assert [part["kind"] for part in message.parts] == ["text", "run_started", "run_ended"]


async def test_a_model_only_proposes(tmp_path: Path) -> None:
    async with FakeOpenAI() as fake, opened(tmp_path, fake, LARGE) as talk:
        await talk.service.library.save_yaml(OWNER, talk.conversation, BRIEF, "By hand")
        wrong = call("functions", "schedule_workflow", {"cron": "every monday"})
        right = {"cron": "0 9 * * 1", "inputs": {"topic": "cats"}, "timezone": "Europe/Paris"}
        await talk.answer(wrong, call("functions", "schedule_workflow", right))
        asked = only(await talk.say("A brief on cats every Monday at nine, Paris time"), Question)
        assert "is no schedule" in last_told(fake)
        assert "topic: cats" in asked.text
        assert "(Europe/Paris)" in asked.text
        assert await talk.service.timetable.list(OWNER) == []
        none_of(await talk.say("yes"), RunStarted)
        (made,) = await talk.service.timetable.list(OWNER)
        assert (made.inputs, made.timezone) == ({"topic": "cats"}, "Europe/Paris")
        await talk.answer(call("functions", "change_schedule", {"do": "remove", "schedule": ""}))
        await talk.say("Away with it")
        assert len(await talk.service.timetable.list(OWNER)) == 1
        await talk.say("Remove")
        assert await talk.service.timetable.list(OWNER) == []
