"""What holds for every dispatcher: what becomes of runs when processes die, stop, come back and meet each other."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from engine.errors import Conflict
from tests.engine.actor import KINDS, Where, engine_at, registry, workflow
from tests.engine.actors import Actor, Stage, stage_at
from tests.patience import within

pytestmark = pytest.mark.slow

HEAD = 'schema_version: "1.0"\nflow: {name: acting}\n'


def chain(seconds: float, length: int = 3) -> str:
    fields = ", ".join(f"s{n}: str" for n in range(length))
    nodes = "".join(
        f"  - {{id: n{n}, tool: note, args: {{value: v{n}, seconds: {seconds}}}, outputs: [s{n}]}}\n"
        for n in range(length)
    )
    edges = "".join(f"  - {{from: n{n}, to: n{n + 1}}}\n" for n in range(length - 1))
    return f"{HEAD}state: {{fields: {{{fields}}}}}\nnodes:\n{nodes}" + (f"edges:\n{edges}" if edges else "")


PAY = chain(0.05).replace(
    "tool: note, args: {value: v1, seconds: 0.05}", "tool: pay, args: {value: v1, seconds: 30}"
)
ASK = f"""{HEAD}
state: {{fields: {{a: str, b: str, c: str}}}}
nodes:
  - {{id: first, tool: note, args: {{value: x}}, outputs: [a]}}
  - {{id: approve, ask: "Go on?", outputs: [b]}}
  - {{id: last, tool: note, args: {{value: "{{state.b}}!"}}, outputs: [c]}}
edges:
  - {{from: first, to: approve}}
  - {{from: approve, to: last}}
"""


@pytest.fixture(params=KINDS)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    kind = str(request.param)
    store = str(tmp_path / "runs.db") if kind == KINDS[0] else request.getfixturevalue("postgres_url")
    return Where(kind, store, str(tmp_path / "log"))


@pytest.fixture
async def stage(where: Where) -> AsyncIterator[Stage]:
    async with stage_at(where) as made:
        yield made


@pytest.fixture
async def here(where: Where) -> AsyncIterator[Engine]:
    """This process: it executes nothing of others', and looks on."""
    async with engine_at(where) as made:
        yield made


async def look_again(stage: Stage, actor: Actor) -> None:
    """The local dispatcher looks for what the dead have left when it starts, then every 15 seconds."""
    if stage.where.kind != KINDS[2]:
        await actor.work()


async def settled(here: Engine, run_id: str, seconds: float = 30.0) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        return await here.wait(run_id)


async def test_what_is_started_ends(stage: Stage, here: Engine) -> None:
    worker = await stage.worker()
    ids = await worker.start(chain(0.01), times=5)
    views = [await settled(here, run_id) for run_id in ids]
    assert {view["status"] for view in views} == {"ok"}
    assert views[0]["state"] == {"s0": "v0", "s1": "v1", "s2": "v2"}
    assert set(stage.count("end").values()) == {1}


async def test_a_run_outlives_the_process_that_executes_it(stage: Stage, here: Engine) -> None:
    victim = await stage.worker()
    (run_id,) = await victim.start(chain(0.4, 4))
    async with asyncio.timeout(20):
        while len(await here.store.rows(run_id)) < 2:
            await asyncio.sleep(0.01)
    await victim.kill()
    finished = {row.path for row in await here.store.rows(run_id)}
    await stage.worker()
    view = await settled(here, run_id)
    assert view["status"] == "ok"
    begun = stage.count("begin")
    assert {begun[f"{run_id}/{path}/1"] for path in finished} == {1}
    assert [begun[f"{run_id}/n{n}/1"] > 0 for n in range(4)] == [True] * 4
    assert (await here.record(run_id)).epoch >= 1


async def test_an_orderly_stop_hands_runs_over(stage: Stage, here: Engine) -> None:
    first = await stage.worker()
    (run_id,) = await first.start(chain(1.0))
    await stage.until_log(lambda log: len(log) >= 1)
    assert await first.close() < within(2)
    await look_again(stage, await stage.worker())
    view = await settled(here, run_id)
    assert view["status"] == "ok"
    assert len({line[3] for line in stage.log()}) == 2


