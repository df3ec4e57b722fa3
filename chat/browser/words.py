"""Numbers and times in words, the same everywhere on the page. What is not known is said to be unknown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """Of a file, in the unit that fits."""
    if number < 1000:
        return count(number, "byte")
    return f"{number / 1000:.0f} kB" if number < 1_000_000 else f"{number / 1_000_000:.1f} MB"


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
    """ "0.4 s", "12 s", "3 min 5 s", "2 h 5 min", "3 d 4 h"; nothing for None."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for big, name, small, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= big:
            rest = whole % big // small
            return f"{whole // big} {name}" + (f" {rest} {part}" if rest or small == 1 else "")
    return f"{whole} s"


def time_taken(run: Mapping[str, Any], questions: Sequence[Mapping[str, Any]] = ()) -> str:
    """How long a run took, and apart from that how long it waited for people: "3.6 s, and 2 h waiting"."""
    total = seconds_between(run.get("created_at"), run.get("ended_at"))
    if total is None:
        return ""
    waited = waited_seconds(run, questions)
    if waited < 1:
        return duration(total)
    return f"{duration(max(0.0, total - waited))}, and {duration(waited)} waiting"


def waited_seconds(run: Mapping[str, Any], questions: Sequence[Mapping[str, Any]] = ()) -> float:
    """How long a run that has ended waited for people, in seconds: what of it is not covered by other steps."""
    nodes = run.get("nodes") or ()
    asks = [(n.get("started_at"), n.get("ended_at")) for n in nodes if n.get("kind") == "ask"]
    asks += [(q.get("asked_at"), q.get("answered_at") or run.get("ended_at")) for q in questions]
    works = [
        (n.get("started_at"), n.get("ended_at")) for n in nodes if n.get("kind") not in ("ask", "subflow")
    ]
    waiting = _moments(asks)
    return _length([*waiting, *(busy := _moments(works))]) - _length(busy)


def _moments(pairs: Sequence[tuple[Any, Any]]) -> list[tuple[float, float]]:
    known = [(str(start), str(end)) for start, end in pairs if start and end]
    return [(datetime.fromisoformat(a).timestamp(), datetime.fromisoformat(b).timestamp()) for a, b in known]


def _length(moments: Sequence[tuple[float, float]]) -> float:
    """Of the union of stretches of time."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(moments):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


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
