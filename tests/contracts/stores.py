"""The stores of runs that the contract holds for: how to open each of them, and records to put in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from engine.ports import NodeRow, RunRecord, Wait
from sessions.run_store import SqlRunStore

KINDS = ("sqlite", "sqlite at NORMAL", "postgres")

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
WAIT = Wait(
    run_id="r1",
    root_id="r1",
    path="a",
    node="a",
    iteration=1,
    attempt=1,
    question="May it?",
    created_at=1001.0,
    options=("approve", "reject"),
    default="reject",
    has_default=True,
    due_at=2000.0,
    owner="local",
    conversation_id="c1",
)


def a_run(name: str, **changes: Any) -> RunRecord:
    return replace(RUN, id=name, **{"root_id": name, **changes})


def a_row(run_id: str, seq: int, **changes: Any) -> NodeRow:
    return replace(ROW, run_id=run_id, seq=seq, **changes)


def a_wait(run_id: str, **changes: Any) -> Wait:
    return replace(WAIT, run_id=run_id, **{"root_id": run_id, **changes})


@contextmanager
def opened(kind: str, where: str) -> Iterator[SqlRunStore]:
    """A store; `where` is the file of the one on SQLite, the address of the one on PostgreSQL."""
    if kind == "postgres":
        from sessions.postgres import open_postgres
        from sessions.postgres_runs import PostgresRunStore

        server = open_postgres(where)
        try:
            yield PostgresRunStore(server)
        finally:
            server.close()
    else:
        from sessions.db import open_db
        from sessions.runs import SqliteRunStore

        db = open_db(where, synchronous="NORMAL" if kind.endswith("NORMAL") else "FULL")
        try:
            yield SqliteRunStore(db)
        finally:
            db.close()
