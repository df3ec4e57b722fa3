"""A node that calls one tool directly, without a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import NodeError
from engine.nodes.hosts import names_own_host
from engine.nodes.outputs import Misfit, writes_of
from engine.nodes.step import Step
from tools.errors import ToolError
from tools.registry import ToolContext


async def run(step: Step) -> Mapping[str, Any]:
    """Render the arguments, call, map the result to the outputs. Secrets never leave this call."""
    node = step.node
    try:
        tool = step.services.tools.get(node.tool or "")
    except KeyError:
        raise NodeError(
            node.id, f"There is no tool {node.tool}.", "Check the name.", fault={"code": "tool_missing"}
        ) from None
    args = node.args.render(step.lookup_with_secrets) if node.args else {}
    context = ToolContext(
        run_id=step.run_id,
        node=node.id,
        idempotency_key=step.key,
        allow_private=step.services.tools.allow_private,
        own_host=names_own_host(step),
        effect=node.effect,
        timeout=node.timeout,
        now=step.services.clock.now,
    )
    result = step.hide(await tool(args, context))
    step.in_flight = None
    try:
        return writes_of(node, step.workflow, result)
    except Misfit as error:
        raise ToolError(
            f"{node.tool}: {error}", f"It gives back: {tool.returns}", code="misfit", about=error.about
        ) from None
