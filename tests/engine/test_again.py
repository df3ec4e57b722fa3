"""Runs once more: from a node on with the rows before it kept, and with another model on what was recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from engine.errors import Conflict, InputError
from engine.models import ModelChoice, Models
from tests.engine.flows import Tools, engine_on, until, workflow
from tests.engine.nested import Spreading, saved
from tests.engine.test_dry import Acting
from tests.fakes.openai_server import FakeOpenAI, Reply

CHAIN = """
state: {fields: {a: int, b: int, c: int}}
nodes:
  - {id: first, tool: add, args: {a: 1}, outputs: [a]}
  - {id: second, tool: flaky, args: {times: TIMES, hopeless: true}, outputs: [b]}
  - {id: third, tool: add, args: {a: "{state.a}"}, outputs: [c]}
"""


@pytest.fixture
def tools() -> Acting:
    return Acting()


@pytest.fixture
async def engine(tools: Acting, tmp_path: Path) -> AsyncIterator[Engine]:
    async with engine_on(tmp_path / "runs.db", tools) as made:
        yield made


def ids(view: Mapping[str, Any]) -> list[str]:
    return [node["id"] for node in view["nodes"]]


def names(tools: Tools) -> list[str]:
    found = [name for name, _ in tools.log]
    tools.log.clear()
    return found


# --- retry -----------------------------------------------------------------------------------------------------


async def test_a_failed_run_goes_on_from_its_failed_node(engine: Engine, tools: Acting) -> None:
    first = await engine.run(workflow(CHAIN.replace("TIMES", "1"), tools), {})
    assert (first["status"], names(tools)) == ("failed", ["add", "flaky"])
    again = await engine.wait(await engine.retry(first["run_id"], "second"))
    assert (again["status"], names(tools)) == ("ok", ["flaky", "add"])
    assert again["state"] == {"a": 2, "b": 1, "c": 3}
    assert again["origin"] == {"retry_of": first["run_id"], "from": "second"}
    assert await engine.view(first["run_id"]) == first


async def test_the_document_put_right(engine: Engine, tools: Acting) -> None:
    broken = workflow(CHAIN.replace("TIMES", "9"), tools)
    first = await engine.run(broken, {})
    names(tools)
    right = workflow(
        CHAIN.replace("tool: flaky, args: {times: TIMES, hopeless: true}", "tool: add, args: {a: 7}"), tools
    )
    again = await engine.wait(await engine.retry(first["run_id"], "second", right))
    assert (again["status"], names(tools), again["state"]["b"]) == ("ok", ["add", "add"], 8)
    other = (
        CHAIN.replace("TIMES", "0")
        .replace("a: int", "a: str")
        .replace("tool: add, args: {a: 1}", "tool: echo, args: {value: x}")
    )
    changed = other.replace('args: {a: "{state.a}"}', "args: {a: 5}")
    again = await engine.wait(await engine.retry(first["run_id"], "second", workflow(changed, tools)))
    assert names(tools) == ["echo", "flaky", "add"], "what the first node wrote is of another type now"
    assert again["state"]["a"] == "x"


async def test_a_new_node_can_be_where_it_begins(engine: Engine, tools: Acting) -> None:
    first = await engine.run(workflow(CHAIN.replace("TIMES", "0"), tools), {})
    names(tools)
    more = CHAIN.replace("TIMES", "0").replace("c: int", "c: int, d: int")
    more += '  - {id: fourth, tool: add, args: {a: "{state.c}"}, outputs: [d]}\n'
    again = await engine.wait(await engine.retry(first["run_id"], "fourth", workflow(more, tools)))
    assert (names(tools), again["state"]["d"]) == (["add"], 4)


async def test_what_was_stopped_beside_a_failure_does_not_happen_twice(engine: Engine, tools: Acting) -> None:
    """`send` ends while the run is being stopped; a retry from the node that failed keeps it."""
    text = """
    state: {fields: {b: int, receipt: str, c: str, long: str}}
    nodes:
      - {id: wait, tool: sleep, args: {seconds: 0.2}}
      - {id: bad, tool: flaky, args: {times: 1, hopeless: true}, outputs: [b]}
      - {id: send, tool: send, args: {value: 1}, outputs: [receipt]}
      - {id: after, tool: echo, args: {value: "{state.receipt}"}, outputs: [c]}
    edges:
      - {from: START, to: [wait, send]}
      - {from: wait, to: bad}
      - {from: bad, to: END}
      - {from: send, to: after}
      - {from: after, to: END}
    """
    tools.hold = 0.6
    first = await engine.run(workflow(text, tools), {})
    assert (first["status"], names(tools)) == ("failed", ["sleep", "flaky", "send"])
    again = await engine.wait(await engine.retry(first["run_id"], "bad"))
    assert (again["status"], again["state"]["c"]) == ("ok", "receipt for 1")
    assert "send" not in names(tools)


async def test_what_may_have_happened_is_asked_of_in_the_retry_too(tools: Acting, tmp_path: Path) -> None:
    text = """
    state: {fields: {b: int, x: int}}
    nodes:
      - {id: wait, tool: sleep, args: {seconds: 0.2}}
      - {id: bad, tool: flaky, args: {times: 1, hopeless: true}, outputs: [b]}
      - {id: slow, tool: sleep, args: {seconds: 30}, effect: once}
    edges:
      - {from: START, to: [wait, slow]}
      - {from: wait, to: bad}
      - {from: bad, to: END}
      - {from: slow, to: END}
    """
    flow = workflow(text, tools)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await engine.start(flow, {})
        await until(lambda: tools.failures == 1)
        await engine.cancel(run_id)
        first = await engine.wait(run_id)
        assert [n["status"] for n in first["nodes"] if n["id"] == "slow"] == ["unknown"]
        again = await engine.wait(await engine.retry(run_id, "bad"))
        assert again["status"] == "unknown"
        assert [wait["node"] for wait in again["waiting"]] == ["slow"]
        assert tools.running == 0
        await engine.answer(again["run_id"], "slow", "did happen")
        assert (await engine.wait(again["run_id"]))["status"] == "ok"


async def test_from_means_the_first_visit(engine: Engine, tools: Acting) -> None:
    text = """
    state: {fields: {n: {type: int, default: 0}, big: bool, end: int}}
    nodes:
      - {id: start, tool: echo, args: {value: 1}}
      - {id: turn, tool: add, args: {a: "{state.n}"}, outputs: [n]}
      - {id: end, tool: add, args: {a: "{state.n}"}, outputs: [end]}
    edges:
      - {from: START, to: start}
      - {from: start, to: turn}
      - {from: turn, routes: [{condition: "state.n < 4", to: turn}, {condition: default, to: end}]}
      - {from: end, to: END}
    """
    first = await engine.run(workflow(text, tools), {})
    names(tools)
    again = await engine.wait(await engine.retry(first["run_id"], "turn"))
    assert (names(tools), again["state"]) == (["add"] * 5, first["state"])


async def test_what_was_paid_counts_once(tools: Acting, tmp_path: Path) -> None:
    text = """
    state: {fields: {a: str, b: str}}
    nodes:
      - {id: one, prompt: "One.", outputs: [a]}
      - {id: two, prompt: "Two: {state.a}", outputs: [b]}
    """
    with FakeOpenAI("words", models=("fake",)) as fake:
        async with asking(tmp_path, tools, fake) as engine:
            first = await engine.run(workflow(text, tools), {})
            again = await engine.wait(await engine.retry(first["run_id"], "two"))
    assert len(fake.requests) == 3
    two = next(node for node in first["nodes"] if node["id"] == "two")
    assert again["prompt_tokens"] == two["prompt_tokens"] < first["prompt_tokens"]
    assert [node["model"] for node in again["nodes"]] == [None, "openai/fake"]


async def test_what_can_not_be_retried_is_said(engine: Engine, tools: Acting) -> None:
    first = await engine.run(workflow(CHAIN.replace("TIMES", "9"), tools), {})
    with pytest.raises(InputError, match=r"There is no node 'secnd'\. Did you mean 'second'\?"):
        await engine.retry(first["run_id"], "secnd")
    with pytest.raises(InputError, match=r"never came to 'third'\. It came to: first, second"):
        await engine.retry(first["run_id"], "third")
    slow = workflow("state: {fields: {x: int}}\nnodes: [{id: n, tool: sleep, args: {seconds: 30}}]", tools)
    run_id = await engine.start(slow, {})
    with pytest.raises(Conflict, match="has not ended: it is running"):
        await engine.retry(run_id, "n")
    with pytest.raises(Conflict, match="has not ended"):
        await engine.replay(run_id, "openai/x")
    await engine.cancel(run_id)
    child = "state: {fields: {x: {type: int, required: true}, y: int}}\n"
    child += 'nodes: [{id: inner, tool: add, args: {a: "{state.x}"}, outputs: [y]}]'
    parent = "state: {fields: {y: int}}\nnodes: [{id: sub, workflow: child, inputs: {x: 1}, outputs: [y]}]"
    view = await engine.run(workflow(parent, tools), {}, workflows=saved(child=child))
    with pytest.raises(Conflict, match=f"is a part of run {view['run_id']}"):
        await engine.retry(view["children"][0]["run_id"], "inner")


async def test_a_dry_run_stays_dry(engine: Engine, tools: Acting) -> None:
    text = CHAIN.replace("TIMES", "0") + "  - {id: send, tool: send, args: {value: 1}}\n"
    first = await engine.run(workflow(text, tools), {}, dry=True)
    again = await engine.wait(await engine.retry(first["run_id"], "third"))
    assert again["dry"]
    assert again["simulated"] == first["simulated"]
    assert "send" not in names(tools)
    with pytest.raises(Conflict, match="was a dry run"):
        await engine.replay(first["run_id"], "openai/x")


# --- replay ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def asking(
    tmp_path: Path, tools: Tools, fake: FakeOpenAI, *, model: str = "openai/fake", **options: Any
) -> AsyncIterator[Engine]:
    models = Models(ModelChoice(model=model, api_base=fake.base_url, api_key="k"))
    try:
        async with engine_on(tmp_path / "runs.db", tools, models=models, **options) as engine:
            yield engine
    finally:
        await models.close()


async def replay(
    tmp_path: Path, tools: Tools, fake: FakeOpenAI, run_id: str, model: str = "openai/other", **options: Any
) -> dict[str, Any]:
    """The view of the run repeated with this model, by a process that knows its address."""
    async with asking(tmp_path, tools, fake, model=model, **options) as engine:
        return await engine.wait(await engine.replay(run_id, model))


def by_model(**answers: Any) -> Any:
    return lambda body: answers[body["model"]]


WORK = """
state:
  fields: {topic: {type: str, required: true}, idea: str, kind: str, receipt: str, number: int, said: str}
