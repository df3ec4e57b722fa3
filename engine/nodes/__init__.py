"""The kinds of nodes: one dict from a kind to a dotted path, each loaded on its first use.

A kind is one async function: it is handed a Step and gives back the writes to the state. Whatever it raises
fails the attempt; what it used of models it notes in `step.usage`, so that a failed attempt is accounted
for as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from engine.nodes.step import Host, Parked, Question, Services, Step, Usage

__all__ = ["KINDS", "Host", "Parked", "Question", "Run", "Services", "Step", "Usage", "runner_of"]

KINDS: Mapping[str, str] = {
    "llm": "engine.nodes.llm.run",
    "tool": "engine.nodes.tool.run",
    "code": "engine.nodes.code.run",
    "ask": "engine.nodes.ask.run",
    "subflow": "engine.nodes.subflow.run",
    "each": "engine.nodes.each.run",
}

Run = Callable[[Step], Awaitable[Mapping[str, Any]]]


@cache
def runner_of(kind: str) -> Run:
    """The function that runs nodes of this kind. KeyError for one that is not there."""
    module, _, name = KINDS[kind].rpartition(".")
    found: Run = getattr(import_module(module), name)
    return found
