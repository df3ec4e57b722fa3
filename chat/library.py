"""The saved workflows as people see and change them: by hand, in a conversation, in lists.

Every call names the owner. What a turn of the assistant saves goes into the store by itself and is announced by
the turn.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from chat.why import Story
from engine.errors import Conflict, WorkflowInvalid
from sessions.workflows import Author, Summaries, Version, Workflows

if TYPE_CHECKING:
    from chat.hub import Hub
    from chat.proof import Proofs
    from engine.check import Checked
    from engine.ports import ModelClient, RunStore
    from engine.timetable import Timetable
    from engine.workflow import Workflow
    from sessions.conversations import Conversations
    from tools.registry import ToolRegistry


@dataclass(frozen=True, slots=True)
class Usage:
    """What goes by a workflow's name: others that start it, schedules' ids, and how much belongs to it."""

    name: str
    parents: tuple[str, ...]
    schedules: tuple[str, ...]
    versions: int
    tests: int
    conversations: int

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "parents": list(self.parents), "schedules": list(self.schedules)}


class WorkflowLibrary(Story):
    """Made by the conversation service. `proofs` proves what is saved; pages hear of changes by the hub."""

    def __init__(
        self,
        workflows: Workflows,
        conversations: Conversations,
        timetable: Timetable,
        runs: RunStore,
        models: ModelClient,
        tools: ToolRegistry,
        hub: Hub,
        proofs: Proofs | None = None,
    ) -> None:
        super().__init__(workflows)
        self._conversations = conversations
        self._timetable = timetable
        self._runs = runs
        self._models = models
        self._tools = tools
        self._hub = hub
        self._proofs = proofs

    # --- one document ---

    async def current_workflow(self, owner: str, conversation_id: str) -> Version | None:
        """The newest version of the workflow that the conversation is about."""
        head = await self._conversations.head(owner, conversation_id)
        return await self._workflows.get(owner, head.workflow) if head.workflow else None

    async def check(self, yaml: str, owner: str) -> Checked:
        """What the one checker says of a document, and of the models here that it needs."""
        from engine.prepare import check_here

        return await check_here(yaml, self._tools, self._models, self._workflows.of(owner))

    async def checked(self, owner: str, yaml: str) -> Workflow:
        """Of a document that is to be saved: what the machine lacks does not matter yet. WorkflowInvalid."""
        checked = await self.check(yaml, owner)
        if checked.workflow is None:
            raise WorkflowInvalid(checked.problems)
        return checked.workflow

    async def save_yaml(self, owner: str, conversation_id: str, yaml: str, summary: str) -> Version:
        """What the editor saves: the next version of the conversation's workflow, or a new one.

        WorkflowInvalid when the checker finds errors: what is saved can run.
        """
        head = await self._conversations.head(owner, conversation_id)
        await self.checked(owner, yaml)
        name, number = await self._workflows.save(
            owner, head.workflow, yaml, summary, author="editor", conversation_id=conversation_id
        )
        return await self._drafted(owner, conversation_id, name, number)

    async def save_workflow(
        self, owner: str, yaml: str, summary: str, author: Author = "api"
    ) -> dict[str, Any]:
        """Keep a document under its `flow.name`, outside of any conversation: {name, version}. WorkflowInvalid."""
        await self.checked(owner, yaml)
        saved, version = await self._workflows.save(
            owner, None, yaml, summary, author=author, by_flow_name=True
        )
        proof = await self._proofs.prove(owner, saved, version) if self._proofs is not None else None
        return {"name": saved, "version": version, "proof": proof}

    async def use_workflow(self, owner: str, conversation_id: str, name: str) -> Version:
        """Make the conversation about a workflow that is saved already."""
        found = await self._workflows.get(owner, name)
        return await self._drafted(owner, conversation_id, name, found.version)

    async def restore(self, owner: str, conversation_id: str, version: int) -> Version:
        """Go back to an older version of the conversation's workflow: its text becomes the newest version."""
        head = await self._conversations.head(owner, conversation_id)
        if head.workflow is None:
            raise Conflict("This conversation has no workflow yet.", "Ask for one first.")
        name, number = await self._workflows.restore(
            owner, head.workflow, version, conversation_id=conversation_id
        )
        return await self._drafted(owner, conversation_id, name, number)

    async def _drafted(self, owner: str, conversation_id: str, name: str, version: int) -> Version:
        await self._conversations.set_workflow(owner, conversation_id, name)
        found = await self._workflows.get(owner, name, version)

        def announce() -> None:
            self._hub.publish(owner, conversation_id, "draft", workflow=name, version=version)

        announce()
        self._hub.publish(owner, conversation_id, "list_changed")  # it may be titled after the workflow
        if found.proof is None and self._proofs is not None:
            self._proofs.prove_soon(owner, name, version, announce)
        return found

    # --- all of them ---

    async def list(self, owner: str, archived: bool | None = False) -> Summaries:
        """The one changed last comes first."""
        return await self._workflows.list(owner, archived)

    async def usage(self, owner: str, name: str) -> Usage:
        """What goes by its name: to be looked at before it is deleted or renamed."""
        counts = await self._workflows.counts(owner, name)
        parents = await self._workflows.parents(owner, name)
        schedules = [s.id for s in await self._timetable.list(owner) if s.saved and s.workflow == name]
        return Usage(
            name,
            tuple(parent.name for parent in parents if parent.name != name),
            tuple(schedules),
            counts["workflow_versions"],
            counts.get("workflow_tests", 0),
            counts["conversations"],
        )

    async def rename(
        self, owner: str, name: str, new: str, *, author: Author = "api", references: bool = False
    ) -> str:
        """Give it another name, also in its text; conversations, tests, schedules and runs follow. The new name.

        Conflict when the name is taken, the assistant is at work on it, or others start it by its name; with
        `references` those get a version that names the new one.
        """
        renamed = await self._workflows.rename(owner, name, new, author=author, references=references)
        if renamed != name:
            await self._timetable.rename_workflow(owner, name, renamed)
            await self._runs.rename_workflow(owner, name, renamed)
            await self._changed_name(owner, renamed)
        return renamed

    async def duplicate(
        self, owner: str, name: str, new: str | None = None, *, author: Author = "api"
    ) -> dict[str, Any]:
        """{name, version} of a copy of the newest version, with its tests. Conflict when the name is taken."""
        made, version = await self._workflows.duplicate(owner, name, new, author=author)
        self._changed(owner)
        return {"name": made, "version": version}

    async def archive(self, owner: str, name: str, archived: bool = True) -> None:
        """Put it out of the lists, or back. Schedules and workflows that start it go on."""
        await self._workflows.archive(owner, name, archived)
        self._changed(owner)

    async def delete(self, owner: str, name: str, *, force: bool = False) -> Usage:
        """Forget it, with its versions and tests; what went, and what it leaves behind. Its runs stay.

        Conflict while a schedule or another workflow starts it. With `force` the schedules go too, and the other
        workflows stay as they are: they can't run until they are changed.
        """
        usage = await self.usage(owner, name)
        if not force and (usage.schedules or usage.parents):
            raise Conflict(
                _in_use(usage), "Remove or change those first, or delete it all the same, by force."
            )
        await self._workflows.delete(owner, name)
        for schedule_id in usage.schedules:
            await self._timetable.remove(owner, schedule_id)
        self._changed(owner)
        return usage

    def _changed(self, owner: str) -> None:
        self._hub.publish(owner, "", "list_changed")

    async def _changed_name(self, owner: str, name: str) -> None:
        """Tell the pages of the conversations about a workflow what it is called now."""
        newest = await self._workflows.get(owner, name)
        for found in await self._conversations.list(owner):
            if found.workflow == name:
                self._hub.publish(owner, found.id, "draft", workflow=name, version=newest.version)
        self._changed(owner)


def _in_use(usage: Usage) -> str:
    by = [f"the schedule {each}" for each in usage.schedules]
    by += [f'the workflow "{each}"' for each in usage.parents]
    return f'"{usage.name}" is started by {", ".join(by)}.'
