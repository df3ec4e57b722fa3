"""What the assistant's own calls cost: counted, shown, and bounded by a cap that is asked before every call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.events import DraftChanged, Failed, RunStarted
from engine.models import names
from sessions.db import open_db
from sessions.spending import Spending
from tests.chat.assistant.house import OWNER, Talk, call, of, only, open_talk, talk_only, text_of
from tests.chat.assistant.test_large import GOOD
from tests.fakes.openai_server import FakeOpenAI, Reply

PRICED = "gpt-4o"  # a model whose price LiteLLM's table knows


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    with FakeOpenAI() as fake:
        async with open_talk(tmp_path, fake, {"function_calling": True}) as opened:
            yield opened


def used(text: str, prompt: int, completion: int) -> Reply:
    return Reply(text=text, usage=(prompt, completion))


async def today(talk: Talk) -> dict[str, Any]:
    return await talk.service.spending.today(OWNER)


async def test_nothing_spent_is_known_to_be_nothing(talk: Talk) -> None:
    found = await today(talk)
    assert (found["calls"], found["prompt_tokens"], found["cost_usd"]) == (0, 0, 0.0)
    assert (found["cap_usd"], found["cap_tokens"], found["reached"]) == (None, None, False)


async def test_every_call_is_counted_and_what_is_not_told_stays_unknown(talk: Talk) -> None:
    await talk.answer(used("Hello", 100, 10), Reply(text="Hi", usage=False), Reply(status=400, message="no"))
    for _ in range(3):
        await talk.say("Hello")
    found = await today(talk)
    assert (found["calls"], found["prompt_tokens"], found["completion_tokens"]) == (3, 100, 10)
    assert (found["uncounted"], found["unpriced"], found["cost_usd"]) == (2, 3, None)


async def test_runs_are_not_the_assistants_own(talk: Talk) -> None:
    await talk.answer(
        call("functions", "write_workflow", {"yaml": GOOD, "summary": "x", "then": "go on"}),
        call("functions", "run_workflow", {"inputs": {"name": "Ada"}}),
        "Hello Ada",
    )
    assert of(await talk.say("Build it and run it with Ada"), RunStarted)
    assert (await today(talk))["calls"] == 2


async def test_a_cap_on_tokens_stops_before_the_call_and_loses_nothing(talk: Talk) -> None:
    await talk.answer(used("Hello", 9_000, 900), used("Here again.", 100, 10))
    await talk.service.preferences.set(OWNER, daily_cap_tokens=12_000)
    assert text_of(await talk.say("Hello")) == "Hello"
    failed = only(await talk.say("And now?"), Failed)
    assert failed.code == "daily_cap"
    assert "12,000 tokens a day" in failed.message
    assert "9,900 are used" in failed.message
    assert "settings" in str(failed.fix)
    assert len(talk.fake.requests) == 1
    await talk.service.preferences.set(OWNER, daily_cap_tokens=50_000)
    message = (await talk.service.get(OWNER, talk.conversation)).messages[-1]
    again = await talk.service.regenerate(OWNER, talk.conversation, message.id)
    events = [event async for _, event in talk.service.follow(OWNER, talk.conversation, message_id=again)]
    assert text_of(events) == "Here again."


async def test_the_cap_holds_in_the_middle_of_a_turn_too(talk: Talk) -> None:
    await talk.service.preferences.set(OWNER, daily_cap_tokens=20_000)
    draft = call("functions", "write_workflow", {"yaml": GOOD, "summary": "Greets", "then": "go on"})
    await talk.answer(replace(draft, usage=(19_000, 500)), talk_only("functions", "Never said"))
    events = await talk.say("Greet people")
    assert only(events, DraftChanged).workflow == "greet"
    assert only(events, Failed).code == "daily_cap"
    assert len(talk.fake.requests) == 1


async def test_the_summary_of_a_long_conversation_is_under_the_cap(talk: Talk) -> None:
    for number in range(2):
        await talk.answer(used(f"Well {number}. " + "so " * 1_500, 10, 10))
        await talk.say(f"And {number}? " + "hm " * 1_500)
    await talk.service.preferences.set(OWNER, daily_cap_tokens=40)
    assert only(await talk.say("Still there?"), Failed).code == "daily_cap"
    assert len(talk.fake.requests) == 2


async def test_a_cap_in_dollars(tmp_path: Path) -> None:
    with FakeOpenAI() as fake:
        kind = {"function_calling": True}
        async with open_talk(tmp_path, fake, kind, model=f"openai/{PRICED}") as talk:
            await talk.answer(used("Hello", 100_000, 1_000), used("No", 1, 1))
            await talk.service.preferences.set(OWNER, daily_cap_usd=0.20)
            await talk.say("Hello")
            spent = (await today(talk))["cost_usd"]
            if spent is None:  # the table of this LiteLLM does not price calls to another address
                pytest.fail("the call has no price")
            assert 0.2 < spent < 2
            failed = only(await talk.say("Hello"), Failed)
            assert failed.code == "daily_cap"
            assert "0.20 dollars a day" in failed.message
            assert (await today(talk))["reached"]


async def test_the_price_before_the_first_token(tmp_path: Path) -> None:
    with FakeOpenAI() as fake:
        kind = {"function_calling": True}
        async with open_talk(tmp_path, fake, kind, model=f"openai/{PRICED}") as talk:
            await talk.answer("Hello")
            await talk.say("Hello")
            asked = len(fake.requests)
            found = await talk.service.spending.estimate(OWNER, talk.conversation, "What can you do?")
            assert found is not None
            assert len(fake.requests) == asked
            assert 1_500 < found["prompt_tokens"] < 20_000
            assert 0 < found["prompt_usd"] < found["most_usd"] < 1
            longer = await talk.service.spending.estimate(OWNER, talk.conversation, "word " * 5_000)
            assert longer is not None
            assert longer["prompt_tokens"] > found["prompt_tokens"] + 4_000
        async with open_talk(tmp_path, fake, kind) as talk:
            unknown = await talk.service.spending.estimate(OWNER, talk.conversation, "What can you do?")
            assert unknown is not None
            assert (unknown["prompt_usd"], unknown["most_usd"]) == (None, None)


def test_what_runs_at_home_costs_nothing() -> None:
    from chat.assistant.paying import prices

    assert prices(names.Target("ollama/x", "ollama", "x", "openai", "test"), 10) == (0.0, 0.0)


CALL = st.tuples(
    st.sampled_from(["a", "b"]),
    st.one_of(st.none(), st.integers(0, 10**7)),
    st.one_of(st.none(), st.integers(0, 10**6)),
    st.one_of(st.none(), st.floats(0, 100)),
)


@settings(max_examples=30)
@given(st.lists(CALL, max_size=8))
async def test_sums_are_of_what_is_known(
    calls: list[tuple[str, int | None, int | None, float | None]],
) -> None:
    with TemporaryDirectory() as folder:
        db = open_db(Path(folder) / "parlance.db", synchronous="NORMAL")
        store = Spending(db)
        for model, prompt, completion, cost in calls:
            await store.record("o", "2026-03-01", model, prompt, completion, cost)
            await store.record("other", "2026-03-01", model, 5, 5, 5.0)
        found, next_day = await store.of("o", "2026-03-01"), await store.of("o", "2026-03-02")
        db.close()
    known = [cost for *_, cost in calls if cost is not None]
    assert (found.calls, next_day.calls) == (len(calls), 0)
    assert found.unpriced == len(calls) - len(known)
    assert found.cost_usd == (pytest.approx(sum(known)) if known or not calls else None)
    counted = [(p, c) for _, p, c, _ in calls if p is not None and c is not None]
    assert found.uncounted == len(calls) - len(counted)
    assert found.tokens == sum(p + c for p, c in counted)


async def test_a_day_is_the_persons_day(talk: Talk) -> None:
    late = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    talk.assistant._house = replace(talk.assistant._house, clock=lambda: late)
    await talk.service.preferences.set(OWNER, timezone="Asia/Tokyo")
    await talk.answer(used("Hello", 100, 10))
    await talk.say("Hello")
    assert (await Spending(talk.db).of(OWNER, "2026-03-03")).calls == 1
