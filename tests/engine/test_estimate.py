"""Estimates: what is said before a run, held against what runs over HTTP really take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from engine.estimate import Estimate, Estimator
from engine.estimate_paths import Paths
from engine.graph import Graph
from engine.models import ModelChoice, Models, tokens
from tests.engine.flows import Tools, engine_on, workflow
from tests.fakes.fitting import fitting
from tests.fakes.openai_server import FakeOpenAI, Reply

NOWHERE = "http://127.0.0.1:9"
IN, OUT = 0.15e-6, 0.6e-6
"""Dollars per token of openai/gpt-4o-mini."""

Ask = Callable[..., Any]


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    """Estimates a document for openai/gpt-4o-mini, or another model; nothing can be called."""
    made: list[Models] = []

    async def estimate(
        text: str, inputs: dict[str, Any] | None = None, model: str = "openai/gpt-4o-mini", **saved: str
    ) -> Estimate:
        models = Models(ModelChoice(model=model, ollama=NOWHERE))
        made.append(models)

        async def resolve(name: str) -> str | None:
            return saved.get(name)

        tools = Tools()
        estimator = Estimator(models, tools.registry, None, resolve)
        flow = await asyncio.to_thread(workflow, text, tools)
        return await estimator.estimate(flow, inputs or {})

    yield estimate
    for models in made:
        await models.close()


ONE = """
state: {fields: {topic: {type: str, required: true}, text: {type: str}}}
nodes:
  - {id: write, system: Be brief., prompt: "Write about {state.topic}.", outputs: [text], llm: {max_tokens: 200}}
"""


async def test_one_call_is_counted_by_the_models_own_tokenizer(ask: Ask) -> None:
    found = await ask(ONE, {"topic": "the history of tea"})
    (node,) = found.nodes
    prompt = tokens.count("Be brief.", "openai", "gpt-4o-mini")
    prompt += tokens.count("Write about the history of tea.", "openai", "gpt-4o-mini")
    prompt += 2 * tokens.PER_MESSAGE + tokens.PER_REPLY
    assert node.prompt_tokens[0] == prompt
    assert (node.calls, node.completion_tokens[1], node.basis) == ((1, 2), 400, "max_tokens")
    assert found.cost_usd == node.cost_usd
    assert found.cost_usd[1] == pytest.approx(node.prompt_tokens[1] * IN + 400 * OUT)
    assert found.unknown == ()


async def test_what_is_not_known_is_null_and_said(ask: Ask) -> None:
    found = await ask(ONE, {"topic": "tea"}, "openai/nobody-knows-it")
    assert found.cost_usd is None
    assert found.nodes[0].cost_usd is None
    assert found.prompt_tokens is not None
    assert found.unknown == ("What openai/nobody-knows-it costs is not known.",)
    missing = await ask(ONE)
    assert missing.unknown == ("The input topic is not given; its length is assumed.",)
    assert missing.prompt_tokens[0] < found.prompt_tokens[1]
    with pytest.raises(InputError, match="topc"):
        await ask(ONE, {"topc": "tea"})


@pytest.mark.parametrize("model", ["ollama/qwen3", "embedded/smollm2-135m-instruct"])
async def test_what_runs_here_is_free(ask: Ask, model: str) -> None:
    assert (await ask(ONE, {"topic": "tea"}, model)).cost_usd == (0.0, 0.0)


ROUTES = """
config: {{llm: {{max_tokens: 100}}}}
state: {{fields: {{kind: {{type: str, required: true}}, a: {{type: str}}, done: {{type: bool}}}}}}
nodes:
  - {{id: first, prompt: Hello., outputs: [a]}}
  - {{id: short, prompt: Hello., outputs: [a]}}
  - {{id: long, prompt: "{long}", outputs: [a]}}
  - {{id: again, prompt: Hello., outputs: [done]}}
edges:
  - from: first
    routes:
      - {{condition: "{condition}", to: short}}
      - {{condition: default, to: long}}
  - {{from: [short, long], to: again}}
  - {{from: again, loop: {{condition_field: done, max_iterations: 5}}}}
