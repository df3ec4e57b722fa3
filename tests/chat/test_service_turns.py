"""Turns: taken in once, answered in order in the background, followed by many, stopped, edited, asked anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chat.answers import SAVE_SECONDS
from chat.events import Event, Failed, NodeChanged, RunEnded, RunStarted, Step, Text, TurnEnded
from engine.errors import Conflict, InputError, NotFound
from tests.chat.house import QUICK, TestHouse, eventually, open_gate

ANN, BOB = "ann", "bob"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[TestHouse]:
    made = await TestHouse(tmp_path).start()
    yield made
    await made.close()


@pytest.fixture
async def talk(house: TestHouse) -> str:
    return (await house.service.create(ANN)).id


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


async def test_a_turn_streams_its_events_and_keeps_them_as_parts(house: TestHouse, talk: str) -> None:
    events = await house.answer(ANN, talk, "say One |two\nstep look\nsay three\ncost")
    assert text_of(events) == "One twothree"
    assert isinstance(events[-1], TurnEnded)
    assert events[-1].status == "ok"
    question, answer = (await house.service.get(ANN, talk)).messages
    assert (question.role, question.text, question.status) == (
        "user",
        "say One |two\nstep look\nsay three\ncost",
        "ok",
    )
    assert [part["kind"] for part in answer.parts] == ["text", "step", "text", "cost"]
    assert answer.parts[1]["status"] == "ok"
    assert answer.text == "One two\n\nthree"
    assert (answer.status, answer.reply_to) == ("ok", question.id)
    assert events[-1].message_id == answer.id


async def test_an_ended_turn_is_played_back(house: TestHouse, talk: str) -> None:
    live = await house.answer(ANN, talk, "say One |two\nstep look")
    again = await house.events(ANN, talk, live[-1].message_id)
    assert again == [Text("One two"), Step("s", "look", "ok", "done", 0.1), live[-1]]
    rest = house.service.follow(ANN, talk, message_id=live[-1].message_id, after=2)
    assert [number async for number, _ in rest] == [3, 4, 5], "who was cut off goes on by the numbers it saw"


async def test_the_assistant_is_told_what_came_before(house: TestHouse, talk: str) -> None:
    await house.answer(ANN, talk, "say hello\ndraft first")
    await house.answer(ANN, talk, "say again")
    first, second = house.assistant.seen
    assert (first.history, first.workflow, first.text) == ((), None, "say hello\ndraft first")
    assert [(past.role, past.text) for past in second.history] == [
        ("user", first.text),
        ("assistant", "hello"),
    ]
    assert second.history[1].parts[1]["kind"] == "draft"
    assert second.workflow is not None
    assert (second.workflow.name, second.workflow.version) == ("quick", 1)
    assert second.workflow.yaml == QUICK + "# first\n"
    assert (await house.service.get(ANN, talk)).workflow == "quick"


async def test_ten_deliveries_at_once_are_one_turn(house: TestHouse, talk: str) -> None:
    posts = (house.service.post(ANN, talk, "say hi", channel="bot", external_id="7") for _ in range(10))
    ids = set(await asyncio.gather(*posts))
    assert len(ids) == 1
    await house.events(ANN, talk, ids.pop())
    assert len((await house.service.get(ANN, talk)).messages) == 2
    assert len(house.assistant.seen) == 1
    await house.answer(ANN, talk, "say hi")
    assert len(house.assistant.seen) == 2


async def test_one_turn_at_a_time_in_a_conversation_many_in_all(
    house: TestHouse, talk: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    first = await house.service.post(ANN, talk, f"hold {gate}")
    second = await house.service.post(ANN, talk, "say second")
    other = await house.service.create(ANN)
    assert text_of(await house.answer(ANN, other.id, "say elsewhere")) == "elsewhere"
    assert house.assistant.seen[0].message_id == first
    assert second not in [context.message_id for context in house.assistant.seen]
    open_gate(gate)
    assert text_of(await house.events(ANN, talk, second)) == "second"
    assert [m.text for m in (await house.service.get(ANN, talk)).messages if m.role == "assistant"] == [
        " passed",
        "second",
    ]


async def test_many_followers_agree_and_a_slow_one_holds_up_nobody(house: TestHouse, talk: str) -> None:
    message_id = await house.service.post(ANN, talk, "count 200")

    async def follow(pause: float, after: int = 0) -> list[tuple[int, Event]]:
        seen = []
        async for numbered in house.service.follow(ANN, talk, message_id=message_id, after=after):
            seen.append(numbered)
            await asyncio.sleep(pause)
        return seen

    slow = asyncio.create_task(follow(0.01))
    quick = await asyncio.gather(*(follow(0) for _ in range(20)))
    assert not slow.done()
    assert (await house.service.message(ANN, talk, message_id)).status == "ok"
    assert all(each == quick[0] for each in quick)
    assert [number for number, _ in quick[0]] == list(range(1, 202))
    assert await slow == quick[0]


async def test_who_comes_late_or_back_gets_the_rest(house: TestHouse, talk: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    message_id = await house.service.post(ANN, talk, f"say a|b\nhold {gate}")
    first = house.service.follow(ANN, talk)
    seen = [await anext(first), await anext(first)]
    await first.aclose()
    open_gate(gate)
    back = [numbered async for numbered in house.service.follow(ANN, talk, message_id=message_id, after=2)]
    assert [*seen, *back] == [
        (1, Text("a")),
        (2, Text("b")),
        (3, Text(" passed")),
        (4, TurnEnded(message_id, "ok")),
    ]
    assert [event async for event in house.service.follow(ANN, talk)] == []


async def test_text_is_saved_twice_a_second(house: TestHouse, talk: str, tmp_path: Path) -> None:
    message_id = await house.service.post(ANN, talk, f"say early\nhold {tmp_path / 'gate'}")
    saved = "SELECT 1 FROM messages WHERE id = ? AND text = 'early'"
    await eventually(lambda: house.db.fetch(saved, (message_id,)))
    assert SAVE_SECONDS < 0.5


async def test_what_is_live_is_read_as_it_is_now(house: TestHouse, talk: str, tmp_path: Path) -> None:
    message_id = await house.service.post(ANN, talk, f"say early\nhold {tmp_path / 'gate'}")
    follow = house.service.follow(ANN, talk)
    await anext(follow)
    await follow.aclose()
    answer = (await house.service.get(ANN, talk)).messages[-1]
    assert (answer.id, answer.status, answer.text) == (message_id, "live", "early")


async def test_stop_ends_the_turn_and_goes_on_with_those_behind_it(
    house: TestHouse, talk: str, tmp_path: Path
) -> None:
    first = await house.service.post(ANN, talk, f"say early\nhold {tmp_path / 'never'}")
    second = await house.service.post(ANN, talk, "say late")
    follow = house.service.follow(ANN, talk)
    await anext(follow)
    await house.service.stop(ANN, talk)
    assert [event async for _, event in follow] == [TurnEnded(first, "stopped")]
    async for _ in house.service.follow(ANN, talk, message_id=second):
        pass
    messages = {m.id: m for m in (await house.service.get(ANN, talk)).messages}
    assert (messages[first].status, messages[first].text) == ("stopped", "early")
    assert (messages[second].status, messages[second].text) == ("ok", "late")
    assert house.assistant.closed == 2
    assert text_of(await house.answer(ANN, talk, "say on")) == "on"
    await house.service.stop(ANN, talk)


async def test_stop_reaches_a_turn_that_is_just_beginning(
    house: TestHouse, talk: str, tmp_path: Path
) -> None:
    """Between two steps of the turn's start there is nothing to cancel yet; it must end all the same."""
    for steps in range(60):
        message_id = await house.service.post(ANN, talk, f"hold {tmp_path / 'never'}")
        for _ in range(steps):
            await asyncio.sleep(0.0002)
        await asyncio.wait_for(house.service.stop(ANN, talk), 10)
        assert (await house.service.message(ANN, talk, message_id)).status == "stopped"


