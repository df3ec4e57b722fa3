"""A text checked for the installation that it stands in, or about to run in it: what depends on the models that
can be reached here is part of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from engine.check import Checked, at_start, check, on_machine
from engine.check.children import named_in
from engine.check.machine import Machine, asked_for, runs_code
from engine.document import read_document
from engine.errors import WorkflowInvalid
from engine.pins import DEEPEST

if TYPE_CHECKING:
    from engine.ports import ModelClient
    from engine.workflow import Workflow
    from tools.registry import ToolRegistry


class Library(Protocol):
    """The saved workflows of one owner."""

    async def text(self, name: str) -> str | None:
        """The text of the workflow of this name, None where there is none."""
        ...

    async def names(self) -> list[str]: ...


@dataclass(frozen=True)
class Found:
    """The saved workflows that a document needs, as the checker asks for them."""

    texts: Mapping[str, str]
    known: tuple[str, ...] = field(default=())

    def __call__(self, name: str) -> str | None:
        return self.texts.get(name)

    def names(self) -> list[str]:
        """The names of all saved workflows."""
        return list(self.known)


async def find_below(text: str, library: Library | None) -> Found | None:
    """The workflows that a document names, and those that these name, as deep as workflows may stand; None where
    nobody knows which are saved.
    """
    if library is None:
        return None
    todo = await asyncio.to_thread(_named, text)
    if not todo:
        return Found({})
    texts: dict[str, str] = {}
    for _ in range(DEEPEST + 1):
        found = {name: await library.text(name) for name in todo}
        texts |= {name: saved for name, saved in found.items() if saved is not None}
        below = [await asyncio.to_thread(_named, saved) for saved in found.values() if saved is not None]
        todo = tuple(dict.fromkeys(name for names in below for name in names if name not in texts))
    return Found(texts, tuple(await library.names()))


def _named(text: str) -> tuple[str, ...]:
    return named_in(read_document(text)) if "workflow" in text else ()


async def check_text(text: str, tools: ToolRegistry, library: Library | None = None) -> Checked:
    """What the checker says of a document, whatever this machine lacks."""
    found = await find_below(text, library)
    return await asyncio.to_thread(check, text, tools, workflows=found)


async def check_here(
    text: str, tools: ToolRegistry, models: ModelClient, library: Library | None = None
) -> Checked:
    """What the checker says of a document here. What this machine lacks is a warning."""
    return await add_machine(await check_text(text, tools, library), tools, models)


async def add_machine(checked: Checked, tools: ToolRegistry, models: ModelClient) -> Checked:
    """What was checked, with what depends on the machine; without llm nodes its models are not asked."""
    machine = await _machine(checked, tools, models)
    return checked if machine is None else await asyncio.to_thread(on_machine, checked, tools, machine)


async def _machine(checked: Checked, tools: ToolRegistry, models: ModelClient) -> Machine | None:
    """What this document needs to know of the machine; None where that is nothing."""
    named = asked_for(checked.document, tools)
    no_code = tools.no_code() if runs_code(checked.document, tools) else None
    if named:
        machine = await models.machine(named)
        return machine if no_code is None else replace(machine, no_code=no_code)
    return None if no_code is None else Machine(None, no_code=no_code)


async def check_for_run(
    text: str, tools: ToolRegistry, models: ModelClient, library: Library | None = None
) -> Checked:
    """As `check_here`, but what this machine lacks is an error now: there is no workflow then."""
    checked = await check_text(text, tools, library)
    machine = None if checked.workflow is None else await _machine(checked, tools, models)
    if machine is None:
        return checked
    here = await asyncio.to_thread(on_machine, checked, tools, machine)
    found = at_start(here.problems, machine)
    broken = any(problem.severity == "error" for problem in found)
    return replace(checked, problems=found, workflow=None if broken else checked.workflow)


async def prepare(
    text: str, tools: ToolRegistry, models: ModelClient, library: Library | None = None
) -> Workflow:
    """Check a document for a run. WorkflowInvalid with all its problems when it can't be run."""
    checked = await check_for_run(text, tools, models, library)
    if checked.workflow is None:
        raise WorkflowInvalid(checked.problems)
    return checked.workflow
