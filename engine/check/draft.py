"""A document as the rules see it: its fields, nodes, edges, references and graph, read once, on first use.

`unsure` says of a part that something in it was reported already. Rules of the kind "nobody writes this"
then keep silent, rather than report what only follows from that fault; and a name that is a slip of the pen
counts as what was meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from engine.check.graph import Choice, Graph
from engine.check.python import Code, read_code
from engine.check.reading import (
    EdgeView,
    FieldView,
    NodeView,
    given,
    mapping,
    read_edges,
    read_node,
    read_type,
    sequence,
)
from engine.check.rules import Path
from engine.check.suggest import Suggester
from engine.check.uses import Use, collect_uses, strings
from engine.schema import Marked, marked_keys
from engine.templates import Ref
from engine.workflow import END, START

if TYPE_CHECKING:
    from engine.check.children import Children
    from engine.check.machine import Machine
    from engine.document import Document
    from engine.workflow import Workflow
    from tools.registry import ToolRegistry


class Draft:
    """All that the rules ask about one document. Everything is read once, on first use.

    `workflow` is what a document that has passed all other rules makes, for those that look at the whole.
    """

    def __init__(
        self,
        document: Document,
        tools: ToolRegistry,
        machine: Machine | None = None,
        unsure: Sequence[str] = (),
        children: Children | None = None,
        workflow: Workflow | None = None,
    ) -> None:
        self.document = document
        self.workflow = workflow
        self.tools = tools
        self.machine = machine
        self.children = children
        self.data: Mapping[str, Any] = document.data if isinstance(document.data, Mapping) else {}
        self.names = Suggester()
        self._unsure = frozenset(_stem(path) for path in unsure)

    def unsure(self, *part: str | int) -> bool:
        """Whether something was reported in this part, such as ("nodes", 3), or of the whole document."""
        return bool(part) and (_key(part) in self._unsure or "" in self._unsure)

    @cached_property
    def texts(self) -> list[tuple[Path, str]]:
        """Every string among the values, with its path."""
        return list(strings(self.data, ()))

    @cached_property
    def marked(self) -> list[Marked]:
        """The keys that are not available yet or not used any more."""
        return list(marked_keys(self.data))

    # --- fields -------------------------------------------------------------------------------------------

    @cached_property
    def fields(self) -> dict[str, FieldView]:
        found = {}
        for name, value in mapping(mapping(self.data.get("state")).get("fields")).items():
            data = given(value) if isinstance(value, Mapping) else {"type": value}
            if isinstance(name, str):
                found[name] = FieldView(name, ("state", "fields", name), data, read_type(data))
        return found

    @cached_property
    def fields_known(self) -> bool:
        """False where the list of fields itself can't be read: then no name is called unknown."""
        return bool(self.fields) and not self.unsure("state")

    # --- nodes --------------------------------------------------------------------------------------------

    @cached_property
    def nodes(self) -> list[NodeView]:
        found: list[NodeView] = []
        seen: set[str] = set()
        for index, data in enumerate(sequence(self.data.get("nodes"))):
            view = read_node(index, given(data), seen)
            found.append(view)
            seen |= {view.id} if view.id else set()
        return found

    @cached_property
    def by_id(self) -> dict[str, NodeView]:
        return {n.id: n for n in self.nodes if n.id and not n.twin}

    @cached_property
    def nodes_known(self) -> bool:
        """False where a node has no readable id: a name that seems to lead nowhere may be its."""
        return bool(self.nodes) and not self.unsure("nodes") and all(n.id for n in self.nodes)

    @cached_property
    def writers(self) -> dict[str, list[NodeView]]:
        """Field to the nodes that write it; a slip of the pen counts as the name it was meant for."""
        found: dict[str, list[NodeView]] = {}
        for node in self.nodes:
            for name in {self.meant_field(n.text) for n in node.outputs}:
                if name:
                    found.setdefault(name, []).append(node)
        return found

    def meant_field(self, name: str) -> str | None:
        return name if name in self.fields else self.names.certain(name, self.fields)

    @cached_property
    def writes_known(self) -> bool:
        """Whether it is known of every node what it writes."""
        return all(
            not self.unsure("nodes", n.index) and all(self.meant_field(o.text) for o in n.outputs)
            for n in self.nodes
        ) and not self.unsure("nodes")

    # --- references ---------------------------------------------------------------------------------------

    @cached_property
    def uses(self) -> list[Use]:
        return [*collect_uses(self.nodes, self.edges), *self._uses_in_code()]

    def _uses_in_code(self) -> Iterator[Use]:
        """The fields that code reads: without `inputs` of its own a code node gets the whole state."""
        for node in self.nodes:
            code = self.code.get(node.index)
            for name, (start, end) in code.read if code and not node.inputs else ():
                field = None if name == node.element else self.meant_field(name)
                if field:
                    ref = Ref("state", (field,), field, start, end)
                    yield Use((*node.path, "code"), code.text if code else "", ref, "code", node)

    @cached_property
    def code(self) -> dict[int, Code]:
        """The Python of code nodes, by the node's number."""
        found = {}
        for node in self.nodes:
            if node.kind == "code" and isinstance(node.data.get("code"), str):
                found[node.index] = read_code(node.data["code"])
        return found

    @cached_property
    def _uses_in(self) -> dict[int, list[Use]]:
        found: dict[int, list[Use]] = {}
        for use in self.uses:
            if use.reader and use.place != "condition":
                found.setdefault(use.reader.index, []).append(use)
        return found

    def uses_in(self, node: NodeView) -> list[Use]:
        """The references in a node's own texts."""
        return self._uses_in.get(node.index, [])

    # --- edges --------------------------------------------------------------------------------------------

    @cached_property
    def edges(self) -> list[EdgeView]:
        return read_edges(self.data.get("edges"))

    @cached_property
    def edges_known(self) -> bool:
        """Whether nothing was reported in any edge."""
        count = len(sequence(self.data.get("edges")))
        return not self.unsure("edges") and not any(self.unsure("edges", i) for i in range(count))

    def meant_node(self, name: str, *, source: str | None = None) -> int | None:
        """The number of the node that `name` is, or is a slip of; None where that is not certain."""
        found = (
            name if name in self.by_id else self.names.certain(name, [n for n in self.by_id if n != source])
        )
        return self.by_id[found].index if found else None

    @cached_property
    def graph(self) -> Graph | None:
        """None where the edges can't be read well enough for questions such as "is it reachable"."""
        if not self.nodes_known or not self.edges_known:
            return None
        handlers = {n.index: n.handler.text for n in self.nodes if n.handler and not n.twin}
        lost = {START, END}
        failures = {
            v: None if name in lost else self.meant_node(name, source=self.nodes[v].id)
            for v, name in handlers.items()
        }
        known = {v: handler for v, handler in failures.items() if handler not in (None, v)}
        if len(known) < len(failures):
            return None
        made = self._wired() if self.edges else _linear(len(self.nodes))
        passing = frozenset(n.index for n in self.nodes if n.data.get("on_error") == "continue")
        return replace(made, failures=known, passing=passing) if made else None

    def _wired(self) -> Graph | None:
        size = len(self.nodes)
        ways: list[list[list[Choice]]] = [[] for _ in range(size + 1)]
        exits = set()
        looping: set[str] = set()
        for edge in self.edges:
            for source in edge.sources:
                if edge.loop and source.text in looping:
                    return None  # a second loop, which is reported by itself
                looping |= {source.text} if edge.loop else set()
                number = size if source.text == START else self.meant_node(source.text)
                choices = None if number is None else self._choices(edge, source.text, number)
                if number is None or choices is None:
                    return None
                ways[number].append([frozenset(c) - {size} for c in choices])
                if any(size in c for c in choices):
                    exits.add(number)
        if not ways[size]:
            ways[size].append([frozenset({0})])
        return Graph(size, ways, frozenset(exits))

    def _choices(self, edge: EdgeView, source: str, number: int) -> list[set[int]] | None:
        """Sets of node numbers of which one is set off; the number of nodes stands for END. None: not
        known.
        """
        ways = [route.targets for route in edge.routes] or [edge.to]
        groups = [edge.loop.exits] if edge.loop else ways
        found = []
        for group in groups:
            numbers = {
                len(self.nodes) if t.text == END else self.meant_node(t.text, source=source) for t in group
            }
            if None in numbers or not numbers:
                return None
            found.append({n for n in numbers if n is not None})
        return [{number}, *found] if edge.loop else found


def _linear(size: int) -> Graph:
    ways = [[[frozenset({i + 1})]] if i + 1 < size else [] for i in range(size)]
    return Graph(size, [*ways, [[frozenset({0})]]])


def _stem(path: str) -> str:
    """`nodes[3].prompt` to `nodes[3]`, `state.fields.x` to `state`: the parts `unsure` is asked about."""
    return path.partition(".")[0]


def _key(part: Sequence[str | int]) -> str:
    return f"{part[0]}[{part[1]}]" if len(part) > 1 else str(part[0])
