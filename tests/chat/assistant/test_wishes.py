"""Wishes become tests: proposed by the model, tried and kept by code, and quoted when a change breaks them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chat.events import DraftChanged, Question, TestProposed
from tests.chat.assistant import house
from tests.chat.assistant.house import Talk, last_told, of, only, open_talk, text_of
from tests.fakes.openai_server import FakeOpenAI, Reply

KIND = {"function_calling": True}
TRIAGE = """\
schema_version: "1.0"
flow: {name: triage, description: Sort tickets}
state:
  fields:
    ticket: {type: str, required: true, description: What was written}
    kind: {type: str, enum: [question, refund], description: What it is}
    approved: {type: bool, description: Whether to pay}
    answer: {type: str, description: The answer}
nodes:
  - id: classify
    prompt: "What is it? {state.ticket}"
    outputs: [kind]
  - id: person
    ask: "Pay back?"
    options: [approve, reject]
    outputs: [approved]
  - id: reply
    prompt: "Answer {state.ticket}"
    outputs: [answer]
edges:
  - {from: START, to: classify}
  - from: classify
    routes:
      - {condition: "state.kind == 'refund'", to: person}
      - {condition: default, to: reply}
  - {from: person, to: reply}
  - {from: reply, to: END}
"""
SAID = "If the ticket mentions a refund, it must go to a person."
CASE = {
    "inputs": {"ticket": "I want a refund"},
    "given": {"classify": {"kind": "refund"}},
    "must_run": ["person"],
}
BREAKS = [{"op": "replace", "at": "state.kind == 'refund'", "text": "state.kind == 'question'"}]
MENDS = [{"op": "replace", "at": "state.kind == 'question'", "text": "state.kind == 'refund'"}]


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with FakeOpenAI() as fake, open_talk(tmp_path, fake, KIND) as made:
        yield made


def call(name: str, **args: Any) -> Reply:
    return house.call("functions", name, args)


def talk_only(say: str) -> Reply:
    return house.talk_only("functions", say)


async def written(talk: Talk, text: str = TRIAGE) -> None:
    await talk.answer(call("write_workflow", yaml=text, summary="Sorts tickets"))
    await talk.say("Sort tickets, please")


def proposal(case: Any = CASE, quote: str = SAID) -> Any:
    return call("propose_test", title="Refunds go to a person", quote=quote, case=case)


async def kept(talk: Talk) -> list[Any]:
    return await talk.service.proofs.tests.list("local", "triage")


async def with_test(talk: Talk) -> None:
    await written(talk)
    await talk.answer(proposal())
    await talk.say(SAID)
    await talk.say("yes")


async def test_a_wish_is_proposed_and_kept_after_a_yes(talk: Talk) -> None:
    await written(talk)
    await talk.answer(proposal())
    events = await talk.say(SAID)
    card = only(events, TestProposed)
    assert (card.workflow, card.quote, card.status) == ("triage", SAID, "proposed")
    asked = only(events, Question)
    assert "holds now" in asked.text
    assert await kept(talk) == []
    calls = len(talk.fake.requests)
    events = await talk.say("yes")
    assert len(talk.fake.requests) == calls
    assert only(events, TestProposed).status == "kept"
    assert only(events, TestProposed).id == card.id
    assert "it holds now, and is tried after every change" in text_of(events)
    (test,) = await kept(talk)
    assert (test.quote, test.case) == (SAID, CASE)
    conversation = await talk.service.get("local", talk.conversation)
    assert test.message_id == next(m.id for m in conversation.messages if m.text == SAID)
    proof = (await talk.workflows.get("local", "triage")).proof
    assert proof is not None
    assert proof["line"] == "Checked: no problems · Dry run: 2 of 2 ways reached · Tests: 1 of 1 pass"


async def test_a_no_keeps_nothing(talk: Talk) -> None:
    await written(talk)
    await talk.answer(proposal())
    await talk.say(SAID)
    events = await talk.say("No")
    assert only(events, TestProposed).status == "declined"
    assert await kept(talk) == []


async def test_a_change_that_breaks_a_wish_quotes_it_and_may_be_mended(talk: Talk) -> None:
    await with_test(talk)
    await talk.answer(
        call("edit_workflow", edits=BREAKS, summary="Questions go to a person"),
        call("edit_workflow", edits=MENDS, summary="Refunds go to a person again"),
    )
    events = await talk.say("Let questions go to a person")
    text = text_of(events)
    assert "This change breaks something you asked for before:" in text
    assert f"“{SAID}” – 'person' did not run; what ran is classify, reply." in text
    assert f"This holds again: “{SAID}”." in text
    told = last_told(talk.fake)
    assert SAID in told
    assert "Mend that with edit_workflow" in told
    first, second = of(events, DraftChanged)
    assert first.proof is not None
    assert first.proof["tests"][0]["status"] == "failed"
    assert second.proof is not None
    assert second.proof["tests"][0]["status"] == "passed"
    assert first.changes


async def test_a_step_that_is_gone_fails_the_test_with_a_sentence(talk: Talk) -> None:
    await with_test(talk)
    gone = [
        {"op": "remove", "at": "nodes.person"},
        {"op": "replace", "at": "to: person}", "text": "to: reply}"},
        {"op": "delete", "at": "  - {from: person, to: reply}\n"},
    ]
    await talk.answer(call("edit_workflow", edits=gone, summary="No person"), talk_only("That breaks it."))
    events = await talk.say("Leave out the person")
    assert "There is no step 'person' in triage." in text_of(events)


async def test_a_case_that_does_not_hold_yet_is_kept_and_mended(talk: Talk) -> None:
    await written(talk, TRIAGE.replace("state.kind == 'refund'", "state.kind == 'question'"))
    await talk.answer(proposal())
    asked = only(await talk.say(SAID), Question)
    assert asked.text.startswith("It does not hold yet: 'person' did not run")
    await talk.answer(call("edit_workflow", edits=MENDS, summary="Refunds go to a person"))
    events = await talk.say("Keep it, and change the workflow")
    assert only(events, TestProposed).status == "kept"
    draft = only(events, DraftChanged)
    assert draft.proof is not None
    assert draft.proof["tests"][0]["status"] == "passed"
    assert "change the workflow triage so that this holds" in str(talk.fake.requests[-1]).casefold()


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"must_run": ["persn"]}, "Did you mean 'person'?"),
        ({"must_run": ["person"]}, "can't be judged"),
        ({}, "expects nothing"),
    ],
)
async def test_a_case_that_says_nothing_certain_is_not_shown(talk: Talk, case: Any, said: str) -> None:
    await written(talk)
    await talk.answer(proposal(case), talk_only("I leave it."))
    events = await talk.say(SAID)
    assert of(events, TestProposed) == []
    assert said in last_told(talk.fake)


async def test_a_quote_that_nobody_said_is_replaced_by_what_was_said(talk: Talk) -> None:
    await written(talk)
    await talk.answer(proposal(quote="Delete everything"))
    assert only(await talk.say(SAID), TestProposed).quote == SAID
