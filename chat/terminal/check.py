"""`app.py check`: every problem of workflow files, one a line, by the one checker."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from chat.terminal.files import read_text
from chat.terminal.house import House
from engine.errors import InputError

if TYPE_CHECKING:
    from engine.problems import Problem


def check(house: House, arguments: argparse.Namespace) -> int:
    """Print the problems of all files. Exit 0 without errors, 1 with any, 2 when a file can't be read."""
    from engine.check import check as check_text

    found: list[dict[str, Any]] = []
    unreadable = 0
    for name in arguments.files:
        try:
            text = read_text(name)
        except InputError as error:
            print(error, file=sys.stderr)
            unreadable += 1
            continue
        problems = check_text(text, house.tools).problems
        found += [{"file": name, **p.to_dict()} for p in problems]
        if not arguments.json:
            print_problems(name, problems)
    if arguments.json:
        print(json.dumps(found))
    if unreadable:
        return 2
    return 1 if any(p["severity"] == "error" for p in found) else 0


def print_problems(name: str, problems: tuple[Problem, ...], *, to_stderr: bool = False) -> None:
    """One line each: FILE:LINE:COL severity rule message."""
    stream = sys.stderr if to_stderr else sys.stdout
    for p in problems:
        message = " ".join(p.message.split())
        print(f"{name}:{p.line}:{p.column} {p.severity} {p.rule} {message}", file=stream)
