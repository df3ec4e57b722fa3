"""Turns with a model too small to write a workflow: examples, slots, steps and runs, with the wiring made
by code.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.assistant.small import is_small
from chat.assistant.small.slots import set_defaults
from chat.assistant.small.steps import wire_steps
from chat.events import Cost, DraftChanged, Failed, Fix, Problems, Question, RunEnded, RunStarted
from chat.gallery import Gallery
from engine.check import check
from engine.document import read_document
from engine.ports import ModelInfo
from tests.chat.assistant.house import Talk, none_of, only, open_talk, text_of
from tests.fakes.openai_server import FakeOpenAI, Reply
from tools.registry import ToolRegistry

DEMO = {"demo": True, "function_calling": False}
LETTER = "The town library will close for three weeks in May. The heating is being replaced."


@pytest.fixture
def fake() -> Any:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
async def talk(tmp_path: Path, fake: FakeOpenAI) -> AsyncIterator[Talk]:
    async with open_talk(tmp_path, fake, DEMO) as opened:
        yield opened


def labels(question: Question) -> list[str]:
    return [option["label"] for option in question.options]


# --- building from examples -------------------------------------------------------------------------------


async def test_a_clear_request_is_built_asked_for_its_text_and_run_across_restarts(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async with open_talk(tmp_path, fake, DEMO) as talk:
        await talk.answer({"language": "French"})
        events = await talk.say("Summarise a text and translate it to French")
        draft = only(events, DraftChanged)
        assert (draft.workflow, draft.version) == ("summarise_and_translate", 1)
        example = Gallery().get("summarise_and_translate")
        assert example is not None
        assert await talk.yaml(draft.workflow) == example.yaml.replace("default: German", "default: French")
        question = only(events, Question)
        assert labels(question) == ["Run it", "Run it with the sample", "Explain it"]
        none_of(events, RunStarted, Failed, Problems)
        run_it = question.options[0]["value"]
    async with open_talk(tmp_path, fake, DEMO, talk.conversation) as talk:
        question = only(await talk.say(run_it), Question)
        assert question.text == "What is `text`? The text to shorten"
        assert only(await talk.say("Run it!"), Question).text == question.text
        assert labels(question) == ["Use the sample"]
    async with open_talk(tmp_path, fake, DEMO, talk.conversation) as talk:
        await talk.answer("It closes in May.", "Elle ferme en mai.")
        events = await talk.say(LETTER)
        assert only(events, RunStarted).inputs == {"text": LETTER}
        assert only(events, RunEnded).run["outputs"]["translation"] == "Elle ferme en mai."
        assert text_of(events) == (
            "**Summary**\n\nIt closes in May.\n\n**Translation**\n\nElle ferme en mai."
        )
        assert LETTER in fake.prompts()[1]
        assert "into French" in fake.prompts()[2]


async def test_the_text_after_a_colon_is_taken_along(talk: Talk) -> None:
    await talk.answer({"language": "German"}, "Closed.", "Zu.")
    events = await talk.say(f"Summarise a text and translate it to German: {LETTER}")
    question = only(events, Question)
    assert question.about["inputs"] == {"text": LETTER}
    assert LETTER not in talk.fake.prompts()[0]
    events = await talk.say("yes")
    assert only(events, RunStarted).inputs == {"text": LETTER}


async def test_the_sample_runs_at_a_word(talk: Talk) -> None:
    await talk.answer({"language": "German"}, "Short.", "Kurz.")
    await talk.say("Summarise a text and translate it to German")
    events = await talk.say("Run it with the sample")
    assert only(events, RunEnded).status == "ok"
    assert "town library" in talk.fake.prompts()[1]


async def test_numbers_choices_and_topics_need_no_model(talk: Talk) -> None:
    events = await talk.say("Make a quiz about volcanoes with 3 hard questions")
    yaml = await talk.yaml(only(events, DraftChanged).workflow)
    assert "count: {type: int, default: 3," in yaml
    assert "default: hard," in yaml
    assert only(events, Question).about["inputs"] == {"topic": "volcanoes"}
    assert talk.fake.requests == []
    none_of(events, Cost)


async def test_what_the_model_invents_is_not_believed(talk: Talk) -> None:
    await talk.answer({"language": "Klingon"})
    await talk.say("Summarise a text and translate it")
    assert "default: German" in await talk.yaml("summarise_and_translate")


async def test_a_reply_that_is_no_json_leaves_the_slots_alone(talk: Talk) -> None:
    await talk.answer("I do not know", "really not")
    events = await talk.say("Summarise a text and translate it to French")
    only(events, DraftChanged)
    assert "default: German" in await talk.yaml("summarise_and_translate")


async def test_a_request_that_fits_several_is_a_choice(talk: Talk) -> None:
    question = only(await talk.say("turn this description into structured data"), Question)
    assert len(question.options) == 5
    assert question.options[3]["label"] == "Build it from steps"
    examples = question.about["examples"]
    assert "extract_to_table" in examples
    assert question.options[0]["value"] == f"Use the example {examples[0]}"
    number = str(examples.index("extract_to_table") + 1)
    assert only(await talk.say(number), DraftChanged).workflow == "extract_to_table"


async def test_the_choice_remembers_the_request(talk: Talk) -> None:
    await talk.answer({"language": "Spanish"})
    question = only(
        await talk.say("I have a long article, make it short and then in Spanish please"), Question
    )
    assert question.options[0]["value"] == "Use the example summarise_and_translate"
    await talk.say(question.options[0]["value"])
    assert "default: Spanish" in await talk.yaml("summarise_and_translate")


async def test_the_same_example_twice_makes_two_workflows(talk: Talk) -> None:
    await talk.say("Make a quiz about volcanoes")
    await talk.say("Make a quiz about rivers")
    assert sorted(await talk.saved()) == ["make_quiz", "make_quiz-2"]
    events = await talk.say("Run it with the sample")
    assert only(events, RunStarted).workflow == "make_quiz-2"


async def test_every_prompt_for_the_demo_model_is_short(talk: Talk) -> None:
    """Under 500 tokens: at three characters a token and more, that is 1500 characters."""
    for example in Gallery():
        await talk.say(f"Use the example {example.name}")
        await talk.say(f"change something {'and more ' * 100}")
    longest = max(len(prompt) for prompt in talk.fake.prompts())
    assert 0 < longest < 1500


# --- building from steps ----------------------------------------------------------------------------------


async def test_steps_in_plain_words_become_a_workflow(talk: Talk) -> None:
    question = only(await talk.say("Build it from steps"), Question)
    assert question.about["kind"] == "steps"
    events = await talk.say("1. Find out what the customer complains about\n2. Write a polite answer")
    name = only(events, DraftChanged).workflow
    await talk.answer("The delay.", "Dear customer, sorry.")
    await talk.say("Run it")
    events = await talk.say("It came late!")
    assert only(events, RunEnded).run["workflow"] == name
    assert text_of(events) == "Dear customer, sorry."
    first, second = talk.fake.prompts()
    assert "Find out what the customer complains about" in first
    assert "It came late!" in first
    assert "So far: The delay." in second


async def test_a_list_of_steps_needs_no_question(talk: Talk) -> None:
    only(await talk.say("- Sum up the letter\n- Translate it to Dutch"), DraftChanged)
    assert talk.fake.requests == []


async def test_a_small_model_that_is_no_demo_lists_the_steps_itself(tmp_path: Path, fake: FakeOpenAI) -> None:
    async with open_talk(tmp_path, fake, {"name": "ollama/qwen2.5:0.5b", "function_calling": False}) as talk:
        question = only(await talk.say("transcribe an audio file and mail it around"), Question)
        await talk.answer({"steps": ["Write down the words", "Write the mail"]})
        events = await talk.say(question.options[-2]["value"])
        only(events, DraftChanged)
        assert "transcribe an audio file" in fake.prompts()[0]
        assert "Write down the words" in text_of(events)


@given(
    st.lists(st.text(min_size=1, max_size=80).filter(lambda s: s.strip()), min_size=1, max_size=12),
    st.text(max_size=80),
)
def test_whatever_the_steps_say_the_wiring_is_right(steps: list[str], request: str) -> None:
    steps = [" ".join(step.split()) or "x" for step in steps]
    checked = check(wire_steps(steps, request), ToolRegistry())
    assert [p.message for p in checked.errors] == []
    assert checked.workflow is not None
    assert checked.workflow.inputs == ("text",)
    assert len(checked.workflow.nodes) == len(steps)
    assert len(checked.workflow.outputs) == 1
    for node in checked.workflow.nodes.values():
        assert node.prompt is not None
        assert {ref.root for ref in node.prompt.refs} == {"state"}
        assert len(node.prompt.refs) in (1, 2)


# --- changing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", ["change the language to Dutch", "Set language = Dutch", "switch the language to Dutch."]
)
async def test_a_value_is_changed_and_not_a_byte_more(talk: Talk, words: str) -> None:
    await talk.answer({"language": "French"})
    await talk.say("Summarise a text and translate it to French")
    before = await talk.yaml("summarise_and_translate")
    events = await talk.say(words)
    assert only(events, DraftChanged).version == 2
    assert await talk.yaml("summarise_and_translate") == before.replace("default: French", "default: Dutch")


async def test_a_value_in_other_words_is_asked_of_the_model(talk: Talk) -> None:
    await talk.answer({"language": "French"}, {"language": "Dutch"})
    await talk.say("Summarise a text and translate it to French")
    events = await talk.say("use Dutch instead")
    assert only(events, DraftChanged).version == 2


async def test_what_can_not_be_changed_says_what_can(talk: Talk) -> None:
    await talk.answer({"language": ""}, {"language": ""})
    await talk.say("Summarise a text and translate it")
    events = await talk.say("change the font size")
    none_of(events, DraftChanged)
    assert "`language`, now German" in text_of(events)


@given(st.sampled_from(Gallery().names()), st.text(min_size=1, max_size=40))
def test_a_default_of_any_text_keeps_the_document_valid(name: str, value: str) -> None:
    example = Gallery().get(name)
    assert example is not None
    document = read_document(example.yaml)
    fields = document.data["state"]["fields"]
    slot = next((f for f, spec in fields.items() if spec.get("default") and spec["type"] == "str"), None)
    if slot is None or "enum" in fields[slot]:
        return
    changed = read_document(set_defaults(document, {slot: value}))
    printable = "".join(c for c in value if c.isprintable())
    if printable == value:
        assert changed.data["state"]["fields"][slot]["default"] == value
        assert {**changed.data["state"]["fields"][slot], "default": 0} == {**fields[slot], "default": 0}


# --- running ----------------------------------------------------------------------------------------------


async def test_inputs_are_asked_for_one_by_one_and_wrong_ones_again(talk: Talk) -> None:
    await talk.say("Use the example screen_cv")
    assert only(await talk.say("Run it"), Question).about["field"] == "job"
    question = only(await talk.say("Baker, early shifts"), Question)
    assert question.about["field"] == "cv"
    await talk.answer({"score": 3, "strengths": [], "gaps": ["none"]}, "No, thanks.")
    events = await talk.say("Ten years in a bakery")
    assert only(events, RunEnded).run["inputs"]["job"] == "Baker, early shifts"
    events = await talk.say("run it with pass_mark = many, job = x, cv = y")
    none_of(events, RunStarted)
    assert "pass_mark" in text_of(events)


async def test_the_label_of_an_option_stands_for_its_value(talk: Talk) -> None:
    await talk.say("Use the example rewrite_for_tone")
    await talk.say("Run it")
    await talk.answer("Dear Sir")
    events = await talk.say("use the sample")
    assert "wrong part" in str(only(events, RunStarted).inputs["text"])


async def test_a_question_can_be_left(talk: Talk) -> None:
    await talk.say("Make a quiz about volcanoes")
    await talk.say("Use the example make_quiz")
    only(await talk.say("Run it"), Question)
    events = await talk.say("never mind")
    none_of(events, RunStarted, Question)
    assert await talk.runs() == []


async def test_a_failed_run_names_the_step(talk: Talk) -> None:
    await talk.say("Use the example rewrite_for_tone")
    talk.fake.script = Reply(status=401, message="no")
    events = await talk.say("run it: You sent the wrong part again.")
    assert only(events, RunStarted).inputs["text"] == "You sent the wrong part again."
    assert "`rewrite`" in only(events, Fix).text
    await talk.answer("Kind words")
    events = await talk.say("Try again from there")
    assert only(events, RunEnded).status == "ok"
    assert "Kind words" in text_of(events)


# --- talking ----------------------------------------------------------------------------------------------


async def test_talk_gets_an_answer_and_the_way_on(talk: Talk) -> None:
    await talk.answer("Why did the hen cross the road?")
    events = await talk.say("tell me a joke")
    assert text_of(events).startswith("Why did the hen cross the road?")
    assert "demo model" in text_of(events)
    assert len(only(events, Question).options) == 4
    none_of(events, DraftChanged, Failed)


async def test_help_needs_no_model(talk: Talk) -> None:
    events = await talk.say("What can you do?")
    assert "workflow" in text_of(events)
    assert talk.fake.requests == []


async def test_lists_and_explanations_need_no_model(talk: Talk) -> None:
    assert "no workflows yet" in text_of(await talk.say("list my workflows"))
    assert "no runs yet" in text_of(await talk.say("show the last run"))
    assert "no workflow in this conversation" in text_of(await talk.say("run it"))
    await talk.say("Use the example triage_ticket")
    assert "triage_ticket" in text_of(await talk.say("list my workflows"))
    explained = text_of(await talk.say("explain it"))
    assert "`ticket`: What the customer wrote" in explained
    assert "if `state.urgency == 'high'` → Alert" in explained
    assert "Compare two products" in text_of(await talk.say("show all examples"))
    assert talk.fake.requests == []
    await talk.answer({"urgency": "low", "topic": "other"}, "Thank you.")
    await talk.say("run it: My bill is wrong, please look")
    assert "Thank you." in text_of(await talk.say("show the last run"))


@pytest.mark.parametrize(
    ("name", "small"),
    [
        ("embedded/smollm2-135m", True),
        ("ollama/qwen2.5:0.5b", True),
        ("ollama/llama3.2:1b", True),
        ("ollama/qwen3:1.7b-q4", True),
        ("ollama/llama3.1:8b", False),
        ("ollama/qwen2.5:14b", False),
        ("openai/gpt-4o-mini", False),
        ("anthropic/claude-sonnet-4-5", False),
        ("openai/fake", False),
        ("ollama/qwen2.5-7b-instruct-1m", False),
        ("openai/mixtral-8x7b", False),
    ],
)
def test_small_models_are_told_by_their_names(name: str, small: bool) -> None:
    assert is_small(ModelInfo(name, "test")) == small
