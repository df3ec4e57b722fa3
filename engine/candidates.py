"""Values that might lead another way: what conditions compare with, what lies beside that, what a type has."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from engine.expressions import Comparison, Expression
from engine.made import of_type
from engine.templates import Ref, TemplateError, walk
from engine.types import Type, convert
from engine.workflow import Edge, Field, Workflow


def assignments(workflow: Workflow, edge: Edge, now: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Changes of the fields that an edge is decided on: one field at a time first, then all together."""
    if edge.loop is not None:
        for value in (False, True):
            yield {edge.loop.condition_field: value}
        return
    conditions = [route.condition for route in edge.routes if route.condition is not None]
    refs = {ref.text: ref for condition in conditions for ref in condition.refs}
    comparisons = [c for condition in conditions for c in condition.comparisons]
    constants = list(dict.fromkeys(c for condition in conditions for c in constants_in(condition)))
    options = {text: list(_candidates(workflow, ref, comparisons, constants)) for text, ref in refs.items()}
    for text, ref in refs.items():
        for value in options[text]:
            if (changed := _placed(now, {}, ref, value)) is not None:
                yield changed
    for values in product(*options.values()) if len(refs) > 1 else ():
        changed = {}
        for ref, value in zip(refs.values(), values, strict=True):
            placed = _placed(now, changed, ref, value)
            if placed is None:
                break
            changed = placed
        else:
            yield changed


def _path_of(ref: Ref) -> tuple[str | int, ...]:
    return ref.path if ref.root == "state" else (ref.root, *ref.path)


def _placed(
    state: Mapping[str, Any], changed: Mapping[str, Any], ref: Ref, value: Any
) -> dict[str, Any] | None:
    """The changes with one more value at the place of a reference; None where that place is not there."""
    name, *inner = _path_of(ref)
    if not isinstance(name, str) or name.startswith("_"):
        return None
    if not inner:
        return {**changed, name: value}
    whole = copy.deepcopy(changed.get(name, state.get(name)))
    try:
        place = walk(whole, inner[:-1])
        place[inner[-1]] = value
    except (TemplateError, TypeError, LookupError):
        return None
    return {**changed, name: whole}


def constants_in(condition: Expression) -> list[str | int | float]:
    """The texts and numbers that are written out in a condition."""
    values = [node.value for node in ast.walk(condition.tree) if isinstance(node, ast.Constant)]
    return [v for v in values if isinstance(v, str | int | float) and not isinstance(v, bool)]


def _candidates(
    workflow: Workflow, ref: Ref, comparisons: Iterable[Comparison], constants: Sequence[Any]
) -> Iterator[Any]:
    """Values that may turn a condition: what it is compared with, what lies beside that, its kind's own."""
    path = _path_of(ref)
    field_ = workflow.fields.get(str(path[0]))
    if field_ is None:
        return
    kind = field_.type.at(path[1:]) or Type("any")
    found: list[Any] = list(field_.enum or ()) if len(path) == 1 else []
    if not found:
        for comparison in comparisons:
            if comparison.ref.text == ref.text:
                for literal in comparison.literals:
                    found += _beside(literal)
        found += _of_kind(kind, constants)
        if kind.name == "any":
            found += constants
    known: list[Any] = []
    for value in found:
        try:
            fitting = convert(value, kind, enum=field_.enum if len(path) == 1 else None)
        except ValueError:
            continue
        if not any(fitting == other and type(fitting) is type(other) for other in known):
            known.append(fitting)
            yield fitting


def _beside(literal: Any) -> list[Any]:
    if isinstance(literal, bool) or literal is None:
        return [literal]
    if isinstance(literal, int | float):
        return [literal, literal + 1, literal - 1]
    if isinstance(literal, str):
        return [literal, f"before {literal} after", "something else"]
    if isinstance(literal, list):
        return [literal, *(inner for item in literal for inner in _beside(item))]
    return [literal]


def _of_kind(kind: Type, constants: Iterable[Any]) -> list[Any]:
    """Values of a type, some of them on either side of the numbers, or with the texts, of a condition."""
    texts = [x for x in constants if isinstance(x, str)]
    numbers = [x for x in constants if not isinstance(x, str)]
    if kind.name == "bool":
        return [True, False]
    if kind.name == "int":
        return [*(int(n) + d for n in numbers for d in (-1, 0, 1)), 0, 1, -1, 100]
    if kind.name == "float":
        return [*(n + d for n in numbers for d in (-0.5, 0.0, 0.5)), 0.0, 1.0, -1.0, 100.0]
    if kind.name == "list":
        lengths = sorted({0, 1, *(int(n) + d for n in numbers for d in (-1, 0, 1))})
        item = of_type(kind.item, "item")
        return [*([text] for text in texts), *([item] * length for length in lengths if 0 <= length <= 100)]
    if kind.name == "str":
        lengths = sorted({int(n) + d for n in numbers for d in (-1, 0, 1)})
        long = ["x" * length for length in lengths if 0 < length <= 10_000]
        both = [" ".join(texts), " ".join(reversed(texts))] if len(texts) > 1 else []
        return [*texts, *both, "", "something else", *long]
    return [None]


def others_of(field_: Field) -> list[Any]:
    """Some values of a field that code may tell apart."""
    if field_.enum:
        return list(field_.enum)
    return _of_kind(field_.type, ())
