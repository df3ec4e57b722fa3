"""Ask nodes: answers that can be chosen, that fit where they go, and what is taken when nobody answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from engine.build_kinds import APPROVE, REJECT, as_answer, usual_options
from engine.check.draft import Draft
from engine.check.names import listed
from engine.check.patches import replace_name
from engine.check.reading import FieldView, NodeView
from engine.check.references import type_at
from engine.check.rules import Found, rule
from engine.templates import compile_template
from engine.types import convert, show

_YES_AND_NO = frozenset({"approve", "reject", "yes", "no", "true", "false"})


def _asks(draft: Draft) -> Iterator[NodeView]:
    for node in draft.nodes:
        if node.kind == "ask" and not draft.unsure("nodes", node.index):
            yield node


def _output(draft: Draft, node: NodeView) -> FieldView | None:
    return draft.fields.get(node.outputs[0].text) if node.outputs else None


def _written_out(node: NodeView) -> list[str] | None:
    """The options that stand in the document without any reference; None where there are no such."""
    options = node.data.get("options")
    if not isinstance(options, list) or compile_template(options).refs:
        return None
    return [as_answer(option) for option in options]


@rule("ask-outputs", "error")
def ask_outputs(draft: Draft) -> Iterator[Found]:
    """An ask has several outputs, but there is only one answer.

    Keep one output; ask a second question in a node of its own.
    """
    for node in _asks(draft):
        if len(node.outputs) > 1:
            message = f"There is one answer, but {node.label} has {len(node.outputs)} outputs. "
            yield Found(
                (*node.path, "outputs"), f"{message}Keep one, and ask for the others in nodes of their own."
            )


@rule("ask-options", "error")
def ask_options(draft: Draft) -> Iterator[Found]:
    """The options of an ask can't be offered: two are the same, one can't go into the output, or `options` is a text
    that is no reference to a list.

    Give options that differ and that the output's field can hold: for a `bool` approve and reject (or yes and no),
    for an `enum` its values.
    """
    for node in _asks(draft):
        options = node.data.get("options")
        if isinstance(options, str):
            yield from _options_elsewhere(draft, node, options)
            continue
        seen: set[str] = set()
        for i, option in enumerate(_written_out(node) or ()):
            path = (*node.path, "options", i)
            if option.strip().casefold() in seen:
                yield Found(path, f"'{option}' stands among the options already. Remove one of the two.")
            elif not option.strip():
                yield Found(path, "An option is empty. Say what a person is to choose.")
            else:
                yield from _unfit(draft, node, option, path)
            seen.add(option.strip().casefold())


def _options_elsewhere(draft: Draft, node: NodeView, options: str) -> Iterator[Found]:
    only = compile_template(options).only_ref
    if only is None:
        message = "options is a list of answers, or one reference to a list. Write a list, such as [yes, no]."
        yield Found((*node.path, "options"), message)
        return
    kind = type_at(draft, only) if only.root == "state" or only.root in draft.fields else None
    if kind and kind.name not in ("list", "any"):
        message = (
            f"'{only.text}' is of type {kind}, but options need a list. Refer to a field of type list[str]."
        )
        yield Found((*node.path, "options"), message)


def _unfit(draft: Draft, node: NodeView, option: str, path: tuple[str | int, ...]) -> Iterator[Found]:
    """An option that the output's field can't take."""
    field = _output(draft, node)
    reason = _misfit(field, node, option) if field else None
    if reason is None or field is None:
        return
    known = [e for e in field.enum or () if isinstance(e, str)]
    mend = draft.names.certain(option, known)
    patch = replace_name(draft.document, path, mend) if mend else None
    yield Found(
        path, f"The option '{option}' can't go into '{field.name}': {reason}. {_fitting(field)}", patch
    )


def _fitting(field: FieldView) -> str:
    if field.enum:
        return f"Its values are: {listed([show(e) for e in field.enum])}."
    if field.type and field.type.name == "bool":
        return "Write [approve, reject] or [yes, no], or make the field a str."
    return "Change the option, or the type of the field."


def _misfit(field: FieldView, node: NodeView, answer: Any) -> str | None:
    """Why an answer can't go into a field; None where it can, or where that is not known."""
    kind = field.type
    if kind is None or kind.name == "any":
        return None
    if kind.name == "list" and (node.element is not None or field.data.get("reduce") == "append"):
        kind = kind.item
    if kind.name == "bool" and isinstance(answer, str) and answer.strip().casefold() in _YES_AND_NO:
        return None
    try:
        convert(answer, kind, from_text=True, enum=field.enum if kind is field.type else None)
    except ValueError as error:
        return str(error)
    return None


