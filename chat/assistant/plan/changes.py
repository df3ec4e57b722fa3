"""What a person wants changed in an outline, read by code from plain words; the page's card says it the same way.

Numbers always mean the list as it was shown, whatever else the message changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from chat.assistant.plan.outline import LONGEST_SENTENCE, named
from chat.assistant.wiring import MOST_STEPS, Plan, PlanStep
from chat.assistant.wiring_text import one_line

_N = r"(?:(?:the\s+)?steps?\s+|schritte?\s+|number\s+|nr\.?\s*|no\.?\s*|#)?(\d{1,2})\b"
_MORE = r"(?:\s*(?:,|and|und|&)\s*(?:step\s+)?\d{1,2}\b(?!\s*[.)]\s*\w))*"
_QUOTED = r"(?:'([^'\n]+)'|\"([^\"\n]+)\"|“([^”\n]+)”|„([^“”\n]+)[“”]|‘([^’\n]+)’|([^\n,;'\"“]+?))"
_END = r"(?=\s*(?:[,;.!\n]|$))"
_PATTERNS = {
    "drop": r"(?:drop|remove|delete|strike(?: out)?|cut|skip|omit|leave out|streiche|entferne|lösche)\s+"
    + _N
    + _MORE,
    "swap": rf"(?:swap|switch|exchange|tausche)\s+{_N}\s*(?:and|with|&|,|und|mit)\s*{_N}",
    "move": rf"(?:move|put|verschiebe|setze)\s+{_N}\s+(before|after|to|behind|vor|nach|hinter|auf)\s+"
    rf"(?:place\s+|position\s+)?{_N}",
    "order": r"(?:re)?order:?\s+((?:\d{1,2}\b[\s,]*)+)",
    "add": rf"(?:add|insert|füge)\s+(?:a\s+step\s+)?{_QUOTED}\s+(?:(before|after|vor|nach)\s+{_N}"
    r"|at\s+the\s+(end|start|beginning|top)|am\s+(Ende|Anfang))(?:\s+(?:ein|hinzu))?",
    "change": rf"(?:change|rewrite|rename|replace|ändere|ersetze)\s+{_N}\s*"
    rf"(?:to|into|by|with|in|durch|zu|:|=)\s*{_QUOTED}{_END}",
    "build": r"(?:and\s+)?(?:build(?:\s+(?:it|that|them))?|go(?:\s+ahead)?|do\s+it|make\s+it|baue?\s+es|los)"
    rf"(?:\s+now|\s+then|\s+please)?{_END}",
}
_COMPILED = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in _PATTERNS.items()}
_BETWEEN = re.compile(r"(?:[\s,;.!]|\b(?:and|then|please|und|dann|bitte|also|yes|ok|okay)\b)*", re.IGNORECASE)


Steps = tuple[PlanStep, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """One thing to do with the list: `numbers` are those of steps, `place` says before, after or to, `text` is new."""

    kind: str
    numbers: tuple[int, ...] = ()
    place: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a message asks of an outline; `build` when nothing more is to be asked."""

    orders: tuple[Order, ...] = field(default_factory=tuple)
    build: bool = False


def read_changes(text: str) -> Wanted | None:
    """The orders in a message that consists of such orders alone; None for any other."""
    orders: list[Order] = []
    build = False
    end = _after(text, 0)
    while end < len(text):
        found = next(((k, m) for k, p in _COMPILED.items() if (m := p.match(text, end))), None)
        if found is None:
            return None
        kind, match = found
        if kind == "build":
            build = True
        else:
            orders.append(_order(kind, match))
        end = _after(text, match.end())
    return Wanted(tuple(orders), build) if orders or build else None


def _after(text: str, start: int) -> int:
    found = _BETWEEN.match(text, start)
    return found.end() if found else start


def _order(kind: str, match: re.Match[str]) -> Order:
    groups = match.groups()
    if kind == "drop":
        return Order(kind, tuple(map(int, re.findall(r"\d+", match.group()))))
    if kind == "order":
        return Order(kind, tuple(map(int, re.findall(r"\d+", groups[0]))))
    if kind == "swap":
        return Order(kind, (int(groups[0]), int(groups[1])))
    if kind == "move":
        return Order(kind, (int(groups[0]), int(groups[2])), _place(groups[1]))
    if kind == "change":
        return Order(kind, (int(groups[0]),), text=_said(groups[1:7]))
    place, number, edge = groups[6], groups[7], groups[8] or groups[9]
    if edge:
        return Order(
            kind,
            (),
            "before" if edge.lower() in ("start", "beginning", "top", "anfang") else "after",
            _said(groups[:6]),
        )
    return Order(kind, (int(number),), _place(place), _said(groups[:6]))


