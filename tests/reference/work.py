"""What the nodes of generated documents do: a number from all they were given, so that a wrong view shows."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any


class Broken(Exception):
    """A node that was made to fail did so."""


def worked(args: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a node: `outs` maps each field to what it gets. Broken for what is to fail.

    `number`: 0 to 9; `item`: the same for a list; `entry`: one entry of a dict; `numbers`: a list of 0 to 4;
    `flag`: true now and then; `count`: one more than `counts[field]`. `fails` is how many of ten calls do.
    """
    text = json.dumps([args["id"], args["seen"]], sort_keys=True)
    if _number(f"{text}/fails") < (args.get("fails") or 0):
        raise Broken(args["id"])
    found = {}
    for name, kind in args["outs"].items():
        number = _number(f"{text}/{name}")
        found[name] = {
            "number": number,
            "item": number,
            "entry": {args["id"]: number},
            "numbers": [_number(f"{text}/{name}/{n}") for n in range(number % 5)],
            "flag": number >= 7,
            "count": (args.get("counts") or {}).get(name, 0) + 1,
        }[kind]
    return found


def answered(question: str, options: Sequence[str]) -> str:
    """What the person says, who knows nothing but the question."""
    return options[_number(question) % len(options)]


def _number(text: str) -> int:
    return zlib.crc32(text.encode()) % 10
