"""A process that pays, to be killed: `python -m tests.engine.payer DATABASE LOG PACE`. Started again, it goes on.

What is paid stands in LOG, whatever becomes of the process. Asked whether a payment happened, it looks there and
says the truth, as a person would.
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
from tools.registry import ToolContext, ToolRegistry, ToolRetry, tool

FLOW = """
schema_version: "1.0"
flow: {name: payer, outputs: [receipts]}
state:
  fields:
    people: {type: 'list[str]', default: [ann, bo, cy]}
    receipts: {type: 'list[any]', reduce: append, default: []}
    many: 'list[any]'
nodes:
  - {id: first, tool: pay, args: {to: first}, outputs: [receipts]}
  - {id: refused, tool: pay, args: {to: refused, refuse: true}, outputs: [receipts],
     retry: {max_attempts: 2, backoff_seconds: 0.01}}
  - {id: note, tool: book, args: {what: note}, outputs: [receipts]}
  - {id: everyone, for_each: state.people, as: person, tool: pay, args: {to: "{person}"}, outputs: [many],
     max_parallel: 2}
  - {id: last, tool: pay, args: {to: last}, outputs: [receipts]}
edges:
  - {from: first, to: [refused, note, everyone]}
  - {from: [refused, note, everyone], to: last}
"""
PAID = ["ann", "bo", "cy", "first", "last", "refused"]


class Book:
    """The log: lines of a word and what it is about."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, word: str, what: str) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{word} {what}\n".encode())
        os.close(handle)

    def all(self, word: str) -> list[str]:
        text = self.path.read_text() if self.path.exists() else ""
        return [line.split()[1] for line in text.splitlines() if line.startswith(f"{word} ")]


def registry(book: Book, pace: float) -> ToolRegistry:
    wants = {"to": {"type": "string"}, "refuse": {"type": "boolean", "default": False}}

    @tool(description="Pay.", parameters=wants, returns="A receipt.", effect="once", name="pay")
    async def pay(args: Mapping[str, Any], context: ToolContext) -> Any:
        book.write("begin", args["to"])
        if args.get("refuse") and not book.all("refused"):
            await asyncio.sleep(pace / 2)
            book.write("refused", args["to"])
            raise ToolRetry("The bank is closed.", refused=True)
        await asyncio.sleep(pace)
        book.write("paid", args["to"])
        await asyncio.sleep(pace)
        book.write("end", args["to"])
        return f"receipt for {args['to']}"

    @tool(
        description="Book.",
        parameters={"what": {"type": "string"}},
        returns="A line.",
        effect="idempotent",
        name="book",
    )
    async def enter(args: Mapping[str, Any], context: ToolContext) -> Any:
        book.write("key", (context.idempotency_key or "").partition("/")[2])
        await asyncio.sleep(pace * 3)
        return f"line for {args['what']}"

    return ToolRegistry({"pay": pay, "book": enter})


def flow(tools: ToolRegistry) -> Workflow:
    checked = check(FLOW, tools)
    assert checked.workflow is not None, checked.errors
    return checked.workflow


async def tell_the_truth(engine: Engine, book: Book, run_id: str) -> None:
    """Answer what a person would have to look for."""
    people = ["ann", "bo", "cy"]
    for wait in (await engine.view(run_id))["waiting"]:
        name = wait["node"]
        to = people[int(name[-2])] if name.startswith("everyone") else name
        happened = to in book.all("paid")
        book.write("asked", name)
        await engine.answer(run_id, name, "did happen" if happened else "try again")


async def main(database: Path, log: Path, pace: float) -> None:
    book = Book(log)
    db = open_db(database, synchronous="NORMAL")
    tools = registry(book, pace)
    engine = Engine(SqliteRunStore(db), NoModels(), tools)
    await engine.recover()
    known = await engine.runs()
    run_id = known[0]["run_id"] if known else await engine.start(flow(tools), {})
    print(run_id, flush=True)
    while (await engine.wait(run_id))["status"] in ("unknown", "waiting"):
        await tell_the_truth(engine, book, run_id)
    print("ended", flush=True)
    await engine.close()
    db.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])))
