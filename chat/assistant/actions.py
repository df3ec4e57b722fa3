"""What the assistant can do, once: a name, what it is for, a JSON Schema of its arguments, and the handler.

The same list is offered to models with function calling as functions, and to all others as one constrained
object.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chat.assistant import handlers
from chat.assistant.handlers import Acting
from chat.assistant.turn import Outcome
from chat.events import Event
from engine.ports import ToolSpec

Handler = Callable[[Acting, Mapping[str, Any]], AsyncIterator[Event | Outcome]]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing the assistant can do. `arguments` maps each to its schema.

    Required are those without `default` that are not among `optional`.
    """

    name: str
    description: str
    arguments: Mapping[str, Mapping[str, Any]]
    handler: Handler
    optional: tuple[str, ...] = ()

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


def _text(description: str, longest: int | None = 400, **more: Any) -> dict[str, Any]:
    """A text's schema. Long ones carry no bound: grammars of local servers refuse more than 2000
    repetitions.
    """
    bound = {} if longest is None else {"maxLength": longest}
    return {"type": "string", **bound, "description": description, **more}


_SUMMARY = _text("One sentence in the person's language: what was made or changed")
_THEN = {
    "type": "string",
    "enum": ["stop", "go on"],
    "default": "stop",
    "description": "go on: the person asked for something more in the same message, such as to run it",
}
_EDITS = {
    "type": "array",
    "minItems": 1,
    "maxItems": 40,
    "description": "Each replaces `old`, which stands in the document exactly once, by `new`",
    "items": {
        "type": "object",
        "properties": {
            "old": _text("Copied from the document exactly, without line numbers", None),
            "new": _text("What stands there afterwards", None),
        },
        "required": ["old", "new"],
        "additionalProperties": False,
    },
}


_WORKFLOW = _text("Its name; left out, the current one", 120, default="")

ACTIONS: Mapping[str, Action] = {
    action.name: action
    for action in (
        Action(
            "write_workflow",
            "Write a new workflow and save it. For a change of the current one use edit_workflow.",
            {"yaml": _text("The whole YAML document", None), "summary": _SUMMARY, "then": _THEN},
            handlers.write,
        ),
        Action(
            "edit_workflow",
            "Change the current workflow, or the draft that has problems, by small edits of its text.",
            {"edits": _EDITS, "summary": _SUMMARY, "then": _THEN},
            handlers.edit,
        ),
        Action(
            "use_example",
            "Save a copy of an example as the current workflow, with edits where it has to be adapted.",
            {
                "name": _text("The example's name", 80),
                "edits": {**_EDITS, "minItems": 0, "default": []},
                "summary": _SUMMARY,
                "then": _THEN,
            },
            handlers.use_example,
        ),
        Action(
            "read_example",
            "Read an example's document.",
            {"name": _text("Its name", 80)},
            handlers.read_example,
        ),
        Action(
            "run_workflow",
            "Run a workflow. Inputs that are required and not given are asked of the person.",
            {
                "workflow": _WORKFLOW,
                "inputs": {
                    "type": "object",
                    "default": {},
                    "description": "Input name to value, only what the person said",
                },
                "take": {
                    "type": "object",
                    "description": "For a long text in the person's message: copied by code, word for word",
                    "properties": {
                        "input": _text("The input that gets the text", 80),
                        "begins": _text("The first words of the text; empty for the whole message", 200),
                    },
                    "required": ["input", "begins"],
                    "additionalProperties": False,
                },
            },
            handlers.run,
            ("take",),
        ),
        Action(
            "open_workflow",
            "Make a saved workflow the current one and read its document.",
            {"workflow": _text("Its name", 120)},
            handlers.open_workflow,
        ),
        Action("list_workflows", "List the person's saved workflows.", {}, handlers.list_workflows),
        Action("list_runs", "List the last runs.", {}, handlers.list_runs),
        Action(
            "show_run",
            "Read a run: its steps, outputs, tokens, cost, errors.",
            {"run_id": _text("Its id; left out, the last one of this conversation", 80, default="")},
            handlers.show_run,
        ),
        Action(
            "ask_person",
            "Ask the person one question and wait, only when you can't guess the answer.",
            {
                "question": _text("The question", 600),
                "options": {
                    "type": "array",
                    "items": _text("An answer to choose", 120),
                    "maxItems": 6,
                    "default": [],
                    "description": "Likely answers",
                },
            },
            handlers.ask_person,
        ),
    )
}


def reply_schema() -> dict[str, Any]:
    """The one object that a model without function calling answers in. `none` comes first: it only talks."""
    choices = [
        _choice("none", {"type": "object", "properties": {}, "required": [], "additionalProperties": False})
    ]
    choices += [_choice(action.name, action.parameters) for action in ACTIONS.values()]
    return {
        "type": "object",
        "properties": {
            "say": _text("What you tell the person, in Markdown", None),
            "action": {"anyOf": choices},
        },
        "required": ["say", "action"],
        "additionalProperties": False,
    }


def _choice(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "args": dict(parameters)},
        "required": ["name", "args"],
        "additionalProperties": False,
    }


def action_of(value: Any) -> tuple[str, Mapping[str, Any]] | None:
    """(name, arguments) of a reply's action, ("none", {}) where it plainly only talks; None where that is open.

    An action that is left out, null, empty or just a name says what is meant as well as the object that was
    asked for.
    """
    value = value if isinstance(value, Mapping) else {}
    action = value.get("action")
    action = {"name": action} if isinstance(action, str) else {} if action is None else action
    args = action.get("args") if isinstance(action, Mapping) else None
    if not isinstance(action, Mapping) or not isinstance(args, Mapping | None):
        return None
    name = action.get("name")
    if name == "none" or (not action and isinstance(value.get("say"), str) and value["say"].strip()):
        return "none", {}
    return (name, args or {}) if isinstance(name, str) and name in ACTIONS else None


def objection(value: Any) -> str | None:
    """What is wrong with a reply that was to fit `reply_schema`, in a sentence for the model; None: nothing."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    found = action_of(value)
    if found is not None and isinstance(value.get("say", ""), str | None):
        return None if found[0] == "none" else wrong_arguments(ACTIONS[found[0]], found[1])
    error = best_match(Draft202012Validator(reply_schema()).iter_errors(value))
    return error.message[:300] if error else None


def action_list() -> str:
    """The actions in words, for a prompt."""
    return "\n".join(map(_in_words, ACTIONS.values()))


def _in_words(action: Action) -> str:
    arguments = "".join(
        f"\n  - {name}{'' if action.requires(name) else ' (optional)'}: {schema.get('description', schema['type'])}"
        for name, schema in action.arguments.items()
    )
    return f"- {action.name}: {action.description}{arguments}"


def wrong_arguments(action: Action, args: Mapping[str, Any]) -> str | None:
    """One sentence when the arguments do not fit; None when they do."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(action.parameters).iter_errors(dict(args)))
    if error is None:
        return None
    where = "".join(f"[{part!r}]" for part in error.absolute_path)
    return f"The arguments of {action.name} do not fit: args{where}: {error.message[:300]}"
