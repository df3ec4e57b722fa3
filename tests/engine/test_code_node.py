"""Code nodes and the Python tool of a model, in the real sandbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.engine import SystemClock, no_secrets
from engine.models import ModelChoice, Models
from engine.nodes import Services, Step
from engine.nodes.code import limits
from engine.nodes.code import run as run_code
from engine.workflow import SandboxOptions
from tests.engine.flows import NoModels, Tools, engine_on, until, workflow
from tests.fakes.openai_server import FakeOpenAI, Reply
from tools.errors import ToolError
from tools.sandbox.pool import Sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox(size=2)
    yield made
    await made.close()


async def run(
    path: Path, sandbox: Sandbox | None, text: str, inputs: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    tools = Tools()
    async with engine_on(path / "runs.db", tools, sandbox=sandbox) as engine:
        return await engine.run(workflow(text, tools), inputs or {})


def failed(view: Mapping[str, Any]) -> str:
    """The sentence of the run's error."""
    assert view["status"] == "failed"
    return json.dumps(view["error"], ensure_ascii=False)


SUM = """
state: {{fields: {{a: {{type: int, required: true}}, b: {{type: int, default: 2}}, sum: {type}, text: str}}}}
nodes:
  - id: add
    code: |
{code}
    outputs: {outputs}
"""


def add(code: str, outputs: str = "[sum]", type_: str = "int") -> str:
    lines = "\n".join(f"      {line}" for line in code.splitlines())
    return SUM.format(code=lines, outputs=outputs, type=type_)


async def test_a_code_node_sees_the_whole_state_and_sets_one_output(sandbox: Sandbox, tmp_path: Path) -> None:
    view = await run(tmp_path, sandbox, add("result = inputs['a'] + inputs['b']"), {"a": 40})
    assert view["outputs"] == {"sum": 42}


async def test_several_outputs_go_by_name(sandbox: Sandbox, tmp_path: Path) -> None:
    code = "result = {'sum': inputs['a'], 'text': 'ä' * inputs['b']}"
    view = await run(tmp_path, sandbox, add(code, "[sum, text]"), {"a": 1})
    assert view["outputs"] == {"sum": 1, "text": "ää"}


INPUTS = """
state: {fields: {order: {type: dict, required: true}, name: {type: str, default: Ada}, n: int, said: str}}
nodes:
  - id: look
    inputs: {price: "{state.order.price}", greeting: "Hello, {state.name}!", all: state.order}
    prompt: Only a description, {braces} and all.
    code: |
      assert sorted(inputs) == ['all', 'greeting', 'price'], sorted(inputs)
      result = {'n': inputs['price'] + len(inputs['all']), 'said': inputs['greeting'] + ' {state.name}'}
    outputs: [n, said]
"""


async def test_inputs_are_rendered_and_code_is_no_template(sandbox: Sandbox, tmp_path: Path) -> None:
    view = await run(tmp_path, sandbox, INPUTS, {"order": {"price": 3, "item": "x"}})
    assert view["outputs"] == {"n": 5, "said": "Hello, Ada! {state.name}"}


EACH = """
state: {fields: {items: {type: "list[int]", required: true}, squares: "list[int]"}}
nodes:
  - id: square
    for_each: state.items
    as: number
    code: |
      result = inputs['number'] ** 2
    outputs: [squares]
"""


async def test_code_runs_once_per_element(sandbox: Sandbox, tmp_path: Path) -> None:
    view = await run(tmp_path, sandbox, EACH, {"items": list(range(20))})
    assert view["outputs"] == {"squares": [n * n for n in range(20)]}


@pytest.mark.parametrize(
    ("code", "part"),
    [
        (
            "x = inputs['a']\nresult = x / 0",
            "in line 2 (`result = x / 0`): ZeroDivisionError: division by zero.",
        ),
        (
            "result = 'many'[: inputs['a'] + 9]",
            "The result of the code does not fit. The output 'sum' does not fit",
        ),
        ("print('so far')\nresult = {}['x' * inputs['a']]", "KeyError: 'x'. Before that it printed: so far"),
        ("result = {1, 2}", "which JSON cannot hold"),
        (
            "if inputs['a'] > 100:\n    result = 1",
            "The code set no result. End it with result = … (the value of sum).",
        ),
        ("while inputs['a']: pass\nresult = 1", "did not end within 1 s"),
        ("result = len(bytearray(10**9))", "more memory in line 1"),
        ("result = open('/etc/passwd').read()", "The sandbox has no files"),
    ],
)
async def test_what_goes_wrong_is_said(sandbox: Sandbox, tmp_path: Path, code: str, part: str) -> None:
    text = add(code, type_="int") + "    sandbox: {timeout: 1, max_memory_mb: 64}\n"
    assert part in failed(await run(tmp_path, sandbox, text, {"a": 1}))


