"""What people are told of a run that failed: what happened, where and with what, whose fault it is, what can be done.

Made by code from what is kept of the run, so that it is the same for every model, on every channel and after a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chat.events import Event, Fix, Question
from engine.check import apply_patches
from engine.differences import describe_changes
from engine.errors import NotFound, ParlanceError
from engine.failure_mends import edits_for
from engine.failures import Failure, failure_of
from engine.ports import NodeRow, RunRecord
from engine.prepare import check_text
from engine.text_edits import apply_edits

if TYPE_CHECKING:
    from engine.check import Checked
    from engine.engine import Engine
    from engine.ports import ModelClient
    from engine.workflow import Workflow
    from sessions.workflows import Version, Workflows
    from tools.registry import ToolRegistry

FIX = "fix"
APPLY, AGAIN, ASK, LEAVE = "fix and run from there", "try again from there", "ask for a mend", "not now"
UNLIMITED = "go on without a budget"
LABELS = {
    APPLY: "Fix and run from there",
    AGAIN: "Try again from there",
    UNLIMITED: "Go on without a budget",
    ASK: "Ask for a mend",
    LEAVE: "Not now",
}
STOPPED = ("run_stopped", "run_cancelled")
VARIES = ("model_bad_reply",)
"""Failures of a workflow that another attempt may not have."""
NO_REPAIR = "This is no fault of the workflow: it is not to be changed for it."
DRY_SECONDS = 3.0


class Failures:
    """Explains the failed runs of this installation."""

    def __init__(
        self, engine: Engine, workflows: Workflows, tools: ToolRegistry, models: ModelClient
    ) -> None:
        self._engine = engine
        self._workflows = workflows
        self._tools = tools
        self._models = models

    async def explain(self, run_id: str, name: str | None = None) -> list[Event]:
        """The explanation and the question of what to do, empty for a run that did not fail, or was a dry one.

        `name` is the saved workflow that the run is of, where that is not its document's own name. NotFound.
        """
        run = await self._engine.record(run_id)
        if run.status != "failed" or run.dry:
            return []
        rows = await self._engine.store.rows(run_id)
        saved = await self._saved(run, name or run.workflow)
        checked = await self._checked(run)
        failure = failure_of(run, rows, checked.workflow)
        if failure is None:
            return []
        fix = Fix(run_id, failure.node, failure.cause, told(failure), workflow=saved.name if saved else "")
        if saved is not None and failure.cause == "workflow":
            fix = await self._mended(fix, run, rows, failure, checked)
        asked = await self._ask(fix, failure, saved, _outspent(run, failure, checked))
        return [fix, *([asked] if asked else [])]

    async def _saved(self, run: RunRecord, name: str) -> Version | None:
        """The saved workflow, where the run is of what it is now."""
        try:
            saved = await self._workflows.get(run.owner, name)
        except NotFound:
            return None
        return saved if saved.yaml == run.yaml else None

    async def _checked(self, run: RunRecord) -> Checked:
        return await check_text(run.yaml, self._tools, self._workflows.of(run.owner))

    async def _mended(
        self, fix: Fix, run: RunRecord, rows: Sequence[NodeRow], failure: Failure, checked: Checked
    ) -> Fix:
        """With the mend, where one is certain and stands the check and a dry run."""
        text = await asyncio.to_thread(_edited, run, rows, failure, checked)
        if text is None:
            return fix
        again = await check_text(text, self._tools, self._workflows.of(run.owner))
        if again.workflow is None or not await self._goes(again.workflow, run.inputs):
            return fix
        changes = await asyncio.to_thread(describe_changes, run.yaml, text)
        return replace(fix, yaml=text, changes=changes, status="offered")

    async def _goes(self, workflow: Workflow, inputs: Mapping[str, Any]) -> bool:
        try:
            async with asyncio.timeout(DRY_SECONDS):
                await self._engine.branches(workflow, inputs)
        except TimeoutError:
            return False
        except ParlanceError:
            return False
        return True

    async def _ask(
        self, fix: Fix, failure: Failure, saved: Version | None, outspent: str | None
    ) -> Question | None:
        """What can be done; nothing for a run that a person stopped, or that failed at no node.

        A run that is `outspent` would fail again on the budget it has: see `_outspent`.
        """
        if not fix.node or failure.code in STOPPED or outspent == "document":
            return None
        may_pass = fix.cause != "workflow" or failure.code in VARIES
        choices = [APPLY] if fix.yaml else [UNLIMITED if outspent else AGAIN] if may_pass else []
        if not fix.yaml and fix.cause != "world" and saved is not None and not await self._is_small():
            choices.append(ASK)
        if not choices:
            return None
        about = {
            "kind": FIX,
            "run_id": fix.run_id,
            "node": fix.node,
            "workflow": saved.name if saved else "",
            "version": saved.version if saved else None,
            "choices": choices,
        }
        words = {
            APPLY: "This mend is certain. Shall I fix it and run from there? What had finished is not run again.",
            AGAIN: "Shall I try again from there? What had finished is not run again.",
            UNLIMITED: "Shall I go on from there without a budget? What had finished is not run again. "
            "For another budget, run it anew.",
            ASK: "Shall I look for a mend?",
        }
        options = [{"label": LABELS[choice], "value": choice} for choice in (*choices, LEAVE)]
        return Question(words[choices[0]], options, about)

    async def _is_small(self) -> bool:
        from chat.assistant.small import is_small

        try:
            return is_small(await self._models.info())
        except ParlanceError:
            return True


def _outspent(run: RunRecord, failure: Failure, checked: Checked) -> str | None:
    """Whose budget a run has used up, "person" or "document", which stands in the way of any other attempt."""
    if failure.code != "budget_spent":
        return None
    own = checked.workflow.execution.budget_usd if checked.workflow else None
    given = run.limit_usd
    return "person" if given is not None and (own is None or given < own) else "document"


def _edited(run: RunRecord, rows: Sequence[NodeRow], failure: Failure, checked: Checked) -> str | None:
    """The document with its certain mend: what the checker says of it now, else what follows from the failure."""
    if checked.workflow is None:
        certain = [problem for problem in checked.errors if problem.patch is not None]
        return apply_patches(run.yaml, certain) if certain else None
    edits = edits_for(failure, run, rows, checked.workflow)
    if not edits:
        return None
    text, wrong = apply_edits(run.yaml, edits)
    return None if wrong or text == run.yaml else text


def told(failure: Failure) -> str:
    """The failure in words, as Markdown."""
    where = f"The step `{failure.node}` failed: " if failure.node else "The run failed: "
    lines = [f"{where}{failure.what}"]
    if failure.given:
        lines.append(
            "It was given " + ", ".join(f"`{name}` = `{_code(value)}`" for name, value in failure.given) + "."
        )
    if failure.advice and failure.advice not in failure.what:
        lines.append(failure.advice)
    return "\n\n".join(lines)


def _code(text: str) -> str:
    return text.replace("`", "'")
