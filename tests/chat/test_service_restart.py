"""What a restart makes of what was cut: in one process here, with kill -9 in test_server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chat.house import HELD, QUICK, TestHouse, eventually, open_gate, workflow_of

ANN = "ann"


@pytest.fixture
async def first(tmp_path: Path) -> AsyncIterator[TestHouse]:
    house = await TestHouse(tmp_path).start()
    yield house
    await house.close()


async def until_ended(house: TestHouse, talk: str) -> None:
    async def ended() -> bool:
        return all(m.status != "live" for m in (await house.service.get(ANN, talk)).messages)

    await eventually(ended)


async def until_it_has(house: TestHouse, talk: str, message_id: str, parts: int) -> None:
    async def has() -> bool:
        return len((await house.service.message(ANN, talk, message_id)).parts) == parts

    await eventually(has)


async def test_an_orderly_stop_keeps_everything_for_the_next_start(first: TestHouse, tmp_path: Path) -> None:
    gate, never = tmp_path / "gate", tmp_path / "never"
    talk = (await first.service.create(ANN)).id
    carded = await first.service.start_run(ANN, talk, {"gate": str(gate)}, HELD)
    detached = await first.service.post(ANN, talk, f"run {gate}\nsay running")
    cut = await first.service.post(ANN, talk, f"say so far\nhold {never}")
    queued = await first.service.post(ANN, talk, "say later")
    follow = first.service.follow(ANN, talk, message_id=cut)
    await anext(follow)
    await first.close()
    assert [event.kind async for _, event in follow] == ["turn_ended"]

    second = await TestHouse(tmp_path).start()
    open_gate(gate, "found")
    await until_ended(second, talk)
    messages = {message.id: message for message in (await second.service.get(ANN, talk)).messages}
    assert (messages[cut].status, messages[cut].text) == ("interrupted", "so far")
    assert (messages[queued].status, messages[queued].text) == ("ok", "later")
    card = next(
        message for message in messages.values() if message.reply_to is None and message.role == "assistant"
    )
    assert card.parts[0]["run_id"] == carded
    await until_it_has(second, talk, detached, 3)
    for message in (card, await second.service.message(ANN, talk, detached)):
        ended = message.parts[-1]
        assert (ended["kind"], ended["status"], ended["run"]["outputs"]) == (
            "run_ended",
            "ok",
            {"second": "found"},
        )
        assert message.status == "ok"
    again = await second.service.regenerate(ANN, talk, queued)
    assert (await second.events(ANN, talk, again))[-1].kind == "turn_ended"
    await second.close()


async def test_a_message_that_waited_for_its_run_waits_on(first: TestHouse, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    talk = (await first.service.create(ANN)).id
    waiting = await first.service.post(ANN, talk, f"say go\nrun {gate}")
    phase = "SELECT 1 FROM messages WHERE id = ? AND phase = 'waiting'"
    await eventually(lambda: first.db.fetch(phase, (waiting,)))
    await first.close()
    second = await TestHouse(tmp_path).start()
    assert (await second.service.message(ANN, talk, waiting)).status == "live"
    open_gate(gate, "found")
    events = await second.events(ANN, talk, waiting)
    assert [event.kind for event in events if event.lasting] == ["text", "run_started", "run_ended"]
    message = await second.service.message(ANN, talk, waiting)
    assert (message.status, message.text) == ("ok", "go")
    assert message.parts[-1]["run"]["outputs"] == {"second": "found"}
    await second.close()


async def test_a_run_that_ended_unseen_is_told_after_the_restart(first: TestHouse, tmp_path: Path) -> None:
    """The run is stored and ended, but the process died before a word of it was in the message."""
    talk = (await first.service.create(ANN)).id
    answers = [await first.service.post(ANN, talk, f"hold {tmp_path / 'never'}")]
    answers.append(await first.service.post(ANN, talk, "say two"))
    run_id = await first.engine.start(
        workflow_of(QUICK, first.tools),
        {"who": "Ann"},
        owner=ANN,
        conversation_id=talk,
        message_id=answers[0],
    )
    await first.engine.wait(run_id)
    await first.close()
    second = await TestHouse(tmp_path).start()
    await until_it_has(second, talk, answers[0], 2)
    message = await second.service.message(ANN, talk, answers[0])
    assert message.status == "interrupted"
    parts = message.parts
    assert [part["kind"] for part in parts] == ["run_started", "run_ended"]
    assert parts[0] == {
        "kind": "run_started",
        "run_id": run_id,
        "workflow": "quick",
        "inputs": {"who": "Ann"},
    }
    await until_it_has(second, talk, answers[1], 1)
    assert (await second.service.message(ANN, talk, answers[1])).text == "two"
    await second.close()


async def test_a_living_process_keeps_its_turns_and_its_turn_comes_first(
    first: TestHouse, tmp_path: Path
) -> None:
    """As with `app.py chat` beside the server: two houses on one data folder, both alive."""
    gate = tmp_path / "gate"
    talk = (await first.service.create(ANN)).id
    mine = await first.service.post(ANN, talk, f"say mine\nhold {gate}")
    second = await TestHouse(tmp_path).start()
    assert (await second.service.message(ANN, talk, mine)).status == "live"
    other = await second.service.post(ANN, talk, "say other")
    await asyncio.sleep(0.7)
    assert second.assistant.seen == []
    open_gate(gate)
    followed = asyncio.create_task(second.events(ANN, talk, mine))
    assert (await second.events(ANN, talk, other))[-1].kind == "turn_ended"
    assert [event.kind for event in await followed] == ["text", "turn_ended"]
    assert [past.text for past in second.assistant.seen[0].history] == [
        f"say mine\nhold {gate}",
        "mine passed",
    ]
    await second.close()


async def test_what_another_process_leaves_later_is_taken_over_once(first: TestHouse, tmp_path: Path) -> None:
    gate, never = tmp_path / "gate", tmp_path / "never"
    talk = (await first.service.create(ANN)).id
    detached = await first.service.post(ANN, talk, f"run {gate}")
    cut = await first.service.post(ANN, talk, f"say cut\nhold {never}")
    queued = await first.service.post(ANN, talk, "say later")
    second = await TestHouse(tmp_path).start()
    mine = await second.service.create(ANN)
    busy = await second.service.post(ANN, mine.id, f"say mine\nrun {gate}\nhold {gate}")
    await second.service.recover()
    assert (await second.service.message(ANN, talk, cut)).status == "live"
    await first.close()
    for _ in range(3):
        await second.engine.recover()
        await second.service.recover()
    open_gate(gate, "found")
    await until_ended(second, talk)
    await until_ended(second, mine.id)
    messages = {m.id: m for m in (await second.service.get(ANN, talk)).messages}
    assert (messages[cut].status, messages[cut].text) == ("interrupted", "cut")
    assert (messages[queued].status, messages[queued].text) == ("ok", "later")
    await until_it_has(second, talk, detached, 2)
    kinds = [part["kind"] for part in (await second.service.message(ANN, mine.id, busy)).parts]
    assert kinds == ["text", "run_started", "text", "run_ended"] or kinds == [
        "text",
        "run_started",
        "run_ended",
        "text",
    ]
    assert len(second.assistant.seen) == 2
    await second.close()
