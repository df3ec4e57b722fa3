"""References: `{state.field}` and `{name}` in templates, fields in conditions, outputs, loops and the
flow's lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from engine.check.draft import Draft
from engine.check.names import listed
from engine.check.patches import replace_inside, replace_name, replace_step
from engine.check.reading import FieldView, Name, NodeView, mapping, names, sequence
from engine.check.rules import Found, rule
from engine.check.uses import Use
from engine.problems import Patch
from engine.templates import Ref, compile_template
from engine.types import FILE_PARTS, Type

LOOP_COUNT = "_loop_iteration_"
LAST_ERROR = "_error_"
SYSTEM_NAMES = (LOOP_COUNT, LAST_ERROR)
"""What the names begin with that the engine keeps in the state by itself."""


class Target(NamedTuple):
    """What a reference leads to: a field or an input (`type` None where not known), and the steps from
    there.
    """

    type: Type | None
    name: str
    steps: tuple[str | int, ...]
    first: int
    """Which step of the reference's text the steps begin at."""


def field_of(draft: Draft, use: Use) -> str | None:
    """The state field that a reference reads, also a misspelt one that is certain; None for all else."""
    ref = use.ref
    if ref.root == "secret" or ref.root in use.local or (ref.root == "state" and not ref.path):
        return None
    name = str(ref.path[0]) if ref.root == "state" else ref.root
    return None if name.startswith(SYSTEM_NAMES) else draft.meant_field(name)


def target(draft: Draft, use: Use) -> Target | None:
    """Where a reference leads; None where the name itself is unknown, or a secret."""
    ref = use.ref
    if ref.root == "state":
        field = draft.fields.get(str(ref.path[0])) if ref.path else None
        return Target(field.type, field.name, ref.path[1:], 2) if field else None
    if ref.root in use.local:
        return Target(_input_type(draft, use, ref.root), ref.root, ref.path, 1)
    field = draft.fields.get(ref.root)
    return Target(field.type, field.name, ref.path, 1) if field else None


def _input_type(draft: Draft, use: Use, name: str) -> Type | None:
    """The type of a node's input, or of its element; None where it can't be told."""
    if use.reader is None:
        return None
    if name not in use.reader.inputs:
        return element_type(draft, use.reader)
    return input_type(draft, use.reader, use.reader.inputs[name])


def input_type(draft: Draft, node: NodeView, value: Any) -> Type | None:
    """The type of what stands in a node's `inputs`; None where it can't be told."""
    if not isinstance(value, str):
        return None
    only = compile_template(value, bare=True).only_ref
    if only is None:
        return Type("str")
    if only.root == node.element:
        kind = element_type(draft, node)
        return kind.at(only.path) if kind else None
    return type_at(draft, only)


def type_at(draft: Draft, ref: Ref) -> Type | None:
    """The type of what a reference into the state leads to; None where it can't be told."""
    path = ref.path if ref.root == "state" else (ref.root, *ref.path)
    if path and str(path[0]).startswith(SYSTEM_NAMES):
        return Type("int" if str(path[0]).startswith(LOOP_COUNT) else "str")
    field = draft.fields.get(str(path[0])) if path else None
    return field.type.at(path[1:]) if field and field.type else None


def element_type(draft: Draft, node: NodeView) -> Type | None:
    """The type of one element of what a node runs over; None where it can't be told."""
    value = node.data.get("for_each")
    only = compile_template(value, bare=True).only_ref if isinstance(value, str) else None
    kind = type_at(draft, only) if only else None
    return kind.item if kind and kind.name == "list" and kind.args else None


@rule("unknown-field", "error")
def unknown_field(draft: Draft) -> Iterator[Found]:
    """A state field is used that `state.fields` does not have: in a template or condition, in a node's
    `outputs`, as a loop's `condition_field`, or in the flow's `inputs` and `outputs`.

    Correct the name, or add the field to `state.fields`.
    """
    if not draft.fields_known:
        return
    for name, others in _named_fields(draft):
        if name.text not in draft.fields:
            known = [f for f in draft.fields if f not in others]
            mend = draft.names.certain(name.text, known)
            patch = replace_name(draft.document, name.path, mend) if mend else None
            yield Found(
                name.path,
                f"There is no state field '{name.text}'. {_did_you_mean(draft, name.text, known)}",
                patch,
            )
    for use in draft.uses:
        if use.ref.root == "state" and not _known(draft, use):
            yield _unknown_in_template(draft, use)


def _named_fields(draft: Draft) -> Iterator[tuple[Name, set[str]]]:
    """Fields named outright, each with those that the same list names already."""
    for node in draft.nodes:
        listed_here = {n.text for n in node.outputs}
        yield from ((name, listed_here) for name in node.outputs)
    for edge in draft.edges:
        if edge.loop and edge.loop.field:
            yield edge.loop.field, set()
    flow = mapping(draft.data.get("flow"))
    for key in ("inputs", "outputs"):
        found = names(flow.get(key), ("flow", key))
        yield from ((name, {n.text for n in found}) for name in found)


