"""`app.py run`: one workflow, a live line per node, the outputs at the end.

It runs in this process and imports only what the run uses. A run that is killed is taken up by the next
`serve`. Ctrl-C cancels the run and waits until it has ended.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

from chat.terminal.check import print_problems
from chat.terminal.files import is_file_name, parse_inputs, read_text
from chat.terminal.house import OWNER, House
from engine.errors import InputError, WorkflowInvalid

if TYPE_CHECKING:
    from engine.workflow import Workflow

EXIT_CODES = {"ok": 0, "waiting": 0, "failed": 1, "cancelled": 1}


def run(house: House, arguments: argparse.Namespace) -> int:
    """Run FILE-or-NAME. Exit 0 when it ended well or waits, 1 when it failed, 2 for wrong input."""
    inputs = parse_inputs(arguments.input)
    name = arguments.workflow
    if arguments.model:
        house.force_model(_model_name(arguments.model))
    code = asyncio.run(_run(house, name, inputs, arguments.json))
    # The run has ended and said so: an interrupt while Python tidies up must not change the exit code.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


def _model_name(word: str) -> str:
    if not all(word.partition("/")):
        raise InputError(
            f"{word!r} is not a model's name.", "Write provider/model, for example ollama/qwen3."
        )
    return word


async def _run(house: House, name: str, inputs: Mapping[str, Any], as_json: bool) -> int:
    try:
        text = read_text(name) if is_file_name(name) else (await house.workflows.get(OWNER, name)).yaml
        workflow = await _checked(house, name, text, as_json)
        if workflow is None:
            return 1
        view = await _follow(house, workflow, inputs, as_json)
    finally:
        await house.close()
    if as_json:
        print(json.dumps(view))
    else:
        _print_outputs(view)
    return EXIT_CODES[view["status"]]


async def _checked(house: House, name: str, text: str, as_json: bool) -> Workflow | None:
    """The workflow when it may run here and now; its warnings go to stderr. Otherwise its problems are
    printed.
    """
    from engine.prepare import check_for_run

    checked = await check_for_run(text, house.tools, house.models)
    if checked.workflow is not None:
        print_problems(name, checked.problems, to_stderr=True)
        return checked.workflow
    if as_json:
        problems = [{"file": name, **p.to_dict()} for p in checked.problems]
        print(json.dumps({"status": "failed", "problems": problems}))
    else:
        print_problems(name, checked.problems, to_stderr=True)
    print(f"{WorkflowInvalid(checked.problems)} Nothing was run.", file=sys.stderr)
    return None


async def _follow(
    house: House, workflow: Workflow, inputs: Mapping[str, Any], as_json: bool
) -> dict[str, Any]:
    from chat.terminal.progress import Progress

    run_id = await house.engine.start(workflow, inputs, owner=OWNER)
    _cancel_on_interrupt(house, run_id)
    if not as_json:
        info = await house.models.info() if any(n.kind == "llm" for n in workflow.nodes.values()) else None
        with Progress(run_id, workflow.name, info) as progress:
            async for event in house.engine.events(run_id):
                progress.show(event)
    return await house.engine.wait(run_id)


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


def _print_outputs(view: Mapping[str, Any]) -> None:
    if view["status"] in ("failed", "cancelled"):
        print(view["error"] or f"The run was {view['status']}.", file=sys.stderr)
        return
    outputs = view["outputs"]
    for key, value in outputs.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        print(text if len(outputs) == 1 else f"{key}: {text}")
