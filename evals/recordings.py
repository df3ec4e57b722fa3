"""Recordings: which answer belongs to which prompt. A prompt is known by the hash of what the model is told.

The answers themselves stand in the tasks; a recording says only `hash: task/round/call`. Whoever changes a prompt
makes them anew (`make eval-record`), and every answer is checked again on the way.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evals.answers import is_assistant, model_reply, prompt_of, reply_of
from evals.tasks import FOLDER, Task
from tests.fakes.replies import Reply, last_message

FILE = FOLDER / "recordings.json"
STALE = (
    "The prompt of {where} has no recording: the prompts, the actions, the checker's words or the task have changed. "
    "Run `make eval-record` and commit evals/recordings.json."
)

# What is never the same twice: ids, times, durations, ports. And which examples are nearest: embeddings differ in
# their last digits between machines, and two that are about as near may change places.
_VOLATILE = (
    (
        re.compile(r"(# Examples to copy or adapt\n).*?(?=\n# The current workflow\n)", re.DOTALL),
        r"\1#examples",
    ),
    (re.compile(r"\b(?:[0-9a-f]{32}|[0-9a-f]{16})\b"), "#id"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?"), "#time"),
    (re.compile(r"\b\d+(?:\.\d+)?(?= ?(?:ms|s|seconds?)\b)"), "#"),
    (re.compile(r"(\"seconds\": )[\d.]+"), r"\1#"),
    (re.compile(r"\bIt is \w+, \d+ \w+ \d{4}, \d\d:\d\d \([^)]*\)"), "#now"),
    (re.compile(r"(127\.0\.0\.1:)\d+"), r"\1#"),
)


def digest(body: Mapping[str, Any]) -> str:
    """The hash of a request: messages, tools and schema, without anything that changes from run to run."""
    told = [
        [
            m.get("role"),
            _settled(m.get("content")),
            [_settled(c["function"]) for c in m.get("tool_calls") or ()],
        ]
        for m in body.get("messages", ())
    ]
    text = json.dumps(
        [told, body.get("tools"), body.get("response_format")], sort_keys=True, ensure_ascii=False
    )
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _settled(value: Any) -> Any:
    """A value with all that changes from run to run replaced in its texts."""
    if isinstance(value, Mapping):
        return {key: _settled(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_settled(each) for each in value]
    if isinstance(value, str):
        for pattern, instead in _VOLATILE:
            value = pattern.sub(instead, value)
    return value


class Source:
    """Answers the requests of one try at a task. `faults` are the sentences about what could not be answered."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.round = 0
        self.faults: list[str] = []
        self.prompts: list[str] = []
        self._lock = threading.Lock()

    def begin(self, number: int) -> None:
        """Round `number`, from 0, begins."""
        self.round = number

    def end(self) -> None:
        """The round has ended."""

    def answer(self, body: dict[str, Any]) -> Reply:
        with self._lock:
            self.prompts.append(prompt_of(body))
            try:
                return self.find(body)
            except LookupError as error:
                self.faults.append(str(error.args[0]))
                return Reply(status=403, message=str(error.args[0]), code="no_recording")

    def find(self, body: Mapping[str, Any]) -> Reply:
        """The reply. LookupError with a sentence where there is none."""
        raise NotImplementedError

    def at(self, place: str) -> Reply:
        """The answer of a place `task/round/call`. LookupError where the task has no such place any more."""
        _, number, call = place.rsplit("/", 2)
        round_ = self.task.rounds[int(number)]
        if call.startswith("m"):
            return model_reply([*round_.models, *self.task.models][int(call[1:])])
        return reply_of(round_.answers[int(call[1:])], self.task.way)

    @property
    def where(self) -> str:
        return f"task {self.task.id}, round {self.round + 1}"


class Recording(Source):
    """Gives the answers of a task in their order, and notes which prompt each was for."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.made: dict[str, str] = {}
        self._given = 0
        self._follows = False

    def begin(self, number: int) -> None:
        super().begin(number)
        self._given = 0

    def restart(self) -> None:
        """Another try begins, and nobody tells of its rounds: one whose answers are used up is over."""
        self.begin(0)
        self._follows = True

    def end(self) -> None:
        left = len(self.task.rounds[self.round].answers) - self._given
        if left > 0:
            self.faults.append(f"{self.where}: {left} of its answers were not asked for. Take them out.")

    def find(self, body: Mapping[str, Any]) -> Reply:
        call = self._next(body) if is_assistant(body) else self._of_model(body)
        place = f"{self.task.id}/{self.round}/{call}"
        reply = self.at(place)
        key = digest(body)
        known = self.made.setdefault(key, place)
        if known != place and self.at(known) != reply:
            raise LookupError(f"{self.where}: the prompt of {place} is that of {known}, with another answer.")
        return reply

    def _next(self, body: Mapping[str, Any]) -> str:
        if self._follows and self._given == len(self.task.rounds[self.round].answers):
            self.begin(self.round + 1)
        number, self._given = self._given, self._given + 1
        if number >= len(self.task.rounds[self.round].answers):
            raise LookupError(
                f"{self.where}: the assistant asked its model {number + 1} times; the task answers less. It was "
                f"told: {last_message(body)[:600]}"
            )
        return f"a{number}"

    def _of_model(self, body: Mapping[str, Any]) -> str:
        entries = [*self.task.rounds[self.round].models, *self.task.models]
        told = prompt_of(body)
        for number, entry in enumerate(entries):
            if entry["when"] in told:
                return f"m{number}"
        raise LookupError(f"{self.where}: `models` has no answer for: {told[:300]}")


class Recorded(Source):
    """Gives the answer that was recorded for the very prompt."""

    def __init__(self, task: Task, known: Mapping[str, str]) -> None:
        super().__init__(task)
        self._known = known

    def find(self, body: Mapping[str, Any]) -> Reply:
        place = self._known.get(digest(body))
        if place is None or not place.startswith(f"{self.task.id}/"):
            raise LookupError(STALE.format(where=self.where))
        try:
            return self.at(place)
        except (IndexError, ValueError):
            raise LookupError(STALE.format(where=self.where)) from None


def read_recordings(path: Path = FILE) -> dict[str, dict[str, str]]:
    """Task -> hash -> place; empty where there is no file."""
    if not path.exists():
        return {}
    found: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))["prompts"]
    return found


def write_recordings(
    prompts: Mapping[str, Mapping[str, str]], sizes: Mapping[str, int], path: Path = FILE
) -> None:
    """`sizes` are the characters that a task's prompts have in all, for telling a price beforehand."""
    data = {"prompts": dict(sorted(prompts.items())), "characters": dict(sorted(sizes.items()))}
    path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def prompt_sizes(path: Path = FILE) -> dict[str, int]:
    """Characters of all prompts of a task, by task."""
    if not path.exists():
        return {}
    found: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))["characters"]
    return found
