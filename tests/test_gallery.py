"""Every example of the gallery passes the checker without a word, and runs every way it can go.

The model is a server that speaks OpenAI's protocol; what it answers depends on the prompt, so that
outputs are right only when the inputs have come through.
"""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chat.gallery import GALLERY, Gallery, read_example, split_head
from engine.check import check
from engine.engine import Engine
from engine.models import ModelChoice, Models
from engine.workflow import Workflow
from sessions.db import open_db
from sessions.runs import SqliteRunStore
from tests import gallery_scenarios
from tests.fakes.openai_server import FakeOpenAI
from tests.gallery_scenarios import Scenario
from tests.gallery_scenarios_kinds import KIND_SCENARIOS
from tools.registry import ToolRegistry
from tools.sandbox.pool import Sandbox

SCENARIOS = {**gallery_scenarios.SCENARIOS, **KIND_SCENARIOS}
PAGES = {
    "/page": ("text/plain", "A loaf costs 3 euros.\n"),
    "/data.json": ("application/json", '{"a": 1, "b": 2}'),
}
NOON = 1772357400.0  # Sunday, 1 March 2026, 9:30 UTC
CASES = [(name, number) for name, scenarios in SCENARIOS.items() for number in range(len(scenarios))]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A web server on this machine for the workflows that fetch something."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, text = PAGES[self.path]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            return

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    found.server_close()
    thread.join(5)


class FixedClock:
    """A clock that stands, so that a brief for today can be compared."""

    def now(self) -> float:
        return NOON

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("no scenario has to wait")


@dataclass
class House:
    """An engine on a database of its own, whose model is the fake."""

    engine: Engine
    store: SqliteRunStore
    fake: FakeOpenAI
    tools: ToolRegistry


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    db = open_db(tmp_path / "parlance.db", synchronous="NORMAL")
    tools = ToolRegistry(allow_private=True)
    with FakeOpenAI() as fake:
        models = Models(ModelChoice(model="openai/fake", api_base=fake.base_url, api_key="k", home=tmp_path))
        store = SqliteRunStore(db)
        sandbox = Sandbox(size=1)
        engine = Engine(store, models, tools, clock=FixedClock(), sandbox=sandbox)
        yield House(engine, store, fake, tools)
        await engine.close()
        await sandbox.close()
        await models.close()
    db.close()


def load(name: str) -> tuple[str, Workflow]:
    text = (GALLERY / f"{name}.yaml").read_text(encoding="utf-8")
    workflow = check(text, ToolRegistry()).workflow
    assert workflow is not None
    return text, workflow


def answering(scenario: Scenario) -> Any:
    """The fake's script: the one answer whose text stands in what the node asks."""

    def reply(body: dict[str, Any]) -> Any:
        asked = str(body["messages"][-1]["content"])
        found = [answer for text, answer in scenario.answers.items() if text in asked]
        assert len(found) == 1, f"{len(found)} answers for the prompt: {asked}"
        value = found[0](asked) if callable(found[0]) else found[0]
        if body.get("response_format") is None:
            return value
        schema = body["response_format"]["json_schema"]["schema"]
        return {"value": value} if set(schema["properties"]) == {"value"} else value

    return reply


async def run(house: House, scenario: Scenario, workflow: Workflow, server: str) -> dict[str, Any]:
    house.fake.script = answering(scenario)
    given = json.loads(json.dumps(dict(scenario.inputs)).replace("{server}", server))
    view = await house.engine.run(workflow, given)
    for question, reply in scenario.replies:
        asked = view["waiting"][0]
        assert question in asked["question"]
        await house.engine.answer(view["run_id"], asked["path"], reply)
        view = await house.engine.wait(view["run_id"])
    return view


def test_every_example_has_a_scenario() -> None:
    assert set(SCENARIOS) == set(Gallery().names())
    assert len(SCENARIOS) >= 16


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_checker_finds_nothing(name: str) -> None:
    text = (GALLERY / f"{name}.yaml").read_text(encoding="utf-8")
    for document in (text, read_example(GALLERY / f"{name}.yaml").yaml):
        assert [p.message for p in check(document, ToolRegistry()).problems] == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_an_example_says_of_itself_is_true(name: str) -> None:
    example = read_example(GALLERY / f"{name}.yaml")
    _, workflow = load(name)
    assert workflow.name == name
    assert example.title
    assert len(example.asks) >= 3
    assert example.tags
    assert set(example.inputs) <= set(workflow.inputs)
    assert {n for n in workflow.inputs if workflow.fields[n].required} <= set(example.inputs)
    assert all(workflow.fields[n].description for n in workflow.fields)
    assert all(node.description for node in workflow.nodes.values())
    assert (
        "".join(f"# {line}\n" for line in split_head(example.text)[0].splitlines()) + example.yaml
        == example.text
    )


@pytest.mark.parametrize(("name", "number"), CASES)
async def test_a_run_takes_its_way(house: House, server: str, name: str, number: int) -> None:
    scenario = SCENARIOS[name][number]
    _, workflow = load(name)
    view = await run(house, scenario, workflow, server)
    assert view["status"] == "ok", view["error"]
    assert view["outputs"] == {**view["outputs"], **scenario.outputs}
    ended = [node["id"] for node in view["nodes"]]
    assert_way([id for id in ended if "[" not in id], scenario)
    asked = house.fake.prompts()
    for text in scenario.prompts:
        assert any(text in prompt for prompt in asked), text
    assert len(asked) == sum(asks_model(workflow, id) for id in ended)


def asks_model(workflow: Workflow, id: str) -> bool:
    """Whether this row is of a call: of a node that runs once, or of one element of a list (`node[3]`)."""
    node = workflow.nodes[id.partition("[")[0]]
    return node.kind == "llm" and (node.each is None) == ("[" not in id)


def assert_way(nodes: list[str], scenario: Scenario) -> None:
    """The nodes as they ended; those side by side in any order."""
    for part in scenario.way:
        wanted = {part} if isinstance(part, str) else part
        assert set(nodes[: len(wanted)]) == wanted
        nodes = nodes[len(wanted) :]
    assert nodes == []


@pytest.mark.parametrize("name", SCENARIOS)
async def test_the_scenarios_take_every_edge(house: House, server: str, name: str) -> None:
    _, workflow = load(name)
    taken = set()
    for scenario in SCENARIOS[name]:
        view = await run(house, scenario, workflow, server)
        taken |= {edge for row in await house.store.rows(view["run_id"]) for edge in row.fired}
    every = {(edge.index, t) for edge in workflow.edges for t in edge.targets if edge.source != "START"}
    assert taken == every


@pytest.mark.parametrize("name", SCENARIOS)
async def test_the_example_inputs_run(house: House, server: str, name: str) -> None:
    """With values made up to fit the schemas, the fetched page on this machine, and a person who agrees."""
    example = read_example(GALLERY / f"{name}.yaml")
    _, workflow = load(name)
    here = f"{server}/data.json"
    given = {k: {"url": here, "urls": [here]}.get(k, v) for k, v in example.inputs.items()}
    view = await house.engine.run(workflow, given)
    while view["status"] == "waiting":
        asked = view["waiting"][0]
        reply = asked["options"][0] if asked["options"] else "as you like"
        await house.engine.answer(view["run_id"], asked["path"], reply)
        view = await house.engine.wait(view["run_id"])
    assert view["status"] == "ok", view["error"]
