"""`app.py save FILE`: keeps a document under its name, as a new version where there is one of that name already."""

from __future__ import annotations

import argparse
import asyncio
import json

from chat.terminal.check import print_problems
from chat.terminal.files import read_text
from chat.terminal.house import OWNER, House
from engine.errors import WorkflowInvalid


def save(house: House, arguments: argparse.Namespace) -> int:
    """Check and save. Exit 0, or 1 with the problems when it has errors."""
    return asyncio.run(_save(house, arguments.file, arguments.json))


async def _save(house: House, file: str, as_json: bool) -> int:
    try:
        saved = await house.service.save_workflow(
            OWNER, read_text(file), f"saved from {file}", "command line"
        )
    except WorkflowInvalid as error:
        print_problems(file, error.problems, to_stderr=True)
        raise
    finally:
        await house.close()
    if as_json:
        print(json.dumps(saved))
    else:
        print(
            f"{saved['name']} is saved, version {saved['version']}. Run it with: app.py run {saved['name']}"
        )
        if saved["proof"] is not None:
            print(saved["proof"]["line"])
    return 0
