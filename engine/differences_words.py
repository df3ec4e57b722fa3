"""How values stand in the sentences about a change, and when two values are the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LONGEST = 60  # characters of a value in a sentence

MISSING: Any = object()
"""In the place of a value that is not there."""


def canonical(value: Any) -> Any:
    """Equal for equal YAML values: the order of keys does not count, and 1, 1.0, true and "1" are four."""
    if isinstance(value, Mapping):
        return ("map", frozenset((repr(key), canonical(each)) for key, each in value.items()))
    if isinstance(value, list | tuple):
        return ("list", tuple(canonical(each) for each in value))
    return (type(value).__name__, repr(value))


def same(one: Any, other: Any) -> bool:
    if one is MISSING or other is MISSING:
        return one is other
    return bool(canonical(one) == canonical(other))


def said(value: Any) -> str:
    """A value in a sentence: text in quotes, long ones cut."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        text = " ".join(value.split())
        return f"'{text if len(text) <= LONGEST else text[: LONGEST - 1] + '…'}'"
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return listed(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def listed(names: Sequence[str], last: str = "and") -> str:
    """'a', 'b' and 'c'."""
    quoted = [f"'{name}'" for name in names]
    return " ".join(filter(None, (", ".join(quoted[:-1]), last if len(quoted) > 1 else "", quoted[-1])))


def now(what: str, old: Any, new: Any) -> str:
    """The sentence that something has another value."""
    if old is MISSING or old is None:
        return f"{what} is {said(new)} now."
    if new is MISSING or new is None:
        return f"{what} is not set any more (it was {said(old)})."
    return f"{what} is {said(new)} now (it was {said(old)})."


def leaves(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two values differ: (path, old, new), as deep as both are mappings."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            below = f"{path}.{key}" if path else str(key)
            yield from leaves(old.get(key, MISSING), new.get(key, MISSING), below)
    elif not same(old, new):
        yield path, old, new


def mapping(value: Any) -> Mapping[str, Any]:
    """The mapping, or an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def names(value: Any) -> list[str]:
    """A name or a list of names as a list."""
    found = value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, str)]
