"""A process that executes runs and does what it is told, one JSON object a line: `python -m tests.engine.actor …`.

Its tools append a line to a log when they begin and when they end, so that what happened outlives the process.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import engine.process
from engine.check import check
from engine.dispatch import LocalDispatcher
from engine.engine import Engine
from engine.errors import ParlanceError, WorkflowInvalid
from engine.workflow import Workflow
from tests.engine.flows import NoModels
from tools.registry import ToolContext, ToolRegistry, tool

KINDS = ("local on SQLite", "local on PostgreSQL", "DBOS")


@dataclass(frozen=True)
class Where:
    """Which dispatcher, on which store, and how the process behaves.

    `silent`: seconds without a sign of life after which a process is dead. `ahead`: how far its clock goes before
    the time. `host`: the machine it says it is on.
    """

    kind: str
    store: str
    log: str
    silent: float = 30.0
    ahead: float = 0.0
    host: str = ""
    version: str = "1"


class AheadClock:
    def __init__(self, ahead: float) -> None:
        self._ahead = ahead

    def now(self) -> float:
        return time.time() + self._ahead

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def registry(log: Path) -> ToolRegistry:
    """`note` waits and gives back its name; `pay` does so once; `hold` waits for the test; `crash` ends the process."""

    def write(word: str, context: ToolContext) -> None:
        handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(handle, f"{word} {context.idempotency_key} {time.time():.4f} {os.getpid()}\n".encode())
        os.close(handle)

    wants = {"value": {"default": None}, "seconds": {"type": "number", "default": 0}}

    async def act(args: Mapping[str, Any], context: ToolContext) -> Any:
        write("begin", context)
        await asyncio.sleep(args.get("seconds", 0))
        write("end", context)
        return args.get("value")

    @tool(description="Note.", parameters=wants, returns="The value.", name="note")
    async def note(args: Mapping[str, Any], context: ToolContext) -> Any:
        return await act(args, context)

    @tool(description="Pay.", parameters=wants, returns="The value.", name="pay", effect="once")
    async def pay(args: Mapping[str, Any], context: ToolContext) -> Any:
        write("paid", context)
        return await act(args, context)

    @tool(description="Wait until the test says go.", parameters={}, returns="Nothing.", name="hold")
    async def hold(args: Mapping[str, Any], context: ToolContext) -> Any:
        write("begin", context)
        while not Path(f"{log}.go").exists():
            await asyncio.sleep(0.05)

    @tool(description="Die.", parameters={}, returns="Nothing.", name="crash")
    async def crash(args: Mapping[str, Any], context: ToolContext) -> Any:
        write("begin", context)
        os._exit(9)

    return ToolRegistry({"note": note, "pay": pay, "hold": hold, "crash": crash})


def workflow(text: str, tools: ToolRegistry) -> Workflow:
    checked = check(text, tools)
    if checked.workflow is None:
        raise WorkflowInvalid(checked.problems)
    return checked.workflow


@asynccontextmanager
async def engine_at(where: Where) -> AsyncIterator[Engine]:
    """An engine that stores runs there, and executes them as its dispatcher does."""
    tools = registry(Path(where.log))
    db, store, make = _parts(where)
    saved = partial(_saved, Path(where.log).parent)
    clock = AheadClock(where.ahead)
    made = Engine(store, NoModels(), tools, clock=clock, dispatcher=make, workflows=saved)
    try:
        yield made
    finally:
        await made.close()
        db.close()


async def _saved(folder: Path, owner: str, name: str) -> str | None:
    """The saved workflow of a name: a file beside the log."""
    path = folder / f"{name}.yaml"
    return path.read_text(encoding="utf-8") if path.exists() else None


def _parts(where: Where) -> tuple[Any, Any, Any]:
    if where.kind == KINDS[0]:
        from sessions.db import open_db
        from sessions.runs import SqliteRunStore

        database = open_db(where.store, synchronous="NORMAL")
        return database, SqliteRunStore(database), LocalDispatcher
    from sessions.dbos_dispatch import DbosDispatcher, Pace
    from sessions.dbos_tickets import Tickets
    from sessions.postgres import open_postgres
    from sessions.postgres_runs import PostgresRunStore

    db = open_postgres(where.store)
    if where.kind == KINDS[1]:
        return db, PostgresRunStore(db), LocalDispatcher
    tickets = Tickets(db)
    pace = Pace(beat=min(1.0, where.silent / 4), reap=0.5, silent=where.silent)
    make = partial(DbosDispatcher, tickets=tickets, url=where.store, version=where.version, pace=pace)
    return db, PostgresRunStore(db, tickets.enqueue), make


async def work(made: Engine, where: Where, slots: int) -> None:
    """Go on with what is free, whoever stored it."""
    if where.kind == KINDS[2]:
        await made._dispatcher.work(slots)  # type: ignore[attr-defined]
    else:
        await made.recover()


async def main(where: Where) -> None:
    if where.host:
        here = f"{where.host}|boot|space"
        engine.process.place = lambda: here
    async with engine_at(where) as made:
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
        print(json.dumps({"name": await made.enter()}), flush=True)
        while line := await lines.readline():
            wish = json.loads(line)
            if wish["do"] == "close":
                break
            print(json.dumps(await _done(made, where, wish)), flush=True)
        began = time.monotonic()
    print(json.dumps({"seconds": time.monotonic() - began}), flush=True)


async def _done(made: Engine, where: Where, wish: dict[str, Any]) -> Any:
    try:
        if wish["do"] == "work":
            return await work(made, where, wish["slots"])
        flow = workflow(wish["text"], registry(Path(where.log)))
        return [await made.start(flow, wish["inputs"], **wish["options"]) for _ in range(wish["times"])]
    except ParlanceError as error:
        return {"error": str(error)}


if __name__ == "__main__":
    asyncio.run(main(Where(**json.loads(sys.argv[1]))))


def options(where: Where) -> str:
    return json.dumps(asdict(where))
