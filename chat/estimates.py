"""An estimate of a document's run, with the saved workflows that it starts and what earlier runs have used."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.check import check
from engine.errors import NotFound, WorkflowInvalid

if TYPE_CHECKING:
    from engine.estimate import Estimate
    from engine.ports import ModelClient, RunStore
    from sessions.workflows import Workflows
    from tools.registry import ToolRegistry


async def estimate(
    text: str,
    inputs: Mapping[str, Any],
    owner: str,
    models: ModelClient,
    tools: ToolRegistry,
    store: RunStore,
    workflows: Workflows,
) -> Estimate:
    """Also of a run that would cost more than its budget. WorkflowInvalid for a document with other errors,
    InputError for inputs that do not fit.
    """
    from engine.estimate import Estimator

    checked = await asyncio.to_thread(check, text, tools)
    if checked.workflow is None:
        raise WorkflowInvalid(checked.problems)

    async def resolve(name: str) -> str | None:
        try:
            return (await workflows.get(owner, name)).yaml
        except NotFound:
            return None

    return await Estimator(models, tools, store, resolve).estimate(checked.workflow, inputs, owner=owner)
