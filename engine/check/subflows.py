"""Workflow nodes: the workflow exists and is sound, and what goes in and comes back fits.

Where the checker is not told which workflows are saved, these rules say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.check.children import Children
from engine.check.draft import Draft
from engine.check.names import listed
from engine.check.patches import replace_key, replace_name
from engine.check.reading import NodeView, mapping
from engine.check.references import input_type
from engine.check.rules import Found, rule
from engine.pins import DEEPEST
from engine.templates import compile_template
from engine.types import Type, convert
from engine.workflow import Field, Workflow


def _nodes(draft: Draft) -> Iterator[tuple[NodeView, str, Children]]:
    """The nodes that run a workflow, with its name."""
    if draft.children is None:
        return
    for node in draft.nodes:
        name = node.data.get("workflow")
        if node.kind == "subflow" and isinstance(name, str) and name.strip():
            yield node, name.strip(), draft.children


def _sound(draft: Draft) -> Iterator[tuple[NodeView, Workflow]]:
    """Those whose workflow has no error of its own."""
    for node, name, children in _nodes(draft):
        if draft.unsure("nodes", node.index) or _own_circle(draft, name, children):
            continue
        checked = children.checked(name)
        if checked and checked.workflow:
            yield node, checked.workflow


def _own_circle(draft: Draft, name: str, children: Children) -> tuple[str, ...] | None:
    own = mapping(draft.data.get("flow")).get("name")
    return children.circle(name, own.strip() if isinstance(own, str) else None)


@rule("unknown-workflow", "error")
def unknown_workflow(draft: Draft) -> Iterator[Found]:
    """A node runs a workflow that is not saved here.

    Correct the name, or save that workflow first.
    """
    for node, name, children in _nodes(draft):
        if children.text(name) is not None:
            continue
        known = children.names()
        path = (*node.path, "workflow")
        mend = draft.names.certain(name, known)
        near = mend or draft.names.near(name, known)
        there = f"There is: {listed(known)}. " if known else ""
        hint = f"Did you mean '{near}'?" if near else f"{there}Save it first: app.py save FILE."
        patch = replace_name(draft.document, path, mend) if mend else None
        yield Found(path, f"There is no saved workflow '{name}'. {hint}", patch)


@rule("subflow-circle", "error")
def subflow_circle(draft: Draft) -> Iterator[Found]:
    """A workflow runs itself, directly or by another one, so that it would never end.

    Leave one of the steps out. To repeat steps, lead an edge back to them.
    """
    for node, name, children in _nodes(draft):
        circle = _own_circle(draft, name, children)
        if circle:
            way = " → ".join(circle)
            yield Found(
                (*node.path, "workflow"),
                f"This workflow would run itself: {way}. Leave one of the steps out.",
            )


@rule("subflow-depth", "error")
def subflow_depth(draft: Draft) -> Iterator[Found]:
    """Workflows run workflows more than five deep.

    Put the steps of one of them into the one that runs it.
    """
    for node, name, children in _nodes(draft):
        if _own_circle(draft, name, children) or children.text(name) is None:
            continue
        depth = children.height(name)
        if depth > DEEPEST:
            message = f"Below '{name}' workflows run workflows {depth} deep; at most {DEEPEST} are allowed. "
            yield Found((*node.path, "workflow"), f"{message}Put the steps of one into the one above it.")


@rule("subflow-broken", "error")
def subflow_broken(draft: Draft) -> Iterator[Found]:
    """The workflow that a node runs has errors of its own.

    Mend that workflow first.
    """
    for node, name, children in _nodes(draft):
        checked = None if _own_circle(draft, name, children) else children.checked(name)
        if checked and checked.errors:
            first, more = checked.errors[0], len(checked.errors) - 1
            also = f" And {more} more." if more else ""
            message = f"The workflow '{name}' can't run: {first.message} (line {first.line} there){also}"
            yield Found((*node.path, "workflow"), f"{message}{'' if more else '.'}")


@rule("subflow-input", "error")
def subflow_input(draft: Draft) -> Iterator[Found]:
    """A node gives a workflow an input that it does not take, or leaves one out that it needs.

    Correct the node's `inputs`; the message lists what the workflow takes.
    """
    for node, child in _sound(draft):
        for name in node.inputs:
            if name in child.inputs:
                continue
            path = (*node.path, "inputs", name)
            free = [known for known in child.inputs if known not in node.inputs]
            mend = draft.names.certain(name, free)
            near = mend or draft.names.near(name, child.inputs)
            hint = f"Did you mean '{near}'?" if near else f"It takes: {listed(child.inputs) or 'nothing'}."
            patch = replace_key(draft.document, path, mend) if mend else None
            yield Found(path, f"The workflow '{child.name}' takes no input '{name}'. {hint}", patch)
        yield from _missing(draft, node, child)


def _missing(draft: Draft, node: NodeView, child: Workflow) -> Iterator[Found]:
    strange = [name for name in node.inputs if name not in child.inputs]
    for name in child.inputs:
        field = child.fields[name]
        if not field.required or name in node.inputs:
            continue
        if any(draft.names.certain(other, [name]) for other in strange):
            continue
        about = f" ({field.description})" if field.description else ""
        message = f"The workflow '{child.name}' needs the input '{name}'{about}. Add it to inputs."
        yield Found((*node.path, "inputs", name), message)


@rule("subflow-output", "error")
def subflow_output(draft: Draft) -> Iterator[Found]:
    """A node expects an output that the workflow does not give: outputs come back under their own names.

    Call the state field as the workflow's output is called.
    """
    for node, child in _sound(draft):
        for name in node.outputs:
            if name.text in child.outputs or name.text not in draft.fields:
                continue
            near = draft.names.certain(name.text, child.outputs) or draft.names.near(name.text, child.outputs)
            hint = f"Did you mean '{near}'?" if near else f"It gives: {listed(child.outputs) or 'nothing'}."
            yield Found(name.path, f"The workflow '{child.name}' gives no '{name.text}'. {hint}")


@rule("subflow-type", "error")
def subflow_type(draft: Draft) -> Iterator[Found]:
    """What a node gives a workflow, or takes from it, is of a type that can't stand there.

    Give both sides the same type.
    """
    for node, child in _sound(draft):
        for name, value in node.inputs.items():
            reason = _misfit(draft, node, value, child.fields[name]) if name in child.inputs else None
            if reason:
                message = (
                    f"The input '{name}' of '{child.name}' does not fit: {reason}. Give both the same type."
                )
                yield Found((*node.path, "inputs", name), message)
        for output in node.outputs:
            field = draft.fields.get(output.text)
            if field is None or field.type is None or output.text not in child.outputs:
                continue
            kind, given = field.type, child.fields[output.text].type
            if node.element is not None:
                kind = kind.item if kind.name == "list" else Type("any")
            appended = field.data.get("reduce") == "append" and kind.item.accepts(given)
            if not kind.accepts(given) and not appended:
                message = (
                    f"'{child.name}' gives '{output.text}' as {given}, but the state field is {field.type}. "
                )
                yield Found(output.path, f"{message}Give both the same type.")


def _misfit(draft: Draft, node: NodeView, value: Any, field: Field) -> str | None:
    """Why a value can't go into a field of the other workflow; None where it can, or where that is not known."""
    if isinstance(value, str) and compile_template(value, bare=True).refs:
        kind = input_type(draft, node, value)
        text = compile_template(value, bare=True).only_ref is None
        if kind is None or text or field.type.accepts(kind) or kind.name == "str":
            return None
        return f"it is of type {kind} here and of type {field.type} there"
    try:
        convert(value, field.type, from_text=True, enum=field.enum)
    except ValueError as error:
        return str(error)
    return None


RULES = (
    unknown_workflow,
    subflow_circle,
    subflow_depth,
    subflow_broken,
    subflow_input,
    subflow_output,
    subflow_type,
)
