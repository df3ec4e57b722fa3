"""What a turn of a conversation says, as it happens. Every channel renders the same events in its own way.

A turn is a stream of these. What must last is also a part of the assistant's message (`to_part`): a page that
opens later, a bot, or the HTTP API rebuild the same picture from the parts alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """Base. `kind` names the event on the wire; `lasting` ones become parts of the message."""

    kind: ClassVar[str] = "event"
    lasting: ClassVar[bool] = True

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Text(Event):
    """A piece of the answer, in Markdown, as it streams. Pieces that follow each other are one part."""

    kind = "text"
    text: str


@dataclass(frozen=True, slots=True)
class Step(Event):
    """Something the assistant does, shown as a card: the same `id` again brings it up to date.

    `status` is running, ok or failed. `seconds` is None while it runs.
    """

    kind = "step"
    id: str
    title: str
    status: str = "running"
    detail: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class DraftChanged(Event):
    """The workflow of this conversation has a new version. `problems` are Problem.to_dict()s.

    The same workflow and version again brings it up to date. `changes` say in words what differs from the version
    before. `proof` is what was verified of it, see `chat.proof`; None where nothing was, or is not yet.
    """

    kind = "draft"
    workflow: str
    version: int
    summary: str
    problems: Sequence[Mapping[str, Any]] = ()
    changes: Sequence[str] = ()
    proof: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Problems(Event):
    """What is still wrong with a draft that was not saved; `yaml` is that draft."""

    kind = "problems"
    yaml: str
    problems: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class TestProposed(Event):
    """A wish that can be kept as a test of a workflow: the same `id` again brings it up to date.

    `quote` are the person's own words, `case` what is tried and expected (see `engine.cases`), `status` is proposed,
    kept or declined.
    """

    __test__ = False  # no test of pytest's

    kind = "test_proposed"
    id: str
    workflow: str
    title: str
    quote: str
    case: Mapping[str, Any]
    status: str = "proposed"


@dataclass(frozen=True, slots=True)
class Outline(Event):
    """The plan of a big workflow, before it is written: the same `id` again brings it up to date.

    Each of `steps` is {id, sentence, status}, `status` being planned, writing, written or failed. `open` says that
    the person can still reorder or strike steps.
    """

    kind = "outline"
    id: str
    title: str
    steps: Sequence[Mapping[str, str]]
    open: bool = True


@dataclass(frozen=True, slots=True)
class Fix(Event):
    """Why a run failed, and the mend where one is certain: the same `run_id` again brings it up to date.

    `cause` is workflow (a fault of the document), world (no network, no key, a limit reached) or unknown; `text` says
    it in words. `yaml` is the mended document, None where none is offered, `changes` what it changes in words;
    `status` is offered, applied or none.
    """

    kind = "fix"
    run_id: str
    node: str
    cause: str
    text: str
    workflow: str = ""
    yaml: str | None = None
    changes: Sequence[str] = ()
    status: str = "none"


@dataclass(frozen=True, slots=True)
class Question(Event):
    """The assistant asks. An option is {label, value}: choosing it sends `value` as the person's message.

    `about` is what the assistant must know when the answer comes, perhaps after a restart; plain JSON.
    """

    kind = "question"
    text: str
    options: Sequence[Mapping[str, str]] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    kind = "run_started"
    run_id: str
    workflow: str
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeChanged(Event):
    """A node of a run started or ended: `node` is what `run --json` prints for it."""

    kind = "node"
    lasting = False
    run_id: str
    node: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunWaiting(Event):
    """What a run has asked so far: the same `run_id` again brings it up to date.

    Each of `questions` is {node, path, iteration, kind (ask, effect), question, options, default, due_at, asked_at,
    answer, answered_at, answered_by}, open as long as `answered_at` is None.
    """

    kind = "run_waiting"
    run_id: str
    questions: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """A run ended. `run` is the object that `run --json` prints."""

    kind = "run_ended"
    run_id: str
    status: str
    run: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cost(Event):
    """What the assistant's own model calls of this turn used. Unknown is None."""

    kind = "cost"
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """The turn could not go on: a stable code, a sentence, and the fix."""

    kind = "error"
    code: str
    message: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class TurnEnded(Event):
    """Always the last event. `status`: ok, failed, stopped, interrupted."""

    kind = "turn_ended"
    lasting = False
    message_id: str
    status: str


def event_from_dict(data: Mapping[str, Any]) -> Event:
    """The event whose `to_dict()` this is; keys it does not know are left out. KeyError: unknown kind."""
    found = _KINDS[data["kind"]]
    return found(**{f.name: data[f.name] for f in fields(found) if f.name in data})


_KINDS: Mapping[str, type[Event]] = {
    found.kind: found
    for found in (
        Text,
        Step,
        DraftChanged,
        Problems,
        TestProposed,
        Outline,
        Fix,
        Question,
        RunStarted,
        NodeChanged,
        RunWaiting,
        RunEnded,
        Cost,
        Failed,
        TurnEnded,
    )
}
