"""What an owner prefers: time zone, language, what the assistant may cost in a day, notices. Unset is None."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from engine.errors import InputError
from sessions.db import Database

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z")
LARGEST_TOKENS = 10**12


class Preferences:
    """The store of preferences. Those that are known are the keys of KNOWN; each may be None for "not set"."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, owner: str) -> dict[str, Any]:
        """All of them: {timezone, language, daily_cap_usd, daily_cap_tokens, notices}, with DEFAULTS where not set."""
        rows = await self._db.fetch("SELECT name, value FROM preferences WHERE owner = ?", (owner,))
        given = {row["name"]: json.loads(row["value"]) for row in rows if row["name"] in KNOWN}
        return {**DEFAULTS, **given}

    async def set(self, owner: str, /, **changes: Any) -> dict[str, Any]:
        """Change some; all of them as they are then. None takes one back. InputError, and nothing is changed, for one
        that is unknown or can't have this value.
        """
        checked = {name: _checked(name, value) for name, value in changes.items()}

        def job(connection: sqlite3.Connection) -> None:
            for name, value in checked.items():
                connection.execute("DELETE FROM preferences WHERE owner = ? AND name = ?", (owner, name))
                if value is not None:
                    connection.execute(
                        "INSERT INTO preferences VALUES (?, ?, ?)", (owner, name, json.dumps(value))
                    )

        await self._db.write(job)
        return await self.get(owner)


def _checked(name: str, value: Any) -> Any:
    if name not in KNOWN:
        raise InputError(f"There is no preference {name!r}.", f"Known are {', '.join(KNOWN)}.", name)
    return None if value is None else KNOWN[name](name, value)


def _timezone(name: str, value: Any) -> str:
    try:
        if isinstance(value, str) and ZoneInfo(value).key == value:
            return value
    except (KeyError, ValueError, OSError):
        pass
    raise InputError(f"{value!r} is no time zone.", "Write it like Europe/Berlin.", name)


def _language(name: str, value: Any) -> str:
    if isinstance(value, str) and _LANGUAGE.match(value):
        return value
    raise InputError(f"{value!r} is no language.", "Write its code, like de or pt-BR.", name)


def _dollars(name: str, value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and math.isfinite(value) and value >= 0:
        return float(value)
    raise InputError(f"{value!r} is no amount of dollars.", "Write a number like 2.5.", name)


def _tokens(name: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_TOKENS:
        return value
    raise InputError(f"{value!r} is no number of tokens.", "Write a whole number like 200000.", name)


def _yes_or_no(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise InputError(f"{value!r} is neither true nor false.", "Say true or false.", name)


KNOWN: Mapping[str, Callable[[str, Any], Any]] = {
    "timezone": _timezone,
    "language": _language,
    "daily_cap_usd": _dollars,
    "daily_cap_tokens": _tokens,
    "notices": _yes_or_no,
}
"""Each preference and how a value of it is checked."""

DEFAULTS: Mapping[str, Any] = {**dict.fromkeys(KNOWN), "notices": True}
