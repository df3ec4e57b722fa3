"""The one adapter behind ModelClient: choose, ask, retry, fall back, check the reply, ask again once.

A stream goes through layers, each a generator around the next: fallbacks, the re-ask, retries, what a server
does not understand, one call over a wire. A layer repeats a call only while no text of it has gone out.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from engine.errors import ModelBadReply, ModelError, ModelTimeout, ModelUnavailable
from engine.models.asking import Question, ask, first_dialect, judge
from engine.models.choice import Chooser, base_of
from engine.models.dialect import Dialect, lasting
from engine.models.embedded import Embedded
from engine.models.limits import Limits, Slot, Unlimited
from engine.models.litellm_wire import LiteLLMWire
from engine.models.names import PROVIDERS, Target
from engine.models.openai_wire import OpenAIWire
from engine.models.paying import Paid, expected_tokens
from engine.models.redact import redact
from engine.models.vendor_errors import Failure, is_vendors, never_sent, no_key, translate
from engine.models.wire import Assembly, Call
from engine.ports import Asked, Message, ModelReply, ModelRequest, TextDelta, collect_tokens

log = logging.getLogger(__name__)

MAX_RETRIES = 2
# The longest a vendor's Retry-After is waited for; a longer one is told to the person instead.
MAX_WAIT_SECONDS = 20.0
_MAX_DIALECTS = 6

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Answer:
    """The end of one call: what was asked, and all that came back."""

    question: Question
    assembly: Assembly


class _Failed(Exception):
    """A call that failed, translated; it stays inside this module."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind)
        self.failure = failure


