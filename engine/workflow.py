"""A workflow as the engine runs it: frozen records made from a document that has passed the checker.

Nothing here knows YAML. `engine.document` reads the text, `engine.build` makes these records of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from engine.expressions import Expression
    from engine.templates import Template
    from engine.types import Type

START = "START"
END = "END"

Kind = Literal["llm", "tool", "code", "ask", "subflow", "agent"]
Effect = Literal["none", "idempotent", "once"]
EFFECTS: tuple[Effect, ...] = ("none", "idempotent", "once")
"""From the weakest to the strongest."""


class _Missing:
    """The value of a default that was not given; None is a default like any other."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Any = _Missing()


@dataclass(frozen=True, slots=True)
class Field:
    """A state field. `schema` holds the inner fields of an `object`."""

    name: str
    type: Type
    required: bool = False
    default: Any = MISSING
    description: str = ""
    enum: tuple[Any, ...] | None = None
    reduce: Literal["last", "append", "merge"] | None = None


@dataclass(frozen=True, slots=True)
class LLM:
    """Which model answers a node. Every value may be None: then the installation's choice holds."""

    provider: str | None = None
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    api_base: str | None = None
    fallbacks: tuple[LLM, ...] = ()


@dataclass(frozen=True, slots=True)
class Retry:
    """`max_attempts` 1 means that nothing is tried again. The pause doubles from `backoff_seconds`.

    `said` is false where the document is silent: then what asks a model may ask again by itself.
    """

    max_attempts: int = 1
    backoff_seconds: float = 1.0
    said: bool = field(default=True, compare=False)


UNSAID = Retry(said=False)


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool a model may call in a node."""

    name: str
    config: Template | None = None
    on_error: Literal["fail", "continue"] = "continue"


@dataclass(frozen=True, slots=True)
class OutputField:
    """One field of an `output_schema` of type object, or of the schema made from the state's fields."""

    name: str
    type: Type
    description: str = ""
    enum: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """What a node gives back: with `fields` an object whose fields go by name, without one value for one
    output.

    `enum` bounds that one value.
    """

    type: Type
    fields: tuple[OutputField, ...] = ()
    description: str = ""
    enum: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """How code runs. None leaves a value to the sandbox. `timeout` in seconds."""

    enabled: bool = False
    mode: str | None = None
    preset: Literal["low", "medium", "high", "max"] | None = None
    timeout: float | None = None
    network: bool = False
    max_memory_mb: int | None = None
    allowed_modules: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Each:
    """`for_each`: the node runs once per element of `items`, which has the name `name` in its templates.

    `max_parallel` elements run at the same time, None for as many as the engine allows.
    """

    items: Template
    name: str = "item"
    max_parallel: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A step. `index` is its place in the document. Templates are compiled; `inputs` are local names.

    `options` empty with an `ask` means free text. `default` is what an ask takes when its `timeout` is over.
    `on_error` is `fail`, `continue`, or the id of the node that follows a failure.
    """

    id: str
    kind: Kind
    index: int
    description: str = ""
    inputs: Mapping[str, Template] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    output_schema: OutputSchema | None = None
    prompt: Template | None = None
    system: Template | None = None
    llm: LLM = LLM()
    tools: tuple[ToolUse, ...] = ()
    tool: str | None = None
    args: Template | None = None
    retry: Retry = UNSAID
    timeout: float | None = None
    effect: Effect = "none"
    said_effect: Effect | None = None
    code: str | None = None
    ask: Template | None = None
    options: Template | None = None
    default: Any = MISSING
    subflow: str | None = None
    agent: str | None = None
    each: Each | None = None
    on_error: str = "fail"
    sandbox: SandboxOptions = SandboxOptions()


@dataclass(frozen=True, slots=True)
class Route:
    """A branch: `condition` None is the default, which is tried last wherever it stands."""

    condition: Expression | None
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """The source runs again until `condition_field` is true or it ran `max_iterations` times."""

    condition_field: str
    max_iterations: int
    exit_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """One entry of `edges` with a single source: exactly one of `to`, `routes`, `loop` is set.

    `failure` marks the way that a node's `on_error` names: it fires when the node fails, the others do not.
    """

    source: str
    index: int
    to: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    loop: Loop | None = None
    failure: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """Every node this edge may lead to, in order, END included, none twice."""
        if self.loop:
            return tuple(dict.fromkeys((self.source, *self.loop.exit_to)))
        found = self.to or tuple(t for r in self.routes for t in r.to)
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Execution:
    """Bounds of a run. Times in seconds of activity; money in US dollars."""

    timeout: float | None = None
    max_visits: int = 100
    budget_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """A bound on a whole run: `metric` is cost_usd, seconds or tokens, at most `max` and at least `min`."""

    metric: str
    max: float | None = None
    min: float | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Gates:
    """`on_fail`: warn notes it in the run, fail makes the run fail, block_deploy also refuses the next runs."""

    gates: tuple[Gate, ...] = ()
    on_fail: Literal["warn", "fail", "block_deploy"] = "warn"


@dataclass(frozen=True, slots=True)
class Workflow:
    """A checked document. `nodes` stand in document order; `edges` include those made for a linear flow."""

    name: str
    text: str
    digest: str
    description: str
    fields: Mapping[str, Field]
    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    execution: Execution = Execution()
    gates: Gates = Gates()
    holds_files: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "holds_files", any(f.type.holds_files for f in self.fields.values()))
