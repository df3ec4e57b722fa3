"""The checker as a whole: it never raises, is fast, says no secret, and its page is true."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.check import Machine, apply, apply_patches, at_start, check
from engine.check.catalogue import READING, RULES, page
from engine.ports import ModelInfo
from engine.problems import Patch, Problem
from tests.engine.check.big import SHAPES
from tests.engine.check.planted import DATA, PLANTED, SAVED
from tools.registry import ToolRegistry

TOOLS = ToolRegistry()
EXAMPLES = 2000 if os.environ.get("PARLANCE_SOAK") else 150
ROOT = Path(__file__).resolve().parents[3]
COMPLAINT = (DATA / "complaint.yaml").read_text(encoding="utf-8")
POEM = (DATA / "poem.yaml").read_text(encoding="utf-8")
ORDERS = (DATA / "orders.yaml").read_text(encoding="utf-8")
TEXTS = [COMPLAINT, POEM, ORDERS]
KEYS = st.sampled_from(
    re.findall(
        r"\S+",
        """
        schema_version flow name inputs outputs state fields type required default enum schema reduce nodes id
        prompt tool args tools config code ask for_each output_schema edges from to routes condition logic else
        loop condition_field exit_to max_iterations llm provider model a b START END <<
        as max_parallel on_error continue effect once retry max_attempts options timeout workflow sandbox mode
        network allowed_modules execution budget_usd gates metric max min on_fail
    """,
    )
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 99), st.floats(allow_nan=True), st.text(max_size=8), KEYS,
    st.sampled_from(["{state.a}", "{a.b[0]}", "{secret.K}", "state.a > 3", "default", "state.a", "write_greeting"]),
    st.sampled_from(["result = inputs['a']", "return 1", "import numpy", "def f(:", "result = {'a': tools.x()}"]),
    st.sampled_from(["list[str]", "dict[str, int]", "int", "object"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=4), max_leaves=25
)
PIECES = st.sampled_from(["", " ", "\n", "{", "]", ": ", "- ", "'", "a", "\t", "&x ", "*x"])
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=4)


def _check_soundly(text: str) -> None:
    """No exception, places within the text, and patches that can be applied."""
    checked = check(text, TOOLS, workflows=SAVED)
    assert (checked.workflow is None) == bool(checked.errors)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for problem in checked.problems:
        assert 1 <= problem.line <= len(lines) + 1
        assert 1 <= problem.column <= len(lines[min(problem.line, len(lines)) - 1]) + 2
        assert problem.message.strip()[-1:] in ".?!", problem.message
        json.dumps(problem.to_dict())
    apply_patches(text, checked.problems)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.text(max_size=80))
def test_any_text(text: str) -> None:
    _check_soundly(text)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_yaml(data: object) -> None:
    _check_soundly(yaml.safe_dump(data, sort_keys=False))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(TEXTS), st.sampled_from(["flow", "state", "nodes", "edges", "config"]), VALUES)
def test_any_value_for_a_part(text: str, key: str, value: object) -> None:
    data = yaml.safe_load(text)
    data[key] = value
    _check_soundly(yaml.safe_dump(data, sort_keys=False))


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(st.data())
def test_any_value_in_a_node(data: st.DataObject) -> None:
    """One value of one node, or one key more, is something else."""
    document = yaml.safe_load(ORDERS)
    node = data.draw(st.sampled_from(document["nodes"]))
    node[data.draw(st.sampled_from(sorted(node)) | KEYS)] = data.draw(VALUES)
    _check_soundly(yaml.safe_dump(document, sort_keys=False))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(TEXTS), EDITS)
def test_any_slip_of_the_pen(text: str, edits: list[tuple[float, int, str]]) -> None:
    for where, dropped, new in edits:
        at = int(where * len(text))
        text = text[:at] + new + text[at + dropped :]
    _check_soundly(text)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.__name__)
def test_a_thousand_nodes_are_judged_rightly(shape) -> None:  # type: ignore[no-untyped-def]
    """How long it takes is measured in benchmarks/checker.py."""
    text, ok = shape()
    assert check(text, TOOLS).ok == ok


def test_limits() -> None:
    many = "nodes:\n" + "".join(f"  - {{id: n{i}, prompt: x}}\n" for i in range(1001))
    bomb = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in ["ab", "bc", "cd", "de", "ef", "fg", "gh"]
    )
    texts = {
        "limit-size": "x" * (1024 * 1024 + 1),
        "limit-depth": "a: " + "[" * 25 + "]" * 25,
        "limit-nodes": many,
        "limit-aliases": bomb,
    }
    for rule, text in texts.items():
        assert rule in [p.rule for p in check(text, TOOLS).problems], rule


def test_secrets_are_never_said() -> None:
    """Not even where another rule would show the value, a name or a path."""
    key = "sk-" + "Zz9" * 12
    password = "correcthorse7"
    for old, new in (
        ("You are a friendly clerk.", key),
        ("tool: http_get", f"tool: {key}"),
        ("    terms: any\n", f"    terms: any\n    {key}: str\n"),
        ("timeout: 20", f"timeout: {key}"),
        ("state.refund and", f"state.score == '{key}' and"),
        ("{type: int, default: 0}\n    orders", f"{{type: int, default: {key}}}\n    orders"),
        ("      url:", f"      password: {password}\n      url:"),
        ("{from: look_up, to: judge}", f"{{from: look_up, to: {key}}}"),
        ('prompt: "Refuse politely', f'prompt: {key}: "Refuse politely'),
        ("# A complaint", f"# {key} A complaint"),
    ):
        assert COMPLAINT.count(old) == 1, old
        checked = check(COMPLAINT.replace(old, new), TOOLS)
        said = json.dumps([p.to_dict() for p in checked.problems])
        assert "secret-in-document" in [p.rule for p in checked.problems], (old, said)
        assert key not in said
        assert password not in said


@pytest.mark.parametrize(
    "harmless",
    [
        "sk-learn and sk-image are libraries", "task-oriented-design-of-long-names",
        "ask-me-anything-12345678901234567890",
        "Bearer {secret.SHOP}", "the token is in the mail", "https://example.com:8080/a@b", "AKIA is a prefix",
        "Basic authentication needs a password", "eyJ is how a JWT begins", "https://user:{secret.PW}@example.com",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_secret(harmless: str) -> None:
    text = COMPLAINT.replace("You are a friendly clerk.", f"'{harmless}'")
    assert "secret-in-document" not in [p.rule for p in check(text, TOOLS).problems]


@pytest.mark.parametrize(
    "harmless", ["SHOP_API_KEY", "$SHOP_API_KEY", "changeme", "<your token>", "{state.complaint}"]
)
def test_what_may_stand_at_a_key_for_secrets(harmless: str) -> None:
    text = COMPLAINT.replace('token: "{secret.SHOP}"', f'token: "{harmless}"')
    assert text != COMPLAINT
    assert not check(text, TOOLS).errors


def test_what_the_machine_lacks_is_an_error_when_a_run_starts() -> None:
    machine = Machine(None, providers=frozenset())
    problems = check(COMPLAINT, TOOLS, machine=machine).problems
    assert [(p.rule, p.severity) for p in problems] == [("no-key", "warning")]
    assert [(p.rule, p.severity) for p in at_start(problems, machine)] == [("no-key", "error")]
    forced = replace(machine, forced=True, model=ModelInfo("x/y", "a test"))
    assert not at_start(problems, forced)
    assert not check(COMPLAINT, TOOLS, machine=forced).problems


def test_patches_do_not_overlap() -> None:
    def problem(start: int, end: int, text: str) -> Problem:
        return Problem("r", "error", "", 1, start, "m.", Patch((1, start), (1, end), text))

    problems = [
        problem(6, 9, "Z"),
        problem(2, 4, "X"),
        problem(3, 7, "Y"),
        problem(2, 4, "X"),
        problem(9, 9, "!"),
    ]
    assert apply_patches("abcdefghij", problems) == "aXdeZ!ij"
    assert apply("a\r\nb", Patch((2, 1), (2, 2), "c")) == "a\r\nc"


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(
    st.lists(st.sampled_from([p for p in PLANTED if p.mend == "back" and p.base == "complaint"]), max_size=4)
)
def test_mends_of_several_mistakes(mistakes: list) -> None:  # type: ignore[type-arg]
    """Whatever mistakes come together: patches only ever take problems away."""
    text = COMPLAINT
    for planted in mistakes:
        text = text.replace(planted.old, planted.new) if text.count(planted.old) == 1 else text
    before = check(text, TOOLS).problems
    after = check(apply_patches(text, before), TOOLS).problems
    mended = {(p.rule, p.path) for p in before if p.patch}
    assert not mended & {(p.rule, p.path) for p in after}


def test_the_page_of_rules_is_true() -> None:
    """docs/rules.md is what `python -m engine.check.catalogue` prints."""
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == page()


def test_ids_are_unique_and_explained() -> None:
    ids = [r.id for r in RULES]
    assert len({*ids, *READING}) == len(ids) + len(READING)
    assert all(r.doc.count("\n\n") >= 1 for r in RULES), "what it finds, and what to do"
