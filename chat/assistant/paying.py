"""What the assistant itself may cost: its daily cap is asked before each of its calls, and each call is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chat.assistant.budget import tokens
from engine.errors import CapReached
from engine.ports import Message, ModelReply

if TYPE_CHECKING:
    from chat.assistant.turn import Turn
    from engine.models.names import Target

RAISE_IT = (
    "Raise it in the settings or go on tomorrow; nothing is lost, “try again” answers this message then."
)


def prompt_tokens(messages: Sequence[Message]) -> int:
    """About how many tokens the messages have."""
    from engine.models.tokens import PER_MESSAGE, PER_REPLY

    return PER_REPLY + sum(PER_MESSAGE + tokens(message.content) for message in messages)


def prices(target: Target, prompt: int) -> tuple[float | None, float | None]:
    """Dollars per token in and out; None where no price is known."""
    from engine.models import pricing

    return (0.0, 0.0) if target.free else pricing.prices(pricing.entry(target.provider, target.model), prompt)


async def allow(turn: Turn, messages: Sequence[Message]) -> None:
    """CapReached when this call could pass what the owner allows for a day. What has no known price is bounded by the
    cap on tokens alone.
    """
    dollars, most_tokens = turn.preferences.get("daily_cap_usd"), turn.preferences.get("daily_cap_tokens")
    if turn.house.spending is None or (dollars is None and most_tokens is None):
        return
    spent = await turn.house.spending.of(turn.owner, turn.today)
    prompt = prompt_tokens(messages)
    if most_tokens is not None and spent.tokens + prompt > most_tokens:
        raise CapReached(
            f"The assistant's cap of {most_tokens:,} tokens a day is reached: {spent.tokens:,} are used, and this call "
            f"needs about {prompt:,}.",
            RAISE_IT,
        )
    if dollars is None:
        return
    price, _ = prices(await turn.house.models.target(), prompt)
    used = spent.cost_usd or 0.0
    if used + (price or 0.0) * prompt > dollars or used >= dollars > 0:
        raise CapReached(
            f"The assistant's cap of {dollars:.2f} dollars a day is reached: {used:.4f} dollars are spent.",
            RAISE_IT,
        )


async def count(turn: Turn, reply: ModelReply | None) -> None:
    """Keep what a call used; None for one that broke off, of which nobody knows."""
    if turn.house.spending is None:
        return
    if reply is None:
        await turn.house.spending.record(turn.owner, turn.today, turn.info.name, None, None, None)
    else:
        await turn.house.spending.record(
            turn.owner, turn.today, reply.model, reply.prompt_tokens, reply.completion_tokens, reply.cost_usd
        )


async def estimate(turn: Turn, messages: Sequence[Message]) -> dict[str, Any]:
    """See `Assistant.estimate`."""
    from engine.models import pricing

    target, prompt = await turn.house.models.target(), prompt_tokens(messages)
    into, out = prices(target, prompt)
    most = pricing.most_output(pricing.entry(target.provider, target.model))
    prompt_usd = None if into is None else into * prompt
    longest = 0.0 if target.free else None if out is None or most is None else out * most
    return {
        "model": turn.info.name,
        "prompt_tokens": prompt,
        "prompt_usd": prompt_usd,
        "most_usd": None if prompt_usd is None or longest is None else prompt_usd + longest,
    }
