"""Documents of the older format: each of its twelve kinds of test config loads, and builds where its tools are here."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.build import build_workflow
from engine.check import check
from engine.document import read_document
from engine.schema import findings, marked_keys
from engine.workflow import END, START
from tools.registry import ToolRegistry

OLDER = sorted((Path(__file__).resolve().parents[1] / "data" / "older").glob("*.yaml"))

# What the checker has to say of each: rules, by number of the document.
TOLD = {
    "02": {"config.observability": "warning"},
    "04": {"nodes[0].tools[0]": "error"},
    "09": {"config.memory": "warning"},
    "10": {"nodes[1].sandbox.runtime": "warning", "config.sandbox.runtime": "warning"},
    "11": {"config.storage": "warning"},
    "12": {"nodes[0].tools[0]": "error", "config.observability": "warning"},
}


def test_there_are_twelve() -> None:
    assert [path.stem[:2] for path in OLDER] == [f"{n:02}" for n in range(1, 13)]


@pytest.mark.parametrize("path", OLDER, ids=lambda p: p.stem)
def test_an_older_document_loads_and_builds(path: Path) -> None:
    document = read_document(path.read_text(encoding="utf-8"))
    assert document.problems == []
    assert findings(document) == []
    assert not [mark for mark in marked_keys(document.data) if mark.later == "error"]
    workflow = build_workflow(document, ToolRegistry())
    assert len(workflow.nodes) == len(document.data["nodes"])
    assert workflow.inputs
    assert workflow.outputs
    assert all(node.llm.provider in ("google", "anthropic") for node in workflow.nodes.values())
    assert {edge.source for edge in workflow.edges} == {START, *workflow.nodes}
    assert any(END in edge.targets for edge in workflow.edges)


@pytest.mark.parametrize("path", OLDER, ids=lambda p: p.stem)
def test_an_older_document_is_told_what_is_not_used(path: Path) -> None:
    checked = check(path.read_text(encoding="utf-8"), ToolRegistry())
    assert {p.path: p.severity for p in checked.problems} == TOLD.get(path.stem[:2], {})
    assert (checked.workflow is None) == ("error" in TOLD.get(path.stem[:2], {}).values())


def test_keys_keep_their_meaning() -> None:
    full = build_workflow(read_document(OLDER[11].read_text(encoding="utf-8")), ToolRegistry())
    assert full.execution.timeout == 120
    assert {node.retry.max_attempts for node in full.nodes.values()} == {4}
    loop = next(edge.loop for edge in full.edges if edge.loop)
    assert (loop.condition_field, loop.max_iterations, loop.exit_to) == ("settled", 3, ("write_report",))
    routes = next(edge.routes for edge in full.edges if edge.routes)
    assert [r.condition and r.condition.text for r in routes] == ["state.care == 'quick'", None]
    models = build_workflow(read_document(OLDER[7].read_text(encoding="utf-8")), ToolRegistry()).nodes
    assert models["ask_first"].llm.model == "gemini-2.5-flash-lite"
    assert (models["ask_second"].llm.provider, models["ask_second"].llm.model) == (
        "anthropic",
        "claude-haiku-4-5",
    )


def test_a_sandbox_of_an_older_document_is_read() -> None:
    nodes = build_workflow(read_document(OLDER[9].read_text(encoding="utf-8")), ToolRegistry()).nodes
    box = nodes["run_code"].sandbox
    assert (box.enabled, box.timeout, box.max_memory_mb, box.network) == (True, 30, 256, False)
    assert box.allowed_modules == ("math", "random", "datetime")
    assert not nodes["write_code"].sandbox.enabled


FURTHER = """
schema_version: "1.0"
flow: {name: further}
state:
  fields:
    numbers: {type: "list[int]", required: true}
    total: {type: int, default: 0}
nodes:
  - id: add
    prompt: Adds the numbers up
    llm: {provider: google, model: gemini-2.5-flash-lite}
    code: |
      result = sum(inputs["numbers"])
    inputs: {numbers: "{state.numbers}"}
    outputs: [total]
    output_schema: {type: int, description: the sum}
    sandbox: {mode: %s, preset: high, resources: {cpu: 1, memory: 512m, timeout: 60}, network: %s}
edges:
  - {from: START, to: add}
  - {from: add, to: END}
config:
  gates:
    gates: [{metric: cost_usd, max: 0.5}, {metric: accuracy, min: 0.9}]
    on_fail: block_deploy
"""


@pytest.mark.parametrize(
    ("mode", "rules"),
    [
        ("python", set()),
        ("auto", set()),
        ("docker", {"sandbox-tier"}),
        ("native", {"sandbox-tier"}),
        ("restrictedpython", {"older-key"}),
    ],
)
def test_code_gates_and_sandboxes_of_older_documents_run(mode: str, rules: set[str]) -> None:
    checked = check(FURTHER % (mode, "false"), ToolRegistry())
    assert {p.rule for p in checked.problems} == {"older-key", "unknown-metric", *rules}
    assert not checked.errors
    assert checked.workflow is not None
    node = checked.workflow.nodes["add"]
    assert (node.kind, node.prompt, node.description) == ("code", None, "Adds the numbers up")
    assert (node.sandbox.preset, node.sandbox.timeout, node.sandbox.max_memory_mb) == ("high", 60, 512)
    assert [g.metric for g in checked.workflow.gates.gates] == ["cost_usd"]
    assert checked.workflow.gates.on_fail == "block_deploy"


def test_code_that_asks_for_the_network_is_refused() -> None:
    assert [p.rule for p in check(FURTHER % ("docker", "true"), ToolRegistry()).errors] == ["sandbox-network"]
