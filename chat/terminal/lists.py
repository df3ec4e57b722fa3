"""`app.py workflows`, `runs` and `show`: what is in the store."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from chat.terminal.house import OWNER, House

T = TypeVar("T")
RUN_COLUMNS = ("run_id", "workflow", "status", "created_at", "cost_usd")
NODE_COLUMNS = ("id", "kind", "iteration", "attempt", "status", "started_at", "model", "cost_usd", "error")


def workflows(house: House, arguments: argparse.Namespace) -> int:
    """List the saved workflows, newest change first."""
    rows = [w.to_dict() for w in _collect(house, lambda: house.workflows.list(OWNER))]
    print_rows(rows, arguments.json, "No workflow is saved yet. Make one on the page or with `app.py chat`.")
    return 0


def runs(house: House, arguments: argparse.Namespace) -> int:
    """List the newest runs."""
    rows = _collect(house, lambda: house.engine.runs(owner=OWNER))
    if not arguments.json:
        rows = [{c: row[c] for c in RUN_COLUMNS} for row in rows]
    print_rows(rows, arguments.json, "Nothing has been run yet. Try `app.py run FILE`.")
    return 0


def show(house: House, arguments: argparse.Namespace) -> int:
    """Show one run as `run --json` prints it, or as tables."""
    view = _collect(house, lambda: house.engine.view(arguments.run_id))
    if arguments.json:
        print(json.dumps(view))
        return 0
    console = _console()
    console.print(f"[bold]{view['workflow']}[/] {view['run_id']}: {view['status']}")
    if view["error"]:
        console.print(view["error"], style="red", markup=False)
    _table(console, [{c: node[c] for c in NODE_COLUMNS} for node in view["nodes"]])
    console.print_json(json.dumps(view["outputs"], ensure_ascii=False))
    return 0


def _collect(house: House, work: Callable[[], Awaitable[T]]) -> T:
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
