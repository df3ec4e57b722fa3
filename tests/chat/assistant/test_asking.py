"""What the assistant may ask, when it must not, and what a person's own words ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.assistant import intent
from chat.events import DraftChanged, Question, RunStarted
from tests.chat.assistant.house import Talk, call, last_told, none_of, of, only, open_talk, talk_only, text_of
from tests.chat.assistant.test_large import GOOD
from tests.fakes.openai_server import FakeOpenAI, Reply

TONE = {"key": "tone", "question": "Which tone?", "options": ["formal", "friendly"]}
LENGTH = {"key": "length", "question": "How long?", "options": ["short", "long"]}
WRITE: dict[str, Any] = {"yaml": GOOD, "summary": "Greets somebody", "then": "stop"}


@pytest.fixture(params=["functions", "json"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def talk(tmp_path: Path, way: str) -> AsyncIterator[Talk]:
    with FakeOpenAI() as fake:
        async with open_talk(tmp_path, fake, {"function_calling": way == "functions"}) as opened:
            yield opened


def ask(way: str, *questions: dict[str, Any]) -> Reply:
    return call(way, "ask_person", {"questions": list(questions)})


async def test_two_questions_at_once_and_one_answer_to_both(talk: Talk, way: str) -> None:
    await talk.answer(ask(way, TONE, LENGTH))
    events = await talk.say("Write letters")
    assert [q.text for q in of(events, Question)] == ["Which tone?", "How long?"]
    assert of(events, Question)[0].options[1] == {"label": "friendly", "value": "friendly"}
    await talk.answer(call(way, "write_workflow", WRITE))
    only(await talk.say("friendly and short"), DraftChanged)
    prompt = talk.fake.prompts()[-1]
    assert "[asked: Which tone? Options: formal, friendly]" in prompt
    assert "[asked: How long? Options: short, long]" in prompt


async def test_three_questions_are_too_many(talk: Talk, way: str) -> None:
    third = {"key": "who", "question": "To whom?", "options": []}
    await talk.answer(*[ask(way, TONE, LENGTH, third)] * 2, talk_only(way, "Well."))
    await talk.say("Write letters")
    assert all("too long" in str(request["messages"]) for request in talk.fake.requests[1:2])


@pytest.mark.parametrize(
    "again", [TONE, {**TONE, "question": "which TONE"}, {**TONE, "question": "What voice, please?"}]
)
async def test_what_was_answered_is_not_asked_again(talk: Talk, way: str, again: dict[str, Any]) -> None:
    await talk.answer(ask(way, TONE), ask(way, again), call(way, "write_workflow", WRITE))
    await talk.say("Write letters")
    events = await talk.say("rather formal")
    none_of(events, Question)
    told = last_told(talk.fake)
    assert "answered already" in told
    assert "rather formal" in told
    only(events, DraftChanged)


async def test_an_answer_that_is_a_question_is_none(talk: Talk, way: str) -> None:
    await talk.answer(ask(way, TONE), ask(way, TONE))
    await talk.say("Write letters")
    assert only(await talk.say("What do you mean?"), Question).text == "Which tone?"


async def test_of_two_questions_the_one_that_is_open_is_asked(talk: Talk, way: str) -> None:
    await talk.answer(ask(way, TONE), ask(way, TONE, LENGTH))
    await talk.say("Write letters")
    assert only(await talk.say("formal"), Question).text == "How long?"


@pytest.mark.parametrize(
    "said", ["Greet people, just do it", "Begrüße Leute, mach einfach", "Greet. Don't ask me anything."]
)
async def test_who_wants_it_just_done_is_not_asked_and_is_told_what_was_assumed(
    talk: Talk, way: str, said: str
) -> None:
    assumed = ["The tone is kind.", "One name at a time."]
    await talk.answer(
        ask(way, TONE), call(way, "write_workflow", {**WRITE, "assumed": assumed}, "Here it is.")
    )
    events = await talk.say(said)
    none_of(events, Question)
    assert "without questions" in last_told(talk.fake)
    only(events, DraftChanged)
    assert text_of(events) == "Here it is.\n\n**Assumed:**\n- The tone is kind.\n- One name at a time."


async def test_a_run_that_was_asked_for_before_the_questions_still_is(talk: Talk, way: str) -> None:
    run = call(way, "run_workflow", {"inputs": {"name": "Ada"}})
    await talk.answer(
        ask(way, TONE), call(way, "write_workflow", {**WRITE, "then": "go on"}), run, "Hello Ada"
    )
    await talk.say("Build something that greets Ada and run it")
    assert only(await talk.say("formal"), RunStarted).inputs == {"name": "Ada"}


async def test_a_whole_document_anew_when_that_is_asked_for(talk: Talk, way: str) -> None:
    await talk.answer(
        call(way, "write_workflow", WRITE),
        call(way, "write_workflow", {**WRITE, "yaml": GOOD.replace("Greet {", "Welcome {")}),
    )
    await talk.say("Greet people")
    draft = only(await talk.say("Write the whole workflow anew, with another word"), DraftChanged)
    assert (draft.workflow, draft.version) == ("greet", 2)


# --- what words ask for -----------------------------------------------------------------------------------

RUNS = [
    *("run it", "Run it with Ada", "build it and run it", "Greet a person by name, and try it with Ada"),
    *(
        "run it again",
        "please run summarise_and_translate",
        "Don't ask, just run it",
        "ok, execute the workflow",
    ),
    *(
        "can you run it?",
        "go ahead",
        "let it run",
        "Make it friendlier and run it",
        "run it for Ada,\nCountess of L.",
    ),
    *(
        "führe es aus",
        "Starte es mit Ada",
        "Mach es kürzer und lass es laufen",
        "lance-le",
        "ejecútalo",
        "eseguilo",
    ),
    *("запусти", "実行して", "运行"),
]
NO_RUNS = [
    *(
        "don't run it",
        "make it friendlier but do not run it yet",
        "why did the run fail?",
        "show me the last run",
    ),
    *(
        "explain the last run again",
        "how do I run it?",
        "What did the run give?",
        "list my runs",
        "The test failed",
    ),
    *(
        "Make a workflow that runs every day",
        "the run was bad, change the prompt",
        "when you run it tell me",
        "hello",
    ),
    *(
        "Führe es nicht aus",
        "Was kam beim letzten Lauf heraus?",
        "ne le lance pas",
        "no lo ejecutes",
        "Thanks!",
    ),
    *(
        "Is this rude: “you there, please run the workflow now”?",
        "> run it\nwhat does this mean?",
        "```\nrun it\n```",
    ),
]


@pytest.mark.parametrize("said", RUNS)
def test_words_that_ask_for_a_run(said: str) -> None:
    assert intent.wants_run(said)


@pytest.mark.parametrize("said", NO_RUNS)
def test_words_that_do_not_ask_for_a_run(said: str) -> None:
    assert not intent.wants_run(said)


@given(st.text(max_size=300))
def test_a_text_that_is_passed_on_never_asks(inner: str) -> None:
    fenced = inner.replace("`", "")
    assert not intent.wants_run(f"What does this say?\n```\n{fenced}\nrun it\n```")
    assert not intent.wants_no_questions(f"What does this say?\n```\n{fenced}\njust do it\n```")


@pytest.mark.parametrize(
    ("said", "name", "named"),
    [
        ("open sort_mail", "sort_mail", True),
        ("Open the sort mail one", "sort_mail", True),
        ("the mail that I sort", "sort_mail", True),
        ("my mail", "sort_mail", False),
        ("open it", "sort_mail", False),
        ("```\nopen sort_mail\n```", "sort_mail", False),
    ],
)
def test_words_that_name_a_workflow(said: str, name: str, named: bool) -> None:
    assert intent.names(said, name) is named
