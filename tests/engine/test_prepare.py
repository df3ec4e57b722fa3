"""A text checked for the installation: what its models lack is a warning, and an error when a run starts."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from engine.check import Machine, check
from engine.check.machine import asked_for
from engine.errors import WorkflowInvalid
from engine.ports import ModelInfo
from engine.prepare import check_for_run, check_here, prepare
from sessions.db import open_db
from sessions.workflows import Workflows
from tests.engine.check.planted import MACHINES, PLANTED
from tools.registry import ToolRegistry

TOOLS = ToolRegistry()
TEXT = """
schema_version: "1.0"
flow: {name: greet}
state: {fields: {who: {type: str, required: true}, line: str, more: str}}
nodes:
  - {id: a, tool: text_template, args: {template: "Hello {who}", values: {who: "{state.who}"}}, outputs: [line]}
  - {id: b, NODE, outputs: [more]}
"""
ASKS = 'prompt: "Go on: {state.line}"'
TOOL = 'tool: text_template, args: {template: "{state.line}"}'


class Installation:
    """The one question of a ModelClient that is asked here, with a machine as its answer."""

    def __init__(self, machine: Machine) -> None:
        self.found = machine
        self.asked: list[Collection[str | None]] = []

    async def machine(self, named: Collection[str | None] = (None,)) -> Machine:
        self.asked.append(named)
        return self.found


def _text(node: str) -> str:
    return TEXT.replace("NODE", node)


async def test_without_llm_nodes_nothing_is_asked() -> None:
    models: Any = Installation(Machine(None))
    assert (await check_here(_text(TOOL), TOOLS, models)).problems == ()
    assert (await prepare(_text(TOOL), TOOLS, models)).name == "greet"
    assert models.asked == []


@pytest.mark.parametrize(
    ("llm", "rule"),
    [
        ("", "no-model"),
        (", llm: {model: openai/gpt-5.4-mini}", "no-key"),
        (", llm: {model: ollama/qwen4}", "unknown-model"),
    ],
)
async def test_a_warning_in_a_check_and_an_error_at_the_start(llm: str, rule: str) -> None:
    models: Any = Installation(Machine(None, frozenset({"google"}), frozenset({"ollama/qwen3"})))
    text = _text(ASKS + llm)
    here = await check_here(text, TOOLS, models)
    assert [(p.rule, p.severity, here.ok) for p in here.problems] == [(rule, "warning", True)]
    starting = await check_for_run(text, TOOLS, models)
    assert [(p.rule, p.severity, starting.workflow) for p in starting.problems] == [(rule, "error", None)]
    with pytest.raises(WorkflowInvalid):
        await prepare(text, TOOLS, models)


@pytest.mark.parametrize("name", ["ollama/qwen3", "ollama/qwen3:latest", "ollama/gemma3:4b"])
async def test_models_that_are_there(name: str) -> None:
    known = frozenset({"ollama/qwen3", "ollama/gemma3:4b"})
    models: Any = Installation(Machine(ModelInfo("x/y", "a test"), frozenset(), known))
    assert (await check_here(_text(f"{ASKS}, llm: {{model: {name}}}"), TOOLS, models)).problems == ()
    assert models.asked == [{name}]


@pytest.mark.parametrize("planted", [p for p in PLANTED if MACHINES[p.machine]], ids=lambda p: p.rule)
async def test_the_machine_added_afterwards_says_the_same(planted: Any) -> None:
    machine = MACHINES[planted.machine]
    models: Any = Installation(machine or Machine(None))
    whole = check(planted.text(), TOOLS, machine=machine)
    assert (await check_here(planted.text(), TOOLS, models)).problems == whole.problems


def test_which_models_are_asked() -> None:
    more = "\n".join(
        f"  - {{id: {id}, prompt: x, llm: {{{llm}}}, outputs: [more]}}"
        for id, llm in (
            ("c", "provider: ollama, model: qwen3"),
            ("d", 'model: ollama/z, api_base: "http://127.0.0.1:1"'),
        )
    )
    document = check(f"{_text(ASKS)}{more}\n", TOOLS).document
    assert asked_for(document, TOOLS) == {None, "ollama/qwen3"}


async def test_saved_workflows_are_found_and_checked(tmp_path: Path) -> None:
    """From the real store, with those below them; one that nobody saved is named with the nearest one."""
    models: Any = Installation(MACHINES["able"] or Machine(None))
    db = open_db(tmp_path / "parlance.db", synchronous="NORMAL")
    store = Workflows(db)
    for text in (
        _text(TOOL),
        _text('workflow: greet, inputs: {who: "{state.line}"}').replace("name: greet", "name: round"),
    ):
        await store.save("local", None, text, "saved")

    async def rules(node: str, owner: str = "local") -> list[str]:
        text = _text(node).replace("name: greet", "name: above")
        return [p.rule for p in (await check_here(text, TOOLS, models, store.of(owner))).errors]

    assert await rules('workflow: greet, inputs: {who: "{state.line}"}') == []
    assert await rules('workflow: round, inputs: {who: "{state.line}"}') == []
    assert await rules('workflow: greet, inputs: {whom: "{state.line}"}') == ["subflow-input"]
    assert await rules('workflow: greeet, inputs: {who: "{state.line}"}') == ["unknown-workflow"]
    assert await rules('workflow: greet, inputs: {who: "{state.line}"}', "somebody else") == [
        "unknown-workflow"
    ]
    with pytest.raises(WorkflowInvalid):
        await prepare(
            _text("workflow: greet").replace("name: greet", "name: it"), TOOLS, models, store.of("local")
        )
    db.close()


CODE = "code: \"result = 'Hello'\""


async def test_without_a_sandbox_code_is_refused_at_the_start_with_the_reason() -> None:
    """No model is asked for that."""
    models: Any = Installation(Machine(None))
    lacking = ToolRegistry(no_code=lambda: "The sandbox needs the package wasmtime.")
    assert (await prepare(_text(CODE), TOOLS, models)).name == "greet"
    here = await check_here(_text(CODE), lacking, models)
    assert [(p.rule, p.severity) for p in here.problems] == [("no-sandbox", "warning")]
    with pytest.raises(WorkflowInvalid, match="The sandbox needs the package wasmtime"):
        await prepare(_text(CODE), lacking, models)
    assert (await prepare(_text(TOOL), lacking, models)).name == "greet"
    assert models.asked == []
