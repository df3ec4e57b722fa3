"""The service beside the turns: runs from the page, the workflow of a conversation, and foreign owners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from chat.events import Event, RunEnded, Text
from engine.errors import Conflict, InputError, NotFound, WorkflowInvalid
from sessions.conversations import Message
from tests.chat.house import HELD, QUICK, TestHouse, eventually, open_gate

ANN, BOB = "ann", "bob"
ASKING = QUICK.split("nodes:")[0] + 'nodes: [{id: greet, prompt: "Greet {state.who}", outputs: [greeting]}]'

ASKS = """\
schema_version: "1.0"
flow: {name: asks, description: Asks before it greets}
state:
  fields:
    who: {type: str, required: true}
    choice: {type: str, enum: [approve, reject]}
    greeting: str
nodes:
  - {id: check, ask: "May I greet {state.who}?", outputs: [choice]}
  - {id: greet, tool: text_template, args: {template: "{state.choice} {state.who}"}, outputs: [greeting]}
"""

COUNTS = """\
schema_version: "1.0"
flow: {name: counts, description: Asks how often}
state:
  fields:
    times: int
    note: str
nodes:
  - {id: often, ask: "How often?", options: [], outputs: [times]}
  - {id: tell, tool: text_template, args: {template: "{state.times} times"}, outputs: [note]}
"""

ASKS_TWICE = """\
schema_version: "1.0"
flow: {name: asks_twice, description: Asks two things}
state:
  fields:
    sure: bool
    times: int
    note: str
nodes:
  - {id: check, ask: "Shall I?", outputs: [sure]}
  - {id: often, ask: "How often?", options: [], outputs: [times]}
  - {id: tell, tool: text_template, args: {template: "{state.times} times"}, outputs: [note]}
"""

OUTER = """\
schema_version: "1.0"
flow: {name: outer}
state:
  fields:
    who: {type: str, required: true}
    greeting: str
nodes:
  - {id: inner, workflow: asks, inputs: {who: "{state.who}"}, outputs: [greeting]}
"""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[TestHouse]:
    made = await TestHouse(tmp_path).start()
    yield made
    await made.close()


@pytest.fixture
async def talk(house: TestHouse) -> str:
    return (await house.service.create(ANN)).id


async def test_a_run_from_the_page_becomes_a_message(house: TestHouse, talk: str) -> None:
    await house.service.save_yaml(ANN, talk, QUICK, "by hand")
    run_id = await house.service.start_run(ANN, talk, {"who": "Ann"})
    [card] = (await house.service.get(ANN, talk)).messages
    events = await house.events(ANN, talk, card.id)
    [ended] = [event for event in events if isinstance(event, RunEnded)]
    assert (ended.run_id, ended.run["outputs"]) == (run_id, {"greeting": "Hello Ann"})
    [card] = (await house.service.get(ANN, talk)).messages
    assert (card.role, card.reply_to, card.status, card.text) == ("assistant", None, "ok", "")
    assert card.parts[0] == {
        "kind": "run_started",
        "run_id": run_id,
        "workflow": "quick",
        "inputs": {"who": "Ann"},
    }
    assert card.parts[1]["run"]["outputs"] == {"greeting": "Hello Ann"}


async def test_a_run_goes_on_when_nobody_looks_and_does_not_hold_up_a_turn(
    house: TestHouse, talk: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    await house.service.start_run(ANN, talk, {"gate": str(gate)}, HELD)
    events = await house.answer(ANN, talk, "say meanwhile")
    assert events[-1].kind == "turn_ended"
    card = (await house.service.get(ANN, talk)).messages[0]
    assert card.status == "live"
    open_gate(gate, "found")
    events = await house.events(ANN, talk, card.id)
    assert events[-2].kind == "run_ended"
    assert (await house.service.message(ANN, talk, card.id)).parts[1]["run"]["outputs"] == {"second": "found"}


async def waiting_card(house: TestHouse, talk: str) -> str:
    """A run of ASKS has asked, and its message has ended with that; the run's id."""
    run_id = await house.service.start_run(ANN, talk, {"who": "Ann"}, ASKS)
    [card] = (await house.service.get(ANN, talk)).messages
    events = await house.events(ANN, talk, card.id)
    assert [event.kind for event in events[-2:]] == ["run_waiting", "turn_ended"]
    return run_id


