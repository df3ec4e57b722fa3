"""Documents: what YAML means here, where everything stands, and faults said so that they can be mended."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.check.patches import apply_patches
from engine.document import MAX_BYTES, Document, path_text, read_document
from tests.engine.strategies import JSON, SIGNS, TEXTS

GALLERY = sorted((Path(__file__).resolve().parents[2] / "configs" / "gallery").glob("*.yaml"))


def rules(document: Document) -> list[tuple[str, int, int]]:
    return [(p.rule, p.line, p.column) for p in document.problems]


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(path, value), *(leaf for step, item in below for leaf in leaves(item, (*path, step)))]


# --- values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            (word, word)
            for word in ("yes", "no", "on", "off", "y", "Yes", "10:30", "2024-01-01", "010", "-07", "1_000")
        ),
        *(
            (word, word)
            for word in (
                "0b1",
                "0o8",
                "0x",
                "1e",
                "+",
                ".",
                "..",
                "1.2.3",
                "nUll",
                "tRUE",
                ".Nan",
                "++1",
            )
        ),
        *((word, None) for word in ("", "~", "null", "Null", "NULL")),
        *((word, True) for word in ("true", "True", "TRUE")),
        ("false", False),
        ("0", 0),
        ("-12", -12),
        ("+3", 3),
        ("0o17", 15),
        ("0xFf", 255),
        ("1.5", 1.5),
        ("1.", 1.0),
        ("-.5", -0.5),
        ("1e3", 1000.0),
        ("2E-2", 0.02),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("'3'", "3"),
        ('"true"', "true"),
        ("!!str 3", "3"),
        ("!!float 3", 3.0),
        ("! 3", "3"),
        ("9" * 200, "9" * 200),
        ("|\n  3\n  4", "3\n4\n"),
        (">-\n  a\n  b", "a b"),
        ("[1, {a: b}]", [1, {"a": "b"}]),
    ],
)
def test_values_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    document = read_document(f"key: {text}\n")
    assert document.problems == []
    assert document.data == {"key": value}
    assert type(document.data["key"]) is type(value)


def test_nan_is_a_number_too() -> None:
    assert math.isnan(read_document("key: .nan").data["key"])


@given(st.dictionaries(TEXTS, JSON, min_size=1, max_size=5))
def test_json_is_read_as_it_is_and_every_part_is_found_again(data: dict[str, Any]) -> None:
    for indent in (None, 2):
        text = json.dumps(data, indent=indent, ensure_ascii=False)
        document = read_document(text)
        deep = any(p.rule == "limit-depth" for p in document.problems)
        assert deep or document.problems == []
        assert deep or document.data == data
        for path, value in [] if deep else leaves(data):
            assert json.loads(document.source(path)) == value
            assert document.has(path)
            if path and isinstance(path[-1], str):
                start, end = (document.offset(place) for place in document.key_span(path))
                assert json.loads(text[start:end]) == path[-1]
                assert document.position(path) == document.place(start)


def test_keys_are_text() -> None:
    document = read_document("1: a\ntrue: b\n? c\n: d\n2024-01-01: e\nnull: f\n")
    assert document.data == {"1": "a", "true": "b", "c": "d", "2024-01-01": "e", "null": "f"}


def test_aliases_and_merged_keys() -> None:
    text = "base: &b {a: 1, b: 2}\nsame: *b\nmore: {<<: *b, b: 3}\nboth:\n  <<: [*b, {c: 4}]\nname: &n x\n*n : 1\n"
    document = read_document(text)
    assert document.problems == []
    assert document.data == {
        "base": {"a": 1, "b": 2},
        "same": {"a": 1, "b": 2},
        "more": {"a": 1, "b": 3},
        "both": {"a": 1, "b": 2, "c": 4},
        "name": "x",
        "x": 1,
    }
    assert document.span(("same",)) == ((2, 7), (2, 9))
    assert document.position(("same", "b")) == (1, 17)
    assert document.position(("more", "a")) == (1, 11)


# --- places -----------------------------------------------------------------------------------------------

TEXT = """\
flow: {name: x}
nodes:
  - id: a
    prompt: |
      Hi {state.x}
      there

  - {id: b, outputs: [c, 'd e']}  # two
