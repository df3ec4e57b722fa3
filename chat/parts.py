"""The lasting picture of a message: events are folded into parts, and parts are played back as events.

What a page sees live and what it sees a day later come from the same fold, so they cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chat.events import (
    DraftChanged,
    Event,
    Fix,
    Outline,
    RunEnded,
    RunWaiting,
    Step,
    TestProposed,
    Text,
    event_from_dict,
)


class Parts:
    """The parts of one message, in order. Text grows; what comes again with the same id, run or version replaces
    its earlier self."""

    def __init__(self, parts: Iterable[Mapping[str, Any]] = ()) -> None:
        self._parts: list[dict[str, Any]] = [dict(part) for part in parts]

    def add(self, event: Event) -> None:
        if not event.lasting:
            return
        if isinstance(event, Text):
            self._add_text(event)
        elif isinstance(event, Step | TestProposed | Outline):
            self._put(event, "id", event.id)
        elif isinstance(event, DraftChanged):
            self._put(event, "workflow", event.workflow, version=event.version)
        elif isinstance(event, RunWaiting | RunEnded | Fix):
            self._put(event, "run_id", event.run_id)
        else:
            self._parts.append(event.to_dict())

    def to_list(self) -> list[dict[str, Any]]:
        """A copy that later events do not change."""
        return [dict(part) for part in self._parts]

    @property
    def text(self) -> str:
        """All text of the message; pieces with something between them stand in paragraphs of their own."""
        return "\n\n".join(part["text"].strip("\n") for part in self._parts if part["kind"] == "text")

    def has(self, kind: str, run_id: str) -> bool:
        return any(part["kind"] == kind and part.get("run_id") == run_id for part in self._parts)

    def open_runs(self) -> list[str]:
        """The runs that were started and have not ended, in order."""
        started = [part["run_id"] for part in self._parts if part["kind"] == "run_started"]
        return [run_id for run_id in started if not self.has("run_ended", run_id)]

    def events(self) -> list[Event]:
        """The events that make these parts: what a follower who comes late is told."""
        return [event_from_dict(part) for part in self._parts]

    def _add_text(self, event: Text) -> None:
        if self._parts and self._parts[-1]["kind"] == "text":
            self._parts[-1]["text"] += event.text
        elif event.text:
            self._parts.append(event.to_dict())

    def _put(self, event: Event, key: str, value: str, **more: Any) -> None:
        wanted = {"kind": event.kind, key: value, **more}
        for index, part in enumerate(self._parts):
            if all(part.get(name) == each for name, each in wanted.items()):
                self._parts[index] = event.to_dict()
                return
        self._parts.append(event.to_dict())
