"""`app.py check`: every problem of workflow files, one a line, by the one checker."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chat.terminal.files import read_text
from chat.terminal.house import OWNER, House
from engine.errors import InputError

if TYPE_CHECKING:
    from engine.check import Checked
    from engine.problems import Problem


def check(house: House, arguments: argparse.Namespace) -> int:
    """Print the problems of all files. Exit 0 without errors, 1 with any, 2 when a file can't be read."""
    texts: list[tuple[str, str]] = []
    for name in arguments.files:
        try:
            texts.append((name, read_text(name)))
        except InputError as error:
            print(error, file=sys.stderr)
    found: list[dict[str, Any]] = []
    for (name, _), checked in zip(texts, _checked(house, [text for _, text in texts]), strict=True):
        found += [{"file": name, **p.to_dict()} for p in checked.problems]
        if not arguments.json:
            print_problems(name, checked.problems)
    if arguments.json:
        print(json.dumps(found))
    if len(texts) < len(arguments.files):
        return 2
    return 1 if any(p["severity"] == "error" for p in found) else 0


def _checked(house: House, texts: Sequence[str]) -> list[Checked]:
    """What the checker says of each text. The models are asked only where one has an llm node, and the store only
    where one runs a saved workflow.
    """
    from engine.check import check
    from engine.check.children import named_in
    from engine.check.machine import asked_for

    found = [check(text, house.tools) for text in texts]
    if any(asked_for(c.document, house.tools) or named_in(c.document) for c in found):
        return asyncio.run(_on_this_machine(house, found))
    return found


async def _on_this_machine(house: House, found: Sequence[Checked]) -> list[Checked]:
    from engine.check.children import named_in
    from engine.prepare import add_machine, check_text

    try:
        whole = [
            await check_text(c.document.text, house.tools, house.workflows.of(OWNER))
            if named_in(c.document)
            else c
            for c in found
        ]
        return [await add_machine(checked, house.tools, house.models) for checked in whole]
    finally:
        await house.close()


def print_problems(name: str, problems: tuple[Problem, ...], *, to_stderr: bool = False) -> None:
    """One line each: FILE:LINE:COL severity rule message."""
    stream = sys.stderr if to_stderr else sys.stdout
    for p in problems:
        message = " ".join(p.message.split())
        print(f"{name}:{p.line}:{p.column} {p.severity} {p.rule} {message}", file=stream)
