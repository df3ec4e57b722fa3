"""Values of the state: checked against a type and converted, and shown in sentences.

Re-exported by `engine.types`; apart from it because a value knows nothing of how types are written.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.files import FILE_KEYS, is_file_id

if TYPE_CHECKING:
    from engine.types import Type

MAX_VALUE_DEPTH = 100


def convert(value: Any, type: Type, *, from_text: bool = False, enum: Sequence[Any] | None = None) -> Any:
    """The value as one of `type`, or ValueError with a plain sentence without a full stop.

    `from_text` is for what a person typed: "3" is an int, JSON text a list or dict, and the letter case of an
    `enum` is free. Without it only what loses nothing is converted: 3.0 to 3, 3 to 3.0, "yes" for a bool.
    """
    found = _convert(value, type, from_text, 0)
    return _one_of(found, enum, from_text) if enum else found


def _one_of(value: Any, enum: Sequence[Any], from_text: bool) -> Any:
    for allowed in enum:
        if value == allowed and isinstance(value, bool) == isinstance(allowed, bool):
            return allowed
    if from_text and isinstance(value, str):
        near = [a for a in enum if isinstance(a, str) and a.strip().casefold() == value.strip().casefold()]
        if len(near) == 1:
            return near[0]
    raise ValueError(f"{show(value)} is not one of {', '.join(show(a) for a in enum)}")


def _convert(value: Any, kind: Type, from_text: bool, depth: int) -> Any:
    if depth > MAX_VALUE_DEPTH:
        raise ValueError(f"the value is nested more than {MAX_VALUE_DEPTH} levels deep")
    return _CONVERTERS[kind.name](value, kind, from_text, depth)


def _to_str(value: Any, kind: Type, from_text: bool, depth: int) -> str:
    if isinstance(value, str):
        return value
    if from_text and isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(value)
    raise ValueError(f"{show(value)} is not text")


def _to_file(value: Any, kind: Type, from_text: bool, depth: int) -> dict[str, Any]:
    """A reference to a file, without what stands in it."""
    if from_text and isinstance(value, str):
        word = value.strip()
        value = _from_json(word, dict, "a file") if word.startswith("{") else {"file": word}
    if isinstance(value, Mapping) and is_file_id(value.get("file")):
        wanted = {key: int if key == "size" else str for key in FILE_KEYS}
        return {key: value[key] for key, plain in wanted.items() if isinstance(value.get(key), plain)}
    raise ValueError(f"{show(value)} is not a file: attach one, or on the command line write name=@PATH")


def _to_int(value: Any, kind: Type, from_text: bool, depth: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if from_text and isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,400}(\.0*)?", value.strip()):
        return int(value.strip().split(".")[0])
    raise ValueError(f"{show(value)} is not a whole number")


def _to_float(value: Any, kind: Type, from_text: bool, depth: int) -> float:
    if from_text and isinstance(value, str) and re.fullmatch(_NUMBER, value.strip()):
        value = float(value.strip())
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        if math.isfinite(found):
            return found
    raise ValueError(f"{show(value)} is not a number")


_NUMBER = r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,5})?"
_BOOLS = {"yes": True, "true": True, "no": False, "false": False}


def _to_bool(value: Any, kind: Type, from_text: bool, depth: int) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _BOOLS:
        return _BOOLS[value.strip().lower()]
    raise ValueError(f"{show(value)} is neither yes nor no (true or false)")


def _to_list(value: Any, kind: Type, from_text: bool, depth: int) -> list[Any]:
    if from_text and isinstance(value, str):
        value = _from_json(value, list, 'a list in JSON, such as ["a", "b"]')
    if not isinstance(value, list | tuple):
        raise ValueError(f"{show(value)} is not a list")
    return [_inside(f"element {n}", item, kind.item, from_text, depth + 1) for n, item in enumerate(value, 1)]


def _to_mapping(value: Any, kind: Type, from_text: bool, depth: int) -> dict[str, Any]:
    if from_text and isinstance(value, str):
        value = _from_json(value, dict, 'a set of named values in JSON, such as {"name": "Ada"}')
    if not isinstance(value, Mapping):
        raise ValueError(f"{show(value)} is not a set of named values")
    if kind.fields is not None:
        return _to_object(value, kind.fields, from_text, depth)
    key_type = kind.args[0] if kind.args else None
    found = {}
    for key, item in value.items():
        name = _key(key, key_type)
        found[name] = _inside(f"'{name}'", item, kind.item, from_text, depth + 1)
    return found


def _to_object(
    value: Mapping[Any, Any], fields: Mapping[str, Type], from_text: bool, depth: int
) -> dict[str, Any]:
    missing = [name for name in fields if name not in value]
    if missing:
        raise ValueError(f"'{missing[0]}' is missing")
    unknown = [key for key in value if key not in fields]
    if unknown:
        raise ValueError(f"{show(unknown[0])} is not one of the fields {', '.join(fields)}")
    return {
        name: _inside(f"'{name}'", value[name], inner, from_text, depth + 1) for name, inner in fields.items()
    }


def _key(key: Any, kind: Type | None) -> str:
    """Keys are text, as in JSON and so in the store; those of a `dict[int, …]` read as whole numbers."""
    text = key if isinstance(key, str) else json.dumps(key) if isinstance(key, int | float) else None
    if text is None:
        raise ValueError(f"{show(key)} can't be a key")
    if kind and kind.name in ("int", "float", "bool"):
        _inside("key", text, kind, True, 0)
    return text


def _to_any(value: Any, kind: Type, from_text: bool, depth: int) -> Any:
    if from_text and isinstance(value, str):
        try:
            found = _read_json(value) if value.lstrip()[:1] in ("[", "{") else value
        except ValueError:
            return value
        return found
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return _to_float(value, kind, False, depth)
    if isinstance(value, list | tuple):
        return _to_list(value, kind, False, depth)
    if isinstance(value, Mapping):
        return _to_mapping(value, kind, False, depth)
    raise ValueError(f"a {value.__class__.__name__} can't be kept in the state")


_CONVERTERS: Mapping[str, Callable[[Any, Type, bool, int], Any]] = {
    "str": _to_str, "file": _to_file, "int": _to_int, "float": _to_float, "bool": _to_bool,
    "list": _to_list, "dict": _to_mapping, "object": _to_mapping, "any": _to_any,
}  # fmt: skip


def _inside(where: str, value: Any, kind: Type, from_text: bool, depth: int) -> Any:
    try:
        return _convert(value, kind, from_text, depth)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _from_json(text: str, wanted: type, what: str) -> Any:
    try:
        found = _read_json(text)
    except ValueError:
        found = None
    if not isinstance(found, wanted):
        raise ValueError(f"{show(text)} is not {what}")
    return found


def _read_json(text: str) -> Any:
    """JSON as the standard has it: no NaN, no Infinity, no nesting without end. ValueError otherwise."""

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def show(value: Any) -> str:
    """A value for a sentence: text in single quotes, the rest as JSON, cut at 60 characters."""
    if isinstance(value, str):
        return f"'{_short(value)}'"
    try:
        return _short(json.dumps(value, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        return f"a {value.__class__.__name__}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
