"""Workers on PostgreSQL: throughput at 1, 2 and 4, the time from storing a run to its start, taking up a long run.

The same runs, whose nodes sleep half a second, for 1, 2 and 4 workers of 10 slots each: the seconds of twice the
workers beside those of once, and what all processes together used of the processor, the server included. Forty
single runs on an idle worker: milliseconds from the call that stores the run to its node's first instruction. A run of
1,000 nodes whose worker was killed in the last one: milliseconds from the claim to that node, beside reading its rows.

    python -m benchmarks.workers [--json]
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks.engine import Models, say
from benchmarks.large import NODES, chain, compiled
from engine.engine import Engine
from engine.workflow import Workflow
from sessions.dbos_dispatch import for_workers
from sessions.postgres import open_postgres
from sessions.postgres_runs import PostgresRunStore
from tests.servers import PostgresServer
from tools.registry import ToolContext, ToolRegistry, tool

RUNS, LENGTH, SLEEP, SLOTS = 80, 4, 0.5, 10
SINGLES = 40
BARS = {"doubling": 1 / 1.8, "cpu": 150.0, "start": 100.0, "resume": 200.0}
BEGUN: list[float] = []


@tool(description="Wait.", parameters={"value": {"type": "string"}}, returns="The value.")
async def nap(args: Any, context: ToolContext) -> Any:
    BEGUN.append(time.perf_counter())
    await asyncio.sleep(float(os.environ.get("NAP", "0")))
    return args["value"]


@tool(description="Wait for ever where HOLD is set.", parameters={}, returns="A text.")
async def last(args: Any, context: ToolContext) -> Any:
    BEGUN.append(time.perf_counter())
    if os.environ.get("HOLD"):
        print("held", flush=True)
        await asyncio.sleep(3600)
    return "end"


@contextlib.asynccontextmanager
async def engine_at(url: str) -> AsyncIterator[Engine]:
    db = open_postgres(url)
    make = for_workers(db, url, "bench")
    engine = Engine(
        PostgresRunStore(db), Models(), ToolRegistry({"echo": nap, "last": last}), dispatcher=make
    )
    try:
        yield engine
    finally:
        await engine.close()
        db.close()


# --- the worker's side ---


async def work(url: str, slots: int) -> None:
    async with engine_at(url) as engine:
        await engine.work(slots)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)


@contextlib.contextmanager
def workers(url: str, count: int, **environment: str) -> Iterator[list[subprocess.Popen[str]]]:
    """So many processes that are ready; killed at the end."""
    command = [sys.executable, "-m", "benchmarks.workers", "--work", url]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    made = [subprocess.Popen(command, env={**os.environ, **environment}, **pipes) for _ in range(count)]
    try:
        for process in made:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise SystemExit("a worker did not start")
        yield made
    finally:
        for process in made:
            process.kill()
            process.wait()


# --- measuring ---


async def throughput(server: PostgresServer, count: int) -> tuple[float, float]:
    """Seconds for all runs, and the share of one processor that everything used meanwhile, in percent."""
    url = server.create()
    workflow = compiled(chain(LENGTH))
    async with engine_at(url) as engine:
        with workers(url, count, NAP=str(SLEEP)):
            await asyncio.sleep(1)
            cpu, began = used(), time.perf_counter()
            ids = await asyncio.gather(*(engine.start(workflow, {"text": "x"}) for _ in range(RUNS)))
            await all_ended(engine, ids)
            seconds = time.perf_counter() - began
            share = (used() - cpu) / seconds * 100
        for run_id in ids:
            view = await engine.view(run_id)
            if view["status"] != "ok" or len(view["nodes"]) != LENGTH:
                raise SystemExit(f"a run ended as {view['status']} with {len(view['nodes'])} nodes")
    return seconds, share


async def all_ended(engine: Engine, ids: Sequence[str]) -> None:
    """Looked at once for all runs: a follower for each would be what is measured."""
    while len(await engine.store.find(status="ok", limit=1000)) < len(ids):
        await asyncio.sleep(0.05)


def used() -> float:
    """CPU seconds of this process, its workers and the server with its connections."""
    mine = psutil.Process()
    everybody = {process.pid: process for process in [mine, *mine.children(recursive=True)]}
    seconds = 0.0
    for process in everybody.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


async def to_start(server: PostgresServer) -> float:
    """Milliseconds, the median, on a worker that has nothing else to do."""
    url = server.create()
    workflow = compiled(chain(1))
    times = []
    async with engine_at(url) as engine:
        with workers(url, 1):
            for _ in range(SINGLES):
                await asyncio.sleep(random.uniform(0.05, 0.15))
                began = time.time()
                run_id = await engine.start(workflow, {"text": "x"})
                await engine.wait(run_id)
                (row,) = await engine.store.rows(run_id)
                times.append((row.started_at - began) * 1000)
    return statistics.median(times)


async def taken_up(server: PostgresServer) -> tuple[float, float]:
    """Milliseconds from the claim of a run of 1,000 nodes to its last one, and for reading its rows alone."""
    url = server.create()
    workflow: Workflow = compiled(chain(NODES, final="last"))
    async with engine_at(url) as engine:
        with workers(url, 1, HOLD="1") as (victim,):
            run_id = await engine.start(workflow, {"text": "x" * 100})
            if victim.stdout is None or victim.stdout.readline() != "held\n":
                raise SystemExit("the run that was to be killed did not get to its last node")
            victim.send_signal(signal.SIGKILL)
            victim.wait()
        record = await engine.store.get(run_id)
        BEGUN.clear()
        began = time.perf_counter()
        await engine._dispatcher._executor.claim(run_id, record.epoch)  # type: ignore[attr-defined]
        view = await engine.wait(run_id)
        mine = (BEGUN[0] - began) * 1000
        if view["status"] != "ok" or len(view["nodes"]) != NODES:
            raise SystemExit(f"the run ended as {view['status']} with {len(view['nodes'])} nodes")
    with psycopg.connect(url) as connection:
        began = time.perf_counter()
        connection.execute("SELECT * FROM parlance.node_rows ORDER BY run_no, seq").fetchall()
        peer = (time.perf_counter() - began) * 1000
    return mine, peer


def figure(name: str, mine: float, peer: float, unit: str, bar: str) -> dict[str, object]:
    say(f"{name}: {mine:.4g} {unit}, {peer:.4g}, ratio {mine / peer:.3f} ({bar})")
    ratio = round(mine / peer, 4)
    return {"name": name, "ours": round(mine, 3), "peer": round(peer, 3), "ratio": ratio, "unit": unit}


async def run(server: PostgresServer) -> list[dict[str, object]]:
    measured = {count: await throughput(server, count) for count in (1, 2, 4)}
    nodes = RUNS * LENGTH
    for count, (seconds, share) in measured.items():
        say(f"{count} workers: {seconds:.2f} s, {nodes / seconds:.1f} nodes/s, total CPU {share:.0f} %")
    found = []
    for few, many in ((1, 2), (2, 4)):
        name = f"{RUNS} runs of {LENGTH} nodes of {SLEEP} s, {many} workers beside {few}"
        bar = f"the bar is {BARS['doubling']:.3f}"
        found.append(figure(name, measured[many][0], measured[few][0], "s", bar))
    found += [
        figure(f"total CPU with {count} workers, beside the bar", share, BARS["cpu"], "%", "")
        for count, (_, share) in measured.items()
    ]
    start = await to_start(server)
    found.append(
        figure("from storing a run to its start, the median, beside the bar", start, BARS["start"], "ms", "")
    )
    mine, peer = await taken_up(server)
    bar = f"the bar is {BARS['resume']:g} ms"
    found.append(figure("a run of 1,000 nodes taken up, beside reading its rows", mine, peer, "ms", bar))
    return found


def main() -> list[dict[str, object]]:
    folder = Path(tempfile.gettempdir()) / f"parlance-bench-{secrets.token_hex(6)}"
    folder.mkdir(mode=0o700)
    server = PostgresServer(folder)
    try:
        server.make()
        server.start()
        return asyncio.run(run(server))
    finally:
        server.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    if "--work" in sys.argv:
        asyncio.run(work(sys.argv[sys.argv.index("--work") + 1], SLOTS))
    else:
        figures = main()
        if "--json" in sys.argv:
            print(json.dumps(figures))
