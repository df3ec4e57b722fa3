"""What one attempt of one visit to a node is handed: the node, what it sees, and the services it may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import NodeError
from engine.files import FileValue
from engine.ports import (
    Clock,
    Files,
    ModelClient,
    ModelReply,
    NodeRow,
    NodeStatus,
    RunRecord,
    RunStatus,
    Wait,
    WaitKind,
)
from engine.templates import Ref, TemplateError, walk
from engine.workflow import MISSING, Node, Workflow

if TYPE_CHECKING:
    from engine.budget import Budgets
    from engine.children import Children
    from engine.simulate import Recorded
    from tools.registry import ToolRegistry
    from tools.sandbox.pool import Sandbox

Secrets = Callable[[str], str | None]


class Parked(Exception):
    """A node can't go on by itself. Its visit stays open, without a task; when its run is woken, the node is run
    again from its beginning and finds in the store what it waited for.

    `status` says what for: a person (`waiting`, `unknown`), or other runs (`running`). `waits` are the questions
    to be stored.
    """

    def __init__(self, status: RunStatus, waits: tuple[Wait, ...] = ()) -> None:
        super().__init__(status)
        self.status = status
        self.waits = waits


@dataclass(frozen=True, slots=True)
class Services:
    """What nodes may use. `secrets` gives the value of a secret by its name, None where there is none.

    Without a `sandbox` no code runs; without `budgets` no run has one; without `children` none starts others;
    without `recorded` none can be replayed; without `files` none can be read.
    """

    models: ModelClient
    tools: ToolRegistry
    clock: Clock
    secrets: Secrets
    sandbox: Sandbox | None = None
    budgets: Budgets | None = None
    children: Children | None = None
    recorded: Recorded | None = None
    files: Files | None = None


@dataclass(slots=True)
class Usage:
    """What an attempt used of models. A count is None as soon as one call's is unknown, or there was no call.

    `model` is the one that answered last; it is None as long as nothing was used.
    """

    model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None

    def add(self, reply: ModelReply) -> None:
        """Count a reply."""
        first = self.model is None
        self.prompt_tokens = _sum(self.prompt_tokens, reply.prompt_tokens, first)
        self.completion_tokens = _sum(self.completion_tokens, reply.completion_tokens, first)
        self.cost_usd = _sum(self.cost_usd, reply.cost_usd, first)
        self.model = reply.model

    def merge(self, other: Usage) -> None:
        """Count what somebody else used for this."""
        if other.model is not None:
            first = self.model is None
            self.prompt_tokens = _sum(self.prompt_tokens, other.prompt_tokens, first)
            self.completion_tokens = _sum(self.completion_tokens, other.completion_tokens, first)
            self.cost_usd = _sum(self.cost_usd, other.cost_usd, first)
            self.model = other.model

    def lose(self, model: str) -> None:
        """A call failed after it may have been charged: from here on nothing is known."""
        self.prompt_tokens = self.completion_tokens = self.cost_usd = None
        self.model = model


def _sum(known: Any, more: Any, first: bool) -> Any:
    if first:
        return more
    return None if known is None or more is None else known + more


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked. `options` is empty for free text, `timeout` in seconds from the asking.

    `default` is the answer when nobody gives one in time; MISSING: then `Host.wait` raises NodeError.
    """

    text: str
    kind: WaitKind = "ask"
    options: tuple[str, ...] = ()
    default: Any = MISSING
    timeout: float | None = None


