"""`app.py data`, `preferences` and `delete`: what is kept of a person, and taking it along or erasing it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from chat.my_data import CONFIRM
from chat.terminal.house import OWNER, House
from chat.terminal.lists import collect
from engine.errors import InputError


def data(house: House, arguments: argparse.Namespace) -> int:
    """Export or erase. Exit 0; 1 when an erase was not confirmed; 2 for a file that can't be written."""
    return export(house, arguments) if arguments.action == "export" else erase(house, arguments)


def export(house: House, arguments: argparse.Namespace) -> int:
    """Write the zip; where it is a file, the whole of it or nothing, for its owner alone to read."""
    if arguments.output == "-":
        return _written(house, sys.stdout.buffer)
    file = Path(arguments.output)
    try:
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        raise InputError(f"{file} can't be written: {error.strerror}.", "Choose another place.") from None
    try:
        with os.fdopen(handle, "wb") as out:
            _written(house, out)
        os.replace(temporary, file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    print(f"{file} has everything that is kept of you.", file=sys.stderr)
    return 0


def _written(house: House, out: Any) -> int:
    async def work() -> None:
        async for piece in house.service.my_data.export(OWNER):
            out.write(piece)

    collect(house, work)
    out.flush()
    return 0


def erase(house: House, arguments: argparse.Namespace) -> int:
    """Erase everything, once it is confirmed in so many words."""
    confirm = CONFIRM
    if not arguments.yes:
        print("This deletes every conversation, workflow, run, schedule, preference and key, for good.")
        print(f'Type "{CONFIRM}" to go on: ', end="", flush=True)
        confirm = sys.stdin.readline()
        if confirm.strip().casefold() != CONFIRM:
            print("Nothing was erased.", file=sys.stderr)
            return 1
    gone = collect(house, lambda: house.service.my_data.erase(OWNER, confirm))
    print("Erased: " + ", ".join(f"{count} {what}" for what, count in gone.items()) + ".")
    return 0


def preferences(house: House, arguments: argparse.Namespace) -> int:
    """Show all, after changing those that were given."""
    changes = dict(_read(change) for change in arguments.changes)
    found = collect(house, lambda: house.service.preferences.set(OWNER, **changes))
    if arguments.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(
                f"{name}: {'not set' if value is None else json.dumps(value) if not isinstance(value, str) else value}"
            )
    return 0


def _read(change: str) -> tuple[str, Any]:
    """KEY=VALUE; the value is JSON where it is such, else text, and None where there is none."""
    name, equals, value = change.partition("=")
    if not equals:
        raise InputError(f"{change!r} changes nothing.", "Write KEY=VALUE, such as timezone=Europe/Berlin.")
    try:
        return name, json.loads(value) if value else None
    except ValueError:
        return name, value


def delete_run(house: House, arguments: argparse.Namespace) -> int:
    """Forget a run. Exit 1 while it has not ended, 2 where there is none."""
    collect(house, lambda: house.service.delete_run(OWNER, arguments.run_id))
    print(f"Run {arguments.run_id} is deleted.")
    return 0