async def test_who_was_stopped_and_comes_back_writes_nothing(stage: Stage, here: Engine) -> None:
    sleeper = await stage.worker(host="elsewhere", silent=2.0)
    (run_id,) = await sleeper.start(chain(1.0))
    await stage.until_log(lambda log: len(log) >= 1)
    sleeper.signal(signal.SIGSTOP)
    local = stage.where.kind != KINDS[2]
    await asyncio.sleep(0 if local else 2.5)
    await stage.worker(ahead=40.0 if local else 0.0, silent=2.0)
    async with asyncio.timeout(20):
        while (await here.record(run_id)).epoch < (1 if local else 2):
            await asyncio.sleep(0.05)
    rows = await here.store.rows(run_id)
    sleeper.signal(signal.SIGCONT)
    view = await settled(here, run_id)
    assert view["status"] == "ok"
    after = await here.store.rows(run_id)
    assert after[: len(rows)] == rows
    assert [row.path for row in after] == ["n0", "n1", "n2"], "a row of both would be one too many"
    mine = {line[3] for line in stage.log() if line[1].endswith(("/n1/1", "/n2/1"))}
    assert str(sleeper.pid) not in mine


async def test_what_may_have_happened_is_asked_and_not_done_twice(stage: Stage, here: Engine) -> None:
    victim = await stage.worker()
    (run_id,) = await victim.start(PAY)
    await stage.until_log(lambda log: any("/n1" in line[1] for line in log))
    await victim.kill()
    await stage.worker()
    async with asyncio.timeout(20):
        while (await here.view(run_id))["status"] != "unknown":
            await asyncio.sleep(0.05)
    await here.answer(run_id, "n1", "did happen")
    view = await settled(here, run_id)
    assert view["status"] in ("ok", "failed")
    assert max(stage.count("begin").values()) == 1


async def test_cancel_interrupts_within_a_second_from_another_process(stage: Stage, here: Engine) -> None:
    worker = await stage.worker()
    (run_id,) = await worker.start(chain(30))
    await stage.until_log(lambda log: len(log) == 1)
    began = time.monotonic()
    await here.cancel(run_id)
    view = await settled(here, run_id)
    assert view["status"] == "cancelled"
    assert time.monotonic() - began < within(1)
    assert not stage.count("end")


async def test_cancel_of_what_nobody_executes_yet(stage: Stage, here: Engine) -> None:
    flow = workflow(chain(0.01), registry(Path("log")))
    run_id = await here.start(flow, {}, delay=60)
    began = time.monotonic()
    await here.cancel(run_id)
    view = await settled(here, run_id)
    assert view["status"] == "cancelled"
    assert time.monotonic() - began < within(1)
    assert stage.log() == []


async def test_a_run_waits_for_a_person_and_goes_on_elsewhere(stage: Stage, here: Engine) -> None:
    first = await stage.worker()
    (run_id,) = await first.start(ASK)
    view = await settled(here, run_id)
    assert (view["status"], [w["question"] for w in view["waiting"]]) == ("waiting", ["Go on?"])
    await first.kill()
    await stage.worker()
    await here.answer(run_id, "approve", "approve", by="me")
    view = await settled(here, run_id)
    assert (view["status"], view["state"]["c"]) == ("ok", "approve!")
    assert set(stage.count("end").values()) == {1}


async def test_of_two_answers_one_counts(stage: Stage, here: Engine, where: Where) -> None:
    worker = await stage.worker()
    (run_id,) = await worker.start(ASK)
    await settled(here, run_id)
    async with engine_at(where) as other:
        answers = await asyncio.gather(
            here.answer(run_id, "approve", "approve", by="one"),
            other.answer(run_id, "approve", "reject", by="two"),
            return_exceptions=True,
        )
        refused = [each for each in answers if isinstance(each, Conflict)]
        assert len(refused) == 1, answers
        assert "one" in str(refused[0]) or "two" in str(refused[0])
        view = await settled(here, run_id)
    assert view["state"]["c"] == ("approve!" if isinstance(answers[1], Conflict) else "reject!")
    assert stage.count("end")[f"{run_id}/last/1"] == 1


