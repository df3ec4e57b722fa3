"""What is told of a draft once it is saved: what changed, what was proved, and which earlier wishes it breaks.

The draft is shown at once, and again when all is known: proving keeps nobody waiting who only wants to see it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from chat.assistant.turn import Turn
from chat.events import DraftChanged, Event, Text
from chat.proof import broken_words, proving, quoted
from engine.differences import describe_changes

if TYPE_CHECKING:
    from chat.turns import CurrentWorkflow
    from engine.check import Checked

SECONDS = 1.0
"""What a turn spends on a proof; where that is not enough, the version gets a better one in the background."""
PATIENCE = 0.03
"""Seconds for which a draft waits for its proof before it is shown without."""


@dataclass
class Proving:
    """The proofs of a turn's drafts. `failing` are the tests that fail on the newest, `broken` by id those that the
    turn has broken; `told` says that the model has been told so once."""

    turn: Turn
    failing: Sequence[Mapping[str, Any]] = ()
    broken: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    told: bool = False

    async def show(
        self, drafted: DraftChanged, before: CurrentWorkflow | None, checked: Checked | None
    ) -> AsyncIterator[Event]:
        """The draft that was just saved, with what is found out about it. `checked` is of its very text."""
        async with proving(self._found(drafted, before, checked), PATIENCE) as found:
            if not found.done():
                yield drafted
            shown = await found
            yield shown
        if shown.proof is not None:
            async for event in self._compare(before, shown.proof):
                yield event

    async def _found(
        self, drafted: DraftChanged, before: CurrentWorkflow | None, checked: Checked | None
    ) -> DraftChanged:
        turn, proofs = self.turn, self.turn.house.proofs
        changes: list[str] = []
        if before is not None and turn.workflow is not None:
            changes = await asyncio.to_thread(describe_changes, before.yaml, turn.workflow.yaml)
        proof = None
        if proofs is not None:
            which = (turn.owner, drafted.workflow, drafted.version)
            proof = await proofs.prove(*which, checked=checked, seconds=SECONDS)
            if proof["dry_run"] and proof["dry_run"]["status"] == "partial":
                proofs.prove_soon(*which)
        return replace(drafted, changes=changes, proof=proof)

    async def _compare(
        self, before: CurrentWorkflow | None, proof: Mapping[str, Any]
    ) -> AsyncIterator[Event]:
        """Say which wishes held before and no longer do, and which hold again."""
        turn, proofs = self.turn, self.turn.house.proofs
        self.failing = [test for test in proof["tests"] if test["status"] == "failed"]
        holds = [test for test in proof["tests"] if test["id"] in self.broken and test["status"] == "passed"]
        if holds:
            for test in holds:
                del self.broken[test["id"]]
            yield Text("\n\nThis holds again: " + ", ".join(f"“{quoted(test)}”" for test in holds) + ".")
        if before is None or not self.failing:
            return
        earlier = await turn.house.workflows.get(turn.owner, before.name, before.version)
        broken = await proofs.broken_by(turn.owner, before.name, before.yaml, earlier.proof, proof)
        self.broken |= {test["id"]: test for test in broken}
        if broken:
            yield Text(f"\n\n{broken_words(broken)}")

    def for_model(self) -> tuple[str, bool]:
        """What the model is told of tests that fail, and whether it may mend that at once (once a turn)."""
        if not self.failing:
            return "", False
        lines = "\n".join(f"- “{quoted(test)}”: {test['why']}" for test in self.failing)
        first = bool(self.broken) and not self.told
        self.told = self.told or first
        then = (
            "The change broke what the person asked for before, and the person was told. Mend that with edit_workflow, "
            "keeping the change; where both can't be had, ask the person which of the two counts."
            if first
            else "Say so honestly; do not call it done."
        )
        return f" These tests fail now:\n{lines}\n{then}", first
