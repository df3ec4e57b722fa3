"""A second engine, written to be obviously right and nothing else: sets, searches and no cleverness.

It reads the same YAML, imports nothing of the real one, and says which visits a document has and how it ends,
whichever of the running nodes ends first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import yaml

from tests.reference.work import Broken, answered, worked

State = dict[str, Any]
EdgeWay = tuple[int, str]
"""An edge by its place in the document, and one of its targets."""


@dataclass(eq=False)
class Visit:
    node: str
    number: int
    past: frozenset[Visit]
    rounds: int
    writes: State = field(default_factory=dict)
    failed: bool = False


@dataclass
class Waiting:
    ways: set[EdgeWay] = field(default_factory=set)
    past: set[Visit] = field(default_factory=set)
    rounds: int = 0
    entered: bool = False


@dataclass(frozen=True)
class Result:
    """Every visit that was made, those of sub-workflows too, by path and number; and the state at the end."""

    visits: tuple[tuple[str, int], ...]
    state: State


Choose = Callable[[list[Visit]], Visit]


class Interpreter:
    """Runs one document. `choose` picks which of the running visits ends next.

    `library` has the documents of sub-workflows by name; `prefix` stands before the paths of the visits.
    """

    def __init__(
        self,
        text: str,
        inputs: State,
        choose: Choose,
        library: Mapping[str, str] | None = None,
        prefix: str = "",
    ) -> None:
        data = yaml.safe_load(text)
        self.fields: dict[str, dict[str, Any]] = data["state"]["fields"]
        self.nodes: dict[str, dict[str, Any]] = {n["id"]: n for n in data["nodes"]}
        self.place = {name: n for n, name in enumerate(self.nodes)}
        self.edges: list[dict[str, Any]] = data["edges"]
        self.edges += [
            {"from": node["id"], "to": node["on_error"], "failure": True}
            for node in data["nodes"]
            if node.get("on_error", "continue") != "continue"
        ]
        self.outputs: list[str] = data["flow"].get("outputs", [])
        self.inputs = inputs
        self.choose = choose
        self.library = library or {}
        self.prefix = prefix
        self.waiting: dict[str, Waiting] = {}
        self.running: list[Visit] = []
        self.ended: list[Visit] = []
        self.started: list[tuple[str, int]] = []
        self.counts: dict[str, int] = {}

    def run(self) -> Result:
        """Broken when a node fails and nothing in the document deals with it."""
        self.fire_from("START", {}, set(), 0)
        self.start_what_may()
        while self.running:
            visit = self.choose(list(self.running))
            self.running.remove(visit)
            self.end(visit)
            self.start_what_may()
        assert not self.waiting, f"{list(self.waiting)} wait for ever"
        return Result(tuple(sorted(self.started)), self.state(set(self.ended)))

    # --- control ---

    def ways_into(self, node: str) -> dict[EdgeWay, str]:
        """Every way into a node, with where it comes from."""
        return {
            (index, target): edge["from"]
            for index, edge in enumerate(self.edges)
            for target in targets(edge)
            if target == node
        }

    def reaches(self, source: str, goal: str, avoid: str) -> bool:
        """Whether a way leads from `source` to `goal` that does not pass through `avoid`."""
        seen, todo = set(), [source]
        while todo:
            node = todo.pop()
            if node == avoid or node in seen:
                continue
            if node == goal:
                return True
            seen.add(node)
            todo += [t for edge in self.edges if edge["from"] == node for t in targets(edge)]
        return False

    def waits_for(self, node: str) -> set[str]:
        """The running and waiting nodes that can still fire a way into `node` that has not fired."""
        active = {visit.node for visit in self.running} | set(self.waiting)
        unfired = {s for way, s in self.ways_into(node).items() if way not in self.waiting[node].ways}
        return {
            other
            for other in active - {node}
            if any(self.reaches(other, source, avoid=node) for source in unfired if source != "START")
        }

    def start_what_may(self) -> None:
        waits = {node: self.waits_for(node) for node in self.waiting}
        ready = [node for node in waits if not waits[node]]
        for node in sorted(ready or self.first_of_circles(waits), key=self.place.__getitem__):
            self.start(node)

    def first_of_circles(self, waits: dict[str, set[str]]) -> list[str]:
        """The first node in the document of each group that waits for nothing but each other."""

        def closure(node: str) -> set[str]:
            found: set[str] = set()
            todo = [node]
            while todo:
                for other in waits.get(todo.pop(), set()) - found:
                    found.add(other)
                    todo.append(other)
            return found

        firsts = set()
        for node in waits:
            group = closure(node)
            closed = group <= set(waits) and not group & {visit.node for visit in self.running}
            if closed and all(node in closure(other) for other in group):
                firsts.add(min(group, key=self.place.__getitem__))
        return list(firsts)

    def start(self, node: str) -> None:
        waiting = self.waiting[node]
        past = set(waiting.past)
        for way, source in self.ways_into(node).items():
            if way not in waiting.ways and source != "START":
                for visit in self.ended:
                    if visit.node != node and self.reaches(visit.node, source, avoid=node):
                        past |= visit.past | {visit}
        del self.waiting[node]
        self.counts[node] = self.counts.get(node, 0) + 1
        rounds = 0 if waiting.entered else waiting.rounds
        self.running.append(Visit(node, self.counts[node], frozenset(past), rounds))
        self.started.append((self.prefix + node, self.counts[node]))

    def end(self, visit: Visit) -> None:
        sees = self.state(set(visit.past)) | {f"_loop_iteration_{visit.node}": visit.rounds}
        node = self.nodes[visit.node]
        before = len(self.started)
        try:
            found = self.mapped(node, sees) if "for_each" in node else self.once(node, sees, visit.node)
        except Broken:
            if "on_error" not in node:
                raise
            del self.started[before:]  # which elements had ended by then is a matter of time
            visit.failed = node["on_error"] != "continue"
            found = {f"_error_{visit.node}": True}
        visit.writes = {**found, f"_loop_iteration_{visit.node}": visit.rounds + 1}
        self.ended.append(visit)
        after = self.state(set(visit.past) | {visit})
        self.fire_from(visit.node, after, set(visit.past) | {visit}, visit.rounds + 1, visit.failed)

    # --- what nodes do ---

    def mapped(self, node: dict[str, Any], sees: State) -> State:
        """The node once per element, in order; lists of what it gave."""
        items = sees[node["for_each"].removeprefix("state.")]
        if not isinstance(items, list):
            raise Broken(node["id"])
        found: list[State | None] = []
        for number, item in enumerate(items):
            try:
                found.append(self.once(node, {**sees, "item": item}, f"{node['id']}[{number}]"))
            except Broken:
                if node.get("on_error") != "continue":
                    raise
                found.append(None)
        writes: State = {out: [e and e[out] for e in found] for out in node["outputs"]}
        return {**writes, f"_error_{node['id']}": True} if None in found else writes

    def once(self, node: dict[str, Any], sees: State, path: str) -> State:
        if "workflow" in node:
            given = {name: looked_up(text, sees) for name, text in node["inputs"].items()}
            below = f"{self.prefix}{path}/"
            child = Interpreter(self.library[node["workflow"]], given, self.choose, self.library, below)
            result = child.run()
            self.started += result.visits
            return {name: result.state[name] for name in node["outputs"]}
        if "ask" in node:
            said = answered(filled(node["ask"], sees), node.get("options", ["approve", "reject"]))
            return {node["outputs"][0]: said if "options" in node else said == "approve"}
        args = node["args"]
        given = {
            "id": args["id"],
            "seen": [looked_up(text, sees) for text in args["seen"]],
            "outs": args["outs"],
            "counts": {name: sees[name] for name in args.get("counts", {})},
            "fails": args.get("fails", 0),
        }
        return worked(given)

    def fire_from(
        self, source: str, state: State, past: set[Visit], rounds: int, failed: bool = False
    ) -> None:
        for index, edge in enumerate(self.edges):
            if edge["from"] == source and edge.get("failure", False) == failed:
                for target in taken(edge, state, rounds):
                    if target != "END":
                        again = "loop" in edge and target == source
                        waiting = self.waiting.setdefault(target, Waiting())
                        waiting.ways.add((index, target))
                        waiting.past |= past
                        waiting.rounds = rounds if again else waiting.rounds
                        waiting.entered = waiting.entered or not again

    # --- state ---

    def state(self, visits: set[Visit]) -> State:
        """The state after these visits: each after those in its past, otherwise in document order."""
        state = {name: f.get("default") for name, f in self.fields.items()}
        state |= {name: value for name, value in self.inputs.items() if value is not None}
        left = set(visits)
        while left:
            free = [v for v in left if not v.past & left]
            visit = min(free, key=lambda v: (self.place[v.node], v.number))
            left.remove(visit)
            for name, value in visit.writes.items():
                state[name] = self.written(name, state.get(name), value)
        return state

    def written(self, name: str, old: Any, value: Any) -> Any:
        reduce = self.fields.get(name, {}).get("reduce")
        if reduce == "append":
            return [*(old or []), *(value if isinstance(value, list) else [value])]
        if reduce == "merge":
            return {**(old or {}), **value}
        return value


def looked_up(text: str, sees: State) -> Any:
    """`{state.<field>}` or `{item}`: all that generated documents refer to."""
    return sees.get(text[1:-1].removeprefix("state."), 0)


def filled(text: str, sees: State) -> str:
    """A text with references to texts, numbers and nothing."""
    return re.sub(r"\{[\w.]+\}", lambda m: written_out(looked_up(m[0], sees)), text)


def written_out(value: Any) -> str:
    return (
        "" if value is None else value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    )


def targets(edge: Mapping[str, Any]) -> list[str]:
    if "loop" in edge:
        return [edge["from"], edge["loop"]["exit_to"]]
    if "routes" in edge:
        return [t for route in edge["routes"] for t in listed(route["to"])]
    return listed(edge["to"])


def taken(edge: Mapping[str, Any], state: State, rounds: int) -> list[str]:
    """Where an edge leads in this state."""
    if "loop" in edge:
        over = state[edge["loop"]["condition_field"]] is True or rounds >= edge["loop"]["max_iterations"]
        return [edge["loop"]["exit_to"] if over else edge["from"]]
    if "routes" in edge:
        return listed(next(r["to"] for r in edge["routes"] if holds(r["condition"], state)))
    return listed(edge["to"])


def listed(to: str | list[str]) -> list[str]:
    return [to] if isinstance(to, str) else to


def holds(condition: str, state: State) -> bool:
    """`default`, or `state.<field> < <number>`: all that generated documents have."""
    if condition == "default":
        return True
    match = re.fullmatch(r"state\.(\w+) < (\d+)", condition)
    assert match, condition
    value = state[match[1]]
    return value is not None and value < int(match[2])


def interpret(text: str, inputs: State, seed: int, library: Mapping[str, str] | None = None) -> Result:
    """Run a document with its nodes ending in an order drawn from `seed`."""
    random = Random(seed)
    result = Interpreter(text, inputs, random.choice, library).run()
    return Result(tuple(sorted(result.visits)), result.state)
