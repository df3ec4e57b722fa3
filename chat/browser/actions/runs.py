"""Starting, stopping and answering runs."""

from __future__ import annotations

import re

from chat.browser.actions.area import Answer, Area, Given, identity, typed
from chat.browser.asking import answered_before
from chat.browser.views import estimate_view, run_view
from engine.errors import Conflict, InputError
from engine.view import question_view

MOST_BELOW = 20  # runs of sub-workflows that are shown of one step


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
        """What a run takes, of the conversation's workflow or of the one named; inputs that do not fit are left out."""
        conversation, inputs = identity(given, "conversation"), dict(given.get("inputs") or {})
        current = await self.service.current_workflow(owner, conversation)
        name = typed(given, "workflow")
        yaml = None
        if name and (current is None or current.name != name):
            yaml = (await self.service.workflows.get(owner, name)).yaml
        try:
            found = await self.service.estimate(owner, conversation, yaml, inputs)
        except InputError:
            found = await self.service.estimate(owner, conversation, yaml, {})
        return {"estimate": estimate_view(found)}

    async def below(self, owner: str, given: Given) -> Answer:
        """The steps of the sub-workflows that a step of a run has started: [{path, status, nodes}]."""
        view, node = await self.service.view_run(owner, identity(given, "run")), identity(given, "node")
        children = [c for c in view.get("children") or () if re.split(r"[\[/]", str(c["path"]))[0] == node]
        runs = []
        for child in children[:MOST_BELOW]:
            shown = run_view(await self.service.view_run(owner, child["run_id"]))
            runs.append({"path": child["path"], "status": child["status"], "nodes": shown["nodes"]})
        return {"runs": runs, "more": max(0, len(children) - MOST_BELOW)}
