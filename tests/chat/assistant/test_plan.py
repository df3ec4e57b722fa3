"""Big workflows: the outline, what a person changes in it, the steps written side by side, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.assistant.plan.changes import change, read_changes
from chat.assistant.plan.outline import OUTLINE, listed_steps, named, order_schema
from chat.assistant.plan.writing import schema_of
from chat.assistant.wiring import Plan, PlanInput, PlanStep, plan_from_dict, wire
from chat.events import Cost, DraftChanged, Failed, Outline, Question
from chat.gallery import Gallery
from engine.check import check
from tests.chat.assistant.house import NEAREST, OWNER, Talk, call, none_of, of, only, open_talk, text_of
from tests.fakes.openai_server import FakeOpenAI, Reply
from tools.registry import ToolRegistry

BIG = {"function_calling": True, "demo": False}
TICKET = "Since this morning nobody can log in."
BUG, OTHER = {"step": "kind", "case": "bug"}, {"step": "kind", "case": "other"}
STEPS: list[dict[str, Any]] = [
    {
        "id": "kind",
        "sentence": "Say what it is about",
        "kind": "llm",
        "needs": ["ticket"],
        "cases": ["bug", "other"],
    },
    {"id": "cause", "sentence": "Guess the cause", "kind": "llm", "needs": ["ticket"], "only": BUG},
    {"id": "excuse", "sentence": "Apologise", "kind": "llm", "needs": ["cause"], "only": BUG},
    {"id": "thank", "sentence": "Thank the customer", "kind": "llm", "needs": ["ticket"], "only": OTHER},
    {"id": "length", "sentence": "Count the letters", "kind": "code", "needs": ["ticket"]},
    {"id": "when", "sentence": "Say what time it is", "kind": "tool", "tool": "current_time", "needs": []},
    {"id": "tone", "sentence": "Judge the tone", "kind": "llm", "needs": ["ticket"]},
    {
        "id": "answer",
        "sentence": "Put the answer together",
        "kind": "llm",
        "needs": ["excuse", "thank", "tone", "length", "when"],
    },
    {"id": "check", "sentence": "Check the answer", "kind": "llm", "needs": ["answer"]},
]
PLAN = {
    "name": "Ticket desk",
    "description": "Sort a ticket and answer it",
    "inputs": [{"name": "ticket", "type": "str", "description": "What the customer wrote"}],
    "steps": STEPS,
}


@pytest.fixture
def fake() -> Any:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
async def talk(tmp_path: Path, fake: FakeOpenAI) -> AsyncIterator[Talk]:
    async with open_talk(tmp_path, fake, BIG) as opened:
        yield opened


def written(body: dict[str, Any]) -> Any:
    """What the model writes for one step: it does what its prompt says."""
    prompt = str(body["messages"][-1]["content"])
    sentence = prompt.split("alone: ", 1)[-1].split("\n", 1)[0]
    if "alone: " not in prompt:
        return "An answer of a run."
    if "`code`:" in prompt:
        return {"uses": ["ticket"], "code": "result = len(inputs['ticket'])"}
    if sentence == "Say what time it is":
        return {"args": {"time_zone": "Europe/Berlin"}}
    if sentence == "Say what it is about":
        return {"uses": ["ticket"], "prompt": "Is this about a bug? {ticket}"}
    return {"uses": ["ticket"], "prompt": f"{sentence}, in {{braces}}.", "type": "str"}


async def outline(talk: Talk, plan: dict[str, Any] = PLAN) -> Question:
    await talk.answer(call("functions", "plan_workflow", plan))
    return only(await talk.say("Make me a ticket desk that sorts, answers and checks"), Question)


# --- from the wish to the workflow ------------------------------------------------------------------------


async def test_an_outline_comes_first_and_nothing_is_saved(talk: Talk) -> None:
    await talk.answer(call("functions", "plan_workflow", PLAN))
    events = await talk.say("Make me a ticket desk that sorts, answers and checks")
    found = only(events, Outline)
    assert [step["status"] for step in found.steps] == ["planned"] * 9
    assert found.steps[0]["sentence"] == "Say what it is about (bug / other)"
    assert found.steps[1]["sentence"] == "Guess the cause (only if step 1 says “bug”)"
    assert found.open
    question = only(events, Question)
    assert [option["value"] for option in question.options] == ["Build it", "Drop the plan"]
    assert question.about["kind"] == "outline"
    none_of(events, DraftChanged, Failed)
    assert await talk.saved() == []


async def test_the_steps_are_written_side_by_side_and_wired(tmp_path: Path, fake: FakeOpenAI) -> None:
    async with open_talk(tmp_path, fake, BIG) as talk:
        await outline(talk)
    async with open_talk(tmp_path, fake, BIG, talk.conversation) as talk:
        fake.requests.clear()
        fake.script = written
        events = await talk.say("Build it")
        draft = only(events, DraftChanged)
        assert (draft.workflow, draft.version) == ("ticket_desk", 1)
        outlines = of(events, Outline)
        assert len({found.id for found in outlines}) == 1
        assert [step["status"] for step in outlines[-1].steps] == ["written"] * 9
        assert any("writing" in (step["status"] for step in found.steps) for found in outlines)
        assert not outlines[-1].open
        assert len(fake.requests) == 9
        assert only(events, Cost).prompt_tokens is not None
        text = await talk.yaml("ticket_desk")
    assert "prompt: |\n      Is this about a bug? {state.ticket}\n" in text
    assert "Apologise, in {{braces}}." in text
    assert "code: |\n      result = len(inputs['ticket'])\n    inputs: {ticket: state.ticket}" in text
    assert "time_zone: Europe/Berlin" in text
    assert "{condition: \"state.kind_choice == 'bug'\", to: cause}" in text
    for line in ("{from: excuse, to: answer}", "{from: thank, to: answer}", "{from: length, to: answer}"):
        assert line in text
    found = check(text, ToolRegistry())
    assert found.workflow is not None
    assert found.workflow.outputs == ("check_result",)


async def test_each_call_is_shown_only_what_its_kind_needs(talk: Talk) -> None:
    await outline(talk)
    talk.fake.requests.clear()
    talk.fake.script = written
    await talk.say("Build it")
    prompts = {p.split("alone: ", 1)[1].split("\n", 1)[0]: p for p in talk.fake.prompts()}
    assert "current_time" in prompts["Say what time it is"]
    assert "csv_parse" not in prompts["Say what time it is"]
    assert "current_time" not in prompts["Judge the tone"]
    assert "Python" in prompts["Count the letters"]
    assert "Python" not in prompts["Judge the tone"]
    assert "- excuse (str): Apologise" in prompts["Put the answer together"]
    assert "- tone (str)" not in prompts["Apologise"]
    assert "Examples of such steps:" in prompts["Judge the tone"]
    assert max(map(len, prompts.values())) < 8000


async def test_every_text_that_a_model_writes_has_a_bound(talk: Talk) -> None:
    from chat.assistant.turn import House, Turn
    from chat.turns import TurnContext

    models = talk.service.models
    house = House(models, ToolRegistry(), talk.engine, talk.workflows, Gallery(), NEAREST)
    turn = Turn(house, TurnContext(OWNER, "c", "m", ""), await models.info())
    steps = [*named(DESK).steps, PlanStep("Ask", kind="ask"), PlanStep("Read", kind="tool", tool="http_get")]
    schemas = [schema_of(turn, step, ["ticket"]) for step in steps]
    assert _unbounded([*schemas, dict(OUTLINE), order_schema(["a", "b"])]) == []


def _unbounded(schema: Any, where: str = "") -> list[str]:
    """Places of strings without a bound."""
    if isinstance(schema, list):
        return [place for item in schema for place in _unbounded(item, where)]
    if not isinstance(schema, dict):
        return []
    own = (
        [where] if schema.get("type") == "string" and not ("maxLength" in schema or "enum" in schema) else []
    )
    return own + [place for key, below in schema.items() for place in _unbounded(below, f"{where}.{key}")]


async def test_the_built_workflow_runs_both_ways(talk: Talk) -> None:
    # Without its step of code, for which this house has no sandbox.
    await outline(
        talk,
        {**PLAN, "steps": [{**step, "kind": "llm"} if step["kind"] == "code" else step for step in STEPS]},
    )
    talk.fake.script = written
    await talk.say("Build it")
    for choice, ran in (("bug", {"cause", "excuse"}), ("other", {"thank"})):
        talk.fake.script = lambda body, choice=choice: (
            {"kind_choice": choice} if "Is this about a bug?" in str(body["messages"]) else "Fine."
        )
        workflow = check(await talk.yaml("ticket_desk"), ToolRegistry()).workflow
        assert workflow is not None
        run = await talk.engine.run(workflow, {"ticket": TICKET}, owner=OWNER)
        assert run["status"] == "ok", [n for n in run["nodes"] if n["status"] != "ok"]
        nodes = {node["id"] for node in run["nodes"]}
        assert nodes & {"cause", "excuse", "thank"} == ran
        assert run["outputs"] == {"check_result": "Fine."}


# --- what a person says to the outline --------------------------------------------------------------------


async def test_changes_in_words_and_then_built(talk: Talk) -> None:
    question = await outline(talk)
    talk.fake.requests.clear()
    events = await talk.say("drop 3, add 'sign it politely' after 9")
    found = only(events, Outline)
    assert found.id == question.about["id"]
    assert [step["id"] for step in found.steps] == [
        "kind", "cause", "thank", "length", "when", "tone", "answer", "check", "added_1",
    ]  # fmt: skip
    assert talk.fake.requests == []
    talk.fake.script = written
    events = await talk.say("Build it")
    only(events, DraftChanged)
    text = await talk.yaml("ticket_desk")
    assert "id: added_1\n    description: Sign it politely" in text
    assert "excuse" not in text
    assert "{from: cause, to: answer}" in text


async def test_the_card_s_lines_change_and_build_at_once(talk: Talk) -> None:
    await outline(talk)
    talk.fake.script = written
    events = await talk.say("drop 7\nswap 1 and 9\nswap 9 and 1\nbuild it")
    only(events, DraftChanged)
    assert "tone" not in await talk.yaml("ticket_desk")


async def test_what_does_not_exist_is_said(talk: Talk) -> None:
    await outline(talk)
    events = await talk.say("drop 12, build it")
    assert only(events, Question).text.startswith("There is no step 12; the last is 9. ")
    none_of(events, DraftChanged)


async def test_other_words_go_to_the_model_with_the_plan(talk: Talk) -> None:
    await outline(talk)
    await talk.answer(
        call("functions", "plan_workflow", {**PLAN, "steps": [*STEPS, {**STEPS[-1], "id": "last"}]})
    )
    events = await talk.say("please have it read through by someone at the end, too")
    assert len(only(events, Outline).steps) == 10
    assert "Put the answer together" in talk.fake.prompts()[-1]


@pytest.mark.parametrize("words", ["Drop the plan", "no", "never mind"])
async def test_a_plan_can_be_left(talk: Talk, words: str) -> None:
    await outline(talk)
    events = await talk.say(words)
    assert "Nothing was built" in text_of(events)
    none_of(events, DraftChanged, Question)


async def test_who_wants_no_question_gets_the_workflow(talk: Talk) -> None:
    talk.fake.script = lambda body: (
        call("functions", "plan_workflow", {**PLAN, "build": "now"}) if body.get("tools") else written(body)
    )
    events = await talk.say("Just do it: a ticket desk that sorts, answers and checks")
    only(events, DraftChanged)
    none_of(events, Question)


async def test_a_few_steps_need_no_plan(talk: Talk) -> None:
    await talk.answer(call("functions", "plan_workflow", {**PLAN, "steps": STEPS[:8]}), Reply(text="I see."))
    events = await talk.say("Make me a ticket desk")
    none_of(events, Outline)
    assert "need no plan" in str(talk.fake.requests[1]["messages"][-1]["content"])


# --- steps that the person lists --------------------------------------------------------------------------

LIST = "Make a workflow:\n" + "\n".join(f"{n}. {step['sentence']}" for n, step in enumerate(STEPS, 1))


async def test_a_long_list_of_steps_is_planned_by_code(talk: Talk) -> None:
    ordered = [{"kind": "llm", "needs": [f"step_{n - 1}"] if n > 1 else ["ticket"]} for n in range(1, 10)]
    await talk.answer({**PLAN, "steps": ordered})
    events = await talk.say(LIST)
    found = only(events, Outline)
    assert [step["sentence"] for step in found.steps] == [step["sentence"] for step in STEPS]
    assert len(talk.fake.requests) == 1


async def test_a_list_that_the_model_cannot_order_runs_in_its_own_order(talk: Talk) -> None:
    talk.fake.script = lambda body: "I can't." if "response_format" in body else "no"
    question = only(await talk.say(LIST), Question)
    plan = plan_from_dict(question.about["plan"])
    assert [step.needs[1:] for step in plan.steps[1:]] == [(step.id,) for step in plan.steps[:-1]]


def test_what_is_a_list_of_steps() -> None:
    assert len(listed_steps(LIST)) == 9
    assert listed_steps(LIST.replace("Make a workflow:", "Sum up these notes:")) == []
    assert listed_steps("\n".join(LIST.splitlines()[:9])) == []
    assert listed_steps("Make a workflow of nine steps, please") == []


# --- what goes wrong --------------------------------------------------------------------------------------


async def test_a_step_that_fails_is_written_plainly_and_said(talk: Talk) -> None:
    await outline(talk)
    talk.fake.script = lambda body: (
        "I do not know" if "alone: Judge the tone" in str(body["messages"]) else written(body)
    )
    events = await talk.say("Build it")
    only(events, DraftChanged)
    assert "I could not write 1 of them" in text_of(events)
    assert "7 (Judge the tone)" in text_of(events)
    status = {step["id"]: step["status"] for step in of(events, Outline)[-1].steps}
    assert status == {**{step["id"]: "written" for step in STEPS}, "tone": "failed"}
    assert "Judge the tone. Answer with the result only." in await talk.yaml("ticket_desk")


async def test_problems_are_mended_once_and_only_where_they_are(talk: Talk) -> None:
    await outline(talk)
    talk.fake.requests.clear()

    def script(body: dict[str, Any]) -> Any:
        prompt = str(body["messages"][-1]["content"])
        if "alone: Count the letters" in prompt and "has problems" not in prompt:
            return {"uses": ["ticket"], "code": "result = len(inputs['ticket']"}
        return written(body)

    talk.fake.script = script
    events = await talk.say("Build it")
    only(events, DraftChanged)
    assert len(talk.fake.requests) == 10
    assert "result = len(inputs['ticket'])" in await talk.yaml("ticket_desk")
    assert "I could not write" not in text_of(events)


async def test_code_that_stays_wrong_becomes_a_plain_step(talk: Talk) -> None:
    await outline(talk)
    talk.fake.script = lambda body: (
        {"uses": ["ticket"], "code": "result = ("}
        if "alone: Count" in str(body["messages"])
        else written(body)
    )
    events = await talk.say("Build it")
    only(events, DraftChanged)
    assert "5 (Count the letters)" in text_of(events)
    assert "Count the letters. Answer with the result only." in await talk.yaml("ticket_desk")


async def test_when_no_step_can_be_written_the_plan_stays_open(talk: Talk) -> None:
    await outline(talk)
    talk.fake.script = Reply(status=401, message="no key")
    events = await talk.say("Build it")
    only(events, Failed)
    assert only(events, Question).about["kind"] == "outline"
    assert await talk.saved() == []
    talk.fake.script = written
    only(await talk.say("Build it"), DraftChanged)


async def test_a_stop_ends_every_call_and_the_plan_stays_open(talk: Talk) -> None:
    await outline(talk)
    talk.fake.requests.clear()
    talk.fake.script = lambda body: Reply(value=written(body), pause=True)
    message = await talk.service.post(OWNER, talk.conversation, "Build it")
    await _until(lambda: len(talk.fake.requests) == 4)
    await talk.service.stop(OWNER, talk.conversation)
    events = [event async for _, event in talk.service.follow(OWNER, talk.conversation, message_id=message)]
    none_of(events, DraftChanged)
    talk.fake.release()
    assert len(talk.fake.requests) == 4  # no more than so many at once, and none after the stop
    talk.fake.script = written
    only(await talk.say("Build it"), DraftChanged)


async def _until(holds: Any) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.02)


# --- small models -----------------------------------------------------------------------------------------


async def test_a_small_model_s_plan_needs_no_call(tmp_path: Path, fake: FakeOpenAI) -> None:
    async with open_talk(tmp_path, fake, {"demo": True, "function_calling": False}) as talk:
        assert len(only(await talk.say(LIST), Outline).steps) == 9
        only(await talk.say("swap 8 and 9"), Outline)
        events = await talk.say("Build it")
        draft = only(events, DraftChanged)
        assert fake.requests == []
        text = await talk.yaml(draft.workflow)
        assert text.index("id: check_answer") < text.index("id: put_answer_together")


# --- the orders themselves --------------------------------------------------------------------------------

CHAIN = named(
    Plan(
        "a",
        "b",
        (PlanInput("text"),),
        tuple(
            PlanStep(f"Do {n}", f"s{n}", ("text", *([f"s{n - 1}"] if n > 1 else []))) for n in range(1, 10)
        ),
    )
)


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("drop 3", "s1 s2 s4 s5 s6 s7 s8 s9"),
        ("remove steps 3, 5 and 7", "s1 s2 s4 s6 s8 s9"),
        ("swap 1 and 2", "s2 s1 s3 s4 s5 s6 s7 s8 s9"),
        ("move 9 before 2", "s1 s9 s2 s3 s4 s5 s6 s7 s8"),
        ("move 1 to 3", "s2 s3 s1 s4 s5 s6 s7 s8 s9"),
        ("order 9 1 2", "s9 s1 s2"),
        ("add “Check, twice” after 4", "s1 s2 s3 s4 added_1 s5 s6 s7 s8 s9"),
        ("add a joke at the end", "s1 s2 s3 s4 s5 s6 s7 s8 s9 added_1"),
        ("streiche 2 und tausche 3 und 4", "s1 s4 s3 s5 s6 s7 s8 s9"),
        ("change 2 to 'Do it well'", "s1 s2 s3 s4 s5 s6 s7 s8 s9"),
    ],
)
def test_orders(words: str, ids: str) -> None:
    wanted = read_changes(words)
    assert wanted is not None
    assert not wanted.build
    plan, wrong = change(CHAIN, wanted)
    assert wrong == []
    assert " ".join(step.id for step in plan.steps) == ids
    assert "edges" not in wire(plan)  # still one after the other


@pytest.mark.parametrize("words", ["order 2 1 3 4 5 6 7 8 9", "move 2 before 1", "swap 1 and 2"])
def test_a_step_of_a_case_stays_behind_the_step_that_finds_the_case(words: str) -> None:
    wanted = read_changes(words)
    assert wanted is not None
    plan, wrong = change(DESK, wanted)
    assert "Step 2 runs only if step 1 says “bug”" in wrong[0]
    assert plan == DESK


@pytest.mark.parametrize(
    "words",
    ["what is step 3?", "add a joke", "make it shorter", "drop the first", "build me another one", "", "3"],
)
def test_what_is_no_order(words: str) -> None:
    assert read_changes(words) is None


orders = st.one_of(
    st.integers(1, 9).map(lambda n: f"drop {n}"),
    st.tuples(st.integers(1, 9), st.integers(1, 9)).map(lambda t: f"swap {t[0]} and {t[1]}"),
    st.tuples(st.integers(1, 9), st.sampled_from(["before", "after", "to"]), st.integers(1, 9)).map(
        lambda t: f"move {t[0]} {t[1]} {t[2]}"
    ),
    st.integers(1, 9).map(lambda n: f"add 'look again' after {n}"),
)
DESK = named(
    plan_from_dict(
        {**PLAN, "steps": [{**s, "only": list(s["only"].values()) if "only" in s else None} for s in STEPS]}
    )
)


@given(st.sampled_from([CHAIN, DESK]), st.lists(orders, min_size=1, max_size=6))
def test_whatever_is_reordered_the_document_passes(plan: Plan, lines: list[str]) -> None:
    wanted = read_changes("\n".join(lines))
    assert wanted is not None
    changed, wrong = change(plan, wanted)
    assert wrong in ([], ["That would leave no step."]) or all("runs only if" in line for line in wrong)
    place = {step.id: number for number, step in enumerate(changed.steps)}
    assert all(place[step.only[0]] < place[step.id] for step in changed.steps if step.only)
    changed = plan_from_dict(json.loads(json.dumps(changed.to_dict())))
    kinds = {"tool": "llm", "code": "llm"}
    plain = Plan(
        changed.name,
        changed.description,
        changed.inputs,
        tuple(
            PlanStep(s.sentence, s.id, s.needs, kind=kinds.get(s.kind, s.kind), cases=s.cases, only=s.only)
            for s in changed.steps
        ),
    )
    assert [p.message for p in check(wire(plain), ToolRegistry()).errors] == []