def _known(draft: Draft, use: Use) -> bool:
    if not use.ref.path:
        return False
    name = str(use.ref.path[0])
    return known_system_name(draft, name) if name.startswith(SYSTEM_NAMES) else name in draft.fields


def known_system_name(draft: Draft, name: str) -> bool:
    """Whether there is a count or an error of that name: of a node with a loop, or with an `on_error`."""
    if name.startswith(LAST_ERROR):
        node = draft.by_id.get(name.removeprefix(LAST_ERROR))
        known = draft.nodes_known and not any(n.twin for n in draft.nodes)
        return not known or (node is not None and node.data.get("on_error", "fail") != "fail")
    node = draft.by_id.get(name.removeprefix(LOOP_COUNT))
    loops = {draft.meant_node(s.text) for e in draft.edges if e.loop for s in e.sources}
    return not draft.edges_known or None in loops or (node is not None and node.index in loops)


def _unknown_in_template(draft: Draft, use: Use) -> Found:
    ref = use.ref
    if not ref.path:
        first = next(iter(draft.fields))
        return Found(
            use.path, f"'state' alone is no value. Name a field, as in {_shown(use, f'state.{first}')}."
        )
    name = str(ref.path[0])
    if name.startswith(SYSTEM_NAMES):
        return _no_system_name(draft, use, name)
    if name in use.local:
        patch = replace_inside(
            draft.document, use.path, use.value, ref.start, ref.end, ref.text.removeprefix("state.")
        )
        message = f"'{name}' is an input of this node, not a state field. Write {{{name}}}."
        return Found(use.path, message, patch)
    mend = draft.names.certain(name, draft.fields)
    patch = replace_step(draft.document, use.path, use.value, ref, 1, mend) if mend else None
    hint = _did_you_mean(draft, name, list(draft.fields), "state.")
    return Found(use.path, f"There is no state field '{name}'. {hint}", patch)


def _no_system_name(draft: Draft, use: Use, name: str) -> Found:
    prefix = LOOP_COUNT if name.startswith(LOOP_COUNT) else LAST_ERROR
    what, needed = ("count", "loop") if prefix == LOOP_COUNT else ("error", "on_error: continue or a node")
    node = name.removeprefix(prefix)
    if node in draft.by_id:
        reason = f"because the node '{node}' has no {needed}."
        return Found(use.path, f"There is no {what} 'state.{name}', {reason}")
    having = [id for id in draft.by_id if known_system_name(draft, prefix + id)]
    mend = draft.names.certain(node, having)
    patch = replace_step(draft.document, use.path, use.value, use.ref, 1, prefix + mend) if mend else None
    near = mend or draft.names.near(node, having)
    hint = f" Did you mean 'state.{prefix}{near}'?" if near else ""
    message = f"There is no {what} 'state.{name}', because the node '{node}' does not exist.{hint}"
    return Found(use.path, message, patch)


def _shown(use: Use, text: str) -> str:
    return text if use.place in ("condition", "for_each") else f"{{{text}}}"


def _did_you_mean(draft: Draft, name: str, known: list[str], prefix: str = "") -> str:
    near = draft.names.certain(name, known) or draft.names.near(name, known)
    return (
        f"Did you mean '{prefix}{near}'?"
        if near
        else f"The fields are: {listed(known or list(draft.fields))}."
    )


@rule("input-left-out", "error")
def input_left_out(draft: Draft) -> Iterator[Found]:
    """A state field is required, but `flow.inputs` does not list it, so nobody can give it.

    Add it to `flow.inputs`, or leave `flow.inputs` out: then every required field is an input.
    """
    value = mapping(draft.data.get("flow")).get("inputs")
    listed_there = names(value, ("flow", "inputs"))
    if value is None or any(n.text not in draft.fields for n in listed_there) or draft.unsure("flow"):
        return
    for field in draft.fields.values():
        if field.data.get("required") is True and field.name not in {n.text for n in listed_there}:
            message = f"'{field.name}' is required, but flow.inputs leaves it out, so nobody can give it. "
            yield Found(("flow", "inputs"), f"{message}Add it to flow.inputs.")


