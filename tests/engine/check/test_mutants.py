"""Planted mistakes: each is found by the right rule at the right place, and nothing that only follows from
it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.check import Checked, Machine, apply, apply_patches, check
from engine.check.catalogue import READING, RULES
from engine.ports import ModelInfo
from engine.problems import Problem
from tests.engine.check import operators_kinds  # noqa: F401 - adds its operators
from tests.engine.check.operators import OPERATORS, Mutation, Operator
from tests.engine.check.planted import DATA, MACHINES, PLANTED, SAVED, TOOLS, Planted
from tests.engine.check.planted_kinds import PLANTED_KINDS

ALL_PLANTED = (*PLANTED, *PLANTED_KINDS)
GALLERY = Path(__file__).resolve().parents[3] / "configs" / "gallery"
VALID = sorted([*GALLERY.glob("*.yaml"), *DATA.glob("*.yaml")])
ABLE = Machine(ModelInfo("openai/gpt-5.4-mini", "a test"), providers=frozenset({"openai"}))
PER_DOCUMENT = 3
LIMITS = {"limit-size", "limit-depth", "limit-nodes", "limit-aliases"}
"""Rules that no change of a small text can break; test_checker.py does."""


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _shown(checked: Checked) -> str:
    return "\n".join(f"{p.line}:{p.column} {p.severity} {p.rule} {p.message}" for p in checked.problems)


def _at(checked: Checked, rule: str, place: tuple[int, int]) -> Problem:
    found = [p for p in checked.problems if p.rule == rule and (p.line, p.column) == place]
    assert len(found) == 1, f"no {rule} at {place}, but:\n{_shown(checked)}"
    return found[0]


@pytest.mark.parametrize("path", VALID, ids=lambda p: p.stem)
def test_nothing_is_wrong_with_what_ships(path: Path) -> None:
    checked = check(_read(path), TOOLS, machine=ABLE, workflows=SAVED)
    assert not checked.problems, _shown(checked)
    assert checked.ok
    assert checked.workflow is not None


@pytest.mark.parametrize("planted", ALL_PLANTED, ids=lambda p: f"{p.rule}-{ALL_PLANTED.index(p)}")
def test_planted_mistake(planted: Planted) -> None:
    checked = check(planted.text(), TOOLS, machine=MACHINES[planted.machine], workflows=SAVED)
    problem = _at(checked, planted.rule, planted.place())
    assert len(checked.problems) == 1, f"more than the one mistake:\n{_shown(checked)}"
    assert checked.ok == (problem.severity == "warning")
    assert (checked.workflow is None) == (problem.severity == "error")
    _check_mend(planted, problem)


def _check_mend(planted: Planted, problem: Problem) -> None:
    assert (problem.patch is not None) == (planted.mend is not None), problem
    if problem.patch is None:
        return
    mended = apply(planted.text(), problem.patch)
    after = check(mended, TOOLS, machine=MACHINES[planted.machine], workflows=SAVED)
    assert not after.problems, f"the patch leaves:\n{_shown(after)}"
    if planted.mend == "back":
        assert mended == _read(DATA / f"{planted.base}.yaml")


@pytest.mark.parametrize("path", VALID, ids=lambda p: p.stem)
@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS.keys())
def test_operator(operator: Operator, path: Path) -> None:
    text = _read(path)
    for mutation in list(operator(text))[:PER_DOCUMENT]:
        checked = check(mutation.text, TOOLS)
        problem = _at(checked, mutation.rule, mutation.place)
        noise = [p for p in checked.problems if p.rule not in {mutation.rule, *mutation.also}]
        assert not noise, f"more than the one mistake:\n{_shown(checked)}"
        _check_patch_of(mutation, problem, text)


def _check_patch_of(mutation: Mutation, problem: Problem, original: str) -> None:
    """A patch takes its problem away and brings no other; where it mends all, the text is as before."""
    if problem.patch is None:
        return
    after = check(apply(mutation.text, problem.patch), TOOLS)
    assert not [p for p in after.problems if p.rule == problem.rule and p.path == problem.path], _shown(after)
    before = {(p.rule, p.path) for p in check(mutation.text, TOOLS).problems}
    assert {(p.rule, p.path) for p in after.problems} <= before, _shown(after)
    if not after.problems:
        assert apply(mutation.text, problem.patch) == original


def test_operators_plant_enough() -> None:
    """Every operator finds a place in the documents that ship, and together they plant hundreds of
    mistakes.
    """
    planted = {name: sum(len(list(run(_read(p)))) for p in VALID) for name, run in OPERATORS.items()}
    assert all(planted.values()), planted
    assert sum(planted.values()) > 400, planted


def test_every_rule_has_a_mutant() -> None:
    covered = {p.rule for p in ALL_PLANTED} | LIMITS
    assert covered == {r.id for r in RULES} | READING.keys()


def test_several_mistakes_are_all_found_and_mended_in_one_go() -> None:
    """Five mistakes in one document: none hides another, and the certain mends give the first text back."""
    original = _read(DATA / "complaint.yaml")
    text = original
    for old, new in (
        ("retry: {max_attempts: 3}", "retry: {max_attemps: 3}"),
        ("tool: http_get", "tool: htp_get"),
        ('"Refuse politely: {state.complaint}"', '"Refuse politely: {state.complant}"'),
        ("{from: look_up, to: judge}", "{from: look_up, to: jugde}"),
        ("state.urgency == 'high'", "state.urgency == 'hihg'"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    checked = check(text, TOOLS)
    rules = [p.rule for p in checked.problems]
    assert sorted(rules) == [
        "condition-value", "undefined-node", "unknown-field", "unknown-key", "unknown-tool"
    ], _shown(checked)  # fmt: skip
    assert apply_patches(text, checked.problems) == original