class Adapter:
    """Asks models. `Models` adds what the page needs."""

    def __init__(
        self,
        chooser: Chooser,
        local: Embedded,
        *,
        backoff: float = 0.5,
        sleep: Sleep = asyncio.sleep,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Unlimited(sleep)
        self._chooser = chooser
        self._embedded = local
        self._backoff = backoff
        self._sleep = sleep
        self._openai = OpenAIWire()
        self._litellm = LiteLLMWire()
        self._dialects: dict[tuple[str, str], Dialect] = {}

    async def close(self) -> None:
        await self._openai.close()
        await self._litellm.close()
        await self._embedded.close()
        await self.limits.close()

    async def load(self, models: Collection[Asked]) -> None:
        """Import what asking these models takes. A name that leads nowhere is told when it is asked."""
        targets = []
        for model, api_base in models:
            with suppress(ModelError):
                targets.append(await self._chooser.target(model, api_base))
        for wire in {self._wire(target) for target in targets}:
            await wire.load()

    def _wire(self, target: Target) -> OpenAIWire | LiteLLMWire:
        return self._litellm if target.wire == "litellm" else self._openai

    async def stream(self, request: ModelRequest) -> AsyncGenerator[TextDelta | ModelReply, None]:
        """The reply as it comes: see ModelClient. Raises ModelError.

        Fallbacks are tried in order while nothing has been said yet; when none can answer, the first error
        counts. After a re-ask the pieces of the second reply follow those of the first; the ModelReply has
        the second alone.
        """
        deadline = None if request.timeout is None else asyncio.get_running_loop().time() + request.timeout
        first: ModelError | None = None
        candidates = self._candidates(request)
        for number, (model, api_base) in enumerate(candidates, start=1):
            retries = _retries(request, last=number == len(candidates))
            if first is not None:
                log.warning("asking %s instead: %s", model, first)
            started = False
            try:
                target = await self._chooser.target(model, api_base)
                async with aclosing(self._until_it_fits(target, request, deadline, retries)) as pieces:
                    async for piece in pieces:
                        started = True
                        yield piece
                return
            except ModelError as error:
                if started:
                    raise
                first = first or error
        raise first or ModelUnavailable("No model was asked.")

    def _candidates(self, request: ModelRequest) -> list[tuple[str | None, str | None]]:
        """(model, api_base) in the order in which they are tried."""
        if self._chooser.choice.force_model:
            return [(None, None)]
        return [(request.model, request.api_base), *((name, None) for name in request.fallbacks)]

    async def _until_it_fits(
        self, target: Target, request: ModelRequest, deadline: float | None, retries: int
    ) -> AsyncGenerator[TextDelta | ModelReply, None]:
        """Ask; when the reply does not fit, ask once more with the problem. Counts and costs are of both."""
        messages: tuple[Message, ...] = request.messages
        replies: list[ModelReply] = []
        problem: str | None = None
        for _ in range(2):
            answer: _Answer | None = None
            calls = self._with_retries(target, request, messages, deadline, retries)
            async with aclosing(calls) as pieces:
                async for piece in pieces:
                    if isinstance(piece, TextDelta):
                        yield piece
                    else:
                        answer = piece
            if answer is None:
                raise ModelUnavailable("The model said nothing.", "Try again.")
            reply, problem = judge(answer.question, answer.assembly, turn=len(messages))
            replies.append(reply)
            if problem is None:
                if answer.question.tools_as_json and reply.text:
                    yield TextDelta(reply.text)
                yield _summed(replies)
                return
            if request.final is not None and request.final(reply.text):
                break
            messages = _complained(messages, answer.assembly.text, problem)
        raise _bad_reply(target, _summed(replies), problem or "")

    async def _with_retries(
        self,
        target: Target,
        request: ModelRequest,
        messages: Sequence[Message],
        deadline: float | None,
        retries: int,
    ) -> AsyncGenerator[TextDelta | _Answer, None]:
        """Ask again after a failure that may pass, while nothing has been said."""
        for attempt in range(retries + 1):
            started = False
            try:
                async with aclosing(self._understood(target, request, messages, deadline)) as pieces:
                    async for piece in pieces:
                        started = started or isinstance(piece, TextDelta)
                        yield piece
                return
            except _Failed as failed:
                wait = self._pause(failed.failure, attempt) if attempt < retries else None
                if started or wait is None:
                    raise failed.failure.error from None
                log.info("asking %s again in %.1f s: %s", target.name, wait, failed.failure.error)
            await self._sleep(wait)

    def _pause(self, failure: Failure, attempt: int) -> float | None:
        """Seconds until the next attempt, None when none would help."""
        if not failure.again:
            return None
        if failure.wait is not None:
            return failure.wait if failure.wait <= MAX_WAIT_SECONDS else None
        return self._backoff * 2.0**attempt * random.uniform(0.75, 1.25)  # noqa: S311 - no secret

    async def _understood(
        self, target: Target, request: ModelRequest, messages: Sequence[Message], deadline: float | None
    ) -> AsyncGenerator[TextDelta | _Answer, None]:
        """Leave out, one by one, what the server does not understand; remember it when that helped."""
        place = (base_of(target), target.name)
        dialect = self._dialects.get(place) or first_dialect(target)
        first: _Failed | None = None
        remember = True
        for _ in range(_MAX_DIALECTS):
            question = ask(request, messages, target, dialect)
            try:
                async with (
                    Paid(request.purse, question) as paid,
                    aclosing(self._call(paid, deadline)) as pieces,
                ):
                    async for piece in pieces:
                        yield piece
                if remember:
                    self._dialects[place] = dialect
                return
            except _Failed as failed:
                first = first or failed
                simpler = dialect.without(failed.failure.words, question.body)
                if failed.failure.kind != "request" or simpler is None:
                    raise first from None
                dialect, remember = simpler, remember and lasting(failed.failure.words)
        raise first or _Failed(Failure(ModelUnavailable("The model was not asked."), "request"))

    async def _call(self, paid: Paid, deadline: float | None) -> AsyncGenerator[TextDelta | _Answer, None]:
        """One call over a wire. Raises _Failed for the vendor's errors."""
        question = paid.question
        target = question.target
        if target.key is None and target.address is None and target.provider in PROVIDERS:
            raise _Failed(Failure(no_key(target), "auth"))
        assembly = Assembly()
        try:
            async with self._turn(question, deadline) as slot, self._place(target) as place:
                paid.sent = True
                call = self._wire(place).chunks(Call(place, question.body))
                async with aclosing(call), aclosing(_until(deadline, call)) as chunks:
                    async for chunk in chunks:
                        text = assembly.add(chunk)
                        if text and not question.tools_as_json:
                            yield TextDelta(text)
                paid.usage, slot.used = assembly.usage, assembly.usage.total
        except ModelError as error:
            raise _Failed(Failure(error, "ours")) from None
        except TimeoutError:
            late = ModelTimeout(f"No answer from {target.title} in time.", "Give it more time: `timeout`.")
            raise _Failed(Failure(late, "timeout")) from None
        except Exception as error:  # noqa: BLE001 - the SDKs raise what they like; all of it is translated
            failed = self._translated(error, target)
            await self._heed(failed.failure, paid, error)
            raise failed from None
        if assembly.finish_reason is None:
            broken = ModelUnavailable(f"The reply of {target.title} broke off.", "Try again.")
            raise _Failed(Failure(broken, "broken", again=True))
        yield _Answer(question, assembly)

    @asynccontextmanager
    async def _turn(self, question: Question, deadline: float | None) -> AsyncIterator[Slot]:
        """A place among the calls that the provider allows. ModelTimeout where none was free in time."""
        target = question.target
        expected = expected_tokens(question.body)
        slot = self.limits.slot(target.provider, expected, deadline)
        try:
            held = await slot.__aenter__()
        except TimeoutError:
            raise ModelTimeout(
                f"No call to {target.title} was free in time.", "Raise its limit, or the node's `timeout`."
            ) from None
        try:
            yield held
        finally:
            await slot.__aexit__(None, None, None)

    async def _heed(self, failure: Failure, paid: Paid, error: Exception) -> None:
        """What a failed call means for others: it cost nothing, say, or the vendor wants to be left alone."""
        paid.kind = failure.kind
        paid.sent = paid.sent and not never_sent(error)
        if failure.kind == "rate" and failure.wait:
            await self.limits.pause(paid.question.target.provider, failure.wait)

    def _translated(self, error: Exception, target: Target) -> _Failed:
        secrets = [*self._chooser.secrets(), self._embedded.api_key]
        failure = translate(error, target, secrets)
        level = logging.DEBUG if is_vendors(error) else logging.ERROR
        log.log(level, "%s: %s: %s", target.name, type(error).__name__, redact(str(error), secrets)[:500])
        return _Failed(failure)

    @asynccontextmanager
    async def _place(self, target: Target) -> AsyncIterator[Target]:
        """The target with its address; the embedded model is loaded, and answers one at a time."""
        if target.wire != "embedded":
            yield target
            return
        address = await self._embedded.address()
        async with self._embedded.turn:
            yield replace(target, address=address, key=self._embedded.api_key)


def _retries(request: ModelRequest, *, last: bool) -> int:
    """How often one model is asked again. Where another can take its place, that one is asked instead."""
    if request.retries is not None:
        return request.retries
    return MAX_RETRIES if last else 0


async def _until(deadline: float | None, pieces: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """The pieces; TimeoutError when one of them comes after the deadline (the loop's clock)."""
    while True:
        async with asyncio.timeout_at(deadline):
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
        yield piece


def _complained(messages: tuple[Message, ...], text: str, problem: str) -> tuple[Message, ...]:
    """The conversation with the reply that did not fit, and why."""
    complaint = f"That does not fit: {problem} Answer again, with the whole corrected reply and nothing else."
    return (*messages, Message("assistant", text), Message("user", complaint))


def _summed(replies: Sequence[ModelReply]) -> ModelReply:
    """The last reply with the counts and the cost of all; unknown as soon as one is."""
    costs = [reply.cost_usd for reply in replies]
    known = [cost for cost in costs if cost is not None]
    return replace(
        replies[-1],
        prompt_tokens=collect_tokens([reply.prompt_tokens for reply in replies]),
        completion_tokens=collect_tokens([reply.completion_tokens for reply in replies]),
        cost_usd=sum(known) if len(known) == len(costs) else None,
    )


def _bad_reply(target: Target, reply: ModelReply, problem: str) -> ModelBadReply:
    if reply.finish_reason == "length":
        message = f"The reply of {target.name} was cut off at its limit of tokens."
        return ModelBadReply(message, "Raise `max_tokens`, or ask for less.", reply)
    message = f"{target.name} was asked twice, and its reply still does not fit: {problem}"
    return ModelBadReply(message, "Use a larger model, or ask for less at a time.", reply)
