"""Building: short forms written out, defaults filled in, and what goes in and comes out of a workflow."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from engine.build import build_workflow
from engine.check import check
from engine.document import read_document
from engine.templates import walk
from engine.types import Type
from engine.workflow import END, LLM, MISSING, START, Edge, Execution, Loop, Retry, ToolUse, Workflow
from tools.registry import ToolRegistry
from tools.tool import Tool

HEAD = 'schema_version: "1.0"\nflow: {name: " x "}\n'
FIELDS = "state: {fields: {a: {type: str, required: true}, b: str, c: str, d: {type: int, default: 3}}}\n"
NODES = """\
nodes:
  - {id: one, prompt: "{state.a}", outputs: b}
  - {id: two, prompt: "{state.b}", outputs: [c]}
  - {id: three, prompt: "{state.c}", outputs: []}
"""


def build(text: str, tools: ToolRegistry | None = None) -> Workflow:
    """The workflow, after the whole check: what is built here is what the product builds."""
    registry = tools or ToolRegistry()
    checked = check(text, registry)
    assert checked.workflow is not None, [p.message for p in checked.errors]
    return checked.workflow


def edges(text: str) -> tuple[Edge, ...]:
    document = read_document(HEAD + FIELDS + NODES + text)
    assert document.problems == []
    return build_workflow(document, ToolRegistry()).edges


def ways(text: str) -> list[tuple[str, tuple[str, ...]]]:
    found = edges(text)
    assert [edge.index for edge in found] == list(range(len(found)))
    return [(edge.source, edge.targets) for edge in found]


def node(data: str, config: str = "", tools: ToolRegistry | None = None) -> Any:
    return build(f"{HEAD}{FIELDS}nodes:\n  - {{id: n, {data}}}\n{config}", tools).nodes["n"]


# --- the whole --------------------------------------------------------------------------------------------


def test_the_workflow_carries_its_text() -> None:
    text = HEAD + FIELDS + NODES
    workflow = build(text)
    assert workflow.name == "x"
    assert workflow.text == text
    assert workflow.digest == hashlib.sha256(text.encode()).hexdigest()
    assert workflow.description == ""
    assert workflow.execution == Execution(timeout=None, max_visits=100, budget_usd=None)
    assert [(n.id, n.index, n.kind) for n in workflow.nodes.values()] == [
        ("one", 0, "llm"),
        ("two", 1, "llm"),
        ("three", 2, "llm"),
    ]


def test_execution_is_read_in_both_spellings() -> None:
    config = "config: {execution: {timeout_seconds: 5, max_visits: 7, budget_usd: 0.5}}\n"
    assert build(HEAD + FIELDS + NODES + config).execution == Execution(5, 7, 0.5)
    config = "config: {execution: {timeout: 9}}\n"
    assert build(HEAD + FIELDS + NODES + config).execution.timeout == 9


def test_inputs_are_what_no_node_writes_and_outputs_what_the_last_write() -> None:
    workflow = build(HEAD + FIELDS + NODES.replace("outputs: []", "outputs: [c, b]"))
    assert workflow.inputs == ("a", "d")
    assert workflow.outputs == ("b", "c")


def test_a_required_field_that_is_written_is_an_input_too() -> None:
    assert build(HEAD + FIELDS + NODES.replace("[c]", "[c, a]")).inputs == ("a", "d")


@pytest.mark.parametrize(
    ("way", "outputs"),
    [
        ("edges: [{from: one, to: [two, END]}, {from: two, to: three}, {from: three, to: END}]", ("b",)),
        ("edges: [{from: one, to: two}, {from: two, to: three}]", ()),
        ("edges: [{from: one, to: three}, {from: three, to: two}]", ("c",)),
        (
            "edges: [{from: one, routes: [{condition: state.d > 1, to: two}, {else: END}]}, {from: two, to: three}]",
            ("b",),
        ),
    ],
)
def test_outputs_are_written_by_nodes_that_lead_to_the_end(way: str, outputs: tuple[str, ...]) -> None:
    workflow = build_workflow(read_document(f"{HEAD}{FIELDS}{NODES}{way}\n"), ToolRegistry())
    assert workflow.outputs == outputs


def test_flow_says_inputs_and_outputs_otherwise() -> None:
    head = HEAD.replace('" x "', "x, inputs: [a], outputs: c")
    workflow = build(head + FIELDS + NODES)
    assert workflow.inputs == ("a",)
    assert workflow.outputs == ("c",)
    assert build(HEAD.replace('" x "', "x, outputs: []") + FIELDS + NODES).outputs == ()


# --- fields -----------------------------------------------------------------------------------------------


def test_fields_have_types_defaults_and_bounds() -> None:
    fields = """\
state:
  fields:
    a: str
    b: {type: bool, default: yes}
    c: {type: float, default: 3, description: d}
    d: {type: str, enum: [x, y], default: x}
    e: {type: object, schema: {n: str, deep: {type: object, schema: {m: int}}}}
    f: {type: "list[object]", schema: {n: str}, reduce: append, default: []}
    g: {type: int, required: true, default: null}
