"""Runs through the public engine, on a real store: results, errors, retries, limits, cancel, events."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from engine.errors import InputError, NotFound
from tests.engine.flows import Tools, engine_on, until, workflow
from tests.patience import within

CHAIN = """
state: {fields: {a: {type: int, required: true}, b: {type: int}, c: {type: int, default: 7}}}
nodes:
  - {id: first, tool: add, args: {a: "{state.a}"}, outputs: [b]}
  - {id: second, tool: add, args: {a: "{state.b}", b: 10}, outputs: [b]}
"""


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
async def engine(tools: Tools, tmp_path: Path) -> AsyncIterator[Engine]:
    async with engine_on(tmp_path / "runs.db", tools) as found:
        yield found


async def test_a_run_from_start_to_end(engine: Engine, tools: Tools) -> None:
    view = await engine.run(workflow(CHAIN, tools), {"a": "3"})
    assert view["status"] == "ok"
    assert view["inputs"] == {"a": 3}
    assert view["outputs"] == {"b": 14}
    assert view["state"] == {"a": 3, "b": 14, "c": 7}
    assert [(n["id"], n["iteration"], n["attempt"], n["status"]) for n in view["nodes"]] == [
        ("first", 1, 1, "ok"),
        ("second", 1, 1, "ok"),
    ]
    assert set(view) == {
        "run_id", "workflow", "status", "inputs", "outputs", "state", "nodes", "waiting", "prompt_tokens",
        "completion_tokens", "cost_usd", "error", "created_at", "ended_at",
    }  # fmt: skip
    assert set(view["nodes"][0]) == {
        "id", "kind", "iteration", "attempt", "status", "started_at", "ended_at", "model", "prompt_tokens",
        "completion_tokens", "cost_usd", "error",
    }  # fmt: skip
    assert view["created_at"] <= view["nodes"][0]["started_at"] <= view["nodes"][1]["started_at"]
    assert view["created_at"].endswith("Z")
    assert (view["prompt_tokens"], view["cost_usd"]) == (None, None), "no model was asked"
    assert await engine.view(view["run_id"]) == view


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({}, "a", "missing"),
        ({"a": None}, "a", "missing"),
        ({"a": "three"}, "a", "'three' is not a whole number"),
        ({"a": 1, "aa": 2}, "aa", "Did you mean 'a'?"),
        ({"a": 1, "b": 2}, "b", "its nodes set it"),
    ],
)
async def test_inputs_are_checked_before_anything_is_stored(
    engine: Engine, tools: Tools, given: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InputError, match=re.escape(words)) as raised:
        await engine.start(workflow(CHAIN, tools), given)
    assert raised.value.field == field
    assert await engine.runs() == []


async def test_an_enum_is_checked(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {size: {type: str, enum: [small, large], required: true}, out: str}}
    nodes: [{id: a, tool: echo, args: {value: "{state.size}"}, outputs: [out]}]
    """
    with pytest.raises(InputError, match="'huge' is not one of 'small', 'large'"):
        await engine.run(workflow(text, tools), {"size": "huge"})
    assert (await engine.run(workflow(text, tools), {"size": "Large"}))["outputs"] == {"out": "large"}


async def test_a_node_that_fails_is_named_with_the_fix(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {n: {type: int}}}
    nodes: [{id: ask_server, tool: flaky, args: {times: 9, hopeless: true}, outputs: [n], retry: {max_attempts: 3}}]
    """
    view = await engine.run(workflow(text, tools), {})
    assert view["status"] == "failed"
    assert view["error"] == "Node 'ask_server' failed: The server is busy. Wait a little."
    assert [n["status"] for n in view["nodes"]] == ["failed"], "what is not retryable is not tried again"
    assert view["outputs"] == {}


async def test_a_foreign_bug_fails_the_node_not_the_engine(
    engine: Engine, tools: Tools, caplog: pytest.LogCaptureFixture
) -> None:
    text = "state: {fields: {n: {type: int}}}\nnodes: [{id: odd, tool: crash, outputs: [n]}]"
    view = await engine.run(workflow(text, tools), {})
    assert view["status"] == "failed"
    assert "Node 'odd' failed" in view["error"]
    assert "ZeroDivisionError: a bug in a plug-in" in view["error"]
    assert "ZeroDivisionError" in caplog.text


async def test_an_output_that_does_not_fit_is_an_error_of_the_node(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {n: {type: int}}}
    nodes: [{id: a, tool: echo, args: {value: many}, outputs: [n]}]
    """
    view = await engine.run(workflow(text, tools), {})
    assert "The output 'n' does not fit: 'many' is not a whole number." in view["error"]


