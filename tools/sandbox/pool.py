"""The sandbox as the engine knows it: `run(code, inputs)`, over a small pool of worker processes.

A run has a worker to itself. A worker whose run ended in order is used again, with a fresh instance; any other is
killed and replaced.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tools.sandbox import build
from tools.sandbox.outcome import SandboxError, SandboxResult, SandboxRetry
from tools.sandbox.process import ROOT, CallTool, CannotStart, Request, WorkerProcess

__all__ = ["Sandbox", "SandboxError", "SandboxResult", "SandboxRetry"]

MACHINES = ("x86_64", "amd64", "arm64", "aarch64")
RUNS_PER_WORKER = 500
LEAST_MEMORY_MB = 64
MOST_MEMORY_MB = 2_048
LARGEST_INPUTS = 16 << 20


class Sandbox:
    """Runs code that nobody has read. Made cheaply: nothing starts before `warm` or the first `run`.

    `folder` holds the compiled guest; None for the default place. At most `size` runs take place at the same time, the
    others wait, which does not count as their time. Of the workers that nobody needs for
    `idle_seconds` one stays. One event loop uses it, and calls `close` in the end.
    """

    def __init__(
        self, folder: Path | None = None, *, size: int | None = None, idle_seconds: float = 60.0
    ) -> None:
        self._folder = folder
        self._size = size or min(4, max(2, os.cpu_count() or 2))
        self._idle_seconds = idle_seconds
        self._free = asyncio.Semaphore(self._size)
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        self._artifact: Path | None = None
        self._building = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._shrink: asyncio.TimerHandle | None = None
        self._refused: str | None = None
        self._closed = False

    def available(self) -> str | None:
        """None where code can run; else the reason why not, as a sentence with its fix. Starts nothing."""
        if self._refused or self._idle or self._busy:
            return self._refused
        if sys.maxsize < 2**32 or platform.machine().lower() not in MACHINES:
            return f"The sandbox has no build for this kind of machine ({platform.machine()})."
        if find_spec("wasmtime") is None:
            return "The sandbox needs the package wasmtime. Install the project as its README says."
        path = self._place()
        if not path.exists():
            missing = find_spec("componentize_py") is None
            return (
                "The sandbox is not built, and the package componentize-py is missing." if missing else None
            )
        reason = build.distrust(path)
        return (
            f"The sandbox's compiled guest is not safe to load. {reason} Remove it; it is then built anew."
            if reason
            else None
        )

    @property
    def built(self) -> bool:
        """Whether the guest is there already; if not, the first run waits for it."""
        return self._place().exists()

    def warm(self) -> None:
        """Start a worker in the background, so that the first run does not wait for it."""
        if not self._idle and not self._busy and not self._tasks and not self._closed:
            self._in_background()

    async def run(
        self,
        code: str,
        inputs: Mapping[str, Any],
        *,
        timeout: float = 30,  # noqa: ASYNC109  (a limit of the run, enforced in another process)
        memory_mb: int = 256,
        call_tool: CallTool | None = None,
        tools: Collection[str] = (),
        allowed_modules: Collection[str] | None = None,
    ) -> SandboxResult:
        """Run `code` with `inputs` (whatever JSON can hold) as a dict of that name.

        `timeout` in seconds of its own time, tools not counted; `memory_mb` is all that its Python may take, of which
        it needs about 30 itself. Each of `tools` is a function `tools.NAME(**args)` in the code, answered by
        `call_tool`. SandboxError says what went wrong; SandboxRetry where another attempt may help.
        """
        text = await _encode(code, inputs, tools, allowed_modules)
        memory = max(LEAST_MEMORY_MB, min(memory_mb, MOST_MEMORY_MB))
        request = Request(text, timeout, memory, tools, call_tool)
        async with self._free:
            worker = await self._take()
            in_order = False
            try:
                result = await worker.run(request)
                in_order = True
                return result
            except SandboxError:
                in_order = True
                raise
            finally:
                await asyncio.shield(self._give_back(worker, in_order))

    async def close(self) -> None:
        """End every worker. A run that is under way fails."""
        self._closed = True
        if self._shrink is not None:
            self._shrink.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        workers = [*self._idle, *self._busy]
        self._idle.clear()
        self._busy.clear()
        await asyncio.gather(*(worker.kill() for worker in workers))

    async def _take(self) -> WorkerProcess:
        self._must_be_open()
        if not self._idle and self._tasks:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        worker = None
        while self._idle and worker is None:
            last = self._idle.pop()
            worker = last if last.alive else None
        worker = worker or await self._start()
        self._busy.add(worker)
        try:
            self._must_be_open()
        except SandboxError:
            await self._give_back(worker, in_order=False)
            raise
        return worker

    def _must_be_open(self) -> None:
        if self._closed:
            raise SandboxError("The sandbox is closed.", "Start the program again.", code="sandbox_missing")

    async def _give_back(self, worker: WorkerProcess, in_order: bool) -> None:
        """Keep a worker for the next run; one in the middle of a run, or gone, or old, is replaced."""
        self._busy.discard(worker)
        if in_order and worker.alive and worker.runs < RUNS_PER_WORKER and not self._closed:
            self._keep(worker)
            return
        await worker.kill()
        if not self._closed and not self._idle:
            self._in_background()

    def _keep(self, worker: WorkerProcess) -> None:
        worker.idle_since = time.monotonic()
        self._idle.append(worker)
        if self._shrink is None and len(self._idle) > 1:
            self._shrink = asyncio.get_running_loop().call_later(self._idle_seconds, self._let_go)

    def _let_go(self) -> None:
        """End the workers that nobody needed for a while, but for one."""
        self._shrink = None
        limit = time.monotonic() - self._idle_seconds
        old = [worker for worker in self._idle[:-1] if worker.idle_since <= limit]
        self._idle = [worker for worker in self._idle if worker not in old]
        for worker in old:
            self._do(worker.kill())
        if len(self._idle) > 1:
            self._shrink = asyncio.get_running_loop().call_later(self._idle_seconds, self._let_go)

    def _in_background(self) -> None:
        self._do(self._start_idle())

    def _do(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start_idle(self) -> None:
        """A worker in advance. What hinders it is told by the run that needs one, which tries it again."""
        with suppress(SandboxError):
            self._keep(await self._start())

    async def _start(self) -> WorkerProcess:
        """A new worker. What was compiled for another processor, or is damaged, is compiled anew, once."""
        if self._refused:
            raise SandboxError(self._refused, code="sandbox_missing")
        for again in (False, True):
            artifact = await self._built(again=again)
            try:
                return await WorkerProcess.start(artifact)
            except (CannotStart, OSError) as error:
                if not isinstance(error, CannotStart) or not error.broken:
                    raise SandboxRetry(
                        f"The sandbox's process cannot be started. {error}",
                        "Try again.",
                        code="sandbox_missing",
                    ) from None
                reason = str(error)
        self._refused = f"The sandbox cannot start here. {reason}"
        raise SandboxError(self._refused, code="sandbox_missing")

    async def _built(self, *, again: bool) -> Path:
        """The compiled guest, built in a process of its own where it is not there yet."""
        async with self._building:
            path = self._place()
            if again or not path.exists():
                await self._build(path.parent, again)
            reason = await asyncio.to_thread(build.distrust, path)
            if reason:
                raise SandboxError(
                    f"The sandbox's compiled guest is not safe to load. {reason}",
                    f"Remove {path.parent}.",
                    code="sandbox_missing",
                )
            return path

    def _place(self) -> Path:
        if self._artifact is None:
            self._artifact = build.artifact(self._folder or build.default_folder())
        return self._artifact

    async def _build(self, folder: Path, anew: bool) -> None:
        command = [
            sys.executable,
            "-m",
            "tools.sandbox.build",
            "--folder",
            str(folder),
            *(["--anew"] if anew else []),
        ]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            _, said = await process.communicate()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if process.returncode:
            lines = said.decode(errors="replace").strip().splitlines()
            last = lines[-1] if lines and process.returncode == 1 else ""
            self._refused = last or f"The sandbox could not be built (code {process.returncode})."
            raise SandboxError(self._refused, code="sandbox_missing")


async def _encode(
    code: str, inputs: Mapping[str, Any], tools: Collection[str], allowed_modules: Collection[str] | None
) -> str:
    """What the guest is told, as JSON. SandboxError when JSON cannot hold the inputs, or they are too large."""
    request = {
        "code": code,
        "inputs": inputs,
        "tools": list(tools),
        "allowed_modules": None if allowed_modules is None else list(allowed_modules),
    }
    try:
        text = _dumps(request) if is_small(request) else await asyncio.to_thread(_dumps, request)
    except (TypeError, ValueError, RecursionError) as error:
        raise SandboxError(
            f"The inputs of the code cannot be handed over: {error}.", "Give plain values."
        ) from None
    if len(text) > LARGEST_INPUTS:
        raise SandboxError(
            f"The inputs of the code are larger than {LARGEST_INPUTS >> 20} MB.",
            "Name only the inputs it needs.",
        )
    return text


def _dumps(request: Mapping[str, Any]) -> str:
    return json.dumps(request, allow_nan=False)


def is_small(value: Any, limit: int = 100_000) -> bool:
    """Whether making JSON of it takes a moment only. Stops counting at `limit` characters and parts."""
    waiting = [value]
    while waiting and limit > 0:
        each = waiting.pop()
        limit -= len(each) if isinstance(each, str) else 8
        if isinstance(each, Mapping):
            limit -= 16 * len(each)
            waiting.extend(each.values() if limit > 0 else ())
        elif isinstance(each, list | tuple):
            waiting.extend(each if len(each) * 8 < limit else each[:1])
            limit -= 8 * len(each)
    return limit > 0
