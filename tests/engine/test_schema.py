"""The schema: sound in itself, wide enough for every spelling, and with errors that people can act on."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.check.patches import apply_patches
from engine.document import read_document
from engine.problems import Problem
from engine.schema import KIND_KEYS, Marked, findings, load_schema, marked_keys, node_kind, resolve, validator
from tests.engine.strategies import JSON, NAMES

GALLERY = sorted((Path(__file__).resolve().parents[2] / "configs" / "gallery").glob("*.yaml"))
HEAD = 'schema_version: "1.0"\nflow: {name: x}\nstate: {fields: {a: str}}\n'
NODES = "nodes:\n  - {id: n, prompt: hi, outputs: [a]}\n"


def found(text: str) -> list[Problem]:
    document = read_document(text)
    assert document.problems == []
    return findings(document)


# --- the schema itself ------------------------------------------------------------------------------------


def parts(schema: Any, where: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every property in the schema, with its path."""
    if isinstance(schema, dict):
        for key, below in schema.get("properties", {}).items():
            yield f"{where}.{key}", below
            yield from parts(below, f"{where}.{key}")
        for name, below in schema.get("$defs", {}).items():
            yield from parts(below, name)
        yield from parts(schema.get("items"), f"{where}[]")


def test_the_schema_is_valid_and_every_key_is_described() -> None:
    jsonschema.Draft202012Validator.check_schema(load_schema())
    seen = 0
    for where, below in parts(load_schema()):
        described = resolve(below).get("description", "")
        assert described.endswith("."), where
        assert not below.get("deprecated") or below["x-instead"].endswith("."), where
        seen += 1
    assert seen > 100


def test_every_object_is_closed_and_every_part_is_used() -> None:
    schema = load_schema()
    text = SCHEMA_TEXT
    for name, part in schema["$defs"].items():
        assert f'"#/$defs/{name}"' in text, f"{name} is used nowhere"
        if "properties" in part and name != "node":
            assert part["additionalProperties"] is False, name


SCHEMA_TEXT = (Path(__file__).resolve().parents[2] / "configs" / "workflow.schema.json").read_text()


def test_every_example_in_the_schema_fits_its_part() -> None:
    definitions = load_schema()["$defs"]
    count = 0
    for where, below in [*parts(load_schema()), *definitions.items()]:
        part = {"$ref": f"#/$defs/{where}"} if where in definitions else below
        fits = jsonschema.Draft202012Validator({**part, "$defs": definitions})
        for example in resolve(below).get("examples", ()):
            assert fits.is_valid(example), (where, example)
            count += 1
    assert count > 40


def test_kinds_are_told_by_their_keys() -> None:
    assert list(KIND_KEYS) == ["code", "tool", "ask", "workflow", "agent", "prompt"]
    assert node_kind({"code": "x", "prompt": "y"}) == "code"
    assert node_kind({"workflow": "x"}) == "subflow"
    assert node_kind({"prompt": None, "tool": "t"}) == "tool"
    assert node_kind({"id": "a"}) is None
    for key in KIND_KEYS:
        assert f"{key}_node" in load_schema()["$defs"]


# --- what is accepted -------------------------------------------------------------------------------------

