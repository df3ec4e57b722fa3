"""The JSON Schema of the format applied to a document, with its errors said as problems a person can act on.

The schema is plain data in `configs/workflow.schema.json`. It is laid out so that jsonschema always goes down
one branch (`if` a node has `tool`, `then` it is a tool node), so an error is never "not valid under any of
the given schemas".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from engine.document import Document
from engine.problems import Problem
from engine.types import Type, TypeSyntaxError, parse_type
from engine.workflow import Kind

SCHEMA_FILE = Path(__file__).resolve().parent.parent / "configs" / "workflow.schema.json"

KIND_KEYS: Mapping[str, Kind] = {
    "code": "code",
    "tool": "tool",
    "ask": "ask",
    "workflow": "subflow",
    "agent": "agent",
    "prompt": "llm",
}
"""The key that makes a node's kind, strongest first: with `code`, a `prompt` is only a description."""


@cache
def load_schema() -> dict[str, Any]:
    """The schema as data; callers must not change it."""
    found: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return found


def node_kind(node: Mapping[str, Any]) -> Kind | None:
    """The kind of a node's data, None where no key tells it."""
    return next((kind for key, kind in KIND_KEYS.items() if node.get(key) is not None), None)


@lru_cache(maxsize=4096)
def cached_type(text: str) -> Type:
    """`parse_type`, remembered. TypeSyntaxError."""
    return parse_type(text)


@cache
def validator() -> Any:
    """The jsonschema validator of the format; numbers must be finite, and type names are looked into."""
    from jsonschema import Draft202012Validator, FormatChecker, validators

    checker = Draft202012Validator.TYPE_CHECKER.redefine_many({"number": _is_number, "integer": _is_integer})
    formats = FormatChecker(formats=())
    formats.checks("workflow-type", raises=TypeSyntaxError)(_is_type)
    extend: Any = validators.extend
    made = extend(Draft202012Validator, type_checker=checker)
    return made(_inlined(load_schema(), ()), format_checker=formats)


def _inlined(schema: Any, within: tuple[str, ...]) -> Any:
    """The schema with every `$ref` replaced by what it leads to, save those that lead into themselves.

    Following a reference is a third of jsonschema's time.
    """
    if isinstance(schema, list):
        return [_inlined(item, within) for item in schema]
    if not isinstance(schema, dict):
        return schema
    target = str(schema.get("$ref", "")).rpartition("/")[2]
    if target in within:
        return schema
    if target:
        return _inlined({**load_schema()["$defs"][target], **_without_ref(schema)}, (*within, target))
    return {key: value if key == "$defs" else _inlined(value, within) for key, value in schema.items()}


def _without_ref(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "$ref"}


def _is_number(_: Any, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(_: Any, value: Any) -> bool:
    return _is_number(_, value) and (isinstance(value, int) or value.is_integer())


def _is_type(value: Any) -> bool:
    return not isinstance(value, str) or bool(cached_type(value))


def findings(document: Document) -> list[Problem]:
    """Every way in which the document does not fit the schema, in the order of the lines. Never raises."""
    if not isinstance(document.data, dict):
        return []
    from engine.schema_findings import Finder

    finder = Finder(document)
    for error in validator().iter_errors(document.data):
        finder.take(error)
    return finder.found()


# --- marked keys ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Marked:
    """A key that is not available yet (`later`: how grave that is) or not used any more (`instead`)."""

    path: tuple[str | int, ...]
    later: Literal["error", "warning"] | None = None
    instead: str | None = None


def marked_keys(data: Any) -> Iterator[Marked]:
    """The keys (and kinds of nodes) in a document's data that the schema marks `x-later` or `deprecated`."""
    yield from _marked(data, load_schema(), ())


def resolve(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with its `$ref` followed; what stands beside the `$ref` goes before what it leads to."""
    target = schema.get("$ref")
    if not target:
        return dict(schema)
    return {**resolve(load_schema()["$defs"][target.rpartition("/")[2]]), **schema}


def node_schema(node: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a node's kind, the keys of every kind included."""
    key = next((key for key in KIND_KEYS if key in node), "prompt")
    common, own = load_schema()["$defs"]["node"], load_schema()["$defs"][f"{key}_node"]
    return {**own, "properties": {**own["properties"], **common["properties"]}}


def _marked(data: Any, schema: Mapping[str, Any], path: tuple[str | int, ...]) -> Iterator[Marked]:
    schema = resolve(schema)
    if schema.get("title") == "a node" and isinstance(data, dict):
        schema = node_schema(data)
        if "x-later" in schema:
            key = next(key for key in KIND_KEYS if key in data)
            yield Marked((*path, key), later=schema["x-later"])
    if isinstance(data, dict):
        for key, value in data.items():
            below = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
            if isinstance(below, Mapping) and value is not None:
                yield from _mark(value, resolve(below), (*path, key))
    elif isinstance(data, list) and "items" in schema:
        for index, item in enumerate(data):
            yield from _marked(item, schema["items"], (*path, index))


def _mark(value: Any, schema: Mapping[str, Any], path: tuple[str | int, ...]) -> Iterator[Marked]:
    if schema.get("deprecated") or "x-later" in schema:
        instead = schema.get("x-instead") if schema.get("deprecated") else None
        yield Marked(path, schema.get("x-later"), instead)
    else:
        yield from _marked(value, schema, path)
