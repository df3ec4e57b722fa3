"""The stores on SQLite and on PostgreSQL give the same answers to the same calls, whatever these are."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import ParlanceError
from engine.ports import Park, Process, RunEnd, RunRecord
from sessions.run_store import SqlRunStore
from tests.contracts.stores import a_row, a_run, a_wait, opened

Call = tuple[str, tuple[Any, ...], dict[str, Any]]

NAMES = st.sampled_from(["a", "b", "c", "d", "odd \0\ud800"])
PROCESSES = st.sampled_from(["p1", "p2"])
PATHS = st.sampled_from(["n", "n[1]", "sub/n"])
TEXT = st.text(st.sampled_from("ab\0\ud800ü%?'\\"), max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
TIMES = st.sampled_from([1.0, 1.1, 2.0, 3e9])
STATUSES = st.sampled_from(["ok", "failed", "waiting", "unknown", "running"])
PARKED = st.sampled_from(["waiting", "unknown", "running"])
MAYBE = st.none()


def call(
    name: str, *args: st.SearchStrategy[Any], **named: st.SearchStrategy[Any]
) -> st.SearchStrategy[Call]:
    return st.tuples(st.just(name), st.tuples(*args), st.fixed_dictionaries(named))


@st.composite
def runs(draw: st.DrawFn) -> RunRecord:
    name = draw(NAMES)
    parent = draw(MAYBE | NAMES)
    return a_run(
        name,
        owner=draw(PROCESSES),
        workflow=draw(TEXT),
        yaml=draw(TEXT),
        digest=draw(st.sampled_from(["d1", "d2"])),
        inputs=draw(st.dictionaries(TEXT, JSON, max_size=2)),
        shape=draw(st.sampled_from([{}, {"fields": {}}, {"outputs": ["x"]}])),
        created_at=draw(TIMES),
        process=draw(MAYBE | PROCESSES),
        parent_id=parent,
        root_id=draw(NAMES) if parent else name,
        priority=draw(st.integers(-1, 1)),
        not_before=draw(MAYBE | TIMES),
        pins=draw(st.dictionaries(TEXT, TEXT, max_size=1)),
        limit_usd=draw(MAYBE | st.floats(0, 1)),
    )


@st.composite
def appends(draw: st.DrawFn) -> Call:
    name = draw(NAMES)
    count = draw(st.integers(0, 3))
    rows = [
        a_row(name, 0, status=draw(STATUSES), error=draw(MAYBE | TEXT), writes={"x": draw(JSON)})
        for _ in range(count)
    ]
    waits = [
        a_wait(
            name,
            path=draw(PATHS),
            attempt=draw(st.integers(1, 2)),
            question=draw(TEXT),
            created_at=draw(TIMES),
            default=draw(JSON),
            due_at=draw(MAYBE | TIMES),
            owner=draw(PROCESSES),
        )
        for _ in range(draw(st.integers(0, 2)))
    ]
    end = draw(
        MAYBE | MAYBE | st.builds(RunEnd, st.sampled_from(["ok", "failed"]), TIMES, st.integers(1, 9), TEXT)
    )
    park = draw(MAYBE | st.builds(Park, PARKED, st.integers(0, 3))) if end is None else None
    return ("append", (name, draw(st.integers(0, 2)), rows, end), {"waits": waits, "park": park})


def calls() -> st.SearchStrategy[list[Call]]:
    writing = [
        st.lists(runs(), min_size=1, max_size=3).map(lambda found: ("create", tuple(found), {})),
        *[appends()] * 4,
        call("wake", NAMES),
        call("answer", NAMES, PATHS, st.just(1), JSON, TEXT, TIMES),
        call("claim", NAMES, st.integers(0, 2), PROCESSES),
        call("request_cancel", NAMES),
        call("pin", st.sampled_from(["d1", "d2", "d3"]), TEXT),
        call("reserve", NAMES, st.sampled_from("kl"), st.floats(0, 2), st.floats(0, 3)),
        call("settle", NAMES, st.sampled_from("kl"), st.floats(0, 2)),
        call("beat", st.builds(Process, PROCESSES, TEXT, st.integers(1, 9), MAYBE | TEXT, TIMES)),
        call("leave", PROCESSES),
    ]
    reading = [
        call(
            "find",
            owner=MAYBE | PROCESSES,
            status=MAYBE | STATUSES,
            before=MAYBE | TIMES,
            since=MAYBE | TIMES,
            limit=st.integers(1, 5),
            children=st.booleans(),
        ),
        call(
            "waits",
            run_id=MAYBE | NAMES,
            root_id=MAYBE | NAMES,
            owner=MAYBE | PROCESSES,
            answered=MAYBE | st.booleans(),
            due_before=MAYBE | TIMES,
        ),
        call("rows", NAMES, st.integers(0, 2)),
        call("document", st.sampled_from(["d1", "d2", "d3"])),
    ]
    return st.lists(st.one_of(*writing, *writing, *reading), min_size=4, max_size=30)


WATCHED: list[Call] = [
    ("unfinished", (), {}),
    ("unowned", (), {}),
    ("find", (), {"children": True}),
    ("waits", (), {"answered": None}),
    *(("signals", (name,), {}) for name in ("p1", "p2")),
    *(
        (what, (name,), {})
        for what in ("get", "rows", "children", "spent")
        for name in ("a", "b", "odd \0\ud800")
    ),
]


def timeless(answer: Any) -> Any:
    """How long a run was active depends on when the call was made."""
    if isinstance(answer, RunRecord):
        return replace(answer, active=0.0)
    return [timeless(each) for each in answer] if isinstance(answer, list) else answer


def numbered(wanted: list[Call]) -> list[Call]:
    """The same with the rows numbered: a number that is there already is a mistake of the engine, not an answer."""
    numbers = itertools.count(1)
    found = []
    for name, args, named in wanted:
        if name == "append":
            args = (*args[:2], [replace(row, seq=next(numbers)) for row in args[2]], args[3])
        found.append((name, args, named))
    return found


async def answers(store: SqlRunStore, wanted: list[Call]) -> list[Any]:
    found = []
    for name, args, named in wanted:
        try:
            found.append(timeless(await getattr(store, name)(*args, **named)))
        except ParlanceError as error:
            found.append((type(error), str(error)))
    return found


TABLES = ("runs", "run_documents", "node_rows", "waits", "processes", "run_budgets", "run_reservations")


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[tuple[SqlRunStore, Callable[[], object]]]:
    """The store, and how to empty it."""
    empty = "; ".join(f"DELETE FROM parlance.{table}" for table in TABLES).encode()
    with opened("postgres", postgres_url) as store, psycopg.connect(postgres_url, autocommit=True) as admin:
        yield store, lambda: admin.execute(empty)


@pytest.mark.slow
@settings(
    max_examples=1000 if os.environ.get("PARLANCE_SOAK") == "1" else 60,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@given(calls().map(numbered))
def test_both_stores_give_the_same_answers(
    postgres: tuple[SqlRunStore, Callable[[], object]],
    tmp_path_factory: pytest.TempPathFactory,
    wanted: list[Call],
) -> None:
    theirs, empty = postgres
    empty()
    with opened("sqlite at NORMAL", str(tmp_path_factory.mktemp("store") / "runs.db")) as ours:
        mine, others = (asyncio.run(answers(store, [*wanted, *WATCHED])) for store in (ours, theirs))
    for each, one, other in zip([*wanted, *WATCHED], mine, others, strict=True):
        assert one == other, each
