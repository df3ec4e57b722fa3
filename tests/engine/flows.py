"""Workflows and tools for the tests of the engine, and an engine on a store in a temporary folder."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from engine.check import check
from engine.dispatch import LocalDispatcher, MakeDispatcher
from engine.engine import Engine
from engine.ports import Clock, ModelClient, ModelInfo
from engine.workflow import Workflow
from sessions.db import open_db
from sessions.runs import SqliteRunStore
from tools.registry import Tool, ToolContext, ToolError, ToolRegistry, ToolRetry, tool
from tools.sandbox.pool import Sandbox


class NoModels:
    """A ModelClient for workflows that ask none."""

    def stream(self, request: Any) -> Any:
        raise AssertionError("no model may be called here")

    async def info(self, model: str | None = None) -> ModelInfo:
        raise AssertionError("no model may be called here")


class Tools:
    """Tools that do what a test wants to see, and a log of what they did: (name, args) when a call ends."""

    def __init__(self) -> None:
        self.log: list[tuple[str, Any]] = []
        self.running = 0
        self.failures = 0
        self.registry = ToolRegistry({name: getattr(self, f"_{name}")() for name in _NAMES})

    def _echo(self) -> Tool:
        @tool(
            description="Give back.",
            parameters={"value": {}},
            returns="The value.",
            name="echo",
            takes_secrets=True,
        )
        async def echo(args: Mapping[str, Any], context: ToolContext) -> Any:
            self.log.append(("echo", args["value"]))
            return args["value"]

        return echo

    def _add(self) -> Tool:
        numbers = {"a": {"type": "integer"}, "b": {"type": "integer", "default": 1}}

        @tool(description="Add.", parameters=numbers, returns="The sum.", name="add")
        async def add(args: Mapping[str, Any], context: ToolContext) -> Any:
            self.log.append(("add", args["a"]))
            return args["a"] + args.get("b", 1)

        return add

    def _sleep(self) -> Tool:
        wants = {"seconds": {"type": "number"}, "value": {"default": None}}

        @tool(description="Wait.", parameters=wants, returns="The value.", name="sleep")
        async def sleep(args: Mapping[str, Any], context: ToolContext) -> Any:
            self.running += 1
            try:
                await asyncio.sleep(args["seconds"])
            finally:
                self.running -= 1
            self.log.append(("sleep", args.get("value")))
            return args.get("value")

        return sleep

    def _flaky(self) -> Tool:
        wants = {"times": {"type": "integer"}, "hopeless": {"type": "boolean", "default": False}}

        @tool(description="Fail some times.", parameters=wants, returns="How often it failed.", name="flaky")
        async def flaky(args: Mapping[str, Any], context: ToolContext) -> Any:
            self.log.append(("flaky", context.idempotency_key))
            if self.failures < args["times"]:
                self.failures += 1
                kind = ToolError if args.get("hopeless") else ToolRetry
                raise kind("The server is busy.", "Wait a little.")
            return self.failures

        return flaky

    def _stubborn(self) -> Tool:
        @tool(description="Do not stop.", parameters={}, returns="A number.", name="stubborn")
        async def stubborn(args: Mapping[str, Any], context: ToolContext) -> Any:
            self.running += 1
            until = asyncio.get_running_loop().time() + 1.2
            while asyncio.get_running_loop().time() < until:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.05)
            self.running -= 1
            return 1

        return stubborn

    def _quit(self) -> Tool:
        @tool(description="Break off.", parameters={}, returns="Nothing.", name="quit")
        async def quit_(args: Mapping[str, Any], context: ToolContext) -> Any:
            raise asyncio.CancelledError

        return quit_

    def _crash(self) -> Tool:
        @tool(description="Fail in a way nobody thought of.", parameters={}, returns="Nothing.", name="crash")
        async def crash(args: Mapping[str, Any], context: ToolContext) -> Any:
            raise ZeroDivisionError("a bug in a plug-in")

        return crash


_NAMES = ("echo", "add", "sleep", "flaky", "crash", "stubborn", "quit")


def workflow(text: str, tools: Tools) -> Workflow:
    """The workflow of a document's `state`, `nodes` and so on; the head is put in front."""
    checked = check(f'schema_version: "1.0"\nflow: {{name: test}}\n{dedent(text)}', tools.registry)
    assert checked.workflow is not None, [p.message for p in checked.errors]
    return checked.workflow


@asynccontextmanager
async def engine_on(
    path: Path,
    tools: Tools,
    *,
    models: ModelClient | None = None,
    clock: Clock | None = None,
    secrets: Mapping[str, str] | None = None,
    synchronous: str = "NORMAL",
    process: str | None = None,
    sandbox: Sandbox | None = None,
    dispatcher: MakeDispatcher = LocalDispatcher,
    patience: float = 0.1,
) -> AsyncIterator[Engine]:
    db = open_db(path, synchronous=synchronous)
    engine = Engine(
        SqliteRunStore(db),
        models or NoModels(),
        tools.registry,
        clock=clock,
        process=process,
        secrets=(secrets or {}).get,
        sandbox=sandbox,
        dispatcher=dispatcher,
    )
    try:
        yield engine
    finally:
        await engine.close(patience)
        db.close()


async def until(test: Any, seconds: float = 5.0) -> None:
    """Wait until `test()` holds."""
    async with asyncio.timeout(seconds):
        while not test():
            await asyncio.sleep(0.005)
