"""What a workflow's nodes used in earlier runs: the median, and what nine of ten stayed under."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.ports import NodeRow, RunStore

RUNS = 20
ROWS = 5000
"""No more of the newest rows than this are looked at."""


@dataclass(slots=True)
class Past:
    """Attempts of one node that ended well: tokens of the reply and of the prompt, and seconds."""

    completion: list[int] = field(default_factory=list)
    prompt: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


async def past_of(store: RunStore, workflow: str, owner: str, *, children: bool = False) -> dict[str, Past]:
    """By node, from the newest runs of the workflow that ended well. An element counts as one attempt."""
    found: dict[str, Past] = defaultdict(Past)
    seen = 0
    for run in await store.find(owner=owner, workflow=workflow, status="ok", limit=RUNS, children=children):
        rows = await store.rows(run.id)
        for row in rows:
            _count(found[row.node], row)
        seen += len(rows)
        if seen > ROWS:
            break
    return found


def _count(past: Past, row: NodeRow) -> None:
    if row.status != "ok":
        return
    if row.model is None and row.kind == "llm":  # a visit whose elements have rows of their own
        return
    past.seconds.append(max(0.0, row.ended_at - row.started_at))
    if row.completion_tokens is not None:
        past.completion.append(row.completion_tokens)
    if row.prompt_tokens is not None:
        past.prompt.append(row.prompt_tokens)


def spread(values: Sequence[float]) -> tuple[float, float]:
    """The median, and the smallest value that at least nine of ten do not pass."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2], ordered[math.ceil(len(ordered) * 0.9) - 1]
