"""One way through a workflow in a dry run, in this process: nodes one after the other, nothing stored."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.attempts import Outcome, attempt
from engine.control import fired_by
from engine.errors import ParlanceError, RunError
from engine.graph import Graph, error_field
from engine.inputs import first_state, read_inputs
from engine.made import made_inputs, made_writes
from engine.nodes.step import Parked, Services, Step
from engine.ports import NodeStatus, RunRecord
from engine.rehearsal import NOTE
from engine.scheduler import Scheduler, Visit, endless
from engine.simulate import REASONS
from engine.unreal import fields_seen, reaches_out
from engine.workflow import Edge, Workflow

MOST_VISITS = 2000
_BREATH = 0.005
PATIENCE = 1.0
"""Seconds that a tool may take where nothing outside is read."""


class _Breathing:
    """Lets others have the loop again when it has been ours for long enough."""

    def __init__(self) -> None:
        self._since = 0.0

    async def __call__(self) -> None:
        if time.thread_time() - self._since > _BREATH:
            await asyncio.sleep(0)
            self._since = time.thread_time()


breathe = _Breathing()


@dataclass(frozen=True, slots=True)
class Trial:
    """What a walk is told: values for outputs by (path, visit, field) or for inputs (no path), and which visits
    are to fail.

    Values stand as JSON, so that trials can be compared.
    """

    values: tuple[tuple[str | None, int, str, str], ...] = ()
    failures: tuple[tuple[str, int], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.values or self.failures)

    def with_value(self, path: str | None, iteration: int, name: str, value: Any) -> Trial:
        kept = {(p, i, n): v for p, i, n, v in self.values}
        kept[path, iteration, name] = json.dumps(value)
        return Trial(tuple((*key, value) for key, value in kept.items()), self.failures)

    def failing(self, path: str, iteration: int) -> Trial:
        return Trial(self.values, tuple(dict.fromkeys((*self.failures, (path, iteration)))))

    @property
    def origin(self) -> dict[str, Any]:
        """As a run's record keeps it."""
        choices = [[p, i, n, json.loads(v)] for p, i, n, v in self.values if p is not None]
        return {"choices": choices, "failures": [list(each) for each in self.failures]}

    @property
    def inputs(self) -> dict[str, Any]:
        return {name: json.loads(value) for path, _, name, value in self.values if path is None}


@dataclass(frozen=True, slots=True)
class Writer:
    """The visit that wrote a field last. `made_up`: its values were not computed."""

    node: str
    path: str
    iteration: int
    made_up: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """A visit ended, and this edge led to these targets; without an edge, it might have failed, or has and the run
    went on."""

    node: str
    path: str
    iteration: int
    rounds: int
    edge: Edge | None
    targets: tuple[str, ...]
    state: Mapping[str, Any]
    writers: Mapping[str, Writer]
    failed: bool = False


@dataclass(slots=True)
class Walk:
    """What came of a trial. `simulated` says by node what was not real, and why; `error` why the walk ended early."""

    trial: Trial
    inputs: Mapping[str, Any]
    decisions: list[Decision] = field(default_factory=list)
    simulated: dict[str, str] = field(default_factory=dict)
    error: str | None = None

    def how(self) -> dict[str, Any]:
        """What led this way, in plain JSON."""
        values = [
            {"node": path, "visit": iteration, "field": name, "value": json.loads(value)}
            for path, iteration, name, value in self.trial.values
            if path is not None
        ]
        return {"inputs": dict(self.inputs), "values": values, "fails": [p for p, _ in self.trial.failures]}


