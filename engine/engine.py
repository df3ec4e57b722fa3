"""The engine as everybody else sees it: start, follow, show, answer, cancel and recover runs of workflows."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.again import anew, check_node, check_recorded, check_root, kept_rows
from engine.answers import find_wait, read_answer
from engine.budget import Budgets
from engine.children import Children, wake_above
from engine.dispatch import Dispatcher, LocalDispatcher, MakeDispatcher
from engine.errors import Conflict, FenceLost
from engine.follow import follow, settled, stored_view
from engine.gates import refuse_blocked
from engine.inputs import read_inputs
from engine.live import PATIENCE
from engine.loading import Loader
from engine.made import made_inputs
from engine.nodes import Services
from engine.nodes.step import Secrets
from engine.pins import Resolver, SavedWorkflows, pin
from engine.ports import Clock, Files, ModelClient, RunEvent, RunRecord, RunStatus, RunStore, Wait
from engine.rehearsal import rehearsal_of, replayed
from engine.simulate import Recorded
from engine.view import summary_view, time_text, wait_view
from engine.workflow import Workflow

if TYPE_CHECKING:
    from engine.walk import Walker
    from tools.registry import ToolRegistry
    from tools.sandbox.pool import Sandbox


_MANY = 1000
"""From so many questions on they are described on a thread."""


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
    `dispatcher` makes what executes runs: this process, unless it says otherwise. `workflows` finds what nodes start
    that run a saved workflow.
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
        dispatcher: MakeDispatcher = LocalDispatcher,
        workflows: SavedWorkflows | None = None,
        files: Files | None = None,
    ) -> None:
        self.store = store
        self._loader = Loader(tools)
        self._saved = workflows
        self._clock = clock or SystemClock()
        children = Children(store, self._loader.plan)
        recorded = Recorded(store)
        services = Services(
            models, tools, self._clock, secrets, sandbox, Budgets(store), children, recorded, files
        )
        self._services = services
        self._dispatcher: Dispatcher = dispatcher(store, services, self._loader.stored, process)
        children.bind(self._dispatcher)

    async def start(
        self,
        workflow: Workflow,
        inputs: Mapping[str, Any],
        *,
        owner: str = "local",
        conversation_id: str | None = None,
        message_id: str | None = None,
        force_model: str | None = None,
        delay: float | None = None,
        priority: int = 0,
        limit_usd: float | None = None,
        dry: bool = False,
        origin: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        ignore_gates: bool = False,
        workflows: Resolver | None = None,
    ) -> str:
        """Store a run and execute it in the background; its id. InputError before anything is stored, Conflict
        where a gate of this document blocks it.

        `delay` in seconds: it starts then, in whichever process recovers. With a `run_id` of the caller's, to
        start twice is to start once. `workflows` finds the texts of sub-workflows by name, without it the engine's
        own does; they are fixed now. NotFound, WorkflowInvalid or RunError where they can't be run. The other
        options: see RunRecord. For a dry run, required inputs that are missing are made up.
        """
        plan = self._loader.of(workflow)
        if dry:
            made = made_inputs(workflow, inputs)
            inputs, origin = {**inputs, **made}, {**(origin or {}), "made_inputs": list(made)}
        if not ignore_gates:
            await refuse_blocked(self.store, plan, owner)
        pinned = await pin(workflow, workflows or self._saved_of(owner), self._loader.workflow)
        found = read_inputs(workflow, inputs)
        found = await self.with_files(workflow, found, owner, conversation_id, keep=not dry)
        given, now = run_id is not None, self._clock.now()
        run_id = run_id or uuid.uuid4().hex[:16]
        record = RunRecord(
            id=run_id,
            root_id=run_id,
            workflow=workflow.name,
            yaml=workflow.text,
            inputs=found,
            status="running",
            created_at=now,
            owner=owner,
            conversation_id=conversation_id,
            message_id=message_id,
            force_model=force_model,
            digest=plan.digest,
            shape=plan.shape,
            not_before=None if delay is None else now + delay,
            priority=priority,
            limit_usd=limit_usd,
            dry=dry,
            origin=origin,
            pins=pinned.digests,
        )
        await pinned.keep(self.store)
        if given:
            await self._dispatcher.offer(record, plan)
        else:
            await self._dispatcher.start(record, plan)
        return record.id

    async def with_files(
        self,
        workflow: Workflow,
        inputs: dict[str, Any],
        owner: str,
        conversation_id: str | None = None,
        *,
        keep: bool = True,
    ) -> dict[str, Any]:
        """Inputs with what is known of the files they name; with `keep` these stay from now on. InputError for one that
        is not there.
        """
        if not workflow.holds_files:
            return inputs
        from engine.nodes.files import told

        return await told(self._services.files, inputs, owner, conversation_id, keep=keep)

    async def retry(
        self,
        run_id: str,
        node: str,
        workflow: Workflow | None = None,
        *,
        conversation_id: str | None = None,
        message_id: str | None = None,
        unlimited: bool = False,
    ) -> str:
        """A new run that keeps the rows before the first visit to `node` of one that has ended, and goes on from there;
        its id.

        `workflow` is the document put right, where it was that; then its sub-workflows are what is saved now. The new
        run belongs to the conversation and the message that are given, else to none. It has the person's budget of the
        one before, unless it is `unlimited`.
        NotFound, Conflict, InputError.
        """
        run = await self.store.get(run_id)
        check_root(run)
        plan = self._loader.of(workflow) if workflow is not None else await self._loader.stored(run)
        rows = await self.store.rows(run_id)
        check_node(plan, run, rows, node)
        pins = run.pins
        if workflow is not None:
            pinned = await pin(workflow, self._saved_of(run.owner), self._loader.workflow)
            await pinned.keep(self.store)
            pins = pinned.digests
        new_id = uuid.uuid4().hex[:16]
        kept = await asyncio.to_thread(kept_rows, run, plan, rows, node, new_id)
        changed: dict[str, Any] = {
            "yaml": plan.workflow.text,
            "digest": plan.digest,
            "shape": plan.shape,
            "pins": pins,
        }
        changed["workflow"] = plan.workflow.name
        origin = {**rehearsal_of(run), "retry_of": run.id, "from": node}
        changed |= {"conversation_id": conversation_id, "message_id": message_id}
        if unlimited:
            changed["limit_usd"] = None
        record = anew(run, new_id, self._clock.now(), **changed, origin=origin)
        await self._dispatcher.offer(record, plan, kept)
        return new_id

    async def replay(self, run_id: str, model: str) -> str:
        """A new run that asks `model` instead, on the same inputs, and takes all else from what was recorded; its id.

        Nothing with an effect happens again. What a replay repeats, a replay of it repeats too. NotFound, Conflict.
        """
        run = await self.store.get(run_id)
        check_root(run)
        check_recorded(run)
        new_id = uuid.uuid4().hex[:16]
        origin = {"replay_of": replayed(run) or run.id}
        record = anew(run, new_id, self._clock.now(), force_model=model, origin=origin)
        await self._dispatcher.start(record, await self._loader.stored(run))
        return new_id

    async def resume(self, run_id: str) -> dict[str, Any]:
        """Go on now with a run whose process has ended; the view. Conflict when it has ended, or another process is
        at it."""
        run = await self.store.get(run_id)
        if run.end_event is not None:
            raise Conflict(
                f"Run {run_id} has ended: {run.status}.", "Use retry to run a part of it once more."
            )
        if not run.parked:
            owned = run.process is not None and await self.alive(run.process)
            if owned and self._dispatcher.live(run_id) is None:
                raise Conflict(
                    f"Run {run_id} is being executed by another process.", "Follow it, or cancel it."
                )
            await self._dispatcher.nudge(run_id)
        return await self.view(run_id)

    async def branches(self, workflow: Workflow, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Which ways through the workflow a dry run can take, see `engine.branches.explore`. InputError."""
        from engine.branches import explore

        return await explore(self.walker(workflow), inputs)

    def walker(self, workflow: Workflow, *, offline: bool = False) -> Walker:
        """What walks through a checked workflow without storing anything; `offline`: nothing outside is read."""
        from engine.walk import Walker

        return Walker(workflow, self._loader.of(workflow).graph, self._services, offline=offline)

    async def wait(self, run_id: str) -> dict[str, Any]:
        """The view of the run once it has ended, or waits for a person. NotFound; StoreError or RunError when this
        process let go of it.
        """
        live = self._dispatcher.live(run_id)
        if live is not None:
            try:
                view = await asyncio.shield(live.settled)
            except FenceLost:
                view = None  # another process goes on with it
            if view is not None and "nests" not in live.plan.shape:
                return view
        return await settled(self.store, self._dispatcher, run_id)

    async def run(self, workflow: Workflow, inputs: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """Start, then wait."""
        return await self.wait(await self.start(workflow, inputs, **options))

    async def cancel(self, run_id: str) -> None:
        """Stop a run, also one of another process; nothing happens to one that has ended. NotFound."""
        await self.store.get(run_id)
        await self._dispatcher.cancel(run_id)

    async def answer(
        self, run_id: str, node: str, value: Any, by: str = "local", iteration: int | None = None
    ) -> dict[str, Any]:
        """Answer the question of a node of this run, or of one below it, and go on; the run's view.

        `node` is a node's id or the path of a question, of several the oldest is meant. InputError, and nothing
        is stored, for an answer that does not fit; NotFound, saying what waits, where nothing does; Conflict,
        saying who answered first, where there is an answer already.
        """
        run = await self.store.get(run_id)
        wait = await find_wait(self.store, run, node, iteration)
        asking = run if wait.run_id == run.id else await self.store.get(wait.run_id)
        found = read_answer(wait, (await self._loader.stored(asking)).workflow, value)
        await self.store.answer(wait.run_id, wait.path, wait.iteration, found, by, self._clock.now())
        await wake_above(self.store, wait.run_id)
        await self._dispatcher.nudge(wait.run_id)
        return await self.view(run_id)

    async def waiting(
        self, *, owner: str = "local", conversation_id: str | None = None, limit: int = 1000
    ) -> list[dict[str, Any]]:
        """The open questions of all runs, oldest first, as in a run's view, each with its `run_id` (the one that a
        person started) and `asked_at`."""
        found = await self.store.waits(owner=owner, conversation_id=conversation_id, limit=limit)
        return _asked(found) if len(found) < _MANY else await asyncio.to_thread(_asked, found)

    def events(self, run_id: str, after: int = 0, *, until_waiting: bool = False) -> AsyncIterator[RunEvent]:
        """The run's events above `after`: those stored, then those that come; ends after run_ended, or as soon as
        the run waits for a person. NotFound.
        """
        return follow(self.store, self._dispatcher, run_id, after, until_waiting=until_waiting)

    async def view(self, run_id: str) -> dict[str, Any]:
        """What `run --json` prints. NotFound."""
        return await stored_view(self.store, await self.store.get(run_id))

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
        since: float | None = None,
        limit: int = 50,
    ) -> list[dict[str, Any]]:
        """Summaries, newest first; `before` and `since` are creation times in seconds."""
        found = await self.store.find(
            owner=owner,
            workflow=workflow,
            conversation_id=conversation_id,
            status=status,
            before=before,
            since=since,
            limit=limit,
        )
        return [summary_view(run) for run in found]

    async def recover(self) -> list[str]:
        """Go on with the unfinished runs whose process has ended, now and from time to time; those taken now."""
        return await self._dispatcher.recover()

    async def work(self, slots: int) -> None:
        """Execute runs that others start, up to `slots` at once, until `close`. InputError where nobody leaves any
        to others.
        """
        await self._dispatcher.work(slots)

    async def lacking(self, run_id: str) -> str | None:
        """Why nobody executes the run although it could go on, in a sentence with its fix; else None. NotFound."""
        said = await self._dispatcher.lacking()
        if said is None:
            return None
        run = await self.store.get(run_id)
        later = run.not_before is not None and run.not_before > self._clock.now()
        return None if run.end_event is not None or run.parked or run.process is not None or later else said

    async def enter(self) -> str:
        """Tell the other processes of this store that this one lives; its id, under which it owns things."""
        return await self._dispatcher.enter()

    async def alive(self, process_id: str) -> bool:
        """Whether the process of that id still lives."""
        return await self._dispatcher.alive(process_id)

    async def close(self, patience: float = PATIENCE) -> None:
        """Interrupt what runs here; it stays unfinished, for whoever recovers it. What must not happen twice and is
        under way may end first, for which it has `patience` seconds."""
        await self._dispatcher.close(patience)

    def _saved_of(self, owner: str) -> Resolver | None:
        saved = self._saved
        return None if saved is None else lambda name: saved(owner, name)


def _asked(waits: Sequence[Wait]) -> list[dict[str, Any]]:
    return [
        {"run_id": wait.root_id, **wait_view(wait), "asked_at": time_text(wait.created_at)} for wait in waits
    ]
