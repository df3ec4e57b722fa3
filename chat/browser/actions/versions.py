"""The versions of a conversation's workflow: compared, taken back, asked why a line is there, verified."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from chat.browser.actions.area import Answer, Area, Given, identity
from chat.browser.card import proof_state
from chat.browser.case_words import case_rows
from chat.browser.compared import Row, diff_rows
from chat.proof import proof_line
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
        changes = await self.service.library.changes(owner, current.name, other, version) if other > 0 else []
        return {
            "version": version,
            "against": other,
            "changes": changes,
            "rows": await _compared(old, new.yaml),
            **_proved(new.proof),
        }

    async def compare_text(self, owner: str, given: Given) -> Answer:
        """What `yaml` would change in the newest version."""
        current = await self._current(owner, given)
        return {"rows": await _compared(current.yaml, str(given.get("yaml") or ""))}

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

    async def blame(self, owner: str, given: Given) -> Answer:
        """Which version made each line and node of the newest one, and what was asked for then."""
        current = await self._current(owner, given)
        return {"blame": await self.service.library.blame_view(owner, current.name)}

    # --- what is verified ---

    async def prove(self, owner: str, given: Given) -> Answer:
        """A version is verified anew, its tests too, and the proof kept with it."""
        current = await self._current(owner, given)
        version = int(given.get("version") or current.version)
        proof = await self.service.proofs.prove(owner, current.name, version)
        return _proved(proof)

    async def tests(self, owner: str, given: Given) -> Answer:
        """The wishes that are kept as tests of the workflow, each with its case in words."""
        current = await self._current(owner, given)
        found = await self.service.proofs.tests.list(owner, current.name)
        return {"tests": [{**test.to_dict(), "case": case_rows(test.case)} for test in found]}

    async def remove_test(self, owner: str, given: Given) -> None:
        current = await self._current(owner, given)
        await self.service.proofs.tests.remove(owner, current.name, identity(given, "test"))

    async def _current(self, owner: str, given: Given) -> Version:
        found = await self.service.current_workflow(owner, identity(given, "conversation"))
        if found is None:
            raise Conflict("This conversation has no workflow yet.", "Ask for one first.")
        return found


def _proved(proof: Mapping[str, Any] | None) -> Answer:
    if proof is None:
        return {"proof": None, "proof_line": "", "proof_state": ""}
    return {"proof": dict(proof), "proof_line": proof_line(proof), "proof_state": proof_state(proof)}


async def _compared(old: str, new: str) -> list[Row]:
    return await asyncio.to_thread(diff_rows, old, new)
