"""A walk in which some nodes give what a case says, and which tells what of it would be so whatever the others gave.

A value is unsure when it was made up, or computed from such; a way that is decided on an unsure value is unsure too,
and so is what runs, or is written, only because of it. What every alternative leads to is sure all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import and_, or_
from typing import Any

from engine.attempts import Outcome
from engine.control import Fired
from engine.errors import NodeError, RunError
from engine.expressions import Expression
from engine.graph import Graph
from engine.made import made_writes
from engine.nodes.outputs import Misfit
from engine.nodes.step import Step
from engine.scheduler import Visit
from engine.templates import Ref
from engine.unreal import fields_seen
from engine.walk import Trial, Walker, Walking
from engine.workflow import END, Edge

FAILS = "_error"
"""In place of an output's name: the node fails, with this text."""
Given = Mapping[str, tuple[Mapping[str, Any], ...]]
"""By node: what each of its visits writes, the last entry also for those after it."""


class CaseWalk(Walking):
    """`ran` are the nodes that ran, in order, `sure` those that run whatever is not known, `may` those that might.

    `unsure` says by field why its value is not known, `doubts` why ways are not.
    """

    def __init__(self, walker: Walker, given: Given, inputs: Mapping[str, Any], made: Iterable[str]) -> None:
        made = list(made)
        super().__init__(walker, Trial(), inputs, made)
        self._given = given
        self.ran: dict[str, None] = {}
        self.sure: set[str] = set()
        self.may: set[str] = set()
        self.unsure: dict[str, str] = dict.fromkeys(made, "is an input that the case does not give")
        self.doubts: dict[str, None] = {}
        self._at: str | None = None
        self._ways: dict[int, tuple[set[str], set[str]]] = {}

    @property
    def state(self) -> Mapping[str, Any]:
        """The state after all that ran."""
        return self._scheduler.history.final()

    @property
    def error_is_sure(self) -> bool:
        """Whether the walk's error would come whatever is not known."""
        return not self.doubts and (self._at is None or self._at in self.sure)

    async def _visit(self, visit: Visit) -> list[Visit]:
        self._at = self._graph.nodes[visit.node].id
        self.ran[self._at] = None
        return await super()._visit(visit)

    async def _gives(self, step: Step) -> tuple[Mapping[str, Any], RunError | None]:
        node, said = step.node, self._given.get(step.node.id)
        if said is not None:
            return self._gives_said(step, said[min(step.iteration, len(said)) - 1])
        if node.kind == "code" and (why_not := _no_code(step)) is not None:
            self._found.simulated[step.path] = why_not
            writes: Mapping[str, Any] = made_writes(node, step.workflow)
            for name in writes:
                self._mark(step, name, f"is computed by '{node.id}', and {why_not}")
            return writes, None
        return await self._gives_by_itself(step)

    async def _gives_by_itself(self, step: Step) -> tuple[Mapping[str, Any], RunError | None]:
        node = step.node
        unsure = [name for name in sorted(fields_seen(node, step.workflow)) if name in self.unsure]
        self._found.simulated.pop(step.path, None)
        writes, error = await super()._gives(step)
        why = self._found.simulated.get(step.path)
        if why is not None and node.kind == "code" and not unsure:
            raise NodeError(node.id, f"With these values it fails: {why}")
        for name in writes:
            because = _made(node.id) if why is not None else None
            if because is None and unsure:
                because = f"is computed by '{node.id}' from '{unsure[0]}', which {self.unsure[unsure[0]]}"
            self._mark(step, name, because)
        return writes, error

    def _gives_said(self, step: Step, said: Mapping[str, Any]) -> tuple[Mapping[str, Any], RunError | None]:
        node = step.node
        if FAILS in said:
            error = NodeError(node.id, f"It fails in this test: {said[FAILS]}")
            return self._come_of(step, Outcome(0.0, 0.0, error=error))
        writes = self._said(step, said)
        for name in node.outputs:
            self._mark(step, name, None if name in said else _made(node.id))
        return writes, None

    def _mark(self, step: Step, name: str, why: str | None) -> None:
        if why is None and step.node.id not in self.sure:
            why = f"is written by '{step.node.id}', and whether that runs is not sure"
        appends = step.workflow.fields[name].reduce is not None if name in step.workflow.fields else False
        if why is not None:
            self.unsure[name] = why
        elif not appends:
            self.unsure.pop(name, None)

    def _said(self, step: Step, said: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the case says that this visit gives; the rest is made up. NodeError for what can't be answered."""
        made = made_writes(step.node, step.workflow)
        if len(made) > len(said):
            missing = ", ".join(sorted(set(made) - set(said)))
            self._found.simulated[step.path] = f"the case does not say {missing}"
        if step.node.kind == "ask" and said and step.node.each is None:
            return self._answered(step, said)
        return {**made, **said}

    def _answered(self, step: Step, said: Mapping[str, Any]) -> Mapping[str, Any]:
        from engine.nodes.ask import answer_writes, options_of

        try:
            return answer_writes(step.node, step.workflow, options_of(step), next(iter(said.values())))
        except Misfit as error:
            raise NodeError(step.node.id, str(error), "Let the test give one of the answers.") from None

    # --- ways ---

    def _failed(
        self, visit: Visit, step: Step, error: RunError, after: Mapping[str, Any]
    ) -> tuple[tuple[int, str], ...]:
        fired = super()._failed(visit, step, error, after)
        if step.node.id in self.sure and step.node.on_error not in ("fail", "continue"):
            self.sure |= {target for _, target in fired if target != END}
        return fired

    def _fire(self, step: Step | None, edges: list[Edge], state: Mapping[str, Any], rounds: int) -> Fired:
        is_sure = step is None or step.node.id in self.sure
        unsure = {edge.index: why for edge in edges if (why := self._why_unsure(edge))}
        for edge in edges:
            if edge.index in unsure:
                self._doubt(edge, unsure[edge.index], is_sure)
        fired = super()._fire(step, edges, state, rounds)
        if is_sure:
            self.sure |= {target for index, target in fired if index not in unsure and target != END}
        return fired

    def _why_unsure(self, edge: Edge) -> str | None:
        """Why nobody can say where this edge leads, None where one can."""
        if edge.loop is not None:
            names = [edge.loop.condition_field]
        else:
            names = [name for route in edge.routes if route.condition for name in fields_of(route.condition)]
        found = next((name for name in names if name in self.unsure), None)
        return None if found is None else f"'{found}' {self.unsure[found]}"

    def _doubt(self, edge: Edge, why: str, is_sure: bool) -> None:
        graph = self._graph
        self.doubts[why] = None
        if edge.index not in self._ways:
            self._ways[edge.index] = reachable(graph, edge.targets), surely(graph, edge)
        may, must = self._ways[edge.index]
        self.may |= may
        if is_sure:
            self.sure |= must
        for node in may - self.sure:
            for name in graph.nodes[graph.number[node]].outputs:
                self.unsure.setdefault(name, f"may be written by '{node}', and whether that runs is not sure")


def fields_of(condition: Expression) -> list[str]:
    """The state fields that a condition looks at."""
    return [name for ref in condition.refs if (name := field_of(ref)) is not None]


def field_of(ref: Ref) -> str | None:
    """The state field that a reference leads into."""
    return ref.root if ref.root != "state" else str(ref.path[0]) if ref.path else None


def _no_code(step: Step) -> str | None:
    """Why code can't run here, None where it can."""
    box = step.services.sandbox
    if box is None:
        return "there is no sandbox here"
    said = box.available()
    return None if said is None else f"code can't run here: {said}"


def _made(node: str) -> str:
    return f"comes from '{node}', and the case does not say what that gives"


def reachable(graph: Graph, targets: Iterable[str]) -> set[str]:
    """The nodes that can run once these have been reached, themselves included."""
    found: set[str] = set()
    todo = [target for target in targets if target != END]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += [t for edge in graph.leaving[graph.number[node]] for t in edge.targets if t != END]
    return found


def surely(graph: Graph, edge: Edge) -> set[str]:
    """What must run once an edge has fired, whichever way it leads. Only what no way can avoid counts."""
    must = {node.id: 1 << number for number, node in enumerate(graph.nodes)} | {END: 0}
    order = _last_first(graph, edge)
    changed = True
    while changed:
        changed = False
        for name in order:
            new = must[name]
            for leaving in graph.leaving[graph.number[name]]:
                new |= 0 if leaving.failure else _on_all_ways(leaving, must)
            changed = changed or new != must[name]
            must[name] = new
    found = _on_all_ways(edge, must)
    return {node.id for number, node in enumerate(graph.nodes) if found >> number & 1}


def _last_first(graph: Graph, edge: Edge) -> list[str]:
    """What can be reached over an edge, each node after those that it leads to, as far as there are no cycles."""
    found: list[str] = []
    seen = {END}
    todo = [(target, False) for target in edge.targets]
    while todo:
        name, left = todo.pop()
        if left:
            found.append(name)
        elif name not in seen:
            seen.add(name)
            todo.append((name, True))
            todo += [(t, False) for e in graph.leaving[graph.number[name]] for t in e.targets]
    return found


def _on_all_ways(edge: Edge, must: Mapping[str, int]) -> int:
    ways = [edge.loop.exit_to] if edge.loop else [route.to for route in edge.routes] or [edge.to]
    return reduce(and_, (reduce(or_, (must[target] for target in way), 0) for way in ways))