@pytest.mark.parametrize(
    ("value", "outputs", "expected"),
    [
        ("{x: 1, y: two, z: 3}", "[x, y]", {"x": 1, "y": "two"}),
        ("{other: 1}", "[whole]", {"whole": {"other": 1}}),
        ("{whole: {a: 1}}", "[whole]", {"whole": {"a": 1}}),
        ("5", "[x]", {"x": 5}),
        ("5", "[]", {}),
    ],
)
async def test_what_a_tool_gives_goes_to_the_outputs(
    engine: Engine, tools: Tools, value: str, outputs: str, expected: dict[str, Any]
) -> None:
    text = f"""
    state: {{fields: {{x: {{type: int}}, y: {{type: str}}, whole: {{type: dict}}}}}}
    nodes: [{{id: a, tool: echo, args: {{value: {value}}}, outputs: {outputs}}}]
    """
    view = await engine.run(workflow(text, tools), {})
    assert view["outputs"] == expected, view["error"]


class FakeClock:
    """Sleeping takes no time, but is noted."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_what_may_pass_is_tried_again_with_growing_pauses(tools: Tools, tmp_path: Path) -> None:
    clock = FakeClock()
    text = """
    state: {fields: {n: {type: int}}}
    nodes: [{id: a, tool: flaky, args: {times: 3}, outputs: [n], retry: {max_attempts: 5, backoff_seconds: 0.5}}]
    """
    async with engine_on(tmp_path / "runs.db", tools, clock=clock) as engine:
        view = await engine.run(workflow(text, tools), {})
        events = [e async for e in engine.events(view["run_id"])]
    assert view["outputs"] == {"n": 3}
    assert clock.slept == [0.5, 1.0, 2.0]
    assert [(n["attempt"], n["status"]) for n in view["nodes"]] == [
        (1, "failed"), (2, "failed"), (3, "failed"), (4, "ok"),
    ]  # fmt: skip
    assert view["nodes"][0]["error"] == "The server is busy. Wait a little."
    assert len({key for _, key in tools.log}) == 1, "every attempt has the same idempotency key"
    assert [(e.kind, e.data.get("attempt")) for e in events[1:5]] == [
        ("node_started", 1), ("node_ended", 1), ("node_started", 2), ("node_ended", 2),
    ]  # fmt: skip


async def test_attempts_run_out(tools: Tools, tmp_path: Path) -> None:
    text = """
    config: {execution: {max_retries: 2}}
    state: {fields: {n: {type: int}}}
    nodes: [{id: a, tool: flaky, args: {times: 9}, outputs: [n]}]
    """
    async with engine_on(tmp_path / "runs.db", tools, clock=FakeClock()) as engine:
        view = await engine.run(workflow(text, tools), {})
    assert view["status"] == "failed"
    assert len(view["nodes"]) == 3, "max_retries 2 is three attempts"


async def test_an_attempt_that_takes_too_long_is_cut(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {n: {type: int}}}
    nodes: [{id: slow, tool: sleep, args: {seconds: 30, value: 1}, outputs: [n], timeout: 0.05}]
    """
    began = time.monotonic()
    view = await engine.run(workflow(text, tools), {})
    assert "Node 'slow' failed: It took longer than its 0.05 seconds. Raise `timeout`" in view["error"]
    assert time.monotonic() - began < within(5)
    assert tools.running == 0


PARALLEL = """
state: {fields: {x: {type: int}, y: {type: int}}}
nodes:
  - {id: bad, tool: BAD, outputs: [x]}
  - {id: slow, tool: sleep, args: {seconds: 30, value: 1}, outputs: [y]}
edges: [{from: START, to: [bad, slow]}]
"""


async def test_a_failing_run_cancels_its_other_branches(engine: Engine, tools: Tools) -> None:
    text = PARALLEL.replace("tool: BAD", "tool: flaky, args: {times: 9, hopeless: true}")
    view = await engine.run(workflow(text, tools), {})
    assert view["status"] == "failed"
    assert sorted((n["id"], n["status"]) for n in view["nodes"]) == [("bad", "failed"), ("slow", "cancelled")]
    assert tools.running == 0
    assert tools.log == [("flaky", f"{view['run_id']}/bad/1")]
    assert await engine.view(view["run_id"]) == view


