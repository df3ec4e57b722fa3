"""What the engine is handed: the store of runs, the models, the clock; and the records that pass through.

The engine knows no SQL and no vendor. `sessions` implements RunStore, `engine.models` implements ModelClient,
tests implement Clock. Everything here is a frozen record or a Protocol of a few methods.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from engine.check.machine import Machine
    from engine.models.names import Target

RunStatus = Literal["ok", "failed", "cancelled", "waiting", "unknown", "running"]
NodeStatus = Literal["ok", "failed", "cancelled", "waiting", "unknown", "running"]
"""`waiting`: for a person. `unknown`: something may have happened, and a person has to say whether it did."""


# --- models -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model asks for. `arguments` is the parsed JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Image:
    """An image for a model that can see; `data` are the bytes of the file."""

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """One message to or from a model, in the shape of the OpenAI protocol. `images` stand after the text."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    images: tuple[Image, ...] = ()


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
    client's own habit, 0 for who counts every call. `purse` is asked before every single call that is made for
    the request, repeated ones included.
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
    purse: Purse | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """What a call may cost: dollars for its prompt, counted so that it can hardly be more, and for each token of the
    reply; None where no price is known. `most_tokens` bounds the reply, None where nothing does; `said` is true
    where the document does.
    """

    model: str
    prompt_usd: float | None
    token_usd: float | None
    most_tokens: int | None
    said: bool


class Bill(Protocol):
    """A call that may be made. `tokens` is the most that its reply may have."""

    tokens: int

    async def settle(self, cost: float | None) -> None:
        """The call is over and has cost this much; None: nobody knows, so that what was set aside stays so."""
        ...


class Purse(Protocol):
    """The money for the calls of a node."""

    async def reserve(self, quote: Quote) -> Bill:
        """Set aside what the call may cost, waiting for calls under way to be settled. BudgetSpent when it does
        not fit."""
        ...


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
    `sees_images` is None where it is not known.
    """

    name: str
    source: str
    demo: bool = False
    function_calling: bool = False
    note: str | None = None
    sees_images: bool | None = None


Asked = tuple[str | None, str | None]
"""Which model is asked, and where: `model` and `api_base` of a ModelRequest."""


class ModelClient(Protocol):
    """Calls models. One async path: a stream of TextDelta that ends in one ModelReply."""

    def stream(self, request: ModelRequest) -> AsyncIterator[TextDelta | ModelReply]: ...

    async def info(self, model: str | None = None) -> ModelInfo:
        """Which model a request with `model` would reach. ModelMissing where there is none."""
        ...

    async def target(self, model: str | None = None, api_base: str | None = None) -> Target:
        """Where such a request would go, for telling what it costs. ModelMissing where there is none."""
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


# --- files ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What is known of a file without reading it. `size` in bytes; the media type was told by its content."""

    id: str
    name: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file that was read: its text, or of an image, which has none, the bytes that a model is sent."""

    info: FileInfo
    text: str
    image_type: str | None = None
    image: bytes | None = None


class Files(Protocol):
    """The files of people. What belongs to another owner is NotFound."""

    async def take(
        self, owner: str, ids: Sequence[str], conversation_id: str | None = None, *, keep: bool = True
    ) -> Mapping[str, FileInfo]:
        """What the files are, by id; with `keep` they stay: a run has been given them. NotFound."""
        ...

    async def read(self, owner: str, id: str) -> FileContent:
        """NotFound."""
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

    A child (a sub-workflow, or a part of a big for_each) has a `parent_id`; `root_id` is the run that a person
    started, its own id where it is that run; `prefix` stands before every path of its rows (`sub/`,
    `sub[2]/`), `depth` counts from 0. `part` names the elements that a child runs of its parent's node:
    {"node", "iteration", "first", "count"}. `pins` are the documents of sub-workflows, name to digest, fixed
    when the root started. `parked`: nobody executes the run until it is woken; `woken` counts the wakes.
    `not_before` delays the start, `priority` (smaller first, 0 the usual) orders what waits to start. `dry`:
    no model and no effect. `limit_usd` is the person's budget, the document's may be smaller. `origin` says
    where the run came from: {"schedule": id}, {"retry_of": run, "from": node}, {"replay_of": run}; of a child it has
    {"time_limit": seconds} where its activity is bounded from above. `fault` is that of its error, see NodeRow, with
    the `node` where it is one's.
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
    parent_id: str | None = None
    root_id: str = ""
    prefix: str = ""
    depth: int = 0
    part: Mapping[str, Any] | None = None
    pins: Mapping[str, str] = field(default_factory=dict)
    parked: bool = False
    woken: int = 0
    not_before: float | None = None
    priority: int = 0
    dry: bool = False
    limit_usd: float | None = None
    origin: Mapping[str, Any] | None = None
    fault: Mapping[str, Any] | None = None


STOPS = ((-1, "stop"),)
"""A failed row's `fired` when it stops the whole tree of runs: no `on_error` deals with it, here or above."""


