"""Nearest names: what a person most likely meant by a name that does not exist.

Two strengths. `certain` is near enough, and alone in that, to mend the text without asking. `near` is good
for a sentence only. Looking up is bounded per document, so that a thousand wrong names do not cost seconds.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

_MAX_LOOKUPS = 60
_MAX_CANDIDATES = 300


def plain(name: str) -> str:
    """The name without what people vary: letter case, underscores, hyphens and spaces."""
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "")


def distance(a: str, b: str, limit: int) -> int:
    """Letters added, dropped, changed or swapped with their neighbour; more than `limit` is `limit + 1`."""
    if abs(len(a) - len(b)) > limit or len(set(a) - set(b)) > limit or len(set(b) - set(a)) > limit:
        return limit + 1
    before: list[int] = []
    above = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        before, above = above, row
    return min(above[-1], limit + 1)


def _limit(name: str) -> int:
    """How many slips a name of this length may carry and still be told."""
    return 0 if len(name) < 3 else 1 if len(name) < 6 else 2


class Suggester:
    """Nearest names for one document; remembers what it found and stops looking after many misses."""

    def __init__(self) -> None:
        self._left = _MAX_LOOKUPS
        self._asked: set[str] = set()
        self._found: dict[tuple[str, frozenset[str]], tuple[str | None, str | None]] = {}

    def certain(self, name: str, candidates: Iterable[str]) -> str | None:
        """The one candidate that `name` is a slip of, None where there is none or more than one."""
        return self._look(name, candidates)[0]

    def near(self, name: str, candidates: Iterable[str]) -> str | None:
        """The candidate most like `name`, for a sentence; the certain one where there is one."""
        return self._look(name, candidates)[1]

    def _look(self, name: str, candidates: Iterable[str]) -> tuple[str | None, str | None]:
        if (self._left <= 0 and name not in self._asked) or len(name) > 100:
            return None, None
        key = (name, frozenset(candidates) - {name})
        if key not in self._found:
            if self._left <= 0:
                return None, None
            self._left -= 1
            self._asked.add(name)
            self._found[key] = _nearest(name, key[1])
        return self._found[key]


def _nearest(name: str, candidates: frozenset[str]) -> tuple[str | None, str | None]:
    own = plain(name)
    limit = _limit(own)
    scores: Mapping[str, int] = {c: distance(own, plain(c), limit) for c in sorted(candidates)}
    best = min(scores.values(), default=limit + 1)
    if best <= limit:
        nearest = [c for c, score in scores.items() if score == best]
        return (nearest[0] if len(nearest) == 1 else None), nearest[0]
    return None, _similar(name, own, sorted(candidates)[:_MAX_CANDIDATES])


def _similar(name: str, own: str, candidates: list[str]) -> str | None:
    inside = [
        c for c in candidates if len(own) > 2 and len(plain(c)) > 2 and (own in plain(c) or plain(c) in own)
    ]
    if inside:
        return min(inside, key=lambda c: (abs(len(c) - len(name)), c))
    return next(iter(difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)), None)