EVERYTHING = """
schema_version: "1.0"
flow: {name: all, description: d, version: 1.2, tags: [a], author: me, inputs: a, outputs: [b, c]}
state:
  fields:
    a: str
    b: {type: "list[str]", default: [], reduce: append, description: d}
    c: {type: object, schema: {name: str, more: {type: object, schema: {deep: int}, description: d}}}
    d: {type: str, enum: [x, y], required: true}
    e: {type: file, default: null, required: true}
nodes:
  - id: one
    description: d
    name: older
    system: s
    prompt: p {state.a}
    inputs: {x: state.a, y: "{state.b}", z: 3}
    outputs: b
    output_schema: {type: object, description: d, fields: [{name: b, type: str, description: d}]}
    llm: {provider: openai, model: m, temperature: 2, max_tokens: 5, api_base: "http://x", fallbacks: [a/b, {model: c}]}
    tools: [http_get, {name: csv_parse, on_error: fail, config: {a: 1}}]
    memory: {enabled: true, default_scope: node, max_entries: 3, backend: sqlite}
    sandbox: {enabled: true, runtime: restrictedpython, resource_preset: low, resources: {cpu: 1}, timeout_seconds: 3}
    retry: {max_attempts: 3, backoff_seconds: 0.5}
    timeout: 2.5
    on_error: continue
    effect: once
    for_each: state.b
    as: item
    max_parallel: 3
    log_prompts: true
    log_artifacts: false
    tool_config: {}
    optimize: {enabled: true}
    mlflow: {experiment: x}
  - {id: two, tool: http_get, args: {url: "{state.a}", deep: {x: [1, null]}}, outputs: []}
  - {id: three, code: "result = 1", prompt: what it does, sandbox: {mode: docker, network: {allow: [x]}}, outputs: a}
  - {id: four, ask: "Send {state.a}?", options: [yes, no], timeout: 60, default: no, outputs: [a]}
  - {id: five, workflow: other, inputs: {a: state.a}, outputs: [a]}
  - {id: six, agent: researcher, inputs: {a: state.a}, outputs: [a]}
edges:
  - {from: START, to: one}
  - {from: [one, two], to: [three, four]}
  - {from: three, to: five, condition: "state.a == 'x'"}
  - from: four
    routes:
      - {condition: {logic: "state.a == 'y'"}, to: [five, six]}
      - {condition: default, to: END}
  - {from: five, routes: [{condition: "true", to: six}, {else: END}]}
  - {from: six, loop: {condition_field: f, max_iterations: 100, exit_to: [one, END]}}
  - {from: two, parallel: {items_field: b, target_node: one, collect_field: b}}
config:
  llm:
  execution: {timeout: 10, timeout_seconds: 10, max_retries: 0, max_visits: 5, budget_usd: 0.5}
  memory: {enabled: false}
  sandbox: {preset: max, timeout: 3, network_enabled: false, max_memory_mb: 64, allowed_modules: [math]}
  storage: {enabled: true, backend: sqlite, path: x.db, connection_string: "sqlite://"}
  observability:
    mlflow: {enabled: true, tracking_uri: x, experiment_name: x, run_name: x, log_prompts: true, log_artifacts: true,
      artifact_level: full, async_logging: true, redact_pii: false, retention_days: 3}
    logging: {level: debug}
  gates: {gates: [{metric: cost_usd, max: 1, min: 0.5, description: d}], on_fail: block_deploy}
  mlflow: {experiment: x}
  ab_test: {enabled: false, experiment: x, variants: []}
memory: {enabled: true}
optimization: {enabled: false}
"""


def test_every_key_and_every_spelling_is_accepted() -> None:
    assert found(EVERYTHING) == []
    assert list(
        validator().iter_errors(read_document(EVERYTHING).data)
    )  # nulls are left out by findings only


@pytest.mark.parametrize("path", GALLERY, ids=lambda p: p.stem)
def test_the_gallery_fits_and_uses_nothing_out_of_use(path: Path) -> None:
    document = read_document(path.read_text(encoding="utf-8"))
    assert document.problems == []
    assert findings(document) == []
    assert list(marked_keys(document.data)) == []


