"""A whole house for tests of the conversation service: real store, engine and tools, and an assistant that
does what its messages say.

Gates are files, so that a test can hold a turn or a run in another process too, and let it go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from chat.events import Cost, DraftChanged, Event, Failed, RunEnded, RunStarted, Step, Text, TurnEnded
from chat.service import ChatService
from chat.turns import TurnContext
from engine.check import Machine, check
from engine.engine import Engine
from engine.errors import ModelMissing, ModelRateLimited
from engine.ports import ModelInfo, ModelReply, ModelRequest, TextDelta
from engine.workflow import Workflow
from sessions.db import open_db
from sessions.runs import SqliteRunStore
from sessions.workflows import Workflows
from tools.registry import BUILT_IN, ToolRegistry
from tools.tool import ToolContext, tool

HELD = """\
schema_version: "1.0"
flow: {name: held, description: Waits at a gate}
state:
  fields:
    gate: {type: str, required: true}
    first: str
    second: str
nodes:
  - {id: open, tool: text_template, args: {template: "at {state.gate}"}, outputs: [first]}
  - {id: wait, tool: hold, args: {gate: "{state.gate}"}, outputs: [second]}
"""
QUICK = """\
schema_version: "1.0"
flow: {name: quick, description: Says hello}
state:
  fields:
    who: {type: str, required: true}
    greeting: str
nodes:
  - {id: greet, tool: text_template, args: {template: "Hello {state.who}"}, outputs: [greeting]}
