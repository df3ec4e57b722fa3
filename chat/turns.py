"""What the conversation service and the assistant agree on: a turn goes in, events come out.

The service owns everything around a turn (inbox, order, saving, followers, runs); the assistant owns what is
said and done in it. Nothing here touches a store, so an assistant can be written and tested on its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from chat.events import DraftChanged, Event, Question
from sessions.conversations import MessageStatus, Role


@dataclass(frozen=True, slots=True)
class PastMessage:
    """A message of the conversation before this turn. `parts` are the lasting events' `to_dict()`s."""

    id: str
    role: Role
    text: str
    parts: tuple[Mapping[str, Any], ...] = ()
    status: MessageStatus = "ok"


@dataclass(frozen=True, slots=True)
class CurrentWorkflow:
    """The workflow this conversation is about, at its newest version."""

    name: str
    version: int
    yaml: str


@dataclass(frozen=True, slots=True)
class TurnContext:
    """One turn: the message that came in and what came before it.

    `message_id` is the assistant's message that this turn fills; it goes into `Workflows.save` and
    `Engine.start`. `history` is oldest first and ends before this turn's `text`.
    `user_message_id` is None for a turn that nobody's message set off. `files` are the parts of kind `file` of the
    message that came in.
    """

    owner: str
    conversation_id: str
    message_id: str
    text: str
    history: tuple[PastMessage, ...] = ()
    workflow: CurrentWorkflow | None = None
    user_message_id: str | None = None
    files: tuple[Mapping[str, Any], ...] = ()

    @property
    def request(self) -> str:
        """What the person asked for: this turn's text; where that answers a question of the assistant's, after
        the message that led to it.
        """
        said, after = self.text, len(self.history)
        while after > 1 and _asks(self.history[after - 1]) and self.history[after - 2].role == "user":
            said = f"{self.history[after - 2].text}\n{said}"
            after -= 2
        return said


def _asks(message: PastMessage) -> bool:
    """Whether what was asked for was still open after it: it asks, and saved nothing."""
    kinds = {part.get("kind") for part in message.parts}
    return message.role == "assistant" and Question.kind in kinds and DraftChanged.kind not in kinds


class Assistant(Protocol):
    """Answers a turn as a stream of events. It never yields TurnEnded: the service does.

    - A run: `await engine.start(..., conversation_id=, message_id=)`, then yield RunStarted and go on or
      return. The service follows every run it is told of, publishes NodeChanged and writes RunEnded into the
      message, also after a restart; NodeChanged and RunEnded that the assistant yields for such a run are
      dropped. To speak about the result, await `engine.wait(run_id)` and yield Text.
    - A draft: save it first, then yield DraftChanged; the conversation's workflow becomes the one it names.
    - An error: raise a ParlanceError (it is shown as Failed, with its fix), or yield Failed and
      return.
    - Stopping cancels the await the generator is in (CancelledError): clean up, do not swallow it.
    """

    def turn(self, context: TurnContext) -> AsyncIterator[Event]: ...
