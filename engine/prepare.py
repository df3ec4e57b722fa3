"""A text checked for the installation that it stands in, or about to run in it: what depends on the models that
can be reached here is part of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.check import Checked, at_start, check, on_machine
from engine.check.machine import asked_for
from engine.errors import WorkflowInvalid

if TYPE_CHECKING:
    from engine.ports import ModelClient
    from engine.workflow import Workflow
    from tools.registry import ToolRegistry


async def check_here(text: str, tools: ToolRegistry, models: ModelClient) -> Checked:
    """What the checker says of a document here. What this machine lacks is a warning."""
    return await add_machine(await asyncio.to_thread(check, text, tools), tools, models)


async def add_machine(checked: Checked, tools: ToolRegistry, models: ModelClient) -> Checked:
    """What was checked, with what depends on the models here; without llm nodes these are not asked."""
    named = asked_for(checked.document, tools)
    if not named:
        return checked
    machine = await models.machine(named)
    return await asyncio.to_thread(on_machine, checked, tools, machine)


async def check_for_run(text: str, tools: ToolRegistry, models: ModelClient) -> Checked:
    """As `check_here`, but a model that this machine can't reach is an error now: there is no workflow then."""
    checked = await asyncio.to_thread(check, text, tools)
    named = asked_for(checked.document, tools)
    if checked.workflow is None or not named:
        return checked
    machine = await models.machine(named)
    here = await asyncio.to_thread(on_machine, checked, tools, machine)
    found = at_start(here.problems, machine)
    broken = any(problem.severity == "error" for problem in found)
    return replace(checked, problems=found, workflow=None if broken else checked.workflow)


async def prepare(text: str, tools: ToolRegistry, models: ModelClient) -> Workflow:
    """Check a document for a run. WorkflowInvalid with all its problems when it can't be run."""
    checked = await check_for_run(text, tools, models)
    if checked.workflow is None:
        raise WorkflowInvalid(checked.problems)
    return checked.workflow
