"""Random valid workflows: whatever is put together soundly from steps, forks, routes and loops has no problem."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.check import check
from tools.registry import ToolRegistry

TOOLS = ToolRegistry()
EXAMPLES = 3000 if os.environ.get("PARLANCE_SOAK") else 250
Draw = st.DrawFn
TYPES: dict[str, str] = {"str": "'x'", "int": "3", "bool": "true", "float": "2.5", "list[str]": "[]"}


@dataclass
class _Maker:
    """Builds a document block by block. A block has entries, and exits that still need an edge."""

    draw: Draw
    fields: dict[str, Any] = field(default_factory=dict)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    edges: list[dict[str, Any]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        for i in range(self.draw(st.integers(1, 3))):
            self.fields[f"input_{i}"] = {"type": "str", "required": True}
        known = list(self.fields)
        first, exits, _ = self.block(3, known)
        self.edges.insert(0, {"from": "START", "to": first})
        self.connect(exits, "END")
        self.use_inputs()
        return {
            "schema_version": "1.0",
            "flow": {"name": "random"},
            "state": {"fields": self.fields},
            "nodes": self.draw(st.permutations(self.nodes)),
            "edges": self.edges,
        }

    def use_inputs(self) -> None:
        """Let the first node mention all inputs, so that none is without use."""
        refs = " ".join(f"{{state.{name}}}" for name in self.fields if name.startswith("input_"))
        self.nodes[0].setdefault("inputs", {})["everything"] = refs
        first = self.nodes[0]
        if "code" in first:
            first["code"] = re.sub(r'inputs\["\w+"\]', 'inputs["everything"]', first["code"])
        elif "args" in first:
            first["args"]["text"] += " {everything}"
        else:
            first["prompt" if "prompt" in first else "ask"] += " {everything}"

    def connect(self, exits: list[str], target: str | list[str]) -> None:
        if len(exits) > 1 and self.draw(st.booleans()):
            self.edges.append({"from": list(exits), "to": target})
            return
        for source in exits:
            self.edges.append({"from": source, "to": target})

    def block(self, depth: int, known: list[str]) -> tuple[str, list[str], list[str]]:
        """A block that reads from `known`: its entry, its exits, and the fields that it surely writes."""
        kinds = ["step", "step", "line", "fork", "routes", "loop", "cycle"] if depth else ["step"]
        return getattr(self, f"_{self.draw(st.sampled_from(kinds))}")(depth, known)  # type: ignore[no-any-return]

    def _step(self, depth: int, known: list[str]) -> tuple[str, list[str], list[str]]:
        name = f"node_{len(self.nodes)}"
        kind = self.draw(st.sampled_from(sorted(TYPES)))
        read = self.draw(st.sampled_from(known))
        node, kind = self._kind(name, read, kind, known)
        if self.draw(st.integers(0, 5)) == 0:
            node["on_error"] = "continue"
        self.fields[f"out_{name}"] = {"type": kind} if self.draw(st.booleans()) else kind
        node["outputs"] = [f"out_{name}"] if self.draw(st.booleans()) else f"out_{name}"
        self.nodes.append(node)
        return name, [name], [f"out_{name}"]

    def _kind(self, name: str, read: str, kind: str, known: list[str]) -> tuple[dict[str, Any], str]:
        """A node of any kind, and the type of what it writes."""
        lists = [k for k in known if str(self.fields[k]).find("list[str]") >= 0]
        drawn = self.draw(st.sampled_from(["prompt", "prompt", "tool", "code", "ask", "each"]))
        if drawn == "tool":
            return {"id": name, "tool": "json_parse", "args": {"text": f"{{state.{read}}} "}}, "any"
        if drawn == "code":
            value = {"bool": "True"}.get(kind, TYPES[kind])
            return {
                "id": name,
                "code": f'read = inputs["{read}"]\nresult = {value} if read else {value}\n',
            }, kind
        if drawn == "ask":
            free = {} if kind == "bool" else {"options": []}
            return {"id": name, "ask": f"What of {{state.{read}}}?", **free}, kind
        if drawn == "each" and lists:
            over = f"state.{self.draw(st.sampled_from(lists))}"
            return {"id": name, "for_each": over, "prompt": f"{{item}} and {{state.{read}}}"}, "list[str]"
        return {"id": name, "prompt": f"Go on from {{state.{read}}}."}, kind

    def _line(self, depth: int, known: list[str]) -> tuple[str, list[str], list[str]]:
        first, exits, written = self.block(depth - 1, known)
        second, last, more = self.block(depth - 1, [*known, *written])
        self.connect(exits, second)
        return first, last, [*written, *more]

    def _fork(self, depth: int, known: list[str]) -> tuple[str, list[str], list[str]]:
        head, exits, written = self._step(depth, known)
        branches = [self.block(depth - 1, [*known, *written]) for _ in range(self.draw(st.integers(2, 3)))]
        self.connect(exits, [entry for entry, _, _ in branches])
        inside = [name for _, _, names in branches for name in names]
        tail, last, more = self._step(depth, [*known, *written, *inside])
        for _, ends, _ in branches:
            self.connect(ends, tail)
        return head, last, [*written, *inside, *more]

    def _routes(self, depth: int, known: list[str]) -> tuple[str, list[str], list[str]]:
        head, [source], written = self._step(depth, known)
        branches = [self.block(depth - 1, [*known, *written]) for _ in range(self.draw(st.integers(1, 3)))]
        routes = [
            {"condition": f"len(state.input_0) == {i}", "to": entry}
            for i, (entry, _, _) in enumerate(branches)
        ]
        skip = self.draw(st.booleans())
        last = {"else": branches[0][0]} if skip else {"condition": "default", "to": branches[-1][0]}
        self.edges.append({"from": source, "routes": [*routes, last]})
        return head, [e for _, ends, _ in branches for e in ends], written

    def _loop(self, depth: int, known: list[str]) -> tuple[str, list[str], list[str]]:
        name, _, written = self._step(depth, known)
        done = f"done_{name}"
        self.fields[done] = {"type": "bool", "default": False}
        node = self.nodes[-1]
        for key in ("tool", "args", "code", "ask", "options", "for_each"):
            node.pop(key, None)
        node["prompt"] = f"Try again, this is {{state._loop_iteration_{name}}}."
        node["outputs"] = [*written, done]
        after, last, more = self._step(depth, [*known, *written])
        loop = {"condition_field": done, "exit_to": after}
        if self.draw(st.booleans()):
            loop["max_iterations"] = self.draw(st.integers(1, 100))
        self.edges.append({"from": name, "loop": loop})
        return name, last, [*written, *more]

    def _cycle(self, depth: int, known: list[str]) -> tuple[str, list[str], list[str]]:
        first, exits, written = self.block(depth - 1, known)
        tail, [source], more = self._step(depth, [*known, *written])
        self.connect(exits, tail)
        after, last, most = self._step(depth, [*known, *written, *more])
        self.edges.append({"from": source, "condition": "len(state.input_0) > 3", "to": first})
        self.edges.append({"from": source, "condition": "default", "to": after})
        return first, last, [*written, *more, *most]


@st.composite
def documents(draw: Draw) -> str:
    data = _Maker(draw).document()
    style = draw(st.sampled_from([None, False, True]))
    return str(
        yaml.safe_dump(
            data, sort_keys=False, default_flow_style=style, width=draw(st.sampled_from([60, 1000]))
        )
    )


@settings(max_examples=EXAMPLES, deadline=None)
@given(documents())
def test_a_sound_workflow_has_no_problem(text: str) -> None:
    checked = check(text, TOOLS)
    assert not checked.problems, "\n".join(
        [text, *(f"{p.rule} {p.path} {p.message}" for p in checked.problems)]
    )
    assert checked.workflow is not None
    assert {e.source for e in checked.workflow.edges} >= {"START"}


def _sizes() -> Iterator[int]:
    """How many nodes the documents have, so that a generator gone dull would be noticed."""
    found: list[int] = []

    @settings(max_examples=100, deadline=None, database=None)
    @given(documents())
    def collect(text: str) -> None:
        found.append(len(yaml.safe_load(text)["nodes"]))

    collect()
    yield from found


def test_the_generator_is_not_dull() -> None:
    sizes = list(_sizes())
    assert max(sizes) >= 8
    assert sum(size >= 3 for size in sizes) >= len(sizes) // 3
