"""`app.py answer RUN NODE VALUE`: answers what a run asks, goes on with the run and prints it as `run` does."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from chat.terminal.following import exit_code, follow, ignore_interrupts, print_view
from chat.terminal.house import OWNER, House


def answer(house: House, arguments: argparse.Namespace) -> int:
    """Exit as `run` does; 1 when somebody has answered before, 2 when it does not fit or nothing waits there."""
    view = asyncio.run(_answer(house, arguments))
    print_view(view, arguments.json)
    ignore_interrupts()
    return exit_code(view)


async def _answer(house: House, arguments: argparse.Namespace) -> dict[str, Any]:
    engine = house.engine
    try:
        last = [event.id async for event in engine.events(arguments.run_id, until_waiting=True)]
        await engine.answer(
            arguments.run_id, arguments.node, arguments.value, by=OWNER, iteration=arguments.iteration
        )
        return await follow(house, arguments.run_id, arguments.json, after=max(last, default=0))
    finally:
        await house.close()
