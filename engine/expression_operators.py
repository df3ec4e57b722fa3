"""The operators and functions of conditions: bounded, and with a plain sentence where values do not fit."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.types import show

MAX_NUMBER = 10**100
MAX_EXPONENT = 1000
MAX_SIZE = 100_000


class ValueProblem(Exception):
    """An operation that these values do not allow; the message is a plain sentence."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language and how few and how many values it takes."""

    call: Callable[..., Any]
    arity: tuple[int, int]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ordering(symbol: str, compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], bool]:
    def run(a: Any, b: Any) -> bool:
        if a is None or b is None:
            return False
        if (_number(a) and _number(b)) or (type(a) is type(b) and isinstance(a, str | list | bool)):
            try:
                return bool(compare(a, b))
            except TypeError:
                pass
        raise ValueProblem(f"{show(a)} {symbol} {show(b)} compares two kinds of value.")

    return run


def _arithmetic(symbol: str, compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def run(a: Any, b: Any) -> Any:
        if symbol == "+" and type(a) is type(b) and isinstance(a, str | list):
            if len(a) + len(b) > MAX_SIZE:
                raise ValueProblem(f"a text or list in a condition has at most {MAX_SIZE} elements.")
            return a + b
        if not (_number(a) and _number(b)):
            raise ValueProblem(f"{show(a)} {symbol} {show(b)} can't be computed.")
        if symbol == "**" and (abs(a) > MAX_NUMBER or abs(b) > MAX_EXPONENT):
            raise ValueProblem(f"{show(a)} ** {show(b)} is too big to compute.")
        try:
            return _bounded(compute(a, b))
        except ZeroDivisionError:
            raise ValueProblem(f"{show(a)} {symbol} {show(b)} divides by zero.") from None
        except OverflowError:
            raise ValueProblem(f"{show(a)} {symbol} {show(b)} is too big to compute.") from None

    return run


def _bounded(value: Any) -> Any:
    if isinstance(value, complex):
        raise ValueProblem("the result is not a real number.")
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise ValueProblem("the number becomes too big to compute.")
    return value


def _signed(sign: Callable[[Any], Any], symbol: str) -> Callable[[Any], Any]:
    def run(a: Any) -> Any:
        if not _number(a):
            raise ValueProblem(f"{symbol}{show(a)} can't be computed.")
        return sign(a)

    return run


def _contains(container: Any, item: Any) -> bool:
    if container is None:
        return False
    if isinstance(container, str):
        if item is None:
            return False
        if not isinstance(item, str):
            raise ValueProblem(f"{show(item)} is not text, so it can't be looked for in {show(container)}.")
        return item in container
    if isinstance(container, Mapping):
        return isinstance(item, str) and item in container
    if isinstance(container, list | tuple):
        return item in container
    raise ValueProblem(f"{show(container)} is neither text nor a list, so nothing can be looked for in it.")


OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: _ordering("<", operator.lt),
    ast.LtE: _ordering("<=", operator.le),
    ast.Gt: _ordering(">", operator.gt),
    ast.GtE: _ordering(">=", operator.ge),
    ast.In: lambda item, container: _contains(container, item),
    ast.NotIn: lambda item, container: not _contains(container, item),
    ast.Not: operator.not_,
    ast.USub: _signed(operator.neg, "-"),
    ast.UAdd: _signed(operator.pos, "+"),
    ast.Add: _arithmetic("+", operator.add),
    ast.Sub: _arithmetic("-", operator.sub),
    ast.Mult: _arithmetic("*", operator.mul),
    ast.Div: _arithmetic("/", operator.truediv),
    ast.FloorDiv: _arithmetic("//", operator.floordiv),
    ast.Mod: _arithmetic("%", operator.mod),
    ast.Pow: _arithmetic("**", operator.pow),
}


def _text(name: str, change: Callable[[str], str]) -> Callable[[Any], str]:
    def run(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueProblem(f"{name} needs text, not {show(value)}.")
        return change(value)

    return run


def _affix(name: str, test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def run(value: Any, part: Any) -> bool:
        if value is None or part is None:
            return False
        if not isinstance(value, str) or not isinstance(part, str):
            raise ValueProblem(f"{name} needs two texts, not {show(value)} and {show(part)}.")
        return test(value, part)

    return run


def _len(value: Any) -> int:
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise ValueProblem(f"len needs text, a list or a set of named values, not {show(value)}.")


def _numeric(name: str, compute: Callable[..., Any]) -> Callable[..., Any]:
    def run(*values: Any) -> Any:
        for value in values:
            if not _number(value):
                raise ValueProblem(f"{name} needs a number, not {show(value)}.")
        return compute(*values)

    return run


def _extreme(name: str, pick: Callable[[Any], Any]) -> Callable[..., Any]:
    def run(*values: Any) -> Any:
        items = values[0] if len(values) == 1 and isinstance(values[0], list | tuple) else values
        if not items:
            raise ValueProblem(f"{name} of an empty list is not known.")
        if not (all(map(_number, items)) or all(isinstance(item, str) for item in items)):
            raise ValueProblem(f"{name} needs numbers, or texts, not {show(list(items))}.")
        return pick(items)

    return run


def _round(value: Any, digits: Any = None) -> Any:
    if digits is None:
        return round(value)
    if not isinstance(digits, int) or abs(digits) > 100:
        raise ValueProblem(f"round takes a whole number of digits, not {show(digits)}.")
    return round(value, digits)


FUNCTIONS: Mapping[str, Function] = {
    "len": Function(_len, (1, 1)),
    "lower": Function(_text("lower", str.lower), (1, 1)),
    "upper": Function(_text("upper", str.upper), (1, 1)),
    "contains": Function(_contains, (2, 2)),
    "startswith": Function(_affix("startswith", str.startswith), (2, 2)),
    "endswith": Function(_affix("endswith", str.endswith), (2, 2)),
    "abs": Function(_numeric("abs", abs), (1, 1)),
    "min": Function(_extreme("min", min), (1, 20)),
    "max": Function(_extreme("max", max), (1, 20)),
    "round": Function(_numeric("round", _round), (1, 2)),
}
