"""A conversation as people have it: the real service, assistant, engine and stores; only the model's
server is a fake.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from chat.assistant import Assistant
from chat.assistant.nearest import Nearest
from chat.events import DraftChanged, Event, Text
from chat.gallery import Gallery
from chat.proof import Proofs
from chat.schedules import make_timetable
from chat.service import ChatService
from engine.engine import Engine
from engine.models import ModelChoice, Models
from engine.ports import ModelInfo
from sessions.db import Database, open_db
from sessions.files import FileStore
from sessions.preferences import Preferences
from sessions.runs import SqliteRunStore
from sessions.schedules import SqlScheduleStore
from sessions.spending import Spending
from sessions.summaries import ConversationSummaries
from sessions.workflow_tests import WorkflowTests
from sessions.workflows import Workflows
from tests.fakes.openai_server import FakeOpenAI, Reply
from tools.registry import ToolRegistry

OWNER = "local"
E = TypeVar("E", bound=Event)
NEAREST = Nearest(Gallery())


class KnownModels(Models):
    """The real adapter, told what kind of model the fake is."""

    kind: Mapping[str, Any] = {}

    async def info(self, model: str | None = None) -> ModelInfo:
        return replace(await super().info(model), **self.kind)


@dataclass
class Talk:
    """One conversation. `say` posts a message and gives the turn's events."""

    service: ChatService
    engine: Engine
    fake: FakeOpenAI
    workflows: Workflows
    conversation: str
    db: Database
    assistant: Assistant

    async def say(self, text: str, files: Sequence[str] = ()) -> list[Event]:
        message = await self.service.post(OWNER, self.conversation, text, files=files)
        follow = self.service.follow(OWNER, self.conversation, message_id=message)
        return [event async for _, event in follow]

    async def answer(self, *script: Any) -> None:
        self.fake.script = list(script)

    async def saved(self) -> list[str]:
        return [workflow.name for workflow in await self.workflows.list(OWNER)]

    async def yaml(self, name: str) -> str:
        return (await self.workflows.get(OWNER, name)).yaml

    async def runs(self) -> list[dict[str, Any]]:
        return await self.engine.runs(owner=OWNER)


def stores(db: Database) -> dict[str, Any]:
    """What the assistant remembers beside workflows and conversations."""
    return {
        "preferences": Preferences(db),
        "spending": Spending(db),
        "summaries": ConversationSummaries(db),
        "files": FileStore(db, db.path.parent / "files"),
    }


@asynccontextmanager
async def open_talk(
    home: Path,
    fake: FakeOpenAI,
    kind: Mapping[str, Any],
    conversation: str | None = None,
    *,
    gallery: Gallery | None = None,
    secrets: Mapping[str, str] | None = None,
    model: str = "openai/fake",
    schedules: bool = False,
) -> AsyncIterator[Talk]:
    """Everything that one process has; opened again on the same `home` it is the next process."""
    db = open_db(home / "parlance.db", synchronous="NORMAL")
    tools = ToolRegistry()
    models = KnownModels(ModelChoice(model=model, api_base=fake.base_url, api_key="k", home=home))
    models.kind = kind
    workflows = Workflows(db)
    remembered = stores(db)
    engine = Engine(
        SqliteRunStore(db),
        models,
        tools,
        secrets=(secrets or {}).get,
        workflows=workflows.text,
        files=remembered["files"],
    )
    proofs = Proofs(engine, tools, workflows, WorkflowTests(db))
    timetable = make_timetable(SqlScheduleStore(db), engine, workflows, models, tools) if schedules else None
    assistant = Assistant(
        models,
        tools,
        engine,
        workflows,
        gallery,
        nearest=Nearest(gallery) if gallery else NEAREST,
        proofs=proofs,
        tests=proofs.tests,
        timetable=timetable,
        **remembered,
    )
    service = ChatService(db, engine, models, tools, assistant, timetable, proofs=proofs)
    await engine.recover()
    await service.recover()
    conversation = conversation or (await service.create(OWNER)).id
    try:
        yield Talk(service, engine, fake, workflows, conversation, db, assistant)
    finally:
        await service.close()
        await engine.close()
        await models.close()
        db.close()


def only(events: Sequence[Event], kind: type[E]) -> E:
    """The one event of this kind."""
    found = of(events, kind)
    assert len(found) == 1, events
    return found[0]


def of(events: Sequence[Event], kind: type[E]) -> list[E]:
    """The events of this kind; a draft that came again, with what was proved of it, counts once."""
    found = [event for event in events if isinstance(event, kind)]
    newest = {(e.workflow, e.version): e for e in found if isinstance(e, DraftChanged)}
    seen = {id(event) for event in newest.values()}
    return [e for e in found if not isinstance(e, DraftChanged) or id(e) in seen]


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in of(events, Text))


def none_of(events: Sequence[Event], *kinds: type[Event]) -> None:
    assert [event for event in events if isinstance(event, kinds)] == []


def call(way: str, name: str, args: Mapping[str, Any] | None = None, say: str = "") -> Reply:
    """One action, in the way in which this model acts."""
    if way == "functions":
        return Reply(text=say, tool_calls=((name, dict(args or {})),))
    return Reply(value={"say": say, "action": {"name": name, "args": dict(args or {})}})


def talk_only(way: str, say: str) -> Reply:
    return Reply(text=say) if way == "functions" else call(way, "none", say=say)


def last_told(fake: FakeOpenAI, index: int = -1) -> str:
    """The last message of a request: what the model was told before it answered."""
    return str(fake.requests[index]["messages"][-1]["content"])