@rule("ask-approval", "warning")
def ask_approval(draft: Draft) -> Iterator[Found]:
    """An ask without `options` can only be approved or rejected, but its answer goes to a text field that no
    condition compares with either. Most likely the person is to answer in words.

    Write `options: []` to let the person answer in words of their own, list the options, or make the field a `bool`.
    """
    for node in _asks(draft):
        field = _output(draft, node)
        if node.data.get("options") is not None or field is None or field.type is None:
            continue
        kind = field.type.item if node.element is not None else field.type
        if kind.name != "str" or _usual(field, node) != [APPROVE, REJECT] or _compared(draft, field.name):
            continue
        if node.data.get("default") is not None:
            continue  # either it is one of the two, or it is reported
        message = f"Without options a person can only approve or reject, but '{field.name}' is a text. "
        advice = "Write options: [] for an answer in words, list the options, or make the field a bool."
        yield Found((*node.path, "ask"), message + advice)


def _compared(draft: Draft, name: str) -> bool:
    """Whether a condition compares the field with one of the answers."""
    for edge in draft.edges:
        for route in edge.routes:
            for each in route.expression.comparisons if route.expression else ():
                path = each.ref.path if each.ref.root == "state" else (each.ref.root,)
                if path[:1] == (name,) and {APPROVE, REJECT} & {
                    v for v in each.literals if isinstance(v, str)
                }:
                    return True
    return False


@rule("ask-default", "error")
def ask_default(draft: Draft) -> Iterator[Found]:
    """The `default` of an ask is not one of its options, or does not fit the output's field.

    Take one of the options.
    """
    for node in _asks(draft):
        default, field = node.data.get("default"), _output(draft, node)
        if default is None or isinstance(default, list | dict):
            if default is not None:
                yield Found((*node.path, "default"), "The default is an answer: write one of the options.")
            continue
        options = _written_out(node)
        if options is None and node.data.get("options") is None:
            options = _usual(field, node)
        path = (*node.path, "default")
        if options and not _among(default, options):
            mend = draft.names.certain(as_answer(default), options)
            patch = replace_name(draft.document, path, mend) if mend else None
            hint = f"Did you mean '{mend}'?" if mend else f"They are: {listed(options)}."
            yield Found(path, f"The default {show(default)} is none of the options. {hint}", patch)
        elif options is not None and not options and field and (reason := _misfit(field, node, default)):
            yield Found(path, f"The default does not fit '{field.name}': {reason}. {_fitting(field)}")


def _usual(field: FieldView | None, node: NodeView) -> list[str] | None:
    """The options of an ask that names none; None where that is not known."""
    if field is None:
        return [APPROVE, REJECT]
    if field.type is None:
        return None
    return usual_options(field.type, field.enum, each=node.element is not None)


def _among(default: Any, options: Sequence[str]) -> bool:
    if isinstance(default, bool) and {o.casefold() for o in options} <= _YES_AND_NO:
        return True
    return as_answer(default).strip().casefold() in {option.strip().casefold() for option in options}


@rule("ask-timeout", "warning")
def ask_timeout(draft: Draft) -> Iterator[Found]:
    """An ask has a `timeout` but no `default`, so that the run fails when nobody answers in time; or a `default` but
    no `timeout`, so that the default is never taken.

    Add what is missing, or say with `on_error` how the run goes on.
    """
    for node in _asks(draft):
        timed, default = node.data.get("timeout") is not None, node.data.get("default") is not None
        if timed and not default and node.data.get("on_error", "fail") == "fail":
            message = "When nobody answers in time, the run fails. Add a default answer, or an on_error."
            yield Found((*node.path, "timeout"), message)
        if default and not timed:
            message = (
                "Without a timeout the default is never taken. Add timeout: 86400 for a day, or remove it."
            )
            yield Found((*node.path, "default"), message)


RULES = (ask_outputs, ask_options, ask_approval, ask_default, ask_timeout)
