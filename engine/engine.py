"""The engine as everybody else sees it: start, follow, show, cancel and recover runs of workflows."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from engine.dispatch import Dispatcher, LocalDispatcher
from engine.errors import FenceLost, WorkflowInvalid
from engine.follow import ended, follow
from engine.inputs import read_inputs
from engine.nodes import Services
from engine.nodes.step import Secrets
from engine.plan import Plan, Plans
from engine.ports import Clock, ModelClient, RunEvent, RunRecord, RunStatus, RunStore
from engine.view import run_view, summary_view
from engine.workflow import Workflow

if TYPE_CHECKING:
    from tools.registry import ToolRegistry
    from tools.sandbox.pool import Sandbox


class SystemClock:
    """The real time."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def no_secrets(name: str) -> str | None:
    """There are none."""
    return None


class Engine:
    """Runs workflows. One per process and store; to be closed at the end.

    `process` names this process in the store; left out, it is a name that no other has. `secrets` gives the
    value of a secret by its name, None where there is none. Without a `sandbox` no code runs; who made it closes it.
    """

    def __init__(
        self,
        store: RunStore,
        models: ModelClient,
        tools: ToolRegistry,
        *,
        clock: Clock | None = None,
        process: str | None = None,
        secrets: Secrets = no_secrets,
        sandbox: Sandbox | None = None,
    ) -> None:
        self.store = store
        self._tools = tools
        self._plans = Plans()
        self._clock = clock or SystemClock()
        services = Services(models, tools, self._clock, secrets, sandbox)
        self._dispatcher: Dispatcher = LocalDispatcher(store, services, self._load, process)

    async def start(
        self,
        workflow: Workflow,
        inputs: Mapping[str, Any],
        *,
        owner: str = "local",
        conversation_id: str | None = None,
        message_id: str | None = None,
        force_model: str | None = None,
    ) -> str:
        """Store a run and execute it in the background; its id. InputError before anything is stored."""
        plan = self._plans.of(workflow)
        record = RunRecord(
            id=uuid.uuid4().hex[:16],
            workflow=workflow.name,
            yaml=workflow.text,
            inputs=read_inputs(workflow, inputs),
            status="running",
            created_at=self._clock.now(),
            owner=owner,
            conversation_id=conversation_id,
            message_id=message_id,
            force_model=force_model,
            digest=plan.digest,
            shape=plan.shape,
        )
        await self._dispatcher.start(record, plan)
        return record.id

    async def wait(self, run_id: str) -> dict[str, Any]:
        """The view of the run once it has ended. NotFound; StoreError or RunError when this process let go of it."""
        live = self._dispatcher.live(run_id)
        if live is not None:
            try:
                return await asyncio.shield(live.ended)
            except FenceLost:
                pass  # another process goes on with it
        return await ended(self.store, self._dispatcher, run_id)

    async def run(self, workflow: Workflow, inputs: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """Start, then wait."""
        return await self.wait(await self.start(workflow, inputs, **options))

    async def cancel(self, run_id: str) -> None:
        """Stop a run, also one of another process; nothing happens to one that has ended. NotFound."""
        await self.store.get(run_id)
        await self._dispatcher.cancel(run_id)

    def events(self, run_id: str, after: int = 0) -> AsyncIterator[RunEvent]:
        """The run's events above `after`: those stored, then those that come; ends after run_ended. NotFound."""
        return follow(self.store, self._dispatcher, run_id, after)

    async def view(self, run_id: str) -> dict[str, Any]:
        """What `run --json` prints. NotFound."""
        run = await self.store.get(run_id)
        return run_view(run, await self.store.rows(run_id))

    async def record(self, run_id: str) -> RunRecord:
        """The run as it is stored, with its owner, its document and its conversation. NotFound."""
        return await self.store.get(run_id)

    async def runs(
        self,
        *,
        owner: str = "local",
        workflow: str | None = None,
        conversation_id: str | None = None,
        status: RunStatus | None = None,
        before: float | None = None,
        limit: int = 50,
    ) -> list[dict[str, Any]]:
        """Summaries, newest first; `before` is a creation time in seconds."""
        found = await self.store.find(
            owner=owner,
            workflow=workflow,
            conversation_id=conversation_id,
            status=status,
            before=before,
            limit=limit,
        )
        return [summary_view(run) for run in found]

    async def recover(self) -> list[str]:
        """Go on with the unfinished runs whose process has ended, now and from time to time; those taken now."""
        return await self._dispatcher.recover()

    async def enter(self) -> str:
        """Tell the other processes of this store that this one lives; its id, under which it owns things."""
        return await self._dispatcher.enter()

    async def alive(self, process_id: str) -> bool:
        """Whether the process of that id still lives."""
        return await self._dispatcher.alive(process_id)

    async def close(self) -> None:
        """Interrupt what runs here; it stays unfinished, for whoever recovers it."""
        await self._dispatcher.close()

    def _load(self, record: RunRecord) -> Plan:
        """The plan of a stored run. WorkflowInvalid when the checker refuses its document now."""
        from engine.check import check

        plan = self._plans.by_digest(record.digest)
        if plan is None:
            checked = check(record.yaml, self._tools)
            if checked.workflow is None:
                raise WorkflowInvalid(checked.problems)
            plan = self._plans.of(checked.workflow)
        return plan
