"""How many tokens a prompt will have: what is known is rendered and counted, what is not is taken by its type."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.templates import Ref, Template, TemplateError, as_text, walk
from engine.types import Type
from engine.workflow import Node, Workflow

Range = tuple[float, float]
Count = Callable[[str], int]

NOTHING: Range = (0, 0)
ELEMENTS: Range = (0, 10)
"""How many elements a list is taken to have of which nothing is known."""

_SIZES: dict[str, Range] = {
    "bool": (1, 1), "int": (1, 4), "float": (1, 6), "str": (10, 800), "file": (50, 8_000), "list": (5, 800),
    "dict": (5, 800), "object": (5, 800), "any": (1, 800),
}  # fmt: skip


def plus(*ranges: Range) -> Range:
    return sum(r[0] for r in ranges), sum(r[1] for r in ranges)


def times(range: Range, by: Range) -> Range:
    return range[0] * by[0], range[1] * by[1]


def size_of(kind: Type, enum: Iterable[Any] | None, count: Count) -> Range:
    """Tokens of a value of a type, of which nothing more is known."""
    if enum:
        sizes = [count(as_text(value)) for value in enum]
        return min(sizes), max(sizes)
    if kind.name == "list" and kind.args:
        return plus((2, 2), times(size_of(kind.item, None, count), ELEMENTS))
    if kind.fields:
        parts = [size_of(inner, None, count) for inner in kind.fields.values()]
        return plus((2 * len(parts), 4 * len(parts)), *parts)
    return _SIZES.get(kind.name, _SIZES["any"])


@dataclass(slots=True)
class Known:
    """What is known of a state before its run: values, and sizes of the fields that nodes will write.

    `missing` are inputs that were not given. `written` has the sizes by field, as far as those who write them
    are bounded or have run before.
    """

    workflow: Workflow
    values: Mapping[str, Any]
    count: Count
    written: Mapping[str, Range] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()

    def value(self, ref: Ref) -> Any:
        """The value of a reference. KeyError when it is not known, TemplateError when it leads nowhere."""
        path = ref.path if ref.root == "state" else (ref.root, *ref.path)
        if not path or path[0] not in self.values:
            raise KeyError(ref.text)
        return walk(self.values, path)

    def size(self, ref: Ref) -> Range:
        """Tokens of a value that is not known."""
        path = ref.path if ref.root == "state" else (ref.root, *ref.path)
        name = str(path[0]) if path else ""
        found = self.workflow.fields.get(name)
        if found is None:  # what the engine keeps: counts of loops, sentences of errors
            return (1, 3) if name.startswith("_loop") else (0, 60)
        if len(path) == 1 and name in self.written:
            return self.written[name]
        kind = found.type
        for step in path[1:]:
            kind = (kind.fields or {}).get(str(step), kind.item) if isinstance(step, str) else kind.item
        return size_of(kind, found.enum if len(path) == 1 else None, self.count)


class Rendering:
    """The texts of one node. `size` renders one and counts it; `items` is set where the node's list is known."""

    def __init__(self, node: Node, known: Known) -> None:
        self.node = node
        self.known = known
        self.items: list[Any] | None = None
        self._open: Range = NOTHING
        if node.each is not None:
            value = self.value(node.each.items)
            self.items = value if isinstance(value, list) else None

    @property
    def elements(self) -> Range:
        """How often the node runs per visit."""
        if self.node.each is None:
            return 1, 1
        return ELEMENTS if self.items is None else (len(self.items), len(self.items))

    def value(self, template: Template) -> Any:
        """The value of a template; None when not all of it is known."""
        try:
            return template.render(self._known)
        except (KeyError, TemplateError):
            return None

    def _known(self, ref: Ref) -> Any:
        own = self.node.inputs.get(ref.root) if ref.root != "state" else None
        return self.known.value(ref) if own is None else walk(own.render(self.known.value), ref.path)

    def size(self, template: Template | None) -> Range:
        """Tokens of a text: for one element, the mean of all."""
        if template is None:
            return NOTHING
        self._open = NOTHING
        text = as_text(template.render(self._look))
        return plus((self.known.count(text),) * 2, self._open)

    def _look(self, ref: Ref) -> Any:
        each = self.node.each
        if each is not None and ref.root == each.name:
            self._add(self._element(ref))
            return ""
        if ref.root != "state" and ref.root in self.node.inputs:
            return self._input(self.node.inputs[ref.root], ref)
        try:
            return self.known.value(ref)
        except (KeyError, TemplateError):
            self._add(self.known.size(ref))
            return ""

    def _input(self, template: Template, ref: Ref) -> Any:
        """An input of the node; where it is not wholly known, its sizes are added and the known part is given."""
        before = self._open
        value = template.render(self._look)
        if not ref.path:
            return value
        self._open = before
        if template.only_ref is not None:
            inner = template.only_ref
            return self._look(Ref(inner.root, (*inner.path, *ref.path), ref.text, ref.start, ref.end))
        try:
            return walk(value, ref.path)
        except TemplateError:
            self._add((1, 800))
            return ""

    def _element(self, ref: Ref) -> Range:
        """Tokens of what a reference to the element gives: the mean of all elements that are known."""
        each = self.node.each
        if not self.items:
            inner = each.items.only_ref if each else None
            if inner is None or self.items is not None:
                return NOTHING
            return self.known.size(Ref("state", (*_state_path(inner), 0, *ref.path), ref.text, 0, 0))
        sample = self.items[:: max(1, len(self.items) // 100)]
        total = 0
        for item in sample:
            try:
                total += self.known.count(as_text(walk(item, ref.path)))
            except TemplateError:
                continue
        return (total / len(sample),) * 2

    def _add(self, more: Range) -> None:
        self._open = plus(self._open, more)


def _state_path(ref: Ref) -> tuple[str | int, ...]:
    return ref.path if ref.root == "state" else (ref.root, *ref.path)


def json_size(value: Any, count: Count) -> int:
    """Tokens of a schema or of a tool's description, as they go over the wire."""
    return count(json.dumps(value, ensure_ascii=False))
