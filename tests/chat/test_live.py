"""The fold of events into parts, the log of a live message, and the nudges."""

from __future__ import annotations

import asyncio
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat import live
from chat.events import (
    Cost,
    DraftChanged,
    Event,
    Failed,
    NodeChanged,
    Problems,
    Question,
    RunEnded,
    RunStarted,
    Step,
    Text,
    TurnEnded,
    event_from_dict,
)
from chat.hub import CAPACITY, Hub
from chat.live import LiveMessage
from chat.parts import Parts

words = st.text(max_size=5)
events = st.one_of(
    st.builds(Text, words),
    st.builds(Step, st.sampled_from("ab"), words, st.sampled_from(["running", "ok"])),
    st.builds(DraftChanged, words, st.integers(1, 9), words),
    st.builds(Problems, words, st.just(({"line": 1},))),
    st.builds(Question, words, st.just(({"label": "l", "value": "v"},))),
    st.builds(RunStarted, st.sampled_from("rs"), words),
    st.builds(NodeChanged, st.sampled_from("rs"), st.just({"id": "n"})),
    st.builds(RunEnded, st.sampled_from("rs"), st.just("ok")),
    st.builds(Cost, words, st.none(), st.integers(0, 9), st.none()),
    st.builds(Failed, words, words, st.none() | words),
)


def fold(given: list[Event]) -> Parts:
    parts = Parts()
    for event in given:
        parts.add(event)
    return parts


@given(events)
def test_an_event_is_the_same_after_a_trip_through_json(event: Event) -> None:
    assert event_from_dict(event.to_dict()) == event


@given(st.lists(events, max_size=20))
def test_parts_played_back_make_the_same_parts(given: list[Event]) -> None:
    parts = fold(given)
    assert fold(parts.events()).to_list() == parts.to_list()
    assert Parts(parts.to_list()).to_list() == parts.to_list()


@given(st.lists(events, max_size=20))
def test_nothing_that_lasts_is_lost(given: list[Event]) -> None:
    parts = fold(given).to_list()
    said = "".join(part["text"] for part in parts if part["kind"] == "text")
    assert said == "".join(event.text for event in given if isinstance(event, Text))
    for kind, keys in (("step", ("id",)), ("run_ended", ("run_id",)), ("draft", ("workflow", "version"))):
        key = itemgetter(*keys)
        latest = {key(e.to_dict()): e.to_dict() for e in given if e.kind == kind}
        assert {key(part): part for part in parts if part["kind"] == kind} == latest
        assert sum(part["kind"] == kind for part in parts) == len(latest)
    for kind in ("problems", "question", "run_started", "cost", "error"):
        assert [p for p in parts if p["kind"] == kind] == [e.to_dict() for e in given if e.kind == kind]
    assert not any(part["kind"] == "node" for part in parts)


def test_parts_that_were_given_away_do_not_change() -> None:
    parts = fold([Text("a")])
    kept = parts.to_list()
    parts.add(Text("b"))
    assert kept == [{"kind": "text", "text": "a"}]
    assert parts.text == "ab"


async def collect(message: LiveMessage, after: int = 0) -> list[tuple[int, Event]]:
    return [numbered async for numbered in message.follow(after)]


@given(st.lists(events, max_size=20), st.integers(0, 25))
def test_followers_from_any_number_see_the_same(given: list[Event], after: int) -> None:
    async def run() -> None:
        message = LiveMessage("m", "c")
        early = asyncio.create_task(collect(message))
        for place, event in enumerate(given):
            message.publish(event)
            if place % 3 == 0:
                await asyncio.sleep(0)
        message.publish(TurnEnded("m", "ok"))
        message.publish(Text("too late"))
        whole = [*given, TurnEnded("m", "ok")]
        assert await early == list(enumerate(whole, start=1))
        assert await collect(message, after) == list(enumerate(whole, start=1))[after:]

    asyncio.run(run())


async def test_of_very_many_node_events_the_latest_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "COMPACT_AT", 100)
    message = LiveMessage("m", "c")
    watched = asyncio.create_task(collect(message))
    message.publish(Text("first"))
    for round_ in range(1000):
        for node in "abc":
            message.publish(NodeChanged("r", {"id": node, "iteration": round_}))
        if round_ % 10 == 0:
            await asyncio.sleep(0)
    message.publish(TurnEnded("m", "ok"))
    late = await collect(message)
    numbers = [number for number, _ in late]
    assert late[0] == (1, Text("first"))
    assert late[-1] == (3002, TurnEnded("m", "ok"))
    assert numbers == sorted(numbers)
    assert len(late) < 110
    assert late[-4:-1] == [(2999 + n, NodeChanged("r", {"id": "abc"[n], "iteration": 999})) for n in range(3)]
    assert (await watched)[-4:] == late[-4:]


async def test_an_abandoned_message_lets_its_followers_go() -> None:
    message = LiveMessage("m", "c", [{"kind": "text", "text": "so far"}])
    watched = asyncio.create_task(collect(message))
    await asyncio.sleep(0)
    message.abandon()
    assert await watched == [(1, Text("so far"))]


async def test_a_page_that_does_not_listen_is_told_to_read_anew() -> None:
    hub = Hub()
    slow = hub.subscribe("ann", "c")
    await anext(slow)
    for number in range(CAPACITY + 1):
        hub.publish("ann", "c", "node", node={"id": number})
    hub.publish("ann", "c", "turn_ended", message_id="m", status="ok")
    told: list[Any] = [await anext(slow), await anext(slow)]
    assert [nudge["type"] for nudge in told] == ["resync", "turn_ended"]
    hub.close()
    assert [nudge async for nudge in slow] == []


async def test_nudges_reach_only_whom_they_concern() -> None:
    hub = Hub()
    listeners = {
        (owner, talk): hub.subscribe(owner, talk) for owner in ("ann", "bob") for talk in ("c", "d", None)
    }
    for each in listeners.values():
        assert (await anext(each))["type"] == "ready"
    hub.publish("ann", "c", "draft", workflow="w", version=1)
    hub.publish("ann", "c", "list_changed")
    hub.publish("ann", "c", "news", what="answer")
    hub.close()
    heard = {key: [nudge["type"] async for nudge in each] for key, each in listeners.items()}
    assert heard == {
        ("ann", "c"): ["draft", "list_changed"],
        ("ann", "d"): ["list_changed"],
        ("ann", None): ["list_changed", "news"],
        ("bob", "c"): [],
        ("bob", "d"): [],
        ("bob", None): [],
    }


async def test_who_leaves_is_forgotten() -> None:
    hub = Hub()
    leaving = hub.subscribe("ann", None)
    await anext(leaving)
    await leaving.aclose()
    assert not hub._subscribers
