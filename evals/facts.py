"""Facts of a document, for the checks: which steps fit a description, what comes after what, what stands at a path.

A step is described by what matters of it, so that every good solution fits: by its id only where the person named it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from engine.document import read_document

if TYPE_CHECKING:
    from engine.document import Document
    from engine.workflow import Workflow

Selector = str | Mapping[str, Any]
"""A step's id, or what is to hold of it: see `Facts.steps`."""


class Facts:
    """A document that has passed the checker. `workflow` is what was built of it."""

    def __init__(self, text: str, workflow: Workflow) -> None:
        self.text = text
        self.workflow = workflow

    @cached_property
    def document(self) -> Document:
        return read_document(self.text)

    @cached_property
    def nodes(self) -> dict[str, Mapping[str, Any]]:
        """The steps as they stand in the document, by id."""
        return {node["id"]: node for node in self.document.data["nodes"]}

    def steps(self, wanted: Selector | Sequence[Selector]) -> list[str]:
        """The ids of the steps that fit: an id, or any of `id`, `kind`, `tool`, `prompt` (with `system`), `ask`,
        `code`, `any` (all of its text), `system` and `options` as regular expressions, `writes`, `reads` a field.
        """
        if not isinstance(wanted, str | Mapping):
            return [id for id in self.nodes if any(id in self.steps(each) for each in wanted)]
        said = {"id": f"^{re.escape(wanted)}$"} if isinstance(wanted, str) else wanted
        return [id for id in self.nodes if all(self._fits(id, key, value) for key, value in said.items())]

    def _fits(self, id: str, key: str, value: Any) -> bool:
        node = self.workflow.nodes[id]
        if key == "writes":
            return value in node.outputs
        if key == "reads":
            return value in self.reads(id)
        if key == "each":
            return (node.each is not None) is bool(value)
        if key in ("kind", "tool", "on_error", "effect", "subflow"):
            return bool(getattr(node, key) == value)
        if key == "uses":
            return value in [tool.name for tool in node.tools]
        found = self.words(id, key)
        return re.search(value, found, re.IGNORECASE) is not None

    def words(self, id: str, key: str) -> str:
        """The text of a key of a step; `prompt` has the system prompt too, `any` all there is."""
        node = self.nodes[id]
        if key == "any":
            return json.dumps(node, ensure_ascii=False)
        keys = ("system", "prompt") if key == "prompt" else (key,)
        found = [node[each] for each in keys if node.get(each) is not None]
        return "\n".join(
            each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in found
        )

    def reads(self, id: str) -> set[str]:
        """The state fields that a step refers to. Code without `inputs` may read what its text names."""
        from engine.unreal import fields_seen

        seen = fields_seen(self.workflow.nodes[id], self.workflow)
        return {name for name in seen if name in self.words(id, "any")}

    # --- the graph ---

    def after(self, id: str) -> set[str]:
        """The steps that can be reached from a step."""
        following: dict[str, set[str]] = {each: set() for each in self.nodes}
        for edge in self.workflow.edges:
            if edge.source in following:
                following[edge.source] |= set(edge.targets) & self.nodes.keys()
        found: set[str] = set()
        todo = [id]
        while todo:
            new = following[todo.pop()] - found
            found |= new
            todo += new
        return found

    def in_order(self, first: Selector, then: Selector) -> bool:
        """Whether a step that fits `then` comes after one that fits `first`, and never before it."""
        one, other = self.steps(first), self.steps(then)
        return any(b in self.after(a) and a not in self.after(b) for a in one for b in other if a != b)

    def side_by_side(self, wanted: Sequence[Selector]) -> bool:
        """Whether there are steps, one for each description, none of which comes after another."""
        found = [self.steps(each) for each in wanted]
        return all(
            any(a != b and a not in self.after(b) and b not in self.after(a) for a in one for b in other)
            for number, one in enumerate(found)
            for other in found[number + 1 :]
        )

    # --- values ---

    def at(self, path: str) -> Any:
        """What stands at `nodes.draft.llm.temperature`, `state.fields.tone.default`, `edges[2].to`. KeyError."""
        value: Any = self.document.data
        for step in steps_of(path):
            value = _below(value, step)
        return value

    def field(self, name: str) -> Mapping[str, Any] | None:
        """A state field in its long form, None where there is none."""
        found = self.document.data["state"]["fields"].get(name)
        return {"type": found} if isinstance(found, str) else found


def steps_of(path: str) -> list[str]:
    """The parts of a path; `nodes[review]` is the same as `nodes.review`."""
    return [part for part in re.split(r"[.\[\]]+", path) if part]


def _below(value: Any, step: str) -> Any:
    if isinstance(value, Mapping):
        return value[step]
    if isinstance(value, list):
        named = [each for each in value if isinstance(each, Mapping) and each.get("id") == step]
        if named:
            return named[0]
        if step.isdigit() and int(step) < len(value):
            return value[int(step)]
    raise KeyError(step)
