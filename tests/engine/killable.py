"""A process to be killed: `python -m tests.engine.killable KIND WHERE LOG PACE`.

It takes over what has no living owner, again and again; told `start N` on its input it starts so many runs, and
prints their ids. Its nodes append a line to LOG when they begin and when they end: word, key, process, time.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.engine import Engine
from tests.contracts.stores import opened
from tests.engine.flows import NoModels
from tests.engine.victim import flow
from tools.registry import ToolContext, ToolRegistry, tool

LOOK = 0.2


def registry(log: Path, pace: float) -> ToolRegistry:
    """The tools of the victim's workflow."""

    def write(word: str, context: ToolContext) -> None:
        handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{word} {context.idempotency_key} {os.getpid()} {time.time()!r}\n".encode())
        os.close(handle)

    async def work(context: ToolContext, seconds: float) -> None:
        write("begin", context)
        await asyncio.sleep(seconds)
        write("end", context)

    wants = {"name": {"type": "string"}, "seen": {"default": None}, "slower": {"default": 1}}

    @tool(description="Note.", parameters=wants, returns="A word.", name="note")
    async def note(args: Mapping[str, Any], context: ToolContext) -> Any:
        await work(context, pace * args.get("slower", 1))
        seen = args.get("seen")
        return args["name"] if seen is None else f"{args['name']} after {len(seen)}"

    @tool(description="Turn.", parameters={"count": {"type": "integer"}}, returns="All.", name="turn")
    async def turn(args: Mapping[str, Any], context: ToolContext) -> Any:
        await work(context, pace)
        count = args["count"] + 1
        return {"log": f"turn {count}", "count": count, "done": count >= 3}

    return ToolRegistry({"note": note, "turn": turn})


async def main(kind: str, where: str, log: Path, pace: float) -> None:
    tools = registry(log, pace)
    workflow = flow(tools)
    with opened(kind, where) as store:
        engine = Engine(store, NoModels(), tools)
        orders = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        print("ready", flush=True)
        reading = asyncio.create_task(orders.readline())
        while True:
            await engine.recover()
            await asyncio.wait([reading], timeout=LOOK)
            if reading.done():
                order = reading.result().split()
                if not order:
                    break
                print(*[await engine.start(workflow, {}) for _ in range(int(order[1]))], flush=True)
                reading = asyncio.create_task(orders.readline())
        await engine.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])))
