"""What an owner prefers, checked before it is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InputError
from sessions.db import open_db
from sessions.preferences import DEFAULTS, KNOWN, Preferences


@pytest.fixture
async def preferences(tmp_path: Path) -> AsyncIterator[Preferences]:
    db = open_db(tmp_path / "parlance.db", synchronous="NORMAL")
    yield Preferences(db)
    db.close()


async def test_what_is_set_is_kept_and_can_be_taken_back(preferences: Preferences) -> None:
    assert await preferences.get("ann") == {**dict.fromkeys(KNOWN), "notices": True} == DEFAULTS
    given = {"timezone": "Europe/Berlin", "language": "pt-BR", "daily_cap_usd": 2, "daily_cap_tokens": 0}
    assert await preferences.set("ann", **given, notices=False) == {**given, "notices": False}
    assert await preferences.get("bob") == DEFAULTS
    found = await preferences.set("ann", language=None, daily_cap_usd=0.5, notices=None)
    assert found == {**given, "language": None, "daily_cap_usd": 0.5, "notices": True}
    assert await preferences.set("ann") == found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("timezone", value) for value in ("Mars/Base", "", "../etc/passwd", "/etc/localtime", 3, "Europe")),
        *(("language", value) for value in ("german please", "", 1, "d", "de\n")),
        *(("daily_cap_usd", value) for value in (-1, "2", True, float("inf"), float("nan"))),
        *(("daily_cap_tokens", value) for value in (-1, 1.5, "9", True, 10**13)),
        *(("notices", value) for value in (1, "yes", 0)),
        *((name, 1) for name in ("colour", "owner", "self", "")),
    ],
)
async def test_what_can_not_be_is_refused_and_nothing_changes(
    preferences: Preferences, name: str, value: Any
) -> None:
    with pytest.raises(InputError) as error:
        await preferences.set(
            "ann", **{"timezone": "UTC", name: value} if name != "timezone" else {name: value}
        )
    assert error.value.field == name
    assert await preferences.get("ann") == DEFAULTS
