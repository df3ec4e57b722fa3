"""One worker process, seen from the pool: started, given runs, killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.errors import ToolError, ToolRetry
from tools.sandbox import frames
from tools.sandbox.outcome import (
    BadReport,
    SandboxResult,
    of_death,
    of_ending,
    of_report,
    out_of_time,
    read_json,
)

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0
GRACE_SECONDS = 0.5
LARGEST_FRAME = 16 << 20
LARGE = 100_000
# -I leaves out the working folder, user packages and every PYTHON… variable, so the way to this package is said.
_BOOT = "import sys; sys.path.append(sys.argv[1]); from tools.sandbox.worker import main; main(sys.argv[2])"

CallTool = Callable[[str, dict[str, Any]], Awaitable[Any]]


class CannotStart(Exception):
    """The worker did not come up; the message says why. `broken`: it said so itself, and would say so again."""

    def __init__(self, message: str, *, broken: bool = False) -> None:
        super().__init__(message)
        self.broken = broken


@dataclass(frozen=True, slots=True)
class Request:
    """One run: `text` is what the guest is told, JSON without a line break. `timeout` in seconds."""

    text: str
    timeout: float
    memory_mb: int
    tools: Collection[str]
    call_tool: CallTool | None


class Died(Exception):
    """The worker is gone."""


class WorkerProcess:
    """A running worker. `runs` counts what it has done; after an error of ours it must be killed, not used again."""

    def __init__(self, process: Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a worker is spoken to over its pipes")
        self.process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self.runs = 0
        self.idle_since = 0.0

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    @classmethod
    async def start(cls, artifact: Path) -> WorkerProcess:
        """CannotStart when it says so itself, dies, or takes longer than START_SECONDS."""
        command = (sys.executable, "-I", "-c", _BOOT, str(ROOT), str(artifact))
        windows: dict[str, Any] = {}
        if sys.platform == "win32":
            windows["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        worker = cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env=_environment(),
                cwd=ROOT.anchor,
                start_new_session=True,
                limit=1 << 20,
                **windows,
            )
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                kind, text = await worker._read()
        except (Died, TimeoutError) as error:
            await worker.kill()
            how = f"did not come up within {START_SECONDS:g} s" if isinstance(error, TimeoutError) else "died"
            raise CannotStart(f"Its process {how} (code {worker.process.returncode}).") from None
        except BaseException:
            await worker.kill()
            raise
        if kind != frames.HELLO:
            await worker.kill()
            raise CannotStart(text, broken=True)
        return worker

    async def run(self, request: Request) -> SandboxResult:
        """One run. SandboxError when the code failed, or the process died of it."""
        self.runs += 1
        talk = _Talk(self, request)
        try:
            return await talk.take()
        except Died:
            await self.kill()
            raise of_death(self.process.returncode, talk.stdout) from None

    async def kill(self) -> None:
        """End the process and whatever it may have started; returns when it is gone."""
        process = self.process
        with suppress(ProcessLookupError):
            if process.returncode is None:
                if sys.platform == "win32":
                    process.kill()
                else:
                    os.killpg(process.pid, signal.SIGKILL)
        self._stdin.close()
        await process.wait()
        with suppress(ConnectionError):
            await self._stdin.wait_closed()

    async def _read(self) -> tuple[bytes, str]:
        stdout = self._stdout
        try:
            kind, length = frames.HEADER.unpack(await stdout.readexactly(frames.HEADER.size))
            if length > LARGEST_FRAME:
                raise Died
            return kind, (await stdout.readexactly(length)).decode("utf-8", "replace")
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Died from None

    async def _write(self, kind: bytes, text: str) -> None:
        try:
            self._stdin.write(frames.pack(kind, text))
            await self._stdin.drain()
        except (ConnectionError, RuntimeError):
            raise Died from None


class _Talk:
    """The conversation of one run."""

    def __init__(self, worker: WorkerProcess, request: Request) -> None:
        self.worker = worker
        self.request = request
        self.left = request.timeout + GRACE_SECONDS
        self.report: str | None = None
        self._printed: list[str] = []

    @property
    def stdout(self) -> str:
        return "".join(self._printed)

    async def take(self) -> SandboxResult:
        limits = json.dumps({"timeout": self.request.timeout, "memory_mb": self.request.memory_mb})
        await self.worker._write(frames.RUN, f"{limits}\n{self.request.text}")
        while True:
            kind, text = await self._next()
            if kind == frames.PRINTED:
                self._printed.append(text)
            elif kind == frames.REPORT:
                self.report = text
            elif kind == frames.TOOL:
                await self.worker._write(frames.ANSWER, await self._answer(text))
            elif kind == frames.DONE:
                return await self._outcome(text)
            else:
                raise Died

    async def _next(self) -> tuple[bytes, str]:
        """The next frame. The worker ends what computes too long; what it cannot, a sleep, ends by the kill here."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.left):
                return await self.worker._read()
        except TimeoutError:
            await self.worker.kill()
            raise out_of_time(self.request.timeout, self.stdout) from None
        finally:
            self.left = max(0.05, self.left - (time.monotonic() - began))

    async def _outcome(self, text: str) -> SandboxResult:
        done = json.loads(text)
        if done["ended"] != "returned" or self.report is None:
            raise of_ending(done["ended"], done["detail"], self.request.timeout, self.stdout)
        if len(self.report) > LARGE:
            return await asyncio.to_thread(of_report, self.report, self.stdout)
        return of_report(self.report, self.stdout)

    async def _answer(self, payload: str) -> str:
        """Call the tool, if the node was given it; what came of it, as JSON for the code."""
        try:
            call = read_json(payload)
            if not isinstance(call, dict) or not isinstance(call.get("args"), dict):
                raise BadReport("It is not a call of a tool.")
            if call.get("name") not in self.request.tools or self.request.call_tool is None:
                raise ToolError(f"There is no tool {str(call.get('name'))[:100]} here.")
            return json.dumps({"value": await self.request.call_tool(call["name"], call["args"])})
        except ToolError as error:
            return json.dumps({"error": str(error), "retry": isinstance(error, ToolRetry)})
        except (BadReport, TypeError, ValueError) as error:
            return json.dumps({"error": f"The call cannot be made. {error}", "retry": False})


def _environment() -> dict[str, str]:
    """Nothing; Windows cannot load its own libraries without SystemRoot."""
    return {"SYSTEMROOT": os.environ.get("SYSTEMROOT", r"C:\Windows")} if sys.platform == "win32" else {}
