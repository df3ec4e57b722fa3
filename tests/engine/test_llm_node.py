"""Nodes that ask a model, over real HTTP against a server that speaks the OpenAI protocol."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from engine.models import ModelChoice, Models
from tests.engine.flows import Tools, engine_on, until, workflow
from tests.fakes.openai_server import FakeOpenAI, Reply

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tools() -> Tools:
    return Tools()


@asynccontextmanager
async def engine_with(tmp_path: Path, tools: Tools, fake: FakeOpenAI, **choice: Any) -> AsyncIterator[Engine]:
    models = Models(
        ModelChoice(**{"model": "openai/fake", "api_base": fake.base_url, "api_key": "k", **choice})
    )
    try:
        async with engine_on(tmp_path / "runs.db", tools, models=models) as engine:
            yield engine
    finally:
        await models.close()


async def run(
    tmp_path: Path, tools: Tools, fake: FakeOpenAI, text: str, inputs: Any = None, **more: Any
) -> dict[str, Any]:
    async with engine_with(tmp_path, tools, fake) as engine:
        return await engine.run(workflow(text, tools), inputs or {}, **more)


GREET = """
state: {fields: {name: {type: str, required: true}, hello: str}}
nodes:
  - id: greet
    system: Be {state.name}'s friend.
    prompt: |-
      Greet {state.name}: {"a": 1}
    outputs: [hello]
"""


async def test_text_is_taken_as_it_is(tools: Tools, tmp_path: Path) -> None:
    with FakeOpenAI([Reply(" Hello,\n Ada! ", usage=(12, 5))]) as fake:
        view = await run(tmp_path, tools, fake, GREET, {"name": "Ada"})
    assert view["outputs"] == {"hello": " Hello,\n Ada! "}
    sent = fake.requests[0]
    assert [(m["role"], m["content"]) for m in sent["messages"]] == [
        ("system", "Be Ada's friend."),
        ("user", 'Greet Ada: {"a": 1}'),
    ]
    assert "response_format" not in sent
    node = view["nodes"][0]
    assert (node["prompt_tokens"], node["completion_tokens"]) == (12, 5)
    assert node["model"] == "openai/fake"
    assert node["cost_usd"] is None, "nobody knows the price of this model"
    assert (view["prompt_tokens"], view["completion_tokens"], view["cost_usd"]) == (12, 5, None)


JUDGE = """
state:
  fields:
    ticket: {type: str, default: Help!}
    score: {type: int, description: From 1 to 10}
    urgency: {type: str, enum: [low, high]}
    tags: {type: "list[str]", reduce: append, default: [new]}
"""


async def test_several_outputs_come_as_one_object(tools: Tools, tmp_path: Path) -> None:
    text = JUDGE + 'nodes: [{id: judge, prompt: "Judge {state.ticket}", outputs: [score, urgency, tags]}]'
    with FakeOpenAI([{"score": 7, "urgency": "high", "tags": ["a", "b"]}]) as fake:
        view = await run(tmp_path, tools, fake, text)
    assert view["state"] == {"ticket": "Help!", "score": 7, "urgency": "high", "tags": ["new", "a", "b"]}
    schema = fake.requests[0]["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == ["score", "urgency", "tags"]
    assert schema["properties"]["urgency"]["enum"] == ["low", "high"]
    assert schema["properties"]["score"]["description"] == "From 1 to 10"


@pytest.mark.parametrize("reply", ["7", '{"score": 7}', '{"value": 7}', '"7"'])
async def test_one_output_that_is_no_text(tools: Tools, tmp_path: Path, reply: str) -> None:
    text = JUDGE + 'nodes: [{id: judge, prompt: "Judge.", outputs: [score]}]'
    with FakeOpenAI([Reply(reply), Reply("7")]) as fake:
        view = await run(tmp_path, tools, fake, text)
    assert view["outputs"] == {"score": 7}, view["error"]


async def test_one_of_a_few_words(tools: Tools, tmp_path: Path) -> None:
    text = JUDGE + 'nodes: [{id: judge, prompt: "Judge.", outputs: [urgency]}]'
    with FakeOpenAI([Reply("high")]) as fake:
        view = await run(tmp_path, tools, fake, text)
    assert view["outputs"] == {"urgency": "high"}


async def test_an_own_schema(tools: Tools, tmp_path: Path) -> None:
    text = (
        JUDGE
        + """
