"""What follows a failure: `continue`, another node, and what neither has a say in; the same after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from tests.engine.flows import Tools, engine_on, until, workflow

BAD = "tool: flaky, args: {times: 9, hopeless: true}"


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
async def engine(tools: Tools, tmp_path: Path) -> AsyncIterator[Engine]:
    async with engine_on(tmp_path / "runs.db", tools) as made:
        yield made


async def run(engine: Engine, tools: Tools, text: str, inputs: Any = None) -> dict[str, Any]:
    view = await engine.run(workflow(text.replace("BAD", BAD), tools), inputs or {})
    assert await engine.view(view["run_id"]) == view
    return view


def statuses(view: dict[str, Any]) -> list[tuple[str, str]]:
    return [(node["id"], node["status"]) for node in view["nodes"]]


async def test_continue_leaves_the_outputs_and_says_why(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {x: {type: int, default: 7}, why: str, before: any}}
    nodes:
      - {id: look, tool: echo, args: {value: "{state._error_bad}"}, outputs: [before]}
      - {id: bad, BAD, outputs: [x], on_error: continue}
      - {id: last, tool: echo, args: {value: "{state.x}: {state._error_bad}"}, outputs: [why]}
    """
    view = await run(engine, tools, text)
    assert (view["status"], view["error"]) == ("ok", None)
    assert statuses(view) == [("look", "ok"), ("bad", "failed"), ("last", "ok")]
    assert view["state"]["before"] is None
    assert view["state"]["x"] == 7
    assert view["state"]["why"] == "7: The server is busy. Wait a little."
    assert view["state"]["_error_bad"] == "The server is busy. Wait a little."
    assert view["outputs"] == {"why": "7: The server is busy. Wait a little."}


NAMED = """
state: {fields: {x: {type: int, default: 7}, said: str}}
nodes:
  - {id: bad, BAD, outputs: [x], on_error: mend}
  - {id: good, tool: echo, args: {value: well}, outputs: [said]}
  - {id: mend, tool: echo, args: {value: "mended: {state._error_bad}"}, outputs: [said]}
edges: [{from: START, to: bad}, {from: bad, to: good}, {from: good, to: END}, {from: mend, to: END}]
"""


async def test_a_named_node_follows_in_place_of_the_others(engine: Engine, tools: Tools) -> None:
    view = await run(engine, tools, NAMED)
    assert (view["status"], statuses(view)) == ("ok", [("bad", "failed"), ("mend", "ok")])
    assert view["state"]["said"] == "mended: The server is busy. Wait a little."


async def test_the_named_node_does_not_follow_when_all_is_well(engine: Engine, tools: Tools) -> None:
    view = await run(engine, tools, NAMED.replace("BAD", "tool: flaky, args: {times: 0}"))
    assert (view["status"], statuses(view)) == ("ok", [("bad", "ok"), ("good", "ok")])


async def test_retry_comes_first(engine: Engine, tools: Tools) -> None:
    text = NAMED.replace(
        "BAD", "tool: flaky, args: {times: 2}, retry: {max_attempts: 2, backoff_seconds: 0.01}"
    )
    view = await run(engine, tools, text)
    assert statuses(view) == [("bad", "failed"), ("bad", "failed"), ("mend", "ok")]
    tools.failures = 1
    view = await run(engine, tools, text)
    assert statuses(view) == [("bad", "failed"), ("bad", "ok"), ("good", "ok")]


