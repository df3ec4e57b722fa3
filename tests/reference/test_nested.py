"""Maps, sub-workflows, questions and failures, against the reference interpreter: the same visits, the same state,
whatever ends first, whenever somebody answers, wherever the process is killed.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from random import Random

import pytest

from engine.dispatch import LocalDispatcher, MakeDispatcher
from engine.errors import ParlanceError
from tests.reference.crashes import (
    Spreading,
    Watch,
    begin,
    differs,
    ended_calls,
    engine_at,
    followed,
    reference,
    result_below,
)
from tests.reference.documents import shares_of
from tests.reference.harness import Work
from tests.reference.nested import Nested, make_nested
from tests.reference.planted import planted

FIRST_SEED = 5000
HARD = ("for_each", "sub-workflow", "ask", "failing", "on_error NODE", "on_error continue of an element")
HUNDREDS = range(10 if os.environ.get("PARLANCE_SOAK") else 1)
COUNT = 100 * len(HUNDREDS)


@pytest.fixture(scope="module")
def documents() -> list[Nested]:
    return [make_nested(FIRST_SEED + n) for n in range(2 * COUNT)]


def test_the_hard_cases_are_there(documents: list[Nested], capsys: pytest.CaptureFixture[str]) -> None:
    shares = shares_of(documents)
    with capsys.disabled():
        shown = ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if " in a " not in name)
        print(f"\n{len(documents)} nested documents from seed {FIRST_SEED}: {shown}")
    assert (
        min(shares[name] for name in ("for_each", "sub-workflow", "ask", "sub-workflow in a sub-workflow"))
        >= 0.2
    )
    assert min(shares[name] for name in HARD) >= 0.1


def test_the_interpreter_does_not_depend_on_time(documents: list[Nested]) -> None:
    for document in documents[:COUNT]:
        wanted = reference(document, 1)
        for seed in (2, 3):
            assert not differs(reference(document, seed), wanted), document.text


@pytest.mark.slow
@pytest.mark.parametrize("hundred", HUNDREDS)
async def test_whatever_ends_first_and_wherever_it_is_killed(
    hundred: int, documents: list[Nested], tmp_path: Path
) -> None:
    crashes = 0
    for number in range(100 * hundred, 100 * hundred + 100):
        document = documents[number]
        trouble, crashed = await _trouble(document, number, LocalDispatcher, tmp_path / f"{number}.db")
        assert not trouble, f"document {FIRST_SEED + number}: {trouble}\n{document.text}"
        crashes += crashed
    print(f"{crashes} crashes")
    assert crashes >= 50


@pytest.mark.slow
async def test_the_same_in_parts(documents: list[Nested], tmp_path: Path) -> None:
    """Every map of more than one element is cut into runs of its own."""
    mapping = [document for document in documents if "for_each" in document.shares]
    for number, document in enumerate(mapping[: COUNT // 5]):
        trouble, _ = await _trouble(document, number, Spreading, tmp_path / f"{number}.db")
        assert not trouble, f"{trouble}\n{document.text}"


async def _trouble(document: Nested, seed: int, dispatcher: MakeDispatcher, path: Path) -> tuple[object, int]:
    """What the engine does not do as the interpreter does, and how often it was killed."""
    random, first = Random(seed), Work(Random(seed))
    wanted = await asyncio.to_thread(reference, document, seed)
    watch = Watch(path, at=[random.randint(1, 2 * len(wanted.visits) + 1) for _ in range(2)])
    async with engine_at(watch, first, dispatcher) as engine:
        run_id = await begin(engine, document)
        await followed(engine, run_id, random)
        trouble: object = differs(await result_below(engine, run_id), wanted)
        if len(first.calls) != len(set(first.calls)):
            trouble = trouble or "a call was made twice"
    for copy in watch.copies:
        second = Work(Random(seed + 1))
        async with engine_at(Watch(copy), second, dispatcher) as engine:
            done = await ended_calls(engine, run_id)
            await engine.recover()
            await followed(engine, run_id, random)
            trouble = trouble or differs(await result_below(engine, run_id), wanted)
            trouble = trouble or done & set(second.calls)
    return trouble, len(watch.copies)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name", "share"),
    [
        ("each", "in_order_of_time", "for_each of tool"),
        ("each", "without_holes", "on_error continue of an element"),
        ("each", "forgetful", "for_each of tool"),
        ("each", "deaf", "on_error continue of an element"),
        ("subflow", "same_child_again", "cycle"),
    ],
)
async def test_a_planted_bug_is_caught(
    kind: str, name: str, share: str, documents: list[Nested], tmp_path: Path
) -> None:
    tried = [(n, document) for n, document in enumerate(documents) if share in document.shares]
    with planted(kind, name):
        for number, document in tried[:60]:
            try:
                async with asyncio.timeout(5):
                    trouble, _ = await _trouble(document, number, LocalDispatcher, tmp_path / f"{number}.db")
            except (AssertionError, ParlanceError, KeyError, TimeoutError):
                return
            if trouble:
                return
    pytest.fail(f"none of {len(tried)} documents shows it")
