"""`app.py workflows`, `runs` and `show`: what is in the store."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chat.terminal.following import how_to_answer
from chat.terminal.house import OWNER, House
from chat.terminal.timeline import print_timeline
from engine.errors import InputError
from engine.models.pricing import dollars

T = TypeVar("T")
RUN_COLUMNS = ("run_id", "workflow", "status", "created_at", "cost_usd")
_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def workflows(house: House, arguments: argparse.Namespace) -> int:
    """List the saved workflows, or those that are archived, newest change first."""
    rows = [w.to_dict() for w in collect(house, lambda: house.workflows.list(OWNER, arguments.archived))]
    if not arguments.json:
        rows = [{key: row[key] for key in row if key != "archived"} for row in rows]
    nothing = "No workflow is saved yet. Make one on the page or with `app.py chat`."
    print_rows(rows, arguments.json, "No workflow is archived." if arguments.archived else nothing)
    return 0


def runs(house: House, arguments: argparse.Namespace) -> int:
    """List the newest runs, those that were asked for."""
    since = None if arguments.since is None else moment(arguments.since, time.time())
    rows = collect(
        house,
        lambda: house.engine.runs(
            owner=OWNER,
            status=arguments.status,
            workflow=arguments.workflow,
            since=since,
            limit=arguments.limit,
        ),
    )
    if not arguments.json:
        rows = [_in_words(row) for row in rows]
    filtered = arguments.status or arguments.workflow or arguments.since
    nothing = "Nothing has been run yet. Try `app.py run FILE`."
    print_rows(rows, arguments.json, "No run is like that." if filtered else nothing)
    return 0


def _in_words(row: Mapping[str, Any]) -> dict[str, Any]:
    """A run as a line: a dry one says so, and money is written as money."""
    cost = None if row["cost_usd"] is None else dollars(row["cost_usd"])
    status = f"{row['status']} (dry)" if row["dry"] else row["status"]
    return {c: row[c] for c in RUN_COLUMNS} | {"status": status, "cost_usd": cost}


def show(house: House, arguments: argparse.Namespace) -> int:
    """Show one run as `run --json` prints it, or in words with its time line."""
    view = collect(house, lambda: house.engine.view(arguments.run_id))
    if arguments.json:
        print(json.dumps(view))
        return 0
    console = _console()
    console.print(
        f"[bold]{escape(view['workflow'])}[/] {view['run_id']}: {view['status']}, {view['created_at']}"
    )
    for line in _said_of(view):
        console.print(line, markup=False)
    print_timeline(console, view)
    for node in view["nodes"]:
        if node["error"]:
            console.print(f"{node['id']}: {node['error']}", style="red", markup=False)
    for wait in view["waiting"]:
        console.print(how_to_answer(view["run_id"], wait), style="yellow", markup=False)
    if view["outputs"]:
        console.print_json(json.dumps(view["outputs"], ensure_ascii=False))
    return 0


def _said_of(view: Mapping[str, Any]) -> list[str]:
    """What the view says of the whole run, where it says it."""
    origin = view.get("origin") or {}
    said = [f"{name.replace('_', ' ')} {value}" for name, value in origin.items()]
    came = [f"Came from: {', '.join(said)}"] if said else []
    below = [
        f"Below it: {child['path']} is run {child['run_id']}, {child['status']}"
        for child in view.get("children") or ()
    ]
    return [*came, *below, *([view["error"]] if view["error"] else [])]


def moment(word: str, now: float) -> float:
    """Seconds since the epoch for `30m`, `2h`, `3d`, `1w` ago, a date or a time in ISO 8601. InputError."""
    number, unit = word[:-1], word[-1:]
    if number.isdecimal() and unit in _UNITS:
        return now - int(number) * _UNITS[unit]
    try:
        return datetime.fromisoformat(word).astimezone().timestamp()
    except (ValueError, OverflowError):
        raise InputError(
            f"{word!r} is no time.", "Write 30m, 2h, 3d or 1w for how long ago, or a date such as 2026-11-22."
        ) from None


def collect(house: House, work: Callable[[], Awaitable[T]]) -> T:
    """Do it in an event loop, where the parts are made as well, and close the house."""

    async def collected() -> T:
        try:
            return await work()
        finally:
            await house.close()

    return asyncio.run(collected())


def print_rows(rows: Sequence[Mapping[str, Any]], as_json: bool, when_empty: str) -> None:
    if as_json:
        print(json.dumps(list(rows)))
    elif not rows:
        print(when_empty)
    else:
        _table(_console(), rows)


def _console() -> Console:
    """As wide as the terminal; where nobody looks, wide enough for programs that read lines."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=240)


def _table(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    table = Table(box=None, header_style="bold")
    for number, name in enumerate(rows[0]):
        table.add_column(name.replace("_", " "), no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*["–" if value is None else str(value) for value in row.values()])
    console.print(table, markup=False)