"""
    found = build(HEAD + fields + 'nodes: [{id: n, prompt: "{state.a}{state.g}", outputs: [a]}]\n').fields
    assert found["a"].default is MISSING
    assert found["b"].default is True
    assert found["c"].default == 3.0
    assert type(found["c"].default) is float
    assert found["c"].description == "d"
    assert found["d"].enum == ("x", "y")
    assert found["e"].type.at(("deep", "m")) == Type("int")
    assert found["f"].type.at((0, "n")) == Type("str")
    assert found["f"].reduce == "append"
    assert found["f"].default == []
    assert found["g"].required
    assert found["g"].default is MISSING


# --- nodes ------------------------------------------------------------------------------------------------


def test_prompts_and_inputs_are_compiled() -> None:
    found = node(
        'prompt: "{x} {state.d}", system: "s {x}", inputs: {x: state.a, y: "<{state.d}>", z: 4}, outputs: [b]'
    )
    state = {"a": ["v"], "d": 3}
    inputs = {name: t.render(lambda ref: walk(state, ref.path)) for name, t in found.inputs.items()}
    assert inputs == {"x": ["v"], "y": "<3>", "z": 4}
    assert [ref.root for ref in found.prompt.refs] == ["x", "state"]
    assert found.system.render(lambda ref: "!") == "s !"
    assert found.args is None
    assert found.tool is None


def test_a_tool_node_has_a_tool_and_arguments() -> None:
    found = node('tool: http_get, args: {url: "{state.a}"}, outputs: [b]')
    assert (found.kind, found.tool, found.prompt, found.output_schema) == ("tool", "http_get", None, None)
    assert found.args.render(lambda ref: "http://x") == {"url": "http://x"}
    bare = build_workflow(
        read_document(f"{HEAD}{FIELDS}nodes: [{{id: n, tool: current_time}}]\n"), ToolRegistry()
    )
    assert bare.nodes["n"].args is not None
    assert bare.nodes["n"].args.render(lambda ref: None) == {}


def test_the_output_schema_is_made_of_the_fields() -> None:
    one = node("prompt: x, outputs: d").output_schema
    assert (one.type, one.fields) == (Type("int"), ())
    two = node("prompt: x, outputs: [b, d]").output_schema
    assert [(f.name, f.type) for f in two.fields] == [("b", Type("str")), ("d", Type("int"))]
    assert two.type.fields == {"b": Type("str"), "d": Type("int")}
    assert node("prompt: x, outputs: []").output_schema is None


def test_an_output_schema_of_the_nodes_own_takes_its_bounds_from_the_fields() -> None:
    fields = "state: {fields: {a: {type: str, enum: [x, y]}, b: str}}\n"
    schema = "{type: object, description: all, fields: [{name: a, type: str, description: d}, {name: b, type: str}]}"
    text = f"{HEAD}{fields}nodes: [{{id: n, prompt: x, outputs: [a, b], output_schema: {schema}}}]\n"
    found = build(text).nodes["n"].output_schema
    assert found is not None
    assert found.description == "all"
    assert [(f.name, f.description, f.enum) for f in found.fields] == [
        ("a", "d", ("x", "y")),
        ("b", "", None),
    ]
    simple = build(f"{HEAD}{fields}nodes: [{{id: n, prompt: x, outputs: a, output_schema: {{type: str}}}}]\n")
    single = simple.nodes["n"].output_schema
    assert single is not None
    assert (single.fields, single.enum) == ((), ("x", "y"))
    derived = build(f"{HEAD}{fields}nodes: [{{id: n, prompt: x, outputs: a}}]\n").nodes["n"].output_schema
    assert derived is not None
    assert derived.enum == ("x", "y")


def test_models_are_the_nodes_over_the_workflows() -> None:
    config = (
        "config: {llm: {provider: google, model: g, temperature: 0.7, api_base: 'http://g', max_tokens: 5.0, "
        "fallbacks: [openai/x, {provider: ollama, model: y}]}}\n"
    )
    fallbacks = (LLM(model="openai/x"), LLM(provider="ollama", model="y"))
    assert node("prompt: x, outputs: b", config).llm == LLM("google", "g", 0.7, 5, "http://g", fallbacks)
    same = node("prompt: x, outputs: b, llm: {model: h, temperature: 0}", config).llm
    assert (same.provider, same.model, same.temperature, same.api_base) == ("google", "h", 0, "http://g")
    other = node("prompt: x, outputs: b, llm: {provider: anthropic}", config).llm
    assert (other.provider, other.model, other.temperature, other.api_base) == ("anthropic", None, 0.7, None)
    assert node("prompt: x, outputs: b, llm: {fallbacks: []}", config).llm.fallbacks == ()
    assert node("prompt: x, outputs: b").llm == LLM()


def test_retries_count_attempts() -> None:
    config = "config: {execution: {max_retries: 2}}\n"
    assert node("prompt: x, outputs: b").retry == Retry(1, 1.0)
    assert node("prompt: x, outputs: b", config).retry == Retry(3, 1.0)
    assert node("prompt: x, outputs: b, retry: {max_attempts: 1}", config).retry == Retry(1, 1.0)
    assert node("prompt: x, outputs: b, retry: {backoff_seconds: 0}", config).retry == Retry(3, 0)
    assert node("prompt: x, outputs: b, timeout: 2.5").timeout == 2.5


def test_tools_of_a_model_and_the_strongest_effect() -> None:
    async def nothing(args: Any, context: Any) -> None:
        return None

    registry = ToolRegistry()
    for name, effect in (("put", "idempotent"), ("pay", "once")):
        registry.add(name, Tool(name, name, {"type": "object"}, "nothing", effect, nothing))  # type: ignore[arg-type]
    found = node(
        'prompt: x, outputs: b, tools: [put, {name: http_get, on_error: fail, config: {k: "{secret.K}"}}]',
        tools=registry,
    )
    first, second = found.tools
    assert first == ToolUse("put", None, "continue")
    assert (second.name, second.on_error, second.config.render(lambda ref: ref.path[0])) == (
        "http_get",
        "fail",
        {"k": "K"},
    )
    assert found.effect == "idempotent"
    assert node("prompt: x, outputs: b, tools: [put, pay]", tools=registry).effect == "once"
    assert node("tool: pay", tools=registry).effect == "once"
    assert node("tool: current_time, outputs: b").effect == "none"


# --- edges ------------------------------------------------------------------------------------------------

LINE = [(START, ("one",)), ("one", ("two",)), ("two", ("three",)), ("three", (END,))]


@pytest.mark.parametrize("text", ["", "edges:\n", "edges: []\n"])
def test_without_edges_the_nodes_run_in_a_line(text: str) -> None:
    assert ways(text) == LINE


def test_without_an_edge_from_start_the_first_node_starts() -> None:
    assert ways("edges: [{from: one, to: [three, two, three]}]") == [
        (START, ("one",)),
        ("one", ("three", "two")),
    ]
    assert ways("edges: [{from: START, to: two}]") == [(START, ("two",))]


def test_several_sources_are_edges_of_their_own() -> None:
    assert ways("edges: [{from: [START, one], to: two}, {from: one, to: three}]") == [
        (START, ("two",)),
        ("one", ("two",)),
        ("one", ("three",)),
    ]


def test_routes_end_with_the_default_wherever_it_stands() -> None:
    text = (
        "edges: [{from: one, routes: [{condition: default, to: three}, {condition: {logic: state.d > 1}, to: two}, "
        "{condition: state.d < 0, to: [two, END]}]}]"
    )
    routes = edges(text)[1].routes
    assert [r.condition and r.condition.text for r in routes] == ["state.d > 1", "state.d < 0", None]
    assert [r.to for r in routes] == [("two",), ("two", END), ("three",)]
    assert edges("edges: [{from: one, routes: [{else: two}]}]")[1].routes[0].condition is None


def test_conditions_beside_to_are_the_routes_of_one_edge() -> None:
    text = """\
