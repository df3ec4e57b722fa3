"""What a tool is: a name, a JSON Schema of its arguments, an effect, and one asynchronous function.

A tool's module makes it with the decorator `tool`; the registry finds it by its dotted path.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from tools.errors import ToolError

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

Effect = Literal["none", "idempotent", "once"]


@dataclass(slots=True)  # not frozen: that would cost 2 µs a call
class ToolContext:
    """What a call may know of its surroundings. Not to be changed.

    `idempotency_key` is the same for every attempt of one visit to a node. `config` is what the document
    gives the tool beside its arguments. `allow_private` lets a call reach this machine and the local network;
    `own_host` lets it reach the host of its `url` there, which the document or the person has named.
    `effect` is what the node says of its call; a tool's own counts where it is stronger. `timeout` is in seconds,
    None for the tool's own. `now` gives seconds since the epoch.
    """

    run_id: str | None = None
    node: str | None = None
    idempotency_key: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    allow_private: bool = False
    own_host: bool = False
    effect: Effect = "none"
    timeout: float | None = None
    now: Callable[[], float] = time.time


Function = Callable[[Mapping[str, Any], ToolContext], Awaitable[Any]]


@dataclass(frozen=True)
class Tool:
    """A tool. `parameters` is a JSON Schema of type object, `returns` says in words what comes back.

    `effect` is what may happen when a call is repeated: `none` only reads, `idempotent` may be repeated
    with the same key, `once` must never be repeated by itself. `takes_secrets` says that a secret among its
    arguments does not come back in its result, which is stored and shown.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    returns: str
    effect: Effect
    function: Function
    takes_secrets: bool = False

    async def __call__(self, args: Mapping[str, Any], context: ToolContext | None = None) -> Any:
        """Check the arguments and call. Raises ToolError, or ToolRetry where a further attempt may help."""
        self.check(args)
        return await self.function(args, context or ToolContext())

    def check(self, args: Mapping[str, Any]) -> None:
        """Raises ToolError with one sentence when the arguments do not fit `parameters`."""
        if self._fits_plainly(args):
            return
        from jsonschema.exceptions import best_match

        problem = best_match(self._validator.iter_errors(dict(args)))
        if problem is not None:
            raise ToolError(f"{self.name}: {_sentence(problem)}", self._usage(), code="tool_argument")

    def _fits_plainly(self, args: Mapping[str, Any]) -> bool:
        """Whether plain types settle that all is well: 17 µs less per call than asking jsonschema."""
        kinds, required = self._plain
        return required <= args.keys() and all(
            name in kinds and value.__class__ in kinds[name] for name, value in args.items()
        )

    @cached_property
    def _plain(self) -> tuple[Mapping[str, tuple[type, ...]], frozenset[str]]:
        """The arguments whose schema says no more than a type, and the required ones."""
        properties = self.parameters.get("properties", {})
        plain = {
            name: _TYPES[schema["type"]]
            for name, schema in properties.items()
            if schema.keys() <= {"type", "description", "default"} and schema.get("type") in _TYPES
        }
        return plain, frozenset(self.parameters.get("required", ()))

    def _usage(self) -> str:
        required = set(self.parameters.get("required", ()))
        names = [n if n in required else f"{n} (optional)" for n in self.parameters.get("properties", {})]
        return f"It takes: {', '.join(names) or 'no arguments'}."

    @cached_property
    def _validator(self) -> Validator:
        from jsonschema import Draft202012Validator

        return Draft202012Validator(self.parameters)


def _sentence(problem: ValidationError) -> str:
    """What is wrong, without the value: it may hold a secret."""
    rule: str = str(problem.validator)
    wanted: Any = problem.validator_value
    given: Any = problem.instance
    schema: Any = problem.schema
    if rule == "required":
        missing = [name for name in wanted if name not in given]
        return f"the argument {missing[0]} is missing."
    if rule == "additionalProperties" and not problem.absolute_path:
        extra = [name for name in given if name not in schema["properties"]]
        return f"there is no argument {extra[0]}."
    where = ".".join(str(part) for part in problem.absolute_path) or "arguments"
    if rule == "type":
        kinds: list[str] = wanted if isinstance(wanted, list) else [wanted]
        return f"{where} must be {' or '.join(_KINDS.get(kind, kind) for kind in kinds)}."
    return f"{where} breaks the rule {rule}: {wanted}."


_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}
_KINDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


def tool(
    *,
    description: str,
    parameters: Mapping[str, Any],
    returns: str,
    effect: Effect = "none",
    name: str = "",
    takes_secrets: bool = False,
) -> Callable[[Function], Tool]:
    """Make a Tool of a function `(args, context)`. `parameters` maps each argument to its schema.

    An argument whose schema has no `default` is required; further arguments are refused.
    """

    def wrap(function: Function) -> Tool:
        schema = {
            "type": "object",
            "properties": dict(parameters),
            "required": [key for key, value in parameters.items() if "default" not in value],
            "additionalProperties": False,
        }
        known_as = name or getattr(function, "__name__", "")
        return Tool(known_as, description, schema, returns, effect, function, takes_secrets)

    return wrap
