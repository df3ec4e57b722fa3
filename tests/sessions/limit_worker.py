"""A process that asks a model so many times, so many calls at once, under limits that it shares with others.

    python -m tests.sessions.limit_worker DATABASE BASE_URL CALLS AT_ONCE

DATABASE is a SQLite file or a PostgreSQL address; `limited` opens the limits on it, for tests too.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from engine.models import ModelChoice, Models
from engine.models.client import complete
from engine.models.limits import Limit
from engine.ports import Message, ModelRequest
from engine.process import this_process
from sessions.db import open_db
from sessions.limit_queue import SharedLimits
from sessions.limits import SqlLeases

LIMITS = {"openai": Limit(calls=2)}


@asynccontextmanager
async def limited(path: str, limits: Mapping[str, Limit]) -> AsyncIterator[SharedLimits]:
    """Limits on a database, as one process has them."""
    db, leases = open_leases(path)
    made = SharedLimits(leases, limits, this_process(None, time.time()))
    try:
        yield made
    finally:
        await made.close()
        db.close()


def open_leases(where: str) -> tuple[Any, SqlLeases]:
    if not where.startswith("postgres"):
        db = open_db(Path(where), synchronous="NORMAL")
        return db, SqlLeases(db)
    from sessions.postgres import open_postgres
    from sessions.postgres_limits import PostgresLeases

    server = open_postgres(where)
    return server, PostgresLeases(server)


async def main(path: str, base_url: str, calls: int, at_once: int) -> None:
    async with limited(path, LIMITS) as limits:
        models = Models(ModelChoice(model="openai/fake", api_base=base_url), limits=limits)
        left = iter(range(calls))

        async def ask() -> None:
            for _ in left:
                await complete(models, ModelRequest((Message("user", "Hi"),)))
                print("done", flush=True)

        await asyncio.gather(*(ask() for _ in range(at_once)))
        await models.close()


if __name__ == "__main__":
    database, address, many, parallel = sys.argv[1:]
    asyncio.run(main(database, address, int(many), int(parallel)))