async def test_a_join_waits_for_the_way_that_was_taken(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {a: {type: int, default: 0}, b: {type: int, default: 0}, c: int}}
    nodes:
      - {id: bad, WHAT, outputs: [a], on_error: mend}
      - {id: slow, tool: sleep, args: {seconds: 0.1, value: 5}, outputs: [b]}
      - {id: mend, tool: add, args: {a: 10}, outputs: [a]}
      - {id: join, tool: add, args: {a: "{state.a}", b: "{state.b}"}, outputs: [c]}
    edges:
      - {from: START, to: [bad, slow]}
      - {from: [bad, slow, mend], to: join}
    """
    view = await run(engine, tools, text.replace("WHAT", BAD))
    assert (view["status"], view["outputs"]) == ("ok", {"c": 16})
    assert statuses(view) == [("bad", "failed"), ("mend", "ok"), ("slow", "ok"), ("join", "ok")]
    view = await run(engine, tools, text.replace("WHAT", "tool: add, args: {a: 1}"))
    assert (view["status"], view["outputs"]) == ("ok", {"c": 7})
    assert statuses(view) == [("bad", "ok"), ("slow", "ok"), ("join", "ok")]


async def test_routes_see_the_error_of_a_node_that_goes_on(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {x: {type: int, default: 1}, said: str}}
    nodes:
      - {id: bad, WHAT, outputs: [x], on_error: continue}
      - {id: sad, tool: echo, args: {value: sad}, outputs: [said]}
      - {id: glad, tool: echo, args: {value: glad}, outputs: [said]}
    edges:
      - {from: START, to: bad}
      - from: bad
        routes: [{condition: "state._error_bad == null", to: glad}, {condition: default, to: sad}]
      - {from: [sad, glad], to: END}
    """
    assert (await run(engine, tools, text.replace("WHAT", BAD)))["outputs"] == {"said": "sad"}
    good = await run(engine, tools, text.replace("WHAT", "tool: add, args: {a: 1}"))
    assert good["outputs"] == {"said": "glad"}


async def test_a_time_out_is_an_error_like_any_other(engine: Engine, tools: Tools) -> None:
    text = NAMED.replace("BAD", "tool: sleep, args: {seconds: 30}, timeout: 0.1")
    view = await run(engine, tools, text)
    assert view["state"]["said"].startswith("mended: It took longer than its 0.1 seconds.")


async def test_a_cycle_by_failures_comes_to_an_end(engine: Engine, tools: Tools) -> None:
    text = """
    config: {execution: {max_visits: 5}}
    state: {fields: {x: int, y: int}}
    nodes:
      - {id: bad, BAD, outputs: [x], on_error: again}
      - {id: again, tool: add, args: {a: 1}, outputs: [y]}
    edges: [{from: START, to: bad}, {from: again, to: bad}, {from: bad, to: END}]
    """
    view = await run(engine, tools, text)
    assert view["status"] == "failed"
    assert "more than 5 times" in view["error"]


async def test_a_cancelled_run_is_not_dealt_with(engine: Engine, tools: Tools) -> None:
    text = NAMED.replace("BAD", "tool: sleep, args: {seconds: 30}")
    run_id = await engine.start(workflow(text, tools), {})
    await until(lambda: tools.running == 1)
    await engine.cancel(run_id)
    view = await engine.wait(run_id)
    assert (view["status"], statuses(view)) == ("cancelled", [("bad", "cancelled")])


@pytest.mark.parametrize("way", ["continue", "mend"])
async def test_a_failure_that_was_dealt_with_stays_so_after_a_restart(
    tools: Tools, tmp_path: Path, way: str
) -> None:
    text = f"""
    state: {{fields: {{x: {{type: int, default: 7}}, y: int, z: int, said: str}}}}
    nodes:
      - {{id: bad, {BAD}, outputs: [x], on_error: {way}}}
      - {{id: next, tool: sleep, args: {{seconds: 0.2, value: 1}}, outputs: [y]}}
      - {{id: mend, tool: sleep, args: {{seconds: 0.2, value: 2}}, outputs: [z]}}
      - {{id: last, tool: echo, args: {{value: "{{state.y}} {{state.z}} {{state._error_bad}}"}}, outputs: [said]}}
    edges: [{{from: START, to: bad}}, {{from: bad, to: next}}, {{from: [next, mend], to: last}}]
    """
    if way == "continue":
        text = text.replace(
            "{from: [next, mend], to: last}", "{from: [next, mend], to: last}, {from: START, to: mend}"
        )
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await engine.start(workflow(text, tools), {})
        await until(lambda: tools.running >= 1)
        await asyncio.sleep(0.05)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        assert await engine.recover() == [run_id]
        view = await engine.wait(run_id)
    assert view["status"] == "ok", view["error"]
    assert view["state"]["said"].endswith("The server is busy. Wait a little.")
    assert [name for name, _ in tools.log].count("flaky") == 1
