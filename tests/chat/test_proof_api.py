"""Tests, proofs, exports and imports over the HTTP API."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chat.house import TestHouse
from tests.chat.serving import served
from tests.chat.test_proof import CASE, TRIAGE

TESTS = "/api/workflows/triage/tests"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    house = TestHouse(tmp_path)
    async with served(house) as address, httpx.AsyncClient(base_url=address, timeout=30) as made:
        await made.post("/api/workflows", json={"yaml": TRIAGE})
        yield made


async def added(client: httpx.AsyncClient, **more: Any) -> httpx.Response:
    return await client.post(TESTS, json={"title": "Refunds", "quote": "look at them", "case": CASE, **more})


async def test_tests_are_kept_run_and_removed(client: httpx.AsyncClient) -> None:
    answer = await added(client)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["result"]["status"] == "passed"
    listed = (await client.get(TESTS)).json()
    assert [test["id"] for test in listed] == [made["id"]]
    assert (await client.post(f"{TESTS}/run")).json()[0]["status"] == "passed"
    other = await client.post(f"{TESTS}/run", json={"yaml": TRIAGE.replace("'refund'", "'question'")})
    assert other.json()[0]["status"] == "failed"
    wrong = await added(client, case={"must_run": ["lok"]})
    assert wrong.status_code == 422
    assert "Did you mean 'look'?" in wrong.json()["error"]["message"]
    assert (await client.delete(f"{TESTS}/{made['id']}")).status_code == 204
    assert (await client.delete(f"{TESTS}/{made['id']}")).status_code == 404
    assert (await client.get("/api/workflows/nobody/tests")).status_code == 404


async def test_proof_of_a_version(client: httpx.AsyncClient) -> None:
    proof = (await client.get("/api/workflows/triage/proof")).json()
    assert proof["line"] == "Checked: no problems · Dry run: 2 of 2 ways reached, 1 step not verified"
    assert (await client.get("/api/workflows/triage/proof", params={"version": 9})).status_code == 404


async def exported(client: httpx.AsyncClient, format_: str) -> httpx.Response:
    answer = await client.get("/api/workflows/triage/export", params={"format": format_})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "attachment" in answer.headers["content-disposition"]
    return answer


async def test_exports(client: httpx.AsyncClient) -> None:
    assert (await exported(client, "yaml")).content == TRIAGE.encode()
    assert (await exported(client, "svg")).text.startswith('<?xml version="1.0"')
    picture = await exported(client, "png")
    assert picture.content.startswith(b"\x89PNG\r\n")
    assert picture.headers["content-type"] == "image/png"
    assert "flowchart TD" in (await exported(client, "mermaid")).text
    answer = await client.get("/api/workflows/triage/export", params={"format": "exe"})
    assert answer.status_code == 422


async def test_a_share_file_comes_back_with_its_tests(client: httpx.AsyncClient) -> None:
    await added(client)
    shared = (await exported(client, "share")).text
    assert shared.startswith(TRIAGE)
    answer = await client.post("/api/workflows/import", json={"text": shared})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["name"], made["tests"], made["whole"]) == ("triage-2", 1, True)
    assert made["proof"]["tests"][0]["status"] == "passed"
    saved = (await client.get("/api/workflows/triage-2")).json()["yaml"]
    assert saved == re.sub("name: triage,", "name: triage-2,", TRIAGE)
    broken = await client.post("/api/workflows/import", json={"text": shared.replace("to: reply}", "to: x}")})
    assert broken.status_code == 422
    assert len((await client.get("/api/workflows")).json()) == 2
