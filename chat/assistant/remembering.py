"""A long conversation, made short enough for a prompt: the last messages as they are, what was settled before them word
for word (`facts`, by code), and the talk around it in a summary that a model writes once and goes on with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chat.assistant.budget import tokens
from chat.assistant.prompts import data, past_text, prompt, shorten
from chat.assistant.questions import answered
from chat.assistant.turn import Turn
from chat.turns import PastMessage
from engine.errors import ModelError
from engine.ports import Message, ModelRequest

MESSAGE_CHARS = 6_000
FACTS_TOKENS = 1_200
SUMMARY_TOKENS = 500
KEPT_SHARE = 0.5
"""How much of the room for messages is left after a summary, so that the next one is far away."""
BEGINNING = 160  # characters of a message that stand for it where no model has summarised it


@dataclass(frozen=True, slots=True)
class Recalled:
    """`recent` are the last messages as a model is shown them, `earlier` tells of those before; "" when none are."""

    recent: tuple[Message, ...]
    earlier: str


async def recall(turn: Turn, room: int, *, ask: bool = True) -> Recalled:
    """The conversation within `room` tokens. With `ask` the model may be asked for a summary, which is kept."""
    shown = [(message, shorten(past_text(message), MESSAGE_CHARS)) for message in turn.context.history]
    written = await _written(turn)
    start = _covered(turn.context.history, written)
    if sum(tokens(text) for _, text in shown[start:]) > room:
        start = _newest_that_fit(shown, start, int(room * KEPT_SHARE))
    recent = tuple(Message(message.role, text) for message, text in shown[start:] if text)
    if not start:
        return Recalled(recent, "")
    older = turn.context.history[:start]
    told = await _summary(turn, shown[:start], written, ask)
    return Recalled(recent, "\n".join(filter(None, (facts(older, turn.context.history), told))))


async def _written(turn: Turn) -> Mapping[str, str]:
    store = turn.house.summaries
    return {} if store is None else await store.of(turn.context.conversation_id)


def _covered(history: Sequence[PastMessage], written: Mapping[str, str]) -> int:
    """How many messages the longest summary there is covers; 0 without one."""
    return next((n for n in range(len(history), 0, -1) if history[n - 1].id in written), 0)


def _newest_that_fit(shown: Sequence[tuple[PastMessage, str]], start: int, room: int) -> int:
    """Where the last messages begin that fit; always at a person's message."""
    first, left = len(shown), room
    for number in range(len(shown) - 1, start - 1, -1):
        left -= tokens(shown[number][1])
        if left < 0:
            break
        if shown[number][0].role == "user":
            first = number
    return first


async def _summary(
    turn: Turn, older: Sequence[tuple[PastMessage, str]], written: Mapping[str, str], ask: bool
) -> str:
    """The talk of the older messages: kept, or asked for, or else their beginnings."""
    last = older[-1][0].id
    if last in written:
        return written[last]
    done = _covered([message for message, _ in older], written)
    before = written[older[done - 1][0].id] if done else ""
    lines = [f"{message.role}: {shorten(text, 1_500)}" for message, text in older[done:]]
    if ask and (text := await _ask(turn, before, lines)) is not None:
        if turn.house.summaries is not None:
            await turn.house.summaries.keep(turn.context.conversation_id, last, text)
        return text
    beginnings = [" ".join(line.split())[:BEGINNING] for line in lines]
    first, rest = beginnings[:1], beginnings[1:]  # what it began with is what most of it is about
    return "\n".join(filter(None, (before, *first, *_last_that_fit(rest, SUMMARY_TOKENS * 2))))


async def _ask(turn: Turn, before: str, lines: Sequence[str]) -> str | None:
    """The model's summary; None when it can't give one, so that it is tried again with the next turn."""
    talk = data("conversation", "\n\n".join(_last_that_fit(lines, 6_000)))
    text = prompt("summary", before=data("summary", before) if before else "There is none yet.", talk=talk)
    try:
        reply = await turn.complete(
            ModelRequest((Message("user", text),), temperature=0, max_tokens=SUMMARY_TOKENS)
        )
    except ModelError:
        return None
    return reply.text.strip() or None


def facts(older: Sequence[PastMessage], history: Sequence[PastMessage]) -> str:
    """What was settled in the older messages, word for word, the newest last: answers, versions, tests, runs."""
    ids = {message.id for message in older}
    asked = [
        f"- answered: {found.question} → {found.answer[:300]}"
        for found in answered([message for message in history if message.id in ids])
    ]
    settled = [line for message in older for part in message.parts for line in _facts_of(part)]
    kept = _last_that_fit([*dict.fromkeys(settled)], FACTS_TOKENS - sum(map(tokens, asked[-20:])))
    return "\n".join([*asked[-20:], *kept])


def _facts_of(part: Mapping[str, Any]) -> Iterator[str]:
    kind = part.get("kind")
    if kind == "draft":
        yield f"- {part['workflow']}, version {part['version']}: {part['summary']}"
    elif kind == "test_proposed":
        yield f"- test of {part['workflow']} ({part['status']}): {part['title']}, since “{part['quote']}”"
    elif kind == "run_ended":
        workflow = part.get("run", {}).get("workflow", "")
        yield f"- a run of {workflow} ended: {part['status']}"


def _last_that_fit(lines: Sequence[str], room: int) -> list[str]:
    kept: list[str] = []
    for line in reversed(lines):
        room -= tokens(line)
        if room < 0:
            break
        kept.append(line)
    return kept[::-1]
