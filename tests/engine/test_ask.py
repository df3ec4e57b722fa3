"""Asking a person: the run waits without a task, the answer is checked, and goes on wherever it is given."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.errors import Conflict, InputError, NotFound
from tests.engine.flows import Tools, engine_on, until, workflow

APPROVE = """
state: {fields: {what: str, ok: bool, said: str}}
nodes:
  - {id: first, tool: echo, args: {value: "{state.what}!"}, outputs: [said]}
  - {id: approve, ask: "Send {state.said}?", outputs: [ok]}
  - {id: last, tool: echo, args: {value: "{state.ok}."}, outputs: [said]}
"""


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
async def engine(tools: Tools, tmp_path: Path) -> AsyncIterator[Engine]:
    async with engine_on(tmp_path / "runs.db", tools) as made:
        yield made


def statuses(view: dict[str, Any]) -> list[tuple[str, str]]:
    return [(node["id"], node["status"]) for node in view["nodes"]]


async def test_a_run_waits_for_a_person_and_goes_on_with_the_answer(engine: Engine, tools: Tools) -> None:
    view = await engine.run(workflow(APPROVE, tools), {"what": "it"})
    assert view["status"] == "waiting"
    assert view["waiting"] == [
        {
            "node": "approve",
            "path": "approve",
            "iteration": 1,
            "question": "Send it!?",
            "options": ["approve", "reject"],
            "kind": "ask",
            "default": None,
            "due_at": None,
        }
    ]
    assert statuses(view) == [("first", "ok"), ("approve", "waiting")]
    assert view["nodes"][1]["ended_at"] is None
    assert await engine.view(view["run_id"]) == view
    assert engine._dispatcher.live(view["run_id"]) is None
    assert [w["run_id"] for w in await engine.waiting()] == [view["run_id"]]

    after = await engine.answer(view["run_id"], "approve", "approve")
    assert after["waiting"] == []
    done = await engine.wait(view["run_id"])
    assert (done["status"], done["state"]["ok"], done["waiting"]) == ("ok", True, [])
    assert statuses(done) == [("first", "ok"), ("approve", "ok"), ("last", "ok")]
    assert done["nodes"][1]["started_at"] <= view["nodes"][1]["started_at"], "the time of waiting is its own"
    assert [entry for entry in tools.log if entry == ("echo", "it!")] == [("echo", "it!")]
    assert await engine.waiting() == []


async def test_events_tell_of_the_question_and_go_on_after_the_answer(engine: Engine, tools: Tools) -> None:
    run_id = await engine.start(workflow(APPROVE, tools), {"what": "it"})
    first = [event async for event in engine.events(run_id, until_waiting=True)]
    assert [event.kind for event in first] == [
        "run_started", "node_started", "node_ended", "node_started", "node_waiting",
    ]  # fmt: skip
    assert first[-1].data["waiting"] == (await engine.view(run_id))["waiting"][0]
    assert (first[-1].data["id"], first[-1].data["status"]) == ("approve", "waiting")
    await engine.answer(run_id, "approve", "no")
    rest = [event async for event in engine.events(run_id, first[-1].id)]
    assert [event.kind for event in rest] == ["node_ended", "node_started", "node_ended", "run_ended"]
    assert [event.id for event in [*first, *rest]] == list(range(1, 10))


async def test_a_second_answer_is_refused_with_who_answered_first(engine: Engine, tools: Tools) -> None:
    view = await engine.run(workflow(APPROVE, tools), {"what": "it"})
    run_id = view["run_id"]
    both = await asyncio.gather(
        engine.answer(run_id, "approve", "approve", by="anna"),
        engine.answer(run_id, "approve", "reject", by="ben"),
        return_exceptions=True,
    )
    refused = [found for found in both if isinstance(found, Conflict)]
    assert len(refused) == 1
    assert "anna" in str(refused[0]) or "ben" in str(refused[0])
    done = await engine.wait(run_id)
    assert done["state"]["ok"] is (not isinstance(both[0], Conflict))
    with pytest.raises(Conflict, match=r"anna|ben"):  # also when the run has ended
        await engine.answer(run_id, "approve", "approve", by="carla")
    with pytest.raises(NotFound, match="ended"):
        await engine.answer(run_id, "first", "approve")


async def test_what_does_not_wait_is_not_answered(engine: Engine, tools: Tools) -> None:
    view = await engine.run(workflow(APPROVE, tools), {"what": "it"})
    with pytest.raises(NotFound, match="What waits: approve"):
        await engine.answer(view["run_id"], "first", "yes")
    with pytest.raises(NotFound, match="What waits: approve"):
        await engine.answer(view["run_id"], "approve", "yes", iteration=2)
    with pytest.raises(NotFound):
        await engine.answer("nobody", "approve", "yes")


KIND = """
state: {fields: {got: FIELD}}
nodes:
  - {id: ask, ask: "Well?", outputs: [got]OPTIONS}
