"""What is kept while a turn runs: who asks, which workflow it is about, what the models cost, what has been
seen.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from chat.assistant import paying
from chat.events import Cost, DraftChanged, Event, Question
from chat.turns import CurrentWorkflow, PastMessage, TurnContext
from engine.errors import ModelBadReply
from engine.ports import ModelReply, ModelRequest, TextDelta, collect_tokens

if TYPE_CHECKING:
    from chat.assistant.nearest import Nearest
    from chat.gallery import Gallery
    from engine.engine import Engine
    from engine.ports import ModelClient, ModelInfo
    from engine.timetable import Timetable
    from sessions.preferences import Preferences
    from sessions.spending import Spending
    from sessions.summaries import ConversationSummaries
    from sessions.workflows import Workflows
    from tools.registry import ToolRegistry


OPENED = "Opened"
"""The summary of a DraftChanged that saves nothing: the conversation is about another workflow now."""


def now() -> datetime:
    """The time, in the zone of this machine."""
    return datetime.now().astimezone()


@dataclass(frozen=True, slots=True)
class House:
    """What the assistant works with."""

    models: ModelClient
    tools: ToolRegistry
    engine: Engine
    workflows: Workflows
    gallery: Gallery
    nearest: Nearest
    tests: Any = None
    proofs: Any = None
    timetable: Timetable | None = None
    preferences: Preferences | None = None
    spending: Spending | None = None
    summaries: ConversationSummaries | None = None
    files: Any = None
    clock: Callable[[], datetime] = now
    """What is None is not there, and what needs it is left out. `clock` gives the time, with its zone."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an action went: `text` is told to the model, `ends` says that the turn is over.

    `saved` is true when a version was saved, `refused` when nothing was done; then a person may be told
    the text. `unfinished`: what was saved breaks something that the model may mend, so the turn goes on.
    """

    text: str
    ends: bool = False
    saved: bool = False
    refused: bool = False
    unfinished: bool = False


@dataclass
class Turn:
    """One turn while it runs. `workflow` follows what is saved in it; `replies` are all model replies so
    far, `preferences` are the owner's. `made` names the workflows that were saved in it, `asked` counts the questions
    that were put in it.
    """

    house: House
    context: TurnContext
    info: ModelInfo
    workflow: CurrentWorkflow | None = None
    preferences: Mapping[str, Any] = field(default_factory=dict)
    replies: list[ModelReply] = field(default_factory=list)
    failed_calls: int = 0
    made: set[str] = field(default_factory=set)
    asked: int = 0

    def __post_init__(self) -> None:
        self.workflow = self.workflow or self.context.workflow

    @property
    def owner(self) -> str:
        return self.context.owner

    @property
    def now(self) -> datetime:
        """The time where the person is."""
        zone = self.preferences.get("timezone")
        return self.house.clock().astimezone(ZoneInfo(zone)) if zone else self.house.clock()

    @property
    def today(self) -> str:
        """The date where the person is, like 2026-03-01."""
        return self.now.date().isoformat()

    @property
    def text(self) -> str:
        """What the person said; who typed an option's label said its value."""
        said = self.context.text.strip().casefold()
        options = (option for question in self.questions() for option in question.get("options", ()))
        chosen = (option["value"] for option in options if option["label"].strip().casefold() == said)
        return str(next(chosen, self.context.text))

    def note(self, event: Event) -> None:
        """Keep count of what was said in this turn."""
        if isinstance(event, Question):
            self.asked += 1
        elif isinstance(event, DraftChanged) and event.summary != OPENED:
            self.made.add(event.workflow)

    async def stream(self, request: ModelRequest) -> AsyncIterator[TextDelta | ModelReply]:
        """Call the model and keep count. The reply comes last. CapReached where the day's cap leaves no room for it."""
        await paying.allow(self, request.messages)
        reply: ModelReply | None = None
        pieces = self.house.models.stream(request)
        try:
            async for piece in pieces:
                if isinstance(piece, ModelReply):
                    reply = piece
                    self.replies.append(piece)
                yield piece
        except ModelBadReply as error:
            if error.reply is not None:
                reply = error.reply
                self.replies.append(reply)
            raise
        finally:
            self.failed_calls += reply is None
            # A turn that is stopped ends the call too, not when the garbage is collected.
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
            await paying.count(self, reply)

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The stream collected."""
        async for piece in self.stream(request):
            if isinstance(piece, ModelReply):
                return piece
        raise AssertionError("a model's stream ended without a reply")

    def cost(self) -> Cost | None:
        """What the calls of this turn used; None when there was none. A call that broke off makes it
        unknown.
        """
        if not self.replies and not self.failed_calls:
            return None
        replies = self.replies if not self.failed_calls else []
        costs = [reply.cost_usd for reply in replies]
        known = [cost for cost in costs if cost is not None]
        return Cost(
            model=self.replies[-1].model if self.replies else self.info.name,
            prompt_tokens=collect_tokens([reply.prompt_tokens for reply in replies]),
            completion_tokens=collect_tokens([reply.completion_tokens for reply in replies]),
            cost_usd=sum(known) if known and len(known) == len(costs) else None,
        )

    def pending(self) -> Mapping[str, Any]:
        """What rides on the question that is meant: the one whose option was chosen, else the last; empty when
        nothing is open.
        """
        questions = self.questions()
        chosen = [question for question in questions if chosen_option(question, self.text) is not None]
        about = (chosen or questions or [{}])[-1].get("about")
        return about if isinstance(about, Mapping) else {}

    def questions(self) -> list[Mapping[str, Any]]:
        """The questions that the assistant's last message ended with, as parts, in order; a run closes those
        before it. One of KEPT stays open through an answer to it that was cut off.
        """
        answers = [message for message in self.context.history if message.role == "assistant"]
        last = self.context.history[-1] if self.context.history else None
        if last is None or last.role != "assistant":
            return []
        found = _asked(last)
        while not found and answers and _cut_off(answers[-1]):
            answers.pop()
            found = [q for q in _asked(answers[-1]) if q["about"].get("kind") in KEPT] if answers else []
        return found


KEPT = ("outline", "branch")


def _asked(message: PastMessage) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for part in message.parts:
        if part.get("kind") == "run_started":
            found = []
        elif part.get("kind") == Question.kind:
            found.append(part)
    return found


def _cut_off(message: PastMessage) -> bool:
    """Whether an answer ended before anything came of it."""
    saved = any(part.get("kind") == DraftChanged.kind for part in message.parts)
    return message.status in ("interrupted", "stopped", "failed") and not saved


def chosen_option(question: Mapping[str, Any], text: str) -> str | None:
    """The value of the option that the text is, by value or label; None when it is none."""
    said = text.strip().casefold()
    for option in question.get("options", ()):
        if said in (str(option["value"]).strip().casefold(), str(option["label"]).strip().casefold()):
            return str(option["value"])
    return None


Events = AsyncIterator[Event | Outcome]
