"""Plans wired by code: whatever words a plan is made of, the document passes the checker and says what was planned."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.assistant.wiring import KINDS, TYPES, Plan, PlanInput, PlanStep, plan_from_dict, wire
from engine.check import Checked, check
from tools.registry import ToolRegistry

TOOLS = ToolRegistry()
HOSTILE = [
    "state", "null", "END", "START", "fail", "item", "inputs", "{state.ticket}", "{{", "}}{", "{", "a: b",
    "- x", "'", '"',     "|", "# no comment", "yes", "1.0", "010", "&anchor *alias", "!!python/object",
    "\t", "\n\nx\n    indented\n", "e\u0301", "😀",     "مرحبا", "\u202eevil", "\u2028", "\x00", "\x7f",
    "\x85", "\ud800", "{secret.KEY}", "{item}", "text", "Ω", "%YAML 1.1", "---",     "...", "@", "`",
    "{ticket}", "{step_1}", "x" * 3000, "default", "_loop", "__class__", "bug's \\ {case}", "${place}",
]  # fmt: skip
words = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=30),
    st.lists(st.sampled_from(HOSTILE), max_size=4).map(" ".join),
    st.sampled_from(["Read the letter", "Write an answer", "ticket", "read", "write", "decide", "kind"]),
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    inputs = [
        PlanInput(
            draw(words),
            draw(words),
            draw(st.sampled_from([*TYPES, "nonsense"])),
            draw(
                st.one_of(
                    st.none(), words, st.integers(), st.floats(), st.booleans(), st.lists(words, max_size=2)
                )
            ),
            tuple(draw(st.lists(words, max_size=3))),
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    steps: list[PlanStep] = []
    for _ in range(draw(st.integers(1, 10))):
        names = [given.name for given in inputs] + [step.id for step in steps]
        known = st.sampled_from(names) if names else words
        deciding = [(step.id, case) for step in steps for case in step.cases]
        anywhere = st.one_of(known, words)
        steps.append(
            PlanStep(
                draw(words),
                draw(st.one_of(words, st.sampled_from([f"step{len(steps)}"]))),
                tuple(draw(st.lists(anywhere, max_size=3))),
                tuple(draw(st.lists(anywhere, max_size=2))),
                draw(st.sampled_from([k for k in KINDS if k != "code"])),
                draw(st.one_of(st.just(""), words, known.map(lambda name: f"Look at {{{name}}}: {{x}}"))),
                draw(st.sampled_from([*TYPES, "nonsense"])),
                tuple(draw(st.lists(words, max_size=4))),
                draw(st.one_of(st.none(), st.sampled_from(deciding))) if deciding else None,
                draw(st.one_of(st.just(""), anywhere)),
                "text_template",
                {
                    "template": f"It is {draw(words)}",
                    "values": {draw(words): draw(st.one_of(words, st.integers()))},
                },
                draw(st.one_of(st.just(""), st.sampled_from(["answer", "text"]), words)),
            )
        )
    order = draw(st.permutations(range(len(steps)))) if draw(st.booleans()) else range(len(steps))
    return Plan(draw(words), draw(words), tuple(inputs), tuple(steps[number] for number in order))


def checked(plan: Plan) -> Checked:
    found = check(wire(plan), TOOLS)
    assert [(p.rule, p.path, p.message) for p in found.errors] == []
    assert found.workflow is not None
    return found


@given(plans())
def test_whatever_is_planned_the_document_passes(plan: Plan) -> None:
    found = checked(plan)
    assert found.workflow is not None
    assert len(found.workflow.nodes) == len(plan.steps)
    assert len(set(found.workflow.inputs)) == len(plan.inputs)
    serious = [p for p in found.warnings if p.rule not in {"no-model", "unused-field", "each-unused"}]
    assert [(p.rule, p.message) for p in serious] == []


@given(plans())
def test_a_plan_rides_on_a_question(plan: Plan) -> None:
    if any(isinstance(given.default, float) and given.default != given.default for given in plan.inputs):
        return  # NaN is not even itself
    assert plan_from_dict(json.loads(json.dumps(plan.to_dict()))) == _tuples(plan)


def _tuples(plan: Plan) -> Plan:
    return plan_from_dict(plan.to_dict())


# --- what was planned is what stands there ----------------------------------------------------------------

DESK = Plan(
    "Ticket desk",
    "Sort a ticket and answer it",
    (PlanInput("ticket", "What the customer wrote"), PlanInput("addresses", "Pages to read", "list[str]")),
    (
        PlanStep("Say what it is about", "kind", ("ticket",), cases=("refund", "bug's", "other")),
        PlanStep("Answer about {money}", "refund", ("ticket",), only=("kind", "refund"), result="answer"),
        PlanStep(
            "May it go out?",
            "ok",
            ("refund",),
            kind="ask",
            only=("kind", "refund"),
            cases=("approve", "reject"),
        ),
        PlanStep("Answer about a bug", "bug", ("ticket",), only=("kind", "bug's"), result="answer"),
        PlanStep(
            "Read each page",
            "fetch",
            ("addresses",),
            kind="tool",
            each="addresses",
            tool="http_get",
            args={"url": "{item}"},
        ),
        PlanStep(
            "Sum up", "sum", ("refund", "bug", "fetch"), body="Sum up {answer} and {fetch}. Keep {this}."
        ),
    ),
)


def test_branches_forks_and_joins() -> None:
    found = checked(DESK)
    text = found.document.text
    assert "  - {from: START, to: [kind, fetch]}\n" in text
    assert (
        "  - from: kind\n    routes:\n"
        "      - {condition: \"state.kind_choice == 'refund'\", to: refund}\n"
        "      - {condition: \"state.kind_choice == 'bug s'\", to: bug}\n"
        "      - {condition: default, to: sum}\n"
    ) in text
    for line in (
        "{from: refund, to: ok}",
        "{from: ok, to: sum}",
        "{from: bug, to: sum}",
        "{from: fetch, to: sum}",
    ):
        assert f"  - {line}\n" in text
    assert found.workflow is not None
    assert found.workflow.outputs == ("sum_result",)
    assert 'fetch_result: {type: "list[any]"' in text


def test_braces_of_people_are_text_and_known_names_are_references() -> None:
    text = wire(DESK)
    assert "Answer about {{money}}. Answer with the result only." in text
    assert "Sum up {state.answer} and {state.fetch_result}. Keep {{this}}." in text
    assert "    options: [approve, reject]\n" in text


def test_a_chain_needs_no_edges() -> None:
    steps = [PlanStep("Read it", "read", ("text",)), PlanStep("Judge it", "judge", ("text", "read"))]
    text = wire(Plan("p", "", (PlanInput("text"),), tuple(steps)))
    assert "edges" not in text
    assert "      So far: {state.read_result}\n" in text


def test_what_cannot_be_needed_is_left_out() -> None:
    steps = (
        PlanStep("Decide", "decide", ("text", "late"), cases=("a", "b")),
        PlanStep("First", "first", ("decide",), only=("decide", "a")),
        PlanStep("Second", "second", ("first",), only=("decide", "b")),
        PlanStep("Late", "late", ("nothing", "late")),
    )
    found = checked(Plan("p", "", (PlanInput("text"),), steps))
    text = found.document.text
    assert "{state.first_result}" not in text
    assert "{state.late_result}" not in text


@pytest.mark.parametrize("count", [0, 61])
def test_a_plan_has_bounds(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 60 steps"):
        wire(Plan("p", "", (), (PlanStep("Go"),) * count))