async def test_network_is_refused_with_the_reason(sandbox: Sandbox) -> None:
    """The checker says so before; the node does not rely on that."""
    tools = Tools()
    flow = workflow(add("result = 1"), tools)
    step = Step(
        node=replace(flow.nodes["add"], sandbox=SandboxOptions(enabled=True, network=True)),
        workflow=flow,
        state={"a": 1},
        services=Services(NoModels(), tools.registry, SystemClock(), no_secrets, sandbox),
        run_id="r",
        path="add",
        iteration=0,
        attempt=1,
    )
    with pytest.raises(ToolError, match="asks for the network, which this sandbox does not have"):
        await run_code(step)
    assert not sandbox._idle


async def test_without_a_sandbox_code_runs_nowhere(tmp_path: Path) -> None:
    assert "There is no sandbox here" in failed(await run(tmp_path, None, add("result = 1"), {"a": 1}))


async def test_a_sandbox_that_cannot_start_refuses_with_its_reason(tmp_path: Path) -> None:
    place = tmp_path / "not-a-folder"
    place.write_text("")
    broken = Sandbox(place)
    assert "could not be built" in failed(await run(tmp_path, broken, add("result = 1"), {"a": 1}))


async def test_a_cancelled_run_ends_its_code(sandbox: Sandbox, tmp_path: Path) -> None:
    tools = Tools()
    async with engine_on(tmp_path / "runs.db", tools, sandbox=sandbox) as engine:
        run_id = await engine.start(workflow(add("while True: pass\nresult = 1"), tools), {"a": 1})
        await until(lambda: sandbox._busy)
        workers = set(sandbox._busy)
        await engine.cancel(run_id)
        view = await engine.wait(run_id)
    assert view["status"] == "cancelled"
    await until(lambda: not any(worker.alive for worker in workers))


def test_presets_and_what_overrides_them() -> None:
    assert limits(SandboxOptions()) == (30.0, 256)
    assert limits(SandboxOptions(preset="low")) == (10.0, 128)
    assert limits(SandboxOptions(preset="max", timeout=5)) == (5, 1024)
    assert limits(SandboxOptions(preset="low", max_memory_mb=512)) == (10.0, 512)


ASKED = """
state: {fields: {numbers: {type: "list[int]", required: true}, answer: str}}
nodes:
  - id: count
    prompt: "Add up {state.numbers}."
    inputs: {given: state.numbers}
    tools: [add]
    sandbox: {timeout: 5}
    outputs: [answer]
"""


async def ask(path: Path, sandbox: Sandbox, *code: str) -> list[str]:
    """What a model is told of its calls of `python`, one message per call."""
    tools = Tools()
    replies = [Reply(tool_calls=(("python", {"code": each}),)) for each in code]
    with FakeOpenAI([*replies, Reply("done")]) as fake:
        models = Models(ModelChoice(model="openai/fake", api_base=fake.base_url, api_key="k"))
        try:
            async with engine_on(path / "runs.db", tools, models=models, sandbox=sandbox) as engine:
                view = await engine.run(workflow(ASKED, tools), {"numbers": [1, 2, 3]})
        finally:
            await models.close()
    assert view["outputs"] == {"answer": "done"}, view
    offered = {each["function"]["name"]: each["function"] for each in fake.requests[0]["tools"]}
    assert set(offered) == {"add", "python"}
    assert "tools.add(...)" in offered["python"]["description"]
    return [m["content"] for m in fake.requests[-1]["messages"] if m["role"] == "tool"]


async def test_a_model_with_a_sandbox_runs_python(sandbox: Sandbox, tmp_path: Path) -> None:
    told = await ask(
        tmp_path,
        sandbox,
        "print('adding')\nresult = sum(inputs['given'])",
        "total = sum(inputs['given'])",
        "result = tools.add(a=40, b=2)",
        "1 / 0",
        "import numpy",
    )
    assert [json.loads(each) for each in told[:3]] == [
        {"result": 6, "printed": "adding\n"},
        {"variables": {"total": 6}},
        {"result": 42},
    ]
    assert told[3].startswith("Error: The code failed in line 1 (`1 / 0`): ZeroDivisionError")
    assert "native or container tier" in told[4]


async def test_many_code_nodes_at_once_share_the_workers(sandbox: Sandbox, tmp_path: Path) -> None:
    tools = Tools()
    flow = workflow(add("result = inputs['a'] * 2"), tools)
    async with engine_on(tmp_path / "runs.db", tools, sandbox=sandbox) as engine:
        views = await asyncio.gather(*(engine.run(flow, {"a": n}) for n in range(25)))
    assert [view["outputs"]["sum"] for view in views] == [n * 2 for n in range(25)]
    assert len(sandbox._idle) <= 2
