"""Limits of model providers: never passed, shared by processes, fair, freed by kill -9, and cheap when free."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelRateLimited, ModelTimeout
from engine.models import ModelChoice, Models
from engine.models.client import complete
from engine.models.limits import Level, Limit, Unlimited, refilled, taken, wait_for
from engine.ports import Message, ModelRequest
from sessions.limit_queue import SharedLimits
from tests.fakes.openai_server import FakeOpenAI, Reply
from tests.patience import within
from tests.sessions.limit_worker import limited

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the limits are shared: a file, or an empty database of a server."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return str(tmp_path / "runs.db")


@pytest.fixture
async def four(database: str) -> AsyncIterator[SharedLimits]:
    async with limited(database, {"openai": Limit(calls=4), "slow": Limit(calls=1)}) as limits:
        yield limits


class Arrivals:
    """A script for the fake that notes when each request arrives and how many are there at the same time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.times: list[float] = []
        self._lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Reply:
        with self._lock:
            self.times.append(time.monotonic())
        return Reply(text="fine", delay=self.seconds)

    @property
    def most(self) -> int:
        """At the same time; each is there for `seconds` at least."""
        return max(sum(0 <= at - other < self.seconds for other in self.times) for at in self.times)


async def test_no_more_calls_than_allowed_and_none_wasted(four: SharedLimits) -> None:
    now = most = 0

    async def one() -> None:
        nonlocal now, most
        async with four.slot("openai", 10):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.02)
            now -= 1

    began = time.monotonic()
    await asyncio.gather(*(one() for _ in range(40)))
    assert most == 4
    assert time.monotonic() - began < within(2.5), "who waits is woken when a place is free"


async def test_first_come_first_served(four: SharedLimits) -> None:
    order: list[int] = []

    async def one(number: int) -> None:
        async with four.slot("slow", 1):
            order.append(number)
            await asyncio.sleep(0)

    tasks = []
    for number in range(12):
        tasks.append(asyncio.create_task(one(number)))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert order == list(range(12))


async def test_processes_take_turns(database: str) -> None:
    """Two holders that each want everything get about as much as the other."""
    limits = {"slow": Limit(calls=1)}
    got: list[str] = []
    async with limited(database, limits) as one, limited(database, limits) as other:

        async def hungry(name: str, mine: SharedLimits) -> None:
            while len(got) < 16:
                async with mine.slot("slow", 1):
                    got.append(name)
                    await asyncio.sleep(0.02)

        await asyncio.gather(
            *(hungry("one", one) for _ in range(5)), *(hungry("other", other) for _ in range(5))
        )
    assert 5 <= got[:16].count("one") <= 11, got


async def test_who_goes_away_leaves_nothing_behind(four: SharedLimits) -> None:
    async with four.slot("slow", 1):
        waiting = [asyncio.create_task(_hold(four)) for _ in range(3)]
        await asyncio.sleep(0.05)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        with pytest.raises(TimeoutError):
            async with four.slot("slow", 1, asyncio.get_running_loop().time() + 0.05):
                raise AssertionError("there was no place")
    async with asyncio.timeout(1), four.slot("slow", 1):
        assert (await four.state())[1]["calls"] == 1
    await asyncio.sleep(0.05)
    assert [each["calls"] for each in await four.state()] == [0, 0]


async def _hold(limits: SharedLimits) -> None:
    async with limits.slot("slow", 1):
        await asyncio.sleep(5)


async def test_a_free_place_costs_about_a_millisecond(four: SharedLimits) -> None:
    spent = []
    for _ in range(100):
        began = time.perf_counter()
        async with four.slot("openai", 10):
            spent.append(time.perf_counter() - began)
    print(f"{statistics.median(spent) * 1000:.2f} ms")
    assert min(spent) < 0.003


async def test_what_is_not_limited_costs_nothing(four: SharedLimits) -> None:
    began = time.perf_counter()
    for _ in range(1000):
        async with four.slot("anthropic", 10):
            pass
    assert time.perf_counter() - began < within(0.1)


async def test_a_long_pause_is_told_and_a_short_one_is_kept(database: str) -> None:
    """What one process hears from the vendor, the other one heeds."""
    limits = {"openai": Limit(calls=4)}
    async with limited(database, limits) as one, limited(database, limits) as other:
        await one.pause("openai", 0.3)
        began = time.monotonic()
        async with other.slot("openai", 1):
            assert time.monotonic() - began > 0.2
        await other.pause("openai", 3600)
        with pytest.raises(ModelRateLimited, match="for the next 60 seconds"):
            async with one.slot("openai", 1):
                raise AssertionError("it was paused")


@pytest.mark.parametrize("shared", [True, False])
async def test_a_429_pauses_the_provider_for_all(four: SharedLimits, shared: bool) -> None:
    """One call is told to wait; those after it wait without asking, also where nothing is to be tried again."""
    first = Reply(status=429, headers={"Retry-After": "1"})
    with FakeOpenAI([first, *["fine"] * 5]) as fake:
        models = Models(
            ModelChoice(model="openai/fake", api_base=fake.base_url), limits=four if shared else Unlimited()
        )
        with pytest.raises(ModelRateLimited):
            await complete(models, ModelRequest((Message("user", "Hi"),), retries=0))
        began = time.monotonic()
        asked = [ModelRequest((Message("user", "Hi"),), retries=0) for _ in range(4)]
        await asyncio.gather(*(complete(models, each) for each in asked))
        assert time.monotonic() - began > 0.8
        assert len(fake.requests) == 5
        await models.close()