nodes:
  - {id: think, prompt: "Think of {state.topic}.", outputs: [idea]}
  - {id: count, tool: add, args: {a: 1}, outputs: [number]}
  - {id: send, tool: send, args: {value: "{state.idea}"}, outputs: [receipt]}
  - {id: approve, ask: "Shall it?", outputs: [said]}
  - {id: report, prompt: "Report {state.idea} {state.receipt} {state.said} {state.number}.", outputs: [kind]}
"""


async def test_only_models_are_asked_again(tools: Acting, tmp_path: Path) -> None:
    with FakeOpenAI(by_model(fake="old", other="new")) as fake:
        async with asking(tmp_path, tools, fake) as engine:
            run_id = await engine.start(workflow(WORK, tools), {"topic": "tea"})
            await engine.wait(run_id)
            await engine.answer(run_id, "approve", "approve")
            first = await engine.wait(run_id)
            names(tools)
            again = await replay(tmp_path, tools, fake, run_id)
            twice = await replay(tmp_path, tools, fake, again["run_id"], "openai/fake")
    assert (again["status"], again["error"], names(tools)) == ("ok", None, [])
    assert (again["state"]["idea"], again["state"]["kind"]) == ("new", "new")
    for name in ("number", "receipt", "said"):
        assert again["state"][name] == first["state"][name]
    assert "Report new receipt for old approve 2." in fake.prompts()[3]
    assert again["origin"] == {"replay_of": run_id} == twice["origin"]
    assert again["simulated"] == []
    assert twice["state"] == first["state"]


async def test_calls_with_an_effect_are_not_made_again(tools: Acting, tmp_path: Path) -> None:
    text = """
    state: {fields: {out: str}}
    nodes: [{id: clerk, prompt: "Send it.", tools: [send, echo], outputs: [out]}]
    """

    def script(body: dict[str, Any]) -> Any:
        results = [m["content"] for m in body["messages"] if m["role"] == "tool"]
        calls = 1 if body["model"] == "fake" else 2
        if len(results) < calls:
            return Reply(tool_calls=(("send", {"value": len(results) + 1}),))
        return " / ".join(results)

    with FakeOpenAI(script) as fake:
        async with asking(tmp_path, tools, fake) as engine:
            first = await engine.run(workflow(text, tools), {})
            assert first["outputs"] == {"out": "receipt for 1"}
            names(tools)
            again = await replay(tmp_path, tools, fake, first["run_id"])
    assert names(tools) == []
    assert again["outputs"]["out"].startswith("receipt for 1 / ")
    assert "not made" in again["outputs"]["out"]
    assert [each["node"] for each in again["simulated"]] == ["clerk"]


async def test_another_way_is_rehearsed_and_said(tools: Acting, tmp_path: Path) -> None:
    text = """
    state: {fields: {kind: {type: str, enum: [a, b]}, out: str}}
    nodes:
      - {id: sort, prompt: "Sort.", outputs: [kind]}
      - {id: left, tool: echo, args: {value: left}, outputs: [out]}
      - {id: right, tool: send, args: {value: right}, outputs: [out]}
    edges:
      - {from: START, to: sort}
      - {from: sort, routes: [{condition: "state.kind == 'a'", to: left}, {condition: default, to: right}]}
      - {from: left, to: END}
      - {from: right, to: END}
    """
    with FakeOpenAI(by_model(fake={"kind": "a"}, other={"kind": "b"})) as fake:
        async with asking(tmp_path, tools, fake) as engine:
            first = await engine.run(workflow(text, tools), {})
            names(tools)
            again = await replay(tmp_path, tools, fake, first["run_id"])
    assert (again["status"], again["error"], names(tools)) == ("ok", None, [])
    assert [(s["node"], "did not run" in s["why"]) for s in again["simulated"]] == [
        ("right", True),
        ("right", False),
    ]


CHILD = """
state: {fields: {x: {type: str, required: true}, y: str, t: str}}
nodes:
  - {id: think, prompt: "Think of {state.x}.", outputs: [t]}
  - {id: tell, tool: send, args: {value: "{state.x}"}, outputs: [y]}