async def test_stop_cancels_the_runs_of_the_turn(house: TestHouse, talk: str, tmp_path: Path) -> None:
    message_id = await house.service.post(ANN, talk, f"run {tmp_path / 'never'}")
    run_id = await _started(house, talk, message_id)
    await house.service.stop(ANN, talk)
    assert (await house.engine.view(run_id))["status"] == "cancelled"
    answer = await house.service.message(ANN, talk, message_id)
    assert answer.status == "stopped"
    assert [part["kind"] for part in answer.parts] == ["run_started", "run_ended"]
    assert answer.parts[1]["status"] == "cancelled"


async def test_a_turn_stopped_while_it_starts_a_run_leaves_none_behind(
    house: TestHouse, talk: str, tmp_path: Path
) -> None:
    message_id = await house.service.post(
        ANN, talk, f"silent {tmp_path / 'never'}\nhold {tmp_path / 'never'}"
    )
    await eventually(lambda: house.engine.runs(owner=ANN))
    await house.service.stop(ANN, talk)
    [run] = await house.engine.runs(owner=ANN)
    assert run["status"] == "cancelled"
    answer = await house.service.message(ANN, talk, message_id)
    assert [part["kind"] for part in answer.parts] == ["run_started", "run_ended"]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("fail", "model_rate_limited", "Too many requests."),
        ("failed", "model_bad_reply", "No sense in it."),
        ("crash", "internal_error", "Something went wrong in this turn."),
    ],
)
async def test_a_turn_that_fails_says_so_and_keeps_its_text(
    house: TestHouse, talk: str, text: str, code: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    events = await house.answer(ANN, talk, text)
    assert isinstance(events[-2], Failed)
    assert (events[-2].code, events[-2].message, events[-1].status) == (code, message, "failed")
    assert events[-2].fix
    answer = (await house.service.get(ANN, talk)).messages[-1]
    assert answer.status == "failed"
    assert "secret-4711" not in str(answer.parts)
    assert ("ZeroDivisionError" in caplog.text) == (text == "crash")
    assert text_of(await house.answer(ANN, talk, "say on")) == "on"


async def test_only_the_service_ends_a_turn(house: TestHouse, talk: str) -> None:
    events = await house.answer(ANN, talk, "end")
    assert [event.kind for event in events] == ["text", "turn_ended"]


async def test_edit_takes_what_followed_out_of_view(house: TestHouse, talk: str, tmp_path: Path) -> None:
    await house.answer(ANN, talk, "say one")
    await house.answer(ANN, talk, "say two")
    live = await house.service.post(ANN, talk, f"hold {tmp_path / 'never'}")
    second = (await house.service.get(ANN, talk)).messages[2]
    edited = await house.service.edit(ANN, talk, second.id, "say three")
    assert text_of(await house.events(ANN, talk, edited)) == "three"
    messages = (await house.service.get(ANN, talk)).messages
    assert [m.text for m in messages] == ["say one", "one", "say three", "three"]
    assert [past.text for past in house.assistant.seen[-1].history] == ["say one", "one"]
    with pytest.raises(NotFound):
        await house.service.message(ANN, talk, live)
    with pytest.raises(Conflict):
        await house.service.edit(ANN, talk, messages[1].id, "say four")
    with pytest.raises(NotFound):
        await house.service.edit(ANN, talk, second.id, "say four")


async def test_an_answer_can_be_asked_for_anew(house: TestHouse, talk: str) -> None:
    await house.answer(ANN, talk, "say one")
    await house.answer(ANN, talk, "say two")
    question, answer, *_ = (await house.service.get(ANN, talk)).messages
    again = await house.service.regenerate(ANN, talk, answer.id)
    assert text_of(await house.events(ANN, talk, again)) == "one"
    messages = (await house.service.get(ANN, talk)).messages
    assert [m.id for m in messages] == [question.id, again]
    with pytest.raises(Conflict):
        await house.service.regenerate(ANN, talk, question.id)


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 200_001])
async def test_a_message_says_something_and_not_too_much(house: TestHouse, talk: str, text: str) -> None:
    with pytest.raises(InputError):
        await house.service.post(ANN, talk, text)
    assert (await house.service.get(ANN, talk)).messages == ()


