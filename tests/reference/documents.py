"""Random small documents: sequences, forks, routes, cycles and loops put into one another, with joins everywhere.

What a document has is noted in its `shares`, so that a test can say that the hard cases are really there. A
fork's branch may leave its fork early (`short cuts`), never a cycle: how often a cycle throws something off
depends on time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import yaml


@dataclass(frozen=True)
class Document:
    text: str
    inputs: dict[str, Any]
    shares: frozenset[str]
    nodes: int


@dataclass
class Loose:
    """An end that leads nowhere yet: a list of targets to be filled."""

    to: list[str]
    routed: bool


@dataclass
class Writer:
    """Collects nodes and edges while blocks are made inside one another."""

    random: Random
    most: int
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    edges: list[dict[str, Any]] = field(default_factory=list)
    shares: set[str] = field(default_factory=set)
    cycles: int = 0
    forks: int = 0
    short_cuts: list[Loose] = field(default_factory=list)

    # --- pieces ---

    def node(self, loose: list[Loose], **extra: str) -> str:
        """A node that all loose ends lead to."""
        name = f"n{len(self.nodes)}"
        if len(loose) > 1:
            self.shares.add("join")
            if any(end.routed for end in loose):
                self.shares.add("join after a route")
        for end in loose:
            end.to.append(name)
        seen = self.random.sample(list(self.fields), min(len(self.fields), self.random.randint(1, 3)))
        shared = (("log", "item"), ("notes", "entry"), ("last", "number"))
        drawn = {name: kind for name, kind in shared if self.random.random() < 0.3}
        outs = {self.number_field(): "number", **extra, **drawn}
        args: dict[str, Any] = {"id": name, "seen": [f"{{state.{s}}}" for s in seen], "outs": outs}
        counts = {out: f"{{state.{out}}}" for out, kind in outs.items() if kind == "count"}
        if counts:
            args["counts"] = counts
        self.nodes.append({"id": name, "tool": "work", "args": args, "outputs": list(outs)})
        return name

    def number_field(self) -> str:
        name = f"f{len(self.fields)}"
        self.fields[name] = {"type": "int"}
        return name

    def leaves(self, source: str) -> Loose:
        end = Loose([], routed=False)
        self.edges.append({"from": source, "to": end.to})
        return end

    # --- blocks: they take loose ends and give back others ---

    def block(self, loose: list[Loose], depth: int) -> list[Loose]:
        if depth <= 0 or len(self.nodes) >= self.most:
            return self.step(loose, depth)
        kinds = [
            self.step,
            self.sequence,
            self.sequence,
            self.fork,
            self.route,
            self.route,
            self.cycle,
            self.loop,
        ]
        kinds += [self.fork] * (4 if self.forks else 2)
        made: list[Loose] = self.random.choice(kinds)(loose, depth)
        return made

    def step(self, loose: list[Loose], depth: int) -> list[Loose]:
        return [self.leaves(self.node(loose))]

    def sequence(self, loose: list[Loose], depth: int) -> list[Loose]:
        for _ in range(self.random.randint(2, 3)):
            loose = self.block(loose, depth - 1)
        return loose

    def fork(self, loose: list[Loose], depth: int) -> list[Loose]:
        """Branches side by side; now and then one of them also leads past the join."""
        source = self.node(loose)
        if self.forks:
            self.shares.add("nested fork")
        self.shares.add("fork")
        self.forks += 1
        ends: list[Loose] = []
        one_edge = self.random.random() < 0.5
        common: list[str] = []
        if one_edge:
            self.edges.append({"from": source, "to": common})
        for _ in range(self.random.randint(2, 3)):
            branch = [Loose(common, routed=False)] if one_edge else [self.leaves(source)]
            ends += self.block(branch, depth - 1)
            if not self.cycles and self.random.random() < 0.2:
                self.shares.add("short cut")
                self.short_cuts.append(self.leaves(self.nodes[-1]["id"]))
        self.forks -= 1
        return ends

    def route(self, loose: list[Loose], depth: int) -> list[Loose]:
        """One branch of several; one may lead on directly, two may share their end with END."""
        source = self.node(loose)
        self.shares.add("route")
        test = self.nodes[-1]["outputs"][0]
        routes: list[dict[str, Any]] = []
        self.edges.append({"from": source, "routes": routes})
        ends: list[Loose] = []
        for condition in [f"state.{test} < {self.random.randint(2, 5)}", f"state.{test} < 8", "default"][
            self.random.randint(0, 1) :
        ]:
            to: list[str] = []
            routes.append({"condition": condition, "to": to})
            end = Loose(to, routed=True)
            drawn = self.random.random()
            if drawn < 0.2:
                ends.append(end)
            elif drawn < 0.3 and not self.cycles:
                to.append("END")
            else:
                ends += [Loose(e.to, True) for e in self.block([end], depth - 1)]
        return ends or [self.leaves(source)]

    def cycle(self, loose: list[Loose], depth: int) -> list[Loose]:
        """A body that runs again while a counter is small."""
        self.shares.add("cycle")
        self.cycles += 1
        back = Loose([], routed=True)
        counter = self.number_field()
        self.fields[counter] = {"type": "int", "default": 0}
        first = len(self.nodes)
        ends = self.block([*loose, back], depth - 1)
        last = self.node(ends, **{counter: "count"})
        self.cycles -= 1
        on = Loose([], routed=True)
        limit = self.random.randint(2, 3)
        self.edges.append(
            {
                "from": last,
                "routes": [
                    {"condition": f"state.{counter} < {limit}", "to": back.to},
                    {"condition": "default", "to": on.to},
                ],
            }
        )
        back.to[:] = [self.nodes[first]["id"]]
        return [on]

    def loop(self, loose: list[Loose], depth: int) -> list[Loose]:
        """A node that runs again until its flag is true."""
        self.shares.add("loop")
        flag = f"f{len(self.fields)}"
        self.fields[flag] = {"type": "bool"}
        name = self.node(loose, **{flag: "flag"})
        after = self.node([])
        self.nodes[-1]["args"]["seen"].append(f"{{state._loop_iteration_{name}}}")
        self.edges.append(
            {
                "from": name,
                "loop": {
                    "condition_field": flag,
                    "max_iterations": self.random.randint(2, 4),
                    "exit_to": after,
                },
            }
        )
        return [self.leaves(after)]


def make_document(seed: int) -> Document:
    """The document of this seed: 2 to about 25 nodes."""
    random = Random(seed)
    writer = Writer(random, most=random.randint(4, 14))
    writer.fields = {
        "start": {"type": "int", "required": True},
        "log": {"type": "list[int]", "reduce": "append", "default": []},
        "notes": {"type": "dict[str, int]", "reduce": "merge", "default": {}},
        "last": {"type": "int", "reduce": "last"},
    }
    entry = Loose([], routed=False)
    ends = writer.block([entry], depth=random.randint(2, 4))
    last = writer.node([*ends, *writer.short_cuts])
    writer.edges += [{"from": "START", "to": entry.to}, {"from": last, "to": "END"}]
    _renumber(writer)
    text = yaml.safe_dump(
        {
            "schema_version": "1.0",
            "flow": {"name": f"random_{seed}"},
            "state": {"fields": writer.fields},
            "nodes": writer.nodes,
            "edges": writer.edges,
        },
        sort_keys=False,
    )
    return Document(text, {"start": random.randint(0, 9)}, frozenset(writer.shares), len(writer.nodes))


def _renumber(writer: Writer) -> None:
    """Now and then the document's order is not the order in which things happen."""
    if writer.random.random() < 0.3:
        writer.random.shuffle(writer.nodes)


def shares_of(documents: list[Document]) -> dict[str, float]:
    """How many of the documents have each thing, from 0 to 1."""
    counted = Counter(share for document in documents for share in document.shares)
    return {name: count / len(documents) for name, count in sorted(counted.items())}
