"""The graphs of `benchmarks.engine` in LangGraph, on its own SQLite checkpointer."""

from __future__ import annotations

import asyncio
import contextlib
import operator
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

Run = Callable[[], Awaitable[Mapping[str, Any]]]
LEVELS = {"NORMAL": 1, "FULL": 2}


class Number(TypedDict):
    x: int


class Fan(TypedDict):
    x: int
    xs: Annotated[list[int], operator.add]
    count: int


class Loop(TypedDict):
    x: int
    done: bool


class Skewed(TypedDict):
    a: int
    b: int
    c: int
    d: int


async def add_one(state: Number) -> dict[str, Any]:
    return {"x": state["x"] + 1}


async def add_one_to_list(state: Fan) -> dict[str, Any]:
    return {"xs": [state["x"] + 1]}


async def count_list(state: Fan) -> dict[str, Any]:
    return {"count": len(state["xs"])}


async def count_up(state: Loop) -> dict[str, Any]:
    return {"x": state["x"] + 1, "done": state["x"] + 1 >= 100}


def chain(length: int) -> Any:
    graph = StateGraph(Number)
    for i in range(length):
        graph.add_node(f"n{i}", add_one)
        graph.add_edge(f"n{i - 1}" if i else START, f"n{i}")
    graph.add_edge(f"n{length - 1}", END)
    return graph


def fan(width: int) -> Any:
    graph = StateGraph(Fan)
    graph.add_node("split", add_one)
    graph.add_node("join", count_list)
    graph.add_edge(START, "split")
    for i in range(width):
        graph.add_node(f"n{i}", add_one_to_list)
        graph.add_edge("split", f"n{i}")
    graph.add_edge([f"n{i}" for i in range(width)], "join")
    graph.add_edge("join", END)
    return graph


def loop() -> Any:
    graph = StateGraph(Loop)
    graph.add_node("n", count_up)
    graph.add_edge(START, "n")
    graph.add_conditional_edges("n", lambda state: END if state["done"] else "n", ["n", END])
    return graph


def skewed() -> Any:
    graph = StateGraph(Skewed)

    def waits(name: str, seconds: float) -> Any:
        async def node(state: Skewed) -> dict[str, Any]:
            await asyncio.sleep(seconds)
            return {name: 1}

        return node

    for name, seconds in {"a": 0.1, "b": 0.3, "c": 0.3, "d": 0.1}.items():
        graph.add_node(name, waits(name, seconds))
    for source, target in ((START, "a"), (START, "b"), ("a", "c"), ("b", "d"), ("c", END), ("d", END)):
        graph.add_edge(source, target)
    return graph


@dataclass(frozen=True)
class Peer:
    """A graph and what it starts with. `steps` is how many supersteps, and so checkpoints, it takes."""

    make: Callable[[], Any]
    start: Mapping[str, Any]
    steps: int

    @contextlib.asynccontextmanager
    async def open(self, path: Path, synchronous: str) -> AsyncIterator[Run]:
        """A run is one thread of the checkpointer, with each step on disk before the next one starts."""
        async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
            await saver.setup()
            await saver.conn.execute(f"PRAGMA synchronous = {synchronous}")
            async with saver.conn.execute("PRAGMA synchronous") as cursor:
                found = await cursor.fetchone()
            if found is None or found[0] != LEVELS[synchronous]:
                raise SystemExit(f"LangGraph's synchronous is {found}")
            app = self.make().compile(checkpointer=saver)

            async def run() -> Mapping[str, Any]:
                config = {"configurable": {"thread_id": uuid.uuid4().hex}, "recursion_limit": 1000}
                state: Mapping[str, Any] = await app.ainvoke(dict(self.start), config, durability="sync")
                return state

            yield run

    def check_rows(self, path: Path, nodes: int) -> None:
        """Every thread has a checkpoint per step (and two for its start) and the writes of every node."""
        with contextlib.closing(sqlite3.connect(path)) as connection:
            (threads,) = connection.execute("SELECT count(DISTINCT thread_id) FROM checkpoints").fetchone()
            (checkpoints,) = connection.execute("SELECT count(*) FROM checkpoints").fetchone()
            (tasks,) = connection.execute(
                "SELECT count(DISTINCT thread_id || task_id) FROM writes"
            ).fetchone()
        if checkpoints != threads * (self.steps + 2) or tasks < threads * nodes:
            raise SystemExit(f"LangGraph: {threads} threads, {checkpoints} checkpoints, {tasks} tasks")


PEERS: Mapping[str, Peer] = {
    "chain of 100": Peer(lambda: chain(100), {"x": 0}, 100),
    "fan of 200 and a join": Peer(lambda: fan(200), {"x": 0, "xs": []}, 3),
    "loop of 100": Peer(loop, {"x": 0, "done": False}, 100),
    "50 runs of 20 at once": Peer(lambda: chain(20), {"x": 0}, 20),
    "skewed graph": Peer(skewed, {}, 2),
}
