"""What a rule is: an id, a severity, a docstring for people, and a function that finds places in a draft.

A rule is made by the decorator `rule` from a generator of `Found`. The docstrings are docs/rules.md.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from engine.problems import Patch, Problem, Severity

if TYPE_CHECKING:
    from engine.check.draft import Draft

Path = tuple[str | int, ...]


class Found(NamedTuple):
    """A place where a rule is broken. `at` is a line and column where no `path` leads, as in a comment."""

    path: Path
    message: str
    patch: Patch | None = None
    at: tuple[int, int] | None = None


@dataclass(frozen=True)
class Rule:
    """One rule of the checker. `doc` says what it finds and what to do about it."""

    id: str
    severity: Severity
    doc: str
    find: Callable[[Draft], Iterable[Found]]


def rule(id: str, severity: Severity) -> Callable[[Callable[[Draft], Iterable[Found]]], Rule]:
    """Make a Rule of a function whose docstring explains it."""

    def wrap(find: Callable[[Draft], Iterable[Found]]) -> Rule:
        return Rule(id, severity, inspect.cleandoc(find.__doc__ or ""), find)

    return wrap


def problems_of(draft: Draft, rules: Iterable[Rule]) -> Iterator[Problem]:
    """What the rules find, with positions; no secret of the document is in it."""
    from engine.check.secrets import Redactor

    redactor = Redactor(draft)
    for each in rules:
        for found in each.find(draft):
            problem = draft.document.problem(
                each.id, found.path, found.message, severity=each.severity, patch=found.patch, at=found.at
            )
            yield redactor.clean(problem)
