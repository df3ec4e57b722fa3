"""Runs that fail: explained by code, mended where that is certain, gone on with from where they failed, on a yes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chat.events import DraftChanged, Fix, Question, RunEnded, RunStarted
from sessions.inbox import OpenRun
from tests.chat.assistant.house import OWNER, Talk, call, last_told, none_of, of, only, open_talk, talk_only
from tests.fakes.openai_server import FakeOpenAI, Reply

KIND = {"function_calling": True}
PARSED = """\
schema_version: "1.0"
flow: {name: contacts, description: Find the address, outputs: [answer]}
state:
  fields:
    text: {type: str, required: true, description: A record as JSON}
    customer: {type: dict, description: The customer}
    answer: {type: str, description: The letter}
nodes:
  - id: first
    tool: json_parse
    args: {text: "{state.text}"}
    outputs: [customer]
  - id: letter
    prompt: "Write to {state.customer.e_mail}"  # where it goes
    outputs: [answer]
edges:
  - {from: START, to: first}
  - {from: first, to: letter}
  - {from: letter, to: END}
"""
RECORD = '{"name": "Ada", "email": "ada@example.com"}'


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with FakeOpenAI() as fake, open_talk(tmp_path, fake, KIND) as made:
        yield made


async def begin(talk: Talk, yaml: str, name: str, text: str) -> list[Any]:
    """The workflow saved and run on this input, until its end is written."""
    await talk.service.library.save_yaml(OWNER, talk.conversation, yaml, "By hand")
    run = await talk.service.start_run(OWNER, talk.conversation, {"text": text})
    await talk.engine.wait(run)
    message = (await talk.service.get(OWNER, talk.conversation)).messages[-1]
    return [event async for _, event in talk.service.follow(OWNER, talk.conversation, message_id=message.id)]


async def executed(talk: Talk) -> list[tuple[str, str]]:
    """The visits that any run has really made: those that a retry keeps cost no time of its own."""
    found = []
    for run in await talk.runs():
        record = await talk.engine.record(run["run_id"])
        rows = await talk.engine.store.rows(record.id)
        found += [(row.node, row.status) for row in rows if row.started_at >= record.created_at]
    return found


async def test_a_slip_in_a_name_is_mended_and_the_run_goes_on(talk: Talk) -> None:
    events = await begin(talk, PARSED, "contacts", RECORD)
    fix, asked = only(events, Fix), only(events, Question)
    assert (fix.node, fix.cause, fix.status, fix.workflow) == ("letter", "workflow", "offered", "contacts")
    assert "There is no 'e_mail'" in fix.text
    assert "state.customer" not in (fix.yaml or "").split("prompt")[0]
    assert fix.yaml == PARSED.replace("e_mail", "email")
    assert fix.changes
    assert next(option["label"] for option in asked.options) == "Fix and run from there"
    assert not talk.fake.requests, "code needs no model to explain"

    await talk.answer(Reply(text="Dear Ada"))
    events = await talk.say("Fix and run from there")
    assert only(events, DraftChanged).version == 2
    assert only(events, Fix).status == "applied"
    assert only(events, RunEnded).status == "ok"
    assert len(talk.fake.requests) == 1
    assert "ada@example.com" in last_told(talk.fake)
    assert await talk.yaml("contacts") == PARSED.replace("e_mail", "email")
    assert sorted(await executed(talk)) == [("first", "ok"), ("letter", "failed"), ("letter", "ok")]
    run = (await talk.runs())[0]
    assert run["conversation_id"] == talk.conversation


async def test_the_world_is_not_repaired(talk: Talk) -> None:
    yaml = PARSED.replace("e_mail", "email")
    await talk.answer(Reply(status=401))
    events = await begin(talk, yaml, "contacts", RECORD)
    fix, asked = only(events, Fix), only(events, Question)
    assert (fix.node, fix.cause, fix.status, fix.yaml) == ("letter", "world", "none", None)
    assert "key" in fix.text
    assert '`state.customer.email` = `"ada@example.com"`' in fix.text
    assert [option["value"] for option in asked.options] == ["try again from there", "not now"]

    await talk.answer(talk_only("functions", "The key is missing."))
    none_of(await talk.say("Why is that?"), DraftChanged, RunStarted, Fix)
    told = str(talk.fake.requests[-1]["messages"])
    assert "do not change it for that" in told

    await talk.answer(Reply(status=401))
    await begin(talk, yaml + "\n", "contacts", RECORD)
    await talk.answer(Reply(text="Dear Ada"))
    events = await talk.say("ja")
    none_of(events, DraftChanged)
    assert only(events, RunEnded).status == "ok"
    assert [node for node, status in await executed(talk)].count("first") == 2  # once for each of two runs


@pytest.mark.parametrize(
    ("own", "offered"), [("", True), ("config: {execution: {budget_usd: 0.0000001}}\n", False)]
)
async def test_a_spent_budget_is_not_tried_again(talk: Talk, own: str, offered: bool) -> None:
    await talk.service.library.save_yaml(
        OWNER, talk.conversation, PARSED.replace("e_mail", "email") + own, "By hand"
    )
    run = await talk.service.start_run(OWNER, talk.conversation, {"text": RECORD}, limit_usd=0.000001)
    await talk.engine.wait(run)
    message = (await talk.service.get(OWNER, talk.conversation)).messages[-1]
    events = [
        event async for _, event in talk.service.follow(OWNER, talk.conversation, message_id=message.id)
    ]
    assert only(events, Fix).cause == "world"
    if not offered:
        none_of(events, Question)
        return
    asked = only(events, Question)
    assert [option["label"] for option in asked.options] == ["Go on without a budget", "Not now"]
    await talk.answer(Reply(text="Dear Ada"))
    events = await talk.say("Go on without a budget")
    assert only(events, RunEnded).status == "ok"
    assert (await talk.engine.record(only(events, RunStarted).run_id)).limit_usd is None
    assert [node for node, status in await executed(talk)].count("first") == 1


NO_WAY = PARSED.replace(
    "{from: first, to: letter}",
    """from: first
    routes:
      - {condition: "state.customer.name == 'Bob'", to: letter}""",
).replace("e_mail", "email")


async def test_a_mend_of_the_models_is_offered_to_go_on_with(talk: Talk) -> None:
    events = await begin(talk, NO_WAY, "contacts", RECORD)
    fix, asked = only(events, Fix), only(events, Question)
    assert (fix.node, fix.cause, fix.yaml) == ("first", "workflow", None)
    assert [option["value"] for option in asked.options] == ["ask for a mend", "not now"]

    edit = {"op": "insert_after", "at": "to: letter}\n", "text": "      - {condition: default, to: letter}\n"}
    await talk.answer(call("functions", "edit_workflow", {"edits": [edit], "summary": "A default way"}))
    events = await talk.say("Ask for a mend")
    assert "No route" in last_told(talk.fake, 0)
    none_of(events, RunStarted)
    again = only(events, Question)
    assert only(events, DraftChanged).version == 2
    assert again.about["node"] == "first"

    await talk.answer(Reply(text="Dear Ada"))
    events = await talk.say("yes")
    assert only(events, RunEnded).status == "ok"


async def test_it_is_said_once_also_after_a_restart(tmp_path: Path) -> None:
    async with FakeOpenAI() as fake:
        async with open_talk(tmp_path, fake, KIND) as talk:
            await begin(talk, PARSED, "contacts", RECORD)
            conversation = talk.conversation
            message = (await talk.service.get(OWNER, conversation)).messages[-1]
            # As if the process had ended before the end was noted: the run is owed again.
            await talk.db.execute("UPDATE message_runs SET ended_at = NULL")
        async with open_talk(tmp_path, fake, KIND, conversation) as talk:
            run = (await talk.runs())[0]["run_id"]
            await talk.service._turns._runs.follow(OpenRun(run, OWNER, conversation, message.id))
            kinds = [
                part["kind"] for part in (await talk.service.get(OWNER, conversation)).messages[-1].parts
            ]
            assert kinds == ["run_started", "run_ended", "fix", "question"]
            await talk.answer(Reply(text="Dear Ada"))
            assert only(await talk.say("yes"), RunEnded).status == "ok"


TYPES = """\
schema_version: "1.0"
flow: {name: half, description: Read a number, outputs: [number]}
state:
  fields:
    text: {type: str, required: true, description: A number}
    number: {type: int, description: The number}
nodes:
  - {id: read, tool: json_parse, args: {text: "{state.text}"}, outputs: [number]}
edges:
  - {from: START, to: read}
  - {from: read, to: END}
"""


async def test_a_type_follows_from_what_a_tool_gives(talk: Talk) -> None:
    events = await begin(talk, TYPES, "half", "2.5")
    assert only(events, Fix).yaml == TYPES.replace("type: int", "type: float")
    assert of(events, Question)[0].about["choices"] == ["fix and run from there"]
