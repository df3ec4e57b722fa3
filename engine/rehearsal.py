"""Which runs only rehearse: dry runs and replays; and how their rows say what was not real."""

from __future__ import annotations

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
