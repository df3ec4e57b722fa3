"""All saved workflows and all runs of a person, whatever conversation they came from."""

from __future__ import annotations

from typing import Any

from chat.browser.actions.area import Answer, Area, Given, identity
from chat.browser.views import runs_view

MOST_RUNS = 200


class Library(Area):
    """What is done in the lists of workflows and of runs."""

    async def workflows(self, owner: str, given: Given) -> Answer:
        """Every workflow, the one changed last first, the archived ones too."""
        found = await self.service.workflows.list(owner, archived=None)
        return {"workflows": [summary.to_dict() for summary in found]}

    async def open_workflow(self, owner: str, given: Given) -> Answer:
        """A new conversation about a workflow that is there already."""
        name = identity(given, "name")
        await self.service.workflows.get(owner, name)
        conversation = await self.service.create(owner, name)
        await self.service.use_workflow(owner, conversation.id, name)
        return {"conversation": conversation.id}

    async def workflow_usage(self, owner: str, given: Given) -> Answer:
        """What goes by a workflow's name, to be told before it is renamed or deleted."""
        return (await self.service.library.usage(owner, identity(given, "name"))).to_dict()

    async def rename_workflow(self, owner: str, given: Given) -> Answer:
        """Another name; `references`: also in the workflows that start it."""
        name, new = identity(given, "name"), str(given.get("new") or "").strip()
        references = bool(given.get("references"))
        renamed = await self.service.library.rename(owner, name, new, author="editor", references=references)
        return {"name": renamed}

    async def duplicate_workflow(self, owner: str, given: Given) -> Answer:
        return await self.service.library.duplicate(owner, identity(given, "name"), author="editor")

    async def archive_workflow(self, owner: str, given: Given) -> None:
        await self.service.library.archive(owner, identity(given, "name"), bool(given.get("archived")))

    async def delete_workflow(self, owner: str, given: Given) -> None:
        """`force`: the person was told what starts it, and wants it gone all the same."""
        await self.service.library.delete(owner, identity(given, "name"), force=bool(given.get("force")))

    async def all_runs(self, owner: str, given: Given) -> Answer:
        """The latest runs of all conversations, in words."""
        found = await self.service.runs(owner, limit=MOST_RUNS)
        shown: list[dict[str, Any]] = runs_view(found)
        for run, source in zip(shown, found, strict=True):
            run["conversation"] = source["conversation_id"]
        return {"runs": shown}

    async def delete_run(self, owner: str, given: Given) -> None:
        await self.service.delete_run(owner, identity(given, "run"))
