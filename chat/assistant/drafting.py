"""A draft on its way: mended, checked, sent back with its problems, saved once it is right.

All drafts of a turn go through one `Drafting`, whoever wrote them and in which way, so the bound of three
rounds and the rule that nothing wrong is saved hold everywhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chat.assistant.edits import Edit, apply_edits, numbered
from chat.assistant.honest import untested
from chat.assistant.prompts import problem_lines, prompt
from chat.assistant.proving import Proving
from chat.assistant.turn import Outcome, Turn
from chat.events import DraftChanged, Event, Problems, Step, Text
from chat.turns import CurrentWorkflow
from engine.document import Document
from engine.errors import Conflict
from engine.mend_text import unwrap
from engine.prepare import add_machine, check_text
from engine.problems import Problem

if TYPE_CHECKING:
    from engine.check import Checked
    from engine.mend import Mended

MAX_ROUNDS = 3
MAX_TOLD = 30
KEEPS_ITS_NAME = (
    "`flow.name` stays as it is: a saved workflow gets another name in the list of workflows, or by `app.py workflow "
    "rename`, so that its tests, schedules and runs follow. Tell the person that; make the other edits, if any."
)


@dataclass
class Drafting:
    """The draft of a turn. `base` is the saved workflow it changes, None while a new one is written."""

    turn: Turn
    text: str | None = None
    base: CurrentWorkflow | None = None
    problems: tuple[Problem, ...] = ()
    rounds: int = 0
    proving: Proving = field(init=False)
    _checks: int = 0
    _edits: Sequence[Edit] = ()
    _dialogue: bool = False

    def __post_init__(self) -> None:
        self.proving = Proving(self.turn)

    @property
    def open(self) -> bool:
        """Whether there is a draft with problems."""
        return self.text is not None

    async def write(self, text: str, summary: str) -> AsyncIterator[Event | Outcome]:
        """Take a whole document: a new workflow, or the mend of one that was new."""
        base = self.base if self.open else None
        self._edits, self._dialogue = (), True
        async for event in self.submit(text, summary, base):
            yield event

    async def replace(self, text: str, summary: str) -> AsyncIterator[Event | Outcome]:
        """Take a whole document: the current workflow anew when it has its name, else another workflow."""
        current = self.turn.workflow
        same = current is not None and flow_name(strip_fences(text)) == flow_name(current.yaml)
        base = self.base if self.open else current if same else None
        self._edits, self._dialogue = (), True
        async for event in self.submit(text, summary, base):
            yield event

    async def edit(self, edits: Sequence[Edit], summary: str) -> AsyncIterator[Event | Outcome]:
        """Change the open draft, or else the current workflow, by edits."""
        base = self.base if self.open else self.turn.workflow
        before = self.text if self.text is not None else base.yaml if base else None
        if before is None:
            yield Outcome("There is no workflow to edit yet. Write one with write_workflow.")
            return
        text, wrong = await asyncio.to_thread(apply_edits, before, edits)
        if not wrong and base is not None and flow_name(text) not in (None, flow_name(before)):
            wrong = [KEEPS_ITS_NAME]
        if wrong:
            async for event in self._refuse(before, wrong, base):
                yield event
            return
        self._edits, self._dialogue = () if self.open else edits, True
        async for event in self.submit(text, summary, base, edited=True):
            yield event

    async def give_up(self) -> AsyncIterator[Event | Outcome]:
        """Show honestly what is still wrong with the draft."""
        count = len(self.problems)
        yield Problems(self.text or "", [p.to_dict() for p in self.problems])
        yield Text(
            f"\n\nI could not get this workflow right: {_problems(count)} left, so it is not saved and "
            "nothing was run. You can mend it in the editor, tell me more about what you want, or try again."
        )
        self.text, self.problems = None, ()
        yield Outcome("The draft still has problems and was dropped.", ends=True)

    async def submit(
        self, text: str, summary: str, base: CurrentWorkflow | None, *, edited: bool = False
    ) -> AsyncIterator[Event | Outcome]:
        """Mend what is certain in a document and check it; save it as a version of `base`, or as a new workflow.

        Of one that was `edited`, what was not touched is not mended either.
        """
        started = time.monotonic()
        mended = await mend_and_check(text, self.turn, base.yaml if base and edited else None)
        text, said = mended.text, mended.said
        checked = await add_machine(mended.checked, self.turn.house.tools, self.turn.house.models)
        self._checks += 1
        detail = _detail(checked.errors, said)
        yield Step(
            id=f"{self.turn.context.message_id}-check-{self._checks}",
            title="Checked the draft",
            status="ok" if checked.ok else "failed",
            detail=detail,
            seconds=round(time.monotonic() - started, 3),
        )
        if checked.ok:
            async for event in self._save(text, summary, base, checked, said):
                yield event
            return
        async for event in self._send_back(text, checked, base):
            yield event

    async def _save(
        self,
        text: str,
        summary: str,
        base: CurrentWorkflow | None,
        checked: Checked,
        said: Sequence[str],
    ) -> AsyncIterator[Event | Outcome]:
        if base is not None and text == base.yaml:
            yield Outcome("The document is the same as before, so there is nothing to save.")
            return
        turn, summary = self.turn, untested(summary)
        try:
            name, version = await self._store(text, summary, base)
        except Conflict:
            if base is None or not self._dialogue:
                raise
            async for event in self._overtaken(base.name, summary):
                yield event
            return
        self.text, self.problems, self.base = None, (), None
        saved = await turn.house.workflows.get(turn.owner, name, version)  # its name may have got a number
        turn.workflow = CurrentWorkflow(name, version, saved.yaml)
        drafted = DraftChanged(name, version, summary, [p.to_dict() for p in checked.warnings])
        async for event in self.proving.show(drafted, base, checked if saved.yaml == text else None):
            yield event
        warned = f" The checker warns: {problem_lines(checked.warnings)}" if checked.warnings else ""
        mended = f" Mended by code: {'; '.join(said)}." if said else ""
        failing, unfinished = self.proving.for_model()
        yield Outcome(
            f"Saved as {name}, version {version}.{mended}{warned}{failing}", saved=True, unfinished=unfinished
        )

    async def _store(self, text: str, summary: str, base: CurrentWorkflow | None) -> tuple[str, int]:
        context = self.turn.context
        return await self.turn.house.workflows.save(
            self.turn.owner,
            base.name if base else None,
            text,
            summary,
            context.message_id,
            author="assistant",
            request=context.request,
            request_id=context.user_message_id,
            conversation_id=context.conversation_id,
            base=base.version if base else None,
        )

    async def _overtaken(self, name: str, summary: str) -> AsyncIterator[Event | Outcome]:
        """Somebody saved another version meanwhile. The same edits are made to that one where they fit; all else goes
        back to the model, so that nobody's change is undone.
        """
        newest = await self.turn.house.workflows.get(self.turn.owner, name)
        base = self.turn.workflow = CurrentWorkflow(newest.name, newest.version, newest.yaml)
        edits, self.text, self.problems, self.base = self._edits, None, (), None
        text, wrong = await asyncio.to_thread(apply_edits, base.yaml, edits) if edits else (base.yaml, [])
        if edits and not wrong:
            async for event in self.submit(text, summary, base, edited=True):
                yield event
            return
        said = f"Not saved: {name} was changed meanwhile, to version {base.version}."
        async for event in self._refuse(base.yaml, [f"{said} Change that one.", *wrong], base):
            yield event

    async def _send_back(
        self, text: str, checked: Checked, base: CurrentWorkflow | None
    ) -> AsyncIterator[Event | Outcome]:
        problems = checked.errors
        stuck = self.open and (text == self.text or _same(problems, self.problems))
        self.text, self.problems, self.base = text, problems, base
        if stuck or self.rounds >= MAX_ROUNDS:
            async for event in self.give_up():
                yield event
            return
        self.rounds += 1
        yield Outcome(self._request(told(checked.document, problems), text, base))

    async def _refuse(
        self, before: str, wrong: Sequence[str], base: CurrentWorkflow | None
    ) -> AsyncIterator[Event | Outcome]:
        """Edits that can't be applied: told to the model like any other problem, and counted as a round."""
        if self.rounds >= MAX_ROUNDS:
            if self.open:
                async for event in self.give_up():
                    yield event
                return
            yield Text("\n\nI could not find the places to change, so the workflow stays as it was.")
            yield Outcome("The edits could not be applied.", ends=True)
            return
        self.rounds += 1
        known = told(Document(before), self.problems) if self.open else ""
        lines = "\n".join(f"- {line}" for line in wrong)
        yield Outcome(self._request("\n".join(filter(None, (lines, known))), before, base))

    def _request(self, lines: str, document: str, base: CurrentWorkflow | None) -> str:
        or_write = "" if base else ", or give the whole document again with write_workflow"
        return prompt("problems", problems=lines, document=numbered(document), or_write=or_write)


