"""Starting, stopping and answering runs."""

from __future__ import annotations

from chat.browser.actions.area import Answer, Area, Given, identity
from chat.browser.asking import answered_before
from chat.browser.views import estimate_view
from engine.errors import Conflict, InputError
from engine.view import question_view


class Runs(Area):
    """What is done in the Run tab and with a run's questions."""

    async def run(self, owner: str, given: Given) -> Answer:
        run = await self.service.start_run(
            owner, identity(given, "conversation"), dict(given.get("inputs") or {})
        )
        return {"run": run}

    async def cancel(self, owner: str, given: Given) -> None:
        await self.service.cancel_run(owner, identity(given, "run"))

    async def answer(self, owner: str, given: Given) -> Answer | None:
        """What a run asks is answered; who comes second is told who was first."""
        run, node, iteration = identity(given, "run"), identity(given, "node"), given.get("iteration")
        try:
            await self.service.answer_run(owner, run, node, given.get("value"), iteration=iteration)
        except Conflict:
            found = await self.service.engine.store.waits(root_id=run, answered=None)
            first = next(
                (w for w in found if w.answered_at and (w.path, w.iteration) == (node, iteration)), None
            )
            if first is None:
                raise
            return answered_before(question_view(first))
        return None

    async def estimate(self, owner: str, given: Given) -> Answer:
        """What a run of the conversation's workflow takes; inputs that do not fit are left out."""
        conversation, inputs = identity(given, "conversation"), dict(given.get("inputs") or {})
        try:
            found = await self.service.estimate(owner, conversation, None, inputs)
        except InputError:
            found = await self.service.estimate(owner, conversation, None, {})
        return {"estimate": estimate_view(found)}
