"""Puts tasks to a model, two at a time. Every try is kept as soon as it has ended, so that a run can go on later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from configs.settings import Settings
from engine.errors import ParlanceError
from evals.driving import Watch, drive
from evals.recordings import Recording, Source
from evals.scores import total, try_of
from evals.tasks import FOLDER, Task
from tests.fakes.openai_server import FakeOpenAI

RESULTS = FOLDER / "results"
AT_ONCE = 2
STAND_IN = "openai/gpt-5-mini"
"""The model that our own answers are given as: one with function calling, and one without it."""
STAND_IN_JSON = "openai/recorded-answers"

Say = Callable[[str], None]


def settings_for(task: Task, base_url: str) -> Settings:
    """Settings with which the answers of a task are asked for at this address."""
    model = STAND_IN if task.way == "functions" else STAND_IN_JSON
    return Settings(model=model, api_base=base_url, api_key=SecretStr("recorded"))


async def replay(task: Task, source: Source) -> dict[str, Any]:
    """One try with our own answers, given over the wire by `source`."""
    with FakeOpenAI(source.answer) as fake:
        driven = await drive(task, settings_for(task, fake.base_url), Watch(source.begin, source.end))
    faults = [*dict.fromkeys(source.faults), *driven.undone]
    return try_of(driven, 1, faults)


async def record(tasks: Sequence[Task]) -> tuple[list[dict[str, Any]], list[Recording]]:
    """Every task with its own answers in their order: the tries, and what was asked for them."""
    sources = [Recording(task) for task in tasks]
    jobs = [partial(replay, task, source) for task, source in zip(tasks, sources, strict=True)]
    tries = await _some_at_once(jobs)
    return tries, sources


class Asking:
    """Asks a real model. `most_usd` bounds what is spent; a call whose cost is unknown is not counted."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        folder: Path = RESULTS,
        *,
        most_usd: float | None = None,
        say: Say = print,
    ) -> None:
        self.path = folder / f"{name.replace('/', '_')}.jsonl"
        self._settings = settings
        self._most_usd = most_usd
        self._say = say

    async def all(self, tasks: Sequence[Task], tries: int) -> list[dict[str, Any]]:
        """So many tries of each task; those that are kept from before, of the same tasks, are not repeated."""
        known = {(one["task"], one["digest"], one["try"]): one for one in self.kept()}
        todo = [(task, number) for number in range(1, tries + 1) for task in tasks]
        open_ = [(t, n) for t, n in todo if (t.id, t.digest, n) not in known]
        if len(open_) < len(todo):
            self._say(f"{len(todo) - len(open_)} of {len(todo)} tries are there from before.")
        done = await _some_at_once([partial(self._one, task, number) for task, number in open_])
        before = [known[t.id, t.digest, n] for t, n in todo if (t.id, t.digest, n) in known]
        return [*before, *(one for one in done if one is not None)]

    def kept(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]

    def spent(self) -> float:
        """US dollars of all tries that are kept."""
        return sum(total(r["cost_usd"] for r in one["rounds"]) or 0.0 for one in self.kept())

    async def _one(self, task: Task, number: int) -> dict[str, Any] | None:
        if self._most_usd is not None and self.spent() >= self._most_usd:
            self._say(f"{task.id}, try {number}: left out, ${self._most_usd:.2f} are spent")
            return None
        try:
            found = try_of(await drive(task, self._settings), number)
        except ParlanceError as error:
            self._say(f"{task.id}, try {number}: {error}")
            return None
        _append(self.path, found)
        passed = sum(not each["failures"] for each in found["rounds"])
        verdict = "solved" if found["solved"] else f"{passed} of {len(found['rounds'])} rounds"
        self._say(f"{task.id}, try {number}: {verdict}, {found['seconds']:.0f} s")
        return found


def _append(path: Path, found: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(found, ensure_ascii=False) + "\n")


async def _some_at_once(jobs: Sequence[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """What the jobs give, in their order, with AT_ONCE of them under way."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(job: Callable[[], Awaitable[Any]]) -> Any:
        async with places:
            return await job()

    return await asyncio.gather(*map(one, jobs))
