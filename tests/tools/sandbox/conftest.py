"""One sandbox for all tests of this folder, on a loop in a thread of its own, so that plain and property tests can use
it, and so that each run gets a worker in which others have been before.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any

import pytest

from tools.sandbox.pool import Sandbox, SandboxResult


class Box:
    """A sandbox for callers without a loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.sandbox = self.call(self._make())

    async def _make(self) -> Sandbox:
        return Sandbox(size=2)

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(120)

    def start(
        self, code: str, inputs: Mapping[str, Any] | None = None, **options: Any
    ) -> Future[SandboxResult]:
        return asyncio.run_coroutine_threadsafe(self.sandbox.run(code, inputs or {}, **options), self.loop)

    def run(self, code: str, inputs: Mapping[str, Any] | None = None, **options: Any) -> SandboxResult:
        return self.start(code, inputs, **options).result(120)

    def workers(self) -> list[int]:
        """The processes that run or wait."""
        return [worker.pid for worker in (*self.sandbox._idle, *self.sandbox._busy)]

    def close(self) -> None:
        self.call(self.sandbox.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture(scope="session")
def box() -> Iterator[Box]:
    made = Box()
    yield made
    made.close()
