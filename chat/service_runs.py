"""What people and programs do with runs: start, follow, answer, try again, cancel, delete. A part of the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from engine.errors import Conflict, NotFound
from engine.ports import ModelClient, RunEvent, RunRecord
from engine.prepare import prepare
from sessions.inbox import Inbox, OpenRun

if TYPE_CHECKING:
    from chat.hub import Hub
    from chat.library import WorkflowLibrary
    from chat.runner import Turns
    from engine.engine import Engine
    from engine.workflow import Workflow
    from sessions.conversations import Conversations
    from sessions.workflows import Workflows
    from tools.registry import ToolRegistry

BROWSER = "browser"


class RunService:
    """The runs of an owner. What belongs to somebody else is NotFound."""

    engine: Engine
    models: ModelClient
    tools: ToolRegistry
    conversations: Conversations
    workflows: Workflows
    library: WorkflowLibrary
    hub: Hub
    _inbox: Inbox
    _turns: Turns
    _tasks: set[asyncio.Task[str]]

    async def start_run(
        self,
        owner: str,
        conversation_id: str,
        inputs: Mapping[str, Any],
        yaml: str | None = None,
        *,
        limit_usd: float | None = None,
        ignore_gates: bool = False,
    ) -> str:
        """Run the conversation's workflow, or `yaml`; the run's id. Its card and result become a message.

        WorkflowInvalid, InputError, Conflict where a gate blocks it: nothing was started. The start itself can't
        be cut: it goes on when the caller is cancelled.
        """
        current = await self.library.current_workflow(owner, conversation_id)
        text = yaml if yaml is not None else current.yaml if current else None
        if text is None:
            raise Conflict("This conversation has no workflow yet.", "Ask for one first.")
        workflow = await prepare(text, self.tools, self.models, self.workflows.of(owner))
        bounds = {"limit_usd": limit_usd, "ignore_gates": ignore_gates}
        task = asyncio.create_task(self._start_run(owner, conversation_id, workflow, inputs, bounds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def start_detached_run(
        self,
        owner: str,
        yaml: str,
        inputs: Mapping[str, Any],
        *,
        limit_usd: float | None = None,
        ignore_gates: bool = False,
        dry: bool = False,
    ) -> str:
        """Run a document outside of any conversation, or rehearse it; the run's id. WorkflowInvalid, InputError;
        Conflict where a gate blocks it."""
        if dry:
            workflow = await self.library.checked(owner, yaml)
        else:
            workflow = await prepare(yaml, self.tools, self.models, self.workflows.of(owner))
        return await self.engine.start(
            workflow, inputs, owner=owner, limit_usd=limit_usd, ignore_gates=ignore_gates or dry, dry=dry
        )

    async def branches(self, owner: str, yaml: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Which ways through a document a dry run can take, see `Engine.branches`. WorkflowInvalid, InputError."""
        return await self.engine.branches(await self.library.checked(owner, yaml), inputs)

    async def retry_run(self, owner: str, run_id: str, node: str, yaml: str | None = None) -> str:
        """Run once more from a node on, see `Engine.retry`; the new run's id. `yaml` is the document put right."""
        await self._own_run(owner, run_id)
        workflow = None if yaml is None else await self.library.checked(owner, yaml)
        return await self.engine.retry(run_id, node, workflow)

    async def replay_run(self, owner: str, run_id: str, model: str) -> str:
        """Ask another model on what was recorded, see `Engine.replay`; the new run's id."""
        await self._own_run(owner, run_id)
        return await self.engine.replay(run_id, model)

    async def resume_run(self, owner: str, run_id: str) -> dict[str, Any]:
        """Go on with a run whose process has ended; its view."""
        await self._own_run(owner, run_id)
        return await self.engine.resume(run_id)

    async def estimate(
        self, owner: str, conversation_id: str | None, yaml: str | None, inputs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What a run of `yaml`, or else of the conversation's workflow, would take; see `engine.estimate.Estimate`.

        WorkflowInvalid, InputError; Conflict where there is no workflow. Missing inputs are no error.
        """
        from chat.estimates import estimate

        text = yaml
        if text is None and conversation_id is not None:
            current = await self.library.current_workflow(owner, conversation_id)
            text = current.yaml if current else None
        if text is None:
            raise Conflict("This conversation has no workflow yet.", "Ask for one first.")
        found = await estimate(
            text, inputs, owner, self.models, self.tools, self.engine.store, self.workflows
        )
        return found.to_dict()

    async def view_run(self, owner: str, run_id: str) -> dict[str, Any]:
        """What `run --json` prints."""
        await self._own_run(owner, run_id)
        return await self.engine.view(run_id)

    async def run_events(self, owner: str, run_id: str, after: int = 0) -> AsyncIterator[RunEvent]:
        """The run's events after number `after`, stored ones first, until it has ended."""
        await self._own_run(owner, run_id)
        async for event in self.engine.events(run_id, after):
            yield event

    async def cancel_run(self, owner: str, run_id: str) -> None:
        """Ask for its end; a run that has ended already stays as it is."""
        await self._own_run(owner, run_id)
        await self.engine.cancel(run_id)

    async def answer_run(
        self,
        owner: str,
        run_id: str,
        node: str,
        value: Any,
        *,
        by: str | None = None,
        iteration: int | None = None,
    ) -> dict[str, Any]:
        """Answer what a run asks, see `Engine.answer`; the run's view. `by` is who answers, left out the owner."""
        run = await self._own_run(owner, run_id)
        view = await self.engine.answer(run_id, node, value, by=by or owner, iteration=iteration)
        if run.conversation_id and run.message_id:
            await self._turns.write_questions(OpenRun(run.id, owner, run.conversation_id, run.message_id))
        return view

    async def waiting(self, owner: str, conversation_id: str | None = None) -> list[dict[str, Any]]:
        """The open questions of the owner's runs, oldest first, each with its `run_id`."""
        if conversation_id is not None:
            await self.conversations.head(owner, conversation_id)
        return await self.engine.waiting(owner=owner, conversation_id=conversation_id)

    async def runs(self, owner: str, *, limit: int = 50, **which: Any) -> list[dict[str, Any]]:
        """Summaries, newest first; `which`: status, workflow, since, as in `Engine.runs`."""
        return await self.engine.runs(owner=owner, limit=limit, **which)

    async def delete_run(self, owner: str, run_id: str) -> None:
        """Forget a run that has ended, with all below it and what the conversation shows of it. Conflict while it, or a
        part of it, has not ended."""
        await self._own_run(owner, run_id)
        gone = await self.engine.store.delete(run_id)
        for conversation_id, message_id in await self.conversations.forget_runs(gone):
            self.hub.publish(owner, conversation_id, "message", message_id=message_id)

    # --- inside ---

    async def _start_run(
        self,
        owner: str,
        conversation_id: str,
        workflow: Workflow,
        inputs: Mapping[str, Any],
        bounds: Mapping[str, Any],
    ) -> str:
        """The card comes first, so that a run always has its message, whenever the process is killed."""
        card = await self._inbox.add_card(conversation_id, BROWSER, await self.engine.enter())
        try:
            run_id = await self.engine.start(
                workflow, inputs, owner=owner, conversation_id=conversation_id, message_id=card.id, **bounds
            )
        except BaseException:
            await self._inbox.remove(card.id)
            raise
        await self._turns.wait_for_runs(owner, card, [OpenRun(run_id, owner, conversation_id, card.id)])
        return run_id

    async def _own_run(self, owner: str, run_id: str) -> RunRecord:
        found = await self.engine.record(run_id)
        if found.owner != owner:
            raise NotFound(f"There is no run {run_id}.", "List the runs to see their ids.")
        return found
