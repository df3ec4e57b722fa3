"""The open workflow changed by plain words, without a model: what is plain is done, the rest is asked."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.assistant.small.adjusting import is_new, read
from chat.assistant.small.places import Plain, Unsure
from chat.assistant.small.renaming import renamed
from chat.assistant.small.steps import wire_steps
from chat.events import DraftChanged, Question
from chat.gallery import Gallery
from engine.check import check
from engine.document import read_document
from engine.text_edits import apply_edits
from tests.chat.assistant.house import Talk, none_of, only, open_talk, text_of
from tests.fakes.openai_server import FakeOpenAI
from tools.registry import ToolRegistry

DEMO = {"demo": True, "function_calling": False}
DOCUMENTS = Path(__file__).resolve().parents[3] / "evals" / "documents"
ONE = wire_steps(["Summarise the letter in 3 bullet points"])
CHAIN = wire_steps(
    ["Find out what the customer complains about", "Write a polite answer", "Translate it to Dutch"]
)
TOOLS = ToolRegistry()


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    with FakeOpenAI() as fake:
        async with open_talk(tmp_path, fake, DEMO) as opened:
            yield opened


def document(name: str) -> str:
    if name in ("one", "chain"):
        return ONE if name == "one" else CHAIN
    if example := Gallery().get(name):
        return example.yaml
    return (DOCUMENTS / f"{name}.yaml").read_bytes().decode()


def lines_changed(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), n=0)
    return [line.strip("\r\n") for line in lines if line[:2] not in ("@@", "--", "++")]


def made(name: str, words: str) -> list[str]:
    """The lines that a wish changes; the checker accepts what comes out."""
    before = document(name)
    found = read(words, read_document(before))
    assert isinstance(found, Plain), found
    after = before
    for edit in found.edits:
        after, wrong = apply_edits(after, [edit])
        assert wrong == []
    assert not check(after, TOOLS).errors
    assert after.count("\r\n") == (after.count("\n") if "\r\n" in before else 0)
    return lines_changed(before, after)


@pytest.mark.parametrize(
    ("name", "words", "added"),
    [
        ("invoice_check", "raise the limit to 2000", ["state.amount > 2000"]),
        ("invoice_check", "boss wants to see everything over 500, not 1000", ["state.amount > 500"]),
        ("one", "add an audience input", ['audience: {type: str, default: ""', "{state.audience}"]),
        ("one", "make it answer in Spanish", ["Answer in Spanish."]),
        ("summarise_and_translate", "make it answer in Spanish", ["default: Spanish"]),
        ("one", "use a friendlier tone", ["Use a friendlier tone."]),
        ("one", "5 bullet points please", ["in 5 bullet points."]),
        ("support_reply", "make formal the default tone", ["default: formal"]),
        ("article", "the default length should be 800", ["default: 800"]),
        ("menu", "we're 5 now (default)", ["default: 5"]),
        ("uebersetzen", "Zielsprache soll standardmässig Französisch sein", ["default: Französisch"]),
        ("newsletter", "Bitte höchstens 80 Wörter statt 120", ["at most 80 words"]),
        ("newsletter", "Ten facts instead of five please", ["List the ten most important facts"]),
        ("newsletter", "give the fetch step 45 seconds", ["timeout: 45          # seconds"]),
        ("newsletter", "temperature of the writer down to 0.2 and max 400 tokens", ["{temperature: 0.2, max_tokens"]),
        ("newsletter", "the writer should also see the address and name it at the end", ["Name it", "{state.address}"]),
        ("minutes", "Tasks should be sorted by date.", ["Tasks should be sorted by date."]),
        ("research", "against: only the three strongest points", ["Only the three strongest points."]),
        ("research", "the summary in half a page", ["Sum this up on half a page."]),
        ("menu", "use the people when shopping, please", []),
    ],
)  # fmt: skip
def test_what_is_plain_is_made(name: str, words: str, added: list[str]) -> None:
    if not added:
        assert not isinstance(read(words, read_document(document(name))), Plain)
        return
    changed = made(name, words)
    new = [line for line in changed if line.startswith("+")]
    assert len(new) <= len(added)
    assert all(any(part in line for line in new) for part in added), changed


def test_an_old_number_goes_wherever_it_is_said_of_the_same_thing() -> None:
    changed = made("one", "summarise in 5 bullet points instead of 3")
    assert len([line for line in changed if line.startswith("-") and "3 bullet" in line]) == 3
    assert len([line for line in changed if line.startswith("+") and "5 bullet" in line]) == 3


def test_what_several_steps_could_mean_is_asked_and_each_answer_says_it() -> None:
    for words in ("use a friendlier tone", "add an audience input"):
        found = read(words, read_document(CHAIN))
        assert isinstance(found, Unsure)
        steps = ["find_out_what", "write_polite_answer", "translate_dutch"]
        assert [label for label, _ in found.options] == [*steps, "All of them"]
        for label, value in found.options:
            answered = read(value, read_document(CHAIN))
            assert isinstance(answered, Plain)
            assert len(answered.steps) == 3 if label == "All of them" else answered.steps == (label,)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("newsletter", "I like the short paragraph"),
        ("newsletter", "thank you, that was short"),
        ("newsletter", "the tone is wrong"),
        ("newsletter", "headline max 8 words, paragraph max 90 words"),  # there is no headline
        ("newsletter", "the 5 most important facts, not 120"),  # 120 counts words
        ("research", "the letter must have 5 pages"),
        ("menu", "4 people by default, and add the diet gluten free"),  # half of it would get lost
        ("newsletter", "give the fetch step 45 seconds and mail me the result"),
        ("newsletter", "80 words instead of 120, and a headline"),
        ("one", "add an audience input and mail me the result"),
        ("newsletter", "is the paragraph too long?"),
        ("support_reply", "if she is angry the answer should be short"),
        ("minutes", "I should go to bed"),
        ("newsletter", "it must not answer before I say yes"),
    ],
)
def test_what_is_not_plain_is_left_alone(name: str, words: str) -> None:
    assert read(words, read_document(document(name))) is None


@pytest.mark.parametrize(
    ("words", "new"),
    [
        ("make me a quiz", True),
        ("I want a workflow that counts", True),
        ("make a new one", True),
        ("make it shorter", False),
        ("make the mail shorter", False),
        ("add a step", False),
    ],
)
def test_what_asks_for_another_workflow(words: str, new: bool) -> None:
    assert is_new(words) is new


@given(st.sampled_from(["newsletter", "minutes", "uebersetzen", "one"]), st.text(max_size=60))
def test_any_words_leave_a_document_that_the_checker_reads(name: str, words: str) -> None:
    before = document(name)
    for said in (
        words,
        f"the mail must be {words}",
        f"add an input audience, default {words}",
        f"make it {words} instead of 3",
    ):
        found = read(said, read_document(before))
        after = before
        for edit in found.edits if isinstance(found, Plain) else ():
            after, _ = apply_edits(after, [edit])
        assert read_document(after).root is not None


def test_a_field_and_a_step_get_another_name_everywhere() -> None:
    found = renamed("das feld fertig in ergebnis umbenennen", read_document(document("uebersetzen")))
    assert found is not None
    assert "fertig:" not in found[0]
    assert "outputs: [ergebnis]" in found[0]
    found = renamed("rename the step thank to reply_friendly", read_document(document("support_reply")))
    assert found is not None
    assert not check(found[0], TOOLS).errors
    assert lines_changed(document("support_reply"), found[0]) == [
        "-  - id: thank",
        "+  - id: reply_friendly",
        "-      - {condition: default, to: thank}",
        "+      - {condition: default, to: reply_friendly}",
        "-  - {from: thank, to: END}",
        "+  - {from: reply_friendly, to: END}",
    ]


# --- in a conversation ------------------------------------------------------------------------------------


async def test_a_wish_is_asked_about_and_then_made(talk: Talk) -> None:
    await talk.say("\n".join(f"- {step}" for step in ("Find the complaint", "Write a polite answer")))
    name = (await talk.saved())[0]
    question = only(await talk.say("use a friendlier tone"), Question)
    assert [option["label"] for option in question.options][-1] == "All of them"
    events = await talk.say(str(question.options[1]["label"]))
    assert only(events, DraftChanged).version == 2
    assert "Use a friendlier tone." in await talk.yaml(name)
    events = await talk.say("remove the complaint")
    assert only(events, DraftChanged).version == 3
    text = await talk.yaml(name)
    assert "id: find_complaint" not in text
    assert "description: Write a polite answer\n" in text.split("state:")[0]
    assert await talk.saved() == [name]
    assert talk.fake.requests == []


async def test_nothing_new_is_built_while_one_is_open_without_a_yes(talk: Talk) -> None:
    await talk.say("Use the example rewrite_for_tone")
    question = only(await talk.say("the file should have ; between its columns, sorted by town"), Question)
    assert [option["label"] for option in question.options] == ["Change the open workflow", "Make a new one"]
    events = await talk.say("Change the open workflow")
    none_of(events, DraftChanged, Question)
    assert "in step" in text_of(events)
    assert await talk.saved() == ["rewrite_for_tone"]


async def test_a_new_one_is_made_when_that_is_the_answer(talk: Talk) -> None:
    await talk.say("Use the example rewrite_for_tone")
    question = only(await talk.say("Compare two products for me"), Question)
    assert question.about["kind"] == "which"
    await talk.say("Make a new one")
    assert sorted(await talk.saved()) == ["compare_products", "rewrite_for_tone"]


async def test_the_name_of_the_workflow_is_not_touched_by_halves(talk: Talk) -> None:
    await talk.say("Use the example rewrite_for_tone")
    events = await talk.say("rename the workflow to kind_letters")
    none_of(events, DraftChanged)
    assert "nothing was changed" in text_of(events)


PASTED = """
schema_version: "1.0"
flow: {name: greeter, description: Greet people}
state:
  fields:
    person: {type: str, required: true}
    lang: {type: string, default: English}
    greeting: str
