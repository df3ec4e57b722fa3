"""A process that runs a workflow until it is killed: `python -m tests.engine.victim DATABASE LOG SYNCHRONOUS PACE`.

Its nodes append a line to LOG when they begin and when they end, so that what happened outlives the process.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.check import check
from engine.engine import Engine
from engine.workflow import Workflow
from sessions.db import open_db
from sessions.runs import SqliteRunStore
from tests.engine.flows import NoModels
from tools.registry import ToolContext, ToolRegistry, tool

FLOW = """
schema_version: "1.0"
flow: {name: victim, outputs: [log, count]}
state:
  fields:
    log: {type: "list[str]", reduce: append, default: []}
    count: {type: int, default: 0}
    done: {type: bool}
nodes:
  - {id: split, tool: note, args: {name: split}, outputs: [log]}
  - {id: left, tool: note, args: {name: left, seen: "{state.log}"}, outputs: [log]}
  - {id: left_more, tool: note, args: {name: left_more, seen: "{state.log}"}, outputs: [log]}
  - {id: right, tool: note, args: {name: right, slower: 3}, outputs: [log]}
  - {id: join, tool: note, args: {name: join, seen: "{state.log}"}, outputs: [log]}
  - {id: again, tool: turn, args: {count: "{state.count}"}, outputs: [log, count, done]}
  - {id: last, tool: note, args: {name: last, seen: "{state.log}"}, outputs: [log]}
edges:
  - {from: split, to: [left, right]}
  - {from: left, to: left_more}
  - {from: [left_more, right], to: join}
  - {from: join, to: again}
  - {from: again, loop: {condition_field: done, max_iterations: 9, exit_to: last}}
"""
EXPECTED = {
    "log": [
        "split",
        "left after 1",
        "left_more after 2",
        "right",
        "join after 4",
        "turn 1",
        "turn 2",
        "turn 3",
        "last after 8",
    ],
    "count": 3,
}
VISITS = 9


def registry(log: Path, pace: float = 0.02) -> ToolRegistry:
    """The tools, which note every call in `log` and take `pace` seconds."""

    def write(word: str, context: ToolContext) -> None:
        handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{word} {(context.idempotency_key or '').partition('/')[2]}\n".encode())
        os.close(handle)

    wants = {"name": {"type": "string"}, "seen": {"default": None}, "slower": {"default": 1}}

    @tool(description="Note.", parameters=wants, returns="A word.", name="note")
    async def note(args: Mapping[str, Any], context: ToolContext) -> Any:
        write("begin", context)
        await asyncio.sleep(pace * args.get("slower", 1))
        write("end", context)
        seen = args.get("seen")
        return args["name"] if seen is None else f"{args['name']} after {len(seen)}"

    @tool(
        description="Turn.",
        parameters={"count": {"type": "integer"}},
        returns="log, count, done.",
        name="turn",
    )
    async def turn(args: Mapping[str, Any], context: ToolContext) -> Any:
        write("begin", context)
        await asyncio.sleep(pace)
        write("end", context)
        count = args["count"] + 1
        return {"log": f"turn {count}", "count": count, "done": count >= 3}

    return ToolRegistry({"note": note, "turn": turn})


def flow(tools: ToolRegistry) -> Workflow:
    checked = check(FLOW, tools)
    assert checked.workflow is not None, checked.errors
    return checked.workflow


async def main(database: Path, log: Path, synchronous: str, pace: float) -> None:
    db = open_db(database, synchronous=synchronous)
    tools = registry(log, pace)
    engine = Engine(SqliteRunStore(db), NoModels(), tools)
    run_id = await engine.start(flow(tools), {})
    print(run_id, flush=True)
    await engine.wait(run_id)
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])))