async def test_pages_are_told_what_changes(house: TestHouse, talk: str) -> None:
    nudges = house.service.subscribe(ANN, talk)
    lists = house.service.subscribe(ANN)
    foreign = house.service.subscribe(BOB)
    assert [(await anext(each))["type"] for each in (nudges, lists, foreign)] == ["ready"] * 3
    await house.answer(ANN, talk, "draft first\nsay done")
    await house.service.rename(ANN, talk, "Name")
    await house.service.delete(ANN, talk)
    told = [await anext(nudges) for _ in range(8)]
    assert [nudge["type"] for nudge in told] == [
        "message",
        "list_changed",
        "turn_started",
        "draft",
        "turn_ended",
        "list_changed",
        "deleted",
        "list_changed",
    ]
    assert (told[3]["workflow"], told[3]["version"], told[4]["status"]) == ("quick", 1, "ok")
    assert (await anext(lists))["type"] == "list_changed"  # one for many that nobody has read yet
    house.service.hub.close()
    assert [nudge async for nudge in foreign] == []


async def _started(house: TestHouse, talk: str, message_id: str) -> str:
    """The run that the answer started, once its second node waits."""
    follow = house.service.follow(ANN, talk, message_id=message_id)
    async for _, event in follow:
        if isinstance(event, NodeChanged) and event.node["id"] == "wait":
            await follow.aclose()
            return event.run_id
    raise AssertionError("no run was started")


