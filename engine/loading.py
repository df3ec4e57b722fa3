"""Plans of documents: made once, kept for a while, and read on a thread, so that a large one keeps nobody waiting."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from engine.build import build_workflow
from engine.document import read_document
from engine.errors import WorkflowInvalid
from engine.parts import part_plan
from engine.plan import Plan, Plans, make_plan

if TYPE_CHECKING:
    from engine.ports import RunRecord
    from engine.workflow import Workflow
    from tools.registry import ToolRegistry


class Loader:
    """Makes plans of texts, of workflows and of stored runs."""

    def __init__(self, tools: ToolRegistry) -> None:
        self._tools = tools
        self._plans = Plans()

    def of(self, workflow: Workflow) -> Plan:
        """The plan of a workflow that has been checked."""
        return self._plans.of(workflow)

    async def workflow(self, text: str) -> Workflow:
        """Check a document. WorkflowInvalid."""
        return await asyncio.to_thread(self._checked, text)

    async def plan(self, text: str) -> Plan:
        """The plan of a document. WorkflowInvalid."""
        return self.of(await self.workflow(text))

    async def stored(self, record: RunRecord) -> Plan:
        """The plan of a stored run. WorkflowInvalid when the checker refuses its document now."""
        plan = self._plans.by_digest(record.digest)
        if plan is None:
            plan = await asyncio.to_thread(self._stored, record.yaml, record.digest)
            self._plans.keep(plan)
        return plan if record.part is None else part_plan(plan.workflow, plan.digest, record.part["node"])

    def _stored(self, text: str, digest: str) -> Plan:
        """A document that was checked when its run began is not checked again, as long as it means the same here."""
        with suppress(Exception):  # what this version can't read as it stands is for the checker to explain
            plan = make_plan(build_workflow(read_document(text), self._tools))
            if plan.digest == digest and self._has_tools(plan.workflow):
                return plan
        return make_plan(self._checked(text))

    def _has_tools(self, workflow: Workflow) -> bool:
        named = (
            name for node in workflow.nodes.values() for name in (node.tool, *(u.name for u in node.tools))
        )
        return all(name is None or name in self._tools for name in named)

    def _checked(self, text: str) -> Workflow:
        from engine.check import check

        checked = check(text, self._tools)
        if checked.workflow is None:
            raise WorkflowInvalid(checked.problems)
        return checked.workflow
