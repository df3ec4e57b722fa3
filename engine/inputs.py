"""The inputs of a run: checked and converted before anything is stored."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from engine.errors import InputError
from engine.types import convert
from engine.workflow import MISSING, Field, Workflow


def read_inputs(workflow: Workflow, given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with their types. InputError names the first field that is unknown, missing or does not fit."""
    for name in given:
        if name not in workflow.inputs:
            raise _unknown(workflow, name)
    found: dict[str, Any] = {}
    for name in workflow.inputs:
        field = workflow.fields[name]
        if given.get(name) is None:
            if field.required:
                raise InputError(f"The input '{name}' is missing.", _wanted(field), name)
            if name not in given or field.default is not MISSING:
                continue
            found[name] = None
        else:
            found[name] = _converted(field, given[name])
    return found


def first_state(workflow: Workflow, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The state before the first node: inputs, defaults, null for the rest."""
    return {
        name: inputs.get(name, None if field.default is MISSING else field.default)
        for name, field in workflow.fields.items()
    }


def _converted(field: Field, value: Any) -> Any:
    try:
        return convert(value, field.type, from_text=True, enum=field.enum)
    except ValueError as error:
        raise InputError(
            f"The input '{field.name}' does not fit: {error}.", _wanted(field), field.name
        ) from None


def _wanted(field: Field) -> str:
    what = f"{field.name} is of type {field.type}"
    if field.enum:
        what += f", one of {', '.join(map(str, field.enum))}"
    return f"{what}: {field.description}" if field.description else f"{what}."


def _unknown(workflow: Workflow, name: str) -> InputError:
    known = ", ".join(workflow.inputs) or "none"
    if name in workflow.fields:
        return InputError(
            f"'{name}' is not an input of {workflow.name}: its nodes set it.",
            f"The inputs are: {known}. Add it to flow.inputs to pass it in.",
            name,
        )
    near = difflib.get_close_matches(name, workflow.inputs, n=1)
    meant = f"Did you mean '{near[0]}'? " if near else ""
    return InputError(f"There is no input '{name}'.", f"{meant}The inputs are: {known}.", name)
