"""Waiting for a place at a model provider: first come, first served within a process, nearly so between them.

In a process the calls of a provider stand in one line, and only its first looks into the store; it is woken
when a call of this process ends, and otherwise looks again after a while that is drawn anew each time, or when
the buckets will have filled. In the store it leaves a note of when it came, which those who came later respect.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from engine.errors import ParlanceError
from engine.models.limits import (
    LONGEST_PAUSE,
    Level,
    Limit,
    Pauses,
    Slot,
    refilled,
    taken,
    too_long,
    wait_for,
)
from engine.ports import Process

log = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
"""How long a call counts after the last sign that its process lives."""
RENEW_SECONDS = 10.0
LOOK_SECONDS = 0.1
"""About how often the first in line looks for a place that another process may have freed."""
LONGEST_LOOK = 2.0
LINE_SECONDS = 6.0
"""How long who waits is respected after the last look."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call in line: its provider, its own id, the tokens it expects to take."""

    provider: str
    id: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Not now. `seconds` until it may be worth asking again, None where a call has to end first."""

    seconds: float | None
    paused: float = 0.0


def decide(
    level: Level, limit: Limit, wanted: Wanted, now: float, *, older: bool, busy: int
) -> tuple[Refused | None, Level]:
    """Whether the call may be made, and the buckets after that. `older` waits longer, `busy` calls are made."""
    level = refilled(level, limit, now)
    wait = wait_for(level, limit, wanted.tokens, now)
    full = limit.calls is not None and busy >= limit.calls
    if older or full or wait > 0:
        paused = max(0.0, level.paused_until - now)
        return Refused(None if (older or full) and not paused else wait, paused), level
    return None, taken(level, limit, wanted.tokens)


class Leases(Protocol):
    """The primitives of a store; each is one transaction."""

    async def take(self, wanted: Wanted, limit: Limit, holder: Process) -> Refused | None:
        """Note the call as being made, and take its part out of the buckets; or note that it waits."""
        ...

    async def drop(self, wanted: Wanted) -> None:
        """A call that waited goes away."""
        ...

    async def free(self, wanted: Wanted, limit: Limit, used: int) -> None:
        """A call has ended and has taken so many tokens."""
        ...

    async def renew(self, holder: str) -> None:
        """The calls of this process are still being made."""
        ...

    async def pause(self, provider: str, seconds: float) -> None: ...

    async def counts(self, limits: Mapping[str, Limit]) -> dict[str, tuple[int, float]]:
        """Calls under way, and seconds of pause left, by provider."""
        ...


class SharedLimits:
    """Implements `engine.models.limits.Limits` on a store's Leases. `process` names this process."""

    def __init__(self, leases: Leases, limits: Mapping[str, Limit], process: Process) -> None:
        self._leases = leases
        self._limits = limits
        self._process = process
        self._pauses = Pauses()
        self._lines: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._freed: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._held = 0
        self._renewer: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def slot(self, provider: str, tokens: int, until: float | None = None) -> AsyncIterator[Slot]:
        limit = self._limits.get(provider)
        slot = Slot(tokens)
        async with asyncio.timeout_at(until):
            if limit is None:
                await self._pauses.over(provider)
                wanted = None
            else:
                wanted = await self._wait(provider, limit, tokens)
        try:
            yield slot
        finally:
            if wanted is not None and limit is not None:
                used = tokens if slot.used is None else slot.used
                self._finish(self._leases.free(wanted, limit, used), provider)

    async def pause(self, provider: str, seconds: float) -> None:
        if provider in self._limits:
            await self._leases.pause(provider, min(seconds, LONGEST_PAUSE))
        else:
            self._pauses.set(provider, seconds)

    async def state(self) -> list[dict[str, Any]]:
        counts = await self._leases.counts(self._limits)
        return [
            {"provider": name, "limit": limit, "calls": counts[name][0], "paused": counts[name][1]}
            for name, limit in self._limits.items()
        ]

    async def close(self) -> None:
        """Wait until what has ended is noted in the store."""
        if self._renewer is not None:
            self._renewer.cancel()
            await asyncio.wait([self._renewer])
        if self._ending:
            await asyncio.wait(self._ending)

    # --- in line ---

    async def _wait(self, provider: str, limit: Limit, tokens: int) -> Wanted:
        """Returns once the call may be made; going away meanwhile leaves nothing behind."""
        wanted = Wanted(provider, uuid.uuid4().hex, tokens)
        async with self._lines[provider]:
            try:
                while (refused := await self._take(wanted, limit)) is not None:
                    too_long(provider, refused.paused)
                    await self._look_later(provider, refused.seconds)
            except BaseException:
                self._finish(self._leases.drop(wanted), None)
                raise
        self._held += 1
        if self._renewer is None or self._renewer.done():
            self._renewer = asyncio.create_task(self._renew())
        return wanted

    async def _take(self, wanted: Wanted, limit: Limit) -> Refused | None:
        """One look. Cut in the middle, it is finished all the same, so that nobody holds what he did not get."""
        self._freed[wanted.provider].clear()
        return await _whole(self._leases.take(wanted, limit, self._process))

    async def _look_later(self, provider: str, seconds: float | None) -> None:
        pause = LOOK_SECONDS * random.uniform(0.6, 1.4)  # noqa: S311 - no secret
        if seconds is not None:
            pause = min(max(seconds, 0.005), LONGEST_LOOK)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._freed[provider].wait()

    # --- in the background ---

    def _finish(self, work: Coroutine[Any, Any, None], ended: str | None) -> None:
        """Do it even where the caller is being cancelled; `ended` is the provider of a call that was made."""
        if ended is not None:
            self._held -= 1
        task = asyncio.get_running_loop().create_task(self._noted(work, ended))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _noted(self, work: Coroutine[Any, Any, None], ended: str | None) -> None:
        try:
            await work
        except ParlanceError as error:  # the lease ends by itself then
            log.warning("a call's place can't be freed: %s", error)
        if ended is not None:
            self._freed[ended].set()

    async def _renew(self) -> None:
        while self._held:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self._leases.renew(self._process.id)
            except ParlanceError as error:
                log.warning("calls can't be kept up: %s", error)


async def _whole(work: Coroutine[Any, Any, T]) -> T:
    """The result of work that goes on to its end even where the caller is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