"""
NESTED = """
state: {fields: {items: {type: "list[str]", required: true}, y: "list[str]", rs: "list[str]"}}
nodes:
  - {id: each, for_each: state.items, tool: send, args: {value: "{item}"}, outputs: [rs]}
  - {id: subs, for_each: state.items, workflow: child, inputs: {x: "{item}"}, outputs: [y]}
  - {id: sub, workflow: child, inputs: {x: one}}
"""


@pytest.mark.parametrize("spreads", [False, True])
async def test_elements_and_sub_workflows(tools: Acting, tmp_path: Path, spreads: bool) -> None:
    items = [f"i{n}" for n in range(20)]
    options = {"dispatcher": Spreading} if spreads else {}
    with FakeOpenAI(by_model(fake="old", other="new")) as fake:
        async with asking(tmp_path, tools, fake, **options) as engine:
            flow = workflow(NESTED, tools)
            first = await engine.run(flow, {"items": items}, workflows=saved(child=CHILD))
            assert first["status"] == "ok", first["error"]
            names(tools)
            asked = len(fake.requests)
            again = await replay(tmp_path, tools, fake, first["run_id"], **options)
    assert (again["status"], again["error"], names(tools)) == ("ok", None, [])
    assert len(fake.requests) == 2 * asked == 2 * 21
    assert again["state"] == first["state"]
    assert again["simulated"] == []


async def test_a_failure_is_recorded_too(tools: Acting, tmp_path: Path) -> None:
    text = """
    state: {fields: {idea: str, b: int}}
    nodes:
      - {id: soft, tool: flaky, args: {times: 1, hopeless: true}, outputs: [b], on_error: continue}
      - {id: think, prompt: "Think: {state._error_soft}", outputs: [idea]}
    """
    with FakeOpenAI("an idea") as fake:
        async with asking(tmp_path, tools, fake) as engine:
            first = await engine.run(workflow(text, tools), {})
            again = await replay(tmp_path, tools, fake, first["run_id"])
    assert names(tools) == ["flaky"]
    assert "As in the recorded run" in again["state"]["_error_soft"]
    assert "busy" in fake.prompts()[1]


# --- resume ----------------------------------------------------------------------------------------------------


async def test_what_can_not_be_resumed_is_said(tools: Acting, tmp_path: Path) -> None:
    async with (
        engine_on(tmp_path / "runs.db", tools) as engine,
        engine_on(tmp_path / "runs.db", tools) as other,
    ):
        done = await engine.run(workflow(CHAIN.replace("TIMES", "0"), tools), {})
        with pytest.raises(Conflict, match=r"has ended: ok\. Use retry"):
            await engine.resume(done["run_id"])
        slow = workflow(
            "state: {fields: {x: int}}\nnodes: [{id: n, tool: sleep, args: {seconds: 30}}]", tools
        )
        run_id = await engine.start(slow, {})
        with pytest.raises(Conflict, match=r"executed by another process\. Follow it, or cancel it"):
            await other.resume(run_id)
        assert (await engine.resume(run_id))["status"] == "running"
        await engine.cancel(run_id)


async def test_a_run_without_an_owner_is_taken_up(tools: Acting, tmp_path: Path) -> None:
    slow = workflow("state: {fields: {x: int}}\nnodes: [{id: n, tool: sleep, args: {seconds: 0.1}}]", tools)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await engine.start(slow, {})
        await until(lambda: tools.running == 1)
    async with engine_on(tmp_path / "runs.db", tools) as other:
        await other.resume(run_id)
        assert (await asyncio.wait_for(other.wait(run_id), 10))["status"] == "ok"
