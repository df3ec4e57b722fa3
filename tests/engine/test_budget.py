"""The hard budget: what could be too much is not asked for, however many branches ask at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.models import ModelChoice, Models
from engine.models.pricing import dollars
from tests.engine.flows import Tools, engine_on, workflow
from tests.fakes.openai_server import FakeOpenAI, Reply

NOWHERE = "http://127.0.0.1:9"
IN, OUT = 0.15e-6, 0.6e-6
"""Dollars per token of openai/gpt-4o-mini."""

Start = Callable[..., Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """An engine whose every call goes to the fake, under the name of a model with a price."""
    async with AsyncExitStack() as stack:

        async def make(fake: FakeOpenAI, model: str = "openai/gpt-4o-mini", path: str = "runs.db") -> Engine:
            choice = ModelChoice(force_model=model, api_base=fake.base_url, ollama=NOWHERE)
            models = Models(choice, backoff=0.01)
            stack.push_async_callback(models.close)
            return await stack.enter_async_context(engine_on(tmp_path / path, Tools(), models=models))

        yield make


def fan(branches: int, budget: float | None, max_tokens: int | None = 1000, **node: Any) -> str:
    """A document whose branches all start at once and ask a model each."""
    names = [f"n{i}" for i in range(branches)]
    llm = {} if max_tokens is None else {"llm": {"max_tokens": max_tokens}}
    document: dict[str, Any] = {
        "state": {"fields": {name: {"type": "str"} for name in names}},
        "nodes": [{"id": n, "prompt": "Say something.", "outputs": [n], **llm, **node} for n in names],
        "edges": [{"from": "START", "to": names}],
    }
    if budget is not None:
        document["config"] = {"execution": {"budget_usd": budget}}
    return yaml.safe_dump(document, sort_keys=False)


async def test_twenty_branches_and_money_for_five(start: Start) -> None:
    """Every call costs all it may, so the sixth does not fit; the fake saw five."""
    full = Reply(text="word " * 3, usage=(20, 1000), delay=0.05)
    with FakeOpenAI(full) as fake:
        engine = await start(fake)
        view = await engine.run(workflow(fan(20, 5.5 * 1000 * OUT), Tools()), {})
        spent, reserved = await engine.store.spent(view["run_id"])
    assert view["status"] == "failed"
    assert len(fake.requests) == 5
    assert "The budget of 0.0033 dollars does not allow this call of openai/gpt-4o-mini" in view["error"]
    assert f"{dollars(spent)} are spent" in view["error"]
    assert "--budget" in view["error"]
    assert spent == pytest.approx(5 * (20 * IN + 1000 * OUT))
    assert reserved == 0
    assert view["cost_usd"] == pytest.approx(spent)  # what never began makes nothing unknown


async def test_calls_wait_for_what_others_set_aside(start: Start) -> None:
    """One call at worst costs nearly all; each costs little in truth, so all twenty are made, one by one."""
    with FakeOpenAI(Reply(text="short", usage=(20, 5))) as fake:
        engine = await start(fake)
        view = await engine.run(workflow(fan(20, 1.5 * 1000 * OUT), Tools()), {})
        spent, reserved = await engine.store.spent(view["run_id"])
    assert (view["status"], len(fake.requests)) == ("ok", 20)
    assert spent == pytest.approx(view["cost_usd"]) == pytest.approx(20 * (20 * IN + 5 * OUT))
    assert reserved == 0


async def test_without_a_bound_the_reply_is_cut_to_what_is_left(start: Start) -> None:
    with FakeOpenAI(Reply(text="short", usage=(20, 5))) as fake:
        engine = await start(fake)
        view = await engine.run(workflow(fan(2, 1000 * OUT, None), Tools()), {})
    assert view["status"] == "ok"
    sent = [body["max_tokens"] for body in fake.requests]
    assert len(sent) == 2
    assert all(256 <= most < 1000 for most in sent)


async def test_the_persons_limit_counts_where_it_is_the_smaller_one(start: Start) -> None:
    with FakeOpenAI(Reply(text="short", usage=(20, 5))) as fake:
        engine = await start(fake)
        flow = workflow(fan(1, 1.0), Tools())
        view = await engine.run(flow, {}, limit_usd=0.0001)
        assert view["status"] == "failed"
        assert "The budget of 0.0001 dollars" in view["error"]
        assert fake.requests == []
        assert view["cost_usd"] is None
        assert (await engine.run(flow, {}, limit_usd=5.0))["status"] == "ok"


async def test_a_model_without_a_price_is_refused_under_a_budget(start: Start) -> None:
    with FakeOpenAI("hello") as fake:
        engine = await start(fake, "openai/nobody-knows-it")
        refused = await engine.run(workflow(fan(1, 1.0), Tools()), {})
        free = await engine.run(workflow(fan(1, None), Tools()), {})
    assert refused["status"] == "failed"
    assert "What openai/nobody-knows-it costs is not known" in refused["error"]
    assert free["status"] == "ok"
    assert len(fake.requests) == 1


async def test_a_free_model_needs_no_price(start: Start) -> None:
    with FakeOpenAI("hello") as fake:
        fake.ollama_models = ("qwen3",)
        engine = await start(fake, "ollama/qwen3")
        view = await engine.run(workflow(fan(3, 0.000001), Tools()), {})
    assert (view["status"], view["cost_usd"]) == ("ok", 0.0)


async def test_on_error_does_not_go_on_without_money(start: Start) -> None:
    with FakeOpenAI("hello") as fake:
        engine = await start(fake)
        text = fan(1, 0.0001, on_error="continue", retry={"max_attempts": 3, "backoff_seconds": 0})
        view = await engine.run(workflow(text, Tools()), {})
    assert (view["status"], len(view["nodes"]), len(fake.requests)) == ("failed", 1, 0)


async def test_the_re_ask_needs_money_too(start: Start) -> None:
    """The first reply does not fit, and costs nearly all there is: the second call is not made."""
    one = 1000 * OUT
    document = yaml.safe_load(fan(1, 1.5 * one))
    document["state"]["fields"]["n0"] = {"type": "int"}
    with FakeOpenAI(Reply(text="many", usage=(20, 1000))) as fake:
        engine = await start(fake)
        view = await engine.run(workflow(yaml.safe_dump(document), Tools()), {})
        spent, reserved = await engine.store.spent(view["run_id"])
    assert (view["status"], len(fake.requests)) == ("failed", 1)
    assert view["cost_usd"] is None, "what the step counted was lost with the call that was not made"
    assert spent == pytest.approx(20 * IN + 1000 * OUT)
    assert reserved == 0


async def test_what_nobody_knows_stays_set_aside_and_a_refusal_costs_nothing(start: Start) -> None:
    replies = [Reply(text="cut", break_after=1), Reply(status=429), Reply(text="fine", usage=(20, 5))]
    with FakeOpenAI(replies) as fake:
        engine = await start(fake)
        text = fan(1, 1.0, retry={"max_attempts": 3, "backoff_seconds": 0.01})
        view = await engine.run(workflow(text, Tools()), {})
        spent, reserved = await engine.store.spent(view["run_id"])
    assert (view["status"], len(fake.requests)) == ("ok", 3)
    assert spent == pytest.approx(20 * IN + 5 * OUT)
    assert 1000 * OUT < reserved < 1001 * OUT + 100 * IN


async def test_a_run_that_is_interrupted_leaves_its_calls_set_aside(start: Start) -> None:
    with FakeOpenAI(Reply(text="slow reply", pause=True)) as fake:
        engine = await start(fake)
        run_id = await engine.start(workflow(fan(1, 1.0), Tools()), {})
        await asyncio.to_thread(fake.paused.wait, 10)
        await engine.cancel(run_id)
        view = await engine.wait(run_id)
        spent, reserved = await engine.store.spent(run_id)
        fake.release()
    assert view["status"] == "cancelled"
    assert spent == 0
    assert reserved > 1000 * OUT


async def test_what_another_process_left_under_way_stays_counted(start: Start) -> None:
    """The owner goes away in the middle of a call; there is money for one and a half: the second is not made."""
    with FakeOpenAI([Reply(text="slow reply", pause=True), "second"]) as fake:
        first = await start(fake)
        run_id = await first.start(workflow(fan(1, 1.5 * 1000 * OUT), Tools()), {})
        await asyncio.to_thread(fake.paused.wait, 10)
        await first.close()
        second = await start(fake)
        assert run_id in await second.recover()
        view = await second.wait(run_id)
        fake.release()
    assert view["status"] == "failed"
    assert "set aside for calls whose end is not known" in view["error"]
    assert len(fake.requests) == 1


INNER = """
schema_version: "1.0"
flow: {name: inner}
config: {execution: {budget_usd: 100}}
state: {fields: {x: {type: str, required: true}, zs: {type: str}}}
nodes: [{id: say, prompt: "Say {state.x}.", outputs: [zs], llm: {max_tokens: 1000}}]
"""
OUTER = """
config: {execution: {budget_usd: MONEY}}
state:
  fields: {xs: {type: "list[str]", required: true}, ys: {type: "list[str]"}, zs: {type: "list[str]"}, z: {type: str}}
