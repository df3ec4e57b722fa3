"""From what a node gives back to writes of the state: by name or to the one output, converted to the field's type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.types import Type, convert
from engine.workflow import Field, Node, Workflow


class Misfit(ValueError):
    """A value that does not fit an output; a plain sentence. `field` is the output, `got` the value's type."""

    def __init__(self, message: str, field: str | None = None, got: str | None = None) -> None:
        super().__init__(message)
        self.about = {name: value for name, value in (("field", field), ("got", got)) if value is not None}


def writes_of(node: Node, workflow: Workflow, value: Any, *, lenient: bool = False) -> dict[str, Any]:
    """The node's writes. `lenient` is for what a model wrote: text is read as numbers and the like, a case of
    letters or a key too many does not matter. Misfit when a value does not fit its field.

    Fields that are reduced by appending get a list of what is added.
    """
    by_name = _by_name(node, value)
    if not lenient:
        return {name: _write(workflow.fields[name], item, lenient) for name, item in by_name.items()}
    return {name: _read(workflow.fields[name], item, node) for name, item in by_name.items()}


def write_of(field: Field, value: Any) -> Any:
    """What a model or a person might give, as a write of this field. Misfit when it does not fit."""
    return _write(field, value, lenient=True)


def _read(field: Field, value: Any, node: Node) -> Any:
    """A write of what a model wrote; one output that is no object may stand inside one, under its name."""
    try:
        return _write(field, value, lenient=True)
    except Misfit:
        if len(node.outputs) > 1 or not isinstance(value, Mapping) or field.name not in value:
            raise
    return _write(field, value[field.name], lenient=True)


def _write(field: Field, value: Any, lenient: bool) -> Any:
    try:
        return _converted(field, value, lenient)
    except ValueError as error:
        message = f"The output '{field.name}' does not fit: {error}."
        raise Misfit(message, field.name, type(value).__name__) from None


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
    if not lenient:
        return convert(value, type_, enum=enum)
    return convert(_pruned(value, type_), type_, from_text=type_.name != "any", enum=enum)


def _pruned(value: Any, type_: Type) -> Any:
    """The value without the keys that its objects do not have."""
    if type_.fields is not None and isinstance(value, Mapping):
        return {name: _pruned(value[name], inner) for name, inner in type_.fields.items() if name in value}
    if type_.name == "list" and isinstance(value, list):
        return [_pruned(item, type_.item) for item in value]
    if type_.name == "dict" and isinstance(value, Mapping):
        return {key: _pruned(item, type_.item) for key, item in value.items()}
    return value
