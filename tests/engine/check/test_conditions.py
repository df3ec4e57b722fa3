"""Routes that can't be taken, beside what the engine's own evaluation of random conditions on random states
says.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.check.conditions import Fact, Reader, try_all
from engine.expressions import Expression, ExpressionError, compile_expression
from engine.templates import Ref, walk
from engine.types import Type

EXAMPLES = 3000 if os.environ.get("PARLANCE_SOAK") else 300
FACTS = {
    "mood": Fact(Type("str"), enum=("glad", "sad", "cross"), nullable=False),
    "name": Fact(Type("str"), nullable=True),
    "count": Fact(Type("int"), nullable=False),
    "price": Fact(Type("float"), nullable=True),
    "done": Fact(Type("bool"), nullable=False),
    "tags": Fact(Type("list", (Type("str"),)), nullable=False),
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "mood": st.sampled_from(["glad", "sad", "cross"]),
    "name": st.none() | st.sampled_from(["", "Ada", "Bob", "A"]) | st.text(max_size=3),
    "count": st.integers(-3, 12),
    "price": st.none() | st.sampled_from([0.0, 2.5, 3.0, 9.99]) | st.floats(-5, 15),
    "done": st.booleans(),
    "tags": st.lists(st.sampled_from(["a", "b"]), max_size=4),
}
ORDER = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
NUMBER = st.sampled_from(["0", "1", "3", "7", "2.5"])
ATOMS = st.one_of(
    st.builds(
        "state.mood {} '{}'".format, st.sampled_from(["==", "!="]), st.sampled_from(["glad", "sad", "cross"])
    ),
    st.sampled_from(
        ["state.mood in ['glad', 'sad']", "state.mood not in ['cross']", "lower(state.mood) == 'Glad'"]
    ),
    st.builds(
        "state.name {} '{}'".format, st.sampled_from(["==", "!="]), st.sampled_from(["Ada", "Bob", ""])
    ),
    st.sampled_from(["state.name", "state.name == null", "startswith(state.name, 'A')", "'A' in state.tags"]),
    st.builds("state.count {} {}".format, ORDER, st.sampled_from(["0", "1", "3", "7"])),
    st.builds("{} {} state.count".format, st.sampled_from(["0", "4"]), ORDER),
    st.builds("state.price {} {}".format, ORDER, NUMBER),
    st.builds("state.price {} state.count".format, ORDER),
    st.builds("state.count {} state.price".format, ORDER),
    st.builds("len(state.tags) {} {}".format, ORDER, st.sampled_from(["0", "2", "-1"])),
    st.builds("state.count * 2 {} {}".format, ORDER, st.sampled_from(["4", "5"])),
    st.sampled_from(
        ["state.done", "state.done == true", "state.done != true", "state.tags", "true", "false", "1 < 2"]
    ),
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: (
        st.builds("({}) and ({})".format, inner, inner)
        | st.builds("({}) or ({})".format, inner, inner)
        | st.builds("not ({})".format, inner)
    ),
    max_leaves=4,
)


def _facts(ref: Ref) -> Fact:
    return FACTS[str(ref.path[0])]


def _try(*conditions: str) -> tuple[list[bool], list[bool], bool] | None:
    reader = Reader(_facts)
    return try_all([reader.test(compile_expression(c)) for c in conditions], reader)


def _holds(expression: Expression, state: dict[str, Any]) -> bool:
    return expression.evaluate(lambda ref: walk(state, ref.path))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(CONDITIONS, min_size=1, max_size=3), st.fixed_dictionaries(VALUES))
def test_what_happens_is_never_called_impossible(conditions: list[str], state: dict[str, Any]) -> None:
    found = _try(*conditions)
    if found is None:
        return
    holds, first, complete = found
    try:
        values = [_holds(compile_expression(c), state) for c in conditions]
    except ExpressionError:
        return
    for i, value in enumerate(values):
        assert holds[i] or not value, f"{conditions[i]} holds"
        assert first[i] or not (value and not any(values[:i])), f"{conditions[i]} is taken"
    assert any(values) or not complete, "nothing matches"


@pytest.mark.parametrize(
    ("conditions", "first", "complete"),
    [
        (["state.done", "not state.done"], [True, True], True),
        (["state.done == true", "state.done == false"], [True, True], True),
        (["state.mood == 'glad'", "state.mood in ['sad', 'cross']"], [True, True], True),
        (["state.mood == 'glad'", "state.mood == 'sad'"], [True, True], False),
        (["state.count > 3", "state.count > 5"], [True, False], False),
        (["state.count > 3", "state.count <= 3"], [True, True], True),
        (["state.count > 3 and state.count < 4"], [False], False),
        (["state.price > 3 and state.price < 4"], [True], False),
        (["state.price > 3", "state.price <= 3"], [True, True], False),
        (["state.price > 3", "state.price <= 3", "state.price == null"], [True, True, True], True),
        (["state.mood == 'glad' and state.mood == 'sad'"], [False], False),
        (["lower(state.mood) == 'Glad'"], [False], False),
        (["len(state.tags) < 0"], [False], False),
        (["len(state.tags) > 2", "len(state.tags) < 3"], [True, True], True),
        (["startswith(state.name, 'A')", "startswith(state.name, 'A')"], [True, False], False),
        (["state.count < 3 or state.done", "state.count < 1"], [True, False], False),
        (["0 <= state.count < 10", "state.count == 5"], [True, False], False),
        (["'a' in state.tags", "'a' not in state.tags"], [True, True], True),
        (["state.count >= state.price", "state.count < state.price"], [True, True], False),
        (["state.count * 2 > 4", "state.count * 2 > 5"], [True, False], False),
    ],
)
def test_examples(conditions: list[str], first: list[bool], complete: bool) -> None:
    assert _try(*conditions) is not None
    found = _try(*conditions)
    assert found is not None
    assert (found[1], found[2]) == (first, complete)


def test_too_many_combinations_are_left_alone() -> None:
    many = " and ".join(f"startswith(state.name, '{n}')" for n in range(12))
    assert _try(many) is None
