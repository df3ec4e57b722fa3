"""A node that asks a person, and what an answer must be like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import NodeError
from engine.nodes.outputs import Misfit
from engine.nodes.step import Question, Step
from engine.templates import as_text
from engine.types import Type, convert, show
from engine.workflow import Field, Node, Workflow

_YES = {"approve": True, "yes": True, "true": True, "reject": False, "no": False, "false": False}


async def run(step: Step) -> Mapping[str, Any]:
    """Put the question, once; the answer in the output. Raises Parked until there is one."""
    node = step.node
    text = as_text(node.ask.render(step.lookup)) if node.ask else ""
    question = Question(text, "ask", options_of(step), node.default, node.timeout)
    value = await step.host.wait(step, step.path, question)
    try:
        return answer_writes(node, step.workflow, question.options, value)
    except Misfit as error:  # the document's default: what a person says is looked at before it is stored
        raise NodeError(
            node.id, str(error), "Correct its `default`.", fault={"code": "bad_default"}
        ) from None


def options_of(step: Step) -> tuple[str, ...]:
    """What can be answered; nothing for free text."""
    found = step.node.options.render(step.lookup) if step.node.options else []
    if found is None:
        return ()
    return tuple(map(option_text, found)) if isinstance(found, list | tuple) else (option_text(found),)


def option_text(value: Any) -> str:
    """An option as a person reads it: true is `true`."""
    return str(value).lower() if isinstance(value, bool) else as_text(value)


def answer_writes(node: Node, workflow: Workflow, options: Sequence[str], value: Any) -> dict[str, Any]:
    """What an answer writes. Misfit, saying what fits, for one that does not."""
    if options:
        value = _chosen(options, value)
    if not node.outputs:
        return {}
    field = workflow.fields[node.outputs[0]]
    return {field.name: _as_field(field, value)}


def answer_value(node: Node, workflow: Workflow, options: Sequence[str], value: Any) -> Any:
    """An answer as it is kept: the option that was chosen, or the value as the output takes it. Misfit."""
    writes = answer_writes(node, workflow, options, value)
    return _chosen(options, value) if options else next(iter(writes.values()), value)


def _chosen(options: Sequence[str], value: Any) -> str:
    """The option that is meant: in any case of letters; a bool is the one that says the same."""
    text = option_text(value).strip()
    for option in options:
        if option == text:
            return option
    same = [option for option in options if option.casefold() == text.casefold()]
    if not same and text.casefold() in _YES:
        same = [o for o in options if _YES.get(o.casefold()) is _YES[text.casefold()]]
    if len(same) != 1:
        raise Misfit(f"{show(value)} is none of the answers. They are: {', '.join(options)}.")
    return same[0]


def _as_field(field: Field, value: Any) -> Any:
    appends = field.reduce == "append" and field.type.name == "list"
    try:
        if appends and not isinstance(value, list):
            return [_converted(field.type.item, field.enum, value)]
        return _converted(field.type, field.enum, value)
    except ValueError as error:
        raise Misfit(f"The answer does not fit: {error}.") from None


def _converted(type_: Type, enum: tuple[Any, ...] | None, value: Any) -> Any:
    if type_.name == "bool" and isinstance(value, str) and value.strip().casefold() in _YES:
        value = _YES[value.strip().casefold()]
    return convert(value, type_, from_text=type_.name != "any", enum=enum)
