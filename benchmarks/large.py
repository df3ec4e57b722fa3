"""Large documents and long runs: checked, started, written and taken up again, beside what can't be gone below.

A document of 1,000 nodes: CPU seconds from the text to the workflow, beside reading the YAML alone; then
milliseconds of the loop's thread to the first node's first instruction. A run of 1,000 nodes whose process
was killed in its last one: milliseconds until another process runs that node, beside reading the rows with
sqlite3 alone. A chain of 100 nodes with 2 KB outputs: bytes written, log and checkpoint together, beside the
payload.

    python -m benchmarks.large [--json]
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.engine import Models, count_rows, say
from engine.check import check
from engine.engine import Engine
from engine.workflow import Workflow
from sessions.db import open_db
from sessions.runs import SqliteRunStore
from tools.registry import ToolContext, ToolRegistry, tool

NODES, CHAIN, SIZE = 1000, 100, 2048
BARS = {"checked and compiled": 1.0, "started": 50.0, "resumed": 200.0, "written": 3.0}
STARTED: list[float] = []


@tool(description="Give it back.", parameters={"value": {"type": "string"}}, returns="The value.")
async def echo(args: Any, context: ToolContext) -> Any:
    return args["value"]


@tool(description="Note when it begins; wait for ever where HOLD is set.", parameters={}, returns="A text.")
async def last(args: Any, context: ToolContext) -> Any:
    STARTED.append(time.perf_counter())
    STARTED_CPU.append(time.thread_time())
    if os.environ.get("HOLD"):
        print("held", flush=True)
        await asyncio.sleep(3600)
    return "end"


STARTED_CPU: list[float] = []
TOOLS = {"echo": echo, "last": last}


def chain(length: int, *, first: str = "echo", final: str = "echo") -> str:
    names = [f"n{i}" for i in range(length)]
    fields: dict[str, Any] = {"text": {"type": "str", "required": True}}
    kinds = {names[-1]: final, names[0]: first}
    nodes = [
        {"id": n, "tool": kinds.get(n, "echo"), "outputs": [n]}
        | ({} if kinds.get(n) == "last" else {"args": {"value": "{state.text}"}})
        for n in names
    ]
    document = {
        "schema_version": "1.0",
        "flow": {"name": "large"},
        "state": {"fields": fields | {n: {"type": "str"} for n in names}},
        "nodes": nodes,
    }
    return yaml.safe_dump(document, sort_keys=False)


def compiled(text: str) -> Workflow:
    checked = check(text, ToolRegistry(TOOLS))
    if checked.workflow is None:
        raise SystemExit(str(checked.errors[0]))
    return checked.workflow


def checked_and_compiled() -> dict[str, object]:
    text = chain(NODES)
    compiled(text)
    mine, peer = float("inf"), float("inf")
    for _ in range(3):
        began = time.process_time()
        compiled(text)
        middle = time.process_time()
        yaml.load(text, Loader=yaml.CSafeLoader)
        mine, peer = min(mine, middle - began), min(peer, time.process_time() - middle)
    return figure(
        "1,000 nodes checked and compiled, beside reading the YAML",
        mine,
        peer,
        "CPU s",
        "checked and compiled",
    )


async def started(folder: Path) -> dict[str, object]:
    workflow = compiled(chain(NODES, first="last"))
    db = open_db(folder / "start.db", synchronous="NORMAL")
    engine = Engine(SqliteRunStore(db), Models(), ToolRegistry(TOOLS))
    began = time.thread_time()
    run_id = await engine.start(workflow, {"text": "x"})
    while not STARTED_CPU:
        await asyncio.sleep(0)
    spent = (STARTED_CPU[0] - began) * 1000
    await engine.cancel(run_id)
    await engine.close()
    db.close()
    return figure("1,000 nodes started, thread time, beside the bar", spent, BARS["started"], "ms", "started")


async def hold(path: str) -> None:
    """What the process does that is killed: a run of 1,000 nodes up to its last one."""
    db = open_db(Path(path), synchronous="NORMAL")
    engine = Engine(SqliteRunStore(db), Models(), ToolRegistry(TOOLS))
    await engine.run(compiled(chain(NODES, final="last")), {"text": "x" * 100})


def leave_open(path: Path) -> None:
    """A run of 1,000 nodes whose process is killed while the last one runs."""
    command = [sys.executable, "-m", "benchmarks.large", "--hold", str(path)]
    environment = {**os.environ, "HOLD": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as victim:
        if victim.stdout is None or victim.stdout.readline() != "held\n":
            raise SystemExit("the run that was to be killed did not get to its last node")
        victim.send_signal(signal.SIGKILL)


async def resumed(folder: Path) -> dict[str, object]:
    path = folder / "resume.db"
    await asyncio.to_thread(leave_open, path)
    db = open_db(path, synchronous="NORMAL")
    engine = Engine(SqliteRunStore(db), Models(), ToolRegistry(TOOLS))
    STARTED.clear()
    began = time.perf_counter()
    (run_id,) = await engine.recover()
    view = await engine.wait(run_id)
    mine = (STARTED[0] - began) * 1000
    if view["status"] != "ok" or len(view["nodes"]) != NODES:
        raise SystemExit(f"the run ended as {view['status']} with {len(view['nodes'])} nodes")
    await engine.close()
    db.close()
    began = time.perf_counter()
    count_rows(path, "SELECT sum(length(writes)) FROM (SELECT * FROM node_rows ORDER BY key)")
    peer = (time.perf_counter() - began) * 1000
    return figure("a run of 1,000 nodes taken up, beside reading its rows", mine, peer, "ms", "resumed")


async def mapped(folder: Path) -> dict[str, object]:
    """A for_each of 1,000 elements, beside 1,000 nodes side by side; CPU, best of 5 in turns."""
    names = [f"n{i}" for i in range(NODES)]
    node = {"tool": "echo", "args": {"value": "{item}"}, "outputs": ["out"], "for_each": "state.items"}
    maps = {
        "schema_version": "1.0",
        "flow": {"name": "map"},
        "state": {"fields": {"items": {"type": "list[str]", "required": True}, "out": "list[str]"}},
        "nodes": [{"id": "each", **node}],
    }
    beside = {
        "schema_version": "1.0",
        "flow": {"name": "beside"},
        "state": {"fields": {name: {"type": "str"} for name in names}},
        "nodes": [{"id": n, "tool": "echo", "args": {"value": "x"}, "outputs": [n]} for n in names],
        "edges": [{"from": "START", "to": names}],
    }
    db = open_db(folder / "map.db", synchronous="NORMAL")
    engine = Engine(SqliteRunStore(db), Models(), ToolRegistry(TOOLS))
    sides = [
        (compiled(yaml.safe_dump(maps)), {"items": ["x"] * NODES}),
        (compiled(yaml.safe_dump(beside)), {}),
    ]
    best = [float("inf"), float("inf")]
    for _ in range(5):
        for side, (workflow, inputs) in enumerate(sides):
            began = time.process_time()
            view = await engine.run(workflow, inputs)
            best[side] = min(best[side], time.process_time() - began)
            if view["status"] != "ok":
                raise SystemExit(f"{workflow.name} ended as {view['status']}: {view['error']}")
    await engine.close()
    db.close()
    return figure("a for_each of 1,000, beside 1,000 parallel nodes", best[0] * 1e3, best[1] * 1e3, "CPU ms")


async def written(folder: Path) -> dict[str, object]:
    workflow = compiled(chain(CHAIN))
    path = folder / "bytes.db"
    db = open_db(path, synchronous="NORMAL")
    engine = Engine(SqliteRunStore(db), Models(), ToolRegistry(TOOLS))
    before = psutil.Process().io_counters().write_chars
    view = await engine.run(workflow, {"text": "y" * SIZE})
    await engine.close()
    db.close()
    spent = psutil.Process().io_counters().write_chars - before
    if view["status"] != "ok":
        raise SystemExit(f"the chain ended as {view['status']}")
    return figure(
        "bytes of a chain of 100 with 2 KB outputs, beside the payload",
        spent / 1024,
        CHAIN * SIZE / 1024,
        "KB",
    )


def figure(name: str, mine: float, peer: float, unit: str, bar: str | None = None) -> dict[str, object]:
    bound = f", the bar is {BARS[bar]:g} {unit}" if bar else ""
    say(f"{name}: {mine:.4g} {unit}, {peer:.4g}, ratio {mine / peer:.3f}{bound}")
    return {
        "name": name,
        "ours": round(mine, 3),
        "peer": round(peer, 3),
        "ratio": round(mine / peer, 4),
        "unit": unit,
    }


async def run() -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        singles = [await measure(folder) for measure in (started, resumed, mapped, written)]
        return [checked_and_compiled(), *singles]


if __name__ == "__main__":
    if "--hold" in sys.argv:
        asyncio.run(hold(sys.argv[sys.argv.index("--hold") + 1]))
    else:
        figures = asyncio.run(run())
        if "--json" in sys.argv:
            print(json.dumps(figures))