nodes:
\t- id: greet
\t  prompt: {state.person} should be greeted in {state.lang}
\t  output: [greeting]
"""


async def test_a_pasted_document_is_mended_and_taken(talk: Talk) -> None:
    events = await talk.say(f"my colleague sent me this, please fix it:\n{PASTED}")
    assert only(events, DraftChanged).workflow == "greeter"
    events = await talk.say("great. default language german")
    assert only(events, DraftChanged).version == 2
    assert "default: German" in await talk.yaml("greeter")
    assert talk.fake.requests == []


async def test_a_pasted_document_that_can_not_be_mended_is_not_saved(talk: Talk) -> None:
    wrong = PASTED.replace("{state.person} should", "{state.nobody_here} should")
    events = await talk.say(f"take this:\n{wrong}")
    none_of(events, DraftChanged)
    assert "not saved" in text_of(events)
    assert await talk.saved() == []


async def test_what_a_workflow_takes_is_told_by_code(talk: Talk) -> None:
    await talk.say("Use the example triage_ticket")
    assert "`ticket`: What the customer wrote" in text_of(await talk.say("what inputs does it have now?"))
    assert talk.fake.requests == []


async def test_what_a_step_should_also_do_does_not_replace_what_it_does(talk: Talk) -> None:
    await talk.say("\n".join(f"- {step}" for step in ("Find the complaint", "Write a polite answer")))
    await talk.say("the complaint step should also name the customer")
    text = await talk.yaml((await talk.saved())[0])
    assert "Find the complaint. Answer with the result only.\n      Name the customer.\n" in text
