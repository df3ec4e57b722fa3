"""From what a node gives back to writes of the state: by name or to the one output, converted to the field's type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.types import Type, convert
from engine.workflow import Field, Node, Workflow


class Misfit(ValueError):
    """A value that does not fit an output; a plain sentence."""


def writes_of(node: Node, workflow: Workflow, value: Any, *, lenient: bool = False) -> dict[str, Any]:
    """The node's writes. `lenient` reads text as numbers and the like, for what a model wrote. Misfit otherwise.

    Fields that are reduced by appending get a list of what is added.
    """
    found = {}
    for name, item in _by_name(node, value).items():
        field = workflow.fields[name]
        try:
            found[name] = _converted(field, item, lenient)
        except ValueError as error:
            raise Misfit(f"The output '{name}' does not fit: {error}.") from None
    return found


def _by_name(node: Node, value: Any) -> Mapping[str, Any]:
    outputs = node.outputs
    schema = node.output_schema
    if not outputs:
        return {}
    if schema is not None and schema.fields:
        return _of_fields(node, value, [f.name for f in schema.fields if f.name in outputs])
    if schema is None and isinstance(value, dict) and all(name in value for name in outputs):
        return {name: value[name] for name in outputs}
    if len(outputs) == 1:
        return {outputs[0]: value}
    return _of_fields(node, value, list(outputs))


def _of_fields(node: Node, value: Any, names: list[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Misfit(f"Values for {', '.join(names)} are needed by name; there is only one value.")
    missing = [name for name in names if name not in value]
    if missing:
        raise Misfit(
            f"The output '{missing[0]}' is missing; there is {', '.join(map(str, value)) or 'nothing'}."
        )
    return {name: value[name] for name in names}


def _converted(field: Field, value: Any, lenient: bool) -> Any:
    if field.reduce != "append" or field.type.name != "list":
        return _convert(value, field.type, lenient, field.enum)
    if isinstance(value, list):
        try:
            return _convert(value, field.type, lenient, field.enum)
        except ValueError:
            if field.type.item.name != "list":
                raise
    return [_convert(value, field.type.item, lenient, field.enum)]


def _convert(value: Any, type_: Type, lenient: bool, enum: tuple[Any, ...] | None) -> Any:
    return convert(value, type_, from_text=lenient and type_.name not in ("str", "any"), enum=enum)
