"""What the assistant can do, once: a name, what it is for, a JSON Schema of its arguments, and the handler.

The same list is offered to models with function calling as functions, and to all others as one constrained
object.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from itertools import starmap
from typing import Any

from chat.assistant.drafting import Drafting
from chat.assistant.edits import apply_edits, read_edits
from chat.assistant.prompts import data, shorten
from chat.assistant.running import find_workflow, run_workflow
from chat.assistant.turn import Outcome, Turn
from chat.events import DraftChanged, Event, Question
from chat.gallery import listing
from engine.ports import ToolSpec

Handler = Callable[["Acting", Mapping[str, Any]], AsyncIterator[Event | Outcome]]
LONGEST_RESULT = 12_000


@dataclass
class Acting:
    """What a handler is handed."""

    turn: Turn
    drafting: Drafting


@dataclass(frozen=True, slots=True)
class Action:
    """One thing the assistant can do. `arguments` maps each to its schema; those without `default` are
    required.
    """

    name: str
    description: str
    arguments: Mapping[str, Mapping[str, Any]]
    handler: Handler

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": dict(self.arguments),
            "required": [name for name, schema in self.arguments.items() if "default" not in schema],
            "additionalProperties": False,
        }

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


async def _write(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    current = acting.turn.workflow
    if current and not acting.drafting.open and _flow_name(args["yaml"]) == _flow_name(current.yaml):
        yield Outcome(
            f"Not saved: {current.name} exists. Change it with edit_workflow, or give a new one "
            "another flow.name."
        )
        return
    async for event in acting.drafting.write(args["yaml"], args["summary"]):
        yield _and_then(event, args)


async def _edit(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    async for event in acting.drafting.edit(read_edits(args["edits"]), args["summary"]):
        yield _and_then(event, args)


async def _use_example(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    example = acting.turn.house.gallery.get(args["name"])
    if example is None:
        yield Outcome(
            f"There is no example {args['name']}. There are:\n{listing(list(acting.turn.house.gallery))}"
        )
        return
    text, edits = example.yaml, read_edits(args.get("edits") or [])
    if edits:
        text, wrong = apply_edits(text, edits)
        if wrong:
            lines = "\n".join(wrong)
            yield Outcome(f"Not saved:\n{lines}\nThe example:\n{data(example.name, example.yaml)}")
            return
    async for event in acting.drafting.write(text, args["summary"]):
        yield _and_then(event, args)


def _and_then(event: Event | Outcome, args: Mapping[str, Any]) -> Event | Outcome:
    """A draft that was saved ends the turn unless there is more to do."""
    if isinstance(event, Outcome) and event.saved:
        return replace(event, ends=args.get("then", "stop") == "stop")
    return event


async def _read_example(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    gallery = acting.turn.house.gallery
    example = gallery.get(args["name"])
    if example is None:
        yield Outcome(f"There is no example {args['name']}. There are:\n{listing(list(gallery))}")
    else:
        yield Outcome(data(example.name, example.yaml))


async def _run(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    if acting.drafting.open:
        yield Outcome("Not run: the draft still has problems. Mend it first.")
        return
    saved = await find_workflow(acting.turn, args.get("workflow"))
    if saved is None:
        yield Outcome("There is no workflow in this conversation yet. Write one, or name a saved one.")
        return
    given = dict(args.get("inputs") or {})
    take = args.get("take")
    if take:
        given[take["input"]] = _taken(acting.turn.text, take.get("begins", ""))
    async for event in run_workflow(acting.turn, saved, given):
        yield event


def _taken(message: str, begins: str) -> str:
    """The person's message from the words `begins` on, word for word; all of it when they are not found."""
    start = message.lower().find(begins.strip().lower()) if begins.strip() else 0
    return message[max(start, 0) :].strip()