def test_keys_to_come_and_keys_out_of_use_are_marked() -> None:
    marks = {m.path: m for m in marked_keys(read_document(EVERYTHING).data)}
    assert marks["nodes", 5, "agent"] == Marked(("nodes", 5, "agent"), later="error")
    assert {m.path for m in marks.values() if m.later == "error"} == {
        ("nodes", 5, "agent"), ("edges", 6, "parallel")
    }  # fmt: skip
    assert {m.path[-1] for m in marks.values() if m.later == "warning"} == {"memory", "observability"}
    assert marks["nodes", 0, "name"].instead == "Use description."
    assert marks["config", "storage"].instead is not None
    assert marks["memory",].later == "warning"
    assert ("nodes", 1, "tool") not in marks
    assert ("config", "execution") not in marks
    assert (
        list(marked_keys(None))
        == list(marked_keys({"nodes": 3, "config": [], "state": {"fields": "x"}}))
        == []
    )


# --- what is found ----------------------------------------------------------------------------------------


def field(data: str) -> str:
    return HEAD.replace("a: str", data) + NODES


def node(data: str) -> str:
    return f"{HEAD}nodes: [{{{data}}}]\n"


def edge(data: str) -> str:
    return f"{HEAD}{NODES}edges: [{{{data}}}]\n"


def route(data: str) -> str:
    return edge(f"from: n, routes: [{{{data}}}]")


def loop(data: str) -> str:
    return edge(f"from: n, loop: {{{data}}}")


def more(data: str) -> str:
    return f"{HEAD}{NODES}{data}\n"


