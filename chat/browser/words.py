"""Numbers and times in words, the same everywhere on the page. What is not known is said to be unknown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def money(dollars: float | None) -> str:
    """In US dollars, with as many places as a small sum needs."""
    if dollars is None:
        return "unknown"
    if dollars == 0:
        return "$0"
    return (
        f"${dollars:.2f}" if dollars >= 0.1 else f"${dollars:.4f}" if dollars >= 0.0001 else "below $0.0001"
    )


def span(range_: Sequence[float] | None, word: Callable[[Any], str]) -> str:
    """ "2 to 5", one word where both ends read the same; "unknown" for None."""
    if range_ is None:
        return "unknown"
    low, high = (word(end) for end in range_)
    return low if low == high else f"{low} to {high}"


def duration(seconds: float | None) -> str:
    """ "0.4 s", "12 s", "3 min 5 s"; nothing for None."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def seconds_between(start: str | None, end: str | None) -> float | None:
    """Between two ISO 8601 times; None as long as one of them is missing."""
    if not start or not end:
        return None
    return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())


def tokens_of(run: Mapping[str, Any]) -> str:
    """The tokens of a run or a node: "1,204 tokens", or that they are unknown."""
    counts = [run.get("prompt_tokens"), run.get("completion_tokens")]
    known = [number for number in counts if number is not None]
    return count(sum(known), "token") if len(known) == 2 else "tokens unknown"


def asks_models(run: Mapping[str, Any]) -> bool:
    """Whether the run may have spent something: not where no step of it is a model's, or hides other steps."""
    kinds = {node.get("kind") for node in run.get("nodes") or ()}
    spent = run.get("prompt_tokens") is not None or run.get("cost_usd") is not None
    return spent or not kinds <= {"code", "ask", "tool"}


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
