"""The types of state fields: parsing `list[str]`, checking and converting values, JSON Schema for models.

One small recursive record serves all of it, so that what a model is asked for, what an input may be and what
the state holds can never differ.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.values import convert, show

__all__ = ["ANY", "SIMPLE", "Type", "TypeSyntaxError", "convert", "nearest_type", "parse_type", "show"]

SIMPLE = ("str", "int", "float", "bool", "list", "dict", "object", "any", "file")
MAX_DEPTH = 20
MAX_TEXT = 100_000
"""How long a string may be in a schema for a model: without a bound a small one may not stop."""

_SYNONYMS = {
    "string": "str", "text": "str", "integer": "int", "long": "int", "number": "float", "double": "float",
    "decimal": "float", "boolean": "bool", "array": "list", "set": "list", "tuple": "list", "map": "dict",
    "mapping": "dict", "json": "any", "record": "object", "path": "file",
}  # fmt: skip
_TOKEN = re.compile(r"\s*([A-Za-z_][\w-]*|[\[\],])")


class TypeSyntaxError(ValueError):
    """Text that names no type. `suggestion` is the whole text put right, None where nothing is certain."""

    def __init__(self, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion


@dataclass(frozen=True, slots=True)
class Type:
    """A type: `args` of a list (one) or dict (key, value), `fields` of an object whose insides are known."""

    name: str
    args: tuple[Type, ...] = ()
    fields: Mapping[str, Type] | None = field(default=None, hash=False)

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(map(str, self.args))}]" if self.args else self.name

    @property
    def item(self) -> Type:
        """The type of a list's elements or a dict's values; `any` where nothing is said."""
        return self.args[-1] if self.args else ANY

    def json_schema(
        self, enum: Sequence[Any] | None = None, description: str = "", max_text: int = MAX_TEXT
    ) -> dict[str, Any]:
        """The JSON Schema of a value of this type. Strings carry `maxLength` unless `enum` bounds them."""
        schema = _json_schema(self, max_text)
        if enum:
            schema.pop("maxLength", None)
            schema["enum"] = list(enum)
        return {**schema, "description": description} if description else schema

    def accepts(self, other: Type) -> bool:
        """Whether a value of type `other` can stand where this type is asked for; in doubt True."""
        if "any" in (self.name, other.name):
            return True
        if {self.name, other.name} <= {"dict", "object"}:
            return _accepts_mapping(self, other)
        if self.name == other.name == "list":
            return self.item.accepts(other.item)
        return self.name == other.name or (self.name, other.name) in _WIDENINGS

    @property
    def holds_files(self) -> bool:
        """Whether a value of this type can be a file, or have one inside."""
        inside = (*self.args, *(self.fields or {}).values())
        return self.name == "file" or any(inner.holds_files for inner in inside)

    def at(self, path: Sequence[str | int]) -> Type | None:
        """The type found by following `.name` and `[n]` from here; None where nothing can be there."""
        found: Type | None = self
        for step in path:
            found = _step(found, step) if found else None
        return found


ANY = Type("any")
# An int is a float without a fraction.
_WIDENINGS = frozenset({("float", "int")})
FILE_PARTS: Mapping[str, Type] = {
    "name": Type("str"), "media_type": Type("str"), "size": Type("int"), "text": Type("str"),
}  # fmt: skip
"""What can be looked up in a file."""


def _accepts_mapping(own: Type, other: Type) -> bool:
    if own.fields is not None and other.fields is not None:
        return all(k in other.fields and t.accepts(other.fields[k]) for k, t in own.fields.items())
    if own.fields is not None:
        return all(t.accepts(other.item) for t in own.fields.values())
    if other.fields is not None:
        return all(own.item.accepts(t) for t in other.fields.values())
    return own.item.accepts(other.item)


def _step(found: Type, step: str | int) -> Type | None:
    if found.name == "any":
        return ANY
    if found.name == "list":
        return found.item if isinstance(step, int) else None
    if found.name == "file":
        return FILE_PARTS.get(str(step))
    if found.name == "object" and found.fields is not None:
        return found.fields.get(step) if isinstance(step, str) else None
    if found.name in ("dict", "object"):
        return found.item
    return None


# --- parsing ----------------------------------------------------------------------------------------------


def parse_type(text: str) -> Type:
    """Read `str`, `list[int]`, `dict[str, list[any]]`. TypeSyntaxError names the nearest type."""
    tokens = _tokens(text)
    try:
        found, rest = _parse(tokens, 0)
    except _NoType as error:
        raise TypeSyntaxError(error.message, _mended(text)) from None
    if rest != len(tokens):
        raise TypeSyntaxError(f"{show(text)} has something after the type.", _mended(text))
    return found


class _NoType(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise TypeSyntaxError(f"{show(text)} is not a type. {_EXAMPLES}", _mended(text))
        tokens.append(match.group(1))
        position = match.end()
    return tokens


_EXAMPLES = f"Types are {', '.join(SIMPLE)}, list[str] and dict[str, int]."


def _parse(tokens: list[str], start: int, depth: int = 1) -> tuple[Type, int]:
    if depth > MAX_DEPTH:
        raise _NoType(f"The type is nested more than {MAX_DEPTH} levels deep.")
    if start >= len(tokens) or tokens[start] in "[],":
        raise _NoType(f"A type is missing. {_EXAMPLES}")
    name = tokens[start]
    if name not in SIMPLE:
        near = nearest_type(name)
        raise _NoType(f"'{name}' is not a type. " + (f"Did you mean {near}?" if near else _EXAMPLES))
    if start + 1 >= len(tokens) or tokens[start + 1] != "[":
        return Type(name), start + 1
    return _parse_args(name, tokens, start + 2, depth)


def _parse_args(name: str, tokens: list[str], start: int, depth: int) -> tuple[Type, int]:
    args, position = [], start
    while True:
        arg, position = _parse(tokens, position, depth + 1)
        args.append(arg)
        if position >= len(tokens) or tokens[position] not in "],":
            raise _NoType(f"A closing ] is missing after '{name}['.")
        position += 1
        if tokens[position - 1] == "]":
            break
    if name == "list" and len(args) == 1:
        return Type("list", tuple(args)), position
    if name == "dict" and len(args) == 2:
        if args[0].name not in ("str", "int", "float", "bool"):
            raise _NoType(f"The keys of a dict can't be {args[0]}. Write dict[str, {args[1]}].")
        return Type("dict", tuple(args)), position
    wanted = {"list": "list takes one type, as in list[str]", "dict": "dict takes two, as in dict[str, int]"}
    raise _NoType(wanted.get(name, f"{name} takes nothing in brackets") + ".")


def nearest_type(name: str) -> str | None:
    """The type a person most likely meant by `name`, None where nothing is near."""
    low = name.lower()
    if low in SIMPLE or low in _SYNONYMS:
        return _SYNONYMS.get(low, low)
    near = difflib.get_close_matches(low, [*SIMPLE, *_SYNONYMS], n=1, cutoff=0.7)
    return _SYNONYMS.get(near[0], near[0]) if near else None


def _mended(text: str) -> str | None:
    """The text with every name replaced by the nearest type, if that reads as a type."""
    mended = re.sub(r"[A-Za-z_]\w*", lambda m: nearest_type(m.group()) or m.group(), text.strip())
    mended = mended.replace("<", "[").replace(">", "]")
    if mended.endswith("[]"):
        mended = f"list[{mended[:-2]}]"
    if mended == text.strip() or len(mended) > 200:
        return None
    try:
        tokens = [t for t in re.split(r"\s*([\[\],])\s*|\s+", mended) if t]
        found, rest = _parse(tokens, 0)
    except _NoType:
        return None
    return str(found) if rest == len(tokens) else None


# --- JSON Schema ------------------------------------------------------------------------------------------


def _json_schema(kind: Type, max_text: int) -> dict[str, Any]:
    if kind.name == "str":
        return {"type": "string", "maxLength": max_text}
    if kind.name == "file":
        return dict(_FILE_SCHEMA)
    if kind.name in _JSON_NAMES:
        return {"type": _JSON_NAMES[kind.name]}
    if kind.name == "list":
        return {"type": "array", "items": _json_schema(kind.item, max_text)}
    if kind.fields is not None:
        properties = {name: _json_schema(inner, max_text) for name, inner in kind.fields.items()}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    if kind.name in ("dict", "object"):
        return {"type": "object", "additionalProperties": _json_schema(kind.item, max_text)}
    scalars = [
        {"type": "string", "maxLength": max_text},
        *({"type": t} for t in ("number", "boolean", "null")),
    ]
    several = [{"type": "array"}, {"type": "object"}]
    return {"anyOf": [*scalars, *several]}


_FILE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"file": {"type": "string", "maxLength": 32}},
    "required": ["file"],
    "additionalProperties": False,
}
_JSON_NAMES = {"int": "integer", "float": "number", "bool": "boolean"}
