"""Nested work under every dispatcher, with processes that are killed in the middle of it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engine.engine import Engine
from tests.engine.actor import KINDS, Where, engine_at
from tests.engine.actors import Stage, stage_at
from tests.patience import within

pytestmark = pytest.mark.slow

HEAD = 'schema_version: "1.0"\n'
COUNT = 40
MAP = f"""{HEAD}flow: {{name: mapping}}
state: {{fields: {{xs: {{type: "list[int]"}}, ys: {{type: "list[int]"}}, z: str}}}}
nodes:
  - {{id: map, tool: note, for_each: state.xs, args: {{value: "{{item}}", seconds: 0.05}}, outputs: [ys]}}
  - {{id: last, tool: note, args: {{value: end}}, outputs: [z]}}
"""
CHILD = f"""{HEAD}flow: {{name: child, outputs: [y]}}
state: {{fields: {{x: int, w: int, v: int, y: int}}}}
nodes:
  - {{id: a, tool: note, args: {{value: "{{state.x}}", seconds: 0.05}}, outputs: [w]}}
  - {{id: b, workflow: grandchild, inputs: {{x: "{{state.w}}"}}, outputs: [v]}}
  - {{id: c, tool: note, args: {{value: "{{state.v}}", seconds: 0.05}}, outputs: [y]}}
"""
GRANDCHILD = f"""{HEAD}flow: {{name: grandchild, outputs: [v]}}
state: {{fields: {{x: int, v: int}}}}
nodes:
  - {{id: d, tool: note, for_each: state.x, args: {{value: 1, seconds: 0.05}}, outputs: [v]}}
""".replace("for_each: state.x, ", "")
TREE = f"""{HEAD}flow: {{name: tree}}
state: {{fields: {{xs: {{type: "list[int]"}}, y: {{type: "list[int]"}}, z: str}}}}
nodes:
  - {{id: call, workflow: child, for_each: state.xs, inputs: {{x: "{{item}}"}}, outputs: [y]}}
  - {{id: last, tool: note, args: {{value: end}}, outputs: [z]}}
"""
ASKING = f"""{HEAD}flow: {{name: asking, outputs: [y]}}
state: {{fields: {{x: int, y: str}}}}
nodes: [{{id: q, ask: "What of {{state.x}}?", options: [keep, drop], outputs: [y]}}]
"""
ASK = TREE.replace("workflow: child", "workflow: asking").replace(
    'y: {type: "list[int]"}', 'y: {type: "list[str]"}'
)


@pytest.fixture(params=KINDS)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    kind = str(request.param)
    store = str(tmp_path / "runs.db") if kind == KINDS[0] else request.getfixturevalue("postgres_url")
    for name, text in (("child", CHILD), ("grandchild", GRANDCHILD), ("asking", ASKING)):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
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


async def settled(here: Engine, run_id: str, seconds: float = 60.0) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        return await here.wait(run_id)


async def finished(here: Engine, run_id: str) -> set[str]:
    """The keys of the calls of a run and all below it whose row is on disk."""
    rows = await here.store.rows(run_id)
    keys = {
        f"{run_id}/{row.path}/{row.iteration}" for row in rows if row.kind == "tool" and row.status == "ok"
    }
    for child in await here.store.children(run_id):
        keys |= await finished(here, child.id)
    return keys


async def killed(
    stage: Stage, here: Engine, text: str, inputs: dict[str, Any], kills: list[int]
) -> dict[str, Any]:
    """Run it; whoever executes it is killed each time so many calls have ended. Nothing that had ended runs again."""
    worker = await stage.worker()
    (run_id,) = await worker.start(text, inputs)
    ended: list[tuple[int, set[str]]] = []
    for number in kills:
        await stage.until_log(lambda log, n=number: sum(line[0] == "end" for line in log) >= n, 60)
        await worker.kill()
        ended.append((len(stage.log()), await finished(here, run_id)))
        worker = await stage.worker()
    view = await settled(here, run_id)
    for lines, keys in ended:
        again = keys & {line[1] for line in stage.log()[lines:] if line[0] == "begin"}
        assert not again, f"had ended, and ran again: {again}"
    assert view["status"] == "ok", view["error"]
    return view


def draw(most: int) -> list[int]:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    random = Random(seed)
    return sorted(random.sample(range(1, most), 2))


async def test_a_map_killed_twice(stage: Stage, here: Engine) -> None:
    view = await killed(stage, here, MAP, {"xs": list(range(COUNT))}, draw(COUNT))
    assert (view["state"]["ys"], view["state"]["z"]) == (list(range(COUNT)), "end")
    assert bool(view["children"]) == (stage.where.kind == KINDS[2]), "workers share a big map"


async def test_sub_workflows_killed_twice(stage: Stage, here: Engine) -> None:
    view = await killed(stage, here, TREE, {"xs": [1, 2, 3, 4]}, draw(12))
    assert (view["state"]["y"], view["state"]["z"]) == ([1, 1, 1, 1], "end")
    assert [child["status"] for child in view["children"]] == ["ok"] * 4
    assert max(stage.count("end").values()) <= 3


async def test_questions_below_outlive_the_process(stage: Stage, here: Engine) -> None:
    worker = await stage.worker()
    (run_id,) = await worker.start(ASK, {"xs": [1, 2, 3]})
    view = await settled(here, run_id)
    assert (view["status"], len(view["waiting"])) == ("waiting", 3)
    await worker.kill()
    await stage.worker()
    for number in (2, 0, 1):
        await here.answer(run_id, f"call[{number}]/q", "drop" if number else "keep")
    async with asyncio.timeout(30):
        while (await here.record(run_id)).end_event is None:
            await asyncio.sleep(0.02)
    assert (await here.view(run_id))["state"]["y"] == ["keep", "drop", "drop"]


async def test_cancel_reaches_all_below_from_another_process(stage: Stage, here: Engine) -> None:
    worker = await stage.worker(slots=20)
    slow = MAP.replace("seconds: 0.05", "seconds: 30")
    (run_id,) = await worker.start(slow, {"xs": list(range(COUNT))})
    await stage.until_log(lambda log: len(log) >= 8)
    began = time.monotonic()
    await here.cancel(run_id)
    view = await settled(here, run_id)
    assert view["status"] == "cancelled"
    assert time.monotonic() - began < within(1.5)
    async with asyncio.timeout(2):
        while any(child.end_event is None for child in await here.store.children(run_id)):
            await asyncio.sleep(0.02)
    assert not stage.count("end")
