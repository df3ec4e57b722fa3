"""What a run will take, before it: calls, tokens, dollars and seconds, for each node and as a whole, as ranges.

A range goes from what the run takes at least (the cheapest way through the graph, every loop once) to what it may
take (the dearest way, loops to their end, every reply of full length, asked again, tried again). What can't be
known is None and said in a sentence, never 0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import ModelError
from engine.estimate_history import Past, past_of
from engine.inputs import read_inputs
from engine.models import tokens
from engine.models.names import Target
from engine.nodes.llm import model_name
from engine.pins import DEEPEST, Resolver, names_in
from engine.ports import Asked, ModelClient, RunStore
from engine.workflow import LLM, Workflow

if TYPE_CHECKING:
    from tools.registry import ToolRegistry

Span = tuple[float, float]
Whole = tuple[int, int]
Basis = Literal["max_tokens", "history", "default"]


@dataclass(frozen=True, slots=True)
class NodeEstimate:
    """A node, with all its visits. `calls` are of models. `basis` says where the length of replies is from: what
    the document allows, earlier runs, or nothing better than the type.
    """

    id: str
    kind: str
    model: str | None
    calls: Whole
    prompt_tokens: Whole | None
    completion_tokens: Whole | None
    cost_usd: Span | None
    seconds: Span | None
    basis: Basis
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """The whole run. `unknown` says what could not be reckoned, a sentence each."""

    workflow: str
    nodes: tuple[NodeEstimate, ...]
    calls: Whole
    prompt_tokens: Whole | None
    completion_tokens: Whole | None
    cost_usd: Span | None
    seconds: Span | None
    budget_usd: float | None = None
    unknown: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; ranges are lists of two."""
        found = {**asdict(self), "nodes": [_plain(asdict(node)) for node in self.nodes]}
        return {**_plain(found), "unknown": list(self.unknown)}


def _plain(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


@dataclass(slots=True)
class Facts:
    """All that has to be asked of others before the reckoning, which asks nobody.

    `targets` by model and address; a name that leads nowhere has the reason instead. `workflows` are those of the
    sub-workflows by name, None for one that is not there or can't run.
    """

    tools: ToolRegistry
    force_model: str | None = None
    targets: dict[Asked, Target | str] = field(default_factory=dict)
    workflows: dict[str, Workflow | None] = field(default_factory=dict)
    past: dict[str, Mapping[str, Past]] = field(default_factory=dict)


class Estimator:
    """Estimates runs. Without a `store` there is no history, without `resolve` there are no sub-workflows."""

    def __init__(
        self,
        models: ModelClient,
        tools: ToolRegistry,
        store: RunStore | None = None,
        resolve: Resolver | None = None,
    ) -> None:
        self._models = models
        self._tools = tools
        self._store = store
        self._resolve = resolve

    async def estimate(
        self,
        workflow: Workflow,
        inputs: Mapping[str, Any],
        *,
        owner: str = "local",
        force_model: str | None = None,
    ) -> Estimate:
        """What a run with these inputs takes. Inputs may be missing, then their sizes are assumed.

        InputError for one that is unknown or does not fit.
        """
        facts = Facts(self._tools, force_model)
        await self._gather(facts, workflow, owner)
        given = given_inputs(workflow, inputs)

        def work() -> Estimate:
            from engine.reckoning import Reckoning

            return Reckoning(facts, workflow).of(given)

        return await asyncio.to_thread(work)

    async def _gather(self, facts: Facts, workflow: Workflow, owner: str) -> None:
        await self._follow(facts, workflow, owner, 0)
        for target in facts.targets.values():
            if isinstance(target, Target) and not target.free:
                await tokens.load(target.provider, target.model)

    async def _follow(self, facts: Facts, workflow: Workflow, owner: str, depth: int) -> None:
        for asked in asked_in(workflow, facts.force_model):
            if asked not in facts.targets:
                facts.targets[asked] = await self._target(asked)
        if self._store is not None and workflow.name not in facts.past:
            facts.past[workflow.name] = await past_of(self._store, workflow.name, owner, children=depth > 0)
        for name in names_in(workflow) if depth < DEEPEST else ():
            if name not in facts.workflows:
                facts.workflows[name] = found = await self._read(name)
                if found is not None:
                    await self._follow(facts, found, owner, depth + 1)

    async def _target(self, asked: Asked) -> Target | str:
        try:
            return await self._models.target(*asked)
        except ModelError as error:
            return str(error)

    async def _read(self, name: str) -> Workflow | None:
        from engine.check import check

        text = await self._resolve(name) if self._resolve is not None else None
        return None if text is None else (await asyncio.to_thread(check, text, self._tools)).workflow


def asked_in(workflow: Workflow, force_model: str | None) -> list[Asked]:
    """Every model that nodes may ask, fallbacks included."""
    found: dict[Asked, None] = {}
    for node in workflow.nodes.values():
        if node.kind == "llm":
            found.update(dict.fromkeys(candidates(node.llm, force_model)))
    return list(found)


def candidates(llm: LLM, force_model: str | None) -> list[Asked]:
    """The models of a node in the order in which they are asked."""
    if force_model is not None:
        return [(force_model, None)]
    found: list[Asked] = []
    for each in (llm, *llm.fallbacks):
        with suppress(ModelError):
            found.append((model_name(each), each.api_base))
    return found


def given_inputs(workflow: Workflow, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that are there, converted. InputError for one that is unknown or does not fit."""
    optional = {name: replace(each, required=False) for name, each in workflow.fields.items()}
    found = read_inputs(replace(workflow, fields=optional), inputs)
    return {name: value for name, value in found.items() if value is not None}
