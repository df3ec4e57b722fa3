"""What OpenAI's own server refuses, so that a test can't pass with a request that the real one turns down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_STRICT_KEYS = {
    *("type", "properties", "required", "items", "enum", "const", "anyOf", "$ref", "$defs", "title"),
    *("description", "additionalProperties", "pattern", "format", "minimum", "maximum", "multipleOf"),
    *("exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems"),
}


def fault(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The error for a request that breaks a rule, as fields of a Reply; None when it is right."""
    if not body.get("model") or not body.get("messages"):
        return {"message": "you must provide a model and messages", "code": "invalid_request_error"}
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema" and wanted["json_schema"].get("strict"):
        problem = strict_problem(wanted["json_schema"].get("schema"))
        if problem:
            message = f"Invalid schema for response_format '{wanted['json_schema'].get('name')}': {problem}"
            return {"message": message, "param": "response_format", "code": "invalid_json_schema"}
    if wanted.get("type") == "json_object" and "json" not in json.dumps(body["messages"]).lower():
        return {"message": "'messages' must contain the word 'json'", "param": "messages"}
    return None


def strict_problem(schema: Any, root: bool = True) -> str | None:
    """OpenAI's rules for strict schemas: every property required, nothing further, few keywords."""
    if not isinstance(schema, Mapping):
        return "schema must be an object"
    if root and schema.get("type") != "object":
        return "schema must have type 'object' at its root"
    unknown = sorted(set(schema) - _STRICT_KEYS)
    if unknown:
        return f"'{unknown[0]}' is not permitted"
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return "'additionalProperties' is required to be supplied and to be false"
        if set(schema.get("required", ())) != set(schema.get("properties", {})):
            return "'required' is required to be supplied and to include every key in properties"
    children = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    children += schema.get("anyOf", [])
    if "items" in schema:
        children.append(schema["items"])
    return next((p for p in (strict_problem(c, False) for c in children) if p), None)
