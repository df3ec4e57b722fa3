"""Sub-workflows: what goes in and comes back, which version, how deep, what their end means to who started them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.dispatch import LocalDispatcher
from engine.engine import Engine
from engine.errors import NotFound, ParlanceError, RunError, WorkflowInvalid
from engine.models import ModelChoice, Models
from engine.pins import DEEPEST, Resolver
from engine.plan import Plan
from engine.ports import NodeRow, RunRecord
from tests.engine.flows import engine_on, until, workflow
from tests.engine.nested import Probe, saved
from tests.fakes.openai_server import FakeOpenAI, Reply
from tests.patience import within

STATE = "state: {fields: {x: {type: int, required: true}, y: {type: int}, hidden: {type: int, default: 7}}}\n"
ADD = STATE + 'nodes: [{id: a, tool: add, args: {a: "{state.x}"}, outputs: [y]}]\n'
ASKS = STATE + 'nodes: [{id: q, ask: "how many for {state.x}?", outputs: [y]}]\n'
FAILS = STATE + "nodes: [{id: bad, tool: probe, args: {value: 1, fails: 99, hopeless: true}, outputs: [y]}]\n"
SLEEPS = STATE + "nodes: [{id: nap, tool: probe, args: {value: 1, seconds: 30}, outputs: [y]}]\n"

CALL = """
state: {fields: {n: {type: int, default: 4}, hidden: {type: int, default: 1}, y: {type: int}, z: {type: int}}}
nodes:
  - {id: call, workflow: child, inputs: {x: "{state.n}"}, outputs: [y] MORE}
  - {id: after, tool: add, args: {a: 1}, outputs: [z]}
"""
MAP = """
state: {fields: {xs: {type: "list[int]", default: [3, 1, 2]}, y: {type: "list[int]"}}}
nodes:
  - {id: call, workflow: child, for_each: state.xs, inputs: {x: "{item}"}, outputs: [y] MORE}
