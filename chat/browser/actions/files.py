"""A file that is dropped on the page: looked at first, then kept as a workflow with its tests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from chat.browser.actions.area import Answer, Area, Given
from chat.browser.views import problems_view
from chat.share import read_share
from engine.check import Checked

LONGEST_NAME = 120


class Files(Area):
    """What is done with a file of a workflow."""

    async def look_at_file(self, owner: str, given: Given) -> Answer:
        """What a workflow's or a share file is, and what the checker says of it; nothing is kept."""
        shared = await asyncio.to_thread(read_share, str(given.get("text") or ""))
        checked = await self.service.check(shared.yaml, owner)
        flow = _flow(checked)
        return {
            "workflow": flow is not None,
            "name": str((flow or {}).get("name") or ""),
            "description": str((flow or {}).get("description") or ""),
            "yaml": shared.yaml,
            "tests": len(shared.tests),
            "whole": shared.whole,
            **problems_view(checked),
        }

    async def take_file(self, owner: str, given: Given) -> Answer:
        """The file as the next version of a conversation's workflow, or as the workflow of a new conversation."""
        text, name = str(given.get("text") or ""), str(given.get("file") or "")[:LONGEST_NAME]
        conversation = given.get("conversation")
        if conversation:
            return await self._next_version(owner, str(conversation), text, name)
        taken = await self.service.sharing.import_text(owner, text, "editor")
        made = await self.service.create(owner, taken["name"])
        await self.service.use_workflow(owner, made.id, taken["name"])
        return {"conversation": made.id, "workflow": taken["name"], "version": taken["version"]}

    async def _next_version(self, owner: str, conversation: str, text: str, file: str) -> Answer:
        """The tests of a share file are added where the workflow has not got them yet."""
        shared = await asyncio.to_thread(read_share, text)
        saved = await self.service.save_yaml(owner, conversation, shared.yaml, f"From the file {file}")
        tests = self.service.proofs.tests
        known = [dict(test.case) for test in await tests.list(owner, saved.name)]
        if more := [test for test in shared.tests if dict(test[2]) not in known]:
            await tests.add_all(owner, saved.name, more)
        return {"conversation": conversation, "workflow": saved.name, "version": saved.version}


def _flow(checked: Checked) -> Mapping[str, Any] | None:
    """The `flow` block of what is, however broken, a workflow; None for any other text."""
    data = checked.document.data
    if not isinstance(data, Mapping) or not {"flow", "nodes", "schema_version"} & set(data):
        return None
    flow = data.get("flow")
    return flow if isinstance(flow, Mapping) else {}
