"""Cases of a workflow: passed and failed only where that would be so whatever is not said; nothing happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cases import CaseResult, read_case, run_case
from engine.engine import Engine
from engine.errors import InputError
from tests.engine.flows import Tools, engine_on, workflow
from tools.sandbox.pool import Sandbox

TRIAGE = """
state:
  fields:
    ticket: {type: str, required: true}
    kind: {type: str, enum: [question, refund]}
    approved: bool
    answer: str
    sent: any
nodes:
  - {id: classify, prompt: "What is it? {state.ticket}", outputs: [kind]}
  - {id: person, ask: "Pay back?", options: [approve, reject], outputs: [approved]}
  - {id: reply, prompt: "Answer {state.ticket}", outputs: [answer]}
  - {id: send, tool: echo, args: {value: "{state.answer}"}, outputs: [sent], effect: once}
edges:
  - {from: START, to: classify}
  - from: classify
    routes:
      - {condition: "state.kind == 'refund'", to: person}
      - {condition: default, to: reply}
  - {from: person, to: reply}
  - {from: reply, to: send}
  - {from: send, to: END}
"""
REFUND = {"classify": {"kind": "refund"}}
CODE = """
state:
  fields:
    amount: {type: int, required: true}
    double: int
nodes:
  - {id: twice, code: "result = inputs['a'] * 2", inputs: {a: "{state.amount}"}, outputs: [double]}
"""


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
async def engine(tools: Tools, tmp_path: Path) -> AsyncIterator[Engine]:
    async with engine_on(tmp_path / "runs.db", tools) as made:
        yield made


async def tried(engine: Engine, tools: Tools, text: str = TRIAGE, **case: Any) -> CaseResult:
    return await run_case(engine, workflow(text, tools), case)


async def test_what_is_given_decides(engine: Engine, tools: Tools) -> None:
    inputs = {"ticket": "I want my money back"}
    found = await tried(engine, tools, inputs=inputs, given=REFUND, must_run=["person"])
    assert (found.status, found.why) == ("passed", "")
    assert found.ran == ("classify", "person", "reply", "send")
    other = await tried(engine, tools, inputs=inputs, given={"classify": "question"}, must_run=["person"])
    assert other.status == "failed"
    assert other.why == "'person' did not run; what ran is classify, reply, send."
    assert tools.log == []
    assert await engine.runs() == []


async def test_what_is_not_given_is_not_guessed(engine: Engine, tools: Tools) -> None:
    found = await tried(engine, tools, must_run=["person"])
    assert found.status == "unknown"
    assert "comes from 'classify', and the case does not say what that gives" in found.why
    assert (await tried(engine, tools, must_not_run=["person"])).status == "unknown"


async def test_what_every_way_leads_to_is_sure(engine: Engine, tools: Tools) -> None:
    assert (await tried(engine, tools, must_run=["reply", "send"])).status == "passed"
    assert (await tried(engine, tools, must_not_run=["send"])).status == "failed"


async def test_checks_look_at_the_final_state(engine: Engine, tools: Tools) -> None:
    said = {**REFUND, "person": {"approved": "approve"}, "reply": {"answer": "Here it is."}}
    held = ["state.approved == true", "contains(state.answer, 'Here')"]
    assert (await tried(engine, tools, given=said, checks=held)).status == "passed"
    wrong = await tried(engine, tools, given=said, checks=["state.approved == false"])
    assert (wrong.status, wrong.why) == ("failed", "state.approved == false does not hold: approved is true.")
    unsaid = await tried(engine, tools, given=REFUND, checks=["state.answer == 'x'"])
    assert unsaid.status == "unknown"
    assert "'answer' comes from 'reply'" in unsaid.why


async def test_an_answer_that_is_no_option_fails(engine: Engine, tools: Tools) -> None:
    found = await tried(engine, tools, given={**REFUND, "person": {"approved": True}}, must_run=["send"])
    assert found.status == "passed"
    text = TRIAGE.replace("approved: bool", "approved: str")
    wrong = await tried(
        engine, tools, text, given={**REFUND, "person": {"approved": "maybe"}}, must_run=["send"]
    )
    assert wrong.status == "failed"
    assert "none of the answers" in wrong.why


LOOP = """
state:
  fields: {draft: str, good: bool, said: str}
nodes:
  - {id: write, prompt: W, outputs: [draft, good]}
  - {id: tell, prompt: "{state.draft}", outputs: [said]}
