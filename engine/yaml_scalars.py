"""Plain scalars by the core schema of YAML 1.2: what PyYAML's own resolver would make of `yes`, `10:30`,
`2024-01-01` or `010` (a bool, 630, a date, 8) stays text here, as people and models mean it.
"""

from __future__ import annotations

import re
from typing import Any

MAX_DIGITS = 100

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

CORE_TAGS = {
    f"tag:yaml.org,2002:{name}": name for name in ("str", "int", "float", "bool", "null", "map", "seq")
}


def plain(text: str) -> Any:
    """The value of a scalar without quotes: null, a bool, an int, a float, or the text itself."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if text[0] not in "+-.0123456789" or len(text) > MAX_DIGITS:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "", 1)) if _SPECIAL.fullmatch(text) else text


def tagged(text: str, tag: str) -> Any:
    """The value of a scalar with an explicit core tag; ValueError where the text does not fit the tag."""
    name = CORE_TAGS[tag]
    if name == "str":
        return text
    value = plain(text)
    if name == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    wanted: dict[str, type] = {"int": int, "float": float, "bool": bool, "null": type(None)}
    if name not in wanted or type(value) is not wanted[name]:
        raise ValueError(f"'{text[:40]}' does not fit the tag !!{name}.")
    return value
