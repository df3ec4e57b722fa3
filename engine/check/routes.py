"""Routes: conditions that can be read, that compare what can be compared, and that can be true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from engine.check.conditions import Fact, Reader, fits, try_all
from engine.check.draft import Draft
from engine.check.names import listed
from engine.check.patches import replace_inside
from engine.check.reading import EdgeView, FieldView, Name, RouteView
from engine.check.references import LAST_ERROR, SYSTEM_NAMES, given_from_start, type_at
from engine.check.rules import Found, rule
from engine.expressions import Comparison, Expression, ExpressionError, compile_expression
from engine.problems import Patch
from engine.templates import Ref
from engine.types import Type, convert, show
from engine.workflow import START

_ORDER = ("<", "<=", ">", ">=")


def _conditions(draft: Draft) -> Iterator[tuple[EdgeView, Name, Expression]]:
    for edge in draft.edges:
        for route in edge.routes:
            if route.condition and route.expression:
                yield edge, route.condition, route.expression


@rule("bad-condition", "error")
def bad_condition(draft: Draft) -> Iterator[Found]:
    """A condition can't be read.

    Conditions compare state fields with `== != < <= > >= in`, join with `and or not`, and know the
    functions len, lower, upper, contains, startswith, endswith, abs, min, max and round. Text stands in
    quotes.
    """
    for edge in draft.edges:
        for route in edge.routes:
            if route.condition and route.error:
                yield _unreadable(draft, route.condition, route.error)


def _unreadable(draft: Draft, condition: Name, error: ExpressionError) -> Found:
    text = _named_rightly(draft, condition.text, error) if error.name else error.patch_text
    hint = f"Write {text}" if text else error.hint or "Write something like state.score > 3, or default."
    patch = None
    if text and _compiles(text):
        patch = replace_inside(draft.document, condition.path, condition.text, 0, len(condition.text), text)
    return Found(condition.path, f"{error.message} {hint.rstrip('.')}.", patch)


def _named_rightly(draft: Draft, text: str, error: ExpressionError) -> str | None:
    """The condition with `state.` before a field's bare name, or quotes round a value of an enum."""
    name = str(error.name)
    enums = [f.enum or () for f in draft.fields.values() if re.search(rf"\bstate\.{f.name}\b", text)]
    if any(name in enum for enum in enums):
        new = f"'{name}'"
    elif draft.meant_field(name):
        new = f"state.{draft.meant_field(name)}"
    else:
        return error.patch_text
    mended = text[: error.start] + new + text[error.end :]
    try:
        compile_expression(mended)
    except ExpressionError as further:
        if further.name and further.start > error.start:
            return _named_rightly(draft, mended, further)
        return further.patch_text
    return mended


def _compiles(text: str) -> bool:
    try:
        compile_expression(text)
    except ExpressionError:
        return False
    return True


@rule("condition-type", "error")
def condition_type(draft: Draft) -> Iterator[Found]:
    """A condition compares a field with a value of another kind, such as a `bool` field with the text
    `'true'`. Such a comparison is never true, or it stops the run.

    Write the value as the field's type has it: numbers, `true` and `false` without quotes, text with
    quotes.
    """
    for _, condition, expression in _conditions(draft):
        for comparison in expression.comparisons:
            kind = type_at(draft, comparison.ref)
            for value in comparison.literals if kind else ():
                if kind and not _comparable(kind, comparison.op, value):
                    yield _wrong_kind(draft, condition, comparison, kind, value)