async def with_result(house: TestHouse, talk: str) -> Message:
    """The run's message, once the run's end is in it."""

    async def ended() -> bool:
        return (await house.service.get(ANN, talk)).messages[0].parts[-1]["kind"] == "run_ended"

    await eventually(ended)
    return (await house.service.get(ANN, talk)).messages[0]


async def test_a_question_is_in_the_message_and_so_is_its_answer(house: TestHouse, talk: str) -> None:
    run_id = await waiting_card(house, talk)
    [card] = (await house.service.get(ANN, talk)).messages
    assert card.status == "ok"
    [question] = card.parts[1]["questions"]
    assert (question["node"], question["question"], question["answered_at"]) == (
        "check",
        "May I greet Ann?",
        None,
    )
    assert [wait["run_id"] for wait in await house.service.waiting(ANN, talk)] == [run_id]
    with pytest.raises(NotFound):
        await house.service.answer_run(BOB, run_id, "check", "approve")
    with pytest.raises(InputError):
        await house.service.answer_run(ANN, run_id, "check", "perhaps")
    await house.service.answer_run(ANN, run_id, "check", "approve")
    card = await with_result(house, talk)
    [question] = card.parts[1]["questions"]
    assert (question["answer"], question["answered_by"]) == ("approve", ANN)
    assert card.parts[2]["run"]["outputs"] == {"greeting": "approve Ann"}
    assert await house.service.waiting(ANN) == []
    with pytest.raises((Conflict, NotFound)):
        await house.service.answer_run(ANN, run_id, "check", "reject")


async def test_an_option_typed_as_a_message_is_the_answer(house: TestHouse, talk: str) -> None:
    run_id = await waiting_card(house, talk)
    events = await house.answer(ANN, talk, "say not an option")
    assert (await house.service.view_run(ANN, run_id))["status"] == "waiting"
    events = await house.answer(ANN, talk, " Reject ")
    assert "goes on" in "".join(event.text for event in events if event.kind == "text")  # type: ignore[attr-defined]
    view = await house.engine.wait(run_id)
    assert view["outputs"] == {"greeting": "reject Ann"}


async def test_an_option_of_several_questions_answers_none_and_is_not_for_the_assistant(
    house: TestHouse, talk: str
) -> None:
    runs = [await house.service.start_run(ANN, talk, {"who": who}, ASKS) for who in ("Ann", "Bob")]
    for run_id in runs:
        await house.engine.wait(run_id)
    events = await house.answer(ANN, talk, "approve")
    said = "".join(event.text for event in events if event.kind == "text")  # type: ignore[attr-defined]
    assert "2 open questions: `check`, `check`" in said
    assert house.assistant.seen == []
    assert [(await house.service.view_run(ANN, run_id))["status"] for run_id in runs] == ["waiting"] * 2


async def counting(house: TestHouse, talk: str) -> str:
    """A run of COUNTS has asked; its id."""
    run_id = await house.service.start_run(ANN, talk, {}, COUNTS)
    await house.engine.wait(run_id)
    return run_id


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


async def test_the_first_words_after_a_question_without_options_are_its_answer(
    house: TestHouse, talk: str
) -> None:
    await house.answer(ANN, talk, "say what was said before the question counts for nothing")
    run_id = await counting(house, talk)
    assert "goes on" in text_of(await house.answer(ANN, talk, " 12 "))
    assert (await house.engine.wait(run_id))["outputs"] == {"note": "12 times"}
    assert len(house.assistant.seen) == 1


async def test_the_message_that_answers_tells_what_comes_next(house: TestHouse, talk: str) -> None:
    run_id = await house.service.start_run(ANN, talk, {}, ASKS_TWICE)
    await house.engine.wait(run_id)
    said = text_of(await house.answer(ANN, talk, "approve"))
    assert said.endswith(
        "goes on.\n\nThe run waits at `often`: How often?\n\nAnswer it in your next message."
    )
    assert text_of(await house.answer(ANN, talk, "3")).endswith("goes on.\n\n3 times")