async def test_events_are_followed_from_another_process(stage: Stage, here: Engine) -> None:
    worker = await stage.worker()
    (run_id,) = await worker.start(chain(0.2))
    async with asyncio.timeout(20):
        seen = [event async for event in here.events(run_id)]
        late = [event async for event in here.events(run_id, after=3)]
    assert [event.id for event in seen] == list(range(1, len(seen) + 1))
    assert seen[-1].kind == "run_ended"
    assert [event.id for event in late] == [event.id for event in seen[3:]]


async def test_a_delayed_run_starts_then_and_not_before(stage: Stage, here: Engine) -> None:
    worker = await stage.worker()
    began = time.time()
    (run_id,) = await worker.start(chain(0.01), delay=1.5)
    view = await settled(here, run_id)
    assert view["status"] == "ok"
    started = float(stage.log()[0][2])
    assert 1.45 <= started - began < 4


async def test_the_same_id_twice_is_one_run(stage: Stage, here: Engine) -> None:
    one, two = await stage.worker(), await stage.worker()
    ids = await asyncio.gather(*(actor.start(chain(0.1), times=3, run_id="the-one") for actor in (one, two)))
    assert {run_id for found in ids for run_id in found} == {"the-one"}
    view = await settled(here, "the-one")
    assert view["status"] == "ok"
    await asyncio.sleep(0.5)
    assert set(stage.count("begin").values()) == {1}
    assert len(await here.runs()) == 1


async def test_what_is_more_urgent_is_taken_first(stage: Stage, here: Engine) -> None:
    """Runs that wait for a process to go on with them; delays keep the local dispatchers from starting at once."""
    flow = workflow(chain(0.01, 1), registry(Path("log")))
    ids = [
        await here.start(
            flow, {}, priority=priority, delay=0.3 if here._dispatcher.spreads is False else None
        )
        for priority in (5, 1, 3, 2, 4)
    ]
    await asyncio.sleep(0.4)
    await stage.worker(slots=1)
    for run_id in ids:
        await settled(here, run_id)
    begun = [line[1].split("/")[0] for line in stage.log() if line[0] == "begin"]
    assert [ids.index(run_id) for run_id in begun] == [1, 3, 2, 4, 0]


async def test_runs_go_on_after_an_upgrade_and_after_a_way_back(stage: Stage, here: Engine) -> None:
    old = await stage.worker(version="1")
    ids = await old.start(chain(0.5), times=4)
    await stage.until_log(lambda log: len(log) >= 4)
    new = await stage.worker(version="2")
    ids += await new.start(chain(0.5), times=2)
    await old.kill()
    await look_again(stage, new)
    await stage.until_log(lambda log: sum(line[3] == str(new.pid) for line in log) >= 2)
    back = await stage.worker(version="1")
    await new.kill()
    await look_again(stage, back)
    views = [await settled(here, run_id) for run_id in ids]
    assert {view["status"] for view in views} == {"ok"}


SPREAD = f"""{HEAD}
state:
  fields:
    words: {{type: "list[str]", required: true}}
    said: "list[str]"
nodes:
  - {{id: map, for_each: state.words, tool: note, args: {{value: "{{item}}!", seconds: 0.2}}, outputs: [said]}}
"""


async def test_a_big_list_spreads_over_workers(stage: Stage, here: Engine) -> None:
    words = [f"w{number}" for number in range(60)]
    first, second = await stage.worker(slots=4), await stage.worker(slots=4)
    (run_id,) = await first.start(SPREAD, {"words": words})
    view = await settled(here, run_id)
    assert view["outputs"]["said"] == [f"{word}!" for word in words]
    assert set(stage.count("end").values()) == {1}
    if here._dispatcher.spreads:
        assert {line[3] for line in stage.log()} == {str(first.pid), str(second.pid)}


async def test_cancelling_reaches_every_part_of_a_run(stage: Stage, here: Engine) -> None:
    worker = await stage.worker(slots=20)
    text = SPREAD.replace("seconds: 0.2", "seconds: 30")
    (run_id,) = await worker.start(text, {"words": [str(number) for number in range(60)]})
    await stage.until_log(lambda log: len(log) >= 8)
    began = time.monotonic()
    await here.cancel(run_id)
    view = await settled(here, run_id)
    assert view["status"] == "cancelled"
    assert time.monotonic() - began < within(1.5)
    async with asyncio.timeout(3):
        while await here.store.find(status="running", children=True):
            await asyncio.sleep(0.05)
    assert not stage.count("end")
