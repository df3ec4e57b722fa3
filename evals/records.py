"""What happened in a round of a task, as the judges see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chat.events import Cost, DraftChanged, Event, Failed, Problems, Question, Text
from sessions.workflow_tests import WorkflowTest
from sessions.workflows import Version


@dataclass(frozen=True, slots=True)
class Record:
    """What happened in a round. `before` and `after` are the conversation's workflow, None where there is none;
    `versions` those that were saved in it, oldest first; `runs` the views of the runs that it started. `tests` are
    those that are kept for the workflow afterwards. `fault` says why the round could not be had out. Unknown counts
    are None.
    """

    say: str
    before: Version | None = None
    after: Version | None = None
    versions: Sequence[Version] = ()
    events: Sequence[Event] = ()
    runs: Sequence[dict[str, Any]] = ()
    tests: Sequence[WorkflowTest] = ()
    seconds: float = 0.0
    fault: str | None = None

    @property
    def text(self) -> str:
        """The words of the answer."""
        return "".join(event.text for event in self.events if isinstance(event, Text))

    @property
    def questions(self) -> list[Question]:
        return [event for event in self.events if isinstance(event, Question)]

    @property
    def told(self) -> str:
        """All that the person is told: words, summaries, questions with their options, problems, errors."""
        lines = [self.text]
        for event in self.events:
            if isinstance(event, DraftChanged):
                lines.append(event.summary)
            elif isinstance(event, Question):
                lines += [event.text, *(option["label"] for option in event.options)]
            elif isinstance(event, Failed):
                lines.append(event.message)
            elif isinstance(event, Problems):
                lines += [str(problem["message"]) for problem in event.problems]
        return "\n".join(lines)

    @property
    def failed(self) -> Failed | None:
        return next((event for event in self.events if isinstance(event, Failed)), None)

    def total(self, name: str) -> float | None:
        """prompt_tokens, completion_tokens or cost_usd of the assistant and the runs; None when one is unknown.

        A run that asked no model used nothing.
        """
        found = [getattr(event, name) for event in self.events if isinstance(event, Cost)]
        asked = [run for run in self.runs if any(node.get("model") for node in run.get("nodes", ()))]
        found += [run.get(name) for run in asked]
        return None if None in found else sum(found)