def _place(word: str) -> str:
    word = word.lower()
    return "before" if word in ("before", "vor") else "to" if word in ("to", "auf") else "after"


def _said(groups: tuple[str | None, ...]) -> str:
    text = one_line(next(group for group in groups if group))[:LONGEST_SENTENCE]
    return text[:1].upper() + text[1:]


def change(plan: Plan, wanted: Wanted) -> tuple[Plan, list[str]]:
    """The plan with the orders carried out, and what can't be: then nothing is changed."""
    wrong = list(_out_of_range(plan, wanted))
    if wrong:
        return plan, wrong
    shown, chain = plan.steps, _is_chain(plan)
    for order in wanted.orders:
        plan = _CHANGES[order.kind](plan, shown, order)
    plan = _chained(plan) if chain else _turned(plan)
    late = list(_before_they_are_decided(plan, shown))
    if late:
        return replace(plan, steps=shown), late
    if not plan.steps:
        return replace(plan, steps=shown), ["That would leave no step."]
    if len(plan.steps) > MOST_STEPS:
        return replace(plan, steps=shown), [f"A plan has at most {MOST_STEPS} steps."]
    return named(plan), []


def _out_of_range(plan: Plan, wanted: Wanted) -> list[str]:
    last = len(plan.steps)
    numbers = {number for order in wanted.orders for number in order.numbers}
    return [
        f"There is no step {number}; the last is {last}."
        for number in sorted(numbers)
        if not 1 <= number <= last
    ]


def _before_they_are_decided(plan: Plan, shown: Steps) -> Iterator[str]:
    """Steps of a case that would stand before the step that finds the case: they would run always."""
    place = {step.id: number for number, step in enumerate(plan.steps)}
    number = {step.id: own for own, step in enumerate(shown, 1)}
    for step in plan.steps:
        if step.only and place.get(step.only[0], -1) > place[step.id]:
            # A step that is added takes over the case of the one before it, and has no number yet.
            own = f"Step {number[step.id]}" if step.id in number else f"The new step “{step.sentence}”"
            yield (
                f"{own} runs only if step {number[step.only[0]]} says “{step.only[1]}”, so it "
                "has to come after that; nothing was changed."
            )


def _is_chain(plan: Plan) -> bool:
    """Whether each step simply goes on from the one before."""
    ids = {step.id for step in plan.steps}
    wanted: list[set[str]] = [set(), *({step.id} for step in plan.steps)]
    return all(
        {*step.needs, *step.after} & ids == before and not step.only
        for step, before in zip(plan.steps, wanted, strict=False)
    )


def _chained(plan: Plan) -> Plan:
    ids = {step.id for step in plan.steps}
    given = {one.name for one in plan.inputs}
    steps: list[PlanStep] = []
    for step in plan.steps:
        own = tuple(name for name in step.needs if name in given)
        before = (steps[-1].id,) if steps else ()
        each = steps[-1].id if steps and step.each in ids else step.each if step.each in given else ""
        steps.append(replace(step, needs=(*own, *before), after=(), each=each))
    return replace(plan, steps=tuple(steps))


def _turned(plan: Plan) -> Plan:
    """What now stands before the step that it used is used by that one instead."""
    place = {step.id: number for number, step in enumerate(plan.steps)}
    extra: dict[str, list[str]] = {}
    steps = []
    for number, step in enumerate(plan.steps):
        late = [name for name in step.needs if place.get(name, -1) > number]
        for name in late:
            extra.setdefault(name, []).append(step.id)
        steps.append(replace(step, needs=tuple(name for name in step.needs if name not in late)))
    turned = (replace(s, needs=tuple(dict.fromkeys([*s.needs, *extra.get(s.id, ())]))) for s in steps)
    return replace(plan, steps=tuple(turned))


