"""Which runs only rehearse: dry runs and replays; and how they say what in them is not real."""

from __future__ import annotations

from typing import Any

from engine.ports import RunRecord

NOTE = "/simulated"
"""The end of the path of a row that says why what its node gave was made up."""


def simulates(record: RunRecord) -> bool:
    """Whether a run only rehearses."""
    return record.dry or replayed(record) is not None


def replayed(record: RunRecord) -> str | None:
    """The id of the run that this one repeats, None for any other."""
    found: str | None = (record.origin or {}).get("replay_of")
    return found


def made_inputs_of(record: RunRecord) -> tuple[str, ...]:
    """The names of the inputs that were made up for a dry run."""
    return tuple((record.origin or {}).get("made_inputs") or ())


def rehearsal_of(record: RunRecord) -> dict[str, Any]:
    """What of a run's origin says that, and how, it rehearses; nothing for any other."""
    names = ("replay_of", "made_inputs")
    return {name: value for name, value in (record.origin or {}).items() if name in names}