"""


@pytest.fixture
def tools() -> Probe:
    return Probe()


async def start(
    engine: Engine, tools: Probe, text: str, find: Resolver, more: str = "", **inputs: Any
) -> str:
    return await engine.start(workflow(text.replace("MORE", more), tools), inputs, workflows=find)


async def run(tmp_path: Path, tools: Probe, text: str, find: Resolver, more: str = "", **inputs: Any) -> Any:
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        return await engine.wait(await start(engine, tools, text, find, more, **inputs))


async def test_inputs_go_in_and_outputs_come_back(tools: Probe, tmp_path: Path) -> None:
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        view = await engine.wait(await start(engine, tools, CALL, saved(child=ADD)))
        assert view["status"] == "ok"
        assert view["state"] == {"n": 4, "hidden": 1, "y": 5, "z": 2}, "the child has a state of its own"
        (child,) = view["children"]
        assert (child["path"], child["status"]) == ("call", "ok")
        below = await engine.view(child["run_id"])
        assert (below["inputs"], below["state"]["hidden"]) == ({"x": 4}, 7)
        record = await engine.record(child["run_id"])
        assert (record.parent_id, record.root_id, record.depth, record.prefix) == (
            view["run_id"],
            view["run_id"],
            1,
            "call/",
        )
        assert [row.path for row in await engine.store.rows(child["run_id"])] == ["call/a"]
        assert [r["run_id"] for r in await engine.runs()] == [view["run_id"]], "children are not in the list"


async def test_once_per_element(tools: Probe, tmp_path: Path) -> None:
    view = await run(tmp_path, tools, MAP, saved(child=ADD))
    assert view["outputs"] == {"y": [4, 2, 3]}
    assert sorted(c["path"] for c in view["children"]) == ["call[0]", "call[1]", "call[2]"]


@pytest.mark.parametrize(
    ("child", "said"),
    [
        (
            ADD.replace("x: {type: int", "w: {type: int").replace("state.x", "state.w"),
            "There is no input 'x'",
        ),
        (
            ADD.replace("y: {type: int}", "y: {type: str}").replace(
                'tool: add, args: {a: "', 'tool: echo, args: {value: "no '
            ),
            "is not a whole number",
        ),
    ],
)
async def test_what_does_not_fit(tools: Probe, tmp_path: Path, child: str, said: str) -> None:
    view = await run(tmp_path, tools, CALL, saved(child=child))
    assert view["status"] == "failed"
    assert "Sub-workflow child" in view["error"]
    assert said in view["error"]


async def test_an_output_that_it_does_not_give(tools: Probe, tmp_path: Path) -> None:
    view = await run(tmp_path, tools, CALL.replace("outputs: [y]", "outputs: [n]"), saved(child=ADD))
    assert "Sub-workflow child gives no 'n'. It gives: y." in view["error"]


async def test_its_failure_is_the_nodes(tools: Probe, tmp_path: Path) -> None:
    find = saved(child=FAILS)
    view = await run(tmp_path, tools, CALL, find)
    assert view["error"].startswith(
        "Node 'call' failed: Sub-workflow child failed: Node 'bad' failed: The server is busy."
    )
    view = await run(tmp_path, tools, CALL, find, ", on_error: continue")
    assert (view["status"], view["state"]["y"], view["state"]["z"]) == ("ok", None, 2)
    assert view["state"]["_error_call"].startswith("Sub-workflow child failed: Node 'bad' failed")
    view = await run(tmp_path, tools, MAP, find, ", on_error: continue")
    assert view["outputs"] == {"y": [None, None, None]}


# --- which document ---------------------------------------------------------------------------------------


async def test_the_version_is_the_one_when_the_root_started(tools: Probe, tmp_path: Path) -> None:
    documents = {"child": ADD}
    text = CALL.replace("nodes:", "nodes:\n  - {id: first, ask: go?, outputs: [z]}")

    async def find(name: str) -> str | None:
        return await saved(**documents)(name)

    async with engine_on(tmp_path / "runs.db", tools) as engine:
        view = await engine.wait(await start(engine, tools, text, find))
        documents["child"] = FAILS
        assert view["status"] == "waiting"
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        await engine.answer(view["run_id"], "first", 1)
        assert (await engine.wait(view["run_id"]))["state"]["y"] == 5


async def refused(tmp_path: Path, tools: Probe, find: Resolver) -> ParlanceError:
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        with pytest.raises(ParlanceError) as caught:
            await start(engine, tools, CALL, find)
        assert await engine.store.find(children=True) == [], "nothing was started"
    assert tools.log == []
    return caught.value


def nested(name: str) -> str:
    return STATE + f'nodes: [{{id: down, workflow: {name}, inputs: {{x: "{{state.x}}"}}, outputs: [y]}}]\n'


async def test_refused_before_anything_runs(tools: Probe, tmp_path: Path) -> None:
    error = await refused(tmp_path, tools, saved())
    assert isinstance(error, NotFound)
    assert "starts the workflow child, and there is none" in str(error)
    error = await refused(tmp_path, tools, saved(child=nested("other"), other=nested("child")))
    assert isinstance(error, RunError)
    assert "child → other → child" in str(error)
    error = await refused(tmp_path, tools, saved(child=ADD.replace("tool: add", "tool: nope")))
    assert isinstance(error, WorkflowInvalid)
    assert str(error).startswith("The sub-workflow child has 1 problem")


async def test_so_deep_and_no_deeper(tools: Probe, tmp_path: Path) -> None:
    names = ["child", *(f"c{n}" for n in range(2, DEEPEST + 2))]
    line = {name: nested(below) for name, below in pairwise(names)}
    view = await run(tmp_path, tools, CALL, saved(**{**line, names[DEEPEST - 1]: ADD}))
    assert view["state"]["y"] == 5
    error = await refused(tmp_path / "..", Probe(), saved(**{**line, names[DEEPEST]: ADD}))
    assert f"{DEEPEST + 1} deep, and {DEEPEST} is the most" in str(error)


# --- cost, waiting, stopping ------------------------------------------------------------------------------


async def test_what_it_cost_goes_up(tools: Probe, tmp_path: Path) -> None:
    say = STATE + 'nodes: [{id: say, prompt: "{state.x}", outputs: [y]}]\n'
    with FakeOpenAI(
        [Reply("1", usage=(10, 2)), Reply("2", usage=(20, 3)), Reply("3", usage=(30, 4))]
    ) as fake:
        models = Models(ModelChoice(model="openai/fake", api_base=fake.base_url, api_key="k"))
        async with engine_on(tmp_path / "runs.db", tools, models=models) as engine:
            deep = saved(child=nested("deeper"), deeper=say)
            view = await engine.wait(await start(engine, tools, MAP, deep, ", max_parallel: 1"))
            (summary,) = await engine.runs()
        await models.close()
    assert view["outputs"] == {"y": [1, 2, 3]}
    assert (view["prompt_tokens"], view["completion_tokens"]) == (60, 9)
    assert (summary["prompt_tokens"], summary["completion_tokens"]) == (60, 9)
    assert {n["id"]: n["prompt_tokens"] for n in view["nodes"]} == {
        "call[0]": 10,
        "call[1]": 20,
        "call[2]": 30,
        "call": None,
    }


async def test_it_waits_and_so_does_who_started_it(tools: Probe, tmp_path: Path) -> None:
    find = saved(child=nested("asks"), asks=ASKS)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        view = await engine.wait(await start(engine, tools, CALL, find))
        assert (view["status"], [w["path"] for w in view["waiting"]]) == ("waiting", ["call/down/q"])
        assert [c["status"] for c in view["children"]] == ["waiting"]
        assert [w["run_id"] for w in await engine.waiting()] == [view["run_id"]]
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        answered = await engine.answer(view["run_id"], "call/down/q", 12)
        assert answered["status"] == "running", "both go on"
        view = await engine.wait(view["run_id"])
    assert (view["status"], view["state"]["y"], view["state"]["z"]) == ("ok", 12, 2)


async def test_elements_that_wait_are_answered_one_by_one(tools: Probe, tmp_path: Path) -> None:
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        view = await engine.wait(await start(engine, tools, MAP, saved(child=ASKS), ", max_parallel: 1"))
        assert [w["question"] for w in view["waiting"]] == [f"how many for {n}?" for n in (3, 1, 2)]
        for number in (1, 2, 0):
            await engine.answer(view["run_id"], f"call[{number}]/q", number)
            view = await engine.wait(view["run_id"])
    assert view["outputs"] == {"y": [0, 1, 2]}


async def test_cancelled_with_all_below(tools: Probe, tmp_path: Path) -> None:
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await start(engine, tools, MAP, saved(child=nested("naps"), naps=SLEEPS))
        await until(lambda: tools.running == 3)
        began = time.monotonic()
        await engine.cancel(run_id)
        view = await engine.wait(run_id)
        assert time.monotonic() - began < within(1)
        assert (view["status"], tools.running) == ("cancelled", 0)
        assert {c.status for c in await engine.store.find(children=True)} == {"cancelled"}


async def test_cancelled_while_it_waits(tools: Probe, tmp_path: Path) -> None:
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        view = await engine.wait(await start(engine, tools, CALL, saved(child=nested("asks"), asks=ASKS)))
        await engine.cancel(view["run_id"])
        assert {c.status for c in await engine.store.find(children=True)} == {"cancelled"}
        assert await engine.waiting() == []


async def test_a_failure_beside_it_stops_it(tools: Probe, tmp_path: Path) -> None:
    text = """
    state: {fields: {y: {type: int}, z: {type: int}}}
    nodes:
      - {id: call, workflow: child, inputs: {x: 1}, outputs: [y]}
      - {id: bad, tool: probe, args: {value: 1, seconds: 1.0, fails: 9, hopeless: true}, outputs: [z]}
    edges: [{from: START, to: [call, bad]}]
    """
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        view = await engine.wait(await start(engine, tools, text, saved(child=SLEEPS)))
        (child,) = await engine.store.children(view["run_id"])
    assert (view["status"], child.status, tools.running) == ("failed", "failed", 0)
    assert child.error == "The run that started it has failed."


async def test_too_long(tools: Probe, tmp_path: Path) -> None:
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        more = ", timeout: 0.1, retry: {max_attempts: 2, backoff_seconds: 0.01}"
        view = await engine.wait(await start(engine, tools, CALL, saved(child=SLEEPS), more))
        children = await engine.store.children(view["run_id"])
    assert "Sub-workflow child took longer than its 0.1 seconds." in view["error"]
    assert [child.status for child in children] == ["failed", "failed"], "each attempt has its own"
    assert tools.running == 0


async def test_not_tried_again_where_something_might_happen_twice(tools: Probe, tmp_path: Path) -> None:
    pays = (
        STATE
        + """nodes:
  - {id: pay, tool: pay, args: {value: 1}, outputs: [y]}
  - {id: nap, tool: probe, args: {value: 1, seconds: 30}, outputs: [hidden]}