nodes:
  - id: judge
    prompt: Judge.
    outputs: [score, urgency]
    output_schema:
      type: object
      fields: [{name: score, type: int}, {name: urgency, type: str}, {name: why, type: str, description: First think}]
"""
    )
    with FakeOpenAI([{"score": 3, "urgency": "low", "why": "because"}]) as fake:
        view = await run(tmp_path, tools, fake, text)
    assert view["outputs"] == {"score": 3, "urgency": "low"}
    properties = fake.requests[0]["response_format"]["json_schema"]["schema"]["properties"]
    assert properties["why"]["description"] == "First think"


async def test_what_does_not_fit_is_asked_for_once_more_with_the_reason(tools: Tools, tmp_path: Path) -> None:
    text = JUDGE + 'nodes: [{id: judge, prompt: "Judge.", outputs: [score, urgency]}]'
    wrong = Reply(value={"score": "many", "urgency": "high"}, usage=(10, 2))
    right = Reply(value={"score": 4, "urgency": "high"}, usage=(20, 3))
    with FakeOpenAI([wrong, right]) as fake:
        view = await run(tmp_path, tools, fake, text)
    assert view["outputs"]["score"] == 4
    last = fake.requests[1]["messages"][-1]["content"]
    assert "many" in last, last
    assert len(view["nodes"]) == 1, "a re-ask is no attempt"
    assert (view["prompt_tokens"], view["completion_tokens"]) == (30, 5)


async def test_what_never_fits_fails_the_node(tools: Tools, tmp_path: Path) -> None:
    text = JUDGE + 'nodes: [{id: judge, prompt: "Judge.", outputs: [score, urgency]}]'
    wrong = Reply(value={"score": 4, "urgency": "maybe"}, usage=(10, 2))
    with FakeOpenAI([wrong, wrong, wrong]) as fake:
        view = await run(tmp_path, tools, fake, text)
    assert view["status"] == "failed"
    assert view["error"].startswith("Node 'judge' failed: openai/fake was asked twice")
    assert len(fake.requests) == 2
    assert view["prompt_tokens"] == 20, "what a failed attempt used is counted"


async def test_an_empty_reply_is_asked_for_once_more(tools: Tools, tmp_path: Path) -> None:
    with FakeOpenAI(["", "Hello"]) as fake:
        view = await run(tmp_path, tools, fake, GREET, {"name": "Ada"})
    assert view["outputs"] == {"hello": "Hello"}


TOOLED = """
state: {fields: {sum: {type: int}, said: str}}
nodes:
  - {id: clerk, prompt: Add 2 and 3., tools: [add], outputs: [OUT]}
"""


async def test_tools_in_turns(tools: Tools, tmp_path: Path) -> None:
    calls = Reply(tool_calls=(("add", {"a": 2, "b": 3}), ("add", {"a": "x"}), ("subtract", {})))
    with FakeOpenAI([calls, Reply(value={"value": 5})]) as fake:
        view = await run(tmp_path, tools, fake, TOOLED.replace("OUT", "sum"))
    assert view["outputs"] == {"sum": 5}, view["error"]
    assert [t["function"]["name"] for t in fake.requests[0]["tools"]] == ["add"]
    told = [m["content"] for m in fake.requests[1]["messages"] if m["role"] == "tool"]
    assert told[0] == "5"
    assert told[1].startswith("Error: add: a must be a whole number")
    assert told[2] == "Error: there is no tool subtract. There is: add."
    assert tools.log == [("add", 2)]


async def test_tools_and_a_text(tools: Tools, tmp_path: Path) -> None:
    with FakeOpenAI([Reply(tool_calls=(("add", {"a": 2, "b": 3}),)), Reply("It is 5.")]) as fake:
        view = await run(tmp_path, tools, fake, TOOLED.replace("OUT", "said"))
    assert view["outputs"] == {"said": "It is 5."}


async def test_tools_without_end(tools: Tools, tmp_path: Path) -> None:
    with FakeOpenAI(lambda body: Reply(tool_calls=(("add", {"a": 1}),))) as fake:
        view = await run(tmp_path, tools, fake, TOOLED.replace("OUT", "said"))
    assert (
        "Node 'clerk' failed: The model has called tools 10 times without giving an answer." in view["error"]
    )
    assert len(fake.requests) == 10


async def test_a_tools_error_may_fail_the_node(tools: Tools, tmp_path: Path) -> None:
    text = TOOLED.replace("[add]", "[{name: flaky, on_error: fail}]").replace("OUT", "said")
    with FakeOpenAI(lambda body: Reply(tool_calls=(("flaky", {"times": 9, "hopeless": True}),))) as fake:
        view = await run(tmp_path, tools, fake, text)
    assert view["error"] == "Node 'clerk' failed: The server is busy. Wait a little."


async def test_a_servers_error_is_told_with_the_fix(tools: Tools, tmp_path: Path) -> None:
    with FakeOpenAI(lambda body: Reply(status=401, message="bad key")) as fake:
        view = await run(tmp_path, tools, fake, GREET, {"name": "Ada"})
    assert view["status"] == "failed"
    assert view["error"].startswith("Node 'greet' failed: ")
    assert "key" in view["error"]
    assert view["nodes"][0]["model"] is None, "nothing was used"


FORCED = """
state: {fields: {out: str}}
nodes:
  - id: a
    prompt: Hello
    llm: {provider: openai, model: dear, api_base: "http://127.0.0.1:9/v1", fallbacks: [openai/other], temperature: 0.5}
    outputs: [out]
