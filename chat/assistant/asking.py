"""Two ways to ask a model what to do next: functions, or one JSON object. Both give text as it comes, then a
Reply.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from chat.assistant.actions import action_of, objection, offered, reply_schema
from chat.assistant.drafting import strip_fences
from chat.assistant.say import FenceStream, SayStream, looks_like_workflow
from chat.assistant.turn import Turn
from chat.events import Text
from engine.errors import ModelBadReply
from engine.ports import Message, ModelReply, ModelRequest, TextDelta, ToolCall


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered. `documents` are workflows it wrote into its words; `message` goes into the
    dialogue.
    """

    calls: tuple[ToolCall, ...]
    documents: tuple[str, ...]
    message: Message


async def ask_by_function(turn: Turn, messages: Sequence[Message]) -> AsyncIterator[Text | Reply]:
    """Offer the actions as functions."""
    request = ModelRequest(tuple(messages), tools=tuple(action.spec for action in offered(turn)))
    fences = FenceStream()
    async for piece in turn.stream(request):
        if isinstance(piece, TextDelta):
            if shown := fences.feed(piece.text):
                yield Text(shown)
            continue
        if shown := fences.close():
            yield Text(shown)
        message = Message("assistant", piece.text, tool_calls=piece.tool_calls)
        yield Reply(piece.tool_calls, () if piece.tool_calls else tuple(fences.documents), message)


async def ask_by_json(turn: Turn, messages: Sequence[Message]) -> AsyncIterator[Text | Reply]:
    """Ask for one object that fits `reply_schema`; `say` is shown while it comes."""
    choices = offered(turn)
    request = ModelRequest(
        tuple(messages),
        schema=reply_schema(choices),
        accept=lambda reply: objection(reply.value, choices),
        final=lambda text: document_in(text) is not None,
    )
    say, fences = SayStream(), FenceStream()
    heard = said = False
    try:
        async for piece in turn.stream(request):
            if isinstance(piece, TextDelta):
                words = say.feed(piece.text)
                heard = heard or bool(words)
                shown = fences.feed(words)
            else:
                # After a re-ask the second reply may have come where no `say` was looked for any more.
                late = "" if heard else _said_in(piece)
                shown = fences.feed(late) + fences.close()
            said = said or bool(shown)
            if shown:
                yield Text(shown)
            if isinstance(piece, ModelReply):
                yield _from_json(piece, tuple(fences.documents))
    except ModelBadReply as error:
        text = error.reply.text if error.reply else ""
        if said or not text.strip() or ("{" in text and not document_in(text)):
            raise
        async for event in _plain(text):
            yield event


async def _plain(text: str) -> AsyncIterator[Text | Reply]:
    """A model that keeps answering in plain words is taken at its word."""
    fences = FenceStream()
    if shown := fences.feed(text) + fences.close():
        yield Text(shown)
    yield Reply((), tuple(fences.documents), Message("assistant", text))


def _said_in(piece: ModelReply) -> str:
    value = piece.value if isinstance(piece.value, Mapping) else {}
    return str(value.get("say") or "")


def _from_json(piece: ModelReply, documents: tuple[str, ...]) -> Reply:
    message = Message("assistant", piece.text)
    name, args = action_of(piece.value) or ("none", {})
    if name == "none":
        return Reply((), documents, message)
    return Reply((ToolCall("action", name, args),), (), message)


def document_in(text: str) -> str | None:
    """A workflow document in plain words, None where there is none."""
    body = strip_fences(text)
    return body if looks_like_workflow(body) else None