nodes:
  - {id: alone, prompt: Hi, outputs: [z], llm: {max_tokens: 1000}}
  - {id: each, for_each: state.xs, as: word, prompt: "Say {word}.", outputs: [ys], llm: {max_tokens: 1000}}
  - {id: sub, for_each: state.xs, as: word, workflow: inner, inputs: {x: "{word}"}, outputs: [zs]}
edges: [{from: START, to: [alone, each, sub]}]
"""


async def test_the_whole_tree_shares_one_budget(start: Start) -> None:
    """A node, the elements of a map and sub-workflows with budgets of their own, all at once: money for seven calls."""

    async def saved(name: str) -> str:
        return INNER

    full = Reply(text="words", usage=(20, 1000), delay=0.02)
    with FakeOpenAI(full) as fake:
        engine = await start(fake)
        flow = workflow(OUTER.replace("MONEY", f"{7.5 * 1000 * OUT:.6f}"), Tools())
        view = await engine.run(flow, {"xs": list("abcdef")}, workflows=saved)
        spent, reserved = await engine.store.spent(view["run_id"])
    assert view["status"] == "failed", view
    assert "The budget of 0.0045 dollars" in view["error"]
    assert len(fake.requests) == 7
    assert spent + reserved <= 7.5 * 1000 * OUT
    assert spent + reserved == pytest.approx(7 * (20 * IN + 1000 * OUT), rel=0.01)


BELOW = """
config: {execution: {budget_usd: 0.00001}}
state: {fields: {x: {type: str, default: a}, zs: {type: str}, z: {type: str}}}
nodes:
  - {id: sub, workflow: inner, inputs: {x: "{state.x}"}, outputs: [zs], on_error: HOW}
  - {id: after, tool: echo, args: {value: on}, outputs: [z]}