"""


@pytest.mark.parametrize(
    ("field", "options", "value", "expected"),
    [
        ("bool", "", "approve", True),
        ("bool", "", "REJECT", False),
        ("bool", "", "yes", True),
        ("bool", "", "no", False),
        ("bool", "", True, True),
        ("bool", ", options: [yes, no]", "no", False),
        ("int", "", "3", 3),
        ("int", "", 3, 3),
        ("int", ", options: [1, 2, 3]", "2", 2),
        ("int", ", options: [1, 2, 3]", 2, 2),
        ("float", "", "2.5", 2.5),
        ("{type: str, enum: [low, high]}", "", "High", "high"),
        ("{type: str, enum: [low, high]}", "", "low", "low"),
        ("str", ", options: [red, Green]", "green", "Green"),
        ("str", ", options: []", "anything at all", "anything at all"),
        ("str", "", "approve", "approve"),
        ("'list[int]'", "", "[1, 2]", [1, 2]),
        ("{type: 'list[str]', reduce: append}", "", "one", ["one"]),
    ],
)
async def test_answers_that_fit(
    engine: Engine, tools: Tools, field: str, options: str, value: Any, expected: Any
) -> None:
    text = KIND.replace("FIELD", field).replace("OPTIONS", options)
    view = await engine.run(workflow(text, tools), {})
    await engine.answer(view["run_id"], "ask", value)
    done = await engine.wait(view["run_id"])
    assert (done["status"], done["state"]["got"]) == ("ok", expected), done["error"]


@pytest.mark.parametrize(
    ("field", "options", "value", "says"),
    [
        ("bool", "", "perhaps", "approve, reject"),
        ("int", "", "three", "three"),
        ("int", ", options: [1, 2, 3]", "4", "1, 2, 3"),
        ("{type: str, enum: [low, high]}", "", "middle", "low, high"),
        ("str", ", options: [red, green]", "blue", "red, green"),
        ("'list[int]'", "", "[1, x]", "list"),
    ],
)
async def test_answers_that_do_not_fit_are_refused_and_not_stored(
    engine: Engine, tools: Tools, field: str, options: str, value: Any, says: str
) -> None:
    text = KIND.replace("FIELD", field).replace("OPTIONS", options)
    view = await engine.run(workflow(text, tools), {})
    with pytest.raises(InputError) as error:
        await engine.answer(view["run_id"], "ask", value)
    assert says in str(error.value)
    assert await engine.view(view["run_id"]) == view


async def test_options_may_come_from_the_state(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {names: 'list[str]', who: str}}
    nodes:
      - {id: pick, ask: "Who?", options: "{state.names}", outputs: [who]}
    """
    view = await engine.run(workflow(text, tools), {"names": ["Ann", "Bo"]})
    assert view["waiting"][0]["options"] == ["Ann", "Bo"]
    await engine.answer(view["run_id"], "pick", "bo")
    assert (await engine.wait(view["run_id"]))["state"]["who"] == "Bo"


async def test_the_answer_goes_on_in_another_process_after_a_restart(tools: Tools, tmp_path: Path) -> None:
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = (await engine.run(workflow(APPROVE, tools), {"what": "it"}))["run_id"]
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        assert await engine.recover() == []
        assert (await engine.wait(run_id))["status"] == "waiting"
        await engine.answer(run_id, "approve", "approve")
        assert (await engine.wait(run_id))["status"] == "ok"
    assert tools.log == [("echo", "it!"), ("echo", "true.")]


