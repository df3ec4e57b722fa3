"""json_parse, yaml_parse, csv_parse: text into values that are plain JSON, with limits on size and depth.

YAML is read by version 1.2's core rules, so that `yes`, `10:30` and `2024-01-01` stay text.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from typing import Any

from tools.errors import ToolError
from tools.tool import ToolContext, tool

MAX_CHARS = 4 * 1024 * 1024
MAX_DEPTH = 50
MAX_VALUES = 200_000

_TEXT = {"type": "string", "maxLength": MAX_CHARS}


@tool(
    description="Read a text as JSON.",
    parameters={"text": {**_TEXT, "description": "The JSON text"}},
    returns="The value: an object, a list, a text, a number, true, false or null.",
)
async def json_parse(args: Mapping[str, Any], context: ToolContext) -> Any:
    text: str = args["text"]
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ToolError(
            f"The text is not JSON: line {error.lineno}, column {error.colno}: {error.msg}.",
            "Give the JSON alone, with no other words around it.",
        ) from None
    except RecursionError:
        raise _too_deep("JSON") from None
    return _within_limits(value, "JSON")


def _no_constant(name: str) -> None:
    raise ToolError(f"The text has {name}, which JSON does not know.", "Use null, or a number.")


@tool(
    description="Read a text as YAML (version 1.2's rules: yes, 10:30 and 2024-01-01 are text).",
    parameters={"text": {**_TEXT, "description": "The YAML text, one document"}},
    returns="The value: an object, a list, a text, a number, true, false or null.",
)
async def yaml_parse(args: Mapping[str, Any], context: ToolContext) -> Any:
    import yaml

    text: str = args["text"]
    try:
        _check_nesting(text)
        value = yaml.load(text, Loader=_core_loader())  # noqa: S506 - a SafeLoader with fewer rules
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ToolError(f"The text is not YAML: {where}{error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise ToolError(f"The text is not YAML: {error}.") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolError(f"The text is YAML, but not plain data: {error}.") from None
    return _within_limits(value, "YAML")


def _check_nesting(text: str) -> None:
    """libyaml composes by recursion in C: deep nesting would kill the process, so it is refused before."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _too_deep("YAML")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


_CORE_RULES = (
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("tag:yaml.org,2002:int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"^[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*|(?=[eE])))(?:[eE][-+]?[0-9]+)?$",
        list("-+.0123456789"),
    ),
)


def _core_loader() -> type[Any]:
    import yaml

    base: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader: type[Any] = type("CoreLoader", (base,), {"yaml_implicit_resolvers": {}})
    for tag, pattern, first in _CORE_RULES:
        loader.add_implicit_resolver(tag, re.compile(pattern), first)
    return loader


@tool(
    description="Read a text as a table of comma-separated values. The separator (, ; | tab) is guessed.",
    parameters={
        "text": {**_TEXT, "description": "The table; its first line names the columns"},
        "delimiter": {
            "type": ["string", "null"],
            "minLength": 1,
            "maxLength": 1,
            "default": None,
            "description": "The separator, when it must not be guessed",
        },
    },
    returns="A list with one object per row: column name to text; a cell that is missing is null.",
)
async def csv_parse(args: Mapping[str, Any], context: ToolContext) -> Any:
    text: str = args["text"].removeprefix("\ufeff")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=args.get("delimiter") or _delimiter(text))
    try:
        filled = [row for row in rows if row]
    except csv.Error as error:
        raise ToolError(f"The text is not a table of comma-separated values: {error}.") from None
    if not filled:
        return []
    columns = _column_names(filled[0])
    result = []
    for number, row in enumerate(filled[1:], start=2):
        if len(row) > len(columns):
            raise ToolError(
                f"Row {number} has {len(row)} cells, but the first row names {len(columns)} columns.",
                "Put cells that contain the separator into quotes, or give the delimiter.",
            )
        cells: list[str | None] = [*row, *[None] * (len(columns) - len(row))]
        result.append(dict(zip(columns, cells, strict=True)))
    return _within_limits(result, "CSV")


def _delimiter(text: str) -> str:
    """The separator that the first line has most of; a comma where it has none."""
    first = text.lstrip("\r\n").partition("\n")[0]
    return max(",;\t|", key=first.count)


def _column_names(header: list[str]) -> list[str]:
    """Column names, trimmed; an empty one becomes column_N, a repeated one gets _2, _3 …"""
    names: list[str] = []
    for index, cell in enumerate(header, start=1):
        base = cell.strip() or f"column_{index}"
        name, count = base, 1
        while name in names:
            count += 1
            name = f"{base}_{count}"
        names.append(name)
    return names


def _within_limits(value: Any, kind: str) -> Any:
    """The value itself. Aliases are counted as often as they are used, so that they can't blow it up."""
    count, level = 0, [value]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return value
        count += len(level)
        if count > MAX_VALUES:
            raise ToolError(f"The {kind} has more than {MAX_VALUES:,} values.", "Cut it into smaller parts.")
        level = [child for item in level for child in _children(item, kind)]
    raise _too_deep(kind)


def _children(item: Any, kind: str) -> list[Any]:
    if isinstance(item, list):
        return item
    if not isinstance(item, dict):
        if item is None or isinstance(item, (str, int, float, bool)):
            return []
        raise ToolError(
            f"The {kind} has a value of the type {type(item).__name__}.", "Use plain values only."
        )
    for key in item:
        if not isinstance(key, str):
            raise ToolError(f"The {kind} has the key {key!r}, which is no text.", "Put the key into quotes.")
    return list(item.values())


def _too_deep(kind: str) -> ToolError:
    return ToolError(f"The {kind} is nested more than {MAX_DEPTH} levels deep.", "Give a flatter text.")