"""
MIDDLE = """
schema_version: "1.0"
flow: {name: middle, outputs: [zs]}
state: {fields: {x: {type: str, required: true}, zs: {type: str}}}
nodes: [{id: deeper, workflow: deepest, inputs: {x: "{state.x}"}, outputs: [zs], on_error: continue}]
"""


@pytest.mark.parametrize("how", ["continue", "after"])
async def test_on_error_of_who_started_it_does_not_go_on_without_money_either(start: Start, how: str) -> None:
    """Two deep: neither of the runs above goes on."""
    texts = {"inner": MIDDLE, "deepest": INNER}

    async def found(name: str) -> str:
        return texts[name]

    with FakeOpenAI(Reply(text="words")) as fake:
        engine = await start(fake)
        view = await engine.run(workflow(BELOW.replace("HOW", how), Tools()), {}, workflows=found)
    assert view["status"] == "failed", view
    assert "The budget of 0.00001 dollars" in view["error"]
    assert [node["id"] for node in view["nodes"]] == ["sub"]
    assert fake.requests == []


layers = st.lists(st.integers(1, 6), min_size=1, max_size=4)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=layers,
    money=st.floats(0.3, 12),
    used=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 500)), min_size=1, max_size=8),
    most=st.sampled_from([None, 500]),
)
async def test_no_graph_passes_its_budget(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    money: float,
    used: list[tuple[int, int]],
    most: int | None,
) -> None:
    """Layers of branches, each layer behind the whole one before it; replies of any length up to what is allowed."""
    names = [[f"n{i}x{k}" for k in range(size)] for i, size in enumerate(sizes)]
    edges: list[dict[str, Any]] = [{"from": "START", "to": names[0]}]
    edges += [{"from": a, "to": after} for before, after in pairwise(names) for a in before]
    every = [name for layer in names for name in layer]
    llm = {} if most is None else {"llm": {"max_tokens": most}}
    limit = money * 500 * OUT
    document = {
        "config": {"execution": {"budget_usd": limit}},
        "state": {"fields": {name: {"type": "str"} for name in every}},
        "nodes": [{"id": n, "prompt": "Say something.", "outputs": [n], **llm} for n in every],
        "edges": edges,
    }
    turns = iter(range(1000))

    def reply(body: dict[str, Any]) -> Reply:
        prompt, completion = used[next(turns) % len(used)]
        return Reply(text="words", usage=(prompt, min(completion, body["max_tokens"])))

    path = tmp_path_factory.mktemp("runs") / "runs.db"
    with FakeOpenAI(reply) as fake:
        models = Models(ModelChoice(force_model="openai/gpt-4o-mini", api_base=fake.base_url, ollama=NOWHERE))
        async with engine_on(path, Tools(), models=models) as engine:
            view = await engine.run(workflow(yaml.safe_dump(document, sort_keys=False), Tools()), {})
            spent, reserved = await engine.store.spent(view["run_id"])
            record = await engine.record(view["run_id"])
        await models.close()
    assert spent + reserved <= limit * 1.000001
    assert view["status"] == "ok" or "The budget of" in view["error"]
    if view["status"] == "ok":
        assert (len(fake.requests), reserved) == (len(every), 0)
        assert record.cost_usd == pytest.approx(spent)
