"""What checking a document of a thousand nodes costs, beside what any program must do that reads it.

Ours reads the YAML with places, applies the schema and every rule, and builds the workflow. The peer reads the
same text with PyYAML's C loader and applies the same schema with jsonschema: no places, no rules, no plain sentences.
CPU seconds, best of 3, in turns; what both say of each document is checked.

    python -m benchmarks.checker [--json]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from engine.check import check
from tests.engine.check.big import SHAPES
from tools.registry import ToolRegistry

ROUNDS = 3
SCHEMA = Path(__file__).resolve().parent.parent / "configs" / "workflow.schema.json"


def seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(shape: Callable[[], tuple[str, bool]]) -> dict[str, object]:
    """One document, checked by both."""
    text, valid = shape()
    tools, validator = ToolRegistry(), Draft202012Validator(json.loads(SCHEMA.read_text()))

    def ours() -> None:
        if check(text, tools).ok != valid:
            raise SystemExit(f"the checker is wrong about {shape.__name__}")

    def peer() -> None:
        data = yaml.load(text, Loader=yaml.CSafeLoader)
        if len(data["nodes"]) != 1000 or next(validator.iter_errors(data), None):
            raise SystemExit(f"the schema does not fit {shape.__name__}")

    ours()
    pairs = [(seconds(ours), seconds(peer)) for _ in range(ROUNDS)]
    mine, theirs = min(p[0] for p in pairs), min(p[1] for p in pairs)
    return {
        "name": f"check 1000 nodes, {shape.__name__}",
        "ours": round(mine, 3),
        "peer": round(theirs, 3),
        "ratio": round(mine / theirs, 3),
        "unit": "CPU s",
    }


if __name__ == "__main__":
    figures = [measure(shape) for shape in SHAPES]
    if "--json" in sys.argv:
        print(json.dumps(figures))
    else:
        for f in figures:
            print(
                f"{f['name']}: {f['ours']} {f['unit']}, YAML and schema alone {f['peer']}, ratio {f['ratio']}"
            )