async def test_what_takes_long_does_not_hold_up_the_message_that_answers(
    house: TestHouse, talk: str, tmp_path: Path
) -> None:
    held = ASKS.replace('tool: text_template, args: {template: "{state.choice} {state.who}"}', "%s")
    await house.service.start_run(
        ANN, talk, {"who": "Ann"}, held % f"tool: hold, args: {{gate: {tmp_path / 'gate'}}}"
    )
    await house.engine.wait((await house.service.runs(ANN))[0]["run_id"])
    assert text_of(await house.answer(ANN, talk, "approve")) == "“approve” it is: asks goes on."
    open_gate(tmp_path / "gate", "late")
    assert (await with_result(house, talk)).parts[-1]["run"]["outputs"] == {"greeting": "late"}


@pytest.mark.slow
async def test_the_message_tells_that_a_default_was_taken_without_recovery(
    house: TestHouse, talk: str
) -> None:
    timed = ASKS.replace("outputs: [choice]}", "outputs: [choice], timeout: 1, default: reject}")
    assert timed != ASKS
    await house.service.start_run(ANN, talk, {"who": "Ann"}, timed)
    card = await with_result(house, talk)
    assert card.parts[1]["questions"][0]["answered_by"] == "timeout"
    assert card.parts[2]["run"]["outputs"] == {"greeting": "reject Ann"}


async def test_words_that_do_not_fit_answer_nothing_and_the_next_are_for_the_assistant(
    house: TestHouse, talk: str
) -> None:
    run_id = await counting(house, talk)
    said = text_of(await house.answer(ANN, talk, "abc"))
    assert said.startswith("The answer does not fit: 'abc' is not a whole number"), said
    assert house.assistant.seen == []
    assert text_of(await house.answer(ANN, talk, "say 12")) == "12"
    assert (await house.service.view_run(ANN, run_id))["status"] == "waiting"
    [asked] = await house.service.waiting(ANN, talk)
    assert asked["node"] == "often"


async def test_words_answer_none_of_two_questions_without_options_nor_one_elsewhere(
    house: TestHouse, talk: str
) -> None:
    await counting(house, (await house.service.create(ANN)).id)
    assert text_of(await house.answer(ANN, talk, "say 1")) == "1"
    for _ in range(2):
        await counting(house, talk)
    assert text_of(await house.answer(ANN, talk, "say 2")) == "2"
    assert len(await house.service.waiting(ANN)) == 3


async def test_what_a_sub_workflow_asks_is_in_the_message_at_once(house: TestHouse, talk: str) -> None:
    await house.service.save_yaml(ANN, (await house.service.create(ANN)).id, ASKS, "by hand")
    await house.service.start_run(ANN, talk, {"who": "Ann"}, OUTER)
    [card] = (await house.service.get(ANN, talk)).messages
    events = await house.events(ANN, talk, card.id)
    assert [event.kind for event in events[-2:]] == ["run_waiting", "turn_ended"]
    [card] = (await house.service.get(ANN, talk)).messages
    [question] = next(part for part in card.parts if part["kind"] == "run_waiting")["questions"]
    assert (question["path"], question["question"]) == ("inner/check", "May I greet Ann?")


async def test_an_answer_given_elsewhere_is_found_by_recovery(house: TestHouse, talk: str) -> None:
    run_id = await waiting_card(house, talk)
    await house.service.recover()
    await house.engine.answer(run_id, "check", "approve", by="the command line")
    await house.engine.wait(run_id)
    await house.service.recover()
    card = await with_result(house, talk)
    assert card.parts[1]["questions"][0]["answered_by"] == "the command line"
    assert card.parts[2]["status"] == "ok"


