"""What a rule is: an id, a severity, a docstring for people, and a function that finds places in a draft.

A rule is made by the decorator `rule` from a generator of `Found`. The docstrings are docs/rules.md.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from engine.problems import Patch, Severity

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
