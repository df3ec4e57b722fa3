"""How control moves through a plan: what waits for what, and the edges that say so.

Steps of a case form a block below the step that decides; seen from outside, that step and its blocks are one item.
So whatever waits for something inside a branch waits for the whole of it, which is right whichever way was taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from chat.assistant.wiring_names import Names, case_value
from chat.assistant.wiring_text import named_in, quoted

if TYPE_CHECKING:
    from chat.assistant.wiring import Plan, PlanStep

Block = tuple[int, int] | None
"""(the step that decides, the number of its case); None is the outermost."""


@dataclass
class Ways:
    """Found once per plan, by `find_ways`. Steps are meant by their number in the plan."""

    plan: Plan
    names: Names
    blocks: list[Block]
    before: list[set[int]]
    """Items of the same block that an item waits for."""
    needs: list[list[str]] = field(default_factory=list)
    """References (`state.x`) that a step needs, in the order in which it names them."""
    order: list[int] = field(default_factory=list)

    def block(self, which: Block) -> list[int]:
        return [number for number, block in enumerate(self.blocks) if block == which]

    def each(self, number: int) -> str | None:
        """The field that a step runs over; None where it does not, or where that can be no list."""
        step = self.plan.steps[number]
        found = self.names.place.get(step.each) if step.each else None
        if found is None or self.reference(found) not in self.needs[number]:
            return None
        kind, source = found
        if kind == "step":
            shared = self.names.fields.count(self.names.fields[source]) > 1
            one_answer = self.names.cases[source] or self.plan.steps[source].kind == "ask"
            return None if shared or one_answer else self.names.fields[source]
        return None if self.names.inputs[source] in self.names.input_enums else self.names.inputs[source]

    def giver(self, number: int) -> PlanStep | None:
        """The step whose list a step runs over; None where that is an input."""
        kind, source = self.names.place.get(self.plan.steps[number].each, ("input", 0))
        return self.plan.steps[source] if kind == "step" else None

    def reference(self, place: tuple[str, int]) -> str:
        kind, number = place
        return f"state.{(self.names.inputs if kind == 'input' else self.names.fields)[number]}"

    def known(self, number: int) -> dict[str, str]:
        """The names that a step's texts may use, to their references."""
        known = {}
        for name, place in self.names.place.items():
            where = self.reference(place)
            if place[0] == "input" or where in self.needs[number]:
                known[name] = where
        return known

    def needed(self, number: int) -> list[str]:
        return self.needs[number]

    def labels(self, number: int, names: Names) -> Iterator[tuple[str, str]]:
        """What a step needs, each with the words that stand before it."""
        steps = [where for where in self.needs[number] if where.removeprefix("state.") in names.fields]
        over = self.each(number)
        for where in self.needs[number]:
            name = where.removeprefix("state.")
            if name == over:
                continue
            if name in names.fields:
                own = name.removesuffix("_result").removesuffix("_choice")
                yield where, "So far" if len(steps) == 1 else _title(own)
            else:
                yield where, _title(name)

    def last(self) -> list[int]:
        """The steps whose results nobody waits for."""
        return [step for item in self._exits(None) for step, _ in self._leaving(item)]

    def edges(self, names: Names) -> list[str]:
        """The lines of `edges`; none where the steps simply follow each other."""
        if self._is_chain():
            return []
        plain: dict[int, list[int]] = {}
        routes: dict[tuple[int, int], list[int]] = {}
        for number, waits in enumerate(self.before):
            for item in sorted(waits):
                for step, case in self._leaving(item):
                    (
                        plain.setdefault(step, []) if case is None else routes.setdefault((step, case), [])
                    ).append(number)
        for decider, case in {block for block in self.blocks if block is not None}:
            routes[decider, case] = self._entries((decider, case))
        lines = ["edges:", f"  - {{from: START, to: {_to(names, self._entries(None))}}}"]
        for number in self.order:
            if self._branches(number):
                lines += self._routes(number, routes, names)
            else:
                lines.append(f"  - {{from: {names.ids[number]}, to: {_to(names, plain.get(number, []))}}}")
        return lines

    def _routes(self, number: int, routes: Mapping[tuple[int, int], list[int]], names: Names) -> list[str]:
        lines = [f"  - from: {names.ids[number]}", "    routes:"]
        cases = range(len(names.cases[number]))
        empty = [case for case in cases if not self.block((number, case))]
        otherwise = empty[0] if empty else cases[-1]
        for case in cases:
            if case not in empty and case != otherwise:
                condition = quoted(f"state.{names.fields[number]} == '{names.cases[number][case]}'")
                lines.append(f"      - {{condition: {condition}, to: {_to(names, routes[number, case])}}}")
        target = _to(names, routes.get((number, otherwise), []))
        return [*lines, f"      - {{condition: default, to: {target}}}"]

    def _is_chain(self) -> bool:
        if any(block is not None for block in self.blocks):
            return False
        follows = all(self.before[after] == {before} for before, after in pairwise(self.order))
        return follows and not self.before[self.order[0]]

    def _branches(self, number: int) -> bool:
        return any(block is not None and block[0] == number for block in self.blocks)

    def _entries(self, block: Block) -> list[int]:
        return [number for number in self.block(block) if not self.before[number]]

    def _exits(self, block: Block) -> list[int]:
        items = self.block(block)
        awaited = {before for number in items for before in self.before[number]}
        return [number for number in items if number not in awaited]

    def _leaving(self, item: int) -> list[tuple[int, int | None]]:
        """Where control leaves an item: (step, None), or (the step that decides, a case without steps)."""
        if not self._branches(item):
            return [(item, None)]
        found: list[tuple[int, int | None]] = []
        for case in range(len(self.names.cases[item])):
            if self.block((item, case)):
                found += [way for inner in self._exits((item, case)) for way in self._leaving(inner)]
            else:
                found.append((item, case))
        return found

    def settle(self) -> None:
        """Drop what follows from the rest, and put the steps in an order in which each comes after what it needs."""
        for number, waits in enumerate(self.before):
            implied = {far for near in waits for far in self.all_before(near)}
            self.before[number] = waits - implied
        self.order = list(self._ordered(None))

    def _ordered(self, block: Block) -> Iterator[int]:
        left = self.block(block)
        while left:
            free = next(number for number in left if not self.before[number] & set(left))
            left.remove(free)
            yield free
            for case in range(len(self.names.cases[free])):
                yield from self._ordered((free, case))

    def precedes(self, other: int, number: int) -> bool:
        """Whether a step has ended, or was left out, whenever another begins."""
        theirs = dict(_outwards(self, other))
        block, item = next((block, item) for block, item in _outwards(self, number) if block in theirs)
        if theirs[block] == item:
            return other == item and other != number
        return theirs[block] in self.all_before(item)

    def all_before(self, number: int) -> set[int]:
        found: set[int] = set()
        left = [number]
        while left:
            for before in self.before[left.pop()]:
                if before not in found:
                    found.add(before)
                    left.append(before)
        return found


