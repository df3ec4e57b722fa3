"""The one checker: what the editor, the assistant, the API, the command line and the engine all call.

`check` reads a text, applies the schema and every rule, and gives the problems in the order of their lines;
and the workflow itself when none of them is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.check.children import Children, Lookup
from engine.check.machine import IDS as MACHINE_RULES
from engine.check.machine import Machine, at_start, machine_problems
from engine.check.money import IDS as MONEY_RULES
from engine.check.money import money_problems
from engine.check.patches import apply, apply_patches, unite
from engine.document import Document, read_document
from engine.problems import Problem
from engine.workflow import Workflow

if TYPE_CHECKING:
    from tools.registry import ToolRegistry

__all__ = ["Checked", "Lookup", "Machine", "apply", "apply_patches", "at_start", "check", "on_machine"]


@dataclass(frozen=True)
class Checked:
    """What the checker says: all problems in document order, and the workflow where none of them is an
    error.
    """

    problems: tuple[Problem, ...]
    workflow: Workflow | None
    document: Document

    @property
    def ok(self) -> bool:
        return not self.errors

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if p.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if p.severity == "warning")


def check(
    text: str,
    tools: ToolRegistry,
    *,
    machine: Machine | None = None,
    workflows: Lookup | None = None,
) -> Checked:
    """Check a document. Never raises for what stands in it.

    `machine` adds what depends on the installation, such as a model that is not there; see `Machine`. `workflows`
    finds the saved workflows that nodes name; without it they are not judged.
    """
    return _check(text, tools, machine, Children(workflows, tools) if workflows else None)


def check_below(text: str, tools: ToolRegistry, children: Children) -> Checked:
    """Check a workflow that another one runs; `children` remembers what was checked already."""
    return _check(text, tools, None, children)


def _check(text: str, tools: ToolRegistry, machine: Machine | None, children: Children | None) -> Checked:
    from engine.build import build_workflow

    document = read_document(text)
    problems = _in_order(document, _problems(document, tools, machine, children))
    broken = document.data is None or any(p.severity == "error" for p in problems)
    workflow = None if broken else build_workflow(document, tools)
    return _within_budget(Checked(problems, workflow, document), tools, machine)


def on_machine(checked: Checked, tools: ToolRegistry, machine: Machine) -> Checked:
    """What `check` would have said with this machine, without checking all the rest again."""
    others = [p for p in checked.problems if p.rule not in MACHINE_RULES | MONEY_RULES]
    found = machine_problems(checked.document, tools, machine)
    again = replace(checked, problems=_in_order(checked.document, [*others, *found]))
    return _within_budget(again, tools, machine)


def _within_budget(checked: Checked, tools: ToolRegistry, machine: Machine | None) -> Checked:
    """With what the whole workflow would cost here, where the document has a budget."""
    found = money_problems(checked.document, tools, machine, checked.workflow)
    if not found:
        return checked
    problems = _in_order(checked.document, [*checked.problems, *found])
    broken = any(p.severity == "error" for p in found)
    return replace(checked, problems=problems, workflow=None if broken else checked.workflow)


def _in_order(document: Document, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    found = unite(document, problems)
    return tuple(sorted(found, key=lambda p: (p.line, p.column, p.severity, p.rule)))


def _problems(
    document: Document, tools: ToolRegistry, machine: Machine | None, children: Children | None
) -> Iterator[Problem]:
    """What the reader, the schema and the rules find, without any secret that stands in the document."""
    from engine.check.catalogue import RULES
    from engine.check.draft import Draft
    from engine.check.rules import problems_of
    from engine.check.secrets import Redactor
    from engine.schema import findings

    misread = {p.path for p in document.problems if p.path}
    reported = [*document.problems, *(p for p in findings(document) if p.path not in misread)]
    unsure = [p.path for p in reported if p.severity == "error"]
    draft = Draft(document, tools, machine, unsure=unsure, children=children)
    yield from map(Redactor(draft).clean, reported)
    yield from problems_of(draft, RULES)
