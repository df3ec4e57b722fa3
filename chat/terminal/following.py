"""A run on a terminal, from the moment it is started or gone on with: its progress, what it asks, its outputs.

At a terminal a question is asked right here and its answer given to the run. Where nobody sits, the run is left
waiting, and how to answer it is said.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import sys
from collections.abc import Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

from chat.terminal.house import OWNER, House
from engine.errors import Conflict, InputError, NotFound
from engine.gates import warnings

if TYPE_CHECKING:
    from chat.terminal.progress import Progress

LACKING_SECONDS = 1.0
LOOK_SECONDS = 0.5
"""How often it is looked whether a question that is put here has been answered elsewhere."""

EXIT_CODES = {"ok": 0, "waiting": 0, "unknown": 0, "running": 0, "failed": 1, "cancelled": 1}


def exit_code(view: Mapping[str, Any]) -> int:
    """0 when it ended well or waits for a person, 1 when it failed or was cancelled."""
    return EXIT_CODES[view["status"]]


async def follow(
    house: House, run_id: str, as_json: bool, *, asks_models: bool = False, after: int = 0
) -> dict[str, Any]:
    """Show the run's events above `after` until it has ended, or waits and nobody sits here; its view.

    With `as_json` nothing is shown and nothing asked. Ctrl-C cancels the run.
    """
    _cancel_on_interrupt(house, run_id)
    watching = asyncio.ensure_future(_say_what_lacks(house, run_id))
    try:
        return await _followed(house, run_id, as_json, asks_models, after)
    finally:
        watching.cancel()


async def _say_what_lacks(house: House, run_id: str) -> None:
    """Say on stderr, once, why the run does not start; better than to wait in silence."""
    while True:
        await asyncio.sleep(LACKING_SECONDS)
        said = await house.engine.lacking(run_id)
        if said is not None:
            print(said, file=sys.stderr, flush=True)
            return


async def _followed(
    house: House, run_id: str, as_json: bool, asks_models: bool, after: int
) -> dict[str, Any]:
    if as_json:
        return await house.engine.wait(run_id)
    from chat.terminal.progress import Progress

    workflow = (await house.engine.record(run_id)).workflow
    info = await house.models.info() if asks_models else None
    progress = Progress(run_id, workflow, info)
    while True:
        with progress:
            async for event in house.engine.events(run_id, after, until_waiting=True):
                after = event.id
                progress.show(event)
        view = await house.engine.wait(run_id)
        if not view["waiting"] or not _somebody_sits_here():
            return view
        await _ask(house, view, progress)


def _somebody_sits_here() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


async def _ask(house: House, view: Mapping[str, Any], progress: Progress) -> None:
    """Put the oldest open question until its answer is taken, here or elsewhere, or the run is stopped."""
    wait = view["waiting"][0]
    while (said := await _said(house, view["run_id"], wait, progress)) is not None:
        try:
            await house.engine.answer(
                view["run_id"], wait["path"], said, by=OWNER, iteration=wait["iteration"]
            )
        except InputError as error:
            progress.say(str(error))
        except (Conflict, NotFound) as error:  # somebody else was faster
            progress.say(str(error))
            return
        else:
            return


async def _said(house: House, run_id: str, wait: Mapping[str, Any], progress: Progress) -> str | None:
    """What is typed; None when the question was closed elsewhere meanwhile."""
    typed = asyncio.ensure_future(progress.ask(wait))
    closed = asyncio.ensure_future(_closed(house, run_id, wait))
    await asyncio.wait({typed, closed}, return_when=asyncio.FIRST_COMPLETED)
    closed.cancel()
    if typed.done():
        return typed.result()
    typed.cancel()
    return None


async def _closed(house: House, run_id: str, wait: Mapping[str, Any]) -> None:
    """Return when the question is no longer open: another process may close it, so the store is looked at."""
    while True:
        view = await house.engine.view(run_id)
        if not any(
            (each["path"], each["iteration"]) == (wait["path"], wait["iteration"]) for each in view["waiting"]
        ):
            return
        await asyncio.sleep(LOOK_SECONDS)


def _cancel_on_interrupt(house: House, run_id: str) -> None:
    """Ctrl-C cancels the run in an orderly way, so that its rows say so; pressing it again changes nothing.

    The handler is the system's, not the loop's: it also stands while the process says how it ended.
    """
    loop = asyncio.get_running_loop()
    cancelling: list[asyncio.Task[None]] = []

    def cancel() -> None:
        if not cancelling:
            cancelling.append(asyncio.ensure_future(house.engine.cancel(run_id)))

    def interrupted(number: int, frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(cancel)

    signal.signal(signal.SIGINT, interrupted)


def ignore_interrupts() -> None:
    """The run has ended and said so: an interrupt while Python tidies up must not change the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def print_view(view: Mapping[str, Any], as_json: bool) -> None:
    """The whole run as one object; or its outputs on stdout, and on stderr why there are none."""
    if as_json:
        print(json.dumps(view))
        return
    if view["status"] == "ok":
        for said in warnings(view.get("gates", ())):
            print(f"Warning: {said}", file=sys.stderr)
    if view["status"] in ("failed", "cancelled"):
        print(view["error"] or f"The run was {view['status']}.", file=sys.stderr)
    elif view["waiting"]:
        for wait in view["waiting"]:
            print(how_to_answer(view["run_id"], wait), file=sys.stderr)
    else:
        _print_outputs(view["outputs"])


def how_to_answer(run_id: str, wait: Mapping[str, Any]) -> str:
    """The question, and the command that answers it."""
    options = [shlex.quote(str(option)) for option in wait["options"]]
    value = options[0] if options else "ANSWER"
    others = f" ({' or '.join(options)})" if options else ""
    command = f"app.py answer {run_id} {shlex.quote(wait['node'])} {value}"
    return f"{wait['node']} asks: {wait['question']}\nAnswer it{others}, for example with: {command}"


def _print_outputs(outputs: Mapping[str, Any]) -> None:
    for key, value in outputs.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        print(text if len(outputs) == 1 else f"{key}: {text}")