edges:
  - {from: START, to: write}
  - from: write
    loop: {condition_field: good, max_iterations: 5, exit_to: tell}
  - {from: tell, to: END}
"""


async def test_visits_of_a_loop_may_differ(engine: Engine, tools: Tools) -> None:
    visits = [{"draft": "one", "good": False}, {"draft": "two", "good": True}]
    check = ["state.draft == 'two'", "state._loop_iteration_write == 2"]
    found = await tried(engine, tools, LOOP, given={"write": visits}, must_run=["tell"], checks=check)
    assert (found.status, found.why) == ("passed", "")
    assert (await tried(engine, tools, LOOP, must_run=["tell"])).status == "passed"
    assert (await tried(engine, tools, LOOP, checks=["state.good"])).status == "unknown"


FAILING = """
state:
  fields: {paid: any, told: str}
nodes:
  - {id: pay, tool: echo, args: {value: 1}, outputs: [paid], effect: once, on_error: tell}
  - {id: thank, prompt: T, outputs: [told]}
  - {id: tell, prompt: P, outputs: [told]}
edges:
  - {from: START, to: pay}
  - {from: pay, to: thank}
  - {from: thank, to: END}
  - {from: tell, to: END}
"""


async def test_a_failure_can_be_assumed(engine: Engine, tools: Tools) -> None:
    fails = {"pay": {"_error": "no money"}}
    found = await tried(engine, tools, FAILING, given=fails, must_run=["tell"], must_not_run=["thank"])
    assert (found.status, found.why) == ("passed", "")
    stops = await tried(engine, tools, given={"classify": {"_error": "down"}}, must_run=["reply"])
    assert stops.status == "failed"
    assert "down" in stops.why


async def test_code_really_runs(tools: Tools, tmp_path: Path) -> None:
    sandbox = Sandbox()
    async with engine_on(tmp_path / "runs.db", tools, sandbox=sandbox) as engine:
        found = await tried(engine, tools, CODE, inputs={"amount": 4}, checks=["state.double == 8"])
        assert (found.status, found.why) == ("passed", "")
        unsaid = await tried(engine, tools, CODE, checks=["state.double == 8"])
        assert unsaid.status == "unknown"
        broken = CODE.replace("inputs['a'] * 2", "1 // (inputs['a'] - 4)")
        wrong = await tried(engine, tools, broken, inputs={"amount": 4}, checks=["state.double == 8"])
        assert wrong.status == "failed"
    await sandbox.close()


async def test_without_a_sandbox_code_is_unknown(engine: Engine, tools: Tools) -> None:
    found = await tried(engine, tools, CODE, inputs={"amount": 4}, checks=["state.double == 8"])
    assert found.status == "unknown"
    assert "there is no sandbox here" in found.why


UNFIT = [
    ({"must_run": ["persn"]}, "There is no step 'persn' in test. Did you mean 'person'?"),
    ({"given": {"clasify": {}}, "must_run": ["person"]}, "Did you mean 'classify'?"),
    (
        {"given": {"classify": {"knd": 1}}, "must_run": ["person"]},
        "does not give 'knd'. Did you mean 'kind'?",
    ),
    ({"given": {"classify": {"kind": "other"}}, "must_run": ["person"]}, "is not one of"),
    ({"inputs": {"tickt": "x"}, "must_run": ["person"]}, "There is no input 'tickt'."),
    ({"checks": ["state.answr == 'x'"]}, "Did you mean 'answer'?"),
    ({"checks": ["state.answer ="]}, "can't be read"),
    ({}, "The test expects nothing."),
    ({"must": ["person"]}, "A test has no 'must'."),
    ({"must_run": ["person"], "must_not_run": ["person"]}, "can't both run and not run"),
    ({"must_run": [1]}, "is a list of texts"),
    ({"given": [], "must_run": ["person"]}, "is an object"),
    ({"inputs": {"ticket": "x" * 100_001}, "must_run": ["person"]}, "longer than"),
]


@pytest.mark.parametrize(("case", "said"), UNFIT)
async def test_a_case_that_does_not_fit_says_why(
    engine: Engine, tools: Tools, case: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as error:
        await run_case(engine, workflow(TRIAGE, tools), case)
    assert said in str(error.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["inputs", "given", "must_run", "must_not_run", "checks", "x"]), JSON))
def test_any_shape_is_read_or_refused(value: dict[str, Any]) -> None:
    try:
        case = read_case(value)
    except InputError:
        return
    assert read_case(case.to_dict()) == case