async def test_a_turn_goes_on_until_its_run_has_ended(house: TestHouse, talk: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    message_id = await house.service.post(ANN, talk, f"run {gate}\nsay started")
    await _started(house, talk, message_id)
    assert (await house.service.message(ANN, talk, message_id)).status == "live"
    open_gate(gate, "result")
    events = await house.events(ANN, talk, message_id)
    [started] = [event for event in events if isinstance(event, RunStarted)]
    [ended] = [event for event in events if isinstance(event, RunEnded)]
    assert (ended.run_id, ended.status, ended.run["outputs"]) == (started.run_id, "ok", {"second": "result"})
    nodes = [(event.node["id"], event.node["status"]) for event in events if isinstance(event, NodeChanged)]
    assert nodes == [("open", "running"), ("open", "ok"), ("wait", "running"), ("wait", "ok")]
    answer = await house.service.message(ANN, talk, message_id)
    assert (answer.status, [part["kind"] for part in answer.parts]) == (
        "ok",
        ["run_started", "text", "run_ended"],
    )


async def test_the_assistant_may_wait_for_the_run_and_speak_of_it(
    house: TestHouse, talk: str, tmp_path: Path
) -> None:
    open_gate(tmp_path / "gate", "42")
    events = await house.answer(ANN, talk, f"watched {tmp_path / 'gate'}")
    assert [event.kind for event in events if event.lasting].count("run_ended") == 1
    assert text_of(events) == "It came to 42"


async def test_a_next_message_does_not_wait_for_a_run(house: TestHouse, talk: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    first = await house.service.post(ANN, talk, f"run {gate}")
    run_id = await _started(house, talk, first)
    assert text_of(await house.answer(ANN, talk, "say meanwhile")) == "meanwhile"
    assert (await house.service.message(ANN, talk, first)).status == "ok"
    nudges = house.service.subscribe(ANN, talk)
    await anext(nudges)
    open_gate(gate, "late result")
    while (nudge := await anext(nudges))["type"] != "message":
        pass
    assert nudge["message_id"] == first
    parts = (await house.service.message(ANN, talk, first)).parts
    assert [part["kind"] for part in parts] == ["run_started", "run_ended"]
    assert (parts[1]["run_id"], parts[1]["run"]["outputs"]) == (run_id, {"second": "late result"})
