"""Names for what a plan speaks of: identifiers that are unique, told from the words, and never reserved ones."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chat.assistant.wiring_text import one_line

if TYPE_CHECKING:
    from chat.assistant.wiring import Plan, PlanStep

LONGEST_CASE = 60
_FILLER = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by for from i in into is it its me my of on or our please than that the "
        "their them then there this those to up us we with you your",
    )
)
_RESERVED = frozenset(
    re.findall(
        r"\w+",
        "null true false yes no on off and or not in start end fail continue default state secret item inputs "
        "result",
    )
)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a plan, by its order: `fields` are what the steps fill, `cases` the values of those that decide.

    `place` leads from a name as the plan says it to ("input" or "step", number).
    """

    inputs: tuple[str, ...]
    ids: tuple[str, ...]
    fields: tuple[str, ...]
    cases: tuple[tuple[str, ...], ...]
    input_enums: dict[str, tuple[str, ...]]
    place: dict[str, tuple[str, int]]


def name_all(plan: Plan) -> Names:
    taken: set[str] = set()
    inputs = tuple(_unique(identifier(given.name, 6, "input") or "input", taken) for given in plan.inputs)
    ids: list[str] = []
    for number, step in enumerate(plan.steps, 1):
        ids.append(_unique(identifier(step.id, 6) or identifier(step.sentence, 3) or f"step_{number}", taken))
    cases = tuple(_cases(step) for step in plan.steps)
    place: dict[str, tuple[str, int]] = {}
    for number, (given, name) in enumerate(zip(plan.inputs, inputs, strict=True)):
        place.setdefault(given.name, ("input", number))
        place.setdefault(name, ("input", number))
    for number, (step, name) in enumerate(zip(plan.steps, ids, strict=True)):
        place.setdefault(step.id or name, ("step", number))
        place.setdefault(name, ("step", number))
    fields = _fields(plan, inputs, ids, cases)
    for number, (step, name) in enumerate(zip(plan.steps, fields, strict=True)):
        place.setdefault(name, ("step", number))
        if step.result:
            place.setdefault(step.result, ("step", number))
    enums = {
        name: values
        for given, name in zip(plan.inputs, inputs, strict=True)
        if (values := _values(given.enum))
    }
    return Names(inputs, tuple(ids), fields, cases, enums, place)


def _fields(
    plan: Plan, inputs: Collection[str], ids: Collection[str], cases: Collection[tuple[str, ...]]
) -> tuple[str, ...]:
    """The field that each step fills; a name that is taken is shared only by different cases of one decision."""
    taken = {*inputs}
    fields: list[str] = []
    owners: dict[str, list[PlanStep]] = {}
    for step, own, values in zip(plan.steps, ids, cases, strict=True):
        wanted = identifier(step.result, 6)
        if wanted in owners and all(_apart(step, other) for other in owners[wanted]):
            owners[wanted].append(step)
            fields.append(wanted)
            continue
        name = _unique(wanted or f"{own}_{'choice' if values else 'result'}", taken)
        if wanted == name and _plain(step):
            owners[name] = [step]
        fields.append(name)
    return tuple(fields)


def _apart(one: PlanStep, other: PlanStep) -> bool:
    """Whether only one of the two can ever run, and both fill the field with text."""
    if not (one.only and other.only and _plain(one)):
        return False
    return one.only[0] == other.only[0] and one.only[1] != other.only[1]


def _plain(step: PlanStep) -> bool:
    return step.kind == "llm" and step.type == "str" and not step.cases and not step.each


def _cases(step: PlanStep) -> tuple[str, ...]:
    if step.kind not in ("llm", "ask") or step.each:
        return ()
    values = _values(step.cases)
    return values if len(values) > 1 else ()


def _values(words: Collection[str]) -> tuple[str, ...]:
    """Values of an enum that also stand in a condition: no quotes, no braces, each once."""
    found: dict[str, str] = {}
    for word in words:
        value = case_value(word)
        if value:
            found.setdefault(value.casefold(), value)
    return tuple(found.values())


def case_value(word: str) -> str:
    """A case as it stands in the document."""
    return one_line(re.sub(r"[\"'\\{}`]", " ", one_line(word)))[:LONGEST_CASE].strip()


def identifier(text: str, words: int, kind: str = "step") -> str:
    """`slug`, but never a reserved word; an identifier stays as it is."""
    name = text if re.fullmatch(r"[a-z][a-z0-9_]{0,39}", text) else slug(text, words)
    return f"{name}_{kind}" if name in _RESERVED else name


def slug(text: str, words: int) -> str:
    """The first words that carry meaning, as an identifier; "" where there is none in Latin letters."""
    found = [w for w in re.findall(r"[a-z0-9]+", text.lower()) if w not in _FILLER][:words]
    name = "_".join(found)[:40].strip("_")
    return name if re.match(r"[a-z]", name) else ""


def _unique(base: str, taken: set[str]) -> str:
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base}_{count}"
    taken.add(name)
    return name
