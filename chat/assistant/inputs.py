"""Inputs of a run from what a person or a model said: typed by the workflow's fields, the missing ones asked
for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chat.assistant.render import title
from chat.events import Question
from engine.types import convert

if TYPE_CHECKING:
    from chat.gallery import Gallery
    from chat.turns import CurrentWorkflow
    from engine.workflow import Field, Workflow


MOST_OFFERED = 4  # files


@dataclass
class Inputs:
    """Values for a run so far, by field. `wrong` says what can't be used, by field."""

    values: dict[str, Any] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)


def read_inputs(workflow: Workflow, given: Mapping[str, Any]) -> Inputs:
    """Convert what was given; unknown names and wrong values are told, not dropped."""
    found = Inputs()
    for name, value in given.items():
        if name not in workflow.inputs:
            known = ", ".join(workflow.inputs)
            found.wrong[name] = f"{workflow.name} has no input {name}; it has {known}"
            continue
        try:
            found.values[name] = from_words(workflow.fields[name], value)
        except ValueError as error:
            found.wrong[name] = str(error)
    return found


def from_words(kind: Field, value: Any) -> Any:
    """A value as one of the field's type. A person's list may be lines, or commas. ValueError says what is
    wrong.
    """
    if isinstance(value, str) and kind.type.name == "list" and not value.lstrip().startswith("["):
        value = _items(value)
    if isinstance(value, str) and kind.type.name == "bool":
        value = value.strip().lower().rstrip(".!")
    if kind.enum and isinstance(value, str):
        value = value.strip().rstrip(".!")
    return convert(value, kind.type, from_text=True, enum=kind.enum)


def _items(text: str) -> list[str]:
    parts = text.splitlines() if "\n" in text.strip() else re.split(r"[,;]", text)
    return [item for part in parts if (item := re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+", "", part).strip())]


def missing(workflow: Workflow, values: Mapping[str, Any]) -> list[str]:
    """The required inputs that nothing was said of, in the workflow's order."""
    return [n for n in workflow.inputs if workflow.fields[n].required and values.get(n) in (None, "")]


def ask_for(
    saved: CurrentWorkflow,
    workflow: Workflow,
    values: Mapping[str, Any],
    gallery: Gallery,
    note: str = "",
    files: Sequence[Mapping[str, Any]] = (),
) -> Question:
    """The question for the first missing input. What is known rides along, so a restart loses nothing.

    `files` are those of the conversation, any of which may be the answer.
    """
    name = missing(workflow, values)[0]
    wanted = workflow.fields[name]
    about = wanted.description or title(name)
    text = f"{note}What is `{name}`? {about}{_how(wanted)}"
    return Question(
        text,
        _file_options(files) if wanted.type.name == "file" else _options(saved.name, wanted, gallery),
        {"kind": "input", "workflow": saved.name, "field": name, "inputs": dict(values)},
    )


def _how(wanted: Field) -> str:
    if wanted.type.name == "list":
        return " (one per line)"
    if wanted.type.name == "file":
        return " (attach a file to your next message)"
    return {"int": " (a whole number)", "float": " (a number)"}.get(wanted.type.name, "")


def _file_options(files: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The last files that were attached, the newest first."""
    numbered = list(enumerate(files, 1))[-MOST_OFFERED:]
    return [{"label": str(part["name"]), "value": f"file {number}"} for number, part in reversed(numbered)]


def _options(workflow: str, wanted: Field, gallery: Gallery) -> list[dict[str, str]]:
    if wanted.enum:
        return [{"label": str(value), "value": str(value)} for value in wanted.enum]
    if wanted.type.name == "bool":
        return [{"label": "yes", "value": "yes"}, {"label": "no", "value": "no"}]
    example = gallery.of(workflow)
    sample = example.inputs.get(wanted.name) if example else None
    if isinstance(sample, list):
        sample = "\n".join(map(str, sample))
    return [{"label": "Use the sample", "value": str(sample)}] if sample else []
