"""Going back by talking: by code, exactly, whatever model answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chat.events import DraftChanged
from tests.chat.assistant import house
from tests.chat.assistant.house import Talk, none_of, of, open_talk, text_of
from tests.fakes.openai_server import FakeOpenAI

DOCUMENT = """\
schema_version: "1.0"
flow: {name: greet}   # a greeting
state:
  fields:
    who: {type: str, required: true, description: Whom to greet}
    said: {type: str, description: The greeting}
nodes:
  - {id: greet, prompt: "Greet {state.who} 1", outputs: [said]}
"""


@pytest.fixture(params=[{"function_calling": True}, {"demo": True, "function_calling": False}])
async def talk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Talk]:
    async with FakeOpenAI() as fake, open_talk(tmp_path, fake, request.param) as made:
        for number in (1, 2, 3):
            text = DOCUMENT.replace("} 1", f"}} {number}")
            await made.service.save_yaml("local", made.conversation, text, f"Number {number}")
        yield made


async def test_undo_goes_back_one_version_and_then_further(talk: Talk) -> None:
    asked = len(talk.fake.requests)
    for words, number in (("undo that", 2), ("Undo", 1)):
        events = await talk.say(words)
        assert {event.workflow for event in of(events, DraftChanged)} == {"greet"}
        assert await talk.yaml("greet") == DOCUMENT.replace("} 1", f"}} {number}")
        assert f"as it was in version {number} again" in text_of(events)
    events = await talk.say("please undo the last change")
    none_of(events, DraftChanged)
    assert "nothing to undo" in text_of(events)
    assert len(talk.fake.requests) == asked, "no model was asked"


async def test_back_to_a_version(talk: Talk) -> None:
    await talk.say("go back to version 1")
    assert await talk.yaml("greet") == DOCUMENT
    events = await talk.say("restore version 3.")
    assert "that is version 5 now" in text_of(events)
    events = await talk.say("zurück zu Version 9")
    none_of(events, DraftChanged)
    assert "no version 9" in text_of(events)


async def test_other_words_go_to_the_model(talk: Talk) -> None:
    await talk.answer(house.talk_only("functions", "Well."))
    before = await talk.yaml("greet")
    events = await talk.say("Explain how to undo a commit in git")
    none_of(events, DraftChanged)
    assert await talk.yaml("greet") == before