def _comparable(kind: Type, op: str, value: Any) -> bool:
    """Whether comparing a value of `kind` with a literal can make sense."""
    if value is None or kind.name == "any":
        return True
    if kind.name in ("int", "float"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind.name == "list" and isinstance(value, list):
        return op in _ORDER or fits(kind, value)
    wanted = {"str": str, "bool": bool}.get(kind.name)
    return wanted is not None and isinstance(value, wanted) and not (kind.name == "bool" and op in _ORDER)


def _wrong_kind(draft: Draft, condition: Name, comparison: Comparison, kind: Type, value: Any) -> Found:
    name = comparison.ref.text
    mended = _as_kind(kind, comparison.op, value)
    patch = _replace_literal(draft, condition, value, mended) if mended else None
    hint = f"Write {mended}." if mended else "Compare it with a value of its own type."
    return Found(
        condition.path, f"{name} is of type {kind}, so it can't be compared with {show(value)}. {hint}", patch
    )


def _as_kind(kind: Type, op: str, value: Any) -> str | None:
    """The literal as it is written for that type."""
    if kind.name == "str" and isinstance(value, bool | int | float) and op not in _ORDER:
        return f"'{json.dumps(value)}'"
    if kind.name not in ("bool", "int", "float") or (kind.name == "bool" and op in _ORDER):
        return None
    try:
        found = convert(value, kind, from_text=True)
    except ValueError:
        return None
    return json.dumps(found)


def _replace_literal(draft: Draft, condition: Name, value: Any, text: str) -> Patch | None:
    """Put `text` in the place of a literal that stands in the condition once."""
    if isinstance(value, str):
        written = [form for form in (f"'{value}'", f'"{value}"') if form in condition.text]
        places = [m.span() for form in written for m in re.finditer(re.escape(form), condition.text)]
    else:
        forms = rf"(?<![\w.'\"-]){re.escape(json.dumps(value))}(?![\w.'\"])"
        places = [m.span() for m in re.finditer(forms, condition.text, re.IGNORECASE)]
    if len(places) != 1:
        return None
    return replace_inside(draft.document, condition.path, condition.text, *places[0], text)


@rule("condition-value", "error")
def condition_value(draft: Draft) -> Iterator[Found]:
    """A condition compares a field that has an `enum` with a value that is not in it.

    Take one of the values of the `enum`, or add the value to it.
    """
    for _, condition, expression in _conditions(draft):
        for comparison in expression.comparisons:
            field = _plain_field(draft, comparison.ref)
            if field is None or field.enum is None or comparison.op in _ORDER:
                continue
            for value in comparison.literals:
                if value is not None and value not in field.enum and _comparable_with(field, value):
                    yield _not_in_enum(draft, condition, field, value)


def _comparable_with(field: FieldView, value: Any) -> bool:
    return field.type is not None and _comparable(field.type, "==", value)


def _plain_field(draft: Draft, ref: Ref) -> FieldView | None:
    path = ref.path if ref.root == "state" else (ref.root, *ref.path)
    return draft.fields.get(str(path[0])) if len(path) == 1 else None


def _not_in_enum(draft: Draft, condition: Name, field: FieldView, value: Any) -> Found:
    enum = field.enum or ()
    known = [e for e in enum if isinstance(e, str)]
    mend = draft.names.certain(value, known) if isinstance(value, str) else None
    mended = f"'{mend}'" if mend and "'" not in mend else None
    patch = _replace_literal(draft, condition, value, mended) if mended else None
    hint = f"Did you mean {mended}?" if mended else f"Its values are: {listed([show(e) for e in enum])}."
    return Found(condition.path, f"'{field.name}' can never be {show(value)}. {hint}", patch)


@rule("route-never-matches", "error")
def route_never_matches(draft: Draft) -> Iterator[Found]:
    """A route can never be taken: its condition can't be true, or routes before it take every case in which
    it is.

    Correct the condition, move the route up, or remove it. A second `default` is never taken either.
    """
    for edge in draft.edges:
        defaults = [r for r in edge.routes if r.condition is None]
        for route in defaults[1:]:
            message = "There is a default already, so this one is never taken. Remove one of the two."
            yield Found(_place(route), message)
        found = _tried(draft, edge, lenient=True)
        if found is None:
            continue
        routes = [r for r in edge.routes if r.condition]
        for route, holds, first in zip(routes, found[0], found[1], strict=True):
            if not holds:
                yield Found(_place(route), "This condition can never be true, so the route is never taken.")
            elif not first:
                yield Found(_place(route), f"This route is never taken: {_taken_before(routes, route)}.")


def _place(route: RouteView) -> tuple[str | int, ...]:
    return route.condition.path if route.condition else (*route.path, "condition")


def _taken_before(routes: Sequence[RouteView], route: RouteView) -> str:
    text = route.condition.text.strip() if route.condition else ""
    same = any(r.condition and r.condition.text.strip() == text for r in routes[: routes.index(route)])
    if same:
        return "the same condition stands above it"
    return "whenever its condition is true, so is one above it"


@rule("route-no-default", "warning")
def route_no_default(draft: Draft) -> Iterator[Found]:
    """The routes of a node do not cover every case and there is no default, so a run stops with an error
    where none matches.

    Add `- {condition: default, to: …}` as the last route.
    """
    for edge in draft.edges:
        if (
            not edge.routes
            or any(r.condition is None for r in edge.routes)
            or draft.unsure("edges", edge.index)
        ):
            continue
        if any(r.expression is None or _odd(draft, r.expression) for r in edge.routes):
            continue
        found = _tried(draft, edge, lenient=False)
        if found is None or not found[2]:
            path = (
                (*edge.path, "routes")
                if len(edge.routes) > 1 or edge.routes[0].path != edge.path
                else edge.path
            )
            message = "If none of these conditions is true, the run stops with an error. "
            yield Found(path, f"{message}Add a last route: {{condition: default, to: END}}.")


def _tried(draft: Draft, edge: EdgeView, *, lenient: bool) -> tuple[list[bool], list[bool], bool] | None:
    """Which routes can be taken. `lenient`: a field may be null unless it is certain that it is not."""
    expressions = [r.expression for r in edge.routes if r.condition]
    if not expressions or any(e is None or _odd(draft, e) for e in expressions):
        return None
    source = _source(draft, edge)

    def facts(ref: Ref) -> Fact:
        field = _plain_field(draft, ref)
        inner = type_at(draft, ref)
        if field is None:
            return Fact(inner, nullable=lenient or LAST_ERROR in ref.text)
        if lenient:
            return Fact(inner, field.enum, nullable=not field.given or _may_be_emptied(draft, field))
        empty = source is not None and can_be_empty(draft, field, source)
        return Fact(inner, field.enum, nullable=empty)

    reader = Reader(facts)
    tests = [reader.test(e) for e in expressions if e]
    return try_all(tests, reader)


def _may_be_emptied(draft: Draft, field: FieldView) -> bool:
    """Whether a node may write null to a field: `any` takes it, as json_parse may give it."""
    takes = field.type is None or field.type.name == "any"
    return takes and (field.name in draft.writers or not draft.writes_known)


def _source(draft: Draft, edge: EdgeView) -> int | None:
    """The number of the node whose end the conditions are tried at; START is the number after the last."""
    if edge.sources and edge.sources[0].text == START:
        return len(draft.nodes)
    return draft.meant_node(edge.sources[0].text) if edge.sources else None


def _odd(draft: Draft, expression: Expression) -> bool:
    """Whether a condition compares what can't be compared; that is reported by itself."""
    for comparison in expression.comparisons:
        kind, field = type_at(draft, comparison.ref), _plain_field(draft, comparison.ref)
        for value in comparison.literals:
            if kind and not _comparable(kind, comparison.op, value):
                return True
            if field and field.enum and value is not None and value not in field.enum:
                return True
    return any(_unknown(draft, ref) for ref in expression.refs)


def _unknown(draft: Draft, ref: Ref) -> bool:
    path = ref.path if ref.root == "state" else (ref.root, *ref.path)
    return not path or (str(path[0]) not in draft.fields and not str(path[0]).startswith(SYSTEM_NAMES))


def can_be_empty(draft: Draft, field: FieldView, node: int) -> bool:
    """Whether a field can still be null when a node has ended: on some way to it nothing has written it."""
    if given_from_start(draft, field) or not draft.writes_known:
        return False
    writers = {w.index for w in draft.writers.get(field.name, ())}
    graph = draft.graph
    surely = node in writers and graph is not None and node not in graph.passing
    if graph is None or surely or next(graph.beside(node, writers), None) is not None:
        return graph is not None and node not in writers and not writers
    before = {w for w in writers if graph.below[w] >> node & 1} - {node}
    if any(graph.has_company(w) for w in before):
        return False
    return node in graph.reached_without(before)


@rule("null-order", "warning")
def null_order(draft: Draft) -> Iterator[Found]:
    """A condition orders a field (`<`, `>`) that can still be null, and with null such a comparison is false.

    Give the field a default, make it required, or ask first: `state.x != null and state.x > 3`.
    """
    for edge, condition, expression in _conditions(draft):
        source = _source(draft, edge)
        seen = set()
        for comparison in expression.comparisons:
            field = _plain_field(draft, comparison.ref)
            if field is None or source is None or comparison.op not in _ORDER or field.name in seen:
                continue
            guarded = any(
                c.ref.path == comparison.ref.path and None in c.literals for c in expression.comparisons
            )
            if not guarded and can_be_empty(draft, field, source):
                seen.add(field.name)
                message = f"'{field.name}' may still be empty here, and then {comparison.op} is never true. "
                yield Found(condition.path, f"{message}Give '{field.name}' a default, or make it required.")


RULES = (bad_condition, condition_type, condition_value, route_never_matches, route_no_default, null_order)