def find_ways(plan: Plan, names: Names) -> Ways:
    """What waits for what. Needs of later steps, and those that would make a circle, are left out."""
    ways = Ways(plan, names, _blocks(plan, names), [set() for _ in plan.steps])
    for number, step in enumerate(plan.steps):
        met: list[str] = []
        for name in wanted_by(step):
            place = names.place.get(name)
            if place is not None and (place[0] == "input" or _wait(ways, number, place[1])):
                where = ways.reference(place)
                met += [] if where in met else [where]
        for name in step.after:
            place = names.place.get(name)
            if place is not None and place[0] == "step":
                _wait(ways, number, place[1])
        ways.needs.append(met)
    ways.settle()
    return ways


def wanted_by(step: PlanStep) -> list[str]:
    """All names that a step may mean: its needs, its list, and every `{name}` in its texts."""
    own = [*step.needs, *([step.each] if step.each else [])]
    texts = named_in(
        step.body if step.kind in ("llm", "ask") else "", step.args if step.kind == "tool" else {}
    )
    return [*own, *(name for name in texts if not (step.each and name == "item"))]


def _blocks(plan: Plan, names: Names) -> list[Block]:
    blocks: list[Block] = []
    for number, step in enumerate(plan.steps):
        place = names.place.get(step.only[0]) if step.only else None
        block: Block = None
        if step.only and place and place[0] == "step" and place[1] < number:
            value = case_value(step.only[1]).casefold()
            values = [case.casefold() for case in names.cases[place[1]]]
            block = (place[1], values.index(value)) if value in values else None
        blocks.append(block)
    return blocks


def _wait(ways: Ways, number: int, other: int) -> bool:
    """Make a step wait for an earlier one; false where it can't."""
    if other >= number:
        return False
    theirs = dict(_outwards(ways, other))
    block, item = next((block, item) for block, item in _outwards(ways, number) if block in theirs)
    before = theirs[block]
    if item == before:
        return other == item  # the step that decides comes first by itself; another case never does
    if item in ways.all_before(before):
        return False
    ways.before[item].add(before)
    return True


def _outwards(ways: Ways, number: int) -> Iterator[tuple[Block, int]]:
    """The blocks around a step, innermost first, each with the item that the step is or stands in."""
    while True:
        block = ways.blocks[number]
        yield block, number
        if block is None:
            return
        number = block[0]


def _to(names: Names, steps: Sequence[int]) -> str:
    ids = list(dict.fromkeys(names.ids[step] for step in steps))
    return "END" if not ids else ids[0] if len(ids) == 1 else f"[{', '.join(ids)}]"


def _title(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
