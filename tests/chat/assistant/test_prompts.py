"""The prompt of parts: what is in it, what gives way for want of room, and that long conversations lose no decision."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.assistant.budget import Part, fit, tokens, window
from chat.assistant.context import shown
from chat.assistant.edits import numbered
from chat.assistant.prompts import PROMPTS
from chat.assistant.turn import House, Turn
from chat.turns import CurrentWorkflow, PastMessage, TurnContext
from engine.models.names import Target
from engine.ports import ModelInfo
from tests.chat.assistant.house import OWNER, Talk, call, open_talk, talk_only
from tests.chat.assistant.test_large import GOOD
from tests.fakes.openai_server import FakeOpenAI, Reply
from tests.patience import within

NOON = datetime(2026, 3, 2, 12, 5, tzinfo=UTC)


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    with FakeOpenAI() as fake:
        async with open_talk(tmp_path, fake, {"function_calling": True}) as opened:
            yield opened


def turn_of(talk: Talk, text: str = "Hello", **more: Any) -> Turn:
    """A turn as the assistant makes it, without a service around it."""
    house: House = replace(talk.assistant._house, clock=lambda: NOON)
    context = TurnContext(OWNER, talk.conversation, "m", text, **more)
    return Turn(house, context, ModelInfo("openai/fake", "test", function_calling=True))


def past(count: int, size: int = 0) -> tuple[PastMessage, ...]:
    """So many exchanges, each message with `size` words."""
    found = []
    for number in range(count):
        words = f" word{number}" * size
        found.append(PastMessage(f"u{number}", "user", f"Wish {number}{words}"))
        parts = ({"kind": "text", "text": f"Answer {number}{words}"},)
        found.append(PastMessage(f"a{number}", "assistant", "", parts))
    return tuple(found)


# --- budgets ----------------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.text(max_size=300), st.one_of(st.none(), st.integers(0, 60)), st.integers(0, 5)),
        max_size=6,
    ),
    st.integers(0, 400),
)
def test_what_fits_is_whole_and_what_does_not_is_cut_at_lines(
    given_parts: list[tuple[str, int | None, int]], room: int
) -> None:
    parts = [Part(str(n), text, most, rank) for n, (text, most, rank) in enumerate(given_parts)]
    fitted = fit(parts, room)
    left = sum(tokens(fitted.texts[part.name]) for part in parts)
    for part in parts:
        text = fitted.texts[part.name]
        if text != part.text:
            assert any(f"lines of {part.name}" in said for said in fitted.left_out)
            assert part.text.splitlines()[: len(text.splitlines())] == text.splitlines()
        elif part.most is not None:
            assert tokens(text) <= part.most
        if part.rank == 0 and part.most is None:
            assert text == part.text
    assert fitted.tokens == left
    if left > room:
        assert all(not fitted.texts[part.name] for part in parts if part.rank)


def test_the_lowest_in_rank_stays_longest() -> None:
    parts = [Part("keep", "a " * 50), Part("some", "b " * 50, rank=1), Part("none", "c " * 50, rank=2)]
    fitted = fit(parts, 110)
    assert all((fitted.texts["keep"], fitted.texts["some"]))
    assert not fitted.texts["none"]
    assert fitted.left_out == ("1 of 1 lines of none",)


def test_the_window_of_a_known_model_is_used() -> None:
    def target(name: str) -> Target:
        return Target(f"openai/{name}", "openai", name, "openai", "test")

    assert window(target("nobody-knows")) == window(None)
    assert window(target("gpt-4o")) > 100_000


# --- the prompt -------------------------------------------------------------------------------------------


async def test_the_document_is_whole_however_long_it_is(talk: Talk) -> None:
    more = "".join(
        f"    field_{n}: {{type: str, default: '', description: Number {n}}}\n" for n in range(1_500)
    )
    long = GOOD.replace("\n\nnodes:", f"\n{more}\nnodes:")
    system = (await shown(turn_of(talk, workflow=CurrentWorkflow("greet", 3, long)))).messages[0].content
    assert numbered(long) in system
    assert "Left out here" in system
    assert "greet, version 3" in system


async def test_the_same_conversation_makes_the_same_prompt(talk: Talk) -> None:
    parts = (
        {"kind": "run_started", "run_id": "r-4711", "workflow": "greet", "inputs": {}},
        {"kind": "run_ended", "run_id": "r-4711", "status": "ok", "run": {}},
        {"kind": "question", "text": "Run?", "options": [], "about": {"kind": "run", "workflow": "w-0815"}},
    )
    history = (PastMessage("u-1", "user", "Run it"), PastMessage("a-1", "assistant", "", parts))
    first = await shown(turn_of(talk, "Again", history=history))
    second = await shown(turn_of(talk, "Again", history=history))
    assert first == second
    text = "\n".join(message.content for message in first.messages)
    assert not any(found in text for found in ("4711", "0815", "u-1", "a-1", talk.conversation))
    assert "[started a run of greet]" in text


async def test_the_time_is_the_persons(talk: Talk) -> None:
    await talk.service.preferences.set(OWNER, timezone="Pacific/Auckland", language="de")
    turn = turn_of(talk)
    turn.preferences = await talk.service.preferences.get(OWNER)
    system = (await shown(turn)).messages[0].content
    assert system.rstrip().endswith("It is Tuesday, 3 March 2026, 01:05 (Pacific/Auckland).")
    assert "Answer in the language de." in system
    assert turn.today == "2026-03-03"


async def test_the_nearest_examples_come_first_and_the_nearest_whole(talk: Talk) -> None:
    system = (await shown(turn_of(talk, "Summarise a text and translate it into Danish"))).messages[0].content
    examples = system.split("# Examples")[1].split("# The current")[0]
    assert examples.index("- summarise_and_translate") < examples.index("There are also: ")
    assert examples.count("\n- ") <= 12
    assert '<data name="summarise_and_translate">' in examples
    saved = turn_of(talk, "Summarise a text and translate it", workflow=CurrentWorkflow("greet", 1, GOOD))
    assert '<data name="summarise_and_translate">' not in (await shown(saved)).messages[0].content


def test_every_prompt_file_says_what_its_places_are() -> None:
    files = sorted(PROMPTS.glob("*.md"))
    assert files
    for path in files:
        head, _, body = path.read_text(encoding="utf-8").partition("-->")
        assert head.startswith("<!--"), path
        for place in Template(body).get_identifiers():
            assert re.search(rf"\${place}\b", head), f"{path.name} does not say what ${place} is"


# --- long conversations -----------------------------------------------------------------------------------

ASKED = {"kind": "question", "text": "Which tone?", "options": [], "about": {"kind": "asked", "key": "tone"}}
SETTLED = (
    PastMessage("u", "user", "Write letters"),
    PastMessage("a", "assistant", "", (ASKED,)),
    PastMessage("v", "user", "As friendly as a puppy"),
    PastMessage(
        "b",
        "assistant",
        "",
        (
            {"kind": "draft", "workflow": "letters", "version": 1, "summary": "Writes friendly letters"},
            {
                "kind": "test_proposed",
                "workflow": "letters",
                "status": "kept",
                "title": "Refunds go to Eve",
                "quote": "refunds must go to Eve",
            },
            {"kind": "run_ended", "run_id": "r", "status": "failed", "run": {"workflow": "letters"}},
        ),
    ),
)


async def test_a_short_conversation_is_shown_as_it_is(talk: Talk) -> None:
    found = await shown(turn_of(talk, history=past(10)))
    assert [m.content for m in found.messages[1:3]] == ["Wish 0", "Answer 0"]
    assert len(found.messages) == 22
    assert talk.fake.requests == []


async def test_a_long_one_is_summarised_once_and_its_decisions_stay_word_for_word(talk: Talk) -> None:
    talk.fake.script = [Reply(text="They want letters, not mails.")]
    history = SETTLED + past(12, 300)
    found = await shown(turn_of(talk, history=history))
    system = found.messages[0].content
    for settled in (
        "Which tone? → As friendly as a puppy",
        "letters, version 1: Writes friendly letters",
        "Refunds go to Eve, since “refunds must go to Eve”",
        "a run of letters ended: failed",
        "They want letters, not mails.",
    ):
        assert settled in system
    assert len(talk.fake.requests) == 1
    assert found.messages[1].role == "user"
    assert "Wish 11" in found.messages[-3].content
    again = await shown(turn_of(talk, history=history + past(1)))
    assert "They want letters, not mails." in again.messages[0].content
    assert len(talk.fake.requests) == 1


async def test_a_summary_goes_on_from_the_one_before(talk: Talk) -> None:
    talk.fake.script = [Reply(text="First part."), Reply(text="Both parts.")]
    await shown(turn_of(talk, history=past(12, 300)))
    found = await shown(turn_of(talk, history=past(24, 300)))
    assert "Both parts." in found.messages[0].content
    told = talk.fake.prompts()[1]
    assert "First part." in told
    assert "Wish 0 " not in told


async def test_a_summary_of_what_was_taken_back_does_not_count(talk: Talk) -> None:
    talk.fake.script = [Reply(text="Old."), Reply(text="New.")]
    history = past(12, 300)
    await shown(turn_of(talk, history=history))
    other = tuple(replace(message, id=f"other-{message.id}") for message in history)
    assert "New." in (await shown(turn_of(talk, history=other))).messages[0].content


async def test_without_a_model_the_beginnings_stand_for_the_talk(talk: Talk) -> None:
    talk.fake.script = Reply(status=400, message="no")
    system = (await shown(turn_of(talk, history=SETTLED + past(12, 300)))).messages[0].content
    assert "user: Write letters" in system
    assert "user: Wish 6 word6" in system
    assert "Which tone? → As friendly as a puppy" in system
    assert len(system) < 60_000


async def test_a_long_conversation_through_the_service(talk: Talk) -> None:
    await talk.answer(call("functions", "write_workflow", {"yaml": GOOD, "summary": "Greets"}))
    await talk.say("Greet people")
    for number in range(2):
        await talk.answer(talk_only("functions", f"Well {number}. " + "so " * 1_500))
        await talk.say(f"And {number}? " + "hm " * 1_500)
    await talk.answer(Reply(text="They talk a lot."), talk_only("functions", "Yes."))
    await talk.say("Are you there?")
    assert "They talk a lot." in talk.fake.prompts()[-1]
    assert "greet, version 1: Greets" in talk.fake.prompts()[-1]


async def test_two_hundred_messages_and_a_long_document_are_put_together_in_no_time(talk: Talk) -> None:
    """A part of what a turn costs beside the model; `benchmarks.turn` has the whole."""
    long = GOOD + "\n".join(f"# note {n}" for n in range(300)) + "\n"
    history = past(100, 40)
    await shown(turn_of(talk, history=history[:2]))  # what is loaded on first use is in
    talk.fake.script = Reply(text="They talk.")
    await shown(turn_of(talk, history=history))  # and the summary is there
    began = time.process_time()
    await shown(turn_of(talk, "And now?", history=history, workflow=CurrentWorkflow("greet", 2, long)))
    assert time.process_time() - began < within(0.1)
    assert len(talk.fake.requests) == 1
