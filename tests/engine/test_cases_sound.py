"""A verdict is sound: what passes, or fails, with some answers left unsaid does so with every answer that may come."""

from __future__ import annotations

import random
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from engine.cases import run_case
from tests.engine.flows import Tools, engine_on, workflow

LETTERS = ("a", "b")


def drawn(rng: random.Random) -> tuple[str, list[str]]:
    """A workflow without cycles: each step sets a letter of its own, and leads on by routes, plainly or to several."""
    count = rng.randint(2, 6)
    names = [f"n{number}" for number in range(count)]
    edges = ["  - {from: START, to: n0}"]
    reached = {"n0"}
    for number, name in enumerate(names):
        later = names[number + 1 :]
        if name not in reached and later:
            edges.append(f"  - {{from: START, to: {name}}}")
        if not later:
            edges.append(f"  - {{from: {name}, to: END}}")
            continue
        how = rng.choice(["plain", "routes", "routes", "fork"])
        first, second = rng.choice(later), rng.choice([*later, "END"])
        if how == "routes":
            looks = rng.choice(names[: number + 1])
            edges.append(
                f"  - from: {name}\n    routes:\n      - {{condition: \"state.f_{looks} == 'b'\", to: {first}}}\n"
                f"      - {{condition: default, to: {second}}}"
            )
            reached |= {first, second}
        elif how == "fork" and second not in (first, "END"):
            edges.append(f"  - {{from: {name}, to: [{first}, {second}]}}")
            reached |= {first, second}
        else:
            edges.append(f"  - {{from: {name}, to: {first}}}")
            reached.add(first)
    fields = "\n".join(f"    f_{name}: {{type: str, enum: [a, b], default: a}}" for name in names)
    nodes = "\n".join(f"  - {{id: {name}, prompt: x, outputs: [f_{name}]}}" for name in names)
    body = "\n".join(edges)
    return f"\nstate:\n  fields:\n{fields}\nnodes:\n{nodes}\nedges:\n{body}\n", names


def expected(rng: random.Random, names: list[str]) -> dict[str, Any]:
    kind = rng.choice(["must_run", "must_not_run", "checks"])
    name = rng.choice(names)
    return {kind: [f"state.f_{name} == 'b'" if kind == "checks" else name]}


@pytest.mark.slow
@given(st.integers(0, 2**32))
@examples(max_examples=60)
async def test_a_verdict_holds_whatever_is_not_said(tmp_path_factory: Any, seed: int) -> None:
    rng, tools = random.Random(seed), Tools()
    text, names = drawn(rng)
    try:
        flow = workflow(text, tools)
    except AssertionError:  # the checker refuses it, for a step that nothing leads to
        return
    wanted = expected(rng, names)
    said = {name: {f"f_{name}": rng.choice(LETTERS)} for name in names if rng.random() < 0.5}
    unsaid = [name for name in names if name not in said]
    path: Path = tmp_path_factory.mktemp("cases")
    async with engine_on(path / "runs.db", tools) as engine:
        verdict = await run_case(engine, flow, {"given": said, **wanted})
        every = set()
        for letters in product(LETTERS, repeat=len(unsaid)):
            full = {**said, **{n: {f"f_{n}": letter} for n, letter in zip(unsaid, letters, strict=True)}}
            every.add((await run_case(engine, flow, {"given": full, **wanted})).status)
    assert "unknown" not in every
    if verdict.status != "unknown":
        assert every == {verdict.status}, (text, said, wanted, verdict)