"""


async def test_routes_and_loops_are_a_range(ask: Ask) -> None:
    text = ROUTES.format(long="word " * 400, condition="state.a == 'x'")
    found = await ask(text, {"kind": "x"})
    assert found.calls == (3, 14)
    nodes = {node.id: node for node in found.nodes}
    assert (nodes["short"].calls, nodes["long"].calls) == ((0, 2), (0, 2))
    assert (nodes["again"].calls, nodes["again"].note) == ((1, 10), "1 to 5 visits")
    cheap = (
        sum(nodes[name].prompt_tokens[0] for name in ("first", "again")) + nodes["short"].prompt_tokens[1] / 3
    )
    assert found.prompt_tokens[0] < cheap + 50
    assert found.prompt_tokens[1] < sum(node.prompt_tokens[1] for node in found.nodes)
    assert found.prompt_tokens[1] > nodes["long"].prompt_tokens[1]


async def test_a_route_that_the_inputs_decide_is_taken(ask: Ask) -> None:
    text = ROUTES.format(long="word " * 400, condition="state.kind == 'brief'")
    brief = {node.id: node.calls for node in (await ask(text, {"kind": "brief"})).nodes}
    other = {node.id: node.calls for node in (await ask(text, {"kind": "other"})).nodes}
    assert (brief["short"], brief["long"]) == ((1, 2), (0, 0))
    assert (other["short"], other["long"]) == ((0, 0), (1, 2))


EACH = """
state:
  fields:
    topics: {type: "list[str]", required: true}
    found: {type: "list[str]"}
    texts: {type: "list[str]"}
nodes:
  - {id: write, for_each: state.topics, as: topic, prompt: "Write about {topic}.", outputs: [texts],
     llm: {max_tokens: 50}}