@dataclass(slots=True)  # not frozen: that would cost 5 µs a row, a tenth of a node
class NodeRow:
    """One ended attempt of one visit to a node: checkpoint and trace at once. Not to be changed.

    `iteration` is the visit, `attempt` the try within it, both from 1. `writes` is the change of the state,
    `fired` the edges (by index and target) it set off, or STOPS; both empty unless status is ok. `path` is the
    node's id, and for nested work something like `sub/node[3]`. `seq` counts the run's rows from 1; `event` is the
    id of its node_ended, and the ids after it belong to `starts`, the visits (or the further attempt) that
    follow.

    Besides the row that ends a visit (its path is the prefix and the node's id) a visit may have others, which
    leave it open: of an element of a for_each (`node[3]`, `writes` being that element's outputs), of a call of
    a tool with an effect (`node/tool#1`), one with status `running` that says that something which must
    not happen twice is about to begin, one with `waiting` or `unknown` when a person is asked. A failed visit
    that the document deals with (`on_error`) has `writes` (of `_error_<id>`) and what it fired. `fault` is what is
    kept of an error for programs: its `code`, and facts; None where there was none, and in rows older than faults.
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
    fault: Mapping[str, Any] | None = None

    @property
    def counts(self) -> bool:
        """Whether its writes are part of the state: it ended a visit well, or in a way that on_error deals with."""
        if self.status != "ok" and not (self.status == "failed" and self.writes):
            return False
        return self.ends_visit

    @property
    def stops(self) -> bool:
        """Whether it ends every run above as well: a person said stop, or there is no money left."""
        return self.status == "failed" and self.fired == STOPS

    @property
    def ends_visit(self) -> bool:
        """Whether the row is of the visit itself, not of an element or a call within it."""
        if self.path == self.node:
            return True
        return self.path.endswith(self.node) and self.path[: -len(self.node)][-1:] in ("", "/")


WaitKind = Literal["ask", "effect"]


@dataclass(frozen=True, slots=True)
class Wait:
    """A question to a person that a run waits with; the answer, once there is one.

    `kind` ask is a node's question; effect asks whether something did happen that may have (then `options` are
    DID_HAPPEN, TRY_AGAIN and STOP). `options` is empty for free text. `due_at` is when the node takes
    `default` (or fails, where `has_default` is false) by itself. `answered_by` says who: `local`, a channel's
    user, or `timeout`.
    """

    run_id: str
    root_id: str
    path: str
    node: str
    iteration: int
    attempt: int
    question: str
    created_at: float
    kind: WaitKind = "ask"
    options: tuple[str, ...] = ()
    default: Any = None
    has_default: bool = False
    due_at: float | None = None
    owner: str = "local"
    conversation_id: str | None = None
    answer: Any = None
    answered_at: float | None = None
    answered_by: str | None = None


DID_HAPPEN, TRY_AGAIN, STOP = "did happen", "try again", "stop"


@dataclass(frozen=True, slots=True)
class Park:
    """The owner lets go of a run that can't go on by itself. `woken` is how many wakes it has seen."""

    status: RunStatus
    woken: int


