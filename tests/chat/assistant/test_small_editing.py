"""Workflows changed by plain words without a big model: every byte outside the change stays; what can't be is said."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.assistant.plan.outline import chain
from chat.assistant.small.branching import branch_plan, condition, read_cases
from chat.assistant.small.editing import carry_out
from chat.assistant.small.orders import Order, read_order, which
from chat.assistant.small.rewiring import Cannot
from chat.assistant.wiring import wire
from chat.events import DraftChanged, Outline, Question, RunEnded, RunStarted
from chat.gallery import Gallery
from engine.check import check
from engine.document import read_document
from tests.chat.assistant.house import Talk, none_of, only, open_talk, text_of
from tests.fakes.openai_server import FakeOpenAI
from tools.registry import ToolRegistry

DEMO = {"demo": True, "function_calling": False}
STEPS = ["Find out what the customer complains about", "Write a polite answer", "Translate it to Dutch"]
CHAIN = wire(chain(STEPS, ""))
TOOLS = ToolRegistry()


@pytest.fixture
def fake() -> Any:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
async def talk(tmp_path: Path, fake: FakeOpenAI) -> AsyncIterator[Talk]:
    async with open_talk(tmp_path, fake, DEMO) as opened:
        yield opened


def changed(text: str, words: str) -> str:
    order = read_order(words)
    assert order is not None
    new, done = carry_out(read_document(text), order)
    assert done
    found = check(new, TOOLS)
    assert [p.message for p in found.errors] == []
    return new


def difference(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0)
    return [line for line in lines if line[:2] not in ("@@", "--", "++")]


# --- what is changed, and nothing else --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            "change the prompt of step 2 to 'Write a {short} answer'",
            [
                "-      Write a polite answer. Answer with the result only.",
                "+      Write a {{short}} answer.",
            ],
        ),
        ("in step 2, be brief", ["+      Be brief."]),
        ("tell the last step to keep the names", ["+      Keep the names."]),
        ("add 'No emoji' to step 3", ["+      No emoji."]),
        (
            "replace 'Dutch' with 'French'",
            [
                "-      Translate it to Dutch. Answer with the result only.",
                "+      Translate it to French. Answer with the result only.",
            ],
        ),
        (
            "rename the translate step to Put it: in Dutch",
            ["-    description: Translate it to Dutch", '+    description: "Put it: in Dutch"'],
        ),
    ],
)
def test_words_of_a_step(words: str, lines: list[str]) -> None:
    assert difference(CHAIN, changed(CHAIN, words)) == lines


def test_a_step_is_added_and_its_result_is_handed_on() -> None:
    text = changed(CHAIN, "please add a step that checks the spelling after the second step")
    found = check(text, TOOLS).workflow
    assert found is not None
    ids = list(found.nodes)
    assert ids[2] == "check_spelling"
    prompts = {node.id: str(node.prompt) for node in found.nodes.values() if node.prompt}
    assert "{state.write_polite_answer_result}" in prompts["check_spelling"]
    assert "{state.check_spelling_result}" in prompts["translate_dutch"]
    assert [line for line in difference(CHAIN, text) if line.startswith("-")] == [
        f'-  description: "{"; ".join(STEPS)}"'
    ]
    assert "Write a polite answer; Check the spelling; Translate it to Dutch" in found.description


def test_a_description_of_a_person_stays_when_steps_change() -> None:
    own = CHAIN.replace(f'"{"; ".join(STEPS)}"', "For the desk  # mine")
    assert own != CHAIN
    assert "description: For the desk  # mine\n" in changed(own, "remove step 2")


def test_a_step_at_the_end_is_part_of_the_result() -> None:
    found = check(changed(CHAIN, "add a step to sum it up at the end"), TOOLS).workflow
    assert found is not None
    assert found.outputs == ("translate_dutch_result", "sum_result")


def test_who_read_a_removed_step_reads_what_it_read() -> None:
    text = changed(CHAIN, "remove step 2")
    assert "write_polite_answer" not in text
    assert text.count("So far: {state.find_out_what_result}") == 1
    found = check(text, TOOLS).workflow
    assert found is not None
    assert list(found.inputs) == ["text"]


def test_the_last_step_removed_leaves_the_result_before_it() -> None:
    found = check(changed(CHAIN, "delete the last step"), TOOLS).workflow
    assert found is not None
    assert found.outputs == ("write_polite_answer_result",)


def test_two_steps_in_each_other_s_place() -> None:
    text = changed(CHAIN, "swap steps 1 and 2")
    assert text.count("So far: {state.write_polite_answer_result}") == 1
    assert text.count("So far: {state.find_out_what_result}") == 1
    assert changed(text, "swap step 1 and 2") == CHAIN


BRANCH = wire(
    branch_plan("Decide", {"refund": ["Say sorry", "Pay it"], "other": ["Say thanks"]}, ["Sign it"], "")
)


def test_steps_among_branches() -> None:
    text = changed(BRANCH, "add a step 'check the sum' after say sorry")
    assert "  - {from: say_sorry, to: check_sum}\n  - {from: check_sum, to: pay}\n" in text
    text = changed(BRANCH, "remove the pay step")
    assert "  - {from: say_sorry, to: sign}\n" in text
    assert "pay" not in text


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("remove step 9", "don't know which step “9” is"),
        ("remove the decide step", "decides how things go on"),
        ("swap step 1 and 2", "drawn by edges"),
        ("replace 'nowhere' with 'x'", "nowhere in the prompts"),
        ("replace 'Answer' with 'x'", "in several places"),
    ],
)
def test_what_cannot_be_done_is_said(words: str, why: str) -> None:
    order = read_order(words)
    assert order is not None
    with pytest.raises(Cannot, match=why):
        carry_out(read_document(BRANCH), order)


words = st.text(min_size=1, max_size=40).filter(lambda text: text.strip())
some_orders = st.one_of(
    st.builds(lambda step, text: Order("add", step, "", "before", text), st.sampled_from("123"), words),
    st.builds(lambda step, text: Order("add", step, "", "after", text), st.sampled_from("123"), words),
    st.builds(lambda place, text: Order("add", "", "", place, text), st.sampled_from(["start", "end"]), words),
    st.builds(lambda step: Order("remove", step), st.sampled_from("123")),
    st.builds(lambda one, other: Order("swap", one, other), st.sampled_from("123"), st.sampled_from("123")),
    st.builds(lambda step, text: Order("rename", step, text=text), st.sampled_from("123"), words),
    st.builds(lambda step, text: Order("prompt", step, text=text), st.sampled_from("123"), words),
    st.builds(lambda step, text: Order("say", step, text=text), st.sampled_from("123"), words),
    st.builds(lambda old, text: Order("replace", old=old, text=text), st.sampled_from(["the", "Ticket", "a"]), words),
)  # fmt: skip


@given(st.sampled_from([CHAIN, BRANCH]), st.lists(some_orders, min_size=1, max_size=4))
def test_changes_upon_changes_keep_a_document_of_ours_valid(text: str, orders: list[Order]) -> None:
    for order in orders:
        try:
            new, _ = carry_out(read_document(text), order)
        except Cannot:
            continue
        assert [p.message for p in check(new, TOOLS).errors] == []
        text = new


@given(st.sampled_from(Gallery().names()), some_orders)
def test_any_example_stays_readable_and_its_comments_stay(name: str, order: Order) -> None:
    """Whatever an example looks like: what passes the checker is saved, all else is refused, and never a crash."""
    example = Gallery().get(name)
    assert example is not None
    text = example.yaml.replace("nodes:\n", "# a remark of the person\nnodes:\n")
    try:
        new, _ = carry_out(read_document(text), order)
    except Cannot:
        return
    assert read_document(new).root is not None
    assert "# a remark of the person\nnodes:\n" in new


@pytest.mark.parametrize(
    "message",
    [
        "change the language to Dutch",
        "set count = 3",
        "add up these numbers",
        "remove all duplicates from a list",
        "run it",
        "translate a text step by step",
        "swap the words in a text",
    ],
)
def test_what_is_no_order(message: str) -> None:
    assert read_order(message) is None


@pytest.mark.parametrize(
    "words",
    [
        "add a step after draft: list the names",
        "insert a step after the draft step to list the names",
        "insert a step after the draft step that lists the names",
    ],
)
def test_the_place_may_come_first(words: str) -> None:
    order = read_order(words)
    assert order is not None
    assert (order.kind, order.step, order.place, order.text) == ("add", "draft", "after", "list the names")


def test_which_step_is_meant() -> None:
    nodes = read_document(CHAIN).data["nodes"]
    for said, number in (
        ("2", 1),
        ("last", 2),
        ("translate_dutch", 2),
        ("polite answer", 1),
        ("complains", 0),
    ):
        assert which(said, nodes) == number
    for said in ("0", "4", "weather", "it"):
        assert which(said, nodes) is None


# --- in a conversation ------------------------------------------------------------------------------------


async def test_change_and_change_again_and_run(talk: Talk) -> None:
    await talk.say("\n".join(f"{n}. {step}" for n, step in enumerate(STEPS, 1)))
    name = (await talk.saved())[0]
    for version, said in enumerate(
        ("remove step 1", "add a step that sums it up at the end", "in step 1, be very polite"), 2
    ):
        events = await talk.say(said)
        assert only(events, DraftChanged).version == version
        assert "The steps now:" in text_of(events)
    assert talk.fake.requests == []
    await talk.answer("Sorry.", "Pardon.", "They are sorry.")
    await talk.say("run it")
    run = only(await talk.say("It came late!"), RunEnded).run
    assert run["workflow"] == name
    assert run["status"] == "ok"
    assert "Be very polite." in talk.fake.prompts()[0]


async def test_what_cannot_be_done_changes_nothing(talk: Talk) -> None:
    await talk.say("- Sum up the letter\n- Translate it to Dutch")
    events = await talk.say("remove step 7")
    none_of(events, DraftChanged)
    assert "1. sum_letter, 2. translate_dutch" in text_of(events)


async def test_a_condition_in_one_sentence_is_a_branch(talk: Talk) -> None:
    events = await talk.say("If the review is negative, write an apology, otherwise say thanks")
    name = only(events, DraftChanged).workflow
    assert talk.fake.requests == []
    talk.fake.script = lambda body: {"decide_choice": "no"} if "response_format" in body else "Thanks!"
    await talk.say("run it")
    run = only(await talk.say("A lovely place."), RunEnded).run
    assert run["workflow"] == name
    assert [node["id"] for node in run["nodes"]] == ["decide", "say_thanks"]


async def test_a_branch_by_questions_survives_restarts(tmp_path: Path, fake: FakeOpenAI) -> None:
    conversation = None
    answers = [
        "what the ticket is about",
        "refund, bug or anything else",
        "Say sorry\nPromise the money",
        "Ask for the version",
    ]
    async with open_talk(tmp_path, fake, DEMO) as talk:
        conversation = talk.conversation
        question = only(await talk.say("it depends"), Question)
        assert question.text.startswith("What decides")
    for said, asked in zip(
        answers, ("What are the cases?", "case “refund”", "case “bug”", "case “anything else”"), strict=True
    ):
        async with open_talk(tmp_path, fake, DEMO, conversation) as talk:
            assert asked in only(await talk.say(said), Question).text
    async with open_talk(tmp_path, fake, DEMO, conversation) as talk:
        assert "whichever case" in only(await talk.say("Nothing"), Question).text
        name = only(await talk.say("Sign it kindly"), DraftChanged).workflow
        text = await talk.yaml(name)
    assert fake.requests == []
    assert "enum: [refund, bug, anything else]" in text
    assert "{condition: default, to: sign_kindly}" in text
    assert "{from: say_sorry, to: promise_money}" in text


async def test_a_branch_can_be_left_or_be_of_no_use(talk: Talk) -> None:
    await talk.say("it depends")
    await talk.say("the weather")
    assert "two cases" in only(await talk.say("rain"), Question).text
    none_of(await talk.say("cancel"), Question, DraftChanged)
    for said in ("it depends", "the weather", "rain, sun", "nothing", "nothing"):
        await talk.say(said)
    events = await talk.say("nothing")
    none_of(events, DraftChanged)
    assert "nothing to build" in text_of(events)


async def test_a_condition_among_listed_steps(talk: Talk) -> None:
    await talk.say(
        "1. Sum up the mail\n2. If it is urgent, write an alert, otherwise write a note\n3. Translate it"
    )
    text = await talk.yaml((await talk.saved())[0])
    assert "{from: sum_mail, to: decide}" in text
    assert "{from: write_alert, to: translate}" in text
    assert "{from: write_note, to: translate}" in text


async def test_a_long_list_is_shown_first(talk: Talk) -> None:
    events = await talk.say("My steps:\n" + "\n".join(f"- do thing {n}" for n in range(1, 11)))
    assert len(only(events, Outline).steps) == 10
    none_of(events, DraftChanged, RunStarted)
    only(await talk.say("build it"), DraftChanged)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Read it. If it is bad, say sorry; else say thanks",
         (["Read it"], "it is bad", ["say sorry"], ["say thanks"])),
        ("If it mentions money, ask the boss", ([], "it mentions money", ["ask the boss"], [])),
        ("Sum up and if it is long, cut it, then sign it, otherwise send it",
         (["Sum up"], "it is long", ["cut it", "sign it"], ["send it"])),
        ("What if it rains, shall we go?", None),
        ("tell me what happens if I run it", None),
        ("summarise the text if it is long", None),
    ],
)  # fmt: skip
def test_conditions(text: str, found: object) -> None:
    assert condition(text) == found


def test_cases() -> None:
    assert read_cases("refund, question or bug.") == ["refund", "question", "bug"]
    assert read_cases("1. good\n2. bad\n3. Good") == ["good", "bad"]