@rule("unknown-name", "error")
def unknown_name(draft: Draft) -> Iterator[Found]:
    """A template says `{name}`, but the node has no input and the state no field of that name.

    Correct the name, or add it to the node's `inputs`. A brace that is meant as text is written twice:
    `{{name}}`.
    """
    if not draft.fields_known:
        return
    for use in draft.uses:
        ref = use.ref
        if ref.root in ("state", "secret") or ref.root in use.local or ref.root in draft.fields:
            continue
        if ref.root.startswith(SYSTEM_NAMES) and known_system_name(draft, ref.root):
            continue
        known = [*use.local, *draft.fields]
        mend = draft.names.certain(ref.root, known)
        patch: Patch | None = (
            replace_step(draft.document, use.path, use.value, ref, 0, mend) if mend else None
        )
        near = mend or draft.names.near(ref.root, known)
        hint = f"Did you mean {{{near}}}?" if near else f"The fields are: {listed(list(draft.fields))}."
        text = (
            "" if use.place == "condition" else f" For a brace that is only text, write {{{{{ref.text}}}}}."
        )
        yield Found(use.path, f"{{{ref.text}}} refers to nothing. {hint}{text}", patch)


@rule("unknown-path", "error")
def unknown_path(draft: Draft) -> Iterator[Found]:
    """A reference goes on into a value that has nothing there, such as `{state.count.name}` where `count`
    is a number.

    Refer to the value itself, or to a name that its `schema` has. One element of a list is
    `{state.items[0]}`.
    """
    for use in draft.uses:
        found = target(draft, use)
        if found is None or found.type is None:
            continue
        inner = found.type
        for n, step in enumerate(found.steps):
            below = inner.at((step,))
            if below is None:
                yield _dead_end(draft, use, found, inner, n)
                break
            inner = below


def _dead_end(draft: Draft, use: Use, found: Target, inner: Type, n: int) -> Found:
    step = found.steps[n]
    so_far = found.name + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in found.steps[:n])
    parts = FILE_PARTS if inner.name == "file" else inner.fields
    if parts is not None and isinstance(step, str):
        mend = draft.names.certain(step, parts)
        near = mend or draft.names.near(step, parts)
        hint = f"Did you mean '{near}'?" if near else f"It has: {listed(list(parts))}."
        patch = (
            replace_step(draft.document, use.path, use.value, use.ref, found.first + n, mend)
            if mend
            else None
        )
        return Found(use.path, f"'{so_far}' has no '{step}'. {hint}", patch)
    if inner.name == "list":
        return Found(
            use.path, f"'{so_far}' is a list, so '.{step}' leads nowhere. One element is {so_far}[0]."
        )
    what = f"[{step}]" if isinstance(step, int) else f".{step}"
    return Found(
        use.path, f"'{so_far}' is of type {inner}, so '{what}' leads nowhere. Refer to '{so_far}' itself."
    )


@rule("secret-misplaced", "error")
def secret_misplaced(draft: Draft) -> Iterator[Found]:
    """A secret is used where a model, a log or the state would see it, such as in the `args` of a tool that gives
    back what it is given.

    `{secret.NAME}` may stand in the `args` of a tool node and in the `config` of a tool, where the tool sends
    it somewhere, as `http_get` does; and nowhere else.
    """
    for use in draft.uses:
        if use.ref.root != "secret" or "secret" in use.local:
            continue
        if use.place not in ("args", "config"):
            where = "an input" if use.place == "inputs" else f"'{use.place}'"
            message = f"A secret can't stand in {where}, where a model or a log would see it. "
            yield Found(use.path, f"{message}Use it in the args of a tool, or in a tool's config.")
        elif len(use.ref.path) != 1:
            yield Found(use.path, "A secret is written {secret.NAME}, with one name and nothing after it.")
        elif (tool := _tool_of(use)) in draft.tools and not draft.tools.get(tool).takes_secrets:
            message = (
                f"The tool {tool} gives back what it is given, so the secret could be stored and shown. "
            )
            fit = [name for name in draft.tools.names() if draft.tools.get(name).takes_secrets]
            yield Found(use.path, f"{message}Secrets can be given to: {listed(fit) or 'no tool yet'}.")


def _tool_of(use: Use) -> str:
    """The tool that a reference in `args` or `config` is handed to; empty where it can't be read."""
    data = use.reader.data if use.reader else {}
    if use.place == "config":
        found = mapping(sequence(data.get("tools"))[int(use.path[3])]).get("name")
    else:
        found = data.get("tool")
    return found if isinstance(found, str) else ""


def readers(draft: Draft) -> dict[str, list[Use]]:
    """Field to the references that read it."""
    found: dict[str, list[Use]] = {}
    for use in draft.uses:
        name = field_of(draft, use)
        if name:
            found.setdefault(name, []).append(use)
    return found


def given_from_start(draft: Draft, field: FieldView) -> bool:
    """Whether a field has a value before any node has run: required, with a default, or an input of the
    flow.
    """
    flow_inputs = mapping(draft.data.get("flow")).get("inputs")
    return field.given or field.name in {n.text for n in names(flow_inputs, ())}


RULES = (unknown_field, input_left_out, unknown_name, unknown_path, secret_misplaced)
