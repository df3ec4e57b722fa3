"""What the assistant costs, over real HTTP, with the whole application and a fake model's server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import House
from configs.settings import Settings
from tests.chat.serving import served
from tests.fakes.openai_server import FakeOpenAI, Reply


@pytest.fixture
def fake() -> Any:
    with FakeOpenAI(Reply(text="Hello", usage=(5_000, 50))) as server:
        yield server


@pytest.fixture
async def client(tmp_path: Path, fake: FakeOpenAI) -> AsyncIterator[httpx.AsyncClient]:
    house = House(Settings(home=tmp_path, model="openai/gpt-4o", api_base=fake.base_url, api_key="none"))
    async with served(house) as address, httpx.AsyncClient(base_url=address, timeout=30) as client:
        yield client


async def test_the_day_its_cap_and_the_price_of_the_next_message(
    client: httpx.AsyncClient, fake: FakeOpenAI
) -> None:
    talk = (await client.post("/api/conversations")).json()["id"]
    estimate = (await client.post(f"/api/conversations/{talk}/estimate", json={"text": "Hello"})).json()
    assert estimate["prompt_tokens"] > 1_000
    assert 0 < estimate["prompt_usd"] < estimate["most_usd"]
    assert fake.requests == []
    assert (await client.get("/api/spending")).json()["calls"] == 0

    said = await client.post(
        f"/api/conversations/{talk}/messages", json={"text": "Hello"}, headers={"Accept": "application/json"}
    )
    assert said.status_code == 200
    today = (await client.get("/api/spending")).json()
    assert (today["calls"], today["prompt_tokens"], today["completion_tokens"]) == (1, 5_000, 50)
    assert today["cost_usd"] == pytest.approx(5_000 * 2.5e-6 + 50 * 1e-5)
    assert (today["cap_usd"], today["reached"]) == (None, False)

    assert (await client.patch("/api/preferences", json={"daily_cap_usd": 0.01})).status_code == 200
    assert (await client.get("/api/spending")).json()["reached"] is True
    refused = await client.post(
        f"/api/conversations/{talk}/messages", json={"text": "Again"}, headers={"Accept": "application/json"}
    )
    assert "daily_cap" in refused.text
    assert len(fake.requests) == 1


async def test_an_estimate_for_what_is_not_there(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/conversations/none/estimate", json={"text": "Hello"})).status_code == 404