async def mend_and_check(text: str, turn: Turn, base: str | None) -> Mended:
    """Mend what is certain in a model's YAML and check it; of an edited `base` only what is new."""
    from engine.mend import mend

    saved = turn.house.workflows.of(turn.owner)

    async def check(text: str) -> Checked:
        return await check_text(text, turn.house.tools, saved)

    return await mend(text, check, base)


def told(document: Document, problems: Sequence[Problem]) -> str:
    """The problems for a model, in the order of their lines, each with its mend where there is one."""
    lines = [f"- line {p.line}, {p.rule}: {p.message}{_mend(document, p)}" for p in problems[:MAX_TOLD]]
    if len(problems) > MAX_TOLD:
        lines.append(f"- and {len(problems) - MAX_TOLD} more, which are told once these are mended")
    return "\n".join(lines)


def _mend(document: Document, problem: Problem) -> str:
    patch = problem.patch
    if patch is None:
        return ""
    old = document.text[document.offset(patch.start) : document.offset(patch.end)]
    if len(old) > 80 or len(patch.text) > 80 or "\n" in old:
        return ""
    return f" Write `{patch.text}` in the place of `{old}`." if old else f" Insert `{patch.text}`."


def flow_name(text: str) -> str | None:
    """The name that a document gives itself, None where it can't be read."""
    from engine.document import read_document

    document = read_document(text).data
    flow = document.get("flow") if isinstance(document, Mapping) else None
    return flow.get("name") if isinstance(flow, Mapping) else None


def strip_fences(text: str) -> str:
    """The document without the code fence and the words that a model may put around it."""
    return unwrap(text)[0]


def _same(now: Sequence[Problem], before: Sequence[Problem]) -> bool:
    """The same problems, wherever the lines have moved to."""
    return {(p.rule, p.path, p.message) for p in now} == {(p.rule, p.path, p.message) for p in before}


def _problems(count: int) -> str:
    return "1 problem is" if count == 1 else f"{count} problems are"


def _detail(errors: Sequence[Problem], mended: Sequence[str]) -> str:
    if not errors:
        return f"no problems, after mending: {'; '.join(mended[:6])}" if mended else "no problems"
    rest = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
    return f"line {errors[0].line}: {errors[0].message}{rest}"
