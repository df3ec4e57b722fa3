"""The text of a workflow as a person writes it, and its versions."""

from __future__ import annotations

import asyncio

from chat.browser.actions.area import Answer, Area, Given, identity
from chat.browser.views import problems_view


class Editor(Area):
    """What is done in the tabs YAML and Versions."""

    async def check(self, owner: str, given: Given) -> Answer:
        return problems_view(await self.service.check(str(given.get("yaml") or "")))

    async def patch(self, owner: str, given: Given) -> Answer:
        """The text with every certain mend applied."""
        from engine.check import apply_patches, check

        text = str(given.get("yaml") or "")
        checked = await asyncio.to_thread(check, text, self.house.tools)
        return {"yaml": apply_patches(text, checked.problems)}

    async def save(self, owner: str, given: Given) -> Answer:
        conversation = given.get("conversation") or (await self.service.create(owner)).id
        summary = str(given.get("summary") or "").strip() or "Edited by hand"
        saved = await self.service.save_yaml(owner, conversation, str(given.get("yaml") or ""), summary)
        return {"conversation": conversation, "workflow": saved.name, "version": saved.version}

    async def restore(self, owner: str, given: Given) -> Answer:
        saved = await self.service.restore(
            owner, identity(given, "conversation"), int(given.get("version") or 0)
        )
        return {"version": saved.version}
