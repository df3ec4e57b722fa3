"""Runs a generated document on the engine's own parts: the scheduler alone, or the whole engine with its store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from engine.check import check
from engine.control import fired_by
from engine.engine import Engine
from engine.graph import Graph
from engine.inputs import first_state, read_inputs
from engine.nodes.outputs import writes_of
from engine.scheduler import Scheduler, Visit
from engine.templates import walk
from engine.workflow import Workflow
from sessions.db import Database, open_db
from sessions.runs import SqliteRunStore
from tests.reference.documents import Document
from tests.reference.interpreter import Result
from tests.reference.work import Broken, worked
from tools.registry import ToolContext, ToolError, ToolRegistry, tool

PARAMETERS = {
    "id": {"type": "string"},
    "seen": {"type": "array"},
    "outs": {"type": "object"},
    "counts": {"type": "object", "default": {}},
    "fails": {"type": "integer", "default": 0},
}


@dataclass
class Work:
    """The tool of generated documents. It takes a drawn number of turns of the loop, and notes each call."""

    random: Random = field(default_factory=Random)
    calls: list[str] = field(default_factory=list)
    turns: int = 6

    def registry(self) -> ToolRegistry:
        @tool(
            description="work",
            parameters=PARAMETERS,
            returns="An object with a value per output.",
            name="work",
        )
        async def work(args: Mapping[str, Any], context: ToolContext) -> Any:
            self.calls.append(str(context.idempotency_key))
            for _ in range(self.random.randint(0, self.turns)):
                await asyncio.sleep(0)
            try:
                return worked(args)
            except Broken:
                raise ToolError("It was made to fail.", "Nothing can be done.") from None

        return ToolRegistry({"work": work})


def workflow_of(document: Document) -> Workflow:
    checked = check(document.text, Work().registry())
    assert checked.workflow is not None, checked.errors
    return checked.workflow


def schedule(
    workflow: Workflow, inputs: Mapping[str, Any], seed: int, kind: type[Scheduler] = Scheduler
) -> Result:
    """Run on the scheduler alone; which of the running visits ends next is drawn."""
    random = Random(seed)
    graph = Graph(workflow)
    state = first_state(workflow, read_inputs(workflow, inputs))
    scheduler = kind(graph, state)
    running = scheduler.begin(graph.arrows_of(fired_by(graph.entries, state)))
    started = list(running)
    while running:
        visit = running.pop(random.randrange(len(running)))
        writes = _worked(graph, visit)
        after = scheduler.after(visit, writes)
        fired = fired_by(graph.leaving[visit.node], after, visit.rounds + 1)
        new = scheduler.end(visit, writes, graph.arrows_of(fired))
        running += new
        started += new
        assert len(started) < 1000, "the run does not end"
    assert scheduler.idle
    final = {k: v for k, v in scheduler.history.final().items() if not k.startswith("_loop")}
    return Result(tuple(sorted((graph.nodes[v.node].id, v.iteration) for v in started)), final)


def _worked(graph: Graph, visit: Visit) -> dict[str, Any]:
    node = graph.nodes[visit.node]
    assert node.args is not None
    args = node.args.render(lambda ref: walk(visit.state, ref.path))
    return writes_of(node, graph.workflow, worked(args))


def expected(result: Result) -> Result:
    """The interpreter's result without the counters of loops, which are no fields."""
    return Result(result.visits, {k: v for k, v in result.state.items() if not k.startswith("_loop")})


def result_of(view: Mapping[str, Any]) -> Result:
    """A run's view in the same form."""
    assert view["status"] == "ok", view["error"]
    return Result(tuple(sorted((n["id"], n["iteration"]) for n in view["nodes"])), view["state"])


@asynccontextmanager
async def engine_on(path: Path, work: Work) -> AsyncIterator[tuple[Engine, Database]]:
    db = open_db(path, synchronous="NORMAL")
    engine = Engine(SqliteRunStore(db), models=NoModels(), tools=work.registry())
    try:
        yield engine, db
    finally:
        await engine.close()
        db.close()


class NoModels:
    """A ModelClient that no test of this folder may call."""

    def stream(self, request: Any) -> Any:
        raise AssertionError("no model may be called here")

    async def info(self, model: str | None = None) -> Any:
        raise AssertionError("no model may be called here")


def cut_back(db: Database, run_id: str, rows: int) -> None:
    """Make the store what it was when `rows` rows were on disk and the process was killed."""

    def job(connection: Any) -> None:
        (no,) = connection.execute("SELECT no FROM runs WHERE id = ?", (run_id,)).fetchone()
        connection.execute(
            "DELETE FROM node_rows WHERE key > ? AND key < ?", ((no << 20) + rows, (no + 1) << 20)
        )
        connection.execute(
            "UPDATE runs SET status = 'running', ended_at = NULL, end_event = NULL, row_order = NULL, "
            "error = NULL, process = 'killed' WHERE id = ?",
            (run_id,),
        )

    db.write_now(job)
