"""Inputs that come along with a command: the sample of an example, or what stands after "run it with"."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chat.assistant.inputs import missing
from chat.assistant.turn import Turn
from chat.turns import CurrentWorkflow

if TYPE_CHECKING:
    from chat.gallery import Example


def sample_inputs(example: Example) -> dict[str, Any]:
    """The sample's inputs without those that were set by default and perhaps changed since."""
    from engine.document import read_document

    fields = read_document(example.yaml).data["state"]["fields"]
    return {name: value for name, value in example.inputs.items() if fields[name].get("required")}


async def rest_as_input(
    turn: Turn, saved: CurrentWorkflow, given: Mapping[str, Any], rest: str
) -> dict[str, Any]:
    """What came after "run it with": the first required input that is open, else the first of all."""
    from engine.check import check

    workflow = (await asyncio.to_thread(check, saved.yaml, turn.house.tools)).workflow
    if workflow is None:
        return {}
    names = missing(workflow, given) or [n for n in workflow.inputs if workflow.fields[n].required]
    return {names[0]: rest} if names else {}
