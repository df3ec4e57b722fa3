"""The events of a run as they happen, in whichever process it runs: always read from the store, never ahead of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

from engine.dispatch import Dispatcher
from engine.ports import NodeRow, RunEvent, RunRecord, RunStore, Wait
from engine.rehearsal import simulates
from engine.view import first_events, row_events, view_of

POLL = 0.25
"""Seconds between looks at a run that another process executes."""


_FOR_A_PERSON = ("waiting", "unknown")


async def follow(
    store: RunStore, dispatcher: Dispatcher, run_id: str, after: int, *, until_waiting: bool = False
) -> AsyncIterator[RunEvent]:
    """Every event with an id above `after`, to run_ended, or until the run waits for a person. NotFound."""
    rows: list[NodeRow] = []
    first = True
    while True:
        live = dispatcher.live(run_id)
        news = live.ledger.news() if live else None
        run = await store.get(run_id)
        new = await store.rows(run_id, rows[-1].seq if rows else 0)
        rows += new
        for event in [
            *(first_events(run) if first else ()),
            *(e for row in new for e in row_events(row, run.prefix)),
        ]:
            if event.id > after:
                yield event
        first = False
        if run.end_event is not None:
            if run.end_event > after:
                yield RunEvent(run.end_event, run_id, "run_ended", await stored_view(store, run))
            return
        if until_waiting and is_settled(run):
            return
        await _wait(news)


def is_settled(run: RunRecord) -> bool:
    """Whether the run has ended, or can't go on before a person has answered."""
    return run.end_event is not None or (run.parked and run.status in _FOR_A_PERSON)


async def _wait(news: asyncio.Event | None) -> None:
    if news is None:
        await asyncio.sleep(POLL)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(4 * POLL):
            await news.wait()


async def settled(store: RunStore, dispatcher: Dispatcher, run_id: str) -> dict[str, Any]:
    """The run's view once it has ended or waits for a person, whoever executes it."""
    while True:
        live = dispatcher.live(run_id)
        news = live.ledger.news() if live else None
        run = await store.get(run_id)
        if is_settled(run):
            return await stored_view(store, run)
        await _wait(news)


async def stored_view(store: RunStore, run: RunRecord) -> dict[str, Any]:
    """What `run --json` prints, with the open questions of the run and of those below it, and its children."""
    rows = await store.rows(run.id)
    children = await store.children(run.id) if run.shape.get("nests") else None
    below = await _rows_below(store, children or ()) if simulates(run) else []
    if run.end_event is not None:
        return await view_of(run, rows, children=children, below=below)
    waits = await store.waits(root_id=run.root_id or run.id)
    return await view_of(run, rows, [wait for wait in waits if _is_below(wait, run)], children, below)


async def _rows_below(store: RunStore, children: Iterable[RunRecord]) -> list[NodeRow]:
    """The rows of these runs and of all that are below them."""
    found: list[NodeRow] = []
    for child in children:
        found += await store.rows(child.id)
        found += await _rows_below(store, await store.children(child.id))
    return found


def _is_below(wait: Wait, run: RunRecord) -> bool:
    return wait.run_id == run.id or wait.path.startswith(run.prefix)
