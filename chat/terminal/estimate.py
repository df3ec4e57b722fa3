"""`app.py estimate`: what a run would take, before it; a line per node, the whole run last. Nothing is called."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chat.terminal.files import is_file_name, parse_inputs, read_text
from chat.terminal.house import OWNER, House
from engine.models.pricing import dollars

if TYPE_CHECKING:
    from engine.estimate import Estimate

BASES = {"max_tokens": "max_tokens", "history": "earlier runs", "default": "typical"}


def estimate(house: House, arguments: argparse.Namespace) -> int:
    """Estimate FILE-or-NAME. Exit 0, 1 when the document has errors, 2 for wrong input."""
    from chat.terminal.run import model_name

    if arguments.model:
        house.force_model(model_name(arguments.model))
    found = asyncio.run(_estimate(house, arguments.workflow, parse_inputs(arguments.input)))
    if arguments.json:
        print(json.dumps(found.to_dict()))
        return 0
    _print(found)
    return 0


async def _estimate(house: House, name: str, inputs: dict[str, Any]) -> Estimate:
    from chat.estimates import estimate

    try:
        text = read_text(name) if is_file_name(name) else (await house.workflows.get(OWNER, name)).yaml
        store = house.engine.store
        return await estimate(text, inputs, OWNER, house.models, house.tools, store, house.workflows)
    finally:
        await house.close()


def _print(found: Estimate) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("node", no_wrap=True)
    table.add_column("model", no_wrap=True)
    for title in ("calls", "prompt", "reply", "dollars", "seconds"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("replies by")
    table.add_column("note")
    for node in found.nodes:
        basis = BASES[node.basis] if node.model else ""
        table.add_row(node.id, node.model or node.kind, *_figures(node), basis, node.note or "")
    table.add_section()
    table.add_row("the run", "", *_figures(found), "", "", style="bold")
    # Where nobody watches no line is cut: the width of no terminal is known.
    Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table)
    for sentence in found.unknown:
        print(sentence, file=sys.stderr)
    if found.budget_usd is not None:
        print(f"The document's budget is {dollars(found.budget_usd)}.", file=sys.stderr)


def _figures(part: Any) -> tuple[str, ...]:
    cost = None if part.cost_usd is None else [_dollars(amount) for amount in part.cost_usd]
    seconds = None if part.seconds is None else [f"{amount:.3g}" for amount in part.seconds]
    tokens = (part.prompt_tokens, part.completion_tokens)
    counts = [None if count is None else [f"{n:,}" for n in count] for count in (part.calls, *tokens)]
    return tuple(_span(each) for each in (*counts, cost, seconds))


def _dollars(amount: float) -> str:
    return "0" if amount == 0 else dollars(amount).removesuffix(" dollars")


def _span(ends: Sequence[str] | None) -> str:
    """A range; one figure where both ends are the same."""
    if ends is None:
        return "not known"
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} … {ends[1]}"
