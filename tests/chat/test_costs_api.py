"""Estimates and budgets by API, service and command line."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import House
from configs.settings import read_settings
from engine.errors import NotFound
from tests.chat.serving import served
from tests.fakes.openai_server import FakeOpenAI, Reply

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = """\
schema_version: "1.0"
flow: {name: greet}
config:
  execution: {budget_usd: 0.01}
  gates: {on_fail: block_deploy, gates: [{metric: tokens, max: 500}]}
state:
  fields:
    name: {type: str, required: true}
    greeting: str
nodes:
  - {id: greet, prompt: "Greet {state.name}.", outputs: [greeting], llm: {max_tokens: 100}}
"""


# --- the command line ---


class Shell:
    """app.py with a data folder of its own; every call goes to the fake, under the name of a model with a price."""

    def __init__(self, folder: Path, fake: FakeOpenAI) -> None:
        self.folder = folder
        (folder / "greet.yaml").write_text(DOCUMENT)
        own = {"PARLANCE_HOME": str(folder / "home"), "PARLANCE_API_BASE": fake.base_url}
        self.environment = {**os.environ, **own, "PARLANCE_FORCE_MODEL": "openai/gpt-4o-mini"}

    def __call__(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "app.py"), *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code, done.stderr
        return done


@pytest.fixture
def fake() -> Any:
    with FakeOpenAI(Reply(text="Good day", usage=(20, 10))) as server:
        yield server


@pytest.fixture
def shell(tmp_path: Path, fake: FakeOpenAI) -> Shell:
    return Shell(tmp_path, fake)


@pytest.mark.slow
def test_estimate_prints_a_table_or_an_object(shell: Shell, fake: FakeOpenAI) -> None:
    words = ("estimate", "greet.yaml", "-i", "name=Ada")
    found = json.loads(shell(*words, "--json").stdout)
    assert (found["calls"], found["budget_usd"], found["unknown"]) == ([1, 2], 0.01, [])
    assert found["nodes"][0]["model"] == "openai/gpt-4o-mini"
    assert 0 < found["cost_usd"][0] < found["cost_usd"][1]
    shown = shell(*words)
    header, node, whole = shown.stdout.splitlines()[:3]
    assert header.split()[:3] == ["node", "model", "calls"]
    assert node.split()[:2] == ["greet", "openai/gpt-4o-mini"]
    assert "max_tokens" in node
    assert whole.startswith("the run")
    assert "The document's budget is 0.01 dollars." in shown.stderr
    assert "There is no input 'nme'" in shell("estimate", "greet.yaml", "-i", "nme=Ada", code=2).stderr
    assert fake.requests == []


@pytest.mark.slow
def test_a_budget_on_the_command_line(shell: Shell, fake: FakeOpenAI) -> None:
    words = ("run", "greet.yaml", "-i", "name=Ada")
    refused = shell(*words, "--budget", "0.00001", code=1)
    assert "The budget of 0.00001 dollars does not allow this call" in refused.stderr
    assert fake.requests == []
    assert shell(*words, "--budget", "0.5").stdout.strip() == "Good day"
    assert "no amount of dollars" in shell(*words, "--budget", "much", code=2).stderr


@pytest.mark.slow
def test_a_gate_blocks_until_it_is_ignored(shell: Shell, fake: FakeOpenAI) -> None:
    fake.script = Reply(text="Good day", usage=(600, 10))
    words = ("run", "greet.yaml", "-i", "name=Ada")
    assert "The gate on tokens does not hold: 610 tokens" in shell(*words, code=1).stderr
    fake.script = Reply(text="Good day", usage=(20, 10))
    assert "which blocks further ones" in shell(*words, code=1).stderr
    assert shell(*words, "--ignore-gates").stdout.strip() == "Good day"
    (shell.folder / "greet.yaml").write_text(
        DOCUMENT.replace("max: 500", "max: 20").replace("block_deploy", "warn")
    )
    warned = shell(*words)
    assert warned.stdout.strip() == "Good day"
    assert "Warning: The gate on tokens does not hold: 30 tokens" in warned.stderr


@pytest.mark.slow
def test_limits_in_the_doctor(shell: Shell) -> None:
    shell.environment["PARLANCE_LIMITS"] = "openai: 4 calls, 60 requests/min"
    findings = json.loads(shell("doctor", "--json").stdout)
    (limit,) = [each for each in findings if each["name"] == "limit of openai"]
    assert limit["detail"] == "4 calls at once, 60 requests a minute; 0 under way"
    shell.environment["PARLANCE_LIMITS"] = "openai: many calls"
    assert "PARLANCE_LIMITS can't be used: openai: 'many calls'" in shell("doctor", code=2).stderr


# --- the API ---


@pytest.fixture
async def house(tmp_path: Path, fake: FakeOpenAI) -> House:
    own = {"PARLANCE_HOME": str(tmp_path / "home"), "PARLANCE_API_BASE": fake.base_url}
    return House(read_settings({**own, "PARLANCE_FORCE_MODEL": "openai/gpt-4o-mini"}, (tmp_path,)))


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with served(house) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:  # type: ignore[arg-type]
        yield client
    await house.close()


async def test_estimate_by_api_and_service(client: httpx.AsyncClient, house: House, fake: FakeOpenAI) -> None:
    answer = await client.post("/api/estimate", json={"yaml": DOCUMENT, "inputs": {"name": "Ada"}})
    assert answer.status_code == 200
    found = answer.json()
    assert (found["calls"], found["nodes"][0]["basis"], found["unknown"]) == ([1, 2], "max_tokens", [])
    made = await house.service.create("local")
    await house.service.save_yaml("local", made.id, DOCUMENT, "first")
    assert await house.service.estimate("local", made.id, None, {"name": "Ada"}) == found
    saved = await client.post("/api/estimate", json={"workflow": "greet"})
    assert saved.json()["unknown"] == ["The input name is not given; its length is assumed."]
    dear = DOCUMENT.replace("budget_usd: 0.01", "budget_usd: 0.0000001")
    assert (await client.post("/api/estimate", json={"yaml": dear})).status_code == 200
    assert [p["rule"] for p in (await client.post("/api/check", json={"yaml": dear})).json()] == [
        "over-budget"
    ]
    wrong = await client.post("/api/estimate", json={"yaml": DOCUMENT.replace("state.name", "state.nme")})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "workflow_invalid")
    assert (await client.post("/api/estimate", json={})).status_code == 422
    with pytest.raises(NotFound):
        await house.service.estimate("a stranger", made.id, None, {})
    assert fake.requests == []


async def test_a_budget_and_a_gate_by_api(client: httpx.AsyncClient, fake: FakeOpenAI) -> None:
    body = {"yaml": DOCUMENT, "inputs": {"name": "Ada"}}
    assert "does not allow this call" in (await ended(client, {**body, "budget_usd": 0.00001}))["error"]
    assert fake.requests == []
    assert (await client.post("/api/runs", json={**body, "budget_usd": -1})).status_code == 422
    fake.script = Reply(text="Good day", usage=(600, 10))
    assert (await ended(client, body))["gates"][0]["ok"] is False
    blocked = await client.post("/api/runs", json=body)
    assert (blocked.status_code, blocked.json()["error"]["code"]) == (409, "conflict")
    assert "ignore_gates" in blocked.json()["error"]["fix"]
    fake.script = Reply(text="Good day", usage=(20, 10))
    assert (await ended(client, {**body, "ignore_gates": True}))["status"] == "ok"


async def ended(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    started = await client.post("/api/runs", json=body)
    assert started.status_code == 202, started.text
    async with asyncio.timeout(20):
        while True:
            view: dict[str, Any] = (await client.get(f"/api/runs/{started.json()['run_id']}")).json()
            if view["ended_at"] is not None:
                return view
            await asyncio.sleep(0.02)
