"""The versions of a conversation's workflow: compared, taken back, and asked why a line is there."""

from __future__ import annotations

import asyncio
from typing import Any

from chat.browser.actions.area import Answer, Area, Given, identity
from chat.browser.compared import diff_rows
from engine.errors import Conflict
from sessions.workflows import Version


class Versions(Area):
    """What is done in the Versions tab, and on the cards that tell of a change."""

    async def compare(self, owner: str, given: Given) -> Answer:
        """What a version changes, compared with the one before it or with `against` (0: with nothing)."""
        current = await self._current(owner, given)
        version = int(given.get("version") or current.version)
        against = given.get("against")
        other = version - 1 if against is None else int(against)
        new = await self.service.workflows.get(owner, current.name, version)
        old = (await self.service.workflows.get(owner, current.name, other)).yaml if other > 0 else ""
        return {"version": version, "against": other, **await self._compared(old, new.yaml)}

    async def compare_text(self, owner: str, given: Given) -> Answer:
        """What `yaml` would change in the newest version."""
        current = await self._current(owner, given)
        return await self._compared(current.yaml, str(given.get("yaml") or ""))

    async def undo(self, owner: str, given: Given) -> Answer:
        """The text before the newest version is the newest again. Conflict when that is not `version` any more."""
        current = await self._current(owner, given)
        if current.version != int(given.get("version") or 0) or current.version < 2:
            raise Conflict(
                "There is a newer version than the one that is to be undone.",
                "Open the Versions tab and go back to the one you want.",
            )
        saved = await self.service.restore(owner, identity(given, "conversation"), current.version - 1)
        return {"version": saved.version}

    async def _current(self, owner: str, given: Given) -> Version:
        found = await self.service.current_workflow(owner, identity(given, "conversation"))
        if found is None:
            raise Conflict("This conversation has no workflow yet.", "Ask for one first.")
        return found

    async def _compared(self, old: str, new: str) -> dict[str, Any]:
        rows = await asyncio.to_thread(diff_rows, old, new)
        return {"rows": rows}
