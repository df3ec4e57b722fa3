"""What is kept of a failure, by real runs on a real store, and what it is judged to be about."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.check import check
from engine.engine import Engine
from engine.failure_mends import edits_for
from engine.failures import cause_of, failure_of
from engine.ports import NodeRow, RunRecord
from engine.text_edits import apply_edits
from engine.workflow import Workflow
from sessions.db import open_db
from sessions.runs import SqliteRunStore
from tests.engine.flows import NoModels
from tools.registry import ToolRegistry

HEAD = 'schema_version: "1.0"\nflow: {name: failing}\nstate:\n  fields:\n'
TEXT = f"{HEAD}    url: {{type: str, required: true}}\n    out: any\nnodes:\n"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    db = open_db(tmp_path / "p.db", synchronous="NORMAL")
    made = Engine(SqliteRunStore(db), NoModels(), ToolRegistry())
    yield made
    await made.close()
    db.close()


async def failed(
    engine: Engine, text: str, inputs: dict[str, Any]
) -> tuple[RunRecord, list[NodeRow], Workflow]:
    workflow = check(text, ToolRegistry()).workflow
    assert workflow is not None, check(text, ToolRegistry()).errors
    view = await engine.run(workflow, inputs)
    run = await engine.record(view["run_id"])
    rows = list(await engine.store.rows(run.id))
    assert view.get("fault") == run.fault
    return run, rows, workflow


def closed_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


PARSE = '  - {id: get, tool: json_parse, args: {text: "{state.url}"}, outputs: [out]}\n'
GET = '  - {id: get, tool: http_get, args: {url: "{state.url}"}, outputs: [out]}\n'


@pytest.mark.parametrize(
    ("node", "value", "code", "cause"),
    [
        (GET, "http://127.0.0.1:PORT/", "no_connection", "world"),
        (GET, "gopher://nowhere", "bad_address", "workflow"),
        (GET.replace("{state.url}", "http://127.0.0.1/{secret.TOKEN}"), "x", "secret_missing", "world"),
        ('  - {id: get, code: "result = 1 / 0", outputs: [out]}\n', "x", "sandbox_missing", "world"),
        (
            '  - {id: get, tool: json_parse, args: {text: "{state.url}"}, outputs: [out]}\n',
            "{",
            "tool_failed",
            "unknown",
        ),
    ],
)
async def test_a_code_is_kept_and_says_what_it_is_about(
    engine: Engine, node: str, value: str, code: str, cause: str
) -> None:
    run, rows, workflow = await failed(
        engine, TEXT + node, {"url": value.replace("PORT", str(closed_port()))}
    )
    failure = failure_of(run, rows, workflow)
    assert failure is not None
    assert (failure.node, failure.code, failure.cause) == ("get", code, cause)
    assert rows[-1].fault is not None
    assert rows[-1].fault["code"] == code
    assert bool(failure.advice) == (cause == "world")


async def test_what_has_no_code_is_unknown_and_what_did_not_fail_is_none(engine: Engine) -> None:
    run, rows, workflow = await failed(engine, TEXT + GET, {"url": "gopher://nowhere"})
    older = failure_of(replace(run, fault=None), [replace(row, fault=None) for row in rows], workflow)
    assert older is not None
    assert (older.node, older.cause) == ("get", "unknown")
    assert edits_for(older, run, rows, workflow) == []
    assert failure_of(replace(run, status="ok"), rows, workflow) is None
    assert cause_of(None) == "unknown"


ELEMENTS = """\
schema_version: "1.0"
flow: {name: failing}
state:
  fields:
    texts: {type: "list[str]"}
    found: {type: "list[any]"}
nodes:
  - id: read
    for_each: state.texts
    as: text
    tool: json_parse
    args: {text: "{text}"}
    outputs: [found]
"""


async def test_a_list_that_nobody_set_gets_a_default(engine: Engine) -> None:
    run, rows, workflow = await failed(engine, ELEMENTS, {})
    failure = failure_of(run, rows, workflow)
    assert failure is not None
    assert failure.code == "no_list"
    text, wrong = apply_edits(ELEMENTS, edits_for(failure, run, rows, workflow))
    assert not wrong
    again = check(text, ToolRegistry()).workflow
    assert again is not None
    view = await engine.wait(await engine.retry(run.id, "read", again))
    assert view["status"] == "ok"
