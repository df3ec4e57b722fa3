"""Schedules over real HTTP, and that `serve` starts what is due."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.chat.house import TestHouse, eventually
from tests.chat.serving import served

HELLO = """
schema_version: "1.0"
flow: {name: hello}
state: {fields: {who: {type: str, required: true}, out: str}}
nodes: [{id: say, tool: text_template, args: {template: "Hi {state.who}"}, outputs: [out]}]
"""


@pytest.fixture
def house(tmp_path: Path) -> TestHouse:
    return TestHouse(tmp_path)


@pytest.fixture
async def client(house: TestHouse) -> AsyncIterator[httpx.AsyncClient]:
    async with served(house) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        yield client


async def test_schedules_are_made_listed_paused_and_removed(client: httpx.AsyncClient) -> None:
    body = {"cron": "0 9 * * 1", "yaml": HELLO, "timezone": "Europe/Berlin", "inputs": {"who": "you"}}
    made = await client.post("/api/schedules", json=body)
    assert made.status_code == 201
    found = made.json()
    assert (found["id"], found["workflow"], found["inputs"]) == ("hello", "hello", {"who": "you"})
    assert len(found["next"]) == 3
    assert (await client.get("/api/schedules")).json() == [found]
    assert (await client.post("/api/schedules/hello/pause")).json()["next"] == []
    assert (await client.post("/api/schedules/hello/resume")).json()["next"] == found["next"]
    assert (await client.delete("/api/schedules/hello")).status_code == 204
    assert (await client.get("/api/schedules")).json() == []
    assert (await client.delete("/api/schedules/hello")).status_code == 404


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"cron": "mondays"}, 422, "no schedule"),
        ({"timezone": "Berlin"}, 422, "Europe/Berlin"),
        ({"inputs": {}}, 422, "who"),
        ({"yaml": "flow: {}"}, 422, "problem"),
        ({"id": "a b"}, 422, "can't be an id"),
        ({"workflow": "hello"}, 422, "either yaml or workflow"),
        ({"yaml": None, "workflow": "unknown"}, 404, "unknown"),
    ],
)
async def test_what_is_wrong_is_said(
    client: httpx.AsyncClient, change: dict[str, object], code: int, says: str
) -> None:
    body = {"cron": "0 9 * * 1", "yaml": HELLO, "inputs": {"who": "you"}, **change}
    answer = await client.post("/api/schedules", json=body)
    assert answer.status_code == code, answer.text
    error = answer.json()["error"]
    assert says in f"{error['message']} {error['fix']}"
    assert (await client.get("/api/schedules")).json() == []


async def test_serve_starts_what_is_due(client: httpx.AsyncClient, house: TestHouse) -> None:
    body = {"cron": "* * * * *", "yaml": HELLO, "inputs": {"who": "you"}}
    await client.post("/api/schedules", json=body)
    await house.db.execute("UPDATE schedules SET next_at = ?", (time.time() - 1,))

    async def started() -> bool:
        runs = (await client.get("/api/runs")).json()
        return bool(runs) and runs[0]["status"] == "ok"

    await eventually(started)
    (found,) = (await client.get("/api/schedules")).json()
    (run,) = (await client.get("/api/runs")).json()
    assert found["last_run_id"] == run["run_id"]
