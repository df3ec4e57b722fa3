"""From a text to a workflow that may run here and now: what everybody calls who is about to start a run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.check import Checked, at_start, check
from engine.check.machine import Machine, machine_problems
from engine.errors import WorkflowInvalid

if TYPE_CHECKING:
    from engine.ports import ModelClient
    from engine.workflow import Workflow
    from tools.registry import ToolRegistry


async def prepare(text: str, tools: ToolRegistry, models: ModelClient) -> Workflow:
    """Check a document for a run. WorkflowInvalid with all its problems when it can't be run.

    Beside what `check` finds, a model that this machine can't reach is an error now. Who has no llm node
    is not asked for a model.
    """
    checked = await asyncio.to_thread(check, text, tools)
    if checked.workflow is None:
        raise WorkflowInvalid(checked.problems)
    if any(node.kind == "llm" for node in checked.workflow.nodes.values()):
        _refuse_unreachable(checked, tools, await models.machine())
    return checked.workflow


def _refuse_unreachable(checked: Checked, tools: ToolRegistry, machine: Machine) -> None:
    found = at_start(machine_problems(checked.document, tools, machine), machine)
    if any(problem.severity == "error" for problem in found):
        known = {(p.rule, p.line, p.column) for p in found}
        others = [p for p in checked.problems if (p.rule, p.line, p.column) not in known]
        raise WorkflowInvalid(sorted([*others, *found], key=lambda p: (p.line, p.column)))
