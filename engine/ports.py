"""What the engine is handed: the store of runs, the models, the clock; and the records that pass through.

The engine knows no SQL and no vendor. `sessions` implements RunStore, `engine.models` implements ModelClient,
tests implement Clock. Everything here is a frozen record or a Protocol of a few methods.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from engine.check.machine import Machine

RunStatus = Literal["ok", "failed", "cancelled", "waiting", "running"]
NodeStatus = Literal["ok", "failed", "cancelled", "waiting", "running"]


# --- models -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model asks for. `arguments` is the parsed JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One message to or from a model, in the shape of the OpenAI protocol."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A function that a model may call. `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call. `model` is LiteLLM's `provider/model`, None for the installation's choice.

    `schema` asks for one JSON value that fits it. `timeout` is in seconds. `api_base` overrides the
    provider's. `fallbacks` are further models, tried in order when one can't answer. `accept` looks at a
    reply and gives back what is wrong with it, in a sentence for the model, or None. It alone decides; without
    it the schema does. What does not fit is asked for once more with that sentence; a second one raises
    ModelBadReply. So does the first one where `final` says of its text that it is of use as it is.
    `retries` is how often a call that failed may be made again before anything was said: None for the
    client's own habit, 0 for who counts every call.
    """

    messages: tuple[Message, ...]
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    schema: Mapping[str, Any] | None = None
    tools: tuple[ToolSpec, ...] = ()
    api_base: str | None = None
    fallbacks: tuple[str, ...] = ()
    timeout: float | None = None
    accept: Callable[[ModelReply], str | None] | None = None
    final: Callable[[str], bool] | None = None
    retries: int | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the reply as it arrives."""

    text: str


@dataclass(frozen=True, slots=True)
class ModelReply:
    """The whole reply; always the last thing a stream yields. Unknown counts and cost are None.

    `model` is the model that really answered. `value` is the parsed JSON where a schema was asked for.
    """

    text: str
    model: str
    tool_calls: tuple[ToolCall, ...] = ()
    value: Any = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a model without calling it.

    `source` says why it was chosen, in words ("PARLANCE_MODEL", "OPENAI_API_KEY is set", …).
    `demo` is true for the embedded model alone; `note` is the line a person should see beside the name.
    """

    name: str
    source: str
    demo: bool = False
    function_calling: bool = False
    note: str | None = None


Asked = tuple[str | None, str | None]
"""Which model is asked, and where: `model` and `api_base` of a ModelRequest."""


class ModelClient(Protocol):
    """Calls models. One async path: a stream of TextDelta that ends in one ModelReply."""

    def stream(self, request: ModelRequest) -> AsyncIterator[TextDelta | ModelReply]: ...

    async def info(self, model: str | None = None) -> ModelInfo:
        """Which model a request with `model` would reach. ModelMissing where there is none."""
        ...

    async def machine(self, named: Collection[str | None] = (None,)) -> Machine:
        """What the models of this installation are, for checking a document that names these models.

        None among `named` stands for a node that leaves the choice to the installation.
        """
        ...

    async def load(self, models: Collection[Asked]) -> None:
        """Load the code that asks these models; never raises.

        Without it the first request does, and its time would count as the model's.
        """
        ...


# --- runs -------------------------------------------------------------------------------------------------