# name, text, rule, place, words of the message, what the patch makes
CASES: list[tuple[str, str, str, tuple[int, int], str, str | None]] = [
    ("no version", more("")[22:], "missing-key", (1, 1), "`schema_version`", 'schema_version: "1.0"\nflow'),
    ("bare version", more("").replace('"1.0"', "1.0"), "schema-version", (1, 1), '"1.0"', '"1.0"'),
    ("version 2", more("").replace("1.0", "2.0"), "schema-version", (1, 1), "not known", None),
    ("no nodes", HEAD, "missing-key", (1, 1), "`nodes`", None),
    ("empty nodes", HEAD + "nodes: []\n", "bad-value", (4, 1), "is empty", None),
    ("nodes by name", HEAD + "nodes:\n  a: {prompt: x}\n", "wrong-type", (4, 1), "`- id:`", None),
    ("node for nodes", HEAD + NODES.replace("nodes", "node"), "unknown-key", (4, 1), "`nodes`", "nodes:"),
    ("steps", HEAD + NODES.replace("nodes", "steps"), "unknown-key", (4, 1), "`nodes`", "nodes:"),
    ("unknown key", more("hats: 3"), "unknown-key", (6, 1), "Its keys are", None),
    ("name on top", more("name: x"), "unknown-key", (6, 1), "below `flow`", None),
    ("field without type", field("a: {default: 1}"), "missing-key", (3, 18), "`type`", None),
    ("field without value", field("a: "), "missing-key", (3, 18), "has no type", None),
    ("no fields", field(""), "bad-value", (3, 9), "is empty", None),
    ("type", field("a: {type: strng}"), "bad-type", (3, 22), "Did you mean str?", "type: str"),
    ("short type", field("a: text"), "bad-type", (3, 18), "Did you mean str?", "a: str"),
    ("type of a list", field("a: 'list<string>'"), "bad-type", (3, 18), "list", 'a: "list[str]"'),
    ("field name", field("a b: str"), "bad-value", (3, 18), "letters a to z", None),
    ("required", field("a: {type: str, required: yes}"), "wrong-type", (3, 33), "true", ": true"),
    ("values", field("a: {type: str, values: [a]}"), "unknown-key", (3, 33), "`enum`", "enum: [a]"),
    ("reduce", field("a: {type: str, reduce: apend}"), "bad-value", (3, 33), "append", "append"),
    ("inner type", field("a: {type: object, schema: {b: foo}}"), "bad-type", (3, 45), "foo", None),
    ("no id", node("prompt: hi"), "missing-key", (4, 9), "`id`", None),
    ("bad id", node("id: a b, prompt: hi"), "bad-value", (4, 10), "letters a to z", None),
    ("reserved id", node("id: END, prompt: hi"), "bad-value", (4, 10), "END", None),
    ("no kind", node("id: a, outputs: [a]"), "node-kind", (4, 9), "no kind", None),
    ("two kinds", node("id: a, prompt: hi, tool: t"), "node-kind", (4, 17), "Make two nodes", None),
    ("kind misspelt", node("id: a, promt: hi"), "unknown-key", (4, 17), "`prompt`", "prompt: hi"),
    ("tool misspelt", node("id: a, tol: t, args: {}"), "unknown-key", (4, 17), "`tool`", "tool: t"),
    ("empty prompt", node("id: a, prompt: ' '"), "bad-value", (4, 17), "empty", None),
    ("number as prompt", node("id: a, prompt: 3"), "wrong-type", (4, 17), "text", '"3"'),
    ("list as prompt", node("id: a, prompt: [x]"), "wrong-type", (4, 17), "in quotes", None),
    ("no prompt", node("id: a, prompt: "), "missing-key", (4, 17), "has no value", None),
    ("output", node("id: a, prompt: x, output: a"), "unknown-key", (4, 28), "`outputs`", "outputs: a"),
    ("args on prompt", node("id: a, prompt: x, args: {}"), "unknown-key", (4, 28), "with `tool`", None),
    ("model on node", node("id: a, prompt: x, model: m"), "unknown-key", (4, 28), "below `llm`", None),
    ("next on node", node("id: a, prompt: x, next: b"), "unknown-key", (4, 28), "`edges`", None),
    ("type on node", node("id: a, prompt: x, type: llm"), "unknown-key", (4, 28), "remove `type`", None),
    ("params", node("id: a, tool: t, params: {}"), "unknown-key", (4, 26), "`args`", "args: {}"),
    ("tools text", node("id: a, prompt: x, tools: t"), "wrong-type", (4, 28), "list", "tools: [t]"),
    ("retry number", node("id: a, tool: t, retry: 3"), "wrong-type", (4, 26), "keys", "{max_attempts: 3}"),
    ("timeout text", node("id: a, tool: t, timeout: '60'"), "wrong-type", (4, 26), "number", "timeout: 60"),
    ("timeout 60s", node("id: a, tool: t, timeout: 60s"), "wrong-type", (4, 26), "not text", None),
    ("timeout 0", node("id: a, tool: t, timeout: 0"), "bad-value", (4, 26), "more than 0", None),
    ("timeout nan", node("id: a, tool: t, timeout: .nan"), "wrong-type", (4, 26), "NaN", None),
    ("temperature", node("id: a, prompt: x, llm: {temperature: 3}"), "bad-value", (4, 34), "at most 2", None),
    ("llm text", node("id: a, prompt: x, llm: gpt"), "wrong-type", (4, 28), "keys", "{model: gpt}"),
    ("effect", node("id: a, tool: t, effect: onse"), "bad-value", (4, 26), "Did you mean once?", "once"),
    (
        "schema text",
        node("id: a, prompt: x, output_schema: int"),
        "wrong-type",
        (4, 28),
        "keys",
        "{type: int}",
    ),
    ("input name", node("id: a, prompt: x, inputs: {a-b: x}"), "bad-value", (4, 37), "a-b", None),
    ("no way", edge("from: n"), "edge-kind", (6, 9), "leads nowhere", None),
    ("two ways", edge("from: n, to: n, loop: {condition_field: a}"), "edge-kind", (6, 26), "two edges", None),
    ("to nobody", edge("from: n, to: []"), "bad-value", (6, 19), "`to` is empty", None),
    ("no from", edge("to: n"), "missing-key", (6, 9), "`from`", None),
    ("source", edge("source: n, to: n"), "unknown-key", (6, 10), "`from`", "{from: n"),
    ("target", edge("from: n, target: n"), "unknown-key", (6, 19), "`to`", "to: n"),
    ("edge as text", more("edges: [n -> m]"), "wrong-type", (6, 9), "Entry 1 of `edges`", None),
    ("no to", route("condition: x"), "missing-key", (6, 28), "A route needs the key `to`", None),
    ("if", route("if: x, to: n"), "unknown-key", (6, 29), "`condition`", "{condition: x"),
    ("bool", route("condition: true, to: n"), "wrong-type", (6, 29), "text", '"true"'),
    (
        "iterations",
        loop("condition_field: a, max_iterations: 101"),
        "bad-value",
        (6, 46),
        "at most 100",
        None,
    ),
    ("until", loop("until: a"), "unknown-key", (6, 26), "`condition_field`", "{condition_field: a}"),
    ("visits", more("config: {execution: {max_visits: 1.5}}"), "wrong-type", (6, 22), "not 1.5", None),
    ("budget", more("config: {execution: {budget: 1}}"), "unknown-key", (6, 22), "`budget_usd`", None),
    ("memory", more("memory: true"), "wrong-type", (6, 1), "keys", "{enabled: true}"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_what_does_not_fit_is_told_once_at_its_place(
    case: tuple[str, str, str, tuple[int, int], str, str | None],
) -> None:
    _, text, rule, place, words, patched = case
    problems = found(text)
    assert [(p.rule, (p.line, p.column)) for p in problems] == [(rule, place)]
    problem = problems[0]
    assert words in problem.message
    assert problem.message.endswith((".", "?"))
    assert problem.severity == "error"
    assert (problem.patch is None) == (patched is None)
    if patched is not None:
        mended = apply_patches(text, problems)
        assert patched in mended
        assert found(mended) == []


def test_what_a_patch_mends_is_not_told_a_second_time() -> None:
    text = (
        HEAD.replace("flow:", "flows:")
        + "nodes: [{ID: a, Prompt: hi, out_puts: [a]}]\nedges: [{src: a, goto: END}]\n"
    )
    problems = found(text)
    assert {p.rule for p in problems} == {"unknown-key"}
    assert found(apply_patches(text, problems)) == []


def test_a_patch_leaves_anchors_alone() -> None:
    text = HEAD + "nodes: [{id: a, prompt: hi, retry: &r 3}, {id: b, prompt: hi, retry: *r}]\n"
    assert [p.patch for p in found(text)] == [None, None]


def test_a_long_document_of_faults_is_told_in_a_moment() -> None:
    text = HEAD + "nodes:\n" + "".join(f"  - {{id: n{n}, promt: hi, foo{n}: 3}}\n" for n in range(1000))
    assert len(found(text)) == 2000


# --- anything ---------------------------------------------------------------------------------------------


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, item in below for place in places(item, (*path, step)))]


