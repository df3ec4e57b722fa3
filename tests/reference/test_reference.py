"""The engine against the reference interpreter, on random documents: the same visits, the same state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engine.history import History, Past, _Ended
from engine.scheduler import Scheduler, Visit
from engine.workflow import Workflow
from tests.reference.documents import Document, make_document, shares_of
from tests.reference.harness import (
    Work,
    cut_back,
    engine_on,
    expected,
    result_of,
    schedule,
    workflow_of,
)
from tests.reference.interpreter import Result, interpret

COUNT = 200
FIRST_SEED = 1000


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return [make_document(FIRST_SEED + n) for n in range(COUNT)]


@pytest.fixture(scope="module")
def results(documents: list[Document]) -> list[Result]:
    return [expected(interpret(d.text, d.inputs, seed=n)) for n, d in enumerate(documents)]


@pytest.fixture(scope="module")
def workflows(documents: list[Document]) -> list[Workflow]:
    return [workflow_of(document) for document in documents]


def test_the_hard_cases_are_there(documents: list[Document], capsys: pytest.CaptureFixture[str]) -> None:
    shares = shares_of(documents)
    with capsys.disabled():
        shown = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        print(f"\n{COUNT} documents from seed {FIRST_SEED}: {shown}")
    assert min(shares["join after a route"], shares["cycle"], shares["nested fork"]) >= 0.2


def test_the_interpreter_does_not_depend_on_time(documents: list[Document], results: list[Result]) -> None:
    for document, result in list(zip(documents, results, strict=True))[:60]:
        assert expected(interpret(document.text, document.inputs, seed=77)) == result, document.text


def test_every_visit_runs_once_whatever_ends_first(
    documents: list[Document], workflows: list[Workflow], results: list[Result]
) -> None:
    for document, workflow, result in zip(documents, workflows, results, strict=True):
        for seed in range(4):
            assert schedule(workflow, document.inputs, seed) == result, f"seed {seed}\n{document.text}"


@pytest.mark.slow
async def test_killed_at_any_row_and_resumed(
    documents: list[Document], workflows: list[Workflow], results: list[Result], tmp_path: Path
) -> None:
    """The whole engine on its store; then again from drawn rows, as a process that starts after a kill -9."""
    random = Random(1)
    first, second = Work(Random(2)), Work(Random(3))
    path = tmp_path / "runs.db"
    async with engine_on(path, first) as (engine, db), engine_on(path, second) as (successor, _):
        for document, workflow, result in zip(documents, workflows, results, strict=True):
            first.calls.clear()
            run = await engine.run(workflow, document.inputs)
            assert result_of(run) == result, document.text
            assert len(first.calls) == len(set(first.calls)) == len(result.visits)
            events = [e async for e in engine.events(run["run_id"])]
            for rows in random.sample(range(len(run["nodes"])), min(3, len(run["nodes"]))):
                cut_back(db, run["run_id"], rows)
                second.calls.clear()
                assert await successor.recover() == [run["run_id"]]
                again = await successor.wait(run["run_id"])
                assert result_of(again) == result, f"{rows} rows\n{document.text}"
                done = {f"{run['run_id']}/{n['id']}/{n['iteration']}" for n in run["nodes"][:rows]}
                assert not done & set(second.calls), "a node that had ended ran twice"
                assert len(second.calls) == len(result.visits) - rows
                later = [e async for e in successor.events(run["run_id"])]
                assert [e.id for e in later] == list(range(1, len(events) + 1))
                run = again


# --- the tests must be able to fail: engines with a bug put in by hand
# ---------------------------------------


class ImpatientScheduler(Scheduler):
    """A join starts with the first edge that reaches it."""

    def _verdict(self, node: int, active: int) -> bool | None:
        return None


class TimeOrderedHistory(History):
    """Writes count in the order in which the nodes happened to end."""

    def _sorted(self, past: Past) -> list[_Ended]:
        return [ended for n, ended in enumerate(self._ended) if past >> n & 1]


class TimeOrderedScheduler(Scheduler):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.history = TimeOrderedHistory(self.graph, self.history.state(0))


class LeakingScheduler(Scheduler):
    """A node sees whatever has been written so far, also by nodes that run beside it."""

    def _past(self, node: int, waiting: Any) -> Past:
        return self.history.of_nodes(-1)


class ForgetfulScheduler(Scheduler):
    """A loop that is entered again goes on counting where it stopped."""

    def _visit(self, node: int, waiting: Any, past: Past) -> Visit:
        waiting.entered = False
        waiting.rounds = max(waiting.rounds, self._visits[node])
        return super()._visit(node, waiting, past)


@pytest.mark.parametrize(
    "broken", [ImpatientScheduler, TimeOrderedScheduler, LeakingScheduler, ForgetfulScheduler]
)
def test_a_planted_bug_is_caught(
    broken: type[Scheduler], documents: list[Document], workflows: list[Workflow], results: list[Result]
) -> None:
    wrong = sum(
        any(_differs(workflow, document.inputs, seed, broken, result) for seed in range(2))
        for document, workflow, result in zip(documents, workflows, results, strict=True)
    )
    assert wrong >= 5, f"only {wrong} of {COUNT} documents show the bug"


def _differs(
    workflow: Any, inputs: Mapping[str, Any], seed: int, broken: type[Scheduler], result: Result
) -> bool:
    try:
        return schedule(workflow, inputs, seed, broken) != result
    except (AssertionError, LookupError, TypeError):
        return True
