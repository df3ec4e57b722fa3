"""Reads PARLANCE_LIMITS, say `openai: 4 calls, 60 requests/min, 100000 tokens/min; ollama: 1 call`.

Strict, because a limit that is misread is a limit that is not kept; everything wrong is said at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

EXAMPLE = "openai: 4 calls, 60 requests/min, 100000 tokens/min; ollama: 1 call"

_PART = re.compile(
    r"(?P<count>[0-9][0-9_]*)\s*(?P<unit>calls?|requests?\s*/\s*min|tokens?\s*/\s*min)", re.IGNORECASE
)
_PROVIDER = re.compile(r"[a-z][a-z0-9_.-]*")
_ALIASES = {"gemini": "google", "ollama_chat": "ollama"}
_UNITS = {"c": "calls", "r": "requests_per_minute", "t": "tokens_per_minute"}


@dataclass(frozen=True, slots=True)
class ProviderLimit:
    """What may be asked of one provider: calls at the same time, requests and tokens a minute. None: no bound."""

    calls: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


def parse_limits(text: str) -> dict[str, ProviderLimit]:
    """Provider's name -> its limit. ValueError with all that is wrong, in one text."""
    found: dict[str, ProviderLimit] = {}
    problems: list[str] = []
    for entry in (part.strip() for part in text.split(";")):
        if not entry:
            continue
        name, colon, bounds = entry.partition(":")
        provider = name.strip().lower()
        provider = _ALIASES.get(provider, provider)
        if not colon or not _PROVIDER.fullmatch(provider):
            problems.append(f"{entry!r} names no provider (write it like {EXAMPLE!r})")
            continue
        if provider in found:
            problems.append(f"{provider} is limited twice")
            continue
        found[provider], wrong = _limit(provider, bounds)
        problems += wrong
    if problems:
        raise ValueError("; ".join(problems))
    return found


def _limit(provider: str, bounds: str) -> tuple[ProviderLimit, list[str]]:
    limit, problems = ProviderLimit(), []
    for part in (each.strip() for each in bounds.split(",")):
        match = _PART.fullmatch(part)
        if match is None:
            wanted = "a count of calls, requests/min or tokens/min, such as '4 calls'"
            problems.append(f"{provider}: {part!r} is not {wanted}")
            continue
        unit, count = _UNITS[match["unit"][0].lower()], int(match["count"].replace("_", ""))
        if count < 1:
            problems.append(f"{provider}: {part!r} would let nothing through; leave it out for no limit")
        elif getattr(limit, unit) is not None:
            problems.append(f"{provider}: {part!r} is said twice")
        else:
            limit = replace(limit, **{unit: count})
    return limit, problems
