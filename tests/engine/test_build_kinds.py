"""Building what only some kinds of nodes have: answers, elements, sandboxes, ways after a failure, gates."""

from __future__ import annotations

from typing import Any

import pytest

from engine.check import check
from engine.types import Type
from engine.workflow import END, MISSING, START, Gate, Gates, Node, Workflow
from tools.registry import BUILT_IN, Tool, ToolContext, ToolRegistry

HEAD = """
schema_version: "1.0"
flow: {name: x}
state:
  fields:
    a: {type: str, required: true}
    many: {type: "list[int]", default: []}
    yes: bool
    text: str
    word: {type: str, enum: [red, blue]}
    size: {type: int, enum: [1, 2]}
    n: int
    texts: "list[str]"
    pairs: {type: "list[object]", schema: {name: str, age: int}}
nodes:
"""


async def _send(args: Any, context: ToolContext) -> Any:
    return "sent"


TOOLS = ToolRegistry({**BUILT_IN, "send": Tool("send", "Sends.", {"type": "object"}, "x", "once", _send)})


def build(nodes: str, rest: str = "") -> Workflow:
    checked = check(f"{HEAD}{nodes}\n{rest}", TOOLS)
    assert checked.workflow is not None, [p.message for p in checked.errors]
    return checked.workflow


def node(data: str, rest: str = "") -> Node:
    return build(f"  - {{id: n, {data}}}", rest).nodes["n"]


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ("outputs: yes", ["approve", "reject"]),
        ("outputs: text", ["approve", "reject"]),
        ("outputs: []", ["approve", "reject"]),
        ("outputs: word", ["red", "blue"]),
        ("outputs: size", ["1", "2"]),
        ("outputs: n", []),
        ("outputs: text, options: []", []),
        ("outputs: text, options: [one, 2, true]", ["one", "2", "true"]),
    ],
)
def test_the_answers_of_an_ask(data: str, options: list[str]) -> None:
    found = node(f'ask: "Well? {{state.a}}", {data}')
    assert found.kind == "ask"
    assert found.options is not None
    assert found.options.value == options
    assert found.default is MISSING


def test_options_may_come_from_the_state() -> None:
    options = node('ask: Well?, outputs: n, options: "{state.many}"').options
    assert options is not None
    assert options.only_ref is not None


@pytest.mark.parametrize(
    ("data", "default"),
    [
        ("outputs: yes, default: false", "reject"),
        ("outputs: yes, default: approve", "approve"),
        ("outputs: size, default: 2", "2"),
        ("outputs: n, default: 7", 7),
        ("outputs: text, options: [], default: none", "none"),
    ],
)
def test_the_answer_that_is_taken_in_the_end(data: str, default: Any) -> None:
    found = node(f"ask: Well?, timeout: 5, {data}")
    assert found.default == default
    assert found.timeout == 5


def test_an_element_has_the_type_of_its_list() -> None:
    found = node('prompt: "Go {number}", for_each: state.many, as: number, max_parallel: 3, outputs: texts')
    assert found.each is not None
    assert (found.each.name, found.each.max_parallel) == ("number", 3)
    assert found.each.items.only_ref is not None
    assert found.each.items.only_ref.path == ("many",)
    assert found.output_schema is not None
    assert found.output_schema.type == Type("str")
    two = node('prompt: "Go {item}", for_each: "{state.many}", outputs: [texts, pairs]')
    assert two.output_schema is not None
    assert [(f.name, f.type.name) for f in two.output_schema.fields] == [
        ("texts", "str"),
        ("pairs", "object"),
    ]
    assert two.each is not None
    assert (two.each.name, two.each.max_parallel) == ("item", None)


def test_code_and_workflows() -> None:
    code = node('code: "result = 1", prompt: what it does, outputs: n, tools: [http_get]')
    assert (code.kind, code.code, code.description, code.prompt) == (
        "code",
        "result = 1",
        "what it does",
        None,
    )
    assert [use.name for use in code.tools] == ["http_get"]
    assert code.sandbox.enabled
    child = node('workflow: other, inputs: {b: "{state.a}"}, outputs: text')
    assert (child.kind, child.subflow, list(child.inputs)) == ("subflow", "other", ["b"])


def test_a_sandbox_is_what_the_node_says_and_then_what_the_workflow_says() -> None:
    config = (
        "config: {sandbox: {timeout_seconds: 3, network_enabled: false, max_memory_mb: 64, enabled: true}}"
    )
    box = node('code: "result = 1", outputs: n, sandbox: {resource_preset: low, timeout: 5}', config).sandbox
    assert (box.preset, box.timeout, box.max_memory_mb, box.network) == ("low", 5, 64, False)
    assert not node("prompt: hello, outputs: text", config).sandbox.enabled
    assert node("prompt: hello, outputs: text, sandbox: {preset: low}", config).sandbox.enabled
    assert not node("prompt: hello, outputs: text, sandbox: {enabled: false}", config).sandbox.enabled


@pytest.mark.parametrize(
    ("memory", "megabytes"), [("256m", 256), ("1g", 1024), ("1.5GiB", 1536), ("much", None), (64, 64)]
)
def test_memory_of_older_documents(memory: Any, megabytes: int | None) -> None:
    box = node(f'code: "result = 1", outputs: n, sandbox: {{resources: {{memory: {memory}}}}}').sandbox
    assert box.max_memory_mb == megabytes


THREE = """\
  - {id: one, prompt: "{state.a}", outputs: text, on_error: three}
  - {id: two, prompt: "{state.text}", outputs: text, on_error: continue}
  - {id: three, prompt: "{state._error_one}", outputs: text}
"""


def test_the_ways_after_a_failure_stand_last() -> None:
    edges = build(THREE, "edges: [{from: one, to: two}, {from: two, to: END}, {from: three, to: END}]").edges
    assert [(e.source, e.to, e.failure) for e in edges] == [
        (START, ("one",), False),
        ("one", ("two",), False),
        ("two", (END,), False),
        ("three", (END,), False),
        ("one", ("three",), True),
    ]
    assert [e.index for e in edges] == list(range(5))
    linear = build(THREE)
    assert [(e.source, e.to) for e in linear.edges if e.failure] == [("one", ("three",))]
    assert [n.on_error for n in linear.nodes.values()] == ["three", "continue", "fail"]


def test_a_node_that_only_leads_on_when_it_fails_ends_the_run() -> None:
    flow = build(
        """\
  - {id: one, prompt: "{state.a}", outputs: text, on_error: two}
  - {id: two, prompt: "{state._error_one}", outputs: word}
""",
        "edges: [{from: START, to: one}]",
    )
    assert flow.outputs == ("text", "word")


def test_an_effect_is_at_least_that_of_the_tools() -> None:
    found = node("tool: send, outputs: []")
    assert (found.effect, found.said_effect) == ("once", None)
    said = node("tool: current_time, effect: idempotent, outputs: []")
    assert (said.effect, said.said_effect) == ("idempotent", "idempotent")


def test_gates() -> None:
    gates = "gates: [{metric: tokens, max: 5, description: why}, {metric: seconds, min: 1}]"
    flow = build(
        "  - {id: n, prompt: hello, outputs: text}", f"config: {{gates: {{{gates}, on_fail: block}}}}"
    )
    assert flow.gates == Gates((Gate("tokens", 5, None, "why"), Gate("seconds", None, 1, "")), "block_deploy")
    assert build("  - {id: n, prompt: hello, outputs: text}").gates == Gates()
