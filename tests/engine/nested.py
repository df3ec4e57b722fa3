"""What the tests of nested work share: a tool that is told what to do per element, and saved sub-workflows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from textwrap import dedent
from typing import Any

from engine.dispatch import LocalDispatcher
from engine.pins import Resolver
from tests.engine.flows import Tools
from tools.errors import ToolError
from tools.registry import ToolContext, ToolRegistry, ToolRetry, tool

HEAD = 'schema_version: "1.0"\n'


class Probe(Tools):
    """Tools as elsewhere, and `probe`: gives back `value` after `seconds`, or fails while `fails` says so."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[str] = []
        self.counts: Counter[str] = Counter()
        self.most = 0
        self.tasks = 0
        self.registry = ToolRegistry(
            {**self.registry.specs, "probe": self._probe("probe", "none"), "pay": self._probe("pay", "once")}
        )

    def _probe(self, name: str, effect: Any) -> Any:
        wants = {
            "value": {},
            "seconds": {"type": "number", "default": 0},
            "fails": {"type": "integer", "default": 0},
            "when": {"default": None},
            "hopeless": {"type": "boolean", "default": False},
        }

        @tool(description="Probe.", parameters=wants, returns="The value.", name=name, effect=effect)
        async def probe(args: Mapping[str, Any], context: ToolContext) -> Any:
            key = str(context.idempotency_key).partition("/")[2]
            self.keys.append(key)
            self.counts[key] += 1
            seconds, fails = args.get("seconds", 0), args.get("fails", 0)
            self.running += 1
            self.most = max(self.most, self.running)
            if len(self.keys) % 50 == 0:
                self.tasks = max(self.tasks, len(asyncio.all_tasks()))
            try:
                if seconds:
                    await asyncio.sleep(seconds)
            finally:
                self.running -= 1
            if args.get("when") in (None, args["value"]) and self.counts[key] <= fails:
                raise (ToolError if args.get("hopeless") else ToolRetry)(
                    "The server is busy.", "Wait a little."
                )
            return args["value"]

        return probe


def saved(**documents: str) -> Resolver:
    """Saved workflows by name; each text begins at `flow`'s outputs."""

    async def find(name: str) -> str | None:
        text = documents.get(name)
        return None if text is None else f"{HEAD}flow: {{name: {name}, outputs: [y]}}\n{dedent(text)}"

    return find


class Spreading(LocalDispatcher):
    """Cuts a for_each of more than 16 elements into parts, as where there are other workers."""

    spreads = True