@given(st.data(), JSON, st.none() | NAMES)
def test_any_damage_is_told_at_a_place_in_the_text(data: st.DataObject, value: Any, key: str | None) -> None:
    """Somewhere in a document that has everything, a value becomes another or a key is added."""
    document = copy.deepcopy(read_document(EVERYTHING).data)
    path = data.draw(st.sampled_from(places(document)[1:]))
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    if key is None:
        holder[path[-1]] = value
    elif isinstance(holder, dict):
        holder[key] = value
    text = yaml.safe_dump(document, default_flow_style=data.draw(st.booleans()), allow_unicode=True)
    read = read_document(text)
    assert list(marked_keys(read.data)) is not None
    for problem in findings(read):
        assert problem.message.endswith((".", "?"))
        assert read.place(read.offset((problem.line, problem.column))) == (problem.line, problem.column)
        assert "is not as the format wants it" not in problem.message
        if problem.patch:
            apply_patches(text, [problem])


@given(
    st.dictionaries(
        st.sampled_from(["schema_version", "flow", "state", "nodes", "edges", "config"]) | NAMES, JSON
    )
)
def test_any_mapping_is_told_of(data: dict[str, Any]) -> None:
    text = yaml.safe_dump(data, allow_unicode=True)
    assert findings(read_document(text))
