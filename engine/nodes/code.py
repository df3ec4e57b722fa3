"""A node that runs Python in the sandbox, and the Python tool that a model is given by `sandbox`.

Code sees its inputs, or the whole state where it names none; what it leaves in `result` is what the node gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.nodes.outputs import Misfit, writes_of
from engine.nodes.step import Step
from tools.errors import ToolError
from tools.registry import Tool, ToolContext, tool

if TYPE_CHECKING:
    from engine.workflow import Node, SandboxOptions
    from tools.sandbox.pool import Sandbox, SandboxResult

SECONDS, MEGABYTES = 30.0, 256
PRESETS: Mapping[str, tuple[float, int]] = {
    "low": (10.0, 128),
    "medium": (SECONDS, MEGABYTES),
    "high": (120.0, 512),
    "max": (600.0, 1024),
}
"""Seconds and megabytes of each preset."""
LONGEST_CODE, LONGEST_PRINTED = 100_000, 500


async def run(step: Step) -> Mapping[str, Any]:
    """Run the code; the writes. ToolError where it fails, and where the sandbox cannot do what the node asks."""
    inputs = step.inputs if step.node.inputs else step.state
    done = await execute(step, step.node.code or "", inputs)
    return writes(step, done)


def writes(step: Step, done: SandboxResult) -> Mapping[str, Any]:
    """The outputs in what the code left. ToolError when there is no result, or it does not fit."""
    node = step.node
    if not node.outputs:
        return {}
    if not done.has_result:
        raise ToolError("The code set no result.", f"End it with {_result_for(node)}.", code="code_no_result")
    try:
        return writes_of(node, step.workflow, done.result)
    except Misfit as error:
        raise ToolError(
            f"The result of the code does not fit. {error}",
            "Correct what result is set to.",
            code="misfit",
            about=error.about,
        ) from None


def _result_for(node: Node) -> str:
    if len(node.outputs) == 1:
        return f"result = … (the value of {node.outputs[0]})"
    keys = ", ".join(f'"{name}": …' for name in node.outputs)
    return f"result = {{{keys}}}"


async def execute(step: Step, code: str, inputs: Mapping[str, Any]) -> SandboxResult:
    """Run code within the limits that the node sets. It may call the node's tools, those that only read."""
    options = step.node.sandbox
    if options.network:
        raise ToolError(
            "The code asks for the network, which this sandbox does not have.",
            "Remove sandbox.network, and fetch with a tool (http_get) in a node of its own.",
            code="code_error",
        )
    box = _sandbox(step)
    seconds, megabytes = limits(options)
    reading = _reading_tools(step)

    async def call(name: str, args: dict[str, Any]) -> Any:
        return step.hide(await reading[name](args, context_of(step, name)))

    try:
        return await box.run(
            code,
            inputs,
            timeout=seconds,
            memory_mb=megabytes,
            call_tool=call,
            tools=tuple(reading),
            allowed_modules=options.allowed_modules,
        )
    except ToolError as error:
        printed = str(getattr(error, "stdout", "")).strip()
        if printed:
            error.message += f" Before that it printed: {printed[-LONGEST_PRINTED:]}"
        raise


def limits(options: SandboxOptions) -> tuple[float, int]:
    """Seconds and megabytes: what the document says, else its preset, else the usual."""
    seconds, megabytes = PRESETS.get(options.preset or "", (SECONDS, MEGABYTES))
    return (
        seconds if options.timeout is None else options.timeout,
        megabytes if options.max_memory_mb is None else options.max_memory_mb,
    )


def _sandbox(step: Step) -> Sandbox:
    box = step.services.sandbox
    if box is None:
        raise ToolError("There is no sandbox here, and code runs nowhere else.", code="sandbox_missing")
    reason = box.available()
    if reason:
        raise ToolError(f"The code cannot run. {reason}", code="sandbox_missing")
    return box


def _reading_tools(step: Step) -> dict[str, Tool]:
    """The node's tools that only read. One with an effect has rows of its own, which code cannot give it."""
    tools = step.services.tools
    found = {use.name: tools.get(use.name) for use in step.node.tools if use.name in tools}
    return {name: each for name, each in found.items() if each.effect == "none" and name.isidentifier()}


def context_of(step: Step, name: str) -> ToolContext:
    """What a tool that the code calls may know of its surroundings."""
    use = next(use for use in step.node.tools if use.name == name)
    return ToolContext(
        run_id=step.run_id,
        node=step.node.id,
        idempotency_key=f"{step.key}/code",
        config=use.config.render(step.lookup_with_secrets) if use.config else {},
        allow_private=step.services.tools.allow_private,
        timeout=step.node.timeout,
        now=step.services.clock.now,
    )


def python_tool(step: Step) -> Tool:
    """The tool `python` of a model whose node has a sandbox."""
    reading = ", ".join(f"tools.{name}(...)" for name in _reading_tools(step))

    @tool(
        name="python",
        description=(
            "Runs Python (standard library; no files, no network). `inputs` is a dict of what this step was given. "
            "Print, or set `result`, to see something; nothing is kept between calls."
            + (f" It may call {reading}, with arguments by name." if reading else "")
        ),
        parameters={"code": {"type": "string", "maxLength": LONGEST_CODE, "description": "The Python code."}},
        returns="result, and what was printed",
    )
    async def python(args: Mapping[str, Any], _: ToolContext) -> Any:
        done = await execute(step, args["code"], step.inputs if step.node.inputs else step.state)
        told: dict[str, Any] = {"result": done.result} if done.has_result else {}
        if done.stdout:
            told["printed"] = done.stdout
        if not told:
            told = {"variables": dict(done.names)}
        return told

    return python