async def test_a_call_that_gets_no_place_says_so(four: SharedLimits) -> None:
    with FakeOpenAI("fine") as fake:
        models = Models(ModelChoice(model="openai/fake", api_base=fake.base_url), limits=four)
        held = [four.slot("openai", 1) for _ in range(4)]
        for slot in held:
            await slot.__aenter__()
        with pytest.raises(ModelTimeout, match="free in time"):
            await complete(models, ModelRequest((Message("user", "Hi"),), timeout=0.1))
        for slot in held:
            await slot.__aexit__(None, None, None)
        assert fake.requests == []
        await models.close()


# --- buckets ---

Draw = Callable[[st.SearchStrategy[Any]], Any]


@given(
    st.integers(1, 100),
    st.integers(1, 5000),
    st.lists(st.tuples(st.floats(0, 30), st.integers(0, 8000), st.integers(0, 8000)), max_size=40),
)
def test_buckets_never_let_more_through_than_a_minute_and_its_rate(
    requests: int, tokens: int, calls: list[tuple[float, int, int]]
) -> None:
    """Each call waits as long as it is told; then whatever window one looks at is within bounds."""
    limit, level, now = Limit(None, requests, tokens), Level(), 0.0
    made: list[float] = []
    for pause, expected, used in calls:
        now += pause
        level = refilled(level, limit, now)
        wait = wait_for(level, limit, expected, now)
        now += wait
        level = refilled(level, limit, now)
        assert wait_for(level, limit, expected, now) == pytest.approx(0, abs=1e-6)
        level = taken(level, limit, expected)
        level = taken(level, limit, used - expected, requests=0)
        made.append(now)
        assert level.tokens is None or level.tokens <= tokens
    for first, begin in enumerate(made):
        for last in range(first, len(made)):
            allowed = requests * (1 + (made[last] - begin) / 60)
            assert last - first + 1 <= allowed + 1e-6


async def test_the_bucket_for_requests_holds_back(database: str) -> None:
    """Sixty at once, and the next one a second after the first at the earliest."""
    async with limited(database, {"openai": Limit(requests_per_minute=60)}) as limits:
        began = time.monotonic()
        for _ in range(61):
            async with limits.slot("openai", 1):
                pass
        assert 0.95 < time.monotonic() - began < within(4)


async def test_the_bucket_for_tokens_counts_what_was_used(database: str) -> None:
    """Five calls expect a minute's worth together; each gives nearly all of it back."""
    async with limited(database, {"openai": Limit(tokens_per_minute=600)}) as limits:
        began = time.monotonic()
        for _ in range(5):
            async with limits.slot("openai", 550) as slot:
                slot.used = 5
            await asyncio.sleep(0.01)
        assert time.monotonic() - began < within(3)
        async with limits.slot("openai", 10) as slot:
            slot.used = 600
        await asyncio.sleep(0.05)
        with pytest.raises(TimeoutError):
            async with limits.slot("openai", 300, asyncio.get_running_loop().time() + 0.3):
                raise AssertionError("the bucket is empty")


# --- processes ---


def worker(database: str, fake: FakeOpenAI, calls: int, at_once: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.sessions.limit_worker"]
    return subprocess.Popen(
        [*command, database, fake.base_url, str(calls), str(at_once)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_processes_together_keep_the_limit_and_kill_9_frees_a_place(database: str) -> None:
    """Three processes with five calls each at once, two allowed; one is killed in the middle of its calls."""
    arrivals = Arrivals(0.1)
    with FakeOpenAI(arrivals) as fake:
        victim, *others = [worker(database, fake, 16, 5) for _ in range(3)]
        for each in (*others, victim):  # all of them are at it
            assert each.stdout is not None
            each.stdout.readline()
        victim.kill()
        victim.wait()
        killed = time.monotonic()
        for other in others:
            other.communicate(timeout=60)
        assert [other.returncode for other in others] == [0, 0]
        assert victim.stdout is not None
        victim.stdout.close()
        after = [at for at in arrivals.times if at > killed]
    assert arrivals.most <= 2
    assert len(arrivals.times) >= 32
    gaps = [b - a for a, b in zip([killed, *after], after, strict=False)]
    print(f"{len(arrivals.times)} calls, at most {arrivals.most} at once, longest gap {max(gaps):.2f} s")
    assert max(gaps) < 4, "neither a dead process's calls nor its place in line were waited out"


@pytest.mark.slow
def test_a_place_that_is_held_by_a_dead_process_is_free_again(database: str) -> None:
    with FakeOpenAI(Reply(text="never", pause=True)) as fake:
        dead = worker(database, fake, 2, 2)
        assert fake.paused.wait(20)
        time.sleep(0.5)
        dead.kill()
        dead.communicate()
        fake.script = "fine"
        fake.release()
        second = worker(database, fake, 2, 1)
        second.communicate(timeout=20)
        assert second.returncode == 0