async def _open(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    turn = acting.turn
    saved = await find_workflow(turn, args["workflow"])
    if saved is None:
        yield Outcome("There is no workflow of that name.")
        return
    if turn.workflow is None or turn.workflow.name != saved.name:
        turn.workflow = saved
        yield DraftChanged(saved.name, saved.version, "Opened")
    yield Outcome(f"It is the current workflow now.\n{data(saved.name, saved.yaml)}")


async def _list_workflows(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    found = await acting.turn.house.workflows.list(acting.turn.owner)
    lines = "\n".join(f"- {item.name} (version {item.version}): {item.description}" for item in found)
    yield Outcome(data("workflows", lines) if lines else "There are no saved workflows.")


async def _list_runs(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    found = await acting.turn.house.engine.runs(owner=acting.turn.owner, limit=20)
    yield Outcome(data("runs", json.dumps(found, ensure_ascii=False)) if found else "There are no runs yet.")


async def _show_run(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    from chat.assistant.runs import find_run

    run = await find_run(acting.turn, args.get("run_id") or None)
    if run is None:
        yield Outcome("There is no such run.")
    else:
        yield Outcome(data("run", shorten(json.dumps(run, ensure_ascii=False), LONGEST_RESULT)))


async def _ask(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    options = [{"label": option, "value": option} for option in args.get("options") or []]
    yield Question(args["question"], options)
    yield Outcome("The person was asked.", ends=True)


_WORKFLOW = _text("Its name; left out, the current one", 120, default="")

ACTIONS: Mapping[str, Action] = {
    action.name: action
    for action in (
        Action(
            "write_workflow",
            "Write a new workflow and save it. For a change of the current one use edit_workflow.",
            {"yaml": _text("The whole YAML document", None), "summary": _SUMMARY, "then": _THEN},
            _write,
        ),
        Action(
            "edit_workflow",
            "Change the current workflow, or the draft that has problems, by small edits of its text.",
            {"edits": _EDITS, "summary": _SUMMARY, "then": _THEN},
            _edit,
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
            _use_example,
        ),
        Action("read_example", "Read an example's document.", {"name": _text("Its name", 80)}, _read_example),
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
                    "type": ["object", "null"],
                    "default": None,
                    "description": "For a long text in the person's message: copied by code, word for word",
                    "properties": {
                        "input": _text("The input that gets the text", 80),
                        "begins": _text("The first words of the text; empty for the whole message", 200),
                    },
                    "required": ["input", "begins"],
                    "additionalProperties": False,
                },
            },
            _run,
        ),
        Action(
            "open_workflow",
            "Make a saved workflow the current one and read its document.",
            {"workflow": _text("Its name", 120)},
            _open,
        ),
        Action("list_workflows", "List the person's saved workflows.", {}, _list_workflows),
        Action("list_runs", "List the last runs.", {}, _list_runs),
        Action(
            "show_run",
            "Read a run: its steps, outputs, tokens, cost, errors.",
            {"run_id": _text("Its id; left out, the last one of this conversation", 80, default="")},
            _show_run,
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
            _ask,
        ),
    )
}


def _flow_name(text: str) -> str | None:
    from engine.document import read_document

    document = read_document(text).data
    flow = document.get("flow") if isinstance(document, Mapping) else None
    return flow.get("name") if isinstance(flow, Mapping) else None


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


def action_list() -> str:
    """The actions in words, for a prompt."""
    return "\n".join(
        f"- {action.name}({'; '.join(starmap(_argument, action.arguments.items()))}): {action.description}"
        for action in ACTIONS.values()
    )


def _argument(name: str, schema: Mapping[str, Any]) -> str:
    return f"{name}{'?' if 'default' in schema else ''}: {schema.get('description', schema.get('type'))}"


def wrong_arguments(action: Action, args: Mapping[str, Any]) -> str | None:
    """One sentence when the arguments do not fit; None when they do."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(action.parameters).iter_errors(dict(args)))
    if error is None:
        return None
    where = "".join(f"[{part!r}]" for part in error.absolute_path)
    return f"The arguments of {action.name} do not fit: args{where}: {error.message[:300]}"