class Walker:
    """Walks through one workflow. `services` are the real ones; a dry run takes care that nothing happens.

    What code and reading tools gave (`done`) is not asked for again in another walk that gives them the same.
    `offline`: nothing outside is read either.
    """

    def __init__(
        self, workflow: Workflow, graph: Graph, services: Services, *, offline: bool = False
    ) -> None:
        self.workflow = workflow
        self.graph = graph
        self.services = services
        self.offline = offline
        self.done: dict[tuple[str, str], tuple[Outcome, str | None]] = {}

    async def walk(self, trial: Trial, given: Mapping[str, Any]) -> Walk:
        """InputError for inputs that do not fit; required ones that are missing are made up."""
        made = {**made_inputs(self.workflow, given), **trial.inputs}
        inputs = read_inputs(self.workflow, {**made, **given})
        return await Walking(self, trial, inputs, [name for name in made if name not in given]).run()


class Walking:
    """One walk. A case's walk says in its own way what a visit gives, see `engine.case_walk`."""

    def __init__(self, walker: Walker, trial: Trial, inputs: Mapping[str, Any], made: Sequence[str]) -> None:
        self._walker = walker
        self._graph = walker.graph
        self._scheduler = Scheduler(walker.graph, first_state(walker.workflow, inputs))
        self._found = Walk(trial, inputs)
        origin = {**trial.origin, "made_inputs": list(made)}
        self._host = _Host(
            RunRecord("dry", walker.workflow.name, "", inputs, "running", 0.0, dry=True, origin=origin),
            self._found.simulated,
        )
        self._told = {(p, i) for p, i, _, _ in trial.values} | set(trial.failures)
        self._writers: dict[str, Writer] = {}

    async def run(self) -> Walk:
        state = self._scheduler.history.state(0)
        try:
            fired = self._fire(None, self._graph.entries, state, 0)
            todo = deque(self._scheduler.begin(self._graph.arrows_of(fired)))
            visits = 0
            while todo and visits < MOST_VISITS:
                todo += await self._visit(todo.popleft())
                visits += 1
                await breathe()
        except ParlanceError as error:
            self._found.error = str(error)
        return self._found

    async def _visit(self, visit: Visit) -> list[Visit]:
        node = self._graph.nodes[visit.node]
        step = Step(
            node=node,
            workflow=self._walker.workflow,
            state=visit.state,
            services=self._walker.services,
            run_id="dry",
            path=node.id,
            iteration=visit.iteration,
            attempt=1,
            host=self._host,
            rehearses=True,
        )
        writes, error = await self._gives(step)
        after = self._scheduler.after(visit, writes)
        edges = self._graph.leaving[visit.node]
        if error is not None:
            fired = self._failed(visit, step, error, after)
        else:
            self._note_writer(step, writes)
            if node.on_error != "fail":
                self._decide(step, None, (), after, 0)
            fired = self._fire(step, edges, after, visit.rounds + 1)
        started = self._scheduler.end(visit, writes, self._graph.arrows_of(fired))
        if (late := endless(self._graph, started)) is not None:
            raise late
        return started

    async def _gives(self, step: Step) -> tuple[Mapping[str, Any], RunError | None]:
        """What a visit writes, and how it failed where the document deals with that. RunError where it does not."""
        if step.node.kind == "subflow":
            return self._subflow(step), None
        fails = (step.path, step.iteration) in self._found.trial.failures
        if self._walker.offline and not fails and step.node.kind == "tool" and reaches_out(step.node):
            return self._unread(step), None
        if not self._walker.offline or step.node.kind != "tool":
            return self._come_of(step, await self._outcome(step))
        try:
            async with asyncio.timeout(PATIENCE):
                return self._come_of(step, await self._outcome(step))
        except TimeoutError:
            self._found.simulated[step.path] = f"{step.node.tool} takes longer than {PATIENCE:g} s"
            return {**made_writes(step.node, step.workflow), **self._told_values(step)}, None

    def _unread(self, step: Step) -> Mapping[str, Any]:
        """What a tool might have read outside, where nothing is to be read there."""
        if step.node.effect == "none":
            self._found.simulated[step.path] = f"{step.node.tool} reads outside, and nothing is read here"
        else:
            self._found.simulated[step.path] = REASONS["tool"]
        return {**made_writes(step.node, step.workflow), **self._told_values(step)}

    async def _outcome(self, step: Step) -> Outcome:
        """How the node ends; what was computed for another walk from the same values is taken from there."""
        node, done = step.node, self._walker.done
        if node.kind not in ("code", "tool") or (step.path, step.iteration) in self._told:
            return await attempt(step)
        seen = {name: step.state.get(name) for name in sorted(fields_seen(node, step.workflow))}
        key = (node.id, json.dumps(seen, default=str))
        if key not in done:
            outcome = await attempt(step)
            done[key] = outcome, self._found.simulated.get(step.path)
        outcome, why = done[key]
        if why is not None:
            self._found.simulated[step.path] = why
        return outcome

    def _come_of(self, step: Step, outcome: Outcome) -> tuple[Mapping[str, Any], RunError | None]:
        if outcome.error is None:
            return outcome.writes, None
        if step.node.on_error == "fail":
            raise outcome.error
        return {error_field(step.node.id): str(outcome.error)}, outcome.error

    def _subflow(self, step: Step) -> Mapping[str, Any]:
        """Another workflow's ways are that workflow's: here it gives what it might."""
        self._found.simulated[step.path] = f"the workflow {step.node.subflow} is rehearsed by itself"
        return {**made_writes(step.node, step.workflow), **self._told_values(step)}

    def _told_values(self, step: Step) -> dict[str, Any]:
        values = self._host.record.origin or {}
        return {n: v for p, i, n, v in values["choices"] if (p, i) == (step.path, step.iteration)}

    def _failed(
        self, visit: Visit, step: Step, error: RunError, after: Mapping[str, Any]
    ) -> tuple[tuple[int, str], ...]:
        """Where the document goes on after a failure."""
        edges = self._graph.leaving[visit.node]
        failure = next((edge for edge in edges if edge.failure), None)
        self._decide(step, failure, failure.to if failure else (), after, 0, failed=True)
        if failure is not None:
            return tuple((failure.index, target) for target in failure.to)
        return self._fire(step, edges, after, visit.rounds + 1)

    def _fire(
        self, step: Step | None, edges: list[Edge], state: Mapping[str, Any], rounds: int
    ) -> tuple[tuple[int, str], ...]:
        try:
            fired = fired_by(edges, state, rounds)
        except RunError:  # it can't be decided like that; with other values it might
            for edge in edges:
                self._decide(step, edge, (), state, rounds)
            raise
        for edge in edges:
            if edge.routes or edge.loop:
                targets = tuple(target for index, target in fired if index == edge.index)
                self._decide(step, edge, targets, state, rounds)
        return fired

    def _decide(
        self,
        step: Step | None,
        edge: Edge | None,
        targets: tuple[str, ...],
        state: Mapping[str, Any],
        rounds: int,
        *,
        failed: bool = False,
    ) -> None:
        where = (step.node.id, step.path, step.iteration) if step else ("START", "START", 1)
        writers = dict(self._writers)
        self._found.decisions.append(Decision(*where, rounds, edge, targets, state, writers, failed))

    def _note_writer(self, step: Step, writes: Mapping[str, Any]) -> None:
        made_up = step.path in self._found.simulated
        for name in writes:
            self._writers[name] = Writer(step.node.id, step.path, step.iteration, made_up)


class _Host:
    """The run that a walk pretends to be: it keeps what was not real, and nothing else."""

    def __init__(self, record: RunRecord, simulated: dict[str, str]) -> None:
        self._record = record
        self._simulated = simulated

    @property
    def record(self) -> RunRecord:
        return self._record

    @property
    def seconds_left(self) -> None:
        return None

    def rows_of(self, path: str, iteration: int) -> tuple[()]:
        return ()

    async def note(self, step: Step, path: str, status: NodeStatus, **what: Any) -> None:
        if path == step.path + NOTE:
            self._simulated[step.path.partition("[")[0]] = what["writes"]["why"]

    def note_soon(self, step: Step, status: NodeStatus, **what: Any) -> None:
        return None

    async def wait(self, step: Step, path: str, question: Any, *, attempt: int | None = None) -> Any:
        raise Parked("waiting")
