"""Templates: which braces are references, and what a rendered template is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.templates import Ref, TemplateError, compile_template, walk
from tests.engine.strategies import JSON, NAMES, SIGNS

STATE = {
    "ticket": "It broke",
    "count": 3,
    "nothing": None,
    "flag": True,
    "items": ["a", {"b": [1.5]}],
    "profile": {"name": "Zoë", "2": "two"},
}


def lookup(ref: Ref) -> Any:
    return walk(STATE, ref.path if ref.root == "state" else (ref.root, *ref.path))


def render(template: Any, **options: Any) -> Any:
    return compile_template(template, **options).render(lookup)


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("plain", "plain"),
        ("", ""),
        ("Say: {state.ticket}!", "Say: It broke!"),
        ("{state.profile.name} {state.items[0]} {state.items[1].b[0]}", "Zoë a 1.5"),
        ("[{state.nothing}]", "[]"),
        ("{state.flag} {state.count}", "true 3"),
        ("{state.items}!", '["a",{"b":[1.5]}]!'),
        ("{state.profile}!", '{"name":"Zoë","2":"two"}!'),
        ("{ticket} {profile.name}", "It broke Zoë"),
        ('{"a": {"b": 1}, "c": {}}', '{"a": {"b": 1}, "c": {}}'),
        (
            '{"text": "{state.ticket}", "n": {"deep": {state.count}}}',
            '{"text": "It broke", "n": {"deep": 3}}',
        ),
        ("{{state.ticket}}", "{state.ticket}"),
        ("{{{state.ticket}}}", "{It broke}"),
        ('{{"a": {"b": 1}}}', '{"a": {"b": 1}}'),
        ("{{ and }}", "{ and }"),
        ("}} {{", "}} {"),
        ("{ state.ticket }", "{ state.ticket }"),
        ("{state.items[-1]}", "{state.items[-1]}"),
        ("{state.items[x]}", "{state.items[x]}"),
        ("{state.}", "{state.}"),
        ("{1}", "{1}"),
        ("{}", "{}"),
        ("{state.ticket", "{state.ticket"),
        ("state.ticket", "state.ticket"),
        ("{state.ticket}\n", "It broke\n"),
        ("{größe}", "{größe}"),
    ],
)
def test_text_with_references(template: str, result: str) -> None:
    assert render(template) == result


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("{state.count}", 3),
        ("{state.nothing}", None),
        ("{state.flag}", True),
        ("{state.items}", ["a", {"b": [1.5]}]),
        ("{state}", STATE),
        ("{profile}", STATE["profile"]),
        (7, 7),
        (None, None),
        ({"a": "{state.count}", "b": ["x{state.count}", 2.5]}, {"a": 3, "b": ["x3", 2.5]}),
    ],
)
def test_one_reference_alone_keeps_its_type(template: Any, result: Any) -> None:
    assert render(template) == result


def test_a_bare_path_is_a_reference_only_where_it_may_be() -> None:
    assert render("state.count", bare=True) == 3
    assert render({"n": "state.items[0]"}, bare=True) == {"n": "a"}
    assert render("state", bare=True) == "state"
    assert render("state.count!", bare=True) == "state.count!"
    assert render("count", bare=True) == "count"


def test_references_know_where_they_stand() -> None:
    template = {"headers": [{"auth": "Bearer {secret.TOKEN} for {user.name}"}], "n": "{state.items[1]}"}
    first, second, third = compile_template(template).refs
    assert (first.root, first.path, first.where) == ("secret", ("TOKEN",), ("headers", 0, "auth"))
    assert (second.root, second.path) == ("user", ("name",))
    assert (third.root, third.path, third.where) == ("state", ("items", 1), ("n",))
    for ref in (first, second, third):
        source = walk(template, ref.where)
        assert source[ref.start : ref.end] == ref.text
        assert source[ref.start - 1] + source[ref.end] == "{}"
    assert compile_template("{a.b}").only_ref is not None
    assert compile_template("{a.b} ").only_ref is None


@given(st.text() | SIGNS)
def test_any_text_compiles_and_renders(text: str) -> None:
    template = compile_template(text)
    for ref in template.refs:
        assert text[ref.start : ref.end] == ref.text
    result = template.render(lambda ref: "x")
    assert isinstance(result, str)
    if not template.refs and "{{" not in text:
        assert result == text


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers()), min_size=1))
def test_json_needs_no_escape(value: dict[str, Any]) -> None:
    for indent in (None, 2):
        text = json.dumps(value, indent=indent)
        assert render(text) == text


PAIRS = st.recursive(
    st.sampled_from([("a", "a"), (" ", " "), ("{state.count}", "3"), ('{"k": 1}', '{"k": 1}')]),
    lambda inner: st.one_of(
        inner.map(lambda pair: (f"{{{{{pair[0]}}}}}", f"{{{pair[1]}}}")),
        st.tuples(inner, inner).map(lambda two: (two[0][0] + two[1][0], two[0][1] + two[1][1])),
    ),
    max_leaves=6,
)


@given(PAIRS)
def test_doubled_braces_come_out_single(pair: tuple[str, str]) -> None:
    template, result = pair
    assert render(f"-{template}") == f"-{result}"


@given(JSON)
def test_a_value_comes_through_unchanged(value: Any) -> None:
    assert compile_template("{v}").render(lambda ref: value) == value
    inside = compile_template("<{v}>").render(lambda ref: value)[1:-1]
    if isinstance(value, str):
        assert inside == value
    else:
        assert inside == "" if value is None else json.loads(inside) == value


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (("hat",), "There is no 'hat' in a value with ticket, count, nothing, flag, items, profile."),
        (("items", 2), "There is no element [2] in a list of 2."),
        (("items", "a"), '\'a\' can\'t be looked up in ["a", {"b": [1.5]}].'),
        (("nothing", "x"), "'x' can't be looked up in an empty value (null)."),
        (("ticket", "length"), "'length' can't be looked up in 'It broke'."),
        (("count", 0), "'0' can't be looked up in 3."),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(path: tuple[str | int, ...], sentence: str) -> None:
    with pytest.raises(TemplateError) as caught:
        walk(STATE, path)
    assert str(caught.value) == sentence


def test_paths_lead_through_lists_and_values() -> None:
    assert walk(STATE, ()) is STATE
    assert walk(STATE, ("items", 1, "b", 0)) == 1.5
    assert walk(STATE, ("profile", 2)) == "two"
    assert walk(STATE, ("items", -1)) == {"b": [1.5]}