BESIDE = """
state: {fields: {x: int, y: int, z: int}}
nodes:
  - {id: ask, ask: "How many?", outputs: [x]}
  - {id: slow, tool: sleep, args: {seconds: 0.8, value: 1}, outputs: [y]}
  - {id: after, tool: add, args: {a: "{state.x}"}, outputs: [z]}
  - {id: join, tool: add, args: {a: "{state.z}", b: "{state.y}"}, outputs: [z]}
edges:
  - {from: START, to: [ask, slow]}
  - {from: ask, to: after}
  - {from: [after, slow], to: join}
"""


async def test_other_branches_go_on_and_the_answer_reaches_a_live_run(engine: Engine, tools: Tools) -> None:
    run_id = await engine.start(workflow(BESIDE, tools), {})
    async for event in engine.events(run_id):
        if event.kind == "node_waiting":
            break
    view = await engine.view(run_id)
    assert view["status"] == "running"
    assert sorted(statuses(view)) == [("ask", "waiting"), ("slow", "running")]
    await engine.answer(run_id, "ask", 4)
    await until(lambda: ("add", 4) in tools.log)
    assert tools.running == 1, "the slow branch has not ended"
    view = await engine.wait(run_id)
    assert (view["status"], view["outputs"]) == ("ok", {"z": 6})


async def test_a_join_waits_for_the_person(engine: Engine, tools: Tools) -> None:
    view = await engine.run(workflow(BESIDE.replace("0.8", "0.01"), tools), {})
    assert (view["status"], statuses(view)) == ("waiting", [("slow", "ok"), ("ask", "waiting")])
    await engine.answer(view["run_id"], "ask", 4)
    view = await engine.wait(view["run_id"])
    assert (view["status"], view["state"]) == ("ok", {"x": 4, "y": 1, "z": 6})


async def test_an_answer_given_in_another_process_reaches_the_owner(tools: Tools, tmp_path: Path) -> None:
    async with (
        engine_on(tmp_path / "runs.db", tools) as owner,
        engine_on(tmp_path / "runs.db", tools) as other,
    ):
        run_id = await owner.start(workflow(BESIDE.replace("0.8", "1.5"), tools), {})
        async for event in owner.events(run_id):
            if event.kind == "node_waiting":
                break
        await other.answer(run_id, "ask", 4)
        assert other._dispatcher.live(run_id) is None
        await until(lambda: ("add", 4) in tools.log)
        assert tools.running == 1
        assert (await owner.wait(run_id))["outputs"] == {"z": 6}
        assert (await other.wait(run_id))["outputs"] == {"z": 6}


LOOP = """
state: {fields: {done: bool, said: {type: 'list[str]', reduce: append}}}
nodes:
  - {id: ask, ask: "Round {state._loop_iteration_ask}: more?", options: [], outputs: [said]}
  - {id: check, tool: echo, args: {value: DONE}, outputs: [done]}
edges:
  - {from: START, to: ask}
  - {from: ask, to: check}
  - from: check
    routes: [{condition: "len(state.said) >= 3", to: END}, {condition: default, to: ask}]
"""


async def test_a_question_in_a_cycle_is_put_anew_each_time(engine: Engine, tools: Tools) -> None:
    text = LOOP.replace("DONE", "true").replace("{state._loop_iteration_ask}", "x")
    run_id = (await engine.run(workflow(text, tools), {}))["run_id"]
    for number, word in enumerate(("a", "b", "c"), 1):
        view = await engine.wait(run_id)
        assert [(w["node"], w["iteration"]) for w in view["waiting"]] == [("ask", number)]
        await engine.answer(run_id, "ask", word)
    view = await engine.wait(run_id)
    assert (view["status"], view["state"]["said"]) == ("ok", ["a", "b", "c"])


EACH = """
state: {fields: {names: 'list[str]', good: 'list[bool]'}}
nodes:
  - {id: ask, for_each: state.names, ask: "Is {item} good?", outputs: [good]}
"""


