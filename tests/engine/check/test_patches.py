"""Patches touch one name, however the text round it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.check import apply_patches, check
from engine.check.suggest import Suggester, distance
from engine.problems import Problem
from tools.registry import ToolRegistry

TOOLS = ToolRegistry()
HEAD = """schema_version: "1.0"
flow: {name: letters}
state:
  fields:
    letter: {type: str, required: true}
    person: {type: object, schema: {name: str, town: str}, required: true}
    reply: {type: str}
nodes:
  - id: answer
"""
TAIL = "\n    outputs: [reply]\n"


def _problems(text: str) -> list[Problem]:
    return list(check(text, TOOLS).problems)


WRITTEN = {
    "plain": "    prompt: Answer {state.letter} for {state.person.name}",
    "plain over lines": "    prompt: Answer\n      {state.letter} for\n      {state.person.name}",
    "single quotes": "    prompt: 'It''s {state.letter} for {state.person.name}'",
    "double quotes": '    prompt: "Say \\"yes\\"\\n to {state.letter} for {state.person.name}"',
    "double quotes over lines": '    prompt: "Say\n      {state.letter} \\\n      to {state.person.name}"',
    "literal": "    prompt: |\n      Answer {state.letter}\n\n        for {state.person.name}\n      # no comment",
    "folded": "    prompt: >-\n      Answer\n      {state.letter}\n      for {state.person.name}",
    "flow": '    inputs: {a: "{state.letter}", b: state.person.name}\n    prompt: "{a}{b}"',
    "beyond ASCII": '    prompt: "Grüße 🙂 {state.letter} — {state.person.name}"',
    "commented": '    prompt: "{state.letter} {state.person.name}" # {state.letter}',
    "in the list of tools": (
        "    tools: [{name: http_get, config: {a: ['{state.letter}', {b: '{state.person.name}'}]}}]\n    prompt: Go"
    ),
}
SLIPS = [("state.letter", "state.leter"), ("person.name", "person.nam"), ("state.person", "state.persn")]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("start", ["", "\ufeff"], ids=["", "BOM"])
@pytest.mark.parametrize("way", WRITTEN)
def test_a_name_in_a_template(way: str, start: str, ending: str) -> None:
    original = (start + HEAD + WRITTEN[way] + TAIL).replace("\n", ending)
    assert not [p for p in _problems(original) if p.severity == "error"]
    for right, wrong in SLIPS:
        at = original.index(right, original.index("- id"))
        text = original[:at] + wrong + original[at + len(right) :]
        found = _problems(text)
        assert [p.rule for p in found if p.patch] in (["unknown-field"], ["unknown-path"]), found
        assert apply_patches(text, found) == original


def test_one_slip_several_times_is_one_problem() -> None:
    original = (
        HEAD
        + '    prompt: "{state.letter}, {state.letter}\n      and again {state.letter} {state.person}"'
        + TAIL
    )
    text = original.replace("{state.letter}", "{state.leter}")
    assert len(_problems(text)) == 1
    assert apply_patches(text, _problems(text)) == original


def test_a_name_behind_an_escape_is_left_to_people() -> None:
    text = HEAD + '    prompt: "Answer {state.l\\x65ter} {state.person}"' + TAIL
    found = _problems(text)
    assert [(p.rule, p.patch) for p in found] == [("unknown-field", None)]


def test_an_alias_is_mended_where_it_is_written() -> None:
    original = HEAD + '    system: &s "Read {state.letter}"\n    prompt: *s' + TAIL
    assert not [p for p in _problems(original) if p.severity == "error"]
    text = original.replace("letter}", "leter}")
    assert apply_patches(text, _problems(text)) == original


@pytest.mark.parametrize(
    ("written", "wrong"),
    [("reply", "rpely"), ("'reply'", "'rpely'"), ('"reply"', '"rpely"')],
)
def test_quotes_stay(written: str, wrong: str) -> None:
    original = HEAD + '    prompt: "{state.letter}"\n    outputs: [' + written + "]\n"
    text = original.replace(written + "]", wrong + "]")
    assert apply_patches(text, _problems(text)) == original


@pytest.mark.parametrize(
    ("name", "certain", "near"),
    [
        ("clasify", "classify", "classify"),
        ("Classify", "classify", "classify"),
        ("look-up", "look_up", "look_up"),
        ("reveiw", "review", "review"),
        ("summary_text", None, "summary"),
        ("zzz", None, None),
        ("reviw1", "review1", "review1"),
        ("review3", None, "review"),
        ("a", None, None),
        ("END", None, None),
    ],
)
def test_nearest(name: str, certain: str | None, near: str | None) -> None:
    names = ["classify", "look_up", "review", "summary", "review1", "review2", "b"]
    found = Suggester()
    assert found.certain(name, names) == certain
    assert found.near(name, names) == near


def _slow_distance(a: str, b: str) -> int:
    """The textbook recursion, for short words."""
    if not a or not b:
        return len(a) + len(b)
    found = min(
        _slow_distance(a[1:], b) + 1,
        _slow_distance(a, b[1:]) + 1,
        _slow_distance(a[1:], b[1:]) + (a[0] != b[0]),
    )
    if len(a) > 1 and len(b) > 1 and a[0] == b[1] and a[1] == b[0]:
        found = min(found, _slow_distance(a[2:], b[2:]) + 1)
    return found


@given(st.text("abc", max_size=5), st.text("abc", max_size=5), st.integers(0, 3))
def test_distance(a: str, b: str, limit: int) -> None:
    assert distance(a, b, limit) == min(_slow_distance(a, b), limit + 1)


def test_looking_up_ends() -> None:
    """After many wrong names no more time is spent; what was found before stays."""
    found = Suggester()
    assert found.certain("reveiw", ["review"]) == "review"
    for i in range(200):
        found.near(f"unknown{i}", ["review"])
    assert found.certain("clasify", ["classify"]) is None
    assert found.certain("reveiw", ["review"]) == "review"
