"""Actors as the tests see them, and what their log says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.engine.actor import Where, options

ROOT = Path(__file__).resolve().parents[2]


class Actor:
    """One process. It is killed at the end of the test at the latest."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.name = ""
        """What the store calls it."""

    @property
    def pid(self) -> int:
        return self._process.pid

    async def work(self, slots: int = 10) -> None:
        """Go on with what is free from now on."""
        await self._tell(do="work", slots=slots)

    async def start(
        self, text: str, inputs: dict[str, Any] | None = None, times: int = 1, **extra: Any
    ) -> list[str]:
        """Start runs there; their ids."""
        found = await self._tell(do="start", text=text, inputs=inputs or {}, times=times, options=extra)
        assert isinstance(found, list), found
        return found

    async def close(self) -> float:
        """An orderly end; how many seconds it took to let go of everything."""
        told = await self._tell(do="close")
        await self._process.wait()
        return float(told["seconds"])

    async def kill(self) -> None:
        self.signal(signal.SIGKILL)
        await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    async def answered(self) -> Any:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 60)
        assert line, "the actor has ended"
        return json.loads(line)

    async def _tell(self, **wish: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(wish)}\n".encode())
        await self._process.stdin.drain()
        return await self.answered()


class Stage:
    """Where the actors of one test meet."""

    def __init__(self, where: Where) -> None:
        self.where = where
        self._actors: list[Actor] = []

    async def actor(self, **changes: Any) -> Actor:
        """A new process, ready for what it is told."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.engine.actor",
            options(replace(self.where, **changes)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        made = Actor(process)
        self._actors.append(made)
        made.name = (await made.answered())["name"]
        return made

    async def worker(self, slots: int = 10, **changes: Any) -> Actor:
        made = await self.actor(**changes)
        await made.work(slots)
        return made

    def log(self) -> list[list[str]]:
        """What the tools did: word, key, time, process; in order."""
        path = Path(self.where.log)
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def count(self, word: str) -> Counter[str]:
        return Counter(line[1] for line in self.log() if line[0] == word)

    async def until_log(self, test: Callable[[list[list[str]]], Any], seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not test(self.log()):
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        for actor in self._actors:
            if not actor.ended:
                await actor.kill()


@contextlib.asynccontextmanager
async def stage_at(where: Where) -> AsyncIterator[Stage]:
    stage = Stage(where)
    try:
        yield stage
    finally:
        await stage.close()
