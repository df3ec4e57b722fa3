"""Which ways through a workflow a dry run can take: every route, loop and failure, tried until none is left to try.

Each trial walks the graph in this process, with made-up values for what models and people would give, and
stores nothing. A way that was not taken is tried by giving the fields that decide it values that would take
it. What decides and can't be made up (an input that was given, what code computes) is said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from engine.candidates import assignments
from engine.control import fired_by, state_lookup
from engine.errors import ParlanceError
from engine.graph import Graph
from engine.types import show
from engine.walk import Decision, Trial, Walk, Walker
from engine.workflow import Edge, Workflow

MOST_WALKS = 400
MOST_COMBINATIONS = 500
FAILS = "it fails"


@dataclass(slots=True)
class Branch:
    """One way out of a node: `to` the nodes, `when` the condition in words. `how` led there, `why_not` says what
    prevents it.
    """

    node: str
    to: tuple[str, ...]
    when: str
    edge: int
    reached: bool = False
    how: Mapping[str, Any] | None = None
    why_not: str | None = None
    tried: set[Trial] = field(default_factory=set)

    @property
    def fails(self) -> bool:
        """Whether the node fails on this way."""
        return self.when.startswith(FAILS)

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
        found += [
            Branch(edge.source, r.to, r.condition.text if r.condition else "default", edge.index)
            for r in edge.routes
        ]
        if edge.loop is not None:
            field_name = edge.loop.condition_field
            found.append(Branch(edge.source, (edge.source,), f"again: {field_name} is not true", edge.index))
            found.append(Branch(edge.source, edge.loop.exit_to, f"done: {field_name} is true", edge.index))
        if edge.failure:
            found.append(Branch(edge.source, edge.to, FAILS, edge.index))
    found += [
        Branch(node.id, (), f"{FAILS}, and the run goes on", -1)
        for node in workflow.nodes.values()
        if node.on_error == "continue"
    ]
    return found


async def explore(walker: Walker, given: Mapping[str, Any]) -> dict[str, Any]:
    """Try to take every way. {branches: [Branch], reached, of, walks, simulated: {node: why}, problems: [sentences]}.

    `given` are the inputs of a person, which are never changed.
    """
    search = _Search(walker, given)
    await search.run()
    return search.report()


class _Search:
    def __init__(self, walker: Walker, given: Mapping[str, Any]) -> None:
        self._walker = walker
        self._workflow, self._graph = walker.workflow, walker.graph
        self._given = given
        self._branches = branches_of(walker.workflow, walker.graph)
        self._todo: deque[Trial] = deque([Trial()])
        self._seen: set[Trial] = {Trial()}
        self._walks = 0
        self._simulated: dict[str, str] = {}
        self._problems: dict[str, None] = {}

    async def run(self) -> None:
        while self._todo and self._walks < MOST_WALKS and not all(b.reached for b in self._branches):
            trial = self._todo.popleft()
            walk_ = await self._walker.walk(trial, self._given)
            self._walks += 1
            self._simulated |= walk_.simulated
            if walk_.error is not None and not trial:
                self._problems[walk_.error] = None
            for decision in walk_.decisions:
                self._mark(walk_, decision)
            for decision in walk_.decisions:
                self._plan_others(walk_, decision)

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
        for branch in self._branches:
            same = decision.edge is not None and branch.edge == decision.edge.index
            if branch.node == decision.node and (same or branch.fails):
                yield branch

    def _plan_others(self, walk_: Walk, decision: Decision) -> None:
        for branch in self._of(decision):
            if branch.reached:
                continue
            if branch.fails:
                self._offer(walk_.trial.failing(decision.path, decision.iteration), branch)
            elif decision.edge is not None and branch.edge == decision.edge.index:
                self._plan_values(walk_, decision, decision.edge, branch)

    def _plan_values(self, walk_: Walk, decision: Decision, edge: Edge, branch: Branch) -> None:
        """Values of the deciding fields that would take this way, told to whoever writes them."""
        for changed in islice(assignments(self._workflow, edge, decision.state), MOST_COMBINATIONS):
            state = {**decision.state, **changed}
            try:
                fired = {target for _, target in fired_by([edge], state, decision.rounds)}
            except ParlanceError:
                continue
            if fired != set(branch.to) or (edge.routes and _route_of(edge, state) != branch.when):
                continue
            trial = walk_.trial
            for name, value in changed.items():
                writer = decision.writers.get(name)
                if writer is None and name in self._given:
                    branch.why_not = (
                        f"the input '{name}' decides it, and was given as {show(self._given[name])}."
                    )
                    break
                if writer is None and name not in self._workflow.inputs:
                    branch.why_not = f"'{name}' decides it, and nothing has written it by then."
                    break
                if writer is not None and not writer.made_up:
                    branch.why_not = f"'{name}' decides it, and '{writer.node}' really computes it."
                    break
                trial = trial.with_value(
                    writer.path if writer else None, writer.iteration if writer else 0, name, value
                )
            else:
                self._offer(trial, branch)
                return
        branch.why_not = branch.why_not or "no value was found that leads there."

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
    if decision.edge.routes:
        return _route_of(decision.edge, decision.state) == branch.when
    return set(decision.targets) == set(branch.to)


def _route_of(edge: Edge, state: Mapping[str, Any]) -> str | None:
    """The condition of the route that is taken, `default` where none matches."""
    for route in edge.routes:
        if route.condition is not None and route.condition.evaluate(state_lookup(state)):
            return route.condition.text
    return "default"
