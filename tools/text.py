r"""text_template: fill the places `{name}` of a text with values.

In a workflow's `args` the engine fills `{state.x}` and a node's inputs before the tool is called. This tool
is for a template that is itself data (a field, a file, a page), so braces may come from anywhere: only what
names a value is a place, everything else is text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tools.tool import ToolContext, tool

_NAME = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d{1,9}\])*"
_PLACE = re.compile(rf"\{{\{{({_NAME})\}}\}}|\{{({_NAME})\}}")
_STEP = re.compile(r"\.?([A-Za-z_]\w*)|\[(\d+)\]")
_NOTHING = object()


@tool(
    description=(
        "Fill the places {name}, {name.key} and {name[0]} of a text with values. A brace that names no value "
        "stays as it is, and so does the whole text without values; {{name}} stands for {name}."
    ),
    parameters={
        "template": {"type": "string", "maxLength": 1_000_000, "description": "The text with its places"},
        "values": {"type": "object", "default": {}, "description": "Name to value"},
    },
    returns="The filled text. A text stands as it is, null as nothing, anything else as compact JSON.",
)
async def text_template(args: Mapping[str, Any], context: ToolContext) -> Any:
    values: Mapping[str, Any] = args.get("values") or {}

    def fill(match: re.Match[str]) -> str:
        kept, place = match.groups()
        found = _find(values, kept or place)
        if found is _NOTHING:
            return match.group()
        return f"{{{kept}}}" if kept else _as_text(found)

    return _PLACE.sub(fill, args["template"]) if values else args["template"]


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _find(values: Mapping[str, Any], place: str) -> Any:
    """The value of a place, _NOTHING where it leads nowhere."""
    current: Any = values
    for match in _STEP.finditer(place):
        name, number = match.groups()
        if name is not None and isinstance(current, Mapping) and name in current:
            current = current[name]
        elif number is not None and isinstance(current, list) and int(number) < len(current):
            current = current[int(number)]
        else:
            return _NOTHING
    return current
