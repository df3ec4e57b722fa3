"""`app.py test`, `export` and `import`: a workflow's tests, its files to hand out, and those that come in."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chat.terminal.check import print_problems
from chat.terminal.files import is_file_name, read_text
from chat.terminal.house import OWNER, House
from chat.terminal.lists import collect
from engine.errors import InputError, WorkflowInvalid

MARKS = {"passed": "✓", "failed": "✗", "unknown": "?"}


def test(house: House, arguments: argparse.Namespace) -> int:
    """Try all tests of FILE-or-NAME. Exit 1 when one fails or the file has errors."""
    name = arguments.workflow
    if is_file_name(name):
        text = read_text(name)
        results = _reported(name, lambda: collect(house, lambda: house.service.sharing.try_file(OWNER, text)))
    else:
        results = collect(house, lambda: house.service.proofs.run_tests(OWNER, name))
    if arguments.json:
        print(json.dumps(results))
    else:
        print(*in_words(results), sep="\n")
    return int(any(result["status"] == "failed" for result in results))


def in_words(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each test, why it did not pass below it, and the sum."""
    if not results:
        return ["There are no tests yet. Say in the chat what must always hold."]
    lines = []
    for result in results:
        lines.append(f"{MARKS[result['status']]} {result['title']}")
        if result["why"]:
            lines.append(f"    {result['why']}")
        if result["quote"] and result["status"] != "passed":
            lines.append(f"    asked for with: {' '.join(result['quote'].split())}")
    passed = sum(result["status"] == "passed" for result in results)
    return [*lines, f"{passed} of {len(results)} pass."]


def export(house: House, arguments: argparse.Namespace) -> int:
    """Write a workflow in a format to a file or to standard output; a picture goes to a terminal only as a file."""
    format_ = arguments.format
    found = collect(
        house,
        lambda: house.service.sharing.export(OWNER, arguments.workflow, format_, arguments.version),
    )
    place = arguments.output or (found.name if format_ == "png" and sys.stdout.isatty() else None)
    if place is None or place == "-":
        sys.stdout.buffer.write(found.content)
        sys.stdout.buffer.flush()
        return 0
    try:
        Path(place).write_bytes(found.content)
    except OSError as error:
        raise InputError(f"{place} can't be written: {error.strerror}.", "Name another file.") from None
    print(f"{place} is written.", file=sys.stderr)
    return 0


def import_file(house: House, arguments: argparse.Namespace) -> int:
    """Keep what a file holds as a new workflow. Exit 1 with the problems when it has errors."""
    file = arguments.file
    text = read_text(file)
    saved = _reported(
        file,
        lambda: collect(house, lambda: house.service.sharing.import_text(OWNER, text, author="command line")),
    )
    if arguments.json:
        print(json.dumps(saved))
        return 0
    print(f"{saved['name']} is saved, version {saved['version']}, with {_tests(saved['tests'])}.")
    print(saved["proof"]["line"])
    if not saved["whole"]:
        print("The text was changed since it was exported.", file=sys.stderr)
    return 0


def _reported(file: str, work: Any) -> Any:
    try:
        return work()
    except WorkflowInvalid as error:
        print_problems(file, error.problems, to_stderr=True)
        raise


def _tests(count: int) -> str:
    return "no tests" if not count else "1 test" if count == 1 else f"{count} tests"
