"""What the assistant's own model calls have used, per owner, day and model. Runs are counted with the runs.

Money is kept in whole trillionths of a dollar. What a vendor does not tell stays unknown: such calls are counted apart,
never as 0.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from sessions.db import Database

TRILLION = 10**12


@dataclass(frozen=True, slots=True)
class Spent:
    """The calls of one day. Counts are of the calls that have them, None where none of them has; `uncounted` is how
    many have no token counts, `unpriced` how many no cost.
    """

    day: str
    calls: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None
    uncounted: int
    unpriced: int

    @property
    def tokens(self) -> int:
        """All that are known of."""
        return (self.prompt_tokens or 0) + (self.completion_tokens or 0)

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class Spending:
    """The store of what was spent. `day` is a date like 2026-03-01, in the owner's own time zone."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def record(
        self, owner: str, day: str, model: str, prompt: int | None, completion: int | None, cost: float | None
    ) -> None:
        """One call; None for what is not known of it."""
        counted = prompt is not None and completion is not None
        tokens = (prompt, completion) if counted else (0, 0)
        values = (*tokens, not counted, round((cost or 0) * TRILLION), cost is None)

        def job(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO assistant_spending (owner, day, model, calls, prompt_tokens, completion_tokens,"
                " uncounted, cost, unpriced) VALUES (?,?,?,1,?,?,?,?,?)"
                " ON CONFLICT (owner, day, model) DO UPDATE SET calls = calls + 1,"
                " prompt_tokens = prompt_tokens + excluded.prompt_tokens,"
                " completion_tokens = completion_tokens + excluded.completion_tokens,"
                " uncounted = uncounted + excluded.uncounted, cost = cost + excluded.cost,"
                " unpriced = unpriced + excluded.unpriced",
                (owner, day, model, *values),
            )

        await self._db.write(job)

    async def of(self, owner: str, day: str) -> Spent:
        rows = await self._db.fetch(
            "SELECT COALESCE(sum(calls), 0) AS calls, sum(prompt_tokens) AS prompt, sum(completion_tokens) AS reply,"
            " COALESCE(sum(uncounted), 0) AS uncounted, sum(cost) AS cost, COALESCE(sum(unpriced), 0) AS unpriced"
            " FROM assistant_spending WHERE owner = ? AND day = ?",
            (owner, day),
        )
        row = rows[0]
        counted = not row["calls"] or row["calls"] > row["uncounted"]
        priced = not row["calls"] or row["calls"] > row["unpriced"]
        return Spent(
            day=day,
            calls=row["calls"],
            prompt_tokens=(row["prompt"] or 0) if counted else None,
            completion_tokens=(row["reply"] or 0) if counted else None,
            cost_usd=(row["cost"] or 0) / TRILLION if priced else None,
            uncounted=row["uncounted"],
            unpriced=row["unpriced"],
        )
