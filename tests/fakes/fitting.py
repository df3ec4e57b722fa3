"""A value that fits a JSON Schema: what the fake model answers when a test does not care which."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def fitting(schema: Mapping[str, Any], name: str = "value", root: Mapping[str, Any] | None = None) -> Any:
    """One value that fits `schema`; texts say their field's name, bools are true so that loops end."""
    root = schema if root is None else root
    if "$ref" in schema:
        return fitting(_resolve(schema["$ref"], root), name, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for union in ("anyOf", "oneOf"):
        if schema.get(union):
            return fitting({**schema[union][0]}, name, root)
    if schema.get("allOf"):
        merged = {key: value for part in schema["allOf"] for key, value in part.items()}
        return fitting(merged, name, root)
    return _of_kind(_kind(schema), schema, name, root)


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return next((k for k in kind if k != "null"), "null") if isinstance(kind, list) else kind


def _of_kind(kind: str, schema: Mapping[str, Any], name: str, root: Mapping[str, Any]) -> Any:
    if kind == "object":
        values = {k: fitting(v, k, root) for k, v in schema.get("properties", {}).items()}
        extra = schema.get("additionalProperties")
        if not values and isinstance(extra, Mapping):
            values["key"] = fitting(extra, "key", root)
        return values
    if kind == "array":
        count = max(1, schema.get("minItems", 1))
        count = min(count, schema.get("maxItems", count))
        return [fitting(schema.get("items", {}), f"{name} {i + 1}", root) for i in range(count)]
    if kind in ("integer", "number"):
        return _number(schema, kind)
    return {"boolean": True, "null": None}.get(kind) if kind in ("boolean", "null") else _text(schema, name)


def _number(schema: Mapping[str, Any], kind: str) -> Any:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + ("exclusiveMinimum" in schema))
    value = max(1, low) if "maximum" not in schema else min(max(1, low), schema["maximum"])
    return int(value) if kind == "integer" else float(value)


def _text(schema: Mapping[str, Any], name: str) -> str:
    text = f"the {name}"
    if "pattern" in schema and not re.search(schema["pattern"], text):
        candidates = ["a", "a1", "ab_c", "1", "2024-01-01", "A", "a@b.example", "https://example.com/"]
        text = next((c for c in candidates if re.search(schema["pattern"], c)), text)
    text = text.ljust(schema.get("minLength", 0), ".")
    return text[: schema.get("maxLength", len(text))]


def _resolve(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found
