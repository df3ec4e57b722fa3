"""A run as bars over time, one line per row: when each node ran, how long, and what that cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from chat.terminal.progress import MARKS

NARROWEST, WIDEST = 16, 80
_CLOCK = 0.002
"""Seconds that a node may seem to begin before its run: times are shown in milliseconds."""
_BESIDE = 70
"""Columns for everything but the bars."""


def print_timeline(console: Console, view: Mapping[str, Any]) -> None:
    """The nodes of a run's view on one scale, from its start to its end, or to now."""
    nodes = view["nodes"]
    if not nodes:
        return
    start = _seconds(view["created_at"])
    width = max(NARROWEST, min(WIDEST, console.width - _BESIDE))
    end = _seconds(view["ended_at"]) if view["ended_at"] else datetime.now(UTC).timestamp()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("", "node", "kind"):
        table.add_column(name, no_wrap=True)
    table.add_column(f"{timedelta(seconds=round(end - start, 1))} in all", no_wrap=True, min_width=width)
    for name in ("seconds", "tokens", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    for node in nodes:
        table.add_row(*_line(node, start, max(end - start, 0.001), width))
    console.print(table)


def _line(node: Mapping[str, Any], start: float, whole: float, width: int) -> Sequence[Text | str]:
    mark, colour = MARKS.get(node["status"], ("·", "dim"))
    began = _seconds(node["started_at"])
    seconds = _seconds(node["ended_at"]) - began if node["ended_at"] else None
    before = max(0, min(width - 1, int((began - start) / whole * width)))
    length = max(1, round((whole + start - began if seconds is None else seconds) / whole * width))
    was_kept = began < start - _CLOCK and seconds is not None
    bar = (
        Text("kept", "dim")
        if was_kept
        else Text(" " * before).append("━" * min(length, width - before), colour)
    )
    return [
        Text(mark, colour),
        Text(_name(node)),
        Text(str(node["kind"]), "dim"),
        bar,
        "–" if seconds is None else f"{seconds:.2f}",
        _tokens(node),
        "–" if node["cost_usd"] is None else f"${node['cost_usd']:.4f}",
    ]


def _name(node: Mapping[str, Any]) -> str:
    name = str(node["id"])
    if node["iteration"] > 1:
        name += f" #{node['iteration']}"
    return name + (f", attempt {node['attempt']}" if node["attempt"] > 1 else "")


def _tokens(node: Mapping[str, Any]) -> str:
    given, made = node["prompt_tokens"], node["completion_tokens"]
    return "–" if given is None or made is None else f"{given} + {made}"


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