async def test_every_element_of_a_for_each_asks_and_is_answered_by_its_path(
    engine: Engine, tools: Tools
) -> None:
    view = await engine.run(workflow(EACH, tools), {"names": ["a", "b", "c"]})
    run_id = view["run_id"]
    assert view["status"] == "waiting"
    assert [(w["node"], w["question"]) for w in view["waiting"]] == [
        ("ask[0]", "Is a good?"),
        ("ask[1]", "Is b good?"),
        ("ask[2]", "Is c good?"),
    ]
    await engine.answer(run_id, "ask[2]", "reject")
    view = await engine.wait(run_id)
    assert [w["node"] for w in view["waiting"]] == ["ask[0]", "ask[1]"]
    await engine.answer(run_id, "ask", "approve")  # the oldest
    assert [w["node"] for w in (await engine.wait(run_id))["waiting"]] == ["ask[1]"]
    with pytest.raises(InputError):
        await engine.answer(run_id, "ask[1]", "perhaps")
    await engine.answer(run_id, "ask[1]", True)
    view = await engine.wait(run_id)
    assert (view["status"], view["outputs"]) == ("ok", {"good": [True, True, False]})


TIMED = """
state: {fields: {ok: bool, said: str}}
nodes:
  - {id: approve, ask: "Go?", outputs: [ok], timeout: 0.3DEFAULT}
  - {id: last, tool: echo, args: {value: "{state.ok}."}, outputs: [said]}
"""


class Shifted:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        from engine.engine import SystemClock

        self._real = SystemClock()
        self.ahead = 0.0

    def now(self) -> float:
        return self._real.now() + self.ahead

    async def sleep(self, seconds: float) -> None:
        await self._real.sleep(seconds)


async def ended(engine: Engine, run_id: str) -> dict[str, Any]:
    """The view at the run's end."""
    async with asyncio.timeout(8):
        return dict([event async for event in engine.events(run_id)][-1].data)


async def test_nobody_answers_in_time_and_the_default_is_taken(engine: Engine, tools: Tools) -> None:
    await engine.recover()
    view = await engine.run(workflow(TIMED.replace("DEFAULT", ", default: reject"), tools), {})
    assert view["waiting"][0]["default"] == "reject"
    assert view["waiting"][0]["due_at"] is not None
    done = await ended(engine, view["run_id"])
    assert (done["status"], done["state"]["ok"]) == ("ok", False)
    with pytest.raises(Conflict, match="time"):
        await engine.answer(view["run_id"], "approve", "yes")


async def test_nobody_answers_in_time_and_there_is_no_default(engine: Engine, tools: Tools) -> None:
    await engine.recover()
    run_id = await engine.start(workflow(TIMED.replace("DEFAULT", ""), tools), {})
    done = await ended(engine, run_id)
    assert done["status"] == "failed"
    assert "Nobody answered within 0.3 seconds" in done["error"]


async def test_a_question_times_out_after_a_restart(tools: Tools, tmp_path: Path) -> None:
    text = TIMED.replace("DEFAULT", ", default: approve").replace("0.3", "90000")
    clock = Shifted()
    async with engine_on(tmp_path / "runs.db", tools, clock=clock) as engine:
        run_id = (await engine.run(workflow(text, tools), {}))["run_id"]
    async with engine_on(tmp_path / "runs.db", tools, clock=clock) as engine:
        await engine.recover()
        await asyncio.sleep(1.2)
        assert (await engine.view(run_id))["status"] == "waiting"
        clock.ahead = 90_001.0
        done = await ended(engine, run_id)
    assert (done["status"], done["state"]["ok"]) == ("ok", True)


async def test_a_live_owner_that_recovers_nothing_times_its_questions_too(
    engine: Engine, tools: Tools
) -> None:
    text = """
    state: {fields: {ok: bool, y: int}}
    nodes:
      - {id: approve, ask: "Go?", outputs: [ok], timeout: 0.2, default: reject}
      - {id: slow, tool: sleep, args: {seconds: 2.6, value: 1}, outputs: [y]}
    edges: [{from: START, to: [approve, slow]}]
    """
    view = await engine.run(workflow(text, tools), {})
    assert (view["status"], view["state"]["ok"]) == ("ok", False)