async def test_stop_leaves_runs_of_the_page_alone_and_cancel_ends_them(
    house: TestHouse, talk: str, tmp_path: Path
) -> None:
    run_id = await house.service.start_run(ANN, talk, {"gate": str(tmp_path / "never")}, HELD)
    await house.service.stop(ANN, talk)
    assert (await house.service.view_run(ANN, run_id))["status"] == "running"
    await house.service.cancel_run(ANN, run_id)
    card = (await house.service.get(ANN, talk)).messages[0]
    events = await house.events(ANN, talk, card.id)
    assert (events[-2].kind, events[-1].kind) == ("run_ended", "turn_ended")
    assert (await house.service.view_run(ANN, run_id))["status"] == "cancelled"


async def test_nothing_is_started_where_something_is_wrong(house: TestHouse, talk: str) -> None:
    with pytest.raises(Conflict):
        await house.service.start_run(ANN, talk, {})
    with pytest.raises(WorkflowInvalid):
        await house.service.start_run(ANN, talk, {}, QUICK.replace("{state.who}", "{state.whom}"))
    with pytest.raises(InputError):
        await house.service.start_run(ANN, talk, {}, QUICK)
    with pytest.raises(WorkflowInvalid, match="model"):
        await house.service.start_run(ANN, talk, {"who": "Ann"}, ASKING)
    with pytest.raises(InputError):
        await house.service.start_detached_run(ANN, QUICK, {"whom": "Ann"})
    assert (await house.service.get(ANN, talk)).messages == ()
    assert await house.service.runs(ANN) == []


async def test_the_editor_saves_versions_and_goes_back(house: TestHouse, talk: str) -> None:
    saved = await house.service.save_yaml(ANN, talk, QUICK, "first")
    assert (saved.name, saved.version, saved.message_id) == ("quick", 1, None)
    changed = QUICK.replace("Hello", "Good day")
    assert (await house.service.save_yaml(ANN, talk, changed, "politer")).version == 2
    with pytest.raises(WorkflowInvalid):
        await house.service.save_yaml(ANN, talk, QUICK.replace("nodes:", "knots:"), "broken")
    back = await house.service.restore(ANN, talk, 1)
    assert (back.version, back.yaml) == (3, QUICK)
    current = await house.service.current_workflow(ANN, talk)
    assert current == back
    other = await house.service.create(ANN)
    assert await house.service.current_workflow(ANN, other.id) is None
    assert (await house.service.use_workflow(ANN, other.id, "quick")).version == 3
    with pytest.raises(Conflict):
        await house.service.restore(ANN, (await house.service.create(ANN)).id, 1)


async def test_a_detached_run_belongs_to_its_owner(house: TestHouse) -> None:
    run_id = await house.service.start_detached_run(ANN, QUICK, {"who": "Ann"})
    events = [event async for event in house.service.run_events(ANN, run_id)]
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert events[-1].data["outputs"] == {"greeting": "Hello Ann"}
    later = [event.id async for event in house.service.run_events(ANN, run_id, after=2)]
    assert later == [event.id for event in events[2:]]
    assert [run["run_id"] for run in await house.service.runs(ANN)] == [run_id]
    assert await house.service.runs(BOB) == []


async def test_deleting_ends_what_goes_on(house: TestHouse, talk: str, tmp_path: Path) -> None:
    never = tmp_path / "never"
    run_id = await house.service.start_run(ANN, talk, {"gate": str(never)}, HELD)
    await house.service.post(ANN, talk, f"hold {never}")
    await house.service.delete(ANN, talk)
    assert (await house.engine.view(run_id))["status"] == "cancelled"
    assert house.assistant.closed == len(house.assistant.seen)
    assert await house.service.list(ANN) == []
    assert await house.db.fetch("SELECT * FROM messages") == []


async def test_a_cancelled_caller_does_not_cut_the_start_of_a_run(house: TestHouse, talk: str) -> None:
    for _ in range(20):
        start = asyncio.create_task(house.service.start_run(ANN, talk, {"who": "Ann"}, QUICK))
        await asyncio.sleep(0.002)
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)

    async def ended() -> bool:
        return all(message.status != "live" for message in (await house.service.get(ANN, talk)).messages)

    await eventually(ended)
    runs = [run["run_id"] for run in await house.service.runs(ANN)]
    messages = (await house.service.get(ANN, talk)).messages
    assert [message.parts[1]["run_id"] for message in reversed(messages)] == runs


