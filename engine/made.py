"""Values that stand for what a dry run does not ask for: always the same for the same document, and of the right type.

A field's own default and the values that it allows come first; the rest is made of its name and type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.files import made_file
from engine.types import Type
from engine.workflow import MISSING, Field, Node, Workflow

SEVERAL = 2
"""How many elements a list has that is made up."""

_SIMPLE: Mapping[str, Any] = {"int": 1, "float": 1.0, "bool": True}
_KEYS: Mapping[str, str] = {"int": "1", "float": "1.0", "bool": "true"}


def made_value(field: Field) -> Any:
    """A value for a state field, as a node would give it."""
    if field.enum:
        return field.enum[0]
    if field.default is not MISSING and field.default not in (None, "", [], {}, 0, False):
        return field.default
    return of_type(field.type, field.name)


def of_type(kind: Type, name: str) -> Any:
    """A value of a type, which says in words what it stands for."""
    if kind.name in _SIMPLE:
        return _SIMPLE[kind.name]
    if kind.name == "list":
        return [_numbered(kind.item, name, number) for number in range(1, SEVERAL + 1)]
    if kind.fields is not None:
        return {key: of_type(inner, key) for key, inner in kind.fields.items()}
    if kind.name in ("dict", "object"):
        key = _KEYS.get(kind.args[0].name, "example") if kind.args else "example"
        return {key: of_type(kind.item, name)}
    if kind.name == "file":
        return made_file(name)
    return f"example of {name.replace('_', ' ')}"


def _numbered(kind: Type, name: str, number: int) -> Any:
    value = of_type(kind, name)
    if isinstance(value, str):
        return f"{value} {number}"
    return number if kind.name == "int" else float(number) if kind.name == "float" else value


def made_writes(node: Node, workflow: Workflow) -> dict[str, Any]:
    """What a node might write. An output schema that allows fewer values than the state's field rules."""
    enums = {}
    if node.output_schema is not None:
        enums = {each.name: each.enum for each in node.output_schema.fields if each.enum}
        if len(node.outputs) == 1 and node.output_schema.enum:
            enums[node.outputs[0]] = node.output_schema.enum
    return {name: enums[name][0] if name in enums else _write(workflow.fields[name]) for name in node.outputs}


def _write(field: Field) -> Any:
    if field.reduce == "append" and field.type.name == "list":
        return [of_type(field.type.item, field.name)]
    return made_value(field)


def made_inputs(workflow: Workflow, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values for the required inputs that are not given."""
    fields = (workflow.fields[name] for name in workflow.inputs)
    return {
        field.name: made_value(field) for field in fields if field.required and given.get(field.name) is None
    }
