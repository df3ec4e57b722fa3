"""What may be asked of a model provider at the same time and per minute: the port, and its form without bounds.

`sessions` shares the bounds between all processes. What no setting bounds costs nothing here but a look into a
dict: only a vendor's own "not before" (429 with Retry-After) is kept, so that the calls of one process do not
each find it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from engine.errors import ModelRateLimited

LONGEST_PAUSE = 60.0
"""Seconds after which a paused provider is asked again at the latest: who has paid meanwhile need not wait a day."""
WAITED_FOR = 20.0
"""A pause that is longer is told to the person at once instead of waited for."""

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Limit:
    """Bounds of one provider; None: no bound."""

    calls: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(slots=True)
class Slot:
    """One call that may be made now. `used` is set to the tokens it really took, once they are known."""

    tokens: int
    used: int | None = None


class Limits(Protocol):
    """Lets calls through, in the order in which they came."""

    def slot(
        self, provider: str, tokens: int, until: float | None = None
    ) -> AbstractAsyncContextManager[Slot]:
        """Wait for a free place for a call that is expected to take so many tokens, and hold it.

        TimeoutError when there is none at `until` (the loop's clock); ModelRateLimited where the vendor asked
        for a pause that is not worth waiting for.
        """
        ...

    async def pause(self, provider: str, seconds: float) -> None:
        """The vendor wants no call for so long: nobody makes one."""
        ...

    async def state(self) -> list[dict[str, Any]]:
        """For people: {provider, limit, calls, paused} of each limited provider, `paused` in seconds."""
        ...

    async def close(self) -> None: ...


class Pauses:
    """Until when providers want to be left alone, as this process knows."""

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._until: dict[str, float] = {}
        self._sleep = sleep

    def set(self, provider: str, seconds: float) -> None:
        """Remember a pause, at most LONGEST_PAUSE; a shorter one does not cut a longer one."""
        until = asyncio.get_running_loop().time() + min(seconds, LONGEST_PAUSE)
        self._until[provider] = max(until, self._until.get(provider, 0.0))

    async def over(self, provider: str) -> None:
        """Return when the pause is over. ModelRateLimited, saying how long it takes, for a long one."""
        until = self._until.get(provider)
        if until is None:
            return
        left = until - asyncio.get_running_loop().time()
        if left > 0:
            too_long(provider, left)
            await self._sleep(left)
        if self._until.get(provider) == until:
            del self._until[provider]


def too_long(provider: str, seconds: float) -> None:
    """ModelRateLimited where a pause is longer than anybody should wait for without being told."""
    if seconds > WAITED_FOR:
        raise ModelRateLimited(
            f"The provider {provider} wants no request for the next {seconds:.0f} seconds.",
            "Try again then, or use another model.",
        )


class Unlimited:
    """Limits where nothing is bounded: the pauses alone."""

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._pauses = Pauses(sleep)

    @asynccontextmanager
    async def slot(self, provider: str, tokens: int, until: float | None = None) -> AsyncIterator[Slot]:
        async with asyncio.timeout_at(until):
            await self._pauses.over(provider)
        yield Slot(tokens)

    async def pause(self, provider: str, seconds: float) -> None:
        self._pauses.set(provider, seconds)

    async def state(self) -> list[dict[str, Any]]:
        return []

    async def close(self) -> None:
        return


# --- the rule, for whoever keeps the state ---


@dataclass(frozen=True, slots=True)
class Level:
    """A provider's state: what its two buckets hold (None: full), as of `at`, and until when it is paused."""

    requests: float | None = None
    tokens: float | None = None
    at: float = 0.0
    paused_until: float = 0.0


def refilled(level: Level, limit: Limit, now: float) -> Level:
    """The buckets at `now`: each fills at its rate up to what a minute allows."""
    passed = max(0.0, now - level.at)
    return Level(
        _filled(level.requests, limit.requests_per_minute, passed),
        _filled(level.tokens, limit.tokens_per_minute, passed),
        now,
        level.paused_until,
    )


def _filled(held: float | None, per_minute: int | None, passed: float) -> float | None:
    if per_minute is None or held is None:
        return None
    full = held + per_minute / 60 * passed
    return None if full >= per_minute else full


def wait_for(level: Level, limit: Limit, tokens: int, now: float) -> float:
    """Seconds until the buckets and the pause let a call through; 0.0: now. `level` is refilled.

    A call larger than a whole minute's tokens goes when the bucket is full, and those after it wait for that.
    """
    waits = [level.paused_until - now]
    if limit.requests_per_minute and level.requests is not None:
        waits.append((1 - level.requests) / limit.requests_per_minute * 60)
    if limit.tokens_per_minute and level.tokens is not None:
        wanted = min(tokens, limit.tokens_per_minute)
        waits.append((wanted - level.tokens) / limit.tokens_per_minute * 60)
    return max(0.0, *waits)


def taken(level: Level, limit: Limit, tokens: float, requests: int = 1) -> Level:
    """The buckets after a call; with `requests` 0 a correction of its tokens, which may be negative."""
    held = level.requests
    if limit.requests_per_minute is not None:
        held = (limit.requests_per_minute if held is None else held) - requests
    rest = level.tokens
    if limit.tokens_per_minute is not None:
        rest = min(limit.tokens_per_minute, (limit.tokens_per_minute if rest is None else rest) - tokens)
    return Level(held, rest, level.at, level.paused_until)


Limited = Mapping[str, Limit]
