"""How much of everything goes into a prompt: parts with a budget each, cut to what the model's window holds.

Tokens are counted by the rule of thumb of `engine.models.tokens`, for every model alike, so the same conversation makes
the same prompt everywhere. It may be wrong by a quarter; the window is filled to two thirds for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.models.names import Target

UNKNOWN_WINDOW = 32_000
"""Tokens that a model is taken to read when nobody knows how many it does."""
REPLY = 8_000
FILLED = 2 / 3


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a prompt. `most` bounds it in tokens by itself; None: it is never cut.

    `rank` orders what gives way when all together are too much: the highest first, 0 never.
    """

    name: str
    text: str
    most: int | None = None
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Fitted:
    """The parts' texts by name as they fit, and what was left out, in words."""

    texts: dict[str, str]
    left_out: tuple[str, ...]
    tokens: int


@lru_cache(maxsize=2048)
def tokens(text: str) -> int:
    """About how many tokens a text has."""
    from engine.models.tokens import rule_of_thumb

    return rule_of_thumb(text)


def window(target: Target | None) -> int:
    """How many tokens of prompt there is room for with this model."""
    from engine.models import pricing

    found = pricing.entry(target.provider, target.model) if target else None
    known = (found or {}).get("max_input_tokens")
    size = known if isinstance(known, int) and known > 0 else UNKNOWN_WINDOW
    return int(max(size * FILLED, size - REPLY) if size > 6 * REPLY else size * FILLED)


def fit(parts: Sequence[Part], room: int) -> Fitted:
    """Cut each part to its own bound, then those of the highest rank until all fit into `room` tokens.

    Parts of rank 0 stay whole, also where they alone are more than that.
    """
    texts = {part.name: part.text for part in parts}
    left_out: dict[str, str] = {}
    for part in parts:
        if part.most is not None and tokens(part.text) > part.most:
            texts[part.name] = _cut(part, part.most, left_out)
    for part in sorted(parts, key=lambda part: -part.rank):
        total = sum(map(tokens, texts.values()))
        if total <= room or part.rank == 0:
            break
        texts[part.name] = _cut(part, max(0, tokens(texts[part.name]) - (total - room)), left_out)
    return Fitted(texts, tuple(left_out.values()), sum(map(tokens, texts.values())))


def _cut(part: Part, most: int, left_out: dict[str, str]) -> str:
    """The first lines of a part, as many as have no more than `most` tokens; "" when none has."""
    lines = part.text.splitlines()
    kept, used = [], 0
    for line in lines:
        used += tokens(line) + 1
        if used > most:
            break
        kept.append(line)
    left_out[part.name] = f"{len(lines) - len(kept)} of {len(lines)} lines of {part.name}"
    return "\n".join(kept)
