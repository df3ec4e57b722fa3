"""What a run needs beside its inputs, made once per workflow: the graph, and the shape that shows it."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.gates import gates_shape
from engine.graph import Graph
from engine.workflow import MISSING, Workflow

_KEPT = 32


@dataclass(frozen=True, slots=True)
class Plan:
    """`digest` names the document together with its shape. `asks_models`: there is an llm node."""

    workflow: Workflow
    graph: Graph
    shape: Mapping[str, Any]
    digest: str
    asks_models: bool


class Plans:
    """The plans of the workflows that were run last."""

    def __init__(self) -> None:
        self._plans: OrderedDict[int, Plan] = OrderedDict()

    def of(self, workflow: Workflow) -> Plan:
        plan = self._plans.get(id(workflow))
        if plan is None or plan.workflow is not workflow:
            plan = make_plan(workflow)
        self.keep(plan)
        return plan

    def keep(self, plan: Plan) -> None:
        """Have it at hand; the one that was not asked for longest goes."""
        self._plans[id(plan.workflow)] = plan
        self._plans.move_to_end(id(plan.workflow))
        if len(self._plans) > _KEPT:
            self._plans.popitem(last=False)

    def by_digest(self, digest: str) -> Plan | None:
        """The plan of a stored run's document, None where it has to be made."""
        return next((plan for plan in self._plans.values() if plan.digest == digest), None)


def make_plan(workflow: Workflow) -> Plan:
    shape: dict[str, Any] = {
        "fields": {
            name: [None if field.default is MISSING else field.default, field.reduce]
            for name, field in workflow.fields.items()
        },
        "inputs": workflow.inputs,
        "outputs": workflow.outputs,
    }
    gates = gates_shape(workflow.gates)
    if gates is not None:
        shape["gates"] = gates
    if any(node.each or node.kind == "subflow" for node in workflow.nodes.values()):
        shape["nests"] = True
    text = f"{workflow.text}\0{json.dumps(shape)}"
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    asks_models = any(node.kind == "llm" for node in workflow.nodes.values())
    return Plan(workflow, Graph(workflow), shape, digest, asks_models)
