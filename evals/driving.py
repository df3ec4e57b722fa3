"""Drives the real application through a task: its service, assistant, engine and stores, in a data folder of its own.

What happened in each round is a record; judging it comes later and needs the record alone.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from app import House
from chat.assistant.nearest import Nearest
from chat.events import Event, RunEnded, RunStarted, RunWaiting
from chat.gallery import Gallery
from chat.service import LOCAL
from configs.settings import Settings
from engine.errors import ParlanceError
from engine.prepare import check_text
from evals.checks import Judged, judge
from evals.facts import Facts
from evals.records import Record
from evals.tasks import Round, Task
from sessions.db import open_db
from sessions.workflows import Version

PATIENCE = 900.0  # seconds for one round


@dataclass
class Driven:
    """A task after one try. `rounds` has each round with what its checks say; `undone` what undo did not restore."""

    task: Task
    rounds: list[Judged] = field(default_factory=list)
    seconds: float = 0.0
    undone: list[str] = field(default_factory=list)

    @property
    def solved(self) -> bool:
        return not any(judged.failures for judged in self.rounds)


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told that a round begins and has ended."""

    begin: Callable[[int], None] = lambda number: None
    end: Callable[[], None] = lambda: None


@cache
def _nearest() -> Nearest:
    """What finds templates is the same in every house; it takes a second of the processor to make."""
    return Nearest(Gallery())


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[House]:
    """The application as `serve` builds it, without the server, on a data folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="parlance-eval-") as folder:
        house = House(settings.model_copy(update={"home": Path(folder)}))
        house.nearest = _nearest()
        house.db = await asyncio.to_thread(open_db, house.database_path, synchronous="NORMAL")
        await asyncio.to_thread(lambda: house.service)
        await house.engine.recover()
        await house.service.recover()
        try:
            yield house
        finally:
            await house.close()


async def drive(task: Task, settings: Settings, watch: Watch | None = None) -> Driven:
    """One try at a task: every round in turn, also after one that failed, as a person would go on."""
    watch = watch or Watch()
    started = time.monotonic()
    driven = Driven(task)
    async with open_house(settings) as house:
        conversation = (await house.service.create(LOCAL)).id
        if task.start is not None:
            await house.service.save_yaml(LOCAL, conversation, task.start, "Imported")
        records: list[Record] = []
        for number, round_ in enumerate(task.rounds):
            watch.begin(number)
            record = await _Driver(house, conversation).round(round_)
            watch.end()
            facts = await _facts(house, record.after)
            judged = Judged(record, tuple(records), facts, house.engine)
            driven.rounds.append(await judge(judged, round_.checks))
            records.append(record)
        driven.undone = await _undo(house, conversation)
    driven.seconds = time.monotonic() - started
    return driven


async def _facts(house: House, version: Version | None) -> Facts | None:
    if version is None:
        return None
    checked = await check_text(version.yaml, house.tools, house.workflows.of(LOCAL))
    return None if checked.workflow is None else Facts(version.yaml, checked.workflow)


class _Driver:
    def __init__(self, house: House, conversation: str) -> None:
        self._house = house
        self._service = house.service
        self._conversation = conversation

    async def round(self, round_: Round) -> Record:
        fault = await self._by_hand(round_)
        record = Record(round_.say, before=await self._current())
        known = await self._versions()
        started = time.monotonic()
        events: list[Event] = []
        try:
            async with asyncio.timeout(PATIENCE):
                events = await self._answered(round_)
        except TimeoutError:
            await self._service.stop(LOCAL, self._conversation)
            fault = f"no answer in {PATIENCE:.0f} s"
        except ParlanceError as error:
            fault = str(error)
        seconds = time.monotonic() - started
        after = await self._current()
        return replace(
            record,
            after=after,
            versions=[version for version in await self._versions() if version not in known],
            events=events,
            runs=await self._runs(events),
            tests=[] if after is None else await self._house.proofs.tests.list(LOCAL, after.name),
            seconds=seconds,
            fault=fault,
        )

    async def _by_hand(self, round_: Round) -> str | None:
        """What the person changed in the editor before."""
        current = await self._current()
        if not round_.hand or current is None:
            return None
        text = current.yaml
        for edit in round_.hand:
            if text.count(edit["old"]) != 1:
                return f"the person looked in vain for {edit['old']!r}, in order to change it by hand"
            text = text.replace(edit["old"], edit["new"])
        try:
            await self._service.save_yaml(LOCAL, self._conversation, text, "Changed by hand")
        except ParlanceError as error:
            return f"the change by hand was refused: {error}"
        return None

    async def _answered(self, round_: Round) -> list[Event]:
        """Say it, and follow the answer to its end; where a run asks, answer that."""
        message = await self._service.post(LOCAL, self._conversation, round_.say)
        events: list[Event] = []
        async for _, event in self._service.follow(LOCAL, self._conversation, message_id=message):
            events.append(event)
            if isinstance(event, RunWaiting) and round_.answer is not None:
                await self._answer_run(event, round_.answer)
        return events

    async def _answer_run(self, event: RunWaiting, value: Any) -> None:
        for asked in event.questions:
            if asked.get("answered_at") is None:
                await self._service.answer_run(LOCAL, event.run_id, asked["node"], value)

    async def _runs(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """As they were when they ended; one that waits, as it is."""
        ended = {event.run_id: dict(event.run) for event in events if isinstance(event, RunEnded)}
        started = [event.run_id for event in events if isinstance(event, RunStarted)]
        return [ended.get(id) or await self._service.view_run(LOCAL, id) for id in started]

    async def _current(self) -> Version | None:
        return await self._service.current_workflow(LOCAL, self._conversation)

    async def _versions(self) -> list[Version]:
        """Every version of every workflow, without what is found out about one later."""
        found: list[Version] = []
        for workflow in await self._house.workflows.list(LOCAL):
            found += await self._house.workflows.versions(LOCAL, workflow.name)
        return sorted((replace(v, proof=None) for v in found), key=lambda v: (v.created_at, v.version))


async def _undo(house: House, conversation: str) -> list[str]:
    """Go back through all versions, the newest first; a sentence for each text that did not come back exactly."""
    current = await house.service.current_workflow(LOCAL, conversation)
    wrong: list[str] = []
    if current is None:
        return wrong
    versions = await house.workflows.versions(LOCAL, current.name)
    for version in sorted(versions, key=lambda v: -v.version)[1:]:
        restored = await house.service.restore(LOCAL, conversation, version.version)
        if restored.yaml != version.yaml:
            wrong.append(f"version {version.version} of {current.name} came back with another text")
    return wrong
