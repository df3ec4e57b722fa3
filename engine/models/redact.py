"""Keys out of texts: before a vendor's message reaches an error, a log or a page."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MASK = "[key]"
# What keys look like, also half masked ones (sk-ab***yz) that vendors send back.
_SHAPES = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|pplx|hf|r8|nvapi|AIza)[-_]?(?:[\w-]{16,}|[\w-]*\*[\w*-]+)|(?i:bearer)\s+[\w\-.*~+/=]{6,}"
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with every one of `secrets`, and whatever has the shape of a key, replaced by [key]."""
    for secret in sorted({s for s in secrets if len(s) >= 4}, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return _SHAPES.sub(_MASK, text)
