"""A run that the assistant offers can be started within a budget; the page says so in the message itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from chat.events import Question, RunStarted
from tests.chat.assistant.house import OWNER, Talk, call, none_of, only, open_talk
from tests.fakes.openai_server import FakeOpenAI

GREET = """\
schema_version: "1.0"
flow: {name: greet, description: Greets}
state:
  fields:
    name: {type: str, required: true}
    greeting: str
nodes:
  - {id: speak, prompt: "Greet {state.name}", outputs: [greeting]}
"""


async def _offered(talk: Talk) -> None:
    await talk.service.save_yaml(OWNER, talk.conversation, GREET, "Mine")
    await talk.answer(call("functions", "run_workflow", {"inputs": {"name": "Eve"}}))
    assert only(await talk.say("What does it do?"), Question).about["kind"] == "run"


@pytest.mark.parametrize(("answer", "limit"), [("Run it for at most $0.5", 0.5), ("run it", None)])
async def test_an_offer_is_taken_within_the_budget_that_is_named(
    tmp_path: Path, answer: str, limit: float | None
) -> None:
    with FakeOpenAI() as fake:
        async with open_talk(tmp_path, fake, {"function_calling": True}) as talk:
            await _offered(talk)
            await talk.answer("Hello Eve")
            started = only(await talk.say(answer), RunStarted)
            assert (await talk.service.engine.record(started.run_id)).limit_usd == limit


async def test_other_words_with_a_sum_are_for_the_model(tmp_path: Path) -> None:
    with FakeOpenAI() as fake:
        async with open_talk(tmp_path, fake, {"function_calling": True}) as talk:
            await _offered(talk)
            await talk.answer("It costs less.")
            none_of(await talk.say("Why would it cost at most $0.5?"), RunStarted)
            assert len(fake.requests) == 2
