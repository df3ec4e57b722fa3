"""From an outline to a saved workflow: its steps written side by side, wired, checked, those with problems mended once,
and what could not be written put in plain words, which is said.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from chat.assistant.drafting import Drafting, mend_and_check
from chat.assistant.plan.outline import question, shown
from chat.assistant.plan.writing import write_step
from chat.assistant.turn import Outcome, Turn
from chat.assistant.wiring import Known, Plan, PlanStep, known_to, steps_in_document, wire
from chat.events import Event, Step, Text
from engine.errors import ModelBadReply, ParlanceError

AT_ONCE = 4
"""Calls at the same time; the limits of providers and the daily cap hold for each of them."""

Events = AsyncIterator[Event | Outcome]


@dataclass
class Building:
    """A plan on its way. `status` is by step id, `failed` says why a step could not be written."""

    turn: Turn
    plan: Plan
    outline_id: str
    request: str
    status: dict[str, str] = field(default_factory=dict)
    failed: dict[str, ParlanceError] = field(default_factory=dict)
    written: int = 0

    async def build(self, drafting: Drafting) -> Events:
        """Write, wire, check, mend, save. The first error is raised when not one step could be written."""
        from chat.assistant.small import is_small

        if not is_small(self.turn.info):
            known = known_to(self.plan)
            async for event in self._write(range(len(self.plan.steps)), known, {}):
                yield event
            if len(self.failed) == len(self.plan.steps):
                yield self._outline(is_open=True)
                yield question(self.plan, self.outline_id, self.request)
                raise next(iter(self.failed.values()))
            async for event in self._mend(known):
                yield event
        self.status = {step.id: "failed" if step.id in self.failed else "written" for step in self.plan.steps}
        yield self._outline()
        async for event in self._save(drafting):
            yield event

    async def _save(self, drafting: Drafting) -> Events:
        count, saved = len(self.plan.steps), False
        async for event in drafting.submit(wire(self.plan), f"Built from a plan of {count} steps", None):
            saved = saved or (isinstance(event, Outcome) and event.saved)
            if not isinstance(event, Outcome):
                yield event
        if not saved:
            async for event in drafting.give_up():
                yield event
            return
        yield Text(self._words())
        yield Outcome(
            f"The plan is built and saved as {self.turn.workflow.name if self.turn.workflow else ''}.",
            ends=True,
        )

    def _words(self) -> str:
        count = len(self.plan.steps)
        text = f"\n\nThe workflow with its {count} steps is saved."
        if not self.failed:
            return text
        names = {step.id: f"{number} ({step.sentence})" for number, step in enumerate(self.plan.steps, 1)}
        plain = "; ".join(f"{names[own]}: {error.message}" for own, error in self.failed.items())
        return (
            f"{text} I could not write {len(self.failed)} of them, so a model is simply told the sentence of the "
            f"plan there. Look at these before you rely on them: {plain}"
        )

    # --- writing ------------------------------------------------------------------------------------------

    async def _write(
        self, numbers: Sequence[int], known: Sequence[Sequence[Known]], problems: Mapping[int, Sequence[str]]
    ) -> Events:
        """Write these steps, some at a time; whoever stops listening stops every call."""
        started = time.monotonic()
        places, ended = asyncio.Semaphore(AT_ONCE), asyncio.Queue[None]()
        before = self.plan

        async def one(number: int) -> None:
            step = before.steps[number]
            async with places:
                self.status[step.id] = "writing"
                ended.put_nowait(None)
                try:
                    self._put(
                        number, await self._try(before, number, known[number], problems.get(number, ()))
                    )
                    self.status[step.id] = "written"
                except ParlanceError as error:
                    self._give_up(number, error)
                self.written += 1
                ended.put_nowait(None)

        title = "Mending steps" if problems else "Writing the steps"
        tasks = [asyncio.create_task(one(number)) for number in numbers]
        self.written = 0
        try:
            for _ in range(2 * len(tasks)):
                await _next(ended, tasks)
                yield self._outline()
                yield self._step(title, len(tasks), started)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _try(
        self, plan: Plan, number: int, known: Sequence[Known], problems: Sequence[str]
    ) -> PlanStep:
        """A step, asked for once more when the first answer was of no use."""
        with suppress(ModelBadReply):
            return await write_step(self.turn, plan, number, known, self.request, problems)
        return await write_step(self.turn, plan, number, known, self.request, problems)

    def _put(self, number: int, step: PlanStep) -> None:
        steps = list(self.plan.steps)
        steps[number] = step
        self.plan = replace(self.plan, steps=tuple(steps))

    def _give_up(self, number: int, error: ParlanceError) -> None:
        """A plain step in the place of one that can't be written: its sentence is the prompt."""
        step = self.plan.steps[number]
        self.failed[step.id] = error
        self.status[step.id] = "failed"
        kind = "ask" if step.kind == "ask" else "llm"
        self._put(number, replace(step, kind=kind, body="", args={}, tool=""))

    def _outline(self, *, is_open: bool = False) -> Event:
        return shown(self.plan, self.outline_id, self.status, is_open=is_open)

    def _step(self, title: str, count: int, started: float) -> Step:
        done = self.written == count
        return Step(
            f"{self.turn.context.message_id}-{'mend' if title == 'Mending steps' else 'write'}",
            title,
            "ok" if done else "running",
            f"{self.written} of {count}",
            round(time.monotonic() - started, 3) if done else None,
        )

    # --- mending ------------------------------------------------------------------------------------------

    async def _mend(self, known: Sequence[Sequence[Known]]) -> Events:
        """Have the steps with problems written once more; what is wrong then becomes a plain step."""
        found = await self._problems()
        if not found:
            return
        async for event in self._write(sorted(found), known, found):
            yield event
        for number, problems in (await self._problems()).items():
            self._give_up(number, ParlanceError(problems[0]))

    async def _problems(self) -> dict[int, list[str]]:
        """What the checker says against steps, by their numbers in the plan."""
        checked = (await mend_and_check(wire(self.plan), self.turn, None)).checked
        order = steps_in_document(self.plan)
        found: dict[int, list[str]] = {}
        for problem in checked.errors:
            if problem.path.startswith("nodes["):
                place = int(problem.path[len("nodes[") : problem.path.index("]")])
                found.setdefault(order[place], []).append(problem.message)
        return found


async def _next(ended: asyncio.Queue[None], tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the next sign; a fault in a task comes out here instead of being waited for."""
    sign = asyncio.create_task(ended.get())
    waiting = {task for task in tasks if not task.done()}
    while not sign.done():
        await asyncio.wait({sign, *waiting}, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done() and not task.cancelled() and (fault := task.exception()) is not None:
                sign.cancel()
                raise fault
        waiting = {task for task in waiting if not task.done()}
