"""json_parse, yaml_parse, csv_parse: what is read, and what is refused in a plain sentence."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.parse import MAX_DEPTH, MAX_VALUES, csv_parse, json_parse, yaml_parse
from tools.registry import Tool, ToolContext, ToolError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=10)


async def read(tool: Tool, text: str, **more: Any) -> Any:
    return await tool({"text": text, **more}, ToolContext())


@given(VALUES)
async def test_json_comes_back_as_it_was(value: Any) -> None:
    assert await read(json_parse, json.dumps(value)) == value


@given(st.text())
async def test_any_text_is_json_or_a_plain_error(text: str) -> None:
    for tool in (json_parse, yaml_parse):
        try:
            value = await read(tool, text)
        except ToolError as error:
            value = error.message
        json.dumps(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1,}', "line 1, column 9"),
        ('{\n"a" 1}', "line 2, column 5"),
        ("", "not JSON"),
        ("NaN", "NaN"),
        ("[1, -Infinity]", "-Infinity"),
        ("[" * 100_000, f"more than {MAX_DEPTH} levels"),
        ("[" * 60 + "]" * 60, f"more than {MAX_DEPTH} levels"),
        (f"[{','.join('1' * (MAX_VALUES + 1))}]", "200,000 values"),
    ],
)
async def test_json_that_is_refused(text: str, words: str) -> None:
    with pytest.raises(ToolError) as caught:
        await read(json_parse, text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: yes", {"a": "yes"}),
        ("a: 10:30", {"a": "10:30"}),
        ("a: 2024-01-01", {"a": "2024-01-01"}),
        ("a: 010", {"a": "010"}),
        ("a: 1_000", {"a": "1_000"}),
        (
            "[true, False, NULL, ~, 12, -3, 0.5, .5, 1e3, 12.]",
            [True, False, None, None, 12, -3, 0.5, 0.5, 1e3, 12.0],
        ),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("- |\n  two\n  lines\n", ["two\nlines\n"]),
        ("", None),
    ],
)
async def test_yaml_by_the_rules_of_1_2(text: str, value: Any) -> None:
    assert await read(yaml_parse, text) == value


PRINTABLE = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | PRINTABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PRINTABLE, inner, max_size=4),
    max_leaves=15,
)


@given(PLAIN)
async def test_yaml_reads_what_json_says(value: Any) -> None:
    assert await read(yaml_parse, json.dumps(value, ensure_ascii=False)) == value


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1\nb: 2", "line 2"),
        ("a: !!python/object/apply:os.system [ls]", "line 1, column 4"),
        ("a: !!binary aGVsbG8=", "the type bytes"),
        ("1: a", "the key 1"),
        ("[" * 200_000, f"more than {MAX_DEPTH} levels"),
        ("&a [*a]", f"more than {MAX_DEPTH} levels"),
        (BOMB, "200,000 values"),
        ("a: 1\n---\nb: 2", "YAML"),
        ("a: \x07", "YAML"),
    ],
)
async def test_yaml_that_is_refused(text: str, words: str) -> None:
    with pytest.raises(ToolError) as caught:
        await read(yaml_parse, text)
    assert words in str(caught.value)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=6), st.sampled_from(",;\t|"))
async def test_a_table_comes_back_as_it_was(rows: list[list[str]], delimiter: str) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows([["first name", "n"], *rows])
    expected = [{"first name": a, "n": b} for a, b in rows]
    assert await read(csv_parse, out.getvalue()) == expected
    assert await read(csv_parse, out.getvalue(), delimiter=delimiter) == expected


async def test_tables_as_people_have_them() -> None:
    assert await read(csv_parse, "\ufeffa; b ;a;\n1;2;3;4\n\n5;6\n") == [
        {"a": "1", "b": "2", "a_2": "3", "column_4": "4"},
        {"a": "5", "b": "6", "a_2": None, "column_4": None},
    ]
    assert await read(csv_parse, "") == []
    assert await read(csv_parse, "only,a,header\n") == []
    with pytest.raises(ToolError, match="Row 3 has 3 cells, but the first row names 2"):
        await read(csv_parse, "a,b\n1,2\n1,2,3\n")
    with pytest.raises(ToolError, match="delimiter"):
        await read(csv_parse, "a", delimiter="ab")
