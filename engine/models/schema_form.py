"""A JSON Schema in the form in which a server takes it.

Vendors take a subset, with an object at the root. What they can't take is left out on the wire; the reply is
checked against the schema as it was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What OpenAI's strict mode knows beside the structure (platform.openai.com/docs/guides/structured-outputs).
_STRICT_KEYS = frozenset(
    [
        "type",
        "enum",
        "const",
        "description",
        "title",
        "pattern",
        "format",
        "$ref",
        "multipleOf",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "exclusiveMinimum",
        "exclusiveMaximum",
    ]
)
_SHAPES = frozenset({"type", "anyOf", "enum", "const", "$ref"})
_UNKNOWN_THERE = frozenset({"oneOf", "allOf", "not", "patternProperties", "if", "prefixItems"})
WRAP = "value"


@dataclass(frozen=True, slots=True)
class WireSchema:
    """A schema as it is sent. `wrapped` means that the value is inside {"value": …}."""

    schema: Mapping[str, Any]
    strict: bool
    wrapped: bool = False


class _NotStrict(Exception):
    """The schema can't be said in the strict subset."""


def for_vendor(schema: Mapping[str, Any]) -> WireSchema:
    """An object at the root, and the strict subset where the schema can be said in it."""
    wrapped = schema.get("type") != "object"
    rooted = _wrap(schema) if wrapped else schema
    try:
        return WireSchema(_strict(rooted), True, wrapped)
    except _NotStrict:
        return WireSchema(rooted, False, wrapped)


def for_grammar(schema: Mapping[str, Any], longest: int, most: int) -> WireSchema:
    """Every text of at most `longest` characters, every list of at most `most` items.

    For small models under a grammar made of the schema: without bounds they may never stop.
    """
    bounded: Mapping[str, Any] = _bounded(schema, longest, most)
    return WireSchema(bounded, strict=True)


def _wrap(schema: Mapping[str, Any]) -> dict[str, Any]:
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    rooted: dict[str, Any] = {
        "type": "object",
        "properties": {WRAP: inner},
        "required": [WRAP],
        "additionalProperties": False,
    }
    return {**rooted, "$defs": schema["$defs"]} if "$defs" in schema else rooted


def _strict(schema: Any) -> dict[str, Any]:
    """The schema in OpenAI's strict subset, maybe wider, never narrower. Raises _NotStrict."""
    if not isinstance(schema, Mapping) or not _SHAPES & set(schema) or _UNKNOWN_THERE & set(schema):
        raise _NotStrict
    result = {key: value for key, value in schema.items() if key in _STRICT_KEYS}
    if schema.get("type") == "object":
        result |= _strict_object(schema)
    if schema.get("type") == "array" or "items" in schema:
        result["items"] = _strict(schema.get("items"))
    if "anyOf" in schema:
        result["anyOf"] = [_strict(one) for one in schema["anyOf"]]
    if "$defs" in schema:
        result["$defs"] = {name: _strict(one) for name, one in schema["$defs"].items()}
    return result


def _strict_object(schema: Mapping[str, Any]) -> dict[str, Any]:
    """All properties required and no further ones: what OpenAI demands of each object."""
    properties = schema.get("properties") or {}
    open_ended = schema.get("additionalProperties") not in (None, False)
    if not properties or open_ended or set(schema.get("required", ())) != set(properties):
        raise _NotStrict
    inner = {name: _strict(one) for name, one in properties.items()}
    return {"properties": inner, "required": list(properties), "additionalProperties": False}


_MAPS = frozenset({"properties", "$defs"})
_INNER = frozenset({"items", "anyOf", "oneOf", "allOf", "additionalProperties", "prefixItems"})


def _bounded(schema: Any, longest: int, most: int) -> Any:
    if isinstance(schema, list):
        return [_bounded(item, longest, most) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _MAPS:
            result[key] = {name: _bounded(inner, longest, most) for name, inner in value.items()}
        else:
            result[key] = _bounded(value, longest, most) if key in _INNER else value
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if "string" in kinds and not {"enum", "const", "pattern", "format"} & set(schema):
        result["maxLength"] = min(schema.get("maxLength", longest), longest)
    if "array" in kinds:
        result["maxItems"] = min(schema.get("maxItems", most), most)
    return result