async def test_a_waiting_run_is_cancelled_at_once(engine: Engine, tools: Tools) -> None:
    view = await engine.run(workflow(APPROVE, tools), {"what": "it"})
    async with asyncio.timeout(1):
        await engine.cancel(view["run_id"])
        done = await engine.wait(view["run_id"])
    assert done["status"] == "cancelled"
    assert (statuses(done), done["waiting"]) == ([("first", "ok"), ("approve", "cancelled")], [])
    assert await engine.waiting() == []
    with pytest.raises(NotFound):
        await engine.answer(view["run_id"], "approve", "yes")


async def test_a_failing_branch_ends_a_run_that_asks(engine: Engine, tools: Tools) -> None:
    text = """
    state: {fields: {ok: bool, y: int}}
    nodes:
      - {id: approve, ask: "Go?", outputs: [ok]}
      - {id: slow, tool: sleep, args: {seconds: 0.1, value: 1}, outputs: [y]}
      - {id: bad, tool: crash, outputs: [y]}
    edges: [{from: START, to: [approve, slow]}, {from: slow, to: bad}]
    """
    view = await engine.run(workflow(text, tools), {})
    assert (view["status"], view["waiting"]) == ("failed", [])
    assert ("approve", "cancelled") in statuses(view)


@pytest.mark.slow
async def test_many_waiting_runs_cost_no_task_and_no_thread(tools: Tools, tmp_path: Path, soak: bool) -> None:
    flow = workflow(APPROVE, tools)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        await engine.recover()
        await asyncio.gather(*(engine.run(flow, {"what": "it"}) for _ in range(9)))
        await asyncio.sleep(0.1)
        tasks, threads = len(asyncio.all_tasks()), threading.active_count()
        ids: list[str] = []
        for _ in range(200 if soak else 20):
            views = await asyncio.gather(*(engine.run(flow, {"what": "it"}) for _ in range(50)))
            assert {view["status"] for view in views} == {"waiting"}
            ids += [view["run_id"] for view in views]
        await asyncio.sleep(0.1)
        assert engine._dispatcher._executor._runs == {}  # type: ignore[attr-defined]
        assert len(asyncio.all_tasks()) <= tasks
        assert threading.active_count() <= threads
        await asyncio.gather(*(engine.answer(run_id, "approve", "yes") for run_id in ids[:100]))
        done = [await engine.wait(run_id) for run_id in ids[:100]]
        assert {view["status"] for view in done} == {"ok"}
        assert len(await engine.waiting(limit=800)) == 800


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(delays=st.lists(st.floats(0, 0.02), min_size=4, max_size=4), other=st.booleans())
def test_no_answer_is_lost_whenever_it_comes(
    tmp_path_factory: pytest.TempPathFactory, delays: list[float], other: bool
) -> None:
    text = """
    state: {fields: {a: str, b: str, c: str, d: str, y: int}}
    nodes:
      - {id: one, ask: "1?", options: [], outputs: [a]}
      - {id: two, ask: "2?", options: [], outputs: [b]}
      - {id: slow, tool: sleep, args: {seconds: 0.01, value: 1}, outputs: [y]}
      - {id: three, ask: "3?", options: [], outputs: [c]}
      - {id: four, ask: "4?", options: [], outputs: [d]}
    edges: [{from: START, to: [one, two, slow]}, {from: slow, to: three}, {from: one, to: four}]
    """

    async def answer(engine: Engine, run_id: str, node: str, delay: float) -> None:
        while True:
            try:
                await asyncio.sleep(delay)
                await engine.answer(run_id, node, node)
                return
            except NotFound:
                continue

    async def go() -> None:
        tools = Tools()
        path = tmp_path_factory.mktemp("race") / "runs.db"
        async with engine_on(path, tools) as owner, engine_on(path, tools) as second:
            await owner.recover()
            run_id = await owner.start(workflow(text, tools), {})
            who = second if other else owner
            async with asyncio.timeout(20):
                await asyncio.gather(
                    *(
                        answer(who, run_id, node, delay)
                        for node, delay in zip(("one", "two", "three", "four"), delays, strict=True)
                    )
                )
                view = await ended(owner, run_id)
        assert (view["status"], view["outputs"]) == (
            "ok",
            {"b": "two", "c": "three", "d": "four"},
        )
        assert view["state"]["a"] == "one"

    asyncio.run(go())
