"""A file that is dropped on the page: looked at first, then kept as a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chat.browser.actions.area import Answer, Area, Given
from chat.browser.views import problems_view
from engine.check import Checked

LONGEST_NAME = 120


class Files(Area):
    """What is done with a file of a workflow."""

    async def look_at_file(self, owner: str, given: Given) -> Answer:
        """What the file is, and what the checker says of it; nothing is kept."""
        text = str(given.get("text") or "")
        checked = await self.service.check(text, owner)
        flow = _flow(checked)
        return {
            "workflow": flow is not None,
            "name": str((flow or {}).get("name") or ""),
            "description": str((flow or {}).get("description") or ""),
            **problems_view(checked),
        }

    async def take_file(self, owner: str, given: Given) -> Answer:
        """The file as the next version of a conversation's workflow, or as the workflow of a new conversation."""
        text, name = str(given.get("text") or ""), str(given.get("file") or "")[:LONGEST_NAME]
        conversation = given.get("conversation")
        if not conversation:
            title = str((_flow(await self.service.check(text, owner)) or {}).get("name") or name)
            conversation = (await self.service.create(owner, title)).id
        saved = await self.service.save_yaml(owner, conversation, text, f"From the file {name}")
        return {"conversation": conversation, "workflow": saved.name, "version": saved.version}


def _flow(checked: Checked) -> Mapping[str, Any] | None:
    """The `flow` block of what is, however broken, a workflow; None for any other text."""
    data = checked.document.data
    if not isinstance(data, Mapping) or not {"flow", "nodes", "schema_version"} & set(data):
        return None
    flow = data.get("flow")
    return flow if isinstance(flow, Mapping) else {}
