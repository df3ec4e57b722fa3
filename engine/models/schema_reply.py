"""A reply that was asked for as JSON: found in the text, checked, and complained of in a sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_FENCE = re.compile(r"```[\w-]*\s*\n(.*?)```", re.DOTALL)
_PLAIN = ("string", "boolean")
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)


def read(text: str, schema: Mapping[str, Any], wrapped: bool) -> tuple[Any, str | None]:
    """The value in a reply and what is wrong with it: (value, None) or (None, a sentence for the model)."""
    found = values(text, schema, wrapped)
    if not found:
        return None, "The reply has no JSON value in it."
    first_problem: str | None = None
    for value in found:
        problem = misfit(value, schema)
        if problem is None:
            return value, None
        first_problem = first_problem or problem
    return None, first_problem


def values(text: str, schema: Mapping[str, Any], wrapped: bool) -> list[Any]:
    """What may be meant as the value, the likeliest first."""
    found = _candidates(_THOUGHT.sub("", text).strip(), schema)
    return [value for candidate in found for value in _unwrapped(candidate, wrapped)]


def misfit(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Why a value does not fit a schema, in one sentence; None when it does."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(value))
    if error is None:
        return None
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path).lstrip(".")
    said = error.message if len(error.message) <= 300 else f"{error.message[:300]} …"
    return f"{where or 'The value'}: {said}." if where else f"The JSON does not fit: {said}."


def _candidates(text: str, schema: Mapping[str, Any]) -> list[Any]:
    """JSON values in a text: all of it, a fenced block, or what stands among other words; longest first."""
    for whole in (text, *(block.strip() for block in _FENCE.findall(text))):
        try:
            return [json.loads(whole)]
        except ValueError:
            continue
    found = sorted(_embedded_values(text), key=lambda pair: pair[0], reverse=True)
    inside = [value for _, value in found]
    # A model that is asked for one text often leaves out the quotes; to a question it says yes.
    return [*inside, text] if schema.get("type") in _PLAIN and text else inside


def _embedded_values(text: str) -> list[tuple[int, Any]]:
    """(length, value) of the objects and lists in a text, none inside another."""
    decoder, found, position = json.JSONDecoder(), [], 0
    for match in re.finditer(r"[{\[]", text):
        if match.start() < position:
            continue
        try:
            value, end = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        found.append((end - match.start(), value))
        position = end
    return found


def _unwrapped(value: Any, wrapped: bool) -> list[Any]:
    """What may have been meant: a single value often comes under a name, the one asked for or another."""
    if wrapped and isinstance(value, dict) and len(value) == 1:
        return [*value.values(), value]
    return [value]
