"""The events of a run as they happen, in whichever process it runs: always read from the store, never ahead of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from engine.dispatch import Dispatcher
from engine.ports import NodeRow, RunEvent, RunRecord, RunStore
from engine.view import first_events, row_events, run_view

POLL = 0.25
"""Seconds between looks at a run that another process executes."""


async def follow(store: RunStore, dispatcher: Dispatcher, run_id: str, after: int) -> AsyncIterator[RunEvent]:
    """Every event with an id above `after`, to run_ended. NotFound for an unknown run."""
    rows: list[NodeRow] = []
    first = True
    while True:
        live = dispatcher.live(run_id)
        news = live.ledger.news() if live else None
        run = await store.get(run_id)
        new = await store.rows(run_id, rows[-1].seq if rows else 0)
        rows += new
        for event in [*(first_events(run) if first else ()), *(e for row in new for e in row_events(row))]:
            if event.id > after:
                yield event
        first = False
        if run.end_event is not None:
            if run.end_event > after:
                yield RunEvent(run.end_event, run_id, "run_ended", run_view(run, rows))
            return
        await _wait(news)


async def _wait(news: asyncio.Event | None) -> None:
    if news is None:
        await asyncio.sleep(POLL)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(4 * POLL):
            await news.wait()


async def ended(store: RunStore, dispatcher: Dispatcher, run_id: str) -> dict[str, Any]:
    """The run's view once it has ended, whoever executes it."""
    while True:
        live = dispatcher.live(run_id)
        news = live.ledger.news() if live else None
        run: RunRecord = await store.get(run_id)
        if run.end_event is not None:
            return run_view(run, await store.rows(run_id))
        await _wait(news)
