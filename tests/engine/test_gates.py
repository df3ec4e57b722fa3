"""Gates on a whole run: noted, failing the run, and blocking the next ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.errors import Conflict
from engine.gates import judged, seconds_of, warnings
from engine.models import ModelChoice, Models
from engine.ports import NodeRow
from tests.engine.flows import Tools, engine_on, workflow
from tests.fakes.openai_server import FakeOpenAI, Reply

FLOW = """
config:
  gates:
    on_fail: {on_fail}
    gates:
      - {gate}
state: {{fields: {{a: {{type: str}}, b: {{type: str}}}}}}
nodes:
  - {{id: one, prompt: Say one., outputs: [a]}}
  - {{id: two, prompt: Say two., outputs: [b]}}
"""


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    with FakeOpenAI(Reply(text="word", usage=(100, 100))) as server:
        yield server


@pytest.fixture
async def engine(fake: FakeOpenAI, tmp_path: Path) -> AsyncIterator[Engine]:
    models = Models(ModelChoice(force_model="openai/gpt-4o-mini", api_base=fake.base_url))
    async with engine_on(tmp_path / "runs.db", Tools(), models=models) as made:
        yield made
    await models.close()


async def test_warn_notes_it_and_changes_nothing(engine: Engine) -> None:
    flow = workflow(
        FLOW.format(on_fail="warn", gate="{metric: tokens, max: 300, description: Small}"), Tools()
    )
    view = await engine.run(flow, {})
    assert view["status"] == "ok"
    gate = {"metric": "tokens", "max": 300, "min": None, "description": "Small", "value": 400, "ok": False}
    assert view["gates"] == [gate]
    assert (await engine.view(view["run_id"]))["gates"] == [gate]
    assert warnings(view["gates"]) == [
        "The gate on tokens (Small) does not hold: 400 tokens, and it wants at most 300 tokens."
    ]


async def test_a_run_that_is_past_its_gate_stops_there(engine: Engine, fake: FakeOpenAI) -> None:
    flow = workflow(FLOW.format(on_fail="fail", gate="{metric: cost_usd, max: 0.00001}"), Tools())
    view = await engine.run(flow, {})
    assert (view["status"], len(fake.requests)) == ("failed", 1)
    assert view["error"].startswith(
        "The gate on cost_usd does not hold: 0.000075 dollars, and it wants at most 0.00001 dollars."
    )
    again = await engine.start(flow, {})
    assert (await engine.wait(again))["status"] == "failed", "`fail` blocks nothing"


async def test_a_minimum_is_judged_at_the_end(engine: Engine, fake: FakeOpenAI) -> None:
    flow = workflow(FLOW.format(on_fail="fail", gate="{metric: tokens, min: 401}"), Tools())
    view = await engine.run(flow, {})
    assert (view["status"], len(fake.requests), view["outputs"]) == ("failed", 2, {})
    assert "400 tokens, and it wants at least 401 tokens" in view["error"]


async def test_block_deploy_refuses_the_same_document_only(engine: Engine) -> None:
    text = FLOW.format(on_fail="block_deploy", gate="{metric: seconds, max: 0}")
    flow = workflow(text, Tools())
    first = await engine.run(flow, {})
    assert first["status"] == "failed"
    with pytest.raises(Conflict, match=f"Run {first['run_id']}.*does not hold.*--ignore-gates"):
        await engine.start(flow, {})
    ignored = await engine.run(flow, {}, ignore_gates=True)
    assert ignored["status"] == "failed", "the gate still counts for the run itself"
    with pytest.raises(Conflict):
        await engine.start(flow, {})
    changed = workflow(text.replace("max: 0}", "max: 60}"), Tools())
    assert (await engine.run(changed, {}))["status"] == "ok"


async def test_an_unknown_value_is_no_verdict(engine: Engine, fake: FakeOpenAI) -> None:
    fake.script = Reply(text="word", usage=False)
    flow = workflow(FLOW.format(on_fail="fail", gate="{metric: tokens, max: 1}"), Tools())
    view = await engine.run(flow, {})
    assert (view["status"], view["gates"][0]["ok"], view["gates"][0]["value"]) == ("ok", None, None)
    assert "can't be checked" in warnings(view["gates"])[0]


async def test_without_gates_there_are_none(engine: Engine) -> None:
    text = "state: {fields: {a: {type: str}}}\nnodes: [{id: n, prompt: Hi, outputs: [a]}]"
    assert "gates" not in await engine.run(workflow(text, Tools()), {})


def row(began: float, ended: float, status: str = "ok") -> NodeRow:
    return NodeRow("r", "n", "n", "tool", 1, 1, status, began, ended)  # type: ignore[arg-type]


def test_seconds_are_those_in_which_a_node_ran() -> None:
    rows = [row(0, 2), row(1, 3), row(10, 11), row(3, 10, "waiting"), row(10.5, 10.7)]
    assert seconds_of(rows) == 4
    assert seconds_of([]) == 0
    shape = {
        "gates": {"on_fail": "fail", "gates": [{"metric": "seconds", "max": 4, "min": 4, "description": ""}]}
    }
    assert judged(shape, rows)[0]["ok"] is True
