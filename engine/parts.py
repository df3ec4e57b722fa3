"""Big maps: the elements of one visit cut into parts, each of which is a run of its own that any worker may take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from engine.graph import error_field
from engine.nodes.step import Step
from engine.plan import Plan, make_plan
from engine.templates import Ref, Template
from engine.workflow import Execution, Gates, Node, Workflow

SIZE = 8
"""How many elements a part has, unless there would be more than MOST parts then."""
MOST = 128


@dataclass(frozen=True, slots=True)
class Part:
    """`count` elements from `first` on, of which `parallel` run at a time (None: as many as usual)."""

    first: int
    count: int
    parallel: int | None


def cut(elements: int, max_parallel: int | None) -> tuple[list[Part], int]:
    """The parts of so many elements, about equal, and how many of them may run at a time, so that no more than
    `max_parallel` elements do in all.
    """
    count = min(MOST, -(-elements // SIZE))
    at_once = count if max_parallel is None else min(count, max_parallel)
    share = None if max_parallel is None else max_parallel // at_once
    bounds = [elements * n // count for n in range(count + 1)]
    parts = [Part(low, high - low, share) for low, high in pairwise(bounds)]
    return parts, at_once


def part_data(step: Step, part: Part, items: Sequence[Any]) -> dict[str, Any]:
    """What a part's run is told: its elements, and what of the state its node looks at."""
    return {
        "node": step.node.id,
        "iteration": step.iteration,
        "first": part.first,
        "count": part.count,
        "parallel": part.parallel,
        "in_order": step.node.on_error not in ("fail", "continue"),
        "items": list(items[part.first : part.first + part.count]),
        "state": seen_by(step.node, step.state),
    }


def part_plan(whole: Workflow, digest: str, name: str) -> Plan:
    """The plan of a part of the node of that name: nothing but that node, whose failure is the part's own. `digest` is
    that of the whole document's plan.
    """
    node = whole.nodes[name]
    on_error = "continue" if node.on_error == "continue" else "fail"
    workflow = replace(
        whole,
        fields={name: replace(whole.fields[name], required=False) for name in node.outputs},
        nodes={node.id: replace(node, on_error=on_error, index=0)},
        edges=(),
        inputs=(),
        outputs=node.outputs,
        execution=Execution(),
        gates=Gates(),
    )
    return replace(make_plan(workflow), digest=digest)


def seen_by(node: Node, state: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the state that a node can refer to; all of it for code without inputs of its own."""
    if node.kind == "code" and not node.inputs:
        return dict(state)
    names = {str(ref.path[0]) if ref.root == "state" and ref.path else ref.root for ref in refs_of(node)}
    return {name: state[name] for name in names if name in state}


def refs_of(node: Node) -> list[Ref]:
    """Every reference in what a node is given."""
    templates: list[Template | None] = [*node.inputs.values(), node.prompt, node.system, node.args, node.ask]
    templates += [node.options, *(use.config for use in node.tools)]
    return [ref for template in templates if template is not None for ref in template.refs]


def error_of(node: str, view: Mapping[str, Any]) -> str | None:
    """Why a part failed: what its node says of the element that did."""
    failed: list[str] = [
        row["error"] for row in view["nodes"] if row["id"] == node and row["status"] == "failed"
    ]
    whole: str | None = view["error"]
    return failed[-1] if failed else whole


def trouble_of(node: str, view: Mapping[str, Any]) -> str | None:
    """What a part that went on says of its elements that failed."""
    found: str | None = view["state"].get(error_field(node))
    return found
