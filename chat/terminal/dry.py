"""`app.py run --dry`: what would be done, without asking a model or doing anything; `--branches`: every way."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from chat.terminal.following import exit_code, follow, print_view
from chat.terminal.house import OWNER, House

if TYPE_CHECKING:
    from engine.workflow import Workflow


async def dry_run(
    house: House, workflow: Workflow, inputs: Mapping[str, Any], as_json: bool, *, branches: bool
) -> int:
    """Rehearse the run, and with `branches` try to take every way. Exit 0, or 1 when the rehearsal failed or a way
    can't be taken."""
    run_id = await house.engine.start(workflow, inputs, owner=OWNER, dry=True, ignore_gates=True)
    view = await follow(house, run_id, as_json)
    ways = await house.engine.branches(workflow, inputs) if branches else None
    if as_json:
        print(json.dumps(view if ways is None else {**view, "explored": ways}))
    else:
        print_view(view, False)
        _print_simulated(view)
        if ways is not None:
            _print_ways(ways)
    missed = ways is not None and ways["reached"] < ways["of"]
    return exit_code(view) or int(missed)


def _print_simulated(view: Mapping[str, Any]) -> None:
    for name in view["made_inputs"]:
        print(
            f"The input {name} was made up: {json.dumps(view['inputs'][name], ensure_ascii=False)}",
            file=sys.stderr,
        )
    for each in view["simulated"]:
        print(f"{each['node']} was made up: {each['why']}.", file=sys.stderr)


def _print_ways(ways: Mapping[str, Any]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("", "from", "to", "when", ""):
        table.add_column(name, overflow="fold")
    for way in ways["branches"]:
        mark = Text("✓", "green") if way["reached"] else Text("✗", "red")
        said = "" if way["reached"] else str(way["why_not"])
        table.add_row(mark, *map(Text, (way["node"], ", ".join(way["to"]) or "on", way["when"], said)))
    console = Console(stderr=True, highlight=False)
    console = console if console.is_terminal else Console(stderr=True, highlight=False, width=200)
    console.print(table)
    console.print(f"{ways['reached']} of {ways['of']} ways can be taken.", markup=False)
    for problem in ways["problems"]:
        console.print(problem, style="red", markup=False)
