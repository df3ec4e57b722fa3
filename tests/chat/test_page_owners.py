"""Who may see and do what on the page: each action and the socket are called as somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chat.assistant.nearest import Nearest
from chat.browser import owner_of
from chat.browser.actions import NAMES, Actions
from chat.browser.follow import Followed
from chat.browser.house import House
from chat.browser.socket import PageSocket
from chat.gallery import Gallery
from engine.errors import NotFound
from tests.chat.house import QUICK, TestHouse, eventually

OWNER, STRANGER = "local", "stranger"
NEAREST = Nearest(Gallery())
NEED_NO_OWNER = {"check", "patch", "models", "choose", "set_key", "try_model", "send", "save"}
NEED_NO_OWNER |= {"templates", "near", "template", "use_template", "look_at_file"}
NEED_NO_OWNER |= {"arrive", "prefer", "spent_today", "erase_data"}
LISTS = {"workflows": "workflows", "all_runs": "runs"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[TestHouse]:
    made = await TestHouse(tmp_path).start()
    yield made
    await made.service.close()
    await made.engine.close()
    made.db.close()


def _page(house: TestHouse, who: str | None) -> House:
    return House(house.service, cast(Any, house.models), house.tools, NEAREST.gallery, lambda _: who, NEAREST)


def _call(house: TestHouse, who: str | None, name: str) -> Any:
    functions = {function.__name__: function for function in Actions(_page(house, who)).functions}
    return lambda **given: functions[name](given, cast(Any, SimpleNamespace()))


async def _conversation(house: TestHouse) -> tuple[str, str]:
    """A conversation of the owner with a workflow, and the id of an answer in it."""
    conversation = (await house.service.create(OWNER)).id
    answer = await house.service.post(OWNER, conversation, "say hello\ndraft one")
    async for _ in house.service.follow(OWNER, conversation, message_id=answer):
        pass
    return conversation, answer


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NEED_NO_OWNER | set(LISTS)])
async def test_no_action_reaches_what_belongs_to_somebody_else(house: TestHouse, name: str) -> None:
    conversation, answer = await _conversation(house)
    run = await house.service.start_run(OWNER, conversation, {"who": "you"})
    before = await house.service.get(OWNER, conversation)
    given = {"message": answer, "text": "say bye", "title": "Mine", "version": 1, "run": run, "inputs": {}}
    given |= {"node": "greet", "value": "yes", "name": before.workflow, "new": "mine"}
    told = await _call(house, STRANGER, name)(conversation=conversation, **given)
    assert told["error"].startswith("There is no ")
    after = await house.service.get(OWNER, conversation)
    assert (after.title, after.workflow, [m.id for m in after.messages]) == (
        before.title,
        before.workflow,
        [m.id for m in before.messages],
    )


@pytest.mark.parametrize(("name", "key"), LISTS.items())
async def test_lists_have_what_is_ones_own_alone(house: TestHouse, name: str, key: str) -> None:
    conversation, _ = await _conversation(house)
    await house.service.start_run(OWNER, conversation, {"who": "you"})
    assert len((await _call(house, OWNER, name)())[key]) == 1
    assert (await _call(house, STRANGER, name)())[key] == []


@pytest.mark.parametrize("name", ["send", "save", "take_file"])
async def test_writing_into_a_foreign_conversation_is_refused(house: TestHouse, name: str) -> None:
    conversation, _ = await _conversation(house)
    told = await _call(house, STRANGER, name)(conversation=conversation, text="say bye", yaml=QUICK)
    assert told["error"].startswith("There is no ")
    assert len((await house.service.get(OWNER, conversation)).messages) == 2
    assert await house.service.list(STRANGER) == []


@pytest.mark.parametrize("name", NAMES)
async def test_who_is_not_signed_in_can_do_nothing(house: TestHouse, name: str) -> None:
    told = await _call(house, None, name)(
        conversation="x", text="say hello", yaml=QUICK, provider="openai", key="k"
    )
    assert told["error"] == "You are not signed in any more."
    assert await house.service.list(OWNER) == []


async def test_a_foreign_conversation_cannot_be_followed(house: TestHouse) -> None:
    conversation, _ = await _conversation(house)
    with pytest.raises(NotFound):
        await Followed(house.service, STRANGER, conversation, lambda _: None).run()


async def test_a_foreign_run_cannot_be_shown(house: TestHouse) -> None:
    conversation, _ = await _conversation(house)
    run = await house.service.start_run(OWNER, conversation, {"who": "you"})
    own = (await house.service.create(STRANGER)).id
    with pytest.raises(NotFound):
        await Followed(house.service, STRANGER, own, lambda _: None).show_run(run)


class _Wire:
    """A WebSocket's two ends, without a network."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self._asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def receive_json(self) -> dict[str, Any]:
        return await self._asked.get()

    async def send_json(self, data: dict[str, Any]) -> None:
        self.sent.append(data)

    def ask(self, **data: Any) -> None:
        self._asked.put_nowait(data)

    def got(self, kind: str) -> list[dict[str, Any]]:
        return [data for data in self.sent if data["type"] == kind]


class _Models:
    @property
    def status(self) -> dict[str, Any]:
        return {"state": "ready", "fraction": 1.0, "detail": ""}

    async def info(self) -> Any:
        return SimpleNamespace(name="fake/model", source="a test", demo=False, note=None)


async def _serve(house: TestHouse, who: str) -> tuple[_Wire, asyncio.Task[None]]:
    wire = _Wire()
    page = _page(house, who)
    page.models = cast(Any, _Models())
    return wire, asyncio.create_task(PageSocket(cast(Any, wire), page, who).serve())


async def test_the_socket_tells_a_stranger_nothing(house: TestHouse) -> None:
    conversation, _ = await _conversation(house)
    wire, serving = await _serve(house, STRANGER)
    wire.ask(op="open", conversation=conversation)

    async def gone() -> bool:
        return bool(wire.got("gone") and wire.got("list"))

    await eventually(gone)
    assert wire.got("list")[0]["items"] == []
    assert {data["type"] for data in wire.sent} == {"hello", "gone", "list", "model"}
    serving.cancel()


async def test_the_socket_pushes_only_what_changed_and_not_too_often(house: TestHouse) -> None:
    conversation, _ = await _conversation(house)
    wire, serving = await _serve(house, OWNER)
    wire.ask(op="open", conversation=conversation)

    async def opened() -> bool:
        return bool(wire.got("chat") and wire.got("workflow"))

    await eventually(opened)
    assert wire.got("chat")[0]["first"] == 0
    before = len(wire.sent)
    started = asyncio.get_running_loop().time()
    answer = await house.service.post(OWNER, conversation, "count 1500")
    async for _ in house.service.follow(OWNER, conversation, message_id=answer):
        pass

    async def told() -> bool:
        return "1499" in str(wire.sent[-1]) or "1499" in str(wire.got("chat")[-1])

    await eventually(told)
    seconds = asyncio.get_running_loop().time() - started
    pushes = [data for data in wire.sent[before:] if data["type"] == "chat"]
    assert len(pushes) <= 10 * seconds + 7
    assert all(push["first"] > 0 for push in pushes), "what was there already is not sent again"
    serving.cancel()


def test_the_owner_comes_from_the_gate_alone() -> None:
    def request(scope: dict[str, Any]) -> Any:
        return SimpleNamespace(scope=scope)

    assert owner_of(request({"parlance.signed_in": True})) == OWNER
    assert owner_of(request({"parlance.signed_in": False})) is None
    assert owner_of(request({})) is None
    assert owner_of(SimpleNamespace(request=request({"parlance.signed_in": True}))) == OWNER
