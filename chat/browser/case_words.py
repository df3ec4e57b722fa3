"""A test's case in plain words: what goes in, what is assumed, and what has to come of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LONGEST = 160  # characters of a value


def case_rows(case: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows {label, items}, those that say nothing left out; see `engine.cases` for what a case holds."""
    rows = (
        ("With", _values(case.get("inputs") or {})),
        ("Assumed", list(_assumed(case.get("given") or {}))),
        ("Must run", case.get("must_run") or ()),
        ("Must not run", case.get("must_not_run") or ()),
        ("Must hold", case.get("checks") or ()),
    )
    return [{"label": label, "items": [str(item) for item in items]} for label, items in rows if items]


def _values(values: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {_shown(value)}" for name, value in values.items()]


def _assumed(given: Mapping[str, Any]) -> Iterable[str]:
    """What each step is taken to answer; a step that is visited several times has a list of answers."""
    for node, said in given.items():
        visits: Sequence[Any] = said if isinstance(said, list) else [said]
        for visit in visits:
            told = ", ".join(f"{name} = {_shown(value)}" for name, value in dict(visit).items())
            yield f"{node} gives {told}"


def _shown(value: Any) -> str:
    text = f"“{value}”" if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