def _drop(plan: Plan, shown: Steps, order: Order) -> Plan:
    for number in order.numbers:
        gone = shown[number - 1]
        plan = replace(plan, steps=tuple(_without(step, gone) for step in plan.steps if step.id != gone.id))
    return plan


def _without(step: PlanStep, gone: PlanStep) -> PlanStep:
    """A step that used what a dropped one gave uses what that one used."""
    needs = tuple(
        dict.fromkeys(n for name in step.needs for n in (gone.needs if name == gone.id else (name,)))
    )
    after = tuple(
        dict.fromkeys(n for name in step.after for n in (gone.after if name == gone.id else (name,)))
    )
    only = gone.only if step.only and step.only[0] == gone.id else step.only
    return replace(step, needs=needs, after=after, only=only, each="" if step.each == gone.id else step.each)


def _swap(plan: Plan, shown: Steps, order: Order) -> Plan:
    steps = list(plan.steps)
    places = [_place_of(steps, shown[number - 1]) for number in order.numbers]
    if None in places:
        return plan
    one, other = (place for place in places if place is not None)
    a, b = steps[one], steps[other]
    there = {a.id: b.id, b.id: a.id}
    # Each takes the other's place altogether: what it uses, and who uses it.
    steps[one], steps[other] = replace(b, needs=a.needs), replace(a, needs=b.needs)
    changed = (replace(step, needs=tuple(there.get(name, name) for name in step.needs)) for step in steps)
    return replace(plan, steps=tuple(changed))


def _move(plan: Plan, shown: Steps, order: Order) -> Plan:
    steps = list(plan.steps)
    here, there = (_place_of(steps, shown[number - 1]) for number in order.numbers)
    if here is None or there is None or here == there:
        return plan
    moved = steps.pop(here)
    after = order.place == "after" or (order.place == "to" and here < there)
    steps.insert(there - (here < there) + after, moved)
    return replace(plan, steps=tuple(steps))


def _reorder(plan: Plan, shown: Steps, order: Order) -> Plan:
    """The steps in this order; those that are not named are dropped."""
    wanted = list(dict.fromkeys(order.numbers))
    left = tuple(number for number in range(1, len(shown) + 1) if number not in wanted)
    plan = _drop(plan, shown, Order("drop", left))
    by_id = {step.id: step for step in plan.steps}
    ids = [shown[number - 1].id for number in wanted]
    added = [step for step in plan.steps if step.id not in {s.id for s in shown}]
    return replace(plan, steps=(*(by_id[own] for own in ids if own in by_id), *added))


def _add(plan: Plan, shown: Steps, order: Order) -> Plan:
    steps = list(plan.steps)
    at = (0 if order.place == "before" else len(steps)) if not order.numbers else None
    if at is None:
        place = _place_of(steps, shown[order.numbers[0] - 1])
        at = len(steps) if place is None else place + (order.place == "after")
    before = steps[at - 1] if at else None
    new = PlanStep(
        order.text,
        _free_id(plan),
        (*(given.name for given in plan.inputs), *([before.id] if before else [])),
        only=before.only if before else None,
    )
    if before is not None:
        # Who read what stands before it now reads the new one too.
        rest = [replace(s, needs=(*s.needs, new.id)) if before.id in s.needs else s for s in steps[at:]]
        steps[at:] = rest
    steps.insert(at, new)
    return replace(plan, steps=tuple(steps))


def _change(plan: Plan, shown: Steps, order: Order) -> Plan:
    wanted = shown[order.numbers[0] - 1].id
    return replace(
        plan,
        steps=tuple(replace(step, sentence=order.text) if step.id == wanted else step for step in plan.steps),
    )


def _place_of(steps: list[PlanStep], wanted: PlanStep) -> int | None:
    return next((place for place, step in enumerate(steps) if step.id == wanted.id), None)


def _free_id(plan: Plan) -> str:
    taken = {step.id for step in plan.steps} | {given.name for given in plan.inputs}
    return next(name for n in range(1, 200) if (name := f"added_{n}") not in taken)


_CHANGES: dict[str, Callable[[Plan, Steps, Order], Plan]] = {
    "drop": _drop,
    "swap": _swap,
    "move": _move,
    "order": _reorder,
    "add": _add,
    "change": _change,
}