"""


async def test_a_forced_model_overrides_the_documents(tools: Tools, tmp_path: Path) -> None:
    """Of one run, and of the installation; the document's address and fallbacks go with its model."""
    with FakeOpenAI(["done"]) as fake:
        async with engine_with(tmp_path, tools, fake) as engine:
            view = await engine.run(workflow(FORCED, tools), {}, force_model="openai/fake")
    assert view["outputs"] == {"out": "done"}, view["error"]
    with FakeOpenAI(["done"]) as other:
        async with engine_with(tmp_path, tools, other, force_model="openai/forced") as engine:
            view = await engine.run(workflow(FORCED, tools), {})
    assert view["outputs"] == {"out": "done"}, view["error"]
    assert [body["model"] for body in fake.requests + other.requests] == ["fake", "forced"]
    assert other.requests[0]["temperature"] == 0.5


async def test_the_documents_address_and_model(tools: Tools, tmp_path: Path) -> None:
    with FakeOpenAI(["done"]) as fake, FakeOpenAI(["wrong"]) as other:
        text = FORCED.replace("http://127.0.0.1:9/v1", fake.base_url)
        async with engine_with(tmp_path, tools, other) as engine:
            view = await engine.run(workflow(text, tools), {})
    assert view["outputs"] == {"out": "done"}, view["error"]
    assert fake.requests[0]["model"] == "dear"


async def test_cancelled_while_the_model_speaks(tools: Tools, tmp_path: Path) -> None:
    with FakeOpenAI(Reply("A long answer that is never heard", pause=True)) as fake:
        async with engine_with(tmp_path, tools, fake) as engine:
            run_id = await engine.start(workflow(GREET, tools), {"name": "Ada"})
            await until(fake.paused.is_set)
            await engine.cancel(run_id)
            view = await engine.wait(run_id)
        fake.release()
    assert view["status"] == "cancelled"
    assert view["prompt_tokens"] is None, "what an interrupted call cost is not known"
    assert json.dumps(view)


async def test_a_run_over_its_budget_does_not_go_on(tools: Tools, tmp_path: Path) -> None:
    """The vendor counts far more than could be foreseen: the next call is not made."""
    text = """
config: {execution: {budget_usd: BUDGET}}
state: {fields: {a: str, b: str}}
nodes:
  - {id: one, prompt: Hello, outputs: [a]}
  - {id: two, prompt: Hello again, outputs: [b]}
"""
    said = Reply("Hello", usage=(1_000_000, 0))
    for budget, status, count in (("1000", "ok", 2), ("0.02", "failed", 1)):
        with FakeOpenAI([said, said]) as fake:
            async with engine_with(tmp_path, tools, fake, model="openai/gpt-4o-mini") as engine:
                view = await engine.run(workflow(text.replace("BUDGET", budget), tools), {})
        assert (view["status"], len(fake.requests)) == (status, count), view["error"]
    assert "The budget of 0.02 dollars does not allow this call" in view["error"]
    assert "0.15 dollars are spent" in view["error"]
    assert view["cost_usd"] == pytest.approx(0.15)


LENIENT = """
state:
  fields:
    n: int
    mood: {type: str, enum: [good, bad]}
    sure: bool
    who: {type: object, schema: {name: str, age: int}}
"""