edges:
  - {from: one, to: two, condition: state.d > 1}
  - {from: two, to: three, condition: default}
  - {from: one, to: END}
  - {from: one, to: three, condition: default}
  - {from: one, to: one, condition: state.d < 0}
"""
    found = edges(text)
    assert [(e.source, e.targets) for e in found] == [
        (START, ("one",)),
        ("one", ("two", "one", "three")),
        ("two", ("three",)),
        ("one", (END,)),
    ]
    assert [r.condition and r.condition.text for r in found[1].routes] == ["state.d > 1", "state.d < 0", None]


def test_loops() -> None:
    assert edges("edges: [{from: one, loop: {condition_field: f}}]")[1].loop == Loop("f", 10, (END,))
    found = edges("edges: [{from: one, loop: {condition_field: f, max_iterations: 3, exit_to: [two, END]}}]")[
        1
    ]
    assert found.loop == Loop("f", 3, ("two", END))
    assert found.targets == ("one", "two", END)


# --- size -------------------------------------------------------------------------------------------------


def test_a_thousand_nodes_are_built() -> None:
    nodes = "".join(f'  - {{id: n{n}, prompt: "Hello {{state.y}} {n}", outputs: [y]}}\n' for n in range(1000))
    way = "".join(
        f"  - {{from: n{n}, routes: [{{condition: state.y == 'a{n}', to: n{n + 1}}}, {{else: END}}]}}\n"
        for n in range(999)
    )
    document = read_document(f"{HEAD}state: {{fields: {{y: str}}}}\nnodes:\n{nodes}edges:\n{way}")
    workflow = build_workflow(document, ToolRegistry())
    assert len(workflow.nodes) == len(workflow.edges) == 1000