Started = tuple[str, str, int, int]
"""A visit that starts: node, kind, iteration, attempt."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it is stored. Times are seconds since the epoch; `epoch` counts the claims and only grows.

    `shape` is what it takes to show a run without its document: `fields` (name to default and reduce),
    `inputs`, `outputs`. `process` is the owner while it runs. `starts` are the visits that START set off,
    `end_event` the id of run_ended, `order` the rows in the order in which their writes count, None for the
    order of `seq`. `active` is how many seconds of activity earlier owners had.
    """

    id: str
    workflow: str
    yaml: str
    inputs: Mapping[str, Any]
    status: RunStatus
    created_at: float
    owner: str = "local"
    conversation_id: str | None = None
    message_id: str | None = None
    force_model: str | None = None
    epoch: int = 0
    ended_at: float | None = None
    error: str | None = None
    cancel_requested: bool = False
    digest: str = ""
    shape: Mapping[str, Any] = field(default_factory=dict)
    process: str | None = None
    starts: tuple[Started, ...] = ()
    end_event: int | None = None
    order: tuple[int, ...] | None = None
    active: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One ended attempt of one visit to a node: checkpoint and trace at once.

    `iteration` is the visit, `attempt` the try within it, both from 1. `writes` is the change of the state,
    `fired` the edges (by index and target) it set off; both empty unless status is ok. `path` is the node's
    id, and for nested work something like `sub/node[3]`. `seq` counts the run's rows from 1; `event` is the
    id of its node_ended, and the ids after it belong to `starts`, the visits (or the further attempt) that
    follow.
    """

    run_id: str
    path: str
    node: str
    kind: str
    iteration: int
    attempt: int
    status: NodeStatus
    started_at: float
    ended_at: float
    writes: Mapping[str, Any] = field(default_factory=dict)
    fired: tuple[tuple[int, str], ...] = ()
    model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    error: str | None = None
    seq: int = 0
    event: int = 0
    starts: tuple[Started, ...] = ()


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended; written in one transaction with its last rows. See RunRecord."""

    status: RunStatus
    ended_at: float
    event: int
    error: str | None = None
    order: tuple[int, ...] | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Process:
    """A process that owns runs. `place` names the machine, its boot and its space of process ids.

    Within one place `pid` and `born` (when it started, as the system counts) tell whether it still lives;
    elsewhere only `beat_at`, its last sign of life, does.
    """

    id: str
    place: str
    pid: int
    born: str | None
    beat_at: float


class RunStore(Protocol):
    """Where runs and their rows are kept. Every method raises StoreError when the store fails."""

    async def create(self, run: RunRecord) -> None:
        """Store a new run, owned by `run.process`."""
        ...

    def append(
        self, run_id: str, epoch: int, rows: Sequence[NodeRow], end: RunEnd | None = None
    ) -> Awaitable[None]:
        """Add rows, and the end, in one transaction; done when it is on disk.

        Takes its place in the order of writes at the call, not when awaited. FenceLost, and nothing is
        written, when `epoch` is no longer the run's, or the run has ended.
        """
        ...

    async def get(self, run_id: str) -> RunRecord:
        """NotFound for an unknown id."""
        ...

    async def rows(self, run_id: str, after_seq: int = 0) -> list[NodeRow]:
        """The rows with a higher `seq`, in its order."""
        ...

    async def find(
        self,
        *,
        owner: str | None = None,
        workflow: str | None = None,
        conversation_id: str | None = None,
        status: RunStatus | None = None,
        before: float | None = None,
        limit: int = 50,
    ) -> list[RunRecord]:
        """Newest first, created before `before`; `yaml` and `shape` are left empty."""
        ...

    async def request_cancel(self, run_id: str) -> None:
        """Ask the owner to stop the run; nothing happens when it has ended."""
        ...

    async def cancel_requests(self, process_id: str) -> list[str]:
        """The running runs of a process that somebody asked to stop."""
        ...

    async def beat(self, process: Process) -> None:
        """Say that the process lives."""
        ...

    async def process(self, process_id: str) -> Process | None:
        """A process that has said that it lives and not that it ends."""
        ...

    async def leave(self, process_id: str) -> None:
        """The process ends: what it has not finished may be claimed."""
        ...

    async def unfinished(self) -> list[tuple[str, int, str | None, Process | None]]:
        """Every running run: id, epoch, its owner's id and, where known, its owner."""
        ...

    async def claim(self, run_id: str, epoch: int, process_id: str) -> RunRecord | None:
        """Take a running run over from the owner it had at `epoch`; None when somebody was faster."""
        ...


@dataclass(frozen=True, slots=True)
class RunEvent:
    """What happened in a run. `id` rises by one within the run, from 1, also across restarts.

    kind: run_started, node_started, node_ended, run_ended. `data` is plain JSON: for nodes the object that
    `run --json` prints for a node, for the run's end the whole object of the run.
    """

    id: int
    run_id: str
    kind: Literal["run_started", "node_started", "node_ended", "run_ended"]
    data: Mapping[str, Any]


class Clock(Protocol):
    """Time, so that tests need not wait."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


def collect_tokens(values: Sequence[int | None]) -> int | None:
    """The sum of counts, None as soon as one of them is unknown or there are none."""
    return None if not values or any(v is None for v in values) else sum(v for v in values if v is not None)
