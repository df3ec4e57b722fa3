"""What a run of code in the sandbox costs, beside a fresh Python process per run, which is no sandbox.

Every result is checked. Warm: a worker that waits, 300 runs one after another, each in a fresh instance. Cold: a new
pool, its first run. Memory is a worker's own (what it shares with no other process), after those runs.

    python -m benchmarks.sandbox --json
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil

from tools.sandbox import build
from tools.sandbox.pool import Sandbox

WARM_RUNS, COLD_RUNS, PEER_RUNS = 300, 7, 60
BAR_MS = 10.0
CODE = "import json\nresult = {'sum': sum(inputs['numbers']), 'words': inputs['text'].split()}"
INPUTS = {"numbers": list(range(100)), "text": "one two three"}
WANTED = {"sum": 4950, "words": ["one", "two", "three"]}
PEER = f"import sys, json\ninputs = json.load(sys.stdin)\n{CODE}\nprint(json.dumps(result))"


def say(text: str) -> None:
    print(text, file=sys.stderr)


async def ours() -> tuple[list[float], list[float], float]:
    """Seconds of each cold and each warm run, and megabytes of a worker."""
    cold = []
    for _ in range(COLD_RUNS):
        sandbox = Sandbox(size=1)
        cold.append(await timed(sandbox))
        await sandbox.close()
    sandbox = Sandbox(size=1)
    try:
        await timed(sandbox)
        warm = [await timed(sandbox) for _ in range(WARM_RUNS)]
        (worker,) = sandbox._idle
        return cold, warm, own_memory(worker.pid)
    finally:
        await sandbox.close()


async def timed(sandbox: Sandbox) -> float:
    began = time.perf_counter()
    done = await sandbox.run(CODE, INPUTS)
    took = time.perf_counter() - began
    check(done.result)
    return took


def theirs() -> tuple[list[float], float]:
    """Seconds of each fresh process, and megabytes of one that waits."""
    took = []
    for _ in range(PEER_RUNS):
        began = time.perf_counter()
        command = [sys.executable, "-I", "-S", "-c", PEER]
        done = subprocess.run(command, input=json.dumps(INPUTS), capture_output=True, text=True, check=True)
        took.append(time.perf_counter() - began)
        check(json.loads(done.stdout))
    waits = subprocess.Popen([sys.executable, "-I", "-S", "-c", PEER], stdin=subprocess.PIPE)
    try:
        time.sleep(0.2)
        return took, own_memory(waits.pid)
    finally:
        waits.kill()
        waits.communicate()


def own_memory(pid: int) -> float:
    """Megabytes that would come free if the process ended; on systems that do not tell, its resident size."""
    found = psutil.Process(pid).memory_full_info()
    return float(getattr(found, "uss", found.rss)) / (1 << 20)


def check(result: Any) -> None:
    if result != WANTED:
        raise SystemExit(f"the code gave {result!r}")


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[18]


def run() -> list[dict[str, object]]:
    """The figures: one object per measure, `ratio` is ours divided by the peer's."""
    began = time.perf_counter()
    build.ensure(build.default_folder())
    say(f"guest there after {time.perf_counter() - began:.1f} s")
    cold, warm, memory = asyncio.run(ours())
    fresh, fresh_memory = theirs()
    say(f"warm median {statistics.median(warm) * 1e3:.2f} ms; the bar is {BAR_MS:g} ms")

    def figure(name: str, of: Callable[[list[float]], float], mine: list[float]) -> dict[str, object]:
        return _figure(name, of(mine) * 1e3, of(fresh) * 1e3, "ms")

    return [
        figure("a warm run, median", statistics.median, warm),
        figure("a warm run, 95th of 100", p95, warm),
        figure("the first run of a new pool, median", statistics.median, cold),
        _figure("memory of a worker's own", memory, fresh_memory, "MB"),
    ]


def _figure(name: str, mine: float, peer: float, unit: str) -> dict[str, object]:
    say(f"{name}: {mine:.2f} {unit}, a fresh Python process {peer:.2f} {unit}")
    return {
        "name": name,
        "ours": round(mine, 3),
        "peer": round(peer, 3),
        "ratio": round(mine / peer, 4),
        "unit": unit,
    }


if __name__ == "__main__":
    figures = run()
    if "--json" in sys.argv:
        print(json.dumps(figures))
