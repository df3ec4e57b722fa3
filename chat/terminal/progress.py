"""A live line per node on a terminal; plain lines on stderr where nobody watches."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from engine.ports import ModelInfo, RunEvent

MARKS = {
    "running": ("◐", "cyan"),
    "waiting": ("?", "yellow"),
    "unknown": ("?", "yellow"),
    "ok": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("–", "yellow"),
}


class Progress:
    """Shows the events of one run. Use it as a context manager; `show` takes each event as it comes."""

    def __init__(self, run_id: str, name: str, info: ModelInfo | None) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._nodes: dict[tuple[str, int], dict[str, Any]] = {}
        self._started: dict[tuple[str, int], float] = {}
        self._live: Live | None = None
        self._console.print(Text.assemble(("Run ", "dim"), run_id, (" of ", "dim"), (name, "bold")))
        if info:
            self._console.print(model_line(info))

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._table, console=self._console, refresh_per_second=8)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, event: RunEvent) -> None:
        """Take one event of the run."""
        if event.kind not in ("node_started", "node_waiting", "node_ended"):
            return
        node = dict(event.data)
        key = (node["id"], node["iteration"])
        self._nodes[key] = node
        self._started.setdefault(key, time.monotonic())
        node["seconds"] = time.monotonic() - self._started[key]
        if not self._live and event.kind != "node_started":
            self._console.print(_line(node, None))

    def say(self, text: str) -> None:
        """A line of its own."""
        self._console.print(text, markup=False)

    async def ask(self, wait: Mapping[str, Any]) -> str:
        """Put a question at the terminal; what is typed. An empty line takes the default, where there is one."""
        self._console.print(Text.assemble(("? ", "yellow"), (wait["question"], "bold")))
        options = [str(option) for option in wait["options"]]
        for number, option in enumerate(options, start=1):
            self._console.print(Text.assemble((f"  {number} ", "dim"), option))
        default = wait["default"]
        hint = "" if default is None else f" [{default}]"
        self._console.print(f"  answer{hint}: ", end="", markup=False)
        said = (await _line_of_stdin()).strip()
        if said.isdecimal() and said not in options and 1 <= int(said) <= len(options):
            return options[int(said) - 1]
        return str(default) if not said and default is not None else said

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for key, node in self._nodes.items():
            running = time.monotonic() - self._started[key] if node["status"] == "running" else None
            table.add_row(_line(node, running))
        return table


async def _line_of_stdin() -> str:
    """The next line that is typed. It can be cancelled, where the system lets a loop watch a terminal."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    try:
        loop.add_reader(sys.stdin, _set, ready)
    except NotImplementedError:  # Windows
        return await asyncio.to_thread(sys.stdin.readline)
    try:
        await ready
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline()


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def model_line(info: ModelInfo) -> Text:
    """Which model answers, why it was chosen, and what a person should know about it."""
    line = Text.assemble(("Model ", "dim"), info.name, (f" ({info.source})", "dim"))
    if info.note:
        line.append(f"\n{info.note}", "yellow")
    return line


def print_model(info: ModelInfo) -> None:
    """The same line, on stderr."""
    Console(file=sys.stderr, highlight=False).print(model_line(info))


def _line(node: dict[str, Any], running: float | None) -> Text:
    mark, colour = MARKS.get(node["status"], ("·", "dim"))
    seconds = node["seconds"] if running is None else running
    line = Text.assemble((f"{mark} ", colour), node["id"])
    if node["iteration"] > 1:
        line.append(f" #{node['iteration']}", "dim")
    line.append(f"  {node['kind']} {seconds:.1f} s", "dim")
    if node.get("model"):
        line.append(f"  {node['model']}", "dim")
    if node.get("error"):
        line.append(f"\n  {node['error']}", "red")
    return line
