"""What a run would cost, against the budget of its document: it takes the machine's models, and their prices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.check.draft import Draft
from engine.check.reading import mapping
from engine.check.rules import Found, Path, problems_of, rule
from engine.problems import Problem

if TYPE_CHECKING:
    from engine.check.machine import Machine
    from engine.document import Document
    from engine.workflow import Workflow
    from tools.registry import ToolRegistry

_PATH: Path = ("config", "execution", "budget_usd")
Cost = tuple[float, float]


@rule("over-budget", "error")
def over_budget(draft: Draft) -> Iterator[Found]:
    """Even the cheapest way through the workflow costs more than `config.execution.budget_usd`, by the prices of the
    models that would answer here. Not one run could end well.

    Raise the budget, shorten the prompts, lower `max_tokens`, or use a cheaper model.
    """
    from engine.models.pricing import dollars

    cost, budget = _cost(draft), _budget(draft)
    if cost is not None and budget is not None and cost[0] > budget:
        least = f"A run costs at least {dollars(cost[0])}"
        yield Found(_PATH, f"{least}, and the budget is {dollars(budget)}. Raise it, or use a cheaper model.")


@rule("may-pass-budget", "warning")
def may_pass_budget(draft: Draft) -> Iterator[Found]:
    """A run may cost more than `config.execution.budget_usd`: on the dearest way, with replies of full length, asked
    again and tried again as often as the document allows. Such a run is stopped before the call that could be
    too much.

    Set `max_tokens`, lower `max_iterations` or `max_attempts`, or raise the budget.
    """
    from engine.models.pricing import dollars

    cost, budget = _cost(draft), _budget(draft)
    if cost is not None and budget is not None and cost[0] <= budget < cost[1]:
        span = f"A run costs from {dollars(cost[0])} to {dollars(cost[1])} at the most"
        fix = "One that would cost more is stopped. Set max_tokens, or raise the budget."
        yield Found(_PATH, f"{span}, and the budget is {dollars(budget)}. {fix}")


RULES = (over_budget, may_pass_budget)
IDS = frozenset(r.id for r in RULES)


def money_problems(
    document: Document, tools: ToolRegistry, machine: Machine | None, workflow: Workflow | None
) -> tuple[Problem, ...]:
    """What these rules find in a document that has passed all others; nothing where it has no budget."""
    if machine is None or workflow is None or workflow.execution.budget_usd is None:
        return ()
    return tuple(problems_of(Draft(document, tools, machine, workflow=workflow), RULES))


def _budget(draft: Draft) -> float | None:
    found = mapping(mapping(draft.data.get("config")).get("execution")).get("budget_usd")
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _cost(draft: Draft) -> Cost | None:
    """The least and the most that a run costs; None where that can't be told. Nothing is known of the inputs."""
    from engine.estimate import Facts
    from engine.reckoning import Reckoning

    workflow, machine = draft.workflow, draft.machine
    if workflow is None or machine is None or workflow.execution.budget_usd is None:
        return None
    force = machine.model.name if machine.forced and machine.model is not None else None
    facts = Facts(draft.tools, force, {(name, None): found for name, found in machine.targets.items()})
    return Reckoning(facts, workflow).of({}).cost_usd
