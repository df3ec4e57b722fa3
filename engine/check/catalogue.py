"""All rules in one place: those that look at a draft, and those that the reading of the document applies;
and their page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.check import (
    arguments,
    asks,
    availability,
    bounds,
    code,
    each,
    failures,
    files,
    flow,
    machine,
    money,
    names,
    references,
    routes,
    secrets,
    subflows,
    types,
    writes,
)
from engine.check.rules import Rule

FAMILIES: Mapping[str, Sequence[Rule]] = {
    "Names": names.RULES,
    "References": references.RULES,
    "Flow": flow.RULES,
    "Routes": routes.RULES,
    "Types": types.RULES,
    "Arguments of tools": arguments.RULES,
    "Reading and writing the state": writes.RULES,
    "Code": code.RULES,
    "Questions to a person": asks.RULES,
    "Workflows within a workflow": subflows.RULES,
    "One run per element": each.RULES,
    "Files": files.RULES,
    "Failures and effects": failures.RULES,
    "Bounds": bounds.RULES,
    "Secrets": secrets.RULES,
    "What is not there yet": availability.RULES,
    "The machine": machine.RULES,
    "Money": money.RULES,
}
RULES: tuple[Rule, ...] = tuple(rule for rules in FAMILIES.values() for rule in rules)

READING: Mapping[str, str] = {
    "yaml-syntax": """The text is no YAML. The message says what YAML stumbled over; mostly it is the
indentation, a quote or a colon.""",
    "yaml-key": "A key is not plain text, or `<<` takes in something that has no keys.",
    "yaml-tag": """A tag such as `!!python/object` stands in the document, which holds plain values only. Remove
it.""",
    "duplicate-key": "A key stands twice in the same place; the first one counts. Remove one of the two.",
    "unquoted-placeholder": """A reference in braces stands without quotes, so that YAML reads a set of keys. Put it
in quotes.""",
    "unquoted-type": """A type such as `list[int]` stands without quotes within braces, where YAML takes its
bracket for a list. Put it in quotes.""",
    "limit-size": "The document is larger than 1 MiB, or holds more than 200,000 values.",
    "limit-depth": "The document is nested more than 20 levels deep.",
    "limit-nodes": "The workflow has more than 1,000 nodes. Split it.",
    "limit-aliases": "With its aliases written out the document would be larger than 1 MiB.",
    "schema-version": 'The `schema_version` is not one that is known here. Write `"1.0"`, in quotes.',
    "unknown-key": "A key that the format does not have in this place.",
    "missing-key": "A key that must be there is not, or has no value.",
    "wrong-type": """A value is of another kind than the format wants: text, a number, a list, a set of keys.""",
    "bad-type": """The type of a field is none. Types are str, int, float, bool, list, dict, object, any, file,
list[T] and dict[K, V].""",
    "bad-value": "A value is empty, too large or too small, not one of those allowed, or no proper name.",
    "node-kind": """A node has no kind or two. Its kind is told by exactly one of the keys prompt, tool, code, ask,
workflow and agent.""",
    "edge-kind": """An edge has none of `to`, `routes` and `loop`, or more than one; or a route has `else` beside
`to` or `condition`.""",
}
"""Rules of the reader and the schema, all errors: id to what it finds."""

_INTRODUCTION = """# Rules of the checker

Every workflow is checked before it runs, by the same rules in the editor, in the chat, in the API and by
`app.py check`. A problem has a rule, a severity, a place (line and column, counted from 1) and a sentence that
says what to do; where only one mend is possible it comes as a patch. An **error** keeps a workflow from
running. A **warning** does not; those of the family "The machine" are errors when a run starts, except
`unlisted-model`.

This page is made from the rules themselves by `python -m engine.check.catalogue`.
"""


def page() -> str:
    """docs/rules.md."""
    parts = [_INTRODUCTION, "## Reading\n"]
    parts += [f"### `{id}` (error)\n\n{doc}\n" for id, doc in READING.items()]
    for family, rules in FAMILIES.items():
        parts.append(f"## {family}\n")
        parts += [f"### `{rule.id}` ({rule.severity})\n\n{rule.doc}\n" for rule in rules]
    return "\n".join(parts)


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())
