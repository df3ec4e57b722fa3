"""What the property tests of the format draw from: JSON values, types and their values, texts that bite."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from engine.types import Type

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,7}", fullmatch=True)
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp", "Co", "Cn")), max_size=20
)
NUMBERS = st.one_of(
    st.integers(-(10**12), 10**12), st.floats(allow_nan=False, allow_infinity=False, width=32)
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
SIGNS = st.text(alphabet="{}[]()'\"#&*!|>%@`-:,?. \t\n\r\\$=<>~/ab01_éß\u2028😀state", max_size=60)
"""Text made of the signs that mean something in YAML, in templates or in conditions."""

_SIMPLE: dict[str, st.SearchStrategy[Any]] = {
    "str": TEXTS,
    "file": st.text("0123456789abcdef", min_size=32, max_size=32).map(lambda id: {"file": id}),
    "int": st.integers(-(10**9), 10**9),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "any": JSON,
    "list": st.lists(JSON, max_size=3),
    "dict": st.dictionaries(TEXTS, JSON, max_size=3),
    "object": st.dictionaries(TEXTS, JSON, max_size=3),
}


def _list_of(inner: Type) -> Type:
    return Type("list", (inner,))


def _dict_of(inner: Type) -> Type:
    return Type("dict", (Type("str"), inner))


TYPES = st.recursive(
    st.sampled_from(list(_SIMPLE)).map(Type),
    lambda inner: st.one_of(
        inner.map(_list_of),
        inner.map(_dict_of),
        st.dictionaries(NAMES, inner, min_size=1, max_size=3).map(
            lambda fields: Type("object", fields=fields)
        ),
    ),
    max_leaves=5,
)


def values_of(kind: Type) -> st.SearchStrategy[Any]:
    """Values that a type accepts as they are."""
    if kind.fields is not None:
        return st.fixed_dictionaries({name: values_of(inner) for name, inner in kind.fields.items()})
    if kind.name == "list" and kind.args:
        return st.lists(values_of(kind.item), max_size=3)
    if kind.name == "dict" and kind.args:
        return st.dictionaries(TEXTS, values_of(kind.item), max_size=3)
    return _SIMPLE[kind.name]


TYPED = TYPES.flatmap(lambda kind: values_of(kind).map(lambda value: (kind, value)))
