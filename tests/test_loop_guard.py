"""The guard of the event loop sees a step that takes too long, whoever takes it, and nothing else."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.loop_guard import LIMIT_SECONDS, watched


@pytest.fixture(autouse=True)
def _free_loop() -> None:
    """The guard that stands over every other test would fail these."""


def burn(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def busy() -> None:
    await asyncio.sleep(0)
    burn(2 * LIMIT_SECONDS)


async def patient() -> None:
    await asyncio.sleep(2 * LIMIT_SECONDS)
    await asyncio.to_thread(burn, 2 * LIMIT_SECONDS)


def test_a_busy_task_is_named() -> None:
    with watched() as slow:
        asyncio.run(busy())
    assert len(slow) == 1
    assert "busy" in slow[0]


def test_a_busy_callback_is_named() -> None:
    async def call() -> None:
        asyncio.get_running_loop().call_soon(burn, 2 * LIMIT_SECONDS)
        await asyncio.sleep(0)

    with watched() as slow:
        asyncio.run(call())
    assert len(slow) == 1
    assert "burn" in slow[0]


def test_waiting_and_threads_are_free() -> None:
    with watched() as slow:
        asyncio.run(patient())
    assert slow == []