async def test_what_must_not_be_broken_off_may_end_when_the_run_fails(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {x: {type: int}, y: {type: int}}}
    nodes:
      - {id: wait, tool: sleep, args: {seconds: 0.05, value: 1}, outputs: [x]}
      - {id: bad, tool: flaky, args: {times: 9, hopeless: true}, outputs: [x]}
      - {id: slow, tool: sleep, args: {seconds: SECONDS, value: 1}, outputs: [y]}
    edges: [{from: START, to: [wait, slow]}, {from: wait, to: bad}]
    """
    for seconds, expected in (("0.4", "ok"), ("30", "unknown")):
        flow = workflow(text.replace("SECONDS", seconds), tools)
        flow = replace(flow, nodes={**flow.nodes, "slow": replace(flow.nodes["slow"], effect="once")})
        tools.log.clear()
        run_id = await engine.start(flow, {})
        await until(lambda: any(name == "flaky" for name, _ in tools.log))
        await asyncio.sleep(0.05)
        assert (await engine.view(run_id))["status"] == "running"
        if expected == "unknown":
            await engine.cancel(run_id)
        view = await engine.wait(run_id)
        assert view["status"] == "failed"
        assert [(n["id"], n["status"]) for n in view["nodes"]][1:] == [("bad", "failed"), ("slow", expected)]
        assert view["state"]["y"] == (1 if expected == "ok" else None)


async def test_no_route_matches(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {size: {type: str, required: true}, x: {type: int}}}
    nodes:
      - {id: judge, tool: add, args: {a: 1}, outputs: [x]}
      - {id: other, tool: add, args: {a: 1}, outputs: [x]}
    edges:
      - {from: judge, routes: [{condition: "state.size == 'big' and state.x > 9", to: other}]}
    """
    view = await engine.run(workflow(text, tools), {"size": "small"})
    assert view["status"] == "failed"
    assert view["error"] == (
        "Node 'judge' failed: No route after node 'judge' matches: state.size is 'small', state.x is 2. "
        "Add a route with `condition: default`."
    )


FROM_START = """
state: {fields: {size: {type: int, required: true}, x: {type: int}}}
nodes: [{id: a, tool: add, args: {a: "{state.size}"}, outputs: [x]}]
edges:
  - {from: START, routes: [{condition: state.size > 5, to: a}, {condition: state.size > 2, to: END}]}
"""


async def test_routes_at_the_start(engine: Engine, tools: Tools) -> None:
    flow = workflow(FROM_START, tools)
    assert (await engine.run(flow, {"size": 9}))["outputs"] == {"x": 10}
    nothing = await engine.run(flow, {"size": 3})
    assert (nothing["status"], nothing["nodes"], nothing["outputs"]) == ("ok", [], {"x": None})
    failed = await engine.run(flow, {"size": 1})
    assert failed["error"].startswith("No route after START matches: state.size is 1.")
    events = [(e.id, e.kind) async for e in engine.events(failed["run_id"])]
    assert events == [(1, "run_started"), (2, "run_ended")]


async def test_a_cycle_without_end_is_stopped(engine: Engine, tools: Tools) -> None:
    text = """
    config: {execution: {max_visits: 4}}
    state: {fields: {x: {type: int, default: 0}}}
    nodes:
      - {id: a, tool: add, args: {a: "{state.x}"}, outputs: [x]}
      - {id: b, tool: add, args: {a: "{state.x}"}, outputs: [x]}
    edges:
      - {from: a, routes: [{condition: state.x < 0, to: b}, {condition: default, to: a}]}
    """
    view = await engine.run(workflow(text, tools), {})
    assert view["error"].startswith("Node 'a' failed: The cycle came back to it more than 4 times.")
    assert len(view["nodes"]) == 4


