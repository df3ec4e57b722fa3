"""The documents that a run's sub-workflows are: found by name when the root starts, and fixed for all that follows."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from engine.errors import NotFound, RunError, WorkflowInvalid
from engine.ports import RunStore
from engine.workflow import Workflow

DEEPEST = 5
"""How deep sub-workflows may stand inside one another; the run that a person starts is at 0."""

Resolver = Callable[[str], Awaitable[str | None]]
"""The text of the saved workflow of a name, None where there is none."""

SavedWorkflows = Callable[[str, str], Awaitable[str | None]]
"""The text of the saved workflow of an owner and a name, None where there is none."""

Reader = Callable[[str], Awaitable[Workflow]]
"""The workflow of a text. WorkflowInvalid when the checker refuses it."""


@dataclass
class Pinned:
    """What a workflow's sub-workflows are, by name, with all that are below them."""

    workflows: dict[str, Workflow] = field(default_factory=dict)

    @property
    def digests(self) -> dict[str, str]:
        return {name: digest_of(workflow) for name, workflow in self.workflows.items()}

    async def keep(self, store: RunStore) -> None:
        """Store the documents under their digests."""
        for workflow in self.workflows.values():
            await store.pin(digest_of(workflow), workflow.text)


def digest_of(workflow: Workflow) -> str:
    """What a pinned document is kept under: its text alone says what it is."""
    return hashlib.sha256(workflow.text.encode("utf-8", "surrogatepass")).hexdigest()


def names_in(workflow: Workflow) -> Iterable[str]:
    """The workflows that its nodes start, each once."""
    return dict.fromkeys(node.subflow for node in workflow.nodes.values() if node.subflow)


async def pin(workflow: Workflow, resolve: Resolver | None, read: Reader) -> Pinned:
    """Find all sub-workflows. RunError for a circle or too deep a nesting, NotFound for a name without a workflow,
    WorkflowInvalid for one that is refused.
    """
    pinned = Pinned()
    for name in names_in(workflow):
        await _follow(pinned, workflow.name, name, (), resolve, read)
    return pinned


async def _follow(
    pinned: Pinned, above: str, name: str, way: tuple[str, ...], resolve: Resolver | None, read: Reader
) -> None:
    if name in way:
        circle = " → ".join((*way[way.index(name) :], name))
        raise RunError(
            f"The workflow {name} would start itself: {circle}.", "Let one of them do without the next."
        )
    way = (*way, name)
    if len(way) > DEEPEST:
        raise RunError(
            f"Sub-workflows stand inside one another {len(way)} deep, and {DEEPEST} is the most: {' → '.join(way)}.",
            "Let the workflows in between do the work themselves.",
        )
    if name not in pinned.workflows:
        pinned.workflows[name] = await _find(above, name, resolve, read)
    for below in names_in(pinned.workflows[name]):
        await _follow(pinned, name, below, way, resolve, read)


async def _find(above: str, name: str, resolve: Resolver | None, read: Reader) -> Workflow:
    text = await resolve(name) if resolve is not None else None
    if text is None:
        raise NotFound(
            f"The workflow {above} starts the workflow {name}, and there is none of that name.",
            "Save one, or correct the name.",
        )
    try:
        return await read(text)
    except WorkflowInvalid as error:
        raise WorkflowInvalid(error.problems, f"The sub-workflow {name}") from None
