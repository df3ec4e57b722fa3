"""Which of a node's routes can be taken at all, found by trying a few telling values of everything they
compare.

A condition speaks about terms: a field, `len(state.notes)`, a sum. Each term gets the values at which
comparisons can change (the literals it is compared with and their neighbours, the values of an enum, true
and false, null); every combination is tried, as the engine would. What can't be told apart so is left free,
so a route is called dead only when it is.
"""

from __future__ import annotations

import ast
import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.expression_operators import OPERATORS, ValueProblem
from engine.expressions import Expression, literal
from engine.templates import Ref
from engine.types import Type, convert

MAX_COMBINATIONS = 2000
_FRESH = "\u2060any other text"


@dataclass(frozen=True)
class Fact:
    """What is known of a reference: its type, the only values it can have, and whether it can be null."""

    type: Type | None
    enum: Sequence[Any] | None = None
    nullable: bool = True


Facts = Callable[[Ref], Fact]
Values = Mapping[str, Any]
Test = Callable[[Values], bool]


@dataclass
class _Term:
    """A part of a condition that has one value in one evaluation, with the literals that it is compared
    with.
    """

    fact: Fact
    literals: list[Any] = field(default_factory=list)
    change: Callable[[str], str] | None = None
    least: float = -math.inf

    def values(self) -> list[Any]:
        found = self._telling()
        if self.change:
            found = [self.change(v) if isinstance(v, str) else v for v in found]
        return _distinct([*found, *([None] if self.fact.nullable else [])])

    def _telling(self) -> list[Any]:
        name = self.fact.type.name if self.fact.type else "any"
        if self.fact.enum:
            return list(self.fact.enum)
        if name == "bool":
            return [True, False]
        if name in ("int", "float"):
            return [n for n in self._numbers(name == "int") if n >= self.least]
        if name == "str":
            return self._texts()
        if name == "list":
            return self._lists(self.fact.type)
        if name in ("dict", "object", "file"):
            return [{}, {"any": _FRESH}]
        return [*self._numbers(False), *self._texts(), True, False, *self._lists(None)]

    def _numbers(self, whole: bool) -> list[float]:
        given = sorted({n for n in self.literals if isinstance(n, int | float) and not isinstance(n, bool)})
        if whole:
            return sorted({0, 1, *(math.floor(n) + d for n in given if abs(n) < 1e15 for d in (-1, 0, 1, 2))})
        between = [(a + b) / 2 for a, b in itertools.pairwise(given)]
        ends = [given[0] - 1, given[-1] + 1] if given else []
        return sorted({0, 1, *given, *between, *ends})

    def _lists(self, kind: Type | None) -> list[list[Any]]:
        """The lists it is compared with, as far as a value of that kind can be one, and some other list."""
        given = [value for value in self.literals if isinstance(value, list) and fits(kind, value)]
        return [[], [_FRESH], *given]

    def _texts(self) -> list[str]:
        given = [t for t in self.literals if isinstance(t, str)]
        return ["", _FRESH, *given, *(f"{t}\x01" for t in given)]


def fits(kind: Type | None, value: list[Any]) -> bool:
    """Whether a value of type `kind` can be this list; where the type is not known, it can."""
    try:
        return kind is None or bool(convert(value, kind) == value)
    except ValueError:
        return False


def _distinct(values: Sequence[Any]) -> list[Any]:
    return list({(type(v).__name__, repr(v)): v for v in values}.values())


