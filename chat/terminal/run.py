"""`app.py run`: one workflow, a live line per node, the outputs at the end.

It runs in this process and imports only what the run uses. A run that is killed is taken up by the next
`serve`. Ctrl-C cancels the run and waits until it has ended.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chat.terminal.check import print_problems
from chat.terminal.files import is_file_name, parse_inputs, read_files, read_text
from chat.terminal.following import exit_code, follow, ignore_interrupts, print_view
from chat.terminal.house import OWNER, House
from engine.errors import InputError, WorkflowInvalid

if TYPE_CHECKING:
    from engine.workflow import Workflow


def run(house: House, arguments: argparse.Namespace) -> int:
    """Run FILE-or-NAME. Exit 0 when it ended well or waits, 1 when it failed, 2 for wrong input."""
    inputs = parse_inputs(arguments.input)
    name = arguments.workflow
    if arguments.model:
        house.force_model(model_name(arguments.model))
    bounds = {
        "limit_usd": arguments.budget,
        "ignore_gates": arguments.ignore_gates,
        "force_model": arguments.model,
    }
    if arguments.branches and not arguments.dry:
        raise InputError("--branches goes with --dry.", "Add --dry: nothing is run for real then.")
    if arguments.dry:
        work = _dry(house, name, inputs, arguments.json, branches=arguments.branches)
    else:
        work = _run(house, name, inputs, arguments.json, bounds)
    code = asyncio.run(work)
    ignore_interrupts()
    return code


def model_name(word: str) -> str:
    if not all(word.partition("/")):
        raise InputError(
            f"{word!r} is not a model's name.", "Write provider/model, for example ollama/qwen3."
        )
    return word


async def _run(
    house: House, name: str, inputs: Mapping[str, Any], as_json: bool, bounds: Mapping[str, Any]
) -> int:
    try:
        workflow = await _checked(house, name, as_json)
        if workflow is None:
            return 1
        inputs = await read_files(house, workflow, inputs)
        run_id = await house.engine.start(workflow, inputs, owner=OWNER, **bounds)
        asks_models = any(node.kind == "llm" for node in workflow.nodes.values())
        view = await follow(house, run_id, as_json, asks_models=asks_models)
    finally:
        await house.close()
    print_view(view, as_json)
    return exit_code(view)


async def _dry(house: House, name: str, inputs: Mapping[str, Any], as_json: bool, *, branches: bool) -> int:
    from chat.terminal.dry import dry_run

    try:
        workflow = await _checked(house, name, as_json, dry=True)
        if workflow is None:
            return 1
        inputs = await read_files(house, workflow, inputs)
        return await dry_run(house, workflow, inputs, as_json, branches=branches)
    finally:
        await house.close()


async def _checked(house: House, name: str, as_json: bool, *, dry: bool = False) -> Workflow | None:
    """The workflow when it may run here and now; its warnings go to stderr. Otherwise its problems are
    printed. What this machine lacks does not matter to a dry run.
    """
    from engine.prepare import check_for_run, check_here

    text = read_text(name) if is_file_name(name) else (await house.workflows.get(OWNER, name)).yaml
    look = check_here if dry else check_for_run
    checked = await look(text, house.tools, house.models, house.workflows.of(OWNER))
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
