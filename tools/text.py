r"""text_template: fill the places `{name}` of a text with values.

In a workflow's `args` the engine fills `{state.x}` and a node's inputs before the tool is called. This tool
is for a template that is itself data (a field, a file, a page): its places are filled from `values`.
`{{name}}` stands for `{name}`; every other brace is text.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

from tools.errors import ToolError
from tools.tool import ToolContext, tool

_NAME = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d+\])*"
_PLACE = re.compile(rf"\{{(\{{{_NAME}\}})\}}|\{{({_NAME})\}}")
_STEP = re.compile(r"\.?([A-Za-z_]\w*)|\[(\d+)\]")


@tool(
    description="Fill the places {name}, {name.key} and {name[0]} of a text with values.",
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
        return kept if place is None else _as_text(_find(values, place))

    return _PLACE.sub(fill, args["template"])


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _find(values: Mapping[str, Any], place: str) -> Any:
    """Walk from `values` to the place's value. Raises ToolError that names the nearest name."""
    current: Any = values
    for match in _STEP.finditer(place):
        name, number = match.groups()
        if name is not None and isinstance(current, Mapping) and name in current:
            current = current[name]
        elif number is not None and isinstance(current, list) and int(number) < len(current):
            current = current[int(number)]
        else:
            raise ToolError(
                f"The template has the place {{{place}}}, but the values have nothing there.",
                _hint(current, name),
            )
    return current


def _hint(current: Any, name: str | None) -> str:
    known = sorted(current) if isinstance(current, Mapping) else []
    near = difflib.get_close_matches(name or "", known, n=1)
    if near:
        return f"Did you mean {near[0]}?"
    return f"There is: {', '.join(known)}." if known else "Give it in `values`."