class Reader:
    """Turns conditions into tests over shared terms."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.terms: dict[str, _Term] = {}

    def test(self, expression: Expression) -> Test:
        return _Tester(self, expression.refs).test(expression.tree)

    def combinations(self) -> Iterator[Values] | None:
        """Every combination of telling values; None where there are too many."""
        values = [term.values() for term in self.terms.values()]
        if math.prod(len(v) for v in values) > MAX_COMBINATIONS:
            return None
        return (dict(zip(self.terms, chosen, strict=True)) for chosen in itertools.product(*values))


@dataclass
class _Tester:
    reader: Reader
    refs: Sequence[Ref]

    def test(self, node: ast.expr) -> Test:
        if isinstance(node, ast.BoolOp):
            tests = [self.test(value) for value in node.values]
            if isinstance(node.op, ast.And):
                return lambda values: all(test(values) for test in tests)
            return lambda values: any(test(values) for test in tests)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.test(node.operand)
            return lambda values: not inner(values)
        if isinstance(node, ast.Compare):
            return self._compare(node)
        known, value = literal(node)
        if known:
            return lambda values: bool(value)
        key = self._term(node)
        return lambda values: bool(values[key])

    def _compare(self, node: ast.Compare) -> Test:
        sides = [node.left, *node.comparators]
        pairs = [self._pair(a, op, b) for a, op, b in zip(sides, node.ops, sides[1:], strict=False)]
        return pairs[0] if len(pairs) == 1 else lambda values: all(pair(values) for pair in pairs)

    def _pair(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Test:
        apply = OPERATORS[type(op)]
        (left_known, left_value), (right_known, right_value) = literal(left), literal(right)
        if left_known and right_known:
            return lambda values: bool(apply(left_value, right_value))
        if isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) and list in (
            type(left_value),
            type(right_value),
        ):
            return self._relation(left, op, right)
        if right_known:
            among = isinstance(op, ast.In | ast.NotIn) and isinstance(right_value, list)
            key = self._term(left, right_value if among else [right_value])
            return lambda values: bool(apply(values[key], right_value))
        if left_known and not isinstance(op, ast.In | ast.NotIn):
            key = self._term(right, [left_value])
            return lambda values: bool(apply(left_value, values[key]))
        return self._relation(left, op, right)

    def _relation(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Test:
        """Two terms compared with each other: only how they stand to each other counts."""
        if isinstance(op, ast.In | ast.NotIn):
            key = self._free(
                f"{self._shape(left)} in {self._shape(right)}", Fact(Type("bool"), nullable=False)
            )
            return lambda values: bool(values[key]) == isinstance(op, ast.In)
        first, second = sorted((self._shape(left), self._shape(right)))
        sign = 1 if first == self._shape(left) else -1
        nullable = self._fact(left).nullable or self._fact(right).nullable
        key = self._free(f"{first} to {second}", Fact(Type("int"), enum=(-1, 0, 1), nullable=nullable))
        apply = OPERATORS[type(op)]
        return lambda values: bool(apply(None if values[key] is None else values[key] * sign, 0))

    def _free(self, key: str, fact: Fact) -> str:
        self.reader.terms.setdefault(key, _Term(fact))
        return key

    def _term(self, node: ast.expr, compared: Sequence[Any] = ()) -> str:
        key = self._shape(node)
        if key not in self.reader.terms:
            self.reader.terms[key] = self._new_term(node)
        self.reader.terms[key].literals += compared
        return key

    def _new_term(self, node: ast.expr) -> _Term:
        fact = self._fact(node)
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        change = {"lower": str.lower, "upper": str.upper}.get(name)
        return _Term(fact, change=change, least=0 if name == "len" else -math.inf)

    def _fact(self, node: ast.expr) -> Fact:
        if isinstance(node, ast.Name):
            return self.reader.facts(self.refs[int(node.id[1:])])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._fact_of_call(node.func.id, node.args)
        if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Add):
            return Fact(Type("float"), nullable=False)
        return Fact(None, nullable=not isinstance(node, ast.BinOp | ast.List))

    def _fact_of_call(self, name: str, args: Sequence[ast.expr]) -> Fact:
        kinds = {
            "len": "int",
            "contains": "bool",
            "startswith": "bool",
            "endswith": "bool",
            "abs": "float",
            "round": "float",
        }
        if name in ("lower", "upper"):
            enum = self._fact(args[0]).enum
            return Fact(Type("str"), enum, nullable=False)
        return Fact(Type(kinds[name]) if name in kinds else None, nullable=False)

    def _shape(self, node: ast.expr) -> str:
        """The node as text that is the same for what is the same, wherever it stands."""

        def name(match: re.Match[str]) -> str:
            ref = self.refs[int(match.group(1))]
            return f"{ref.root}{ref.path}" if ref.root == "state" else f"state{(ref.root, *ref.path)}"

        return re.sub(r"Name\(id='\$(\d+)'[^)]*\)\)?", name, ast.dump(node))


def try_all(tests: Sequence[Test], reader: Reader) -> tuple[list[bool], list[bool], bool] | None:
    """For each test whether it can hold, and whether it can hold first; and whether one always does.

    None where there are too many combinations. A combination that can't be computed ends the run with an
    error, so it is neither a match nor a miss.
    """
    combinations = reader.combinations()
    if combinations is None:
        return None
    holds, first, complete = [False] * len(tests), [False] * len(tests), True
    for values in combinations:
        try:
            found = [test(values) for test in tests]
        except ValueProblem:
            continue
        holds = [a or b for a, b in zip(holds, found, strict=True)]
        if any(found):
            first[found.index(True)] = True
        complete &= any(found)
    return holds, first, complete