@dataclass(frozen=True, slots=True)
class Signal:
    """What the owner of a run has to be told: that it is to stop, or that it has been woken so often."""

    run_id: str
    cancel_requested: bool
    woken: int


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
    fault: Mapping[str, Any] | None = None


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

    async def create(self, *runs: RunRecord, rows: Sequence[NodeRow] = ()) -> None:
        """Store new runs in one transaction, each owned by its `process`; without one, whoever claims it has it.

        A run whose id is there already is left as it is (a child is created again after a crash). `rows` are what
        a single new run begins with.
        """
        ...

    def append(
        self,
        run_id: str,
        epoch: int,
        rows: Sequence[NodeRow],
        end: RunEnd | None = None,
        *,
        waits: Sequence[Wait] = (),
        park: Park | None = None,
        flush: bool = False,
        shared: bool = False,
    ) -> Future[bool]:
        """Add rows, waits and the end, in one transaction; done when it is on disk.

        With `flush`, and always with waits, also a loss of power does not undo it; otherwise that depends on
        how the store was set up.

        Takes its place in the order of writes at the call, not when awaited. FenceLost, and nothing is
        written, when `epoch` is no longer the run's, or the run has ended. A wait that is there already is
        left as it is. The end of a child, and its parking with another status than before, wake the parent.
        False when the run was to be parked and has been woken meanwhile: then everything but that is done. `shared`:
        the future may be one that other rows of this transaction have as well, and must not be cancelled.
        """
        ...

    async def wake(self, run_id: str) -> None:
        """Something the run waits for may have come: `woken` rises, and a parked run may be claimed."""
        ...

    async def answer(self, run_id: str, path: str, iteration: int, value: Any, by: str, at: float) -> Wait:
        """Store the answer to the open wait and wake the run, in one transaction.

        NotFound where nothing waits there, or the run has ended; Conflict, saying who answered when, where there is an
        answer already.
        """
        ...

    async def waits(
        self,
        *,
        run_id: str | None = None,
        root_id: str | None = None,
        owner: str | None = None,
        conversation_id: str | None = None,
        answered: bool | None = False,
        due_before: float | None = None,
        at: Collection[str] = (),
        under: str | None = None,
        iteration: int | None = None,
        newest: bool = False,
        limit: int = 1000,
    ) -> list[Wait]:
        """Waits of visits that have not ended, oldest first, or `newest`; `answered` None for both, and where a run is
        named also after its end. `at` are paths and ids of nodes of which one is meant, `under` is how the path
        begins."""
        ...

    async def children(self, run_id: str) -> list[RunRecord]:
        """The runs whose parent this is, oldest first; `yaml` and `shape` are left empty."""
        ...

    async def document(self, digest: str) -> str:
        """The text of a document that a run was created with, or that was pinned. NotFound."""
        ...

    async def pin(self, digest: str, text: str) -> None:
        """Keep a document under its digest."""
        ...

    async def reserve(self, root_id: str, key: str, amount: float, limit: float) -> bool:
        """Set dollars aside for a call, in one atomic step; False, and nothing is, when spent and reserved would
        pass `limit`. The same key again replaces its reservation."""
        ...

    async def settle(self, root_id: str, key: str, cost: float) -> None:
        """The call has cost this much: it is spent, and its reservation is gone. A reservation that a crash left
        stays: the call may have been charged."""
        ...

    async def spent(self, root_id: str) -> tuple[float, float]:
        """Dollars spent and dollars reserved, for the whole tree of runs."""
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
        since: float | None = None,
        limit: int = 50,
        children: bool = False,
    ) -> list[RunRecord]:
        """Newest first, created before `before` and not before `since`; without `children` only what a person
        or a schedule started. `yaml` and `shape` are left empty."""
        ...

    async def request_cancel(self, run_id: str) -> None:
        """Ask the owner to stop the run and its children; a parked one is woken for it. Nothing happens when it
        has ended."""
        ...

    async def signals(self, process_id: str) -> list[Signal]:
        """The runs of a process that somebody asked to stop, or that have been woken since it claimed them."""
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
        """Every run that has not ended, is not parked and need not start later: id, epoch, its owner's id and,
        where known, its owner. By priority, then oldest first."""
        ...

    async def unowned(self) -> list[tuple[str, int]]:
        """Of `unfinished`, those that nobody owns: id and epoch, in the same order."""
        ...

    async def claim(self, run_id: str, epoch: int, process_id: str) -> RunRecord | None:
        """Take a run over from the owner it had at `epoch`; None when somebody was faster, or it is parked."""
        ...

    async def rename_workflow(self, owner: str, old: str, new: str) -> None:
        """The runs of a workflow go by its new name."""
        ...

    async def delete(self, run_id: str) -> list[str]:
        """Forget a run with all below it: rows, waits, what it cost, and documents that no other run has. The ids
        that went, its own first. NotFound; Conflict when it, or one below it, has not ended, or it is part of another.
        """
        ...

    async def erase(self, owner: str) -> int:
        """Forget every run of an owner, ended or not; how many. Who still runs one can write nothing more to it."""
        ...


@dataclass(frozen=True, slots=True)
class RunEvent:
    """What happened in a run. `id` rises by one within the run, from 1, also across restarts.

    kind: run_started, node_started, node_waiting, node_ended, run_ended. `data` is plain JSON: for nodes the
    object that `run --json` prints for a node, for the run's end the whole object of the run.
    """

    id: int
    run_id: str
    kind: Literal["run_started", "node_started", "node_waiting", "node_ended", "run_ended"]
    data: Mapping[str, Any]


class Clock(Protocol):
    """Time, so that tests need not wait."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


def collect_tokens(values: Sequence[int | None]) -> int | None:
    """The sum of counts, None as soon as one of them is unknown or there are none."""
    return None if not values or any(v is None for v in values) else sum(v for v in values if v is not None)