"""


@tool(
    description="Wait until the file `gate` is there.",
    parameters={"gate": {"type": "string"}},
    returns="What stands in the file.",
)
async def hold(args: Mapping[str, Any], context: ToolContext) -> Any:
    return await passed(Path(args["gate"]))


def open_gate(gate: Path, text: str = "open") -> None:
    """Let go what waits at the gate; nobody sees the file before its text."""
    new = gate.with_suffix(".new")
    new.write_text(text)
    new.replace(gate)


async def passed(gate: Path) -> str:
    """What stands in the file, once it is there."""
    while not gate.exists():
        await asyncio.sleep(0.01)
    return gate.read_text()


class NoModel:
    """An installation without a model."""

    async def machine(self, named: Any = ()) -> Machine:
        return Machine(None)

    async def stream(self, request: ModelRequest) -> AsyncIterator[TextDelta | ModelReply]:
        raise ModelMissing("No model is set up.", "Set PARLANCE_MODEL.")
        yield

    async def load(self, models: Any) -> None:
        """There is nothing to load."""

    async def info(self, model: str | None = None) -> ModelInfo:
        raise ModelMissing("No model is set up.", "Set PARLANCE_MODEL.")


class ObedientAssistant:
    """Does what the lines of a message say, one after the other; `seen` are the contexts it got."""

    def __init__(self, engine: Engine, workflows: Workflows, tools: ToolRegistry) -> None:
        self._engine = engine
        self._workflows = workflows
        self._tools = tools
        self.seen: list[TurnContext] = []
        self.closed = 0

    async def turn(self, context: TurnContext) -> AsyncIterator[Event]:
        self.seen.append(context)
        try:
            for line in context.text.splitlines():
                word, _, rest = line.partition(" ")
                async for event in getattr(self, f"_{word}")(context, rest):
                    yield event
        finally:
            self.closed += 1

    async def _say(self, context: TurnContext, rest: str) -> AsyncIterator[Event]:
        for piece in rest.split("|"):
            yield Text(piece)

    async def _hold(self, context: TurnContext, rest: str) -> AsyncIterator[Event]:
        await passed(Path(rest))
        yield Text(" passed")

    async def _count(self, context: TurnContext, rest: str) -> AsyncIterator[Event]:
        for number in range(int(rest)):
            yield Text(f"{number} ")
            await asyncio.sleep(0.001)

    async def _step(self, context: TurnContext, rest: str) -> AsyncIterator[Event]:
        yield Step("s", rest)
        yield Step("s", rest, "ok", "done", 0.1)

    async def _cost(self, context: TurnContext, rest: str) -> AsyncIterator[Event]:
        yield Cost("fake/model", 10, None, None)

    async def _draft(self, context: TurnContext, rest: str) -> AsyncIterator[Event]:
        current = context.workflow
        name, version = await self._workflows.save(
            context.owner,
            current.name if current else None,
            QUICK + f"# {rest}\n",
            rest,
            context.message_id,
            author="assistant",
            request=context.request,
            request_id=context.user_message_id,
            conversation_id=context.conversation_id,
        )
        yield DraftChanged(name, version, rest)

    async def _run(self, context: TurnContext, rest: str) -> AsyncIterator[Event]:
        run_id, inputs = await self._start(context, rest)
        yield RunStarted(run_id, "held", inputs)

    async def _silent(self, context: TurnContext, rest: str) -> AsyncIterator[Event]:
        await self._start(context, rest)
        return
        yield

    async def _watched(self, context: TurnContext, rest: str) -> AsyncIterator[Event]:
        """Awaits the run, and tells its end itself, which the service does as well."""
        run_id, inputs = await self._start(context, rest)
        yield RunStarted(run_id, "held", inputs)
        view = await self._engine.wait(run_id)
        yield RunEnded(run_id, view["status"], view)
        yield Text("It came to " + view["outputs"]["second"])

    async def _fail(self, context: TurnContext, rest: str) -> AsyncIterator[Event]:
        yield Text("so far")
        raise ModelRateLimited("Too many requests.", "Wait a minute.")

    async def _failed(self, context: TurnContext, rest: str) -> AsyncIterator[Event]:
        yield Failed("model_bad_reply", "No sense in it.", "Ask again.")

    async def _crash(self, context: TurnContext, rest: str) -> AsyncIterator[Event]:
        yield Text("so far")
        raise ZeroDivisionError("secret-4711")

    async def _end(self, context: TurnContext, rest: str) -> AsyncIterator[Event]:
        yield TurnEnded(context.message_id, "ok")
        yield Text("after the end")

    async def _start(self, context: TurnContext, gate: str) -> tuple[str, dict[str, Any]]:
        inputs = {"gate": gate}
        run_id = await self._engine.start(
            workflow_of(HELD, self._tools),
            inputs,
            owner=context.owner,
            conversation_id=context.conversation_id,
            message_id=context.message_id,
        )
        return run_id, inputs


async def eventually(condition: Callable[[], Awaitable[object]], seconds: float = 20.0) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


def workflow_of(text: str, tools: ToolRegistry) -> Workflow:
    checked = check(text, tools)
    assert checked.workflow, checked.problems
    return checked.workflow


class TestHouse:
    """Everything the service needs, on the database of a folder. `start` recovers like a server does."""

    __test__ = False

    def __init__(self, home: Path) -> None:
        self.home = home
        self.db = open_db(home / "parlance.db", synchronous="NORMAL")
        self.tools = ToolRegistry({**BUILT_IN, "hold": hold})
        self.models = NoModel()
        self.workflows = Workflows(self.db)
        store = SqliteRunStore(self.db)
        self.engine = Engine(store, self.models, self.tools, workflows=self.workflows.text)
        self.assistant = ObedientAssistant(self.engine, self.workflows, self.tools)
        self.service = ChatService(self.db, self.engine, self.models, self.tools, self.assistant)

    async def start(self) -> TestHouse:
        await self.engine.recover()
        await self.service.recover()
        return self

    async def close(self) -> None:
        await self.service.close()
        await self.engine.close()
        self.db.close()

    async def answer(self, owner: str, conversation_id: str, text: str) -> list[Event]:
        """Say it and give back all events of the answer."""
        message_id = await self.service.post(owner, conversation_id, text)
        return await self.events(owner, conversation_id, message_id)

    async def events(self, owner: str, conversation_id: str, message_id: str) -> list[Event]:
        follow = self.service.follow(owner, conversation_id, message_id=message_id)
        return [event async for _, event in follow]
