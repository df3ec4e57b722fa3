"""What the assistant can do, once. The same list is offered to models with function calling as functions, and to
all others as one constrained object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from chat.assistant import handlers
from chat.assistant.action import Action, text
from chat.assistant.turn import Turn

MORE: tuple[str, ...] = (
    "chat.assistant.wishes:PROPOSE_TEST",
    "chat.assistant.plan.planning:PLAN_WORKFLOW",
    "chat.assistant.schedules:SCHEDULE_WORKFLOW",
    "chat.assistant.schedules:LIST_SCHEDULES",
    "chat.assistant.schedules:CHANGE_SCHEDULE",
)
"""Actions of other modules, as "module:NAME" of an `Action`; imported when the list is first needed."""

_SUMMARY = text("One sentence in the person's language: what was made or changed")
_THEN = {
    "type": "string",
    "enum": ["stop", "go on"],
    "default": "stop",
    "description": "go on: the person asked for something more in the same message, such as to run it",
}
_ASSUMED = {
    "type": "array",
    "maxItems": 6,
    "default": [],
    "items": text("One sentence", 200),
    "description": "What you chose without being told, one sentence each in the person's language; code tells it",
}
_EDITS = {
    "type": "array",
    "minItems": 1,
    "maxItems": 40,
    "description": "Small operations on the document's text; every byte outside them stays",
    "items": {
        "type": "object",
        "properties": {
            "op": {
                "type": "string",
                "enum": ["replace", "insert_before", "insert_after", "delete", "set", "add", "remove"],
                "default": "replace",
            },
            "at": text(
                "replace, insert_before, insert_after, delete: text copied exactly from the document, that stands "
                "there once. set, add, remove: a path such as nodes.review.prompt or edges[2].to",
                None,
            ),
            "text": text(
                "The new text; the YAML of the value or of the items for set and add", None, default=""
            ),
        },
        "required": ["op", "at"],
        "additionalProperties": False,
    },
}
_WORKFLOW = text("Its name; left out, the current one", 120, default="")
_QUESTIONS = {
    "type": "array",
    "minItems": 1,
    "maxItems": 2,
    "description": "One question, or two that do not depend on each other",
    "items": {
        "type": "object",
        "properties": {
            "key": text("What it decides, one or two words of English: language, audience", 40),
            "question": text("The question, in the person's language", 400),
            "options": {
                "type": "array",
                "items": text("An answer to choose", 120),
                "maxItems": 6,
                "description": "The likely answers",
            },
        },
        "required": ["key", "question", "options"],
        "additionalProperties": False,
    },
}


def _read_edits(args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Edits as {old, new}, as other programs ask for them, are replacements."""
    edits = args.get("edits")
    if not isinstance(edits, list):
        return args
    read = [
        {"op": "replace", "at": edit["old"], "text": edit.get("new", "")}
        if isinstance(edit, Mapping) and "old" in edit and "at" not in edit
        else edit
        for edit in edits
    ]
    return {**args, "edits": read}


def _read_question(args: Mapping[str, Any]) -> Mapping[str, Any]:
    """One question that is not in a list."""
    if "questions" in args or "question" not in args:
        return args
    one = {"key": args.get("key", ""), "question": args["question"], "options": args.get("options") or []}
    return {"questions": [one]}


_OWN: tuple[Action, ...] = (
    Action(
        "write_workflow",
        "Write a new workflow and save it. For a change of the current one use edit_workflow.",
        {
            "yaml": text("The whole YAML document", None),
            "summary": _SUMMARY,
            "assumed": _ASSUMED,
            "then": _THEN,
        },
        handlers.write,
    ),
    Action(
        "edit_workflow",
        "Change the current workflow, or the draft that has problems, by small edits of its text.",
        {"edits": _EDITS, "summary": _SUMMARY, "assumed": _ASSUMED, "then": _THEN},
        handlers.edit,
        read=_read_edits,
    ),
    Action(
        "use_example",
        "Save a copy of an example as the current workflow, with edits where it has to be adapted.",
        {
            "name": text("The example's name", 80),
            "edits": {**_EDITS, "minItems": 0, "default": []},
            "summary": _SUMMARY,
            "assumed": _ASSUMED,
            "then": _THEN,
        },
        handlers.use_example,
        read=_read_edits,
    ),
    Action(
        "read_example",
        "Read an example's document.",
        {"name": text("Its name", 80)},
        handlers.read_example,
    ),
    Action(
        "run_workflow",
        "Run a workflow, when the person asks for it. Inputs that are required and not given are asked of the person.",
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
                    "input": text("The input that gets the text", 80),
                    "begins": text("The first words of the text; empty for the whole message", 200),
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
        "Make a saved workflow that the person names the current one, and read its document.",
        {"workflow": text("Its name", 120)},
        handlers.open_workflow,
    ),
    Action("list_workflows", "List the person's saved workflows.", {}, handlers.list_workflows),
    Action("list_runs", "List the last runs.", {}, handlers.list_runs),
    Action(
        "show_run",
        "Read a run: its steps, outputs, tokens, cost, errors.",
        {
            "run_id": text(
                "Its number in list_runs; left out, the last one of this conversation", 80, default=""
            )
        },
        handlers.show_run,
    ),
    Action(
        "ask_person",
        "Ask the person and wait. Only what you can't find out and what changes the result.",
        {"questions": _QUESTIONS},
        handlers.ask_person,
        read=_read_question,
    ),
)


@cache
def actions() -> Mapping[str, Action]:
    """Every action by name."""
    found = list(_OWN)
    for place in MORE:
        module, _, name = place.partition(":")
        found.append(getattr(import_module(module), name))
    return {action.name: action for action in found}


def offered(turn: Turn) -> list[Action]:
    """The actions of this turn."""
    return [action for action in actions().values() if action.offered(turn)]


def reply_schema(choices: Sequence[Action]) -> dict[str, Any]:
    """The one object that a model without function calling answers in. `none` comes first: it only talks."""
    nothing = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    return {
        "type": "object",
        "properties": {
            "say": text("What you tell the person, in Markdown", None),
            "action": {
                "anyOf": [
                    _choice("none", nothing),
                    *(_choice(action.name, action.parameters) for action in choices),
                ]
            },
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
    return (name, args or {}) if isinstance(name, str) and name in actions() else None


def objection(value: Any, choices: Sequence[Action]) -> str | None:
    """What is wrong with a reply that was to fit `reply_schema`, in a sentence for the model; None: nothing."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    found = action_of(value)
    if found is not None and isinstance(value.get("say", ""), str | None):
        action = actions().get(found[0])
        return action.objection(action.read(found[1])) if action else None
    error = best_match(Draft202012Validator(reply_schema(choices)).iter_errors(value))
    return error.message[:300] if error else None


def action_list(choices: Sequence[Action]) -> str:
    """The actions in words, for a prompt."""
    return "\n".join(action.in_words() for action in choices)
