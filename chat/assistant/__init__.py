"""The assistant: answers a turn of a conversation with words, drafts, questions and runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from chat.assistant import paying
from chat.assistant.context import shown
from chat.assistant.failures import after_change
from chat.assistant.nearest import Nearest
from chat.assistant.pending import take_up
from chat.assistant.turn import House, Outcome, Turn
from chat.assistant.undoing import undo_asked
from chat.events import Event, Failed, RunStarted, Text
from chat.gallery import Gallery
from chat.turns import TurnContext
from engine.errors import ParlanceError

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.ports import ModelClient, ModelInfo
    from sessions.workflows import Workflows
    from tools.registry import ToolRegistry

__all__ = ["Assistant"]

MATERIAL = ("input", "steps", "branch")
"""Open questions that any words may answer, also such as would be an order otherwise."""


class Assistant:
    """Implements `chat.turns.Assistant`. `nearest` finds examples by meaning; a test may hand over its
    own.
    """

    def __init__(
        self,
        models: ModelClient,
        tools: ToolRegistry,
        engine: Engine,
        workflows: Workflows,
        gallery: Gallery | None = None,
        *,
        nearest: Nearest | None = None,
        **more: Any,
    ) -> None:
        """`more` are the other fields of `House`."""
        gallery = gallery or Gallery()
        self._house = House(models, tools, engine, workflows, gallery, nearest or Nearest(gallery), **more)

    async def warm(self) -> None:
        """Load what finds examples; the first turn is a second faster."""
        await self._house.nearest.find("hello")

    async def turn(self, context: TurnContext) -> AsyncIterator[Event]:
        """The events of one turn; never raises a ParlanceError, and never yields TurnEnded.

        A model's error leaves what has arrived and ends in Failed; then comes what the calls cost.
        """
        try:
            info = await self._house.models.info()
        except ParlanceError as error:
            yield Failed(error.code, error.message, error.fix)
            return
        turn = await self._begin(context, info)
        try:
            async for event in _answer(turn):
                turn.note(event)
                yield event
        except ParlanceError as error:
            yield Failed(error.code, error.message, error.fix)
        if cost := turn.cost():
            yield cost

    async def estimate(self, context: TurnContext) -> dict[str, Any]:
        """What the first call of this turn would be, before it is made: {model, prompt_tokens (by the rule of thumb),
        prompt_usd, most_usd (with the longest reply that the model can give)}. A price that is not known is None.
        """
        turn = await self._begin(context, await self._house.models.info())
        return await paying.estimate(turn, (await shown(turn, ask=False)).messages)

    async def _begin(self, context: TurnContext, info: ModelInfo) -> Turn:
        store = self._house.preferences
        preferences = {} if store is None else await store.get(context.owner)
        return Turn(self._house, context, info, preferences=preferences)


async def _answer(turn: Turn) -> AsyncIterator[Event]:
    """The answer, then what is left to offer: a run that failed and can go on with the workflow as it is now."""
    started = False
    async for event in _first(turn):
        started = started or isinstance(event, RunStarted)
        yield event
    if not started:
        async for event in after_change(turn):
            yield event


async def _first(turn: Turn) -> AsyncIterator[Event]:
    """What the open question is about is done by code; all else by the path that fits the model."""
    taken_up = (None if turn.pending().get("kind") in MATERIAL else undo_asked(turn)) or take_up(turn)
    if taken_up is None:
        async for event in _path(turn):
            yield event
    else:
        async for piece in taken_up:
            if not isinstance(piece, Outcome):
                yield piece
            elif piece.refused:
                yield Text(piece.text)


def _path(turn: Turn) -> AsyncIterator[Event]:
    from chat.assistant.large import large_turn
    from chat.assistant.small import is_small, small_turn

    return small_turn(turn) if is_small(turn.info) else large_turn(turn)