async def test_the_run_as_a_whole_has_a_limit(engine: Engine, tools: Tools) -> None:
    text = """
    config: {execution: {timeout: 0.1}}
    state: {fields: {n: {type: int}}}
    nodes: [{id: slow, tool: sleep, args: {seconds: 30}, outputs: [n]}]
    """
    view = await engine.run(workflow(text, tools), {})
    assert (
        view["error"]
        == "The run took longer than its 0.1 seconds. Raise config.execution.timeout, or do less."
    )
    assert [n["status"] for n in view["nodes"]] == ["cancelled"]


async def test_cancel_interrupts_within_a_second(engine: Engine, tools: Tools) -> None:
    text = PARALLEL.replace("tool: BAD", "tool: sleep, args: {seconds: 30}")
    run_id = await engine.start(workflow(text, tools), {})
    await until(lambda: tools.running == 2)
    began = time.monotonic()
    await engine.cancel(run_id)
    view = await engine.wait(run_id)
    assert time.monotonic() - began < within(1)
    assert view["status"] == "cancelled"
    assert view["error"] is None
    assert [n["status"] for n in view["nodes"]] == ["cancelled", "cancelled"]
    assert tools.running == 0
    await engine.cancel(run_id)
    assert (await engine.view(run_id))["status"] == "cancelled"


async def test_a_node_that_will_not_be_interrupted_is_left_behind(engine: Engine, tools: Tools) -> None:
    text = "state: {fields: {n: {type: int}}}\nnodes: [{id: a, tool: stubborn, outputs: [n]}]"
    run_id = await engine.start(workflow(text, tools), {})
    await until(lambda: tools.running == 1)
    await engine.cancel(run_id)
    view = await engine.view(run_id)
    assert (view["status"], [n["status"] for n in view["nodes"]]) == ("cancelled", ["cancelled"])
    await until(lambda: tools.running == 0)
    await asyncio.sleep(0.05)
    assert await engine.view(run_id) == view


async def test_a_node_that_breaks_itself_off_does_not_hang_the_run(engine: Engine, tools: Tools) -> None:
    text = "state: {fields: {n: {type: int}}}\nnodes: [{id: a, tool: quit, outputs: [n]}]"
    view = await asyncio.wait_for(engine.run(workflow(text, tools), {}), 5)
    assert view["error"] == "Node 'a' failed: It broke off by itself. Try again."


async def test_half_a_surrogate_pair_is_kept(engine: Engine, tools: Tools) -> None:
    """A model or a tool may give one in JSON; no file and no table takes it as it is."""
    text = """
    state: {fields: {given: {type: str, required: true}, x: {type: str}, y: {type: int}}}
    nodes: [{id: a, tool: echo, args: {value: "{state.given}"}, outputs: [x]}]
    """
    view = await engine.run(workflow(text, tools), {"given": "ü\ud800"})
    assert view["outputs"] == {"x": "ü\ud800"}
    assert await engine.view(view["run_id"]) == view
    failing = workflow(text.replace("outputs: [x]", "outputs: [y]"), tools)
    view = await engine.run(failing, {"given": "ü\ud800"})
    assert "'ü" in (await engine.view(view["run_id"]))["error"]


async def test_who_waits_may_stop_waiting(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {n: {type: int}}}
    nodes: [{id: a, tool: sleep, args: {seconds: 0.2, value: 4}, outputs: [n]}]
    """
    run_id = await engine.start(workflow(text, tools), {})
    waiter = asyncio.create_task(engine.wait(run_id))
    await asyncio.sleep(0.05)
    waiter.cancel()
    assert (await engine.wait(run_id))["outputs"] == {"n": 4}


async def test_events_rise_by_one_and_end_with_the_whole_run(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {x: {type: int}, y: {type: int}, z: {type: int}}}
    nodes:
      - {id: a, tool: sleep, args: {seconds: 0.05, value: 1}, outputs: [x]}
      - {id: b, tool: sleep, args: {seconds: 0.1, value: 1}, outputs: [y]}
      - {id: c, tool: add, args: {a: "{state.x}"}, outputs: [z]}
    edges: [{from: START, to: [a, b]}, {from: [a, b], to: c}]
    """
    run_id = await engine.start(workflow(text, tools), {})
    live = [e async for e in engine.events(run_id)]
    assert [(e.id, e.kind, e.data.get("id")) for e in live] == [
        (1, "run_started", None),
        (2, "node_started", "a"),
        (3, "node_started", "b"),
        (4, "node_ended", "a"),
        (5, "node_ended", "b"),
        (6, "node_started", "c"),
        (7, "node_ended", "c"),
        (8, "run_ended", None),
    ]
    assert live[-1].data == await engine.view(run_id)
    assert live == [e async for e in engine.events(run_id)], "from the store they are the same"
    assert [e.id for e in live if e.id > 5] == [e.id async for e in engine.events(run_id, after=5)]