"""


async def test_a_list_that_is_given_is_counted(ask: Ask) -> None:
    short = await ask(EACH, {"topics": ["tea"] * 3})
    long = await ask(EACH, {"topics": ["tea", "coffee", "word " * 300]})
    assert short.calls == long.calls == (3, 6)
    assert long.prompt_tokens[0] - short.prompt_tokens[0] == pytest.approx(300, abs=5)
    assert short.completion_tokens[1] == 300
    assert (await ask(EACH, {"topics": []})).cost_usd == (0, 0)
    unknown = await ask(EACH)
    assert unknown.calls == (0, 20)
    assert "How many elements write will have is not known; up to 10 are assumed." in unknown.unknown


async def test_retries_and_turns_with_tools_are_the_upper_end(ask: Ask) -> None:
    text = """
    state: {fields: {a: {type: str}}}
    nodes:
      - {id: n, prompt: Hello., outputs: [a], llm: {max_tokens: 10}, tools: [echo], retry: {max_attempts: 3}}
    """
    (node,) = (await ask(text)).nodes
    assert (node.calls, node.completion_tokens[1]) == ((1, 60), 600)
    assert node.note == "up to 10 turns with tools, up to 3 attempts"
    assert node.prompt_tokens[1] > 60 * node.prompt_tokens[0]


async def test_a_sub_workflow_is_included(ask: Ask) -> None:
    text = """
    state: {fields: {text: {type: str}}}
    nodes: [{id: sub, workflow: inner, inputs: {topic: "the history of tea"}, outputs: [text]}]
    """
    inner = f'schema_version: "1.0"\nflow: {{name: inner}}{ONE}'
    alone = await ask(ONE, {"topic": "the history of tea"})
    within = await ask(text, inner=inner)
    assert (within.calls, within.cost_usd[1]) == (alone.calls, alone.cost_usd[1])
    lost = await ask(text)
    assert lost.cost_usd is None
    assert lost.unknown == ("What the workflow inner takes can't be told: it is not there.",)


async def test_branches_take_time_side_by_side(ask: Ask) -> None:
    names = [f"n{i}" for i in range(4)]
    fields = {name: {"type": "str"} for name in names}
    nodes = [{"id": n, "prompt": "Hi", "outputs": [n], "llm": {"max_tokens": 100}} for n in names]
    fan = {"state": {"fields": fields}, "nodes": nodes, "edges": [{"from": "START", "to": names}]}
    beside = await ask(yaml.safe_dump(fan))
    after = await ask(
        yaml.safe_dump({**fan, "edges": None} if False else {k: fan[k] for k in ("state", "nodes")})
    )
    assert after.seconds[1] == pytest.approx(4 * beside.seconds[1])
    assert after.cost_usd == beside.cost_usd


async def test_history_says_how_long_replies_are(tmp_path: Path) -> None:
    """Ten runs with replies of 11 to 20 tokens: the median and what nine of ten did not pass."""
    text = ONE.replace(", llm: {max_tokens: 200}", "")
    lengths = iter([*range(11, 21)])
    tools = Tools()
    with FakeOpenAI(lambda body: Reply(text="tea", usage=(20, next(lengths)))) as fake:
        models = Models(ModelChoice(model="openai/gpt-4o-mini", api_base=fake.base_url, ollama=NOWHERE))
        async with engine_on(tmp_path / "runs.db", tools, models=models) as engine:
            flow = workflow(text, tools)
            before = await Estimator(models, tools.registry, engine.store).estimate(flow, {"topic": "tea"})
            for _ in range(10):
                await engine.run(flow, {"topic": "tea"})
            found = await Estimator(models, tools.registry, engine.store).estimate(flow, {"topic": "tea"})
        await models.close()
    assert before.nodes[0].basis == "default"
    assert (found.nodes[0].basis, found.completion_tokens) == ("history", (15, 19))
    assert found.seconds is not None
    assert 0 < found.seconds[1] < 5


# --- against real runs ---


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_what_a_run_takes_is_within_its_estimate(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Random layers with routes, loops and maps; a fake that counts tokens as the vendor does, and at random asks
    for a second reply.
    """
    document = data.draw(documents())
    tools, cut = Tools(), data.draw(st.lists(st.booleans(), min_size=1, max_size=5))
    turns = iter(range(10_000))

    def reply(body: dict[str, Any]) -> Reply:
        text = "\n".join(str(message["content"] or "") for message in body["messages"])
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
        prompt = tokens.count(text, "openai", "gpt-4o-mini") + 4 * len(body["messages"])
        bad = cut[next(turns) % len(cut)] and len(body["messages"]) == 1
        used = (prompt, min(body["max_tokens"], 20))
        return (
            Reply(text="", usage=used)
            if bad
            else (
                Reply(value=fitting(schema), usage=used) if schema else Reply(text="some words", usage=used)
            )
        )

    with FakeOpenAI(reply) as fake:
        models = Models(ModelChoice(force_model="openai/gpt-4o-mini", api_base=fake.base_url, ollama=NOWHERE))
        path = tmp_path_factory.mktemp("runs") / "runs.db"
        async with engine_on(path, tools, models=models) as engine:
            flow = workflow(yaml.safe_dump(document, sort_keys=False), tools)
            inputs = {"items": ["tea", "coffee"]}
            found = await Estimator(models, tools.registry).estimate(flow, inputs)
            view = await engine.run(flow, inputs)
        await models.close()
    assert view["status"] == "ok", view["error"]
    assert found.cost_usd is not None
    low, high = found.cost_usd
    assert low <= view["cost_usd"] * 1.0001 <= high * 1.0002
    assert found.calls[0] <= len(fake.requests) <= found.calls[1]
    assert found.completion_tokens[1] >= view["completion_tokens"]
    assert found.prompt_tokens[1] >= view["prompt_tokens"]


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A chain of parts: a node, a loop, a map, a fork and join, a route and its join."""
    fields: dict[str, Any] = {"items": {"type": "list[str]", "required": True}, "done": {"type": "bool"}}
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []
    last = ["START"]
    llm = {"llm": {"max_tokens": draw(st.integers(20, 60))}}
    for number, kind in enumerate(draw(st.lists(st.sampled_from(sorted(_PARTS)), min_size=1, max_size=4))):
        name = f"p{number}"
        made, inside, ends = _PARTS[kind](name)
        for node in made:
            fields[node["outputs"][0]] = node.pop("type", {"type": "str"})
            nodes.append({**node, **llm})
        edges.append({"from": last, "to": [made[0]["id"]]})
        edges += inside
        last = ends
    edges.append({"from": last, "to": "END"})
    return {"state": {"fields": fields}, "nodes": nodes, "edges": edges}


def _node(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "prompt": f"Say {name}, and {{state.items}}.", "outputs": [f"{name}_out"], **more}


Part = tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]


def _map(name: str) -> Part:
    node = _node(name, for_each="state.items", type={"type": "list[str]"})
    return [{**node, "prompt": "Say {item}."}], [], [name]


def _fork(name: str) -> Part:
    a, b, c, d = (f"{name}{letter}" for letter in "abcd")
    inside = [{"from": a, "to": [b, c]}, {"from": [b, c], "to": d}]
    return [_node(n) for n in (a, b, c, d)], inside, [d]


def _route(name: str) -> Part:
    a, b, c, d = (f"{name}{letter}" for letter in "abcd")
    routes = [{"condition": f"state.{a}_out == 'x'", "to": b}, {"condition": "default", "to": c}]
    inside: list[dict[str, Any]] = [{"from": a, "routes": routes}, {"from": [b, c], "to": d}]
    return [_node(n) for n in (a, b, c, d)], inside, [d]


def _loop(name: str) -> Part:
    a, b = f"{name}a", f"{name}b"
    loop = {"condition_field": f"{a}_out", "max_iterations": 3, "exit_to": b}
    return [_node(a, type={"type": "bool"}), _node(b)], [{"from": a, "loop": loop}], [b]


_PARTS: dict[str, Callable[[str], Part]] = {
    "node": lambda name: ([_node(name)], [], [name]),
    "map": _map,
    "fork": _fork,
    "route": _route,
    "loop": _loop,
}


# --- speed and the ways ---


async def test_a_hundred_nodes_take_50_ms(ask: Ask) -> None:
    names = [f"n{i}" for i in range(100)]
    nodes = [
        {"id": n, "prompt": f"Write something about {{state.x}} and say {n}. " * 8, "outputs": [n]}
        for n in names
    ]
    fields = {"x": {"type": "str", "required": True}} | {name: {"type": "str"} for name in names}
    text = yaml.safe_dump({"state": {"fields": fields}, "nodes": nodes}, sort_keys=False)
    await ask(text, {"x": "tea"})
    models = Models(ModelChoice(model="openai/gpt-4o-mini", ollama=NOWHERE))
    tools = Tools()
    flow, estimator = await asyncio.to_thread(workflow, text, tools), Estimator(models, tools.registry)
    spent = []
    for _ in range(5):
        began = time.process_time()
        await estimator.estimate(flow, {"x": "tea " * 50})
        spent.append(time.process_time() - began)
    await models.close()
    print(f"{min(spent) * 1000:.0f} ms")
    assert min(spent) < 0.05


async def test_many_routes_only_widen_the_range(ask: Ask) -> None:
    """Thirty diamonds have a thousand million ways; the range is told at once, and it holds them all."""
    count = 30
    llm = {"llm": {"max_tokens": 10}}
    nodes = [{"id": f"r{i}", "prompt": "Hi", "outputs": ["x"], **llm} for i in range(count + 1)]
    nodes += [
        {"id": f"{side}{i}", "prompt": "Hi", "outputs": ["x"], **llm} for i in range(count) for side in "ab"
    ]
    edges: list[dict[str, Any]] = []
    for i in range(count):
        ways = [{"condition": "state.x == 'a'", "to": f"a{i}"}, {"condition": "default", "to": f"b{i}"}]
        edges += [{"from": f"r{i}", "routes": ways}, {"from": [f"a{i}", f"b{i}"], "to": f"r{i + 1}"}]
    document = {"state": {"fields": {"x": {"type": "str"}}}, "nodes": nodes, "edges": edges}
    found = await ask(yaml.safe_dump(document, sort_keys=False))
    low, high = found.calls
    assert count + 1 <= low <= 2 * count + 1
    assert high >= 2 * (2 * count + 1)


def test_a_circle_of_routes_may_go_round_and_must_end() -> None:
    text = """
    config: {execution: {max_visits: 7}}
    state: {fields: {a: {type: str}}}
    nodes:
      - {id: one, prompt: Hi, outputs: [a]}
      - {id: two, prompt: Hi, outputs: [a]}
      - {id: end, prompt: Hi, outputs: [a]}
    edges:
      - {from: one, to: two}
      - from: two
        routes: [{condition: "state.a == 'x'", to: end}, {condition: default, to: one}]
      - {from: end, to: END}
    """
    paths = Paths(Graph(workflow(text, Tools())), lambda edge: None)
    assert [way.nodes for way in paths.fewest()] == [(0, 1, 2)]
    (most,) = paths.most()
    assert (most.nodes, most.again) == ((0, 1, 2), (7, 7, 1))
