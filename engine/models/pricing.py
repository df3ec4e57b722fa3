"""What LiteLLM's table says of a model: prices and abilities, read from its file without importing it.

The file has 3 MB and 4,000 entries. Parsing it whole costs 20 MB, so one entry is cut out of the text.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILE = "model_prices_and_context_window_backup.json"
# The table's names for one provider's several interfaces.
_INTERFACES = {
    "vertex_ai-language-models": "gemini",
    "text-completion-openai": "openai",
    "cohere_chat": "cohere",
}


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one call; `cached` are those of `prompt` that the vendor had in its cache."""

    prompt: int | None = None
    completion: int | None = None
    cached: int = 0

    @property
    def total(self) -> int | None:
        return None if self.prompt is None or self.completion is None else self.prompt + self.completion


@functools.cache
def entry(provider: str, model: str) -> Mapping[str, Any] | None:
    """The table's entry for a model, None where it has none. `provider` is our name for it."""
    there = "gemini" if provider == "google" else provider
    found = _read(f"{there}/{model}")
    if found is None:
        bare = _read(model)
        found = bare if bare is not None and _provider(bare) == there else None
    return found


def provider_of(model: str) -> str | None:
    """The provider of a model named without one, None when the table does not know it."""
    found = _read(model)
    return _provider(found) if found is not None else None


def cost(found: Mapping[str, Any] | None, usage: Usage) -> float | None:
    """US dollars by list price; None when a count or a price is not known."""
    if found is None or usage.prompt is None or usage.completion is None:
        return None
    prompt_price, completion_price = _prices(found, usage.prompt)
    if prompt_price is None or completion_price is None:
        return None
    cached_price: float = found.get("cache_read_input_token_cost", prompt_price)
    fresh = max(0, usage.prompt - usage.cached)
    return (
        fresh * prompt_price
        + min(usage.cached, usage.prompt) * cached_price
        + usage.completion * completion_price
    )


def prices(found: Mapping[str, Any] | None, prompt: int) -> tuple[float | None, float | None]:
    """Dollars per token in and out, for a prompt of so many tokens; None where no price is known."""
    return (None, None) if found is None else _prices(found, prompt)


def most_output(found: Mapping[str, Any] | None) -> int | None:
    """The longest reply that the model can give, in tokens."""
    most = (found or {}).get("max_output_tokens") or (found or {}).get("max_tokens")
    return most if isinstance(most, int) and most > 0 else None


def dollars(amount: float) -> str:
    """An amount for a sentence: `0.0123 dollars`, never in powers of ten."""
    if amount == 0 or amount >= 1:
        return f"{amount:.2f} dollars"
    digits = min(12, 2 - math.floor(math.log10(amount)))
    return f"{amount:.{digits}f}".rstrip("0") + " dollars"


def _prices(found: Mapping[str, Any], prompt: int) -> tuple[float | None, float | None]:
    """Dollars per token in and out; long prompts have a higher price with some vendors."""
    into, out = found.get("input_cost_per_token"), found.get("output_cost_per_token")
    for limit in (128, 200, 256, 272):
        if prompt > limit * 1000:
            into = found.get(f"input_cost_per_token_above_{limit}k_tokens", into)
            out = found.get(f"output_cost_per_token_above_{limit}k_tokens", out)
    return into, out


@functools.cache
def providers() -> frozenset[str]:
    """Every provider that LiteLLM can reach: those of the table, and its folders."""
    named = re.findall(r'"litellm_provider": "([a-z0-9_]+)"', _text())
    home = _home()
    folders = [p.name for p in (home / "llms").iterdir() if p.is_dir()] if home else []
    return frozenset(named) | frozenset(folders) - {"__pycache__"}


def _provider(found: Mapping[str, Any]) -> str:
    name = str(found.get("litellm_provider", ""))
    return _INTERFACES.get(name, name)


def _read(name: str) -> Mapping[str, Any] | None:
    start = _text().find(f"\n    {json.dumps(name)}: {{")
    if start < 0:
        return None
    found: Mapping[str, Any] = json.JSONDecoder().raw_decode(_text(), _text().index("{", start))[0]
    return found


@functools.cache
def _text() -> str:
    """The table's text; empty where LiteLLM is not installed, so that nothing is known."""
    home = _home()
    return (home / _FILE).read_text(encoding="utf-8") if home and (home / _FILE).is_file() else ""


def _home() -> Path | None:
    spec = importlib.util.find_spec("litellm")
    return Path(spec.origin).parent if spec is not None and spec.origin else None
