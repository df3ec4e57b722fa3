"""What a node costs in the engine, beside LangGraph with its SQLite checkpointer, in the same process.

Four shapes, the same node body on both sides, each step on disk before the next: ours through the public
run call, LangGraph with durability="sync". Both at synchronous=NORMAL, read back and printed; then the same
at FULL, where one flush of the disk per serial node rules both. Best of 5 interleaved rounds, a warm-up
before each; every result is checked and every row counted. Last a skewed graph, A(1) to C(3) beside B(3) to
D(1), in tenths of seconds.

    python -m benchmarks.engine [--json] [--normal]
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.langgraph_peer import PEERS, Peer
from engine.check import check
from engine.engine import Engine
from engine.workflow import Workflow
from sessions.db import open_db
from sessions.runs import SqliteRunStore
from tools.registry import ToolContext, ToolRegistry, tool

ROUNDS = 5
CHAIN, FAN, LOOP, RUNS, LENGTH = 100, 200, 100, 50, 20
UNIT = "µs/node"


@tool(description="One more.", parameters={"x": {"type": "integer"}}, returns="A number.")
async def add_one(args: Mapping[str, Any], context: ToolContext) -> Any:
    return args["x"] + 1


@tool(description="One more, up to a hundred.", parameters={"x": {"type": "integer"}}, returns="x and done.")
async def count_up(args: Mapping[str, Any], context: ToolContext) -> Any:
    return {"x": args["x"] + 1, "done": args["x"] + 1 >= LOOP}


@tool(description="How many.", parameters={"xs": {"type": "array"}}, returns="A number.")
async def count(args: Mapping[str, Any], context: ToolContext) -> Any:
    return len(args["xs"])


@tool(description="Wait.", parameters={"seconds": {"type": "number"}}, returns="A number.")
async def wait(args: Mapping[str, Any], context: ToolContext) -> Any:
    await asyncio.sleep(args["seconds"])
    return 1


TOOLS = {"add_one": add_one, "count_up": count_up, "count": count, "wait": wait}


@dataclass(frozen=True)
class Shape:
    """A graph: its document, how many nodes run in how many runs, and what must come out."""

    name: str
    document: Mapping[str, Any]
    nodes: int
    expected: Mapping[str, Any]
    runs: int = 1


def _document(
    name: str, fields: Mapping[str, Any], nodes: list[Any], edges: list[Any] | None = None
) -> dict[str, Any]:
    document = {
        "schema_version": "1.0",
        "flow": {"name": name, "outputs": list(fields)},
        "state": {"fields": fields},
    }
    return {**document, "nodes": nodes, **({"edges": edges} if edges else {})}


def _add(name: str) -> dict[str, Any]:
    return {"id": name, "tool": "add_one", "args": {"x": "{state.x}"}, "outputs": ["x"]}


def _chain(name: str, length: int) -> dict[str, Any]:
    return _document(name, {"x": {"type": "int", "default": 0}}, [_add(f"n{i}") for i in range(length)])


def _fan(width: int) -> dict[str, Any]:
    fields = {
        "x": {"type": "int", "default": 0},
        "xs": {"type": "list[int]", "reduce": "append", "default": []},
        "count": {"type": "int"},
    }
    workers = [
        {"id": f"n{i}", "tool": "add_one", "args": {"x": "{state.x}"}, "outputs": ["xs"]}
        for i in range(width)
    ]
    join = {"id": "join", "tool": "count", "args": {"xs": "{state.xs}"}, "outputs": ["count"]}
    names = [w["id"] for w in workers]
    edges = [{"from": "split", "to": names}, {"from": names, "to": "join"}]
    return _document("fan", fields, [_add("split"), *workers, join], edges)


def _loop(most: int) -> dict[str, Any]:
    fields = {"x": {"type": "int", "default": 0}, "done": {"type": "bool", "default": False}}
    node = {"id": "n", "tool": "count_up", "args": {"x": "{state.x}"}, "outputs": ["x", "done"]}
    edges = [{"from": "n", "loop": {"condition_field": "done", "max_iterations": most}}]
    return _document("loop", fields, [node], edges)


def _skewed() -> dict[str, Any]:
    names = {"a": 0.1, "b": 0.3, "c": 0.3, "d": 0.1}
    nodes = [{"id": n, "tool": "wait", "args": {"seconds": s}, "outputs": [n]} for n, s in names.items()]
    edges = [{"from": "START", "to": ["a", "b"]}, {"from": "a", "to": "c"}, {"from": "b", "to": "d"}]
    return _document("skewed", {n: {"type": "int"} for n in names}, nodes, edges)


SHAPES = [
    Shape("chain of 100", _chain("chain", CHAIN), CHAIN, {"x": CHAIN}),
    Shape("fan of 200 and a join", _fan(FAN), FAN + 2, {"x": 1, "xs": [2] * FAN, "count": FAN}),
    Shape("loop of 100", _loop(LOOP), LOOP, {"x": LOOP, "done": True}),
    Shape("50 runs of 20 at once", _chain("runs", LENGTH), LENGTH, {"x": LENGTH}, RUNS),
]
SKEWED = Shape("skewed graph", _skewed(), 4, {"a": 1, "b": 1, "c": 1, "d": 1})

Batch = Callable[[], Awaitable[None]]


class Models:
    """No node of these graphs asks a model."""

    def stream(self, request: Any) -> Any:
        raise NotImplementedError

    async def info(self, model: str | None = None) -> Any:
        raise NotImplementedError


@contextlib.asynccontextmanager
async def ours(shape: Shape, path: Path, synchronous: str) -> AsyncIterator[Batch]:
    """A batch runs the shape as often as it says; afterwards its rows are counted."""
    tools = ToolRegistry(TOOLS)
    workflow = compiled(shape, tools)
    db = open_db(path, synchronous=synchronous)
    engine = Engine(SqliteRunStore(db), Models(), tools)
    run_ids: list[str] = []

    async def one() -> None:
        view = await engine.run(workflow, {})
        _expect(view["outputs"] == shape.expected, f"{shape.name}: {view['status']} {view['outputs']}")
        run_ids.append(view["run_id"])

    async def batch() -> None:
        await asyncio.gather(*(one() for _ in range(shape.runs)))

    try:
        yield batch
        (level,) = db.connection.execute("PRAGMA synchronous").fetchone()
        _expect(level == LEVELS[synchronous], f"synchronous is {level}")
        (rows,) = db.connection.execute("SELECT count(*) FROM node_rows WHERE status = 'ok'").fetchone()
        _expect(rows == shape.nodes * len(run_ids), f"{shape.name}: {rows} rows of {len(run_ids)} runs")
    finally:
        await engine.close()
        db.close()


LEVELS = {"NORMAL": 1, "FULL": 2}


def compiled(shape: Shape, tools: ToolRegistry) -> Workflow:
    checked = check(yaml.safe_dump(shape.document, sort_keys=False), tools)
    if checked.workflow is None:
        raise SystemExit(f"{shape.name}: {checked.errors}")
    return checked.workflow


@contextlib.asynccontextmanager
async def theirs(shape: Shape, path: Path, synchronous: str) -> AsyncIterator[Batch]:
    peer: Peer = PEERS[shape.name]
    async with peer.open(path, synchronous) as run:

        async def batch() -> None:
            states = await asyncio.gather(*(run() for _ in range(shape.runs)))
            for state in states:
                _expect(state == shape.expected, f"LangGraph, {shape.name}: {state}")

        yield batch
        peer.check_rows(path, shape.nodes)


def _expect(good: bool, what: str) -> None:
    if not good:
        raise SystemExit(what)


async def measure(shape: Shape, synchronous: str, rounds: int) -> tuple[float, float]:
    """The best seconds of a batch, ours and the peer's, in turns."""
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for side, opened in enumerate((ours, theirs)):
            with tempfile.TemporaryDirectory() as folder:
                async with opened(shape, Path(folder) / "runs.db", synchronous) as batch:
                    await batch()
                    gc.collect()
                    began = time.perf_counter()
                    await batch()
                    best[side] = min(best[side], time.perf_counter() - began)
    return best[0], best[1]


