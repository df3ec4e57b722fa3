"""Types: what is read as one, what fits one, what a model is asked for."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.types import ANY, SIMPLE, Type, TypeSyntaxError, convert, parse_type
from tests.engine.strategies import JSON, SIGNS, TYPED, TYPES


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        *((name, name) for name in SIMPLE),
        ("list[str]", "list[str]"),
        (" dict[ str ,int ] ", "dict[str, int]"),
        ("dict[str, list[dict[str, any]]]", "dict[str, list[dict[str, any]]]"),
        ("dict[int, float]", "dict[int, float]"),
    ],
)
def test_types_are_read_and_given_back(text: str, shown: str) -> None:
    assert str(parse_type(text)) == shown
    assert parse_type(shown) == parse_type(text)


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("string", "str"),
        ("Str", "str"),
        ("integer", "int"),
        ("number", "float"),
        ("boolean", "bool"),
        ("array", "list"),
        ("array<string>", "list[str]"),
        ("string[]", "list[str]"),
        ("List[String]", "list[str]"),
        ("Dict[str, Int]", "dict[str, int]"),
        ("list(str)", None),
        ("list[", None),
        ("list[str", None),
        ("list[str, int]", None),
        ("dict[str]", None),
        ("dict[list, int]", None),
        ("str[int]", None),
        ("str int", None),
        ("Optional[str]", None),
        ("money", None),
        ("", None),
        ("[]", None),
        ("list[" * 5000, None),
        ("list[" * 21 + "str" + "]" * 21, None),
    ],
)
def test_what_is_no_type_is_refused_with_the_nearest(text: str, suggestion: str | None) -> None:
    with pytest.raises(TypeSyntaxError) as caught:
        parse_type(text)
    assert caught.value.suggestion == suggestion
    assert caught.value.message.endswith((".", "?"))
    if suggestion:
        assert str(parse_type(suggestion)) == suggestion


@given(TYPES)
def test_a_type_without_inner_fields_reads_back(kind: Type) -> None:
    if "object" not in repr(kind):
        assert parse_type(str(kind)) == kind


@given(st.text() | SIGNS)
def test_any_text_is_a_type_or_a_type_syntax_error(text: str) -> None:
    with suppress(TypeSyntaxError):
        assert str(parse_type(text))


@given(TYPED)
def test_a_value_of_a_type_stays_as_it_is_and_fits_the_schema_for_models(pair: tuple[Type, Any]) -> None:
    kind, value = pair
    assert convert(value, kind) == value
    schema = kind.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(value)
    assert kind.accepts(kind)
    assert ANY.accepts(kind)


@given(TYPED)
def test_json_text_of_a_person_gives_the_value(pair: tuple[Type, Any]) -> None:
    kind, value = pair
    if isinstance(value, list | dict):
        from_text = convert(json.dumps(value), kind, from_text=True)
        assert from_text == value


@given(TYPES, JSON)
def test_what_converts_fits_the_schema_and_converts_to_itself(kind: Type, value: Any) -> None:
    try:
        found = convert(value, kind)
    except ValueError:
        return
    assert convert(found, kind) == found
    jsonschema.Draft202012Validator(kind.json_schema()).validate(found)


@given(TYPES, st.text() | SIGNS, st.booleans())
def test_conversion_of_any_text_gives_a_value_or_a_value_error(kind: Type, text: str, typed: bool) -> None:
    with suppress(ValueError):
        convert(text, kind, from_text=typed)


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        (3.0, "int", 3),
        (3, "float", 3.0),
        ("yes", "bool", True),
        ("No", "bool", False),
        ("true", "bool", True),
        ((1, 2), "list[int]", [1, 2]),
        ({"3": 1}, "dict[int, int]", {"3": 1}),
        ({3: 1}, "dict[int, int]", {"3": 1}),
        (None, "any", None),
    ],
)
def test_what_loses_nothing_is_converted(value: Any, kind: str, found: Any) -> None:
    result = convert(value, parse_type(kind))
    assert result == found
    assert type(result) is type(found)


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("3", "int", 3),
        (" -3 ", "int", -3),
        ("3.0", "int", 3),
        ("3", "str", "3"),
        (3, "str", "3"),
        ("2.5", "float", 2.5),
        ("1e3", "float", 1000.0),
        ("YES", "bool", True),
        ('["a", "b"]', "list[str]", ["a", "b"]),
        ('["1", 2]', "list[int]", [1, 2]),
        ('{"a": "1"}', "dict[str, int]", {"a": 1}),
        ("plain", "any", "plain"),
        ("3", "any", "3"),
        ("[1]", "any", [1]),
        ("[1", "any", "[1"),
        ("0" * 32, "file", {"file": "0" * 32}),
    ],
)
def test_what_a_person_types_is_read_by_the_type(text: Any, kind: str, found: Any) -> None:
    result = convert(text, parse_type(kind), from_text=True)
    assert result == found
    assert type(result) is type(found)


@pytest.mark.parametrize(
    ("value", "kind", "sentence"),
    [
        ("three", "int", "'three' is not a whole number"),
        (True, "int", "true is not a whole number"),
        (1.5, "int", "1.5 is not a whole number"),
        ("3", "int", "'3' is not a whole number"),
        (True, "float", "true is not a number"),
        (float("nan"), "float", "NaN is not a number"),
        (float("inf"), "any", "Infinity is not a number"),
        (10**400, "float", None),
        (3, "str", "3 is not text"),
        (None, "str", "null is not text"),
        ("maybe", "bool", "'maybe' is neither yes nor no (true or false)"),
        (1, "bool", "1 is neither yes nor no (true or false)"),
        ("a", "list", "'a' is not a list"),
        ([1, "x"], "list[int]", "element 2: 'x' is not a whole number"),
        ({"a": {"b": "x"}}, "dict[str, dict[str, int]]", "'a': 'b': 'x' is not a whole number"),
        ({"a": 1}, "dict[int, int]", "key: 'a' is not a whole number"),
        ([1], "dict", "[1] is not a set of named values"),
        ({1, 2}, "any", "a set can't be kept in the state"),
        ("x" * 100, "int", f"'{'x' * 59}…' is not a whole number"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(value: Any, kind: str, sentence: str | None) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the sentence is compared below
        convert(value, parse_type(kind))
    if sentence:
        assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("three", "int"),
        ("1_000", "int"),
        ("٣", "int"),
        ("1" * 5000, "int"),
        ("nan", "float"),
        ("1e999", "float"),
        ("a, b", "list"),
        ("[NaN]", "list"),
        ("[1", "list[int]"),
        ("[" * 5000, "list"),
        ('{"a": 1}', "list"),
        ("x", "dict"),
    ],
)
def test_what_a_person_types_wrongly_is_refused(text: str, kind: str) -> None:
    with pytest.raises(ValueError, match=r"is not|can't|too deep"):
        convert(text, parse_type(kind), from_text=True)


def test_an_object_has_its_fields_and_no_others() -> None:
    kind = Type("object", fields={"name": Type("str"), "age": Type("int")})
    assert convert({"age": 3.0, "name": "Ada"}, kind) == {"name": "Ada", "age": 3}
    for value, sentence in [
        ({"name": "Ada"}, "'age' is missing"),
        ({"name": "Ada", "age": "x"}, "'age': 'x' is not a whole number"),
        ({"name": "Ada", "age": 1, "hat": 1}, "'hat' is not one of the fields name, age"),
    ]:
        with pytest.raises(ValueError, match=sentence.replace(".", r"\.")):
            convert(value, kind)


def test_an_enum_bounds_the_value() -> None:
    assert convert("low", parse_type("str"), enum=["low", "high"]) == "low"
    assert convert(" LOW ", parse_type("str"), from_text=True, enum=["low", "high"]) == "low"
    assert convert("2", parse_type("int"), from_text=True, enum=[1, 2]) == 2
    with pytest.raises(ValueError, match="'Low' is not one of 'low', 'high'"):
        convert("Low", parse_type("str"), enum=["low", "high"])
    with pytest.raises(ValueError, match="not one of"):
        convert(True, parse_type("any"), enum=[1, 2])


def test_endless_values_are_refused_not_followed() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested more than 100 levels"):
        convert(deep, ANY)


def test_the_schema_for_models_bounds_every_string_and_closes_every_object() -> None:
    kind = Type(
        "object", fields={"tags": parse_type("list[str]"), "more": parse_type("dict[str, str]"), "x": ANY}
    )
    schema = kind.json_schema(description="All of it", max_text=50)
    assert schema["description"] == "All of it"
    assert schema["required"] == ["tags", "more", "x"]
    assert schema["additionalProperties"] is False
    text = json.dumps(schema)
    assert text.count('"string"') == text.count('"maxLength": 50') > 2
    assert parse_type("str").json_schema(["a", "b"]) == {"type": "string", "enum": ["a", "b"]}


@pytest.mark.parametrize(
    ("place", "value", "fits"),
    [
        ("str", "str", True),
        ("str", "int", False),
        ("float", "int", True),
        ("int", "float", False),
        ("any", "list[str]", True),
        ("list[str]", "any", True),
        ("list", "list[int]", True),
        ("list[float]", "list[int]", True),
        ("list[int]", "list[str]", False),
        ("list[str]", "str", False),
        ("dict[str, int]", "dict[str, str]", False),
        ("dict", "object", True),
        ("object", "dict[str, int]", True),
        ("file", "str", False),
        ("str", "file", False),
        ("bool", "int", False),
    ],
)
def test_which_type_can_stand_in_the_place_of_which(place: str, value: str, fits: bool) -> None:
    assert parse_type(place).accepts(parse_type(value)) is fits


def test_objects_stand_in_for_each_other_by_their_fields() -> None:
    wide = Type("object", fields={"a": Type("int"), "b": Type("str")})
    narrow = Type("object", fields={"a": Type("float")})
    assert narrow.accepts(wide)
    assert not wide.accepts(narrow)
    assert not parse_type("dict[str, int]").accepts(wide)
    assert not wide.accepts(parse_type("dict[str, int]"))


def test_types_are_followed_along_a_path() -> None:
    person = Type("object", fields={"tags": parse_type("list[str]")})
    assert person.at(("tags", 0)) == Type("str")
    assert person.at(("tags", "x")) is None
    assert person.at(("hat",)) is None
    assert parse_type("dict[str, list[int]]").at(("anything", 3)) == Type("int")
    assert ANY.at(("a", 1, "b")) == ANY
    assert Type("str").at(("length",)) is None
    assert Type("str").at(()) == Type("str")
