"""A node that runs another saved workflow, as a child run with a state of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.allowance import bound_of, too_long, within
from engine.children import Children, child_id, child_of, usage_of
from engine.errors import InputError, NodeError, RunStopped
from engine.files import closed
from engine.inputs import read_inputs
from engine.nodes.outputs import Misfit, writes_of
from engine.nodes.step import Step
from engine.pins import DEEPEST
from engine.plan import Plan

_NOTHING: Mapping[str | None, Any] = {"append": [], "merge": {}}
"""What an output that the child has left empty adds to a field that is reduced; it empties any other."""


async def run(step: Step) -> Mapping[str, Any]:
    """Start the child, or find it; what it gives under the names of the node's outputs. Raises Parked while it waits.

    NodeError when it can't be started or did not end well; RunStopped when that ends the whole tree.
    """
    name = step.node.subflow or ""
    children = step.services.children
    if children is None:
        raise NodeError(step.node.id, "Sub-workflows can't be started here.", "Start it as a part of a run.")
    run_id = child_id(step.host.record, step.path, step.iteration, step.attempt)
    plan = await _plan(step, children, name)
    try:
        inputs = read_inputs(plan.workflow, closed(step.inputs))
    except InputError as error:
        raise NodeError(
            step.node.id,
            f"Sub-workflow {name} can't start: {error.message}",
            error.fix,
            fault={"code": "child_input"},
        ) from None
    child = child_of(step, plan, inputs, run_id=run_id, workflow=name, prefix=f"{step.path}/")
    origin = child.origin
    if step.rehearses:
        from engine.simulate import origin_of_child

        origin = {**(origin or {}), **await origin_of_child(step)}
    child = replace(child, origin=within(origin, step.node.timeout, bound_of(origin)))
    view = await children.run(child, plan)
    step.usage.merge(usage_of(view))
    await _check_time(step, children, name, view)
    return _writes(step, name, view)


async def _check_time(step: Step, children: Children, name: str, view: Mapping[str, Any]) -> None:
    """NodeError where the child was stopped since it took longer than the node may; it is not tried again where that
    might do something twice.
    """
    limit = step.node.timeout
    if limit is None or bound_of(view.get("origin")) != limit or view["error"] != str(too_long(limit)):
        return
    raise NodeError(
        step.node.id,
        f"Sub-workflow {name} took longer than its {limit:g} seconds.",
        "Raise `timeout`.",
        fault={"code": "node_timeout"},
        retryable=await children.effect(step.host.record.pins, name) != "once",
    )


async def _plan(step: Step, children: Children, name: str) -> Plan:
    record = step.host.record
    digest = record.pins.get(name)
    if digest is None:
        raise NodeError(
            step.node.id,
            f"The run does not know the workflow {name}.",
            "Save a workflow of that name, then start the run anew.",
            fault={"code": "child_missing"},
        )
    if record.depth >= DEEPEST:
        raise NodeError(
            step.node.id,
            f"Sub-workflows stand inside one another more than {DEEPEST} deep.",
            "Let the workflows in between do the work themselves.",
        )
    return await children.plan(digest)


def _writes(step: Step, name: str, view: Mapping[str, Any]) -> Mapping[str, Any]:
    node, outputs = step.node, view["outputs"]
    if view["status"] != "ok":
        how = "was cancelled" if view["status"] == "cancelled" else "failed"
        failure = RunStopped if view["stops"] else NodeError
        fault = {**view.get("fault", {"code": failure.code}), "workflow": name}
        said = f"Sub-workflow {name} {how}{': ' + view['error'] if view['error'] else '.'}"
        raise failure(node.id, said, fault=fault)
    missing = [output for output in node.outputs if output not in outputs]
    if missing:
        raise NodeError(
            node.id,
            f"Sub-workflow {name} gives no '{missing[0]}'. It gives: {', '.join(outputs) or 'nothing'}.",
            "Name the outputs as it does, or add it to its flow.outputs.",
            fault={"code": "child_output"},
        )
    empty = {output: _NOTHING.get(step.workflow.fields[output].reduce) for output in node.outputs}
    given = tuple(output for output in node.outputs if outputs[output] is not None)
    try:
        plain = replace(node, outputs=given, output_schema=None)
        return {**empty, **writes_of(plain, step.workflow, {output: outputs[output] for output in given})}
    except Misfit as error:
        raise NodeError(
            node.id, f"Sub-workflow {name}: {error}", fault={"code": "misfit", **error.about}
        ) from None
