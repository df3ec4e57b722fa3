"""kill -9 at drawn moments while messages come in and runs go on: nothing is lost, nothing is there twice."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chat.house import open_gate
from tests.chat.test_server import Process, eventually, start

__all__ = ["start"]

COUNTED = "".join(f"{number} " for number in range(40))


def texts(gate: Path) -> dict[str, str]:
    """What is said, and the text that a whole answer has."""
    return {
        f"say go\nrun {gate}\nsay on": "go\n\non",
        "count 40": COUNTED,
        f"silent {gate}\nsay quiet": "quiet",
        "draft change\nsay drafted": "drafted",
        f"watched {gate}": "It came to open",
    }


async def deliver(address: str, messages: list[dict[str, str]]) -> None:
    """All messages at once; a killed server answers none of them."""
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        sent = [
            client.post(
                f"/api/conversations/{message['talk']}/messages",
                json={"text": message["text"]},
                headers={"Idempotency-Key": message["key"], "Accept": "application/json"},
            )
            for message in messages
        ]
        await asyncio.gather(*sent, return_exceptions=True)


@pytest.mark.slow
def test_killed_again_and_again_nothing_is_lost_or_doubled(
    start: Callable[..., Process],
    tmp_path: Path,
    soak: bool,
) -> None:
    seed = random.randrange(10**6)
    print("seed", seed)
    draw = random.Random(seed)
    gate = tmp_path / "gate"
    open_gate(gate)
    said = texts(gate)
    server = start()
    talks = [server.post("/api/conversations").json()["id"] for _ in range(6)]
    messages: list[dict[str, str]] = []
    for round_ in range(30 if soak else 3):
        messages += [
            {"talk": talk, "key": f"{round_}-{talk}", "text": draw.choice(list(said))} for talk in talks
        ]
        delivery = asyncio.run(
            _kill_while(server, deliver(server.address, messages), draw.uniform(0.02, 0.6))
        )
        assert delivery is None
        server = start()
    asyncio.run(deliver(server.address, messages))
    for talk in talks:
        eventually(lambda talk=talk: _settled(_messages(server, talk)), 60)
        _check(_messages(server, talk), [m["text"] for m in messages if m["talk"] == talk], said)
    assert {run["status"] for run in server.get("/api/runs?limit=500").json()} <= {"ok"}


async def _kill_while(server: Process, delivery: Any, seconds: float) -> None:
    task = asyncio.create_task(delivery)
    await asyncio.sleep(seconds)
    server.end(signal.SIGKILL)
    await task


def _messages(server: Process, talk: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get(f"/api/conversations/{talk}").json()["messages"]
    return found


def _settled(messages: list[dict[str, Any]]) -> bool:
    """Nothing is live, and no run is without its end."""
    return all(
        message["status"] != "live" and _count(message, "run_started") == _count(message, "run_ended")
        for message in messages
    )


def _count(message: dict[str, Any], kind: str) -> int:
    return sum(part["kind"] == kind for part in message["parts"])


def _check(messages: list[dict[str, Any]], asked: list[str], said: dict[str, str]) -> None:
    questions, answers = messages[::2], messages[1::2]
    assert sorted(question["text"] for question in questions) == sorted(asked)
    for question, answer in zip(questions, answers, strict=True):
        whole = said[question["text"]]
        assert answer["status"] in ("ok", "interrupted")
        if answer["status"] == "ok":
            assert answer["text"] == whole
        else:
            assert whole.startswith(answer["text"])
        wanted = 1 if any(word in question["text"] for word in ("run", "silent", "watched")) else 0
        assert _count(answer, "run_started") <= wanted
        if answer["status"] == "ok":
            assert _count(answer, "run_ended") == wanted
        assert all(part["status"] == "ok" for part in answer["parts"] if part["kind"] == "run_ended")
