"""What asking a model will cost, told before it is asked, and the bound after which no more is asked."""

from __future__ import annotations

from collections.abc import Sequence

from engine.models import pricing
from evals.recordings import prompt_sizes
from evals.tasks import Task

CHARS_A_TOKEN = 3.6
REPLY_TOKENS = 500  # a call; what our own answers take is less
CALLS_A_ROUND = 1.5


def expected_usd(model: str, tasks: Sequence[Task], tries: int) -> float | None:
    """About what it costs by list price, from the prompts that our own answers led to; None where no price is known."""
    provider, _, name = model.partition("/")
    price_in, price_out = pricing.prices(pricing.entry(provider, name), 10_000)
    if price_in is None or price_out is None:
        return None
    sizes = prompt_sizes()
    rounds = sum(len(task.rounds) for task in tasks)
    prompts = sum(sizes.get(task.id, 0) for task in tasks) / CHARS_A_TOKEN
    return tries * (prompts * price_in + rounds * CALLS_A_ROUND * REPLY_TOKENS * price_out)


def price_words(model: str, expected: float | None, most: float | None) -> str:
    """One sentence or two about the price."""
    bound = "" if most is None else f" It stops when ${most:.2f} are spent."
    if expected is None:
        return f"What {model} costs is not known.{bound}"
    return f"Asking {model} will cost about ${expected:.2f} by list price.{bound}"