@pytest.mark.parametrize(
    ("outputs", "reply", "found"),
    [
        ("n, sure", '{"n": "42", "sure": "yes"}', {"n": 42, "sure": True}),
        ("n, sure", '{"n": 42, "sure": false, "why": "so"}', {"n": 42, "sure": False}),
        ("n", '{"value": "42"}', {"n": 42}),
        ("n", '{"n": "42", "why": "so"}', {"n": 42}),
        ("n", '"42"', {"n": 42}),
        ("sure", "Yes", {"sure": True}),
        ("mood", "Good", {"mood": "good"}),
        ("mood", '{"mood": "BAD", "why": "so"}', {"mood": "bad"}),
        ("who", '{"name": "Ada", "age": "36", "born": 1815}', {"who": {"name": "Ada", "age": 36}}),
    ],
)
async def test_what_fits_its_field_is_not_asked_for_again(
    tools: Tools, tmp_path: Path, outputs: str, reply: str, found: Any
) -> None:
    text = LENIENT + f'nodes: [{{id: judge, prompt: "Judge.", outputs: [{outputs}]}}]'
    with FakeOpenAI([Reply(reply), Reply(status=400, message="asked again")]) as fake:
        view = await run(tmp_path, tools, fake, text)
    assert view["outputs"] == found, view["error"]
    assert len(fake.requests) == 1


@pytest.mark.parametrize("reply", ['{"n": "many", "sure": true}', '{"n": 4.5, "sure": true}', '{"n": 4}'])
async def test_what_does_not_fit_its_field_is(tools: Tools, tmp_path: Path, reply: str) -> None:
    text = LENIENT + 'nodes: [{id: judge, prompt: "Judge.", outputs: [n, sure]}]'
    with FakeOpenAI([Reply(reply), {"n": 4, "sure": True}]) as fake:
        view = await run(tmp_path, tools, fake, text)
    assert (view["outputs"], len(fake.requests)) == ({"n": 4, "sure": True}, 2)


@pytest.mark.parametrize(
    ("config", "retry", "attempts"),
    [
        ("", "retry: {max_attempts: 1}", 1),
        ("", "retry: {max_attempts: 3, backoff_seconds: 0}", 3),
        ("config: {execution: {max_retries: 0}}", "description: none", 1),
        ("config: {execution: {max_retries: 1}}", "retry: {backoff_seconds: 0}", 2),
    ],
)
async def test_with_retry_every_request_is_an_attempt_with_a_row(
    tools: Tools, tmp_path: Path, config: str, retry: str, attempts: int
) -> None:
    text = config + GREET + f"    {retry}\n"
    with FakeOpenAI(lambda body: Reply(status=503)) as fake:
        view = await run(tmp_path, tools, fake, text, {"name": "Ada"})
    assert (len(fake.requests), len(view["nodes"])) == (attempts, attempts)
    assert [node["attempt"] for node in view["nodes"]] == list(range(1, attempts + 1))


async def test_without_retry_the_model_client_asks_again_by_itself(tools: Tools, tmp_path: Path) -> None:
    with FakeOpenAI([Reply(status=503), "Hello"]) as fake:
        view = await run(tmp_path, tools, fake, GREET, {"name": "Ada"})
    assert (view["status"], len(fake.requests), len(view["nodes"])) == ("ok", 2, 1)


def test_the_first_import_of_an_sdk_is_in_no_time_limit(tmp_path: Path) -> None:
    """In a process of its own, with an import that takes longer than node and run may."""
    code = """
import asyncio, json, sys, time
from pathlib import Path
from engine.models import ModelChoice, Models
from tests.engine.flows import Tools, engine_on, workflow

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "openai":
            time.sleep(1.5)
        return None

sys.meta_path.insert(0, Slow())
TEXT = '''
config: {execution: {timeout: 1}}
state: {fields: {hello: str}}
nodes: [{id: a, prompt: Hello, timeout: 0.9, retry: {max_attempts: 1}, outputs: [hello]}]
'''

async def main():
    tools = Tools()
    models = Models(ModelChoice(model="openai/fake", api_base=sys.argv[1], api_key="k"))
    assert "openai" not in sys.modules
    async with engine_on(Path(sys.argv[2]), tools, models=models) as engine:
        print(json.dumps(await engine.run(workflow(TEXT, tools), {})))
    await models.close()

asyncio.run(main())
"""
    with FakeOpenAI(["Hello"]) as fake:
        done = subprocess.run(
            [sys.executable, "-c", code, fake.base_url, str(tmp_path / "runs.db")],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=ROOT,
        )
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert view["outputs"] == {"hello": "Hello"}, view["error"]
