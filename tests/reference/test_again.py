"""Retrying random documents from a drawn node: the same end as of a whole run, and only that node and what comes after
it runs again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from engine.control import fired_by
from engine.graph import Graph
from engine.inputs import first_state, read_inputs
from engine.scheduler import Scheduler
from engine.workflow import Workflow
from tests.reference.documents import Document, make_document
from tests.reference.harness import Work, _worked, engine_on, result_of, workflow_of

COUNT = 60
FIRST_SEED = 7000


def ends_without(workflow: Workflow, document: Document, name: str, seed: int) -> set[tuple[str, int]]:
    """The visits that end when the node of this name never does."""
    random, graph = Random(seed), Graph(workflow)
    state = first_state(workflow, read_inputs(workflow, document.inputs))
    scheduler = Scheduler(graph, state)
    running = scheduler.begin(graph.arrows_of(fired_by(graph.entries, state)))
    ended: set[tuple[str, int]] = set()
    while todo := [visit for visit in running if graph.nodes[visit.node].id != name]:
        visit = random.choice(todo)
        running.remove(visit)
        writes = _worked(graph, visit)
        after = scheduler.after(visit, writes)
        fired = fired_by(graph.leaving[visit.node], after, visit.rounds + 1)
        running += scheduler.end(visit, writes, graph.arrows_of(fired))
        ended.add((graph.nodes[visit.node].id, visit.iteration))
    return ended


@pytest.mark.slow
async def test_retried_from_any_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random, work = Random(5), Work(Random(6))
    kept = runs = 0
    async with engine_on(tmp_path / "runs.db", work) as (engine, _):
        for seed in range(FIRST_SEED, FIRST_SEED + COUNT):
            document = make_document(seed)
            workflow = await asyncio.to_thread(workflow_of, document)
            first = await engine.run(workflow, document.inputs)
            whole = result_of(first)
            visited = sorted({node for node, _ in whole.visits})
            for name in random.sample(visited, min(2, len(visited))):
                work.calls.clear()
                run_id = await engine.retry(first["run_id"], name)
                view = await engine.wait(run_id)
                assert result_of(view) == whole, f"from {name}\n{document.text}"
                again = {tuple(call.split("/")[1:]) for call in work.calls}
                before = {(n, str(i)) for n, i in ends_without(workflow, document, name, seed)}
                assert again == {(n, str(i)) for n, i in whole.visits} - before, f"{name}\n{document.text}"
                events = [event.id async for event in engine.events(run_id)]
                assert events == list(range(1, len(events) + 1))
                kept, runs = kept + len(before), runs + 1
    with capsys.disabled():
        print(f"\n{runs} retries from seed {FIRST_SEED}, {kept} rows kept")
    assert kept > runs
