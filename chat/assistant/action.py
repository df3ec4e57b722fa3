"""One thing that the assistant can do, as a model is told of it: a name, a purpose, arguments, and who does it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chat.assistant.turn import Outcome, Turn
from chat.events import Event
from engine.ports import ToolSpec

if TYPE_CHECKING:
    from chat.assistant.handlers import Acting

Handler = Callable[["Acting", Mapping[str, Any]], AsyncIterator[Event | Outcome]]


def always(turn: Turn) -> bool:
    return True


def as_they_are(args: Mapping[str, Any]) -> Mapping[str, Any]:
    return args


@dataclass(frozen=True, slots=True)
class Action:
    """One thing the assistant can do. `arguments` maps each to its schema.

    Required are those without `default` that are not among `optional`. `offered` says in which turns it is there.
    `read` turns other spellings of the arguments, which models are known to use, into the one that is asked for.
    """

    name: str
    description: str
    arguments: Mapping[str, Mapping[str, Any]]
    handler: Handler
    optional: tuple[str, ...] = ()
    offered: Callable[[Turn], bool] = always
    read: Callable[[Mapping[str, Any]], Mapping[str, Any]] = as_they_are

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": dict(self.arguments),
            "required": [name for name in self.arguments if self.requires(name)],
            "additionalProperties": False,
        }

    def requires(self, name: str) -> bool:
        return name not in self.optional and "default" not in self.arguments[name]

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(self.name, self.description, self.parameters)

    def in_words(self) -> str:
        """Name, purpose and arguments, for a prompt."""
        arguments = "".join(
            f"\n  - {name}{'' if self.requires(name) else ' (optional)'}: {schema.get('description', schema['type'])}"
            for name, schema in self.arguments.items()
        )
        return f"- {self.name}: {self.description}{arguments}"

    def objection(self, args: Mapping[str, Any]) -> str | None:
        """One sentence when the arguments do not fit; None when they do."""
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import best_match

        error = best_match(Draft202012Validator(self.parameters).iter_errors(dict(args)))
        if error is None:
            return None
        where = "".join(f"[{part!r}]" for part in error.absolute_path)
        return f"The arguments of {self.name} do not fit: args{where}: {error.message[:300]}"


def text(description: str, longest: int | None = 400, **more: Any) -> dict[str, Any]:
    """A text's schema. Long ones carry no bound: grammars of local servers refuse more than 2000
    repetitions.
    """
    bound = {} if longest is None else {"maxLength": longest}
    return {"type": "string", **bound, "description": description, **more}
