"""Loops that end or do not, names that are taken, keys beside each other, secrets given to tools."""

from __future__ import annotations

import pytest

from engine.check import check
from engine.problems import Problem
from tools.registry import ToolRegistry

TOOLS = ToolRegistry()
LOOP = """
schema_version: "1.0"
flow: {{name: loops{inputs}}}
state:
  fields:
    done: {done}
    x: {{type: str, default: a}}
nodes:
  - {{id: before, prompt: "Is {{state.x}} done?", outputs: [{before}]}}
  - {{id: work, prompt: "Go on with {{state.x}}", outputs: [{work}]}}
  - {{id: after, prompt: "Tell of {{state.x}}", outputs: [{after}]}}
edges:
  - {{from: START, to: before}}
  - {{from: before, to: work}}
  - {{from: work, loop: {{condition_field: done, exit_to: after}}}}
"""


def _loop(done: str, *, inputs: str = "", before: str = "x", work: str = "x", after: str = "x") -> list[str]:
    text = LOOP.format(done=done, inputs=inputs, before=before, work=work, after=after)
    return [p.rule for p in check(text, TOOLS).problems]


def test_a_loop_that_its_node_ends() -> None:
    assert _loop("{type: bool, default: false}", work="done, x") == []


@pytest.mark.parametrize(
    ("done", "more"),
    [
        ("{type: bool, required: true}", {}),
        ("{type: bool, default: true}", {}),
        ("bool", {}),
        ("{type: bool, default: false}", {"inputs": ", inputs: [done]"}),
        ("{type: bool, default: false}", {"before": "done"}),
    ],
)
def test_a_loop_that_may_be_over_from_the_start(done: str, more: dict[str, str]) -> None:
    assert _loop(done, **more) == ["loop-not-ending-itself"]


@pytest.mark.parametrize(
    ("done", "more"),
    [
        ("{type: bool, default: false}", {}),
        ("bool", {"inputs": ", inputs: [x]"}),
        ("{type: bool, default: false}", {"after": "done"}),
    ],
)
def test_a_loop_that_nothing_can_end(done: str, more: dict[str, str]) -> None:
    assert _loop(done, **more) == ["loop-without-end"]


def _with(old: str, new: str) -> list[Problem]:
    text = LOOP.format(done="bool", inputs="", before="x", work="done, x", after="x")
    assert text.count(old) == 1
    return list(check(text.replace(old, new), TOOLS).problems)


@pytest.mark.parametrize("name", ["_loop_iteration_work", "_error_work", "_error_x"])
def test_names_that_the_engine_keeps(name: str) -> None:
    (problem,) = _with("    x:", f"    {name}: {{type: int, default: 0}}\n    x:")
    assert (problem.rule, problem.line) == ("bad-value", 7)
    assert name in problem.message


@pytest.mark.parametrize("name", ["_errors", "_loop", "error_x", "loop_iteration_x"])
def test_names_that_only_look_so(name: str) -> None:
    assert [p.rule for p in _with("    x:", f"    {name}: int\n    x:")] == ["unused-field"]


@pytest.mark.parametrize("kind", ["str", "int", "list", "'list[str]'", "any"])
def test_a_schema_of_what_has_nothing_inside(kind: str) -> None:
    found = _with("default: a}", f"default: a}}\n    y: {{type: {kind}, schema: {{a: str}}}}")
    assert [(p.rule, p.line) for p in found if p.rule != "unused-field"] == [("schema-type", 8)]


@pytest.mark.parametrize(
    "kind", ["object", "'list[object]'", "dict", "'dict[str, object]'", "'list[list[object]]'"]
)
def test_a_schema_of_what_has_something_inside(kind: str) -> None:
    found = _with("default: a}", f"default: a}}\n    y: {{type: {kind}, schema: {{a: str}}}}")
    assert [p.rule for p in found] == ["unused-field"]


def test_a_schema_within_a_schema() -> None:
    inner = "y: {type: object, schema: {a: {type: str, schema: {b: int}}}}"
    found = _with("default: a}", f"default: a}}\n    {inner}")
    assert [p.path for p in found if p.rule == "schema-type"] == ["state.fields.y.schema.a.schema"]


@pytest.mark.parametrize("more", ["to: work", "condition: 'state.done'", "condition: default, to: after"])
def test_else_beside_a_route(more: str) -> None:
    (problem,) = _with("{from: before, to: work}", f"{{from: before, routes: [{{else: work, {more}}}]}}")
    assert (problem.rule, problem.severity) == ("edge-kind", "error")
    assert "`else`" in problem.message


@pytest.mark.parametrize("source", ["work", "[before, work]"])
def test_two_loops_of_one_node(source: str) -> None:
    found = _with(
        "  - {from: work, loop:",
        f"  - {{from: {source}, loop: {{condition_field: done}}}}\n  - {{from: work, loop:",
    )
    assert ("second-loop", 16) in [(p.rule, p.line) for p in found]


@pytest.mark.parametrize("key", ["gates", "execution", "llm", "sandbox", "storage", "observability"])
def test_keys_of_config_beside_it(key: str) -> None:
    (problem,) = _with("nodes:\n", f"{key}: {{}}\nnodes:\n")
    assert problem.rule == "unknown-key"
    assert f"It belongs under `config`, as in config: {{{key}: …}}." in problem.message


@pytest.mark.parametrize("tool", ["json_parse", "yaml_parse", "csv_parse"])
def test_a_secret_given_to_a_tool_that_gives_it_back(tool: str) -> None:
    found = _with(
        'prompt: "Tell of {state.x}"', f'tool: {tool}, args: {{text: "{{secret.KEY}} {{state.x}}"}}'
    )
    assert [(p.rule, p.severity) for p in found] == [("secret-misplaced", "error")]
    assert "http_get" in found[0].message


def test_a_secret_within_the_arguments_and_in_config() -> None:
    args = 'tool: text_template, args: {template: "{{a}}", values: {a: "{secret.KEY}{state.x}"}}'
    assert "secret-misplaced" in [p.rule for p in _with('prompt: "Tell of {state.x}"', args)]
    tools = 'prompt: "{state.x}", tools: [{name: current_time, config: {a: "{secret.KEY}"}}]'
    assert [p.rule for p in _with('prompt: "Tell of {state.x}"', tools)] == ["secret-misplaced"]


def test_a_secret_for_a_tool_that_sends_it() -> None:
    args = 'tool: http_get, args: {url: "https://example.com/{state.x}", headers: {a: "{secret.KEY}"}}'
    assert "secret-misplaced" not in [p.rule for p in _with('prompt: "Tell of {state.x}"', args)]
