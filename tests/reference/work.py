"""What the nodes of generated documents do: a number from all they were given, so that a wrong view shows."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any


def worked(args: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a node: `outs` maps each field to what it gets.

    `number`: 0 to 9; `item`: the same for a list; `entry`: one entry of a dict; `flag`: true now and then;
    `count`: one more than `counts[field]`.
    """
    text = json.dumps([args["id"], args["seen"]], sort_keys=True)
    found = {}
    for name, kind in args["outs"].items():
        number = zlib.crc32(f"{text}/{name}".encode()) % 10
        found[name] = {
            "number": number,
            "item": number,
            "entry": {args["id"]: number},
            "flag": number >= 7,
            "count": (args.get("counts") or {}).get(name, 0) + 1,
        }[kind]
    return found
