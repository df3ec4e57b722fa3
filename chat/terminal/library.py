"""`app.py workflow versions|rename|copy|archive|unarchive|delete`: what is done with saved workflows."""

from __future__ import annotations

import argparse
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from chat.terminal.house import OWNER, House
from chat.terminal.lists import collect, print_rows


def workflow(house: House, arguments: argparse.Namespace) -> int:
    """Do what the second word says. Exit 0; 1 where it is in use; 2 for a name that is not there."""
    return ACTIONS[arguments.action](house, arguments)


def versions(house: House, arguments: argparse.Namespace) -> int:
    """List the versions, the newest first, with what changed in each."""
    rows = collect(house, lambda: house.service.library.history(OWNER, arguments.name))
    if not arguments.json:
        rows = [
            {
                "version": row["version"],
                "created_at": row["created_at"],
                "author": row["author"],
                "summary": row["summary"],
                "changes": " ".join(row["changes"]) or None,
            }
            for row in rows
        ]
    print_rows(rows, arguments.json, "")
    return 0


def rename(house: House, arguments: argparse.Namespace) -> int:
    async def work() -> dict[str, Any]:
        library = house.service.library
        new = await library.rename(
            OWNER, arguments.name, arguments.new, author="command line", references=arguments.references
        )
        return {"name": new}

    return _done(house, arguments, work, "{old} is called {name} now.")


def copy(house: House, arguments: argparse.Namespace) -> int:
    async def work() -> dict[str, Any]:
        return await house.service.library.duplicate(
            OWNER, arguments.name, arguments.new, author="command line"
        )

    return _done(house, arguments, work, "{old} is copied to {name}.")


def archive(house: House, arguments: argparse.Namespace) -> int:
    archived = arguments.action == "archive"

    async def work() -> dict[str, Any]:
        await house.service.library.archive(OWNER, arguments.name, archived)
        return {"name": arguments.name, "archived": archived}

    said = (
        "{name} is archived. `app.py workflows --archived` lists it."
        if archived
        else "{name} is listed again."
    )
    return _done(house, arguments, work, said)


def delete(house: House, arguments: argparse.Namespace) -> int:
    async def work() -> dict[str, Any]:
        return (await house.service.library.delete(OWNER, arguments.name, force=arguments.force)).to_dict()

    said = "{name} is deleted: {versions} versions, {tests} tests. Its runs stay."
    return _done(house, arguments, work, said)


def _done(
    house: House, arguments: argparse.Namespace, work: Callable[[], Awaitable[Mapping[str, Any]]], said: str
) -> int:
    found = collect(house, work)
    print(json.dumps(dict(found)) if arguments.json else said.format(old=arguments.name, **found))
    for what in ("schedules", "parents"):
        if not arguments.json and found.get(what):
            print(_LEFT[what].format(", ".join(found[what])))
    return 0


_LEFT = {
    "schedules": "These schedules went too: {}.",
    "parents": "These workflows start it and can't run until they are changed: {}.",
}
ACTIONS: dict[str, Callable[[House, argparse.Namespace], int]] = {
    "versions": versions,
    "rename": rename,
    "copy": copy,
    "archive": archive,
    "unarchive": archive,
    "delete": delete,
}