def run(*, full: bool = True) -> list[dict[str, object]]:
    """The figures: one object per measure, `ratio` is ours divided by the peer's."""
    logging.disable(logging.WARNING)
    figures = []
    for synchronous in ("NORMAL", "FULL") if full else ("NORMAL",):
        say(f"synchronous={synchronous} ({LEVELS[synchronous]}) on both sides, read back")
        for shape in SHAPES:
            mine, peers = asyncio.run(measure(shape, synchronous, ROUNDS))
            scale = 1e6 / (shape.nodes * shape.runs)
            figures.append(figure(f"{shape.name}, {synchronous}", mine * scale, peers * scale, UNIT))
    mine, peers = asyncio.run(measure(SKEWED, "NORMAL", 3))
    return [*figures, figure("skewed graph, a tenth of A(1) C(3), B(3) D(1)", mine, peers, "s")]


def figure(name: str, mine: float, peers: float, unit: str) -> dict[str, object]:
    say(f"{name}: {mine:.4g} {unit}, LangGraph {peers:.4g}, ratio {mine / peers:.3f}")
    return {
        "name": name,
        "ours": round(mine, 3),
        "peer": round(peers, 3),
        "ratio": round(mine / peers, 4),
        "unit": unit,
    }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def count_rows(path: Path, sql: str) -> int:
    """A number that the store itself tells, read on a connection of its own."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute(sql).fetchone()
    return int(found)


if __name__ == "__main__":
    found = run(full="--normal" not in sys.argv)
    if "--json" in sys.argv:
        print(json.dumps(found))
