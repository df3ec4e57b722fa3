"""A call that is paid for: what it could cost at worst is set aside before, what it did cost is settled after."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any

from engine.models import pricing, tokens
from engine.models.asking import Question
from engine.models.names import Target
from engine.models.pricing import Usage
from engine.models.wire import images_in, text_of
from engine.ports import Bill, Purse, Quote

_LONG = 20_000
"""Characters from which on counting goes to a thread."""

PER_IMAGE = 2_600
"""Tokens of an image at worst, of the size in which images are sent."""

# The vendor answered that it would not do it, so it took no money.
NOT_CHARGED = frozenset({"auth", "missing", "rate", "money", "request", "long"})


class Paid:
    """Holds the money of one call; `question` has the most that the reply may have, where money bounds it.

    `sent` is set when the request goes out; `kind` to what it failed with, `usage` to what it used. A call of
    which neither says that it was free stays set aside.
    """

    def __init__(self, purse: Purse | None, question: Question) -> None:
        self.question = question
        self.sent = False
        self.kind: str | None = None
        self.usage: Usage | None = None
        self._purse = None if question.target.free else purse
        self._bill: Bill | None = None

    async def __aenter__(self) -> Paid:
        if self._purse is not None:
            quote = await quoted(self.question)
            self._bill = await self._purse.reserve(quote)
            if not quote.said and self._bill.tokens != quote.most_tokens:
                self.question = capped(self.question, self._bill.tokens)
        return self

    async def __aexit__(
        self, cls: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._bill is not None:
            free = not self.sent or self.kind in NOT_CHARGED
            await self._bill.settle(0.0 if free else cost_of(self.question.target, self.usage))


def cost_of(target: Target, usage: Usage | None) -> float | None:
    """Dollars of a call by list price; None where a count or a price is not known."""
    if target.free:
        return 0.0
    return None if usage is None else pricing.cost(pricing.entry(target.provider, target.model), usage)


async def quoted(question: Question) -> Quote:
    """What the call may cost: its prompt, schema and tools counted as text, and the longest reply there can be."""
    target = question.target
    entry = pricing.entry(target.provider, target.model)
    said = _limit(question.body)
    if entry is None:
        return Quote(target.name, None, None, said, said is not None)
    await tokens.load(target.provider, target.model)
    text = "\n".join(texts(question.body))
    if len(text) > _LONG:
        counted = await asyncio.to_thread(tokens.at_worst, text, target.provider, target.model)
    else:
        counted = tokens.at_worst(text, target.provider, target.model)
    counted += len(question.body["messages"]) * tokens.PER_MESSAGE + tokens.PER_REPLY
    counted += images_in(question.body) * PER_IMAGE
    into, out = pricing.prices(entry, counted)
    prompt = None if into is None else counted * into
    return Quote(target.name, prompt, out, said or pricing.most_output(entry), said is not None)


def texts(body: Mapping[str, Any]) -> Iterator[str]:
    """Everything in a request that counts as its prompt."""
    for message in body["messages"]:
        yield text_of(message.get("content"))
        if message.get("tool_calls"):
            yield json.dumps(message["tool_calls"], ensure_ascii=False)
    for part in ("tools", "response_format"):
        if body.get(part):
            yield json.dumps(body[part], ensure_ascii=False)


def expected_tokens(body: Mapping[str, Any]) -> int:
    """About what a call takes of a provider's tokens per minute, before it is known: prompt and longest reply."""
    return sum(map(len, texts(body))) // 4 + images_in(body) * PER_IMAGE + (_limit(body) or 0)


def capped(question: Question, most: int) -> Question:
    """The question with a bound on its reply, in the field that its server understands."""
    name = "max_completion_tokens" if question.dialect.long_token_name else "max_tokens"
    return replace(question, body={**question.body, name: most})


def _limit(body: Mapping[str, Any]) -> int | None:
    found = body.get("max_completion_tokens", body.get("max_tokens"))
    return found if isinstance(found, int) else None
