"""What a list or `any` may be in a condition, and types that stand without quotes within braces."""

from __future__ import annotations

import pytest

from engine.check import Checked, apply_patches, check
from engine.problems import Problem
from tools.registry import ToolRegistry

TOOLS = ToolRegistry()
DOCUMENT = """
schema_version: "1.0"
flow: {{name: lists}}
state:
  fields:
    text: {{type: str, required: true}}
    l: {{type: {type}, default: {default}}}
    o: {{type: any, default: 0}}
nodes:
  - {{id: read, tool: json_parse, args: {{text: "{{state.text}}"}}, outputs: [o]}}
edges:
  - {{from: START, to: read}}
  - from: read
    routes:
      - {{condition: "{condition}", to: END}}
      - {{condition: default, to: read}}
"""


def _problems(type: str, default: str, condition: str) -> list[str]:
    text = DOCUMENT.format(type=type, default=default, condition=condition)
    return [p.rule for p in check(text, TOOLS).problems if p.rule != "unused-field"]


@pytest.mark.parametrize(
    ("type", "default", "condition"),
    [
        ("'list[str]'", "[a]", "state.l == ['a']"),
        ("'list[int]'", "[1, 2]", "state.l == [1,2]"),
        ("'list[int]'", "[1, 2]", "[1, 2] != state.l"),
        ("'list[float]'", "[1.5]", "state.l == [1, -2]"),
        ("'list[list[str]]'", "[[a]]", "state.l == [['a'], []]"),
        ("list", "[1]", "state.l == [1, 'a', null]"),
        ("'list[int]'", "[1]", "state.l in [[1], [2]]"),
        ("'list[int]'", "[1]", "state.l < [3] and state.l != []"),
        ("'list[int]'", "[1]", "state.l == [] or 4 in state.l"),
        ("any", "[1]", "state.l == [3]"),
        ("any", "[1]", "state.l == 3 or state.l == 'x' or state.l == []"),
        ("str", "a", "state.o == null"),
        ("str", "a", "state.o in [[1], 2, null]"),
    ],
)
def test_what_can_be_true(type: str, default: str, condition: str) -> None:
    assert _problems(type, default, condition) == []


@pytest.mark.parametrize(
    ("type", "default", "condition", "rule"),
    [
        ("'list[int]'", "[1]", "state.l == ['a']", "condition-type"),
        ("'list[int]'", "[1]", "state.l in [['a'], [1]]", "condition-type"),
        ("str", "a", "state.l == ['a']", "condition-type"),
        ("int", "1", "state.l in [[1]]", "condition-type"),
        ("'list[int]'", "[1]", "state.l == [1] and state.l == [2]", "route-never-matches"),
        ("any", "[1]", "state.l == null", "route-never-matches"),
        ("int", "1", "state.l == null", "route-never-matches"),
    ],
)
def test_what_can_never_be_true(type: str, default: str, condition: str, rule: str) -> None:
    assert _problems(type, default, condition) == [rule]


def _unquoted(checked: Checked) -> list[Problem]:
    return [p for p in checked.problems if p.rule == "unquoted-type"]


@pytest.mark.parametrize(
    ("type", "default"),
    [
        ("list[int]", "[]"),
        ("dict[str, int]", "{}"),
        ("list[ str ]", "[]"),
        ("dict[str, list[int]]", "{}"),
        ("list[list[list[int]]]", "[]"),
    ],
)
@pytest.mark.parametrize("break_", ["\n", "\r\n"])
def test_a_type_without_quotes(type: str, default: str, break_: str) -> None:
    text = DOCUMENT.format(type=type, default=default, condition="state.o != null").replace("\n", break_)
    checked = check(text, TOOLS)
    (problem,) = _unquoted(checked)
    assert (problem.path, problem.line, problem.column) == ("state.fields.l.type", 7, 15)
    assert problem.message.startswith(f"Put quotes round {type}:")
    mended = apply_patches(text, [problem])
    assert mended == text.replace(f"type: {type},", f'type: "{type}",')
    assert check(mended, TOOLS).ok


def test_all_of_them_are_told_of_at_once_with_what_else_is_wrong() -> None:
    text = DOCUMENT.format(type="list[int]", default="[]", condition="state.o != nul")
    text = text.replace("{type: any,", "{type: dict[str, int], reduce: merge,")
    text = text.replace("{type: str, required: true}", "str\n    short: {a: list[str]}")
    text = text.replace(
        "  - {id: read,", "  - {id: say, prompt: 'a: list[b], [c]', outputs: [text]}\n  - {id: read,"
    )
    found = [(p.rule, p.line) for p in check(text, TOOLS).errors]
    assert [f for f in found if f[0] == "unquoted-type"] == [
        ("unquoted-type", 7),
        ("unquoted-type", 8),
        ("unquoted-type", 9),
    ]
    assert ("bad-condition", 17) in found


def test_very_many_are_told_of_in_parts() -> None:
    fields = "".join(f"    f{n}: {{type: list[int], default: []}}\n" for n in range(120))
    text = DOCUMENT.format(type="str", default="a", condition="state.o").replace(
        "    text:", f"{fields}    text:"
    )
    rounds = 0
    while found := _unquoted(check(text, TOOLS)):
        rounds, text = rounds + 1, apply_patches(text, found)
    assert 2 <= rounds <= 3
    assert check(text, TOOLS).ok
