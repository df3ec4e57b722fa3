"""Random documents as in `documents`, whose nodes also map over lists, start sub-workflows, ask, and fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import yaml

from tests.reference.documents import Loose, Writer, _renumber

DEEPEST = 2


@dataclass(frozen=True)
class Nested:
    """`library` has the sub-workflows' documents by name."""

    text: str
    inputs: dict[str, Any]
    shares: frozenset[str]
    library: dict[str, str]


@dataclass
class NestedWriter(Writer):
    """A Writer whose single steps are of every kind. `depth` is how many documents it stands inside."""

    name: str = ""
    depth: int = 0
    library: dict[str, str] = field(default_factory=dict)
    numbers: list[str] = field(default_factory=list)

    def step(self, loose: list[Loose], depth: int) -> list[Loose]:
        drawn = self.random.random()
        if drawn < 0.25:
            return super().step(loose, depth)
        if drawn < 0.45:
            return self.ending(loose, self.work(loose))
        if drawn < 0.6:
            return self.ending(loose, self.ask(loose))
        if drawn < 0.8 and self.depth < DEEPEST:
            return self.ending(loose, self.sub(loose))
        return [self.leaves(self.source(loose))]

    # --- nodes ---

    def work(self, loose: list[Loose]) -> dict[str, Any]:
        self.node(loose)
        return self.nodes[-1]

    def ask(self, loose: list[Loose]) -> dict[str, Any]:
        node = self.work(loose)
        said = f"f{len(self.fields)}"
        seen = " ".join(node["args"]["seen"])
        for key in ("tool", "args"):
            del node[key]
        node |= {"ask": f"{node['id']} {seen}?", "outputs": [said]}
        if self.random.random() < 0.5:
            node["options"] = ["red", "green", "blue"]
        self.fields[said] = {"type": "str" if "options" in node else "bool"}
        self.shares.add("ask")
        return node

    def source(self, loose: list[Loose]) -> str:
        """A node that gives a list."""
        name = f"f{len(self.fields)}"
        self.fields[name] = {"type": "list[int]", "default": [self.random.randint(0, 9) for _ in range(2)]}
        self.numbers.append(name)
        return self.node(loose, **{name: "numbers"})

    def sub(self, loose: list[Loose]) -> dict[str, Any]:
        node = self.work(loose)
        troubled = self.random.random() < 0.3
        name = f"{self.name}_{node['id']}"
        result = f"r{name}"
        self.library[name], shares = _child(self, name, result, troubled)
        for key in ("tool", "args"):
            del node[key]
        given = self.random.choice([f for f in self.fields if self.fields[f]["type"] == "int"])
        node |= {"workflow": name, "inputs": {"start": f"{{state.{given}}}"}, "outputs": [result]}
        self.fields[result] = {"type": "int"}
        self.shares |= {"sub-workflow", *(f"{s} in a sub-workflow" for s in shares if " in a " not in s)}
        if troubled:
            self.shares.add("failing sub-workflow")
            node["on_error"] = "?"
        return node

    # --- what nodes of every kind may have ---

    def ending(self, loose: list[Loose], node: dict[str, Any]) -> list[Loose]:
        """The node's loose ends, after it has perhaps been made to map, to fail, to ask and so on."""
        source = self.random.choice([*self.numbers, "log"])
        if self.random.random() < 0.5:
            self.map(node, source)
        if "args" in node and self.random.random() < 0.5:
            node["args"]["fails"] = self.random.randint(1, 6)
            node["on_error"] = "?"
            self.shares.add("failing")
        if node.get("on_error") != "?":
            return [self.leaves(node["id"])]
        if self.random.random() < 0.5:
            node["on_error"] = "continue"
            self.shares.add("on_error continue" + (" of an element" if "for_each" in node else ""))
            return [self.leaves(node["id"])]
        instead = Loose([], routed=True)
        handler = self.node([instead])
        node["on_error"] = instead.to[0]
        self.shares.add("on_error NODE" + (" of an element" if "for_each" in node else ""))
        return [self.leaves(node["id"]), *(Loose(e.to, True) for e in [self.leaves(handler)])]

    def map(self, node: dict[str, Any], source: str) -> None:
        """Make the node run once per element. A list that grows with every visit is not made to feed itself."""
        kept = [
            out
            for out in node["outputs"]
            if out not in ("notes", "last") and (out != "log" or source != "log")
        ]
        node |= {"for_each": f"state.{source}", "outputs": kept}
        if self.random.random() < 0.5:
            node["max_parallel"] = self.random.randint(1, 3)
        for out in kept:
            if out != "log":
                self.fields[out] = {"type": f"list[{self.fields[out]['type']}]"}
        if "args" in node:
            node["args"]["outs"] = {out: node["args"]["outs"][out] for out in kept}
            node["args"]["seen"].append("{item}")
        elif "ask" in node:
            node["ask"] += " {item}"
        else:
            node["inputs"] = {"start": "{item}"}
        self.shares |= {"for_each", f"for_each of {_kind(node)}"}


def _kind(node: dict[str, Any]) -> str:
    return next(key for key in ("tool", "ask", "workflow") if key in node)


def _child(parent: NestedWriter, name: str, result: str, troubled: bool) -> tuple[str, set[str]]:
    """A sub-workflow that gives back `result`; a troubled one has a node whose failure is its own."""
    writer = NestedWriter(parent.random, most=parent.random.randint(1, 4))
    writer.name, writer.depth, writer.library = name, parent.depth + 1, parent.library
    return _document(writer, result, 2, troubled), writer.shares


def _document(writer: NestedWriter, result: str, depth: int, troubled: bool) -> str:
    writer.fields = {
        "start": {"type": "int", "default": writer.random.randint(0, 9)},
        "log": {"type": "list[int]", "reduce": "append", "default": []},
        "notes": {"type": "dict[str, int]", "reduce": "merge", "default": {}},
        "last": {"type": "int", "reduce": "last"},
        result: {"type": "int"},
    }
    entry = Loose([], routed=False)
    ends = writer.block([entry], depth)
    last = writer.node([*ends, *writer.short_cuts], **{result: "number"})
    if troubled:
        writer.nodes[-1]["args"]["fails"] = 6
    writer.edges += [{"from": "START", "to": entry.to}, {"from": last, "to": "END"}]
    _renumber(writer)
    flow = {"name": writer.name, "inputs": ["start"], "outputs": [result]}
    document = {
        "schema_version": "1.0",
        "flow": flow,
        "state": {"fields": writer.fields},
        "nodes": writer.nodes,
        "edges": writer.edges,
    }
    text: str = yaml.safe_dump(document, sort_keys=False)
    return text


def make_nested(seed: int) -> Nested:
    """The document of this seed, and its sub-workflows."""
    random = Random(seed)
    writer = NestedWriter(random, most=random.randint(3, 10))
    writer.name = f"nested_{seed}"
    text = _document(writer, f"r{writer.name}", random.randint(2, 3), troubled=False)
    return Nested(text, {"start": random.randint(0, 9)}, frozenset(writer.shares), writer.library)
