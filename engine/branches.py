"""Which ways through a workflow a dry run can take: every route, loop and failure, tried until none is left to try.

Each trial walks the graph in this process, with made-up values for what models and people would give, and
stores nothing. A way that was not taken is tried by giving the fields that decide it values that would take
it, or, where code computes these, by giving the code other values. What decides and can't be made up (an
input that was given, what is computed from nothing made up) is said.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.candidates import assignments, others_of
from engine.control import fired_by, state_lookup
from engine.errors import ParlanceError
from engine.expressions import ExpressionError
from engine.graph import Graph
from engine.types import show
from engine.walk import Decision, Trial, Walk, Walker, breathe
from engine.workflow import Edge, Workflow

MOST_WALKS = 2000
MOST_COMBINATIONS = 5000
MOST_SECONDS = 20.0
FAILS = "it fails"


@dataclass(slots=True, eq=False)
class Branch:
    """One way out of a node: `to` the nodes, `when` the condition in words. `how` led there, `why_not` says what
    prevents it. `route` counts the edge's routes from 0, None for another kind of edge.
    """

    node: str
    to: tuple[str, ...]
    when: str
    edge: int
    route: int | None = None
    reached: bool = False
    how: Mapping[str, Any] | None = None
    why_not: str | None = None
    tried: set[Trial] = field(default_factory=set)

    @property
    def fails(self) -> bool:
        """Whether the node fails on this way."""
        return self.route is None and self.when.startswith(FAILS)

    def to_dict(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "to": list(self.to),
            "when": self.when,
            "reached": self.reached,
            "how": self.how,
            "why_not": None if self.reached else self.why_not or f"'{self.node}' was never reached.",
        }


def branches_of(workflow: Workflow, graph: Graph) -> list[Branch]:
    """Every way that is not the only one: routes, both ends of loops, and failures that the document deals with."""
    found = []
    for edge in (*graph.entries, *(e for edges in graph.leaving for e in edges)):
        for number, route in enumerate(edge.routes):
            when = route.condition.text if route.condition else "default"
            found.append(Branch(edge.source, route.to, when, edge.index, number))
        if edge.loop is not None:
            name = edge.loop.condition_field
            found.append(Branch(edge.source, (edge.source,), f"again: {name} is not true", edge.index))
            found.append(Branch(edge.source, edge.loop.exit_to, f"done: {name} is true", edge.index))
        if edge.failure:
            found.append(Branch(edge.source, edge.to, FAILS, edge.index))
    found += [
        Branch(node.id, (), f"{FAILS}, and the run goes on", -1)
        for node in workflow.nodes.values()
        if node.on_error == "continue"
    ]
    return found


async def explore(
    walker: Walker, given: Mapping[str, Any], *, seconds: float = MOST_SECONDS
) -> dict[str, Any]:
    """Try to take every way. {branches: [Branch], reached, of, walks, simulated: {node: why}, problems: [sentences]}.

    `given` are the inputs of a person, which are never changed. After `seconds`, what was not reached is left so.
    InputError for inputs that do not fit.
    """
    search = _Search(walker, given, time.monotonic() + seconds)
    await search.run()
    return search.report()


class _Search:
    def __init__(self, walker: Walker, given: Mapping[str, Any], until: float) -> None:
        self._walker = walker
        self._workflow, self._graph = walker.workflow, walker.graph
        self._given = given
        self._until = until
        self._branches = branches_of(walker.workflow, walker.graph)
        self._at: dict[str, list[Branch]] = {}
        for branch in self._branches:
            self._at.setdefault(branch.node, []).append(branch)
        self._todo: deque[Trial] = deque()
        self._later: deque[Trial] = deque()
        self._seen: set[Trial] = {Trial()}
        self._walks = 0
        self._simulated: dict[str, str] = {}
        self._problems: dict[str, None] = {}

    async def run(self) -> None:
        await self._try(Trial())
        while (self._todo or self._later) and not all(b.reached for b in self._branches):
            if self._walks >= MOST_WALKS or time.monotonic() > self._until:
                self._give_up()
                return
            await self._try((self._todo or self._later).popleft())

    async def _try(self, trial: Trial) -> None:
        walk_ = await self._walker.walk(trial, self._given)
        self._walks += 1
        self._simulated |= walk_.simulated
        if walk_.error is not None and not trial:
            self._problems[walk_.error] = None
        for decision in walk_.decisions:
            self._mark(walk_, decision)
        for decision in walk_.decisions:
            await self._plan_others(walk_, decision)

    def _give_up(self) -> None:
        for branch in self._branches:
            branch.why_not = branch.why_not or "the time was over before a way there was found."

    def report(self) -> dict[str, Any]:
        return {
            "branches": [branch.to_dict() for branch in self._branches],
            "reached": sum(branch.reached for branch in self._branches),
            "of": len(self._branches),
            "walks": self._walks,
            "simulated": self._simulated,
            "problems": list(self._problems),
        }

    def _mark(self, walk_: Walk, decision: Decision) -> None:
        for branch in self._of(decision):
            if not branch.reached and _is_taken(branch, decision):
                branch.reached, branch.how = True, walk_.how()

    def _of(self, decision: Decision) -> Iterator[Branch]:
        for branch in self._at.get(decision.node, ()):
            same = decision.edge is not None and branch.edge == decision.edge.index
            if same or branch.fails:
                yield branch

    # --- other ways ---

    async def _plan_others(self, walk_: Walk, decision: Decision) -> None:
        for branch in self._of(decision):
            if branch.reached:
                continue
            if branch.fails:
                self._offer(walk_.trial.failing(decision.path, decision.iteration), branch)
            elif decision.edge is not None and branch.edge == decision.edge.index:
                await self._plan_values(walk_, decision, decision.edge, branch)

    async def _plan_values(self, walk_: Walk, decision: Decision, edge: Edge, branch: Branch) -> None:
        """Values of the deciding fields that would take this way, told to whoever writes them."""
        why_not = None
        for number, changed in enumerate(assignments(self._workflow, edge, decision.state)):
            if number >= MOST_COMBINATIONS:
                break
            await breathe()
            if not self._leads(edge, branch, {**decision.state, **changed}, decision.rounds):
                continue
            trial, obstacle, computed = self._told(walk_.trial, decision, changed)
            if trial is not None:
                self._offer(trial, branch)
                return
            why_not = why_not or obstacle
            if computed:
                self._vary(walk_, decision)
                break
        branch.why_not = branch.why_not or why_not or "no value was found that leads there."

    def _leads(self, edge: Edge, branch: Branch, state: Mapping[str, Any], rounds: int) -> bool:
        """Whether this way is taken in this state."""
        try:
            fired = {target for _, target in fired_by([edge], state, rounds)}
            return fired == set(branch.to) and (not edge.routes or _route_of(edge, state) == branch.route)
        except (ParlanceError, ExpressionError):
            return False

    def _told(
        self, trial: Trial, decision: Decision, changed: Mapping[str, Any]
    ) -> tuple[Trial | None, str | None, bool]:
        """The trial with these values told to who writes them; or why that can't be, and whether it is computed."""
        for name, value in changed.items():
            writer = decision.writers.get(name)
            if writer is not None and not writer.made_up:
                return None, f"'{name}' decides it, and '{writer.node}' really computes it.", True
            if writer is not None:
                trial = trial.with_value(writer.path, writer.iteration, name, value)
            elif name in self._given:
                said = show(self._given[name])
                return None, f"the input '{name}' decides it, and was given as {said}.", False
            elif name in self._workflow.inputs:
                trial = trial.with_value(None, 0, name, value)
            else:
                return None, f"'{name}' decides it, and nothing has written it by then.", False
        return trial, None, False

    def _vary(self, walk_: Walk, decision: Decision) -> None:
        """Give other values to what code may have computed from: one made-up value at a time, when all else is
        tried."""
        for name, kind in self._workflow.fields.items():
            writer = decision.writers.get(name)
            if writer is not None and not writer.made_up:
                continue
            if writer is None and (name in self._given or name not in self._workflow.inputs):
                continue
            path, iteration = (writer.path, writer.iteration) if writer else (None, 0)
            for value in others_of(kind):
                trial = walk_.trial.with_value(path, iteration, name, value)
                if trial not in self._seen and len(trial.values) <= 2:
                    self._seen.add(trial)
                    self._later.append(trial)

    def _offer(self, trial: Trial, branch: Branch) -> None:
        if trial not in self._seen:
            self._seen.add(trial)
            self._todo.append(trial)
        elif trial in branch.tried:
            branch.why_not = branch.why_not or "what should lead there led elsewhere."
        branch.tried.add(trial)


def _is_taken(branch: Branch, decision: Decision) -> bool:
    if branch.fails:
        return decision.failed
    if decision.failed or decision.edge is None or branch.edge != decision.edge.index:
        return False
    if decision.edge.routes and decision.targets:
        return _route_of(decision.edge, decision.state) == branch.route
    return bool(decision.targets) and set(decision.targets) == set(branch.to)


def _route_of(edge: Edge, state: Mapping[str, Any]) -> int | None:
    """The number of the route that is taken: the first that matches, else the first default. ExpressionError."""
    default = None
    for number, route in enumerate(edge.routes):
        if route.condition is None:
            default = number if default is None else default
        elif route.condition.evaluate(state_lookup(state)):
            return number
    return default
