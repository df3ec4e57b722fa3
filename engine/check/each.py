"""`for_each`: a list to run over, outputs that are lists, and a name for the element that is used."""

from __future__ import annotations

from collections.abc import Iterator

from engine.check.draft import Draft
from engine.check.names import listed
from engine.check.patches import replace_name
from engine.check.reading import NodeView
from engine.check.references import type_at
from engine.check.rules import Found, rule
from engine.templates import compile_template

_RESERVED = ("state", "secret")


def _nodes(draft: Draft) -> Iterator[NodeView]:
    for node in draft.nodes:
        if isinstance(node.data.get("for_each"), str) and not draft.unsure("nodes", node.index):
            yield node


@rule("each-list", "error")
def each_list(draft: Draft) -> Iterator[Found]:
    """`for_each` is not a list in the state: it is no reference, or one to a field of another type.

    Write the field as `state.items`, and give it the type `list[T]`.
    """
    for node in _nodes(draft):
        value, path = str(node.data["for_each"]), (*node.path, "for_each")
        only = compile_template(value, bare=True).only_ref
        if only is None:
            meant = draft.meant_field(value.strip())
            patch = replace_name(draft.document, path, f"state.{meant}") if meant else None
            lists = [name for name, field in draft.fields.items() if field.type and field.type.name == "list"]
            hint = f"Write state.{meant}." if meant else f"The lists are: {listed(lists) or 'none yet'}."
            yield Found(path, f"for_each names a list of the state, such as state.items. {hint}", patch)
            continue
        kind = type_at(draft, only)
        if kind and kind.name not in ("list", "any"):
            message = f"'{only.text}' is of type {kind}, but for_each needs a list. "
            yield Found(path, f"{message}Make it a list, or leave for_each out.")


@rule("each-output", "error")
def each_output(draft: Draft) -> Iterator[Found]:
    """A node with `for_each` gives back one value per element, but the state field of an output is not a list.

    Make the field `list[T]`, where T is the type of what comes back for one element.
    """
    for node in _nodes(draft):
        for name in node.outputs:
            field = draft.fields.get(name.text)
            if field and field.type and field.type.name not in ("list", "any"):
                message = f"{node.label} runs once per element, so '{field.name}' must be a list, not {field.type}. "
                yield Found(name.path, f'{message}Make it type: "list[{field.type}]".')


@rule("each-name", "error")
def each_name(draft: Draft) -> Iterator[Found]:
    """The name of the element (`as`) is taken: by an input of the node, or by `state` and `secret`.

    Choose another name.
    """
    for node in _nodes(draft):
        name = node.element
        if name in node.inputs or name in _RESERVED:
            what = "an input of this node" if name in node.inputs else "what templates begin with"
            key = "as" if "as" in node.data else "for_each"
            yield Found(
                (*node.path, key), f"'{name}' is {what} already. Give the element another name with as."
            )


@rule("each-unused", "warning")
def each_unused(draft: Draft) -> Iterator[Found]:
    """A node runs once per element of a list, but none of its texts mentions the element, so that it does the same
    each time.

    Write `{item}` (or the name that `as` gives) where the element belongs.
    """
    for node in _nodes(draft):
        name, uses = node.element, draft.uses_in(node)
        if name in node.inputs or any(u.ref.root == name for u in uses):
            continue
        code = draft.code.get(node.index)
        if code and (not code.known or code.whole or code.opaque or name in {read for read, _ in code.read}):
            continue
        lost = [u for u in uses if u.ref.root not in ("state", "secret", *node.inputs, *draft.fields)]
        if lost or node.kind == "agent":
            continue
        how = f"inputs['{name}'] in the code" if code else f"{{{name}}} where it belongs"
        yield Found((*node.path, "for_each"), f"{node.label} never uses the element. Write {how}.")


@rule("each-missing", "warning")
def each_missing(draft: Draft) -> Iterator[Found]:
    """`as` or `max_parallel` stands on a node without `for_each`, where it means nothing.

    Add `for_each`, or remove it.
    """
    for node in draft.nodes:
        if "for_each" in node.data or draft.unsure("nodes", node.index):
            continue
        for key in ("as", "max_parallel"):
            if key in node.data:
                yield Found(
                    (*node.path, key), f"'{key}' means nothing without for_each. Add for_each, or remove it."
                )


RULES = (each_list, each_output, each_name, each_unused, each_missing)