Call = Callable[[Any, str, str, str], Awaitable[Any] | AsyncGenerator[Any]]
CALLS: dict[str, Call] = {
    "get": lambda service, talk, message, run: service.get(BOB, talk),
    "message": lambda service, talk, message, run: service.message(BOB, talk, message),
    "rename": lambda service, talk, message, run: service.rename(BOB, talk, "mine"),
    "delete": lambda service, talk, message, run: service.delete(BOB, talk),
    "post": lambda service, talk, message, run: service.post(BOB, talk, "hello"),
    "follow": lambda service, talk, message, run: service.follow(BOB, talk),
    "follow a message": lambda service, talk, message, run: service.follow(BOB, talk, message_id=message),
    "stop": lambda service, talk, message, run: service.stop(BOB, talk),
    "edit": lambda service, talk, message, run: service.edit(BOB, talk, message, "other"),
    "regenerate": lambda service, talk, message, run: service.regenerate(BOB, talk, message),
    "subscribe": lambda service, talk, message, run: service.subscribe(BOB, talk),
    "current_workflow": lambda service, talk, message, run: service.current_workflow(BOB, talk),
    "save_yaml": lambda service, talk, message, run: service.save_yaml(BOB, talk, QUICK, "x"),
    "use_workflow": lambda service, talk, message, run: service.use_workflow(BOB, talk, "quick"),
    "restore": lambda service, talk, message, run: service.restore(BOB, talk, 1),
    "start_run": lambda service, talk, message, run: service.start_run(BOB, talk, {"who": "Bob"}, QUICK),
    "view_run": lambda service, talk, message, run: service.view_run(BOB, run),
    "run_events": lambda service, talk, message, run: service.run_events(BOB, run),
    "cancel_run": lambda service, talk, message, run: service.cancel_run(BOB, run),
    "answer_run": lambda service, talk, message, run: service.answer_run(BOB, run, "wait", "yes"),
    "estimate": lambda service, talk, message, run: service.estimate(BOB, talk, None, {}),
    "retry_run": lambda service, talk, message, run: service.retry_run(BOB, run, "wait"),
    "replay_run": lambda service, talk, message, run: service.replay_run(BOB, run, "a/b"),
    "resume_run": lambda service, talk, message, run: service.resume_run(BOB, run),
    "waiting": lambda service, talk, message, run: service.waiting(BOB, talk),
    "delete_run": lambda service, talk, message, run: service.delete_run(BOB, run),
}
OWN_THINGS_ONLY = {"save_workflow", "branches", "create", "list", "runs", "start_detached_run"}
NOBODYS = {"check", "close", "recover"}


def test_every_method_is_called_as_a_foreign_owner(house: TestHouse) -> None:
    methods = {
        name
        for name in dir(house.service)
        if not name.startswith("_") and callable(getattr(house.service, name))
    }
    assert methods == {name.split()[0] for name in CALLS} | OWN_THINGS_ONLY | NOBODYS


@pytest.mark.parametrize("name", CALLS)
async def test_what_is_somebody_elses_is_not_there(
    house: TestHouse, talk: str, tmp_path: Path, name: str
) -> None:
    await house.service.save_yaml(ANN, talk, QUICK, "first")
    run_id = await house.service.start_run(ANN, talk, {"gate": str(tmp_path / "never")}, HELD)
    await house.service.post(ANN, talk, f"hold {tmp_path / 'never'}")
    before = await house.service.get(ANN, talk)
    message_id = next(message.id for message in before.messages if message.role == "user")
    called = CALLS[name](house.service, talk, message_id, run_id)
    with pytest.raises(NotFound):
        await (anext(called) if isinstance(called, AsyncGenerator) else called)
    after = await house.service.get(ANN, talk)
    assert [(m.id, m.status) for m in after.messages] == [(m.id, m.status) for m in before.messages]
    assert (await house.service.current_workflow(ANN, talk)).yaml == QUICK  # type: ignore[union-attr]
    assert (await house.service.view_run(ANN, run_id))["status"] == "running"
