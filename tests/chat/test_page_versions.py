"""What the Versions tab is told: versions compared, who made a line, what is verified, the tests; and the way back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chat.assistant.nearest import Nearest
from chat.browser.actions import Actions
from chat.browser.form import limit_of
from chat.browser.house import House
from chat.gallery import Gallery
from engine.errors import InputError
from tests.chat.house import QUICK, TestHouse

OWNER = "local"
Call = Callable[..., Awaitable[dict[str, Any]]]
CASE = {"inputs": {"who": "you"}, "must_run": ["greet"], "checks": ["state.greeting == 'Hello you'"]}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[TestHouse]:
    made = await TestHouse(tmp_path).start()
    yield made
    await made.service.close()
    await made.engine.close()
    made.db.close()


@pytest.fixture
async def call(house: TestHouse) -> Call:
    """Calls a function of the page in a conversation whose workflow has two versions."""
    conversation = (await house.service.create(OWNER)).id
    for text in ("draft one", "draft two"):
        answer = await house.service.post(OWNER, conversation, text)
        async for _ in house.service.follow(OWNER, conversation, message_id=answer):
            pass
    nearest = Nearest(Gallery())
    page = House(
        house.service, cast(Any, house.models), house.tools, nearest.gallery, lambda _: OWNER, nearest
    )
    functions = {function.__name__: function for function in Actions(page).functions}

    async def called(name: str, **given: Any) -> dict[str, Any]:
        return await functions[name]({"conversation": conversation, **given}, cast(Any, SimpleNamespace()))

    return called


async def test_any_two_versions_are_compared_in_lines_and_words(call: Call) -> None:
    told = await call("compare", version=2)
    changed = [(row["kind"], row["text"]) for row in told["rows"] if row["kind"] in ("add", "del")]
    assert (told["against"], changed) == (1, [("del", "# one"), ("add", "# two")])
    assert [row["marks"] for row in told["rows"] if row["kind"] == "add"] == [[[2, 5]]]
    assert told["changes"]
    back = await call("compare", version=1, against=2)
    assert [row["text"] for row in back["rows"] if row["kind"] == "add"] == ["# one"]
    first = await call("compare", version=1)
    assert {row["kind"] for row in first["rows"]} == {"add"}
    assert (first["against"], first["changes"]) == (0, [])


async def test_undo_gives_the_exact_text_back_and_only_of_the_newest(call: Call, house: TestHouse) -> None:
    assert "newer version" in (await call("undo", version=1))["error"]
    assert await call("undo", version=2) == {"version": 3}
    assert (await house.service.workflows.get(OWNER, "quick")).yaml == QUICK + "# one\n"
    assert "newer version" in (await call("undo", version=2))["error"]


async def test_each_line_knows_its_message(call: Call) -> None:
    blame = (await call("blame"))["blame"]
    last = blame["versions"][str(blame["lines"][-1])]
    assert (last["version"], last["request"]) == (2, "draft two")
    assert blame["versions"][str(blame["lines"][0])]["request"] == "draft one"
    assert blame["nodes"]["greet"]["version"] == 1


async def test_a_version_is_verified_with_its_tests_which_can_be_removed(
    call: Call, house: TestHouse
) -> None:
    key = await house.service.proofs.tests.add(OWNER, "quick", "Says hello", "it must say hello", CASE)
    told = await call("prove", version=2)
    assert told["proof_line"].endswith("Tests: 1 of 1 pass")
    assert told["proof_state"] == "ok"
    assert (await call("compare", version=2))["proof"] == told["proof"]
    (test,) = (await call("tests"))["tests"]
    assert test["case"] == [
        {"label": "With", "items": ["who: “you”"]},
        {"label": "Must run", "items": ["greet"]},
        {"label": "Must hold", "items": ["state.greeting == 'Hello you'"]},
    ]
    assert await call("remove_test", test=key) == {}
    assert (await call("tests"))["tests"] == []


async def test_a_conversation_in_which_nobody_spoke_is_titled_after_its_workflow(house: TestHouse) -> None:
    conversation = (await house.service.create(OWNER)).id
    await house.service.library.save_yaml(OWNER, conversation, QUICK, "By hand")
    assert (await house.service.get(OWNER, conversation)).title == "quick"
    await house.service.post(OWNER, conversation, "say hello")
    assert (await house.service.get(OWNER, conversation)).title == "say hello"


@pytest.mark.parametrize(("text", "limit"), [("", None), (None, None), ("0.5", 0.5), (" $0,25 ", 0.25)])
def test_a_budget_is_read_as_people_type_it(text: str | None, limit: float | None) -> None:
    assert limit_of(text) == limit


@pytest.mark.parametrize("text", ["much", "0", "-1", "inf", "nan"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no budget"):
        limit_of(text)
