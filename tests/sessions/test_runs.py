"""The store of runs: what goes in comes out, under the fence of the run's epoch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import FenceLost, NotFound
from engine.ports import NodeRow, Process, RunEnd, RunRecord
from sessions.db import open_db
from sessions.runs import SqliteRunStore

RUN = RunRecord(
    id="r1",
    workflow="greet",
    yaml="flow: greet\n",
    inputs={"name": "Ada", "n": [1, None, {"ü": 2.5}]},
    status="running",
    created_at=1000.25,
    owner="local",
    conversation_id="c1",
    message_id="m1",
    force_model="openai/x",
    digest="d1",
    shape={"fields": {"name": [None, None]}, "inputs": ["name"], "outputs": []},
    process="p1",
    starts=(("a", "tool", 1, 1),),
    root_id="r1",
)
ROW = NodeRow(
    run_id="r1",
    path="a",
    node="a",
    kind="llm",
    iteration=1,
    attempt=2,
    status="ok",
    started_at=1.5,
    ended_at=2.75,
    writes={"x": ["ä", {"b": None}]},
    fired=((0, "b"), (2, "END")),
    model="m",
    prompt_tokens=3,
    completion_tokens=4,
    cost_usd=0.25,
    error=None,
    seq=1,
    event=3,
    starts=(("b", "tool", 1, 1),),
)


@pytest.fixture(params=["FULL", "NORMAL"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteRunStore]:
    db = open_db(tmp_path / "runs.db", synchronous=request.param)
    yield SqliteRunStore(db)
    db.close()


async def test_a_run_comes_back_as_it_was(store: SqliteRunStore) -> None:
    await store.create(RUN)
    found = await store.get("r1")
    assert replace(found, inputs=dict(found.inputs), shape=dict(found.shape)) == RUN
    with pytest.raises(NotFound, match="There is no run nope"):
        await store.get("nope")


async def test_rows_come_back_as_they_were_and_in_order(store: SqliteRunStore) -> None:
    await store.create(RUN)
    bare = NodeRow("r1", "sub/b[3]", "b", "tool", 1, 1, "failed", 0.0, 0.0, error="no", seq=2, event=5)
    await store.append("r1", 0, [ROW])
    await store.append("r1", 0, [bare])
    assert await store.rows("r1") == [ROW, bare]
    assert await store.rows("r1", 1) == [bare]
    assert await store.rows("nope") == []


async def test_text_that_sqlite_does_not_take(store: SqliteRunStore) -> None:
    await store.create(RUN)
    await store.append("r1", 0, [replace(ROW, writes={"x": "ü\ud800"}, error="\ud800 is odd")])
    (row,) = await store.rows("r1")
    assert row.writes == {"x": "ü\ud800"}
    assert row.error == "? is odd"


async def test_rows_of_runs_do_not_mix(store: SqliteRunStore) -> None:
    for name in ("r1", "r2", "r3"):
        await store.create(replace(RUN, id=name))
    own = {
        name: replace(ROW, run_id=name, node=f"of {name}", path=f"of {name}") for name in ("r1", "r2", "r3")
    }
    await asyncio.gather(*(store.append(name, 0, [row]) for name, row in own.items()))
    for name, row in own.items():
        assert await store.rows(name) == [row]


async def test_the_end_is_written_with_the_last_rows(store: SqliteRunStore) -> None:
    await store.create(RUN)
    end = RunEnd("failed", 2000.5, 9, "It broke.", (2, 1), 10, 20, 0.5)
    first = store.append("r1", 0, [ROW])
    last = store.append("r1", 0, [replace(ROW, seq=2)], end)
    await asyncio.gather(first, last)
    run = await store.get("r1")
    assert (run.status, run.ended_at, run.end_event, run.error, run.order) == (
        "failed",
        2000.5,
        9,
        "It broke.",
        (2, 1),
    )
    assert (run.prompt_tokens, run.completion_tokens, run.cost_usd) == (10, 20, 0.5)
    assert len(await store.rows("r1")) == 2
    with pytest.raises(FenceLost):
        await store.append("r1", 0, [replace(ROW, seq=3)])


async def test_who_lost_the_run_writes_nothing(store: SqliteRunStore) -> None:
    await store.create(RUN)
    claimed = await store.claim("r1", 0, "p2")
    assert claimed is not None
    assert (claimed.epoch, claimed.process) == (1, "p2")
    results = await asyncio.gather(
        store.append("r1", 0, [ROW]), store.append("r1", 1, [ROW]), return_exceptions=True
    )
    assert isinstance(results[0], FenceLost)
    assert results[1] is True
    assert len(await store.rows("r1")) == 1
    with pytest.raises(FenceLost):
        await store.append("unknown", 0, [ROW])


async def test_a_run_is_claimed_by_one_alone(store: SqliteRunStore) -> None:
    await store.create(RUN)
    claims = await asyncio.gather(*(store.claim("r1", 0, f"p{n}") for n in range(5)))
    assert sum(claim is not None for claim in claims) == 1


async def test_runs_are_found_newest_first(store: SqliteRunStore) -> None:
    for n in range(5):
        await store.create(replace(RUN, id=f"r{n}", created_at=float(n), workflow=f"w{n % 2}"))
    await store.create(replace(RUN, id="foreign", owner="somebody"))
    assert [r.id for r in await store.find(owner="local")] == ["r4", "r3", "r2", "r1", "r0"]
    assert [r.id for r in await store.find(owner="local", before=3.0, limit=2)] == ["r2", "r1"]
    assert [r.id for r in await store.find(workflow="w1", conversation_id="c1")] == ["r3", "r1"]
    assert await store.find(status="ok") == []
    assert (await store.find(limit=1))[0].yaml == ""


async def test_processes_and_what_they_leave(store: SqliteRunStore) -> None:
    process = Process("p1", "here|boot|1", 7, "123", 50.0)
    await store.create(RUN)
    assert await store.unfinished() == [("r1", 0, "p1", None)]
    await store.beat(process)
    await store.beat(replace(process, beat_at=60.0))
    assert await store.unfinished() == [("r1", 0, "p1", replace(process, beat_at=60.0))]
    await store.leave("p1")
    assert await store.unfinished() == [("r1", 0, "p1", None)]


async def test_processes_long_gone_are_forgotten(store: SqliteRunStore) -> None:
    await store.create(RUN)
    for name in ("p1", "p2"):
        await store.beat(Process(name, "here|boot|1", 7, None, 50.0))
    await store.beat(Process("p3", "here|boot|1", 8, None, 50.0 + 8 * 86_400))
    assert [await store.process(name) is None for name in ("p1", "p2", "p3")] == [False, True, False]


async def test_requests_to_cancel(store: SqliteRunStore) -> None:
    await store.create(RUN)
    assert await store.cancel_requests("p1") == []
    await store.request_cancel("r1")
    assert await store.cancel_requests("p1") == ["r1"]
    assert await store.cancel_requests("p2") == []
    assert (await store.get("r1")).cancel_requested
    await store.append("r1", 0, [], RunEnd("cancelled", 1.0, 3))
    assert await store.cancel_requests("p1") == []


async def test_the_same_document_is_kept_once(store: SqliteRunStore) -> None:
    for n in range(20):
        await store.create(replace(RUN, id=f"r{n}", yaml="x" * 10_000))
    (count,) = (await store._db.fetch("SELECT count(*) FROM run_documents"))[0]
    assert count == 1