"""
    )
    more = ", timeout: 0.3, retry: {max_attempts: 3, backoff_seconds: 0.01}"
    view = await run(tmp_path, tools, CALL, saved(child=pays), more)
    assert "took longer" in view["error"]
    assert tools.keys.count("call/pay/1") == 1


@pytest.mark.parametrize(("answer", "status"), [("stop", "failed"), ("did happen", "ok")])
@pytest.mark.parametrize("text", [CALL, MAP])
async def test_a_person_stops_the_whole_tree(
    tools: Probe, tmp_path: Path, text: str, answer: str, status: str
) -> None:
    """Whatever `on_error` says of the node that started it."""
    pays = (
        STATE + "nodes: [{id: pay, tool: pay, args: {value: 1, seconds: 30}, timeout: 0.05, outputs: [y]}]\n"
    )
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await start(engine, tools, text, saved(child=pays), ", on_error: continue")
        view = await engine.wait(run_id)
        assert view["status"] == "unknown"
        for question in view["waiting"][: 1 if answer == "stop" else None]:
            await engine.answer(run_id, question["node"], answer)
        view = await engine.wait(run_id)
    assert view["status"] == status, view
    if answer == "stop":
        assert "the run was stopped for that" in view["error"]


class Elsewhere(LocalDispatcher):
    """Leaves what is started, and what goes on, to other processes."""

    async def start(self, record: RunRecord, plan: Plan) -> None:
        await self.offer(record, plan)

    async def offer(self, record: RunRecord, plan: Plan, rows: Sequence[NodeRow] = ()) -> None:
        await self.enter()
        await self._executor.create(record, plan, rows)

    async def nudge(self, run_id: str) -> None:
        return None


@pytest.mark.parametrize("deep", [False, True])
async def test_too_long_while_who_waits_for_it_is_parked(tools: Probe, tmp_path: Path, deep: bool) -> None:
    """The child is executed by another process than its parent, which nobody executes meanwhile."""
    middle = STATE + 'nodes: [{id: m, workflow: below, inputs: {x: "{state.x}"}, outputs: [y]}]\n'
    find = saved(child=middle, below=SLEEPS) if deep else saved(child=SLEEPS)
    path, more = tmp_path / "runs.db", ", timeout: 0.4"
    async with engine_on(path, tools, dispatcher=Elsewhere) as one, engine_on(path, tools) as other:
        run_id = await start(one, tools, CALL, find, more)
        await claim(one, run_id)
        while not (await one.store.get(run_id)).parked:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        await other.recover()
        view = await other.wait(run_id)
    assert time.monotonic() - began < within(10)
    assert (view["status"], tools.running) == ("failed", 0)
    assert "took longer than its 0.4 seconds" in view["error"]


async def claim(engine: Engine, run_id: str) -> None:
    """Have the run executed by this engine."""
    run = await engine.store.get(run_id)
    dispatcher: Any = engine._dispatcher
    await dispatcher._executor.claim(run_id, run.epoch)


async def test_waiting_for_a_person_is_no_time_of_the_sub_workflow(tools: Probe, tmp_path: Path) -> None:
    asks = (
        STATE
        + """nodes:
  - {id: a, tool: probe, args: {value: 1, seconds: 0.4}, outputs: [hidden]}
  - {id: q, ask: how many?, outputs: [y]}
  - {id: b, tool: probe, args: {value: 1, seconds: SECONDS}, outputs: [hidden]}
