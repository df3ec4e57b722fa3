"""No call may keep the event loop busy: a step of a loop that takes too long of its thread's time fails the test.

The bar is 50 ms in the soak; elsewhere it is four times that, so that a slow machine is no fault, and what blocks
in earnest still is one. Thread time, not the wall's, so that a busy machine is no fault either. A step that imports
a module for the first time is exempt, and so is what the garbage collector takes. What a test's own body does
between two awaits counts like all else: heavy preparations belong into a thread, or before the loop.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LIMIT_SECONDS = 0.05 if os.environ.get("PARLANCE_SOAK") else 0.2


class Collector:
    """How long the garbage collector has worked on this thread."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since = 0.0

    def __call__(self, phase: str, _: dict[str, Any]) -> None:
        if phase == "start":
            self._since = time.thread_time()
        else:
            self.seconds += max(0.0, time.thread_time() - self._since)


@contextmanager
def watched() -> Iterator[list[str]]:
    """While it is open, every step over the limit is noted in the list, in words."""
    slow: list[str] = []
    collector = Collector()
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        modules, collected, before = len(sys.modules), collector.seconds, time.thread_time()
        run(handle)
        spent = time.thread_time() - before - (collector.seconds - collected)
        if spent > LIMIT_SECONDS and len(sys.modules) == modules:
            slow.append(f"{spent * 1000:.0f} ms in {_what(handle)}")

    gc.callbacks.append(collector)
    asyncio.Handle._run = timed  # type: ignore[method-assign]
    try:
        yield slow
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]
        gc.callbacks.remove(collector)


def _what(handle: asyncio.Handle) -> str:
    owner = getattr(handle._callback, "__self__", None)
    return f"the task {owner.get_coro()!r}" if isinstance(owner, asyncio.Task) else repr(handle)