class Host(Protocol):
    """The run as a node may see it: what is stored of it, and the way to add to that while the visit is open."""

    @property
    def record(self) -> RunRecord: ...

    @property
    def seconds_left(self) -> float | None:
        """How long the run may still be active; None where nothing bounds that."""
        ...

    def rows_of(self, path: str, iteration: int) -> Sequence[NodeRow]:
        """What is stored at this full path for this visit, oldest first."""
        ...

    async def note(
        self,
        step: Step,
        path: str,
        status: NodeStatus,
        *,
        writes: Mapping[str, Any] | None = None,
        error: str | None = None,
        started_at: float | None = None,
        usage: Usage | None = None,
        attempt: int | None = None,
    ) -> None:
        """Add a row that leaves the visit open; it is on disk when this returns.

        `path` is not the visit's own, save for status `running`: that says that something which must not
        happen twice is about to begin. `started_at` left out is now; `attempt` left out is the step's.
        """
        ...

    def note_soon(
        self,
        step: Step,
        status: NodeStatus,
        *,
        writes: Mapping[str, Any],
        error: str | None,
        started_at: float,
        fault: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a row of the step, which is an element's, without waiting for the disk: what the run writes later is
        written after it."""
        ...

    async def wait(self, step: Step, path: str, question: Question, *, attempt: int | None = None) -> Any:
        """The answer to this question at this path. Raises Parked until there is one; the question and its row
        are stored by then, once."""
        ...


class Alone:
    """The host of a node that runs outside any run: nothing is stored, and there is nobody to ask."""

    @property
    def record(self) -> RunRecord:
        raise LookupError("There is no run.")

    @property
    def seconds_left(self) -> float | None:
        return None

    def rows_of(self, path: str, iteration: int) -> Sequence[NodeRow]:
        return ()

    async def note(self, step: Step, path: str, status: NodeStatus, **what: Any) -> None:
        return None

    def note_soon(self, step: Step, status: NodeStatus, **what: Any) -> None:
        return None

    async def wait(self, step: Step, path: str, question: Question, *, attempt: int | None = None) -> Any:
        raise NodeError(step.node.id, "There is nobody to ask here.", "Start it as a part of a run.")


_ALONE = Alone()


@dataclass(slots=True)
class Step:
    """One attempt. `state` is what the node sees; `key` is the same for every attempt of one visit.

    `path` is the whole one, with the run's prefix and, for an element of a for_each, its number. `in_flight` is
    the path of an effect that must not happen twice while it has begun and its end is not known. `rehearses`:
    the run is a dry one or a replay, see `engine.simulate`.
    """

    node: Node
    workflow: Workflow
    state: Mapping[str, Any]
    services: Services
    run_id: str
    path: str
    iteration: int
    attempt: int
    force_model: str | None = None
    host: Host = _ALONE
    in_flight: str | None = None
    rehearses: bool = False
    usage: Usage = field(default_factory=Usage)
    used_secrets: set[str] = field(default_factory=set, repr=False)
    _inputs: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        return f"{self.run_id}/{self.path}/{self.iteration}"

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The node's inputs by their local names, rendered once."""
        if self._inputs is None:
            self._inputs = {name: t.render(self._in_state) for name, t in self.node.inputs.items()}
        return self._inputs

    def lookup(self, ref: Ref) -> Any:
        """The value of a reference in a prompt: the state, an input, or a field where no input has the name. A file is
        its text.
        """
        found = self.value_of(ref)
        return found.shown if isinstance(found, FileValue) else found

    def value_of(self, ref: Ref) -> Any:
        """As `lookup`; a file is itself."""
        if ref.root != "state" and ref.root in self.inputs:
            return walk(self.inputs[ref.root], ref.path)
        return self._in_state(ref)

    def lookup_with_secrets(self, ref: Ref) -> Any:
        """As `lookup`, and `{secret.NAME}`: for arguments and the configuration of tools only."""
        if ref.root == "secret" and "secret" not in self.inputs:
            return self._secret(str(ref.path[0]) if ref.path else "")
        return self.lookup(ref)

    def _in_state(self, ref: Ref) -> Any:
        if ref.root == "secret":
            raise TemplateError(f"{{{ref.text}}} may stand in a tool's args and config only.")
        return walk(self.state, ref.path if ref.root == "state" else (ref.root, *ref.path))

    def _secret(self, name: str) -> str:
        value = self.services.secrets(name)
        if value is None:
            raise NodeError(
                self.node.id,
                f"There is no secret {name}.",
                f"Set PARLANCE_SECRET_{name}.",
                fault={"code": "secret_missing"},
            )
        if value:
            self.used_secrets.add(value)
        return value

    def hide(self, value: Any) -> Any:
        """The value with every secret that this attempt has used struck out."""
        if not self.used_secrets:
            return value
        if isinstance(value, str):
            for secret in sorted(self.used_secrets, key=len, reverse=True):
                value = value.replace(secret, "***")
            return value
        if isinstance(value, Mapping):
            return {self.hide(key): self.hide(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide(item) for item in value]
        return value