"""
    )
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        await engine.recover()
        for seconds, status in (("0.1", "ok"), ("30", "failed")):
            find = saved(child=asks.replace("SECONDS", seconds))
            run_id = await start(engine, tools, CALL, find, ", timeout: 1.0")
            assert (await engine.wait(run_id))["status"] == "waiting"
            await asyncio.sleep(0.8)
            began = time.monotonic()
            await engine.answer(run_id, "call/q", 3)
            view = await engine.wait(run_id)
            assert view["status"] == status, view
    assert time.monotonic() - began < within(5)
    assert "took longer than its 1 seconds" in view["error"]


# --- going on ---------------------------------------------------------------------------------------------


async def test_closed_in_the_middle(tools: Probe, tmp_path: Path) -> None:
    """The successor finds the child where it was left; what it had done is not done again."""
    two = (
        STATE
        + """nodes:
  - {id: a, tool: probe, args: {value: 1}, outputs: [hidden]}
  - {id: b, tool: probe, args: {value: "{state.x}", seconds: 0.2}, outputs: [y]}
"""
    )
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await start(engine, tools, MAP, saved(child=two))
        await until(lambda: tools.running == 3)
        await asyncio.sleep(0.02)
    assert tools.running == 0
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        await engine.recover()
        view = await engine.wait(run_id)
        assert len(await engine.store.children(run_id)) == 3
    assert view["outputs"] == {"y": [3, 1, 2]}
    assert sorted(tools.keys) == sorted(
        [
            *(f"call[{n}]/a/1" for n in range(3)),
            *(f"call[{n}]/b/1" for n in range(3)),
            *(f"call[{n}]/b/1" for n in range(3)),
        ]
    )
