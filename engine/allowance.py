"""How long a run may be active: its document's `timeout`, and what whoever started it leaves it.

A child carries its bound with it, so that it holds wherever the child is executed, and while who waits for it is
parked. Time in which a run waits for a person is not counted, time in which it waits for its children is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from engine.errors import RunTooLong
from engine.ports import RunRecord

BOUND = "time_limit"
"""The key of `RunRecord.origin` for the seconds that a child may be active."""


def within(origin: Mapping[str, object] | None, *seconds: float | None) -> dict[str, object] | None:
    """The origin of a child, with the smallest of these bounds; None where there is nothing to say."""
    given = [bound for bound in seconds if bound is not None]
    return {**(origin or {}), BOUND: min(given)} if given else dict(origin) if origin else None


def bound_of(origin: Mapping[str, object] | None) -> float | None:
    """The seconds that a run of this origin may be active."""
    found = (origin or {}).get(BOUND)
    return float(found) if isinstance(found, int | float) else None


def too_long(seconds: float) -> RunTooLong:
    """What ends a run that takes too long."""
    return RunTooLong(
        f"The run took longer than its {seconds:g} seconds.", "Raise config.execution.timeout, or do less."
    )


class Allowance:
    """The time of one run, from when this process begins to execute it."""

    def __init__(self, record: RunRecord, timeout: float | None) -> None:
        bounds = [bound for bound in (timeout, bound_of(record.origin)) if bound is not None]
        self._seconds = min(bounds, default=None)
        self._before = record.active
        self._began: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, over: Callable[[RunTooLong], None]) -> None:
        """Count from now on; `over` is called once the time is over."""
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        left = self.left()
        if left is not None and self._seconds is not None:
            self._timer = loop.call_later(max(0.0, left), over, too_long(self._seconds))

    def left(self) -> float | None:
        """Seconds; None where there is no bound."""
        if self._seconds is None:
            return None
        now = asyncio.get_running_loop().time()
        return self._seconds - self._before - (0.0 if self._began is None else now - self._began)

    def close(self) -> None:
        """The run is over, or another process goes on with it."""
        if self._timer is not None:
            self._timer.cancel()
