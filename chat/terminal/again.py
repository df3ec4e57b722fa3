"""`app.py resume`, `retry` and `replay`: go on with a run, or run it once more, in part or with another model."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from chat.terminal.files import read_text
from chat.terminal.following import exit_code, follow, ignore_interrupts, print_view
from chat.terminal.house import OWNER, House
from chat.terminal.lists import print_rows
from chat.terminal.run import model_name


def resume(house: House, arguments: argparse.Namespace) -> int:
    """Go on with a run whose process has ended. Exit as `run` does; 1 when it has ended or another process has it."""

    async def same() -> str:
        await house.engine.resume(arguments.run_id)
        return str(arguments.run_id)

    return _show(house, arguments, same)


def retry(house: House, arguments: argparse.Namespace) -> int:
    """Run from a node on, with the rows before it kept. Exit as `run` does."""

    async def started() -> str:
        text = None if arguments.file is None else read_text(arguments.file)
        workflow = None if text is None else await _workflow(house, text)
        return await house.engine.retry(arguments.run_id, arguments.node, workflow)

    return _show(house, arguments, started)


def replay(house: House, arguments: argparse.Namespace) -> int:
    """Ask another model what was asked in a run; all else is taken from what was recorded. Exit as `run` does."""
    model = model_name(arguments.model)
    house.force_model(model)  # so it is reached where `run --model` would reach it
    code, view = asyncio.run(
        _followed(house, arguments, lambda: house.engine.replay(arguments.run_id, model))
    )
    if not arguments.json:
        print_rows(_beside(view["before"], view["after"]), False, "No model was asked.")
    ignore_interrupts()
    return code


async def _workflow(house: House, text: str) -> Any:
    from engine.prepare import prepare

    return await prepare(text, house.tools, house.models, house.workflows.of(OWNER))


def _show(house: House, arguments: argparse.Namespace, begin: Callable[[], Awaitable[str]]) -> int:
    code, _ = asyncio.run(_followed(house, arguments, begin))
    ignore_interrupts()
    return code


async def _followed(
    house: House, arguments: argparse.Namespace, begin: Callable[[], Awaitable[str]]
) -> tuple[int, dict[str, Any]]:
    try:
        before = await house.engine.view(arguments.run_id)
        view = await follow(house, await begin(), arguments.json)
    finally:
        await house.close()
    print_view(view, arguments.json)
    return exit_code(view), {"before": before, "after": view}


def _beside(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What each model call of both runs took, and at the end what came out."""
    asked = {(n["id"], n["iteration"]): n for n in before["nodes"] if n["model"]}
    rows = []
    for node in after["nodes"]:
        old = asked.get((node["id"], node["iteration"]))
        if node["model"]:
            rows.append({"": node["id"], "before": _took(old), "after": _took(node)})
    named = {**before["outputs"], **after["outputs"]}
    then, now = before["outputs"], after["outputs"]
    return [*rows, *({"": n, "before": _short(then, n), "after": _short(now, n)} for n in named)]


def _took(node: Mapping[str, Any] | None) -> str:
    if node is None:
        return "not asked"
    given, made = node["prompt_tokens"], node["completion_tokens"]
    tokens = "? tokens" if made is None else f"{given} + {made} tokens"
    cost = "unknown cost" if node["cost_usd"] is None else f"${node['cost_usd']:.5f}"
    return f"{node['model']}, {tokens}, {cost}"


def _short(outputs: Mapping[str, Any], name: str) -> str:
    if name not in outputs:
        return "–"
    value = outputs[name]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 500 else f"{text[:500]}…"
