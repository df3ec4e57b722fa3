"""Dry runs, ways, retry, replay, resume and filters of runs, over the HTTP API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chat.house import HELD, QUICK, TestHouse
from tests.chat.serving import served


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    house = TestHouse(tmp_path)
    async with served(house) as address, httpx.AsyncClient(base_url=address, timeout=20) as made:
        yield made


async def ended(client: httpx.AsyncClient, answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    run_id = answer.json()["run_id"]
    await client.get(f"/api/runs/{run_id}/events")
    found: dict[str, Any] = (await client.get(f"/api/runs/{run_id}")).json()
    return found


def said(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    return f"{error['message']} {error['fix']}"


async def test_a_dry_run_and_its_ways(client: httpx.AsyncClient) -> None:
    view = await ended(
        client, await client.post("/api/runs", json={"yaml": QUICK, "inputs": {}, "dry": True})
    )
    assert (view["status"], view["dry"], view["made_inputs"]) == ("ok", True, ["who"])
    assert [branch["node"] for branch in view["branches"]] == [node["id"] for node in view["nodes"]]
    ways = (await client.post("/api/branches", json={"yaml": QUICK})).json()
    assert set(ways) == {"branches", "reached", "of", "walks", "simulated", "problems"}
    wrong = await client.post("/api/branches", json={"yaml": QUICK, "inputs": {"whom": "Ann"}})
    assert "There is no input 'whom'" in said(wrong, 422)


async def test_retry_and_replay(client: httpx.AsyncClient) -> None:
    first = await ended(
        client, await client.post("/api/runs", json={"yaml": QUICK, "inputs": {"who": "Ann"}})
    )
    node, run = first["nodes"][0]["id"], f"/api/runs/{first['run_id']}"
    again = await ended(client, await client.post(f"{run}/retry", json={"node": node}))
    assert again["origin"] == {"retry_of": first["run_id"], "from": node}
    assert again["outputs"] == first["outputs"]
    right = await client.post(f"{run}/retry", json={"node": node, "yaml": QUICK.replace("Hello", "Good day")})
    assert (await ended(client, right))["outputs"] != first["outputs"]
    replayed = await ended(client, await client.post(f"{run}/replay", json={"model": "openai/other"}))
    assert (replayed["origin"], replayed["outputs"]) == ({"replay_of": first["run_id"]}, first["outputs"])
    assert "There is no node 'nobody'" in said(
        await client.post(f"{run}/retry", json={"node": "nobody"}), 422
    )
    assert (await client.post(f"{run}/replay", json={"model": "other"})).status_code == 422
    assert "has ended: ok" in said(await client.post(f"{run}/resume"), 409)
    for what, body in (("retry", {"node": node}), ("replay", {"model": "openai/x"}), ("resume", None)):
        assert (await client.post(f"/api/runs/none/{what}", json=body)).status_code == 404


async def test_a_run_that_is_under_way(client: httpx.AsyncClient, tmp_path: Path) -> None:
    held = {"yaml": HELD, "inputs": {"gate": str(tmp_path / "never")}}
    run = f"/api/runs/{(await client.post('/api/runs', json=held)).json()['run_id']}"
    assert (await client.post(f"{run}/resume")).json()["status"] == "running"
    node = (await client.get(run)).json()["nodes"][0]["id"]
    assert "has not ended" in said(await client.post(f"{run}/retry", json={"node": node}), 409)
    await client.post(f"{run}/cancel")


async def test_runs_are_filtered(client: httpx.AsyncClient) -> None:
    view = await ended(client, await client.post("/api/runs", json={"yaml": QUICK, "inputs": {"who": "Ann"}}))

    async def found(**wanted: Any) -> int:
        answer = await client.get("/api/runs", params=wanted)
        assert answer.status_code == 200, answer.text
        return len(answer.json())

    assert await found(status="ok") == await found(workflow=view["workflow"]) == 1
    assert await found(status="failed") == await found(workflow="other") == 0
    assert (await found(since=view["created_at"]), await found(since="2999-01-01T00:00:00Z")) == (1, 0)
    assert (await client.get("/api/runs", params={"status": "odd"})).status_code == 422