"""


@pytest.mark.parametrize(
    ("path", "position", "source"),
    [
        (("flow",), (1, 1), "{name: x}"),
        (("flow", "name"), (1, 8), "x"),
        (("nodes", 0), (3, 5), "id: a\n    prompt: |\n      Hi {state.x}\n      there"),
        (("nodes", 0, "id"), (3, 5), "a"),
        (("nodes", 0, "prompt"), (4, 5), "|\n      Hi {state.x}\n      there"),
        (("nodes", 1), (8, 5), "{id: b, outputs: [c, 'd e']}"),
        (("nodes", 1, "outputs"), (8, 13), "[c, 'd e']"),
        (("nodes", 1, "outputs", 1), (8, 26), "'d e'"),
    ],
)
def test_where_things_stand(path: tuple[str | int, ...], position: tuple[int, int], source: str) -> None:
    document = read_document(TEXT)
    assert document.position(path) == position
    assert document.source(path) == source


def test_what_is_missing_stands_at_its_parent() -> None:
    document = read_document(TEXT)
    assert document.position(("nodes", 1, "tool")) == (8, 5)
    assert document.position(("nodes", 7, "id")) == (2, 1)
    assert document.position(("edges",)) == (1, 1)
    assert not document.has(("nodes", 1, "tool"))
    assert not document.has(("nodes", "x"))
    assert document.position(()) == (1, 1)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_endings_and_byte_order_marks_shift_nothing(ending: str, mark: str) -> None:
    text = mark + TEXT.replace("\n", ending)
    document = read_document(text)
    assert document.problems == []
    assert document.position(("nodes", 1, "outputs", 1)) == (8, 26)
    assert document.source(("nodes", 1, "outputs", 1)) == "'d e'"
    assert document.position(("flow", "name")) == (1, 8 + len(mark))
    start, end = document.span(("nodes", 1, "id"))
    assert text[document.offset(start) : document.offset(end)] == "b"


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85"])
def test_what_only_looks_like_a_line_break_is_text(sign: str) -> None:
    text = f"a: |\n  one{sign}two\nb: x{sign}y \ue000\nc: {{state.x}}\n"
    document = read_document(text)
    assert document.data == {"a": f"one{sign}two\n", "b": f"x{sign}y \ue000", "c": "{state.x}"}
    assert rules(document) == [("unquoted-placeholder", 4, 4)]


def test_columns_count_characters() -> None:
    document = read_document("a: {'ключ 😀': ü, b: {state.x}}\n")
    assert document.position(("a", "b")) == (1, 18)
    assert rules(document) == [("unquoted-placeholder", 1, 21)]
    assert apply_patches(document.text, document.problems) == "a: {'ключ 😀': ü, b: \"{state.x}\"}\n"


def test_paths_for_people() -> None:
    assert path_text(("nodes", 2, "prompt")) == "nodes[2].prompt"
    assert path_text(()) == ""
    assert path_text(("state", "fields", 'a "b"')) == 'state.fields["a \\"b\\""]'


# --- faults -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "empty"),
        ("# only a comment\n", 1, 1, "empty"),
        ("- a\n- b\n", 1, 1, "a list"),
        ("hello\n", 1, 1, "plain text"),
        ("a: 1\n---\nb: 2\n", 2, 1, "second document"),
        ("a: 1\n\tb: 2\n", 2, 1, "tab"),
        ("a:\n\t- 1\n", 2, 1, "tab"),
        ("```yaml\na: 1\n```\n", 1, 1, "```"),
        ("a: @x\n", 1, 4, "must stand in quotes"),
        ("a: `x`\n", 1, 4, "must stand in quotes"),
        ("a: %x\n", 1, 4, "must stand in quotes"),
        ("a: *x\n", 1, 4, "needs quotes"),
        ("a: **bold**\n", 1, 5, "in quotes"),
        ("a: &x [*x]\n", 1, 8, "refers to itself"),
        ('a: "x\nb: 2\n', 1, 4, "never closed"),
        ("a: 'x\nb: 2\n", 1, 4, "never closed"),
        ("a: [1, 2\nb: 3\n", 1, 4, "not closed"),
        ("a: {b: 1\nc: 3\n", 1, 4, "not closed"),
        ("a: 1\n b: 2\n", 2, 3, "second colon"),
        ("a:\n  b: 1\n c: 2\n", 3, 2, "indentation"),
        ("a:\n  - 1\n - 2\n", 3, 2, "indentation"),
        ('a: "x" y\n', 1, 8, "quotes round"),
        ('a: "\\d"\n', 1, 5, "backslash"),
        ("a: | x\n  y\n", 1, 6, None),
        ("a\nb: 1\n", 2, 2, None),
        ("a: \x07\n", 1, 4, "U+0007"),
        ("ä: ü\x00\n", 1, 5, "U+0000"),
        ("a: \ud800\n", 1, 4, "can't be stored"),
    ],
)
def test_what_is_no_yaml_is_said_plainly(text: str, line: int, column: int, words: str | None) -> None:
    document = read_document(text)
    assert document.data is None
    assert rules(document) == [("yaml-syntax", line, column)]
    message = document.problems[0].message
    assert words is None or words in message
    assert message.endswith(".")


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("prompt: {state.x}\n", 'prompt: "{state.x}"\n'),
        ("a:\n  - {state.x.y}  # note\n", 'a:\n  - "{state.x.y}"  # note\n'),
        (
            "inputs: {text: {state.t}, n: {count}, m: 3}\n",
            'inputs: {text: "{state.t}", n: "{count}", m: 3}\n',
        ),
        ("prompt: {{state.x}}\n", 'prompt: "{state.x}"\n'),
        ("prompt: { state.x }\n", 'prompt: "{state.x}"\n'),
        ("prompt: {state.x} and {state.y}\n", 'prompt: "{state.x} and {state.y}"\n'),
        ('- prompt: {state.x[0]} is "it"\n  b: 1\n', "- prompt: '{state.x[0]} is \"it\"'\n  b: 1\n"),
        ("condition: {state.x} == 'a'\r\n", "condition: \"{state.x} == 'a'\"\r\n"),
        ("prompt: {{state.x}} and more\n", 'prompt: "{state.x} and more"\n'),
        ("prompt: {state.items[0]}\n", 'prompt: "{state.items[0]}"\n'),
        ("- {x: {state.items[0].a}, y: 1}\n", '- {x: "{state.items[0].a}", y: 1}\n'),
    ],
)
def test_a_placeholder_without_quotes_is_mended(text: str, mended: str) -> None:
    document = read_document(text)
    assert {p.rule for p in document.problems} - {"yaml-syntax"} == {"unquoted-placeholder"}
    patched = apply_patches(text, document.problems)
    assert patched == mended
    assert not [p for p in read_document(patched).problems if p.rule == "unquoted-placeholder"]


def test_a_placeholder_read_as_keys_is_text_for_the_rules_that_follow() -> None:
    document = read_document("prompt: {state.x}\nschema: {bio}\nmore: {state.x: 1}\n")
    assert document.data["prompt"] == "{state.x}"
    assert document.data["schema"] == {"bio": None}
    assert document.data["more"] == {"state.x": 1}
    assert [p.path for p in document.problems] == ["prompt"]


def test_a_colon_in_a_text_is_mended() -> None:
    text = "nodes:\n  - id: a\n    prompt: Sum up: {state.x}\n    outputs: [y]\n"
    document = read_document(text)
    assert rules(document) == [("yaml-syntax", 3, 19)]
    mended = read_document(apply_patches(text, document.problems))
    assert mended.problems == []
    assert mended.data["nodes"][0]["prompt"] == "Sum up: {state.x}"


def test_the_second_of_two_duplicates_is_the_fault() -> None:
    document = read_document("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\na: 3\n")
    assert rules(document) == [("duplicate-key", 5, 3), ("duplicate-key", 6, 1), ("duplicate-key", 7, 1)]
    assert [p.path for p in document.problems] == ["b.c", "a", "a"]
    assert "line 3" in document.problems[0].message
    assert document.data == {"a": 1, "b": {"c": 1, "d": 2}}


@pytest.mark.parametrize(
    "tag", ["!!python/object:os.system", "!!python/name:os.system", "!custom", "!!binary", "!!set"]
)
def test_tags_of_other_kinds_are_refused_and_nothing_is_made(tag: str) -> None:
    document = read_document(f"a: {tag} x\n")
    assert rules(document) == [("yaml-tag", 1, 4)]
    assert document.data == {"a": "x"}
    assert apply_patches(document.text, document.problems) == "a: x\n"


def test_a_tag_that_does_not_fit_is_a_fault() -> None:
    assert rules(read_document("a: !!int x\n")) == [("yaml-tag", 1, 4)]


def test_keys_that_are_no_text_are_faults() -> None:
    assert rules(read_document("? [a, b]\n: 1\nc: 2\n")) == [("yaml-key", 1, 3)]
    assert rules(read_document("a: 1\nb: {<<: 3}\n")) == [("yaml-key", 2, 5)]


# --- limits -----------------------------------------------------------------------------------------------

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
DEEP = "a: &a0 [x]\n" + "".join(f"b{n}: &a{n + 1} [*a{n}]\n" for n in range(30))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a: " + "x" * MAX_BYTES, "limit-size"),
        ("a: " + "é" * (MAX_BYTES // 2), "limit-size"),
        ("a: [" + "1," * 300_000 + "1]", "limit-size"),
        ("nodes:\n" + "- {}\n" * 1001, "limit-nodes"),
        ("[" * 100_000, "limit-depth"),
        ("{" * 100_000, "limit-depth"),
        ("- " * 100_000, "limit-depth"),
        ("? " * 100_000, "limit-depth"),
        ("a: " + "[" * 20 + "]" * 20, "limit-depth"),
        (DEEP, "limit-depth"),
        (LAUGHS, "limit-aliases"),
        ("a: &a " + "x" * 400_000 + "\nb: [*a, *a, *a]\n", "limit-aliases"),
    ],
    ids=lambda value: value[:24],
)
def test_what_is_over_a_limit_is_refused_at_once(text: str, rule: str) -> None:
    document = read_document(text)
    assert [p.rule for p in document.problems] == [rule]


def test_what_is_at_a_limit_is_read() -> None:
    assert read_document("a: " + "x" * (MAX_BYTES - 3)).problems == []
    assert read_document("nodes:\n" + "- {}\n" * 1000).problems == []
    assert read_document("a: " + "[" * 19 + "]" * 19).problems == []
    assert read_document("a: &a " + "x" * 300_000 + "\nb: [*a, *a]\n").problems == []


def test_a_thousand_nodes_are_read() -> None:
    node = "  - id: n{n}\n    prompt: |\n      Hello {{state.x}}\n    outputs: [y]\n    retry: {{max_attempts: 3}}\n"
    text = "nodes:\n" + "".join(node.format(n=n) for n in range(1000))
    document = read_document(text)
    assert len(document.data["nodes"]) == 1000


# --- anything ---------------------------------------------------------------------------------------------


def sound(text: str) -> None:
    """What holds of every text: it is read or refused, and every place named lies in it."""
    document = read_document(text)
    assert document.data is not None or any(p.severity == "error" for p in document.problems)
    for problem in document.problems:
        assert problem.message
        assert 1 <= problem.line <= len(document.line_starts)
        assert document.place(document.offset((problem.line, problem.column))) == (
            problem.line,
            problem.column,
        )
    apply_patches(text, document.problems)
    for path, _ in leaves(document.data) if isinstance(document.data, dict) else []:
        line, column = document.position(path)
        assert line >= 1
        assert column >= 1
        start, end = (document.offset(place) for place in document.span(path))
        assert start <= end


@given(st.text() | SIGNS)
def test_any_text_is_read_or_refused(text: str) -> None:
    sound(text)
    sound(f"a: {text}\nb: 1\n")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    sound(data.decode("latin-1"))
    sound(data.decode("utf-8", "surrogateescape"))


@given(st.sampled_from(GALLERY), st.data())
def test_a_damaged_example_is_read_or_refused(path: Path, data: st.DataObject) -> None:
    text = path.read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 30)))
    sound(text[:start] + data.draw(SIGNS) + text[end:])