async def test_a_running_run_is_shown(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {x: {type: int}, y: {type: int}}}
    nodes:
      - {id: quick, tool: add, args: {a: 1}, outputs: [x]}
      - {id: slow, tool: sleep, args: {seconds: 30}, outputs: [y]}
    """
    run_id = await engine.start(workflow(text, tools), {})
    await until(lambda: tools.running == 1)
    view = await engine.view(run_id)
    assert view["status"] == "running"
    assert view["state"]["x"] == 2
    assert [(n["id"], n["status"], n["ended_at"] is None) for n in view["nodes"]] == [
        ("quick", "ok", False),
        ("slow", "running", True),
    ]
    await engine.cancel(run_id)


async def test_secrets_reach_the_tool_and_nothing_else(tools: Tools, tmp_path: Path) -> None:
    text = """
    state: {fields: {x: {type: str}}}
    nodes: [{id: a, tool: echo, args: {value: "Bearer {secret.TOKEN}"}, outputs: [x]}]
    """
    async with engine_on(tmp_path / "runs.db", tools, secrets={"TOKEN": "s3cret-value"}) as engine:
        view = await engine.run(workflow(text, tools), {})
    assert tools.log == [("echo", "Bearer s3cret-value")]
    assert view["outputs"] == {"x": "Bearer ***"}
    stored = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert b"s3cret-value" not in stored


async def test_a_secret_that_is_not_there(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {x: {type: str}}}
    nodes: [{id: a, tool: echo, args: {value: "{secret.TOKEN}"}, outputs: [x]}]
    """
    view = await engine.run(workflow(text, tools), {})
    assert view["error"] == "Node 'a' failed: There is no secret TOKEN. Set PARLANCE_SECRET_TOKEN."


async def test_inputs_of_a_node_have_local_names(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {person: {type: dict, required: true}, x: {type: str}}}
    nodes:
      - {id: a, tool: echo, inputs: {who: state.person.name}, args: {value: "Hello {who}"}, outputs: [x]}
    """
    view = await engine.run(workflow(text, tools), {"person": {"name": "Ada"}})
    assert view["outputs"] == {"x": "Hello Ada"}
    view = await engine.run(workflow(text, tools), {"person": {"nam": "Ada"}})
    assert view["error"].startswith("Node 'a' failed: There is no 'name'")


async def test_runs_are_listed_newest_first(engine: Engine, tools: Tools) -> None:
    flow = workflow(CHAIN, tools)
    ids = [(await engine.run(flow, {"a": n}, conversation_id=f"c{n % 2}"))["run_id"] for n in range(4)]
    await engine.run(flow, {"a": 9}, owner="somebody else")
    assert [r["run_id"] for r in await engine.runs()] == ids[::-1]
    assert [r["run_id"] for r in await engine.runs(limit=1, conversation_id="c0")] == [ids[2]]
    assert (await engine.runs(limit=1))[0]["workflow"] == "test"
    assert (await engine.record(ids[0])).conversation_id == "c0"


async def test_what_is_not_there(engine: Engine) -> None:
    for call in (engine.view("x"), engine.wait("x"), engine.cancel("x"), anext(engine.events("x"))):
        with pytest.raises(NotFound):
            await call


async def test_reduced_fields_count_in_document_order(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {log: {type: "list[str]", reduce: append, default: [start]}, done: {type: int}}}
    nodes:
      - {id: a, tool: sleep, args: {seconds: 0.05, value: a}, outputs: [log]}
      - {id: b, tool: echo, args: {value: [b, b]}, outputs: [log]}
      - {id: c, tool: add, args: {a: 1}, outputs: [done]}
    edges: [{from: START, to: [a, b]}, {from: [a, b], to: c}]
    """
    view = await engine.run(workflow(text, tools), {})
    assert [n["id"] for n in view["nodes"]] == ["b", "a", "c"]
    assert view["state"]["log"] == ["start", "a", "b", "b"]
    assert await engine.view(view["run_id"]) == view
