"""`app.py why FILE-or-NAME LINE`: which message asked for a line of a workflow."""

from __future__ import annotations

import argparse
import json

from chat.terminal.files import is_file_name, read_text
from chat.terminal.house import OWNER, House
from chat.terminal.lists import collect
from chat.why import Why
from engine.errors import InputError

AUTHORS = {
    "assistant": "the assistant",
    "editor": "you, in the editor",
    "api": "a program, over the API",
    "command line": "you, on the command line",
    "restore": "you, by going back",
}


def why(house: House, arguments: argparse.Namespace) -> int:
    """Print who made the line and what was asked. Exit 2 where there is no such line or workflow."""
    text = read_text(arguments.workflow) if is_file_name(arguments.workflow) else None
    name = arguments.workflow if text is None else _flow_name(arguments.workflow, text)
    place = arguments.place
    line = int(place) if place.isdecimal() else None
    path = None if line is not None else place
    found = collect(house, lambda: house.service.library.why(OWNER, name, line, path, text))
    if arguments.json:
        print(json.dumps(found.to_dict()))
    else:
        print(*in_words(found), sep="\n")
    return 0


def in_words(found: Why) -> list[str]:
    """Lines for people: the line, who made it and when, what was asked."""
    version = found.version
    made = version.to_dict()["created_at"][:16].replace("T", " ")
    author = AUTHORS.get(version.author or "", "unknown")
    said = [
        f"{found.name}, line {found.line}: {found.text.strip()}",
        f"Version {version.version}, {made} UTC, by {author}: {version.summary}",
    ]
    if version.request:
        said += ["Asked for with:", *(f"  {line}" for line in version.request.splitlines())]
    if found.path is not None and found.since != found.changed:
        said.append(f"{found.path} is there since version {found.since} and changed last in {found.changed}.")
    return said


def _flow_name(file: str, text: str) -> str:
    """The name by which a file's workflow is saved."""
    from engine.document import read_document

    data = read_document(text).data
    flow = data.get("flow") if isinstance(data, dict) else None
    name = flow.get("name") if isinstance(flow, dict) else None
    if not isinstance(name, str) or not name.strip():
        raise InputError(
            f"{file} has no flow.name.", "Name a saved workflow instead; `app.py workflows` lists them."
        )
    return name.strip()
