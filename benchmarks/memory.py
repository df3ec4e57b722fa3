"""What a thousand runs at once keep in memory, beside LangGraph with its SQLite checkpointer.

1,000 runs of a chain of 20 nodes, all started together, in a process of its own for each side; resident memory over the
idle process at its highest (sampled every 20 ms) and after each of three identical batches. The bars: under 400 MB,
and the third batch adds under 10 MB over the second.

    python -m benchmarks.memory [--json]
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from benchmarks.engine import SHAPES, Shape, ours, say, theirs

RUNS = 1000
BATCHES = 3
MEGABYTE = 2**20
RUNS_SHAPE = next(shape for shape in SHAPES if shape.runs > 1)


def resident() -> float:
    return float(psutil.Process().memory_info().rss) / MEGABYTE


async def highest(peak: list[float]) -> None:
    while True:
        peak[0] = max(peak[0], resident())
        await asyncio.sleep(0.02)


async def measure(side: str, runs: int) -> dict[str, list[float]]:
    """`peak` and what is `kept` after each batch, in MB over the idle process."""
    shape = Shape(RUNS_SHAPE.name, RUNS_SHAPE.document, RUNS_SHAPE.nodes, RUNS_SHAPE.expected, runs)
    opened = ours if side == "ours" else theirs
    found: dict[str, list[float]] = {"peak": [], "kept": []}
    with tempfile.TemporaryDirectory() as folder:
        async with opened(shape, Path(folder) / "runs.db", "NORMAL") as batch:
            gc.collect()
            idle = resident()
            for _ in range(BATCHES):
                peak = [resident()]
                sampler = asyncio.create_task(highest(peak))
                await batch()
                sampler.cancel()
                gc.collect()
                found["peak"].append(peak[0] - idle)
                found["kept"].append(resident() - idle)
    return found


def in_own_process(side: str, runs: int) -> dict[str, list[float]]:
    command = [sys.executable, "-m", "benchmarks.memory", "--side", side, str(runs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def run() -> list[dict[str, object]]:
    mine, peers = in_own_process("ours", RUNS), in_own_process("theirs", RUNS)
    added = [kept["kept"][2] - kept["kept"][1] for kept in (mine, peers)]
    for name, side in (("ours", mine), ("LangGraph", peers)):
        say(f"{name}: highest {max(side['peak']):.0f} MB, kept {[round(k, 1) for k in side['kept']]} MB")
    return [
        _figure("1,000 runs of 20 nodes at once, highest", max(mine["peak"]), max(peers["peak"])),
        {
            "name": "the third batch adds to the second",
            "ours": round(added[0], 2),
            "peer": round(added[1], 2),
            "ratio": None,
            "unit": "MB",
        },
    ]


def _figure(name: str, mine: float, peer: float) -> dict[str, object]:
    return {
        "name": name,
        "ours": round(mine, 1),
        "peer": round(peer, 1),
        "ratio": round(mine / peer, 4),
        "unit": "MB",
    }


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    if "--side" in sys.argv:
        at = sys.argv.index("--side")
        print(json.dumps(asyncio.run(measure(sys.argv[at + 1], int(sys.argv[at + 2])))))
    else:
        figures = run()
        if "--json" in sys.argv:
            print(json.dumps(figures))
