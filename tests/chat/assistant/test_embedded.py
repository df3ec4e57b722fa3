"""The first run on a machine without a key: the embedded model itself, no fake anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chat.assistant import Assistant
from chat.assistant.small.slots import fill_slots, slots_of
from chat.assistant.turn import House, Turn
from chat.events import Cost, DraftChanged, Question, RunEnded, RunStarted
from chat.gallery import Gallery
from chat.service import ChatService
from chat.turns import TurnContext
from engine.check import check
from engine.engine import Engine
from engine.models import ModelChoice, Models
from sessions.db import open_db
from sessions.runs import SqliteRunStore
from sessions.workflows import Workflows
from tests.chat.assistant.house import NEAREST, OWNER, Talk, none_of, only, text_of
from tests.fakes.openai_server import FakeOpenAI
from tools.registry import ToolRegistry

pytestmark = pytest.mark.slow

LETTER = (
    "The town library will close for three weeks in May. The heating is being replaced and the reading room gets "
    "new lamps. Books can be returned at the town hall."
)
SLOTS = [
    ("summarise_and_translate", "Summarise a text and translate it to German", {"language": "German"}),
    (
        "summarise_and_translate",
        "I have a long article, make it short and then in Spanish please",
        {"language": "Spanish"},
    ),
    ("summarise_and_translate", "make it Dutch", {"language": "Dutch"}),
    ("summarise_and_translate", "Summarise a text and translate it", {}),
    ("review_code", "Review my JavaScript code", {"language": "JavaScript"}),
    ("review_code", "check this function", {}),
    ("daily_brief", "Plan my day in Europe/Berlin", {"time_zone": "Europe/Berlin"}),
    (
        "translate_to_many",
        "Translate into Danish, Swedish and Finnish",
        {"first_language": "Danish", "second_language": "Swedish", "third_language": "Finnish"},
    ),
    ("study_plan", "learn guitar in two months with 5 hours a week", {"hours_per_week": 5.0}),
]


@pytest.fixture
async def models(tmp_path: Path) -> AsyncIterator[Models]:
    found = Models(ModelChoice(home=tmp_path, ollama="http://127.0.0.1:9"), cache_prompt=False)
    yield found
    await found.close()


@asynccontextmanager
async def open_embedded(home: Path, models: Models) -> AsyncIterator[Talk]:
    """A conversation with the embedded model, in a home of its own."""
    db = open_db(home / "parlance.db", synchronous="NORMAL")
    tools = ToolRegistry()
    engine = Engine(SqliteRunStore(db), models, tools)
    workflows = Workflows(db)
    assistant = Assistant(models, tools, engine, workflows, nearest=NEAREST)
    service = ChatService(db, engine, models, tools, assistant)
    conversation = (await service.create(OWNER)).id
    with FakeOpenAI() as unused:
        yield Talk(service, engine, unused, workflows, conversation, db, assistant)
    await service.close()
    await engine.close()
    db.close()


@pytest.fixture
async def talk(tmp_path: Path, models: Models) -> AsyncIterator[Talk]:
    async with open_embedded(tmp_path, models) as opened:
        yield opened


async def test_the_first_run(talk: Talk) -> None:
    events = await talk.say("Summarise a text and translate it to Italian")
    assert only(events, DraftChanged).workflow == "summarise_and_translate"
    assert "default: Italian" in await talk.yaml("summarise_and_translate")
    cost = only(events, Cost)
    assert cost.cost_usd == 0.0
    assert cost.model.startswith("embedded/")
    assert only(await talk.say("run it"), Question).about["field"] == "text"
    events = await talk.say(LETTER)
    assert only(events, RunStarted).inputs == {"text": LETTER}
    run = only(events, RunEnded).run
    assert run["status"] == "ok"
    assert "library" in run["outputs"]["summary"]
    assert run["outputs"]["translation"]
    assert "**Summary**" in text_of(events)
    assert "demo model" in text_of(events)


async def test_talk(talk: Talk) -> None:
    events = await talk.say("what is the capital of France?")
    assert "demo model" in text_of(events)
    none_of(events, DraftChanged, RunStarted)


async def test_slots_are_filled_and_nothing_is_invented(models: Models) -> None:
    gallery, tools = Gallery(), ToolRegistry()
    right = 0
    for name, request, wanted in SLOTS:
        example = gallery.get(name)
        assert example is not None
        workflow = check(example.yaml, tools).workflow
        assert workflow is not None
        context = TurnContext(OWNER, "c", "m", request)
        house = House(models, tools, None, None, gallery, NEAREST)  # type: ignore[arg-type]
        found = await fill_slots(Turn(house, context, await models.info()), slots_of(workflow), request)
        assert all(
            str(value).lower() in request.lower() for value in found.values() if isinstance(value, str)
        )
        right += found == wanted
    assert right >= len(SLOTS) - 1
