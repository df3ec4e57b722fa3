"""Types: of defaults and enums against their field, and of what a node gives against the field it goes to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.check.draft import Draft
from engine.check.names import listed
from engine.check.patches import replace_name
from engine.check.reading import FieldView, NodeView, mapping, read_type, sequence
from engine.check.rules import Found, Path, rule
from engine.problems import Patch
from engine.types import Type, convert, show


@rule("required-default", "error")
def required_default(draft: Draft) -> Iterator[Found]:
    """A state field is `required` and has a `default` as well: then the default would never be used.

    Remove the one or the other.
    """
    for field in draft.fields.values():
        if field.data.get("required") is True and field.data.get("default") is not None:
            message = f"'{field.name}' is required, so its default is never used. Remove one of the two."
            yield Found((*field.path, "default"), message)


@rule("default-type", "error")
def default_type(draft: Draft) -> Iterator[Found]:
    """The `default` of a state field does not fit its `type`.

    Change the one or the other. Text that looks like a number needs quotes.
    """
    for field in draft.fields.values():
        default = field.data.get("default")
        if default is None or field.type is None:
            continue
        try:
            convert(default, field.type)
        except ValueError as error:
            path = (*field.path, "default")
            message = f"The default does not fit the type {field.type}: {error}."
            yield Found(path, message, _mended_default(draft, field, default))


def _mended_default(draft: Draft, field: FieldView, default: Any) -> Patch | None:
    """The same default, written so that it fits."""
    path = (*field.path, "default")
    source = draft.document.source(path)
    if source[:1] in ("*", "&", "!", "|", ">") or field.type is None:
        return None
    if field.type.name == "str" and isinstance(default, int | float):
        return draft.document.replace_value(path, f'"{source}"')
    if field.type.name not in ("int", "float", "bool") or not isinstance(default, str):
        return None
    try:
        value = convert(default, field.type, from_text=True)
    except ValueError:
        return None
    return draft.document.replace_value(path, json.dumps(value))


@rule("default-enum", "error")
def default_enum(draft: Draft) -> Iterator[Found]:
    """The `default` of a state field is not one of the values of its `enum`.

    Take one of the values, or add it to the `enum`.
    """
    for field in draft.fields.values():
        default, enum = field.data.get("default"), field.enum
        if default is None or enum is None or field.type is None or _allowed(default, field.type, enum):
            continue
        known = [e for e in enum if isinstance(e, str)]
        mend = draft.names.certain(default, known) if isinstance(default, str) else None
        path = (*field.path, "default")
        patch = replace_name(draft.document, path, mend) if mend else None
        message = f"The default {show(default)} is not one of {listed([show(e) for e in enum])}."
        yield Found(path, message, patch)


def _allowed(default: Any, kind: Type, enum: Sequence[Any]) -> bool:
    """Whether a default is among the values; True for one that does not even fit the type."""
    try:
        value = convert(default, kind)
    except ValueError:
        return True
    return any(value == e and isinstance(value, bool) == isinstance(e, bool) for e in enum)


@rule("enum-type", "error")
def enum_type(draft: Draft) -> Iterator[Found]:
    """A value of an `enum` does not fit the field's `type`.

    Give values of that type. Text that looks like a number needs quotes.
    """
    for field in draft.fields.values():
        for i, value in enumerate(field.enum or ()):
            if field.type is None:
                continue
            try:
                convert(value, field.type)
            except ValueError as error:
                yield Found(
                    (*field.path, "enum", i),
                    f"A value of the enum does not fit the type {field.type}: {error}.",
                )


@rule("schema-type", "error")
def schema_type(draft: Draft) -> Iterator[Found]:
    """A `schema` says what is inside a value, but the `type` beside it is one that has nothing inside.

    Make the type `object`, `list[object]` or a dict; or remove the `schema`.
    """
    places: list[tuple[Path, Any]] = [(f.path, f.data) for f in draft.fields.values()]
    for node in draft.nodes:
        given = sequence(mapping(node.data.get("output_schema")).get("fields"))
        places += [((*node.path, "output_schema", "fields", i), data) for i, data in enumerate(given)]
    for path, data in places:
        yield from _schema_misfits(path, mapping(data))


def _schema_misfits(path: Path, data: Mapping[Any, Any]) -> Iterator[Found]:
    inner = mapping(data.get("schema"))
    kind = read_type({"type": data.get("type")})
    if inner and kind and not _has_inside(kind):
        wanted = "list[object]" if kind.name == "list" else "object"
        message = f"A value of type {kind} has nothing that a schema could describe. "
        yield Found((*path, "schema"), f"{message}Make it type: {wanted}, or remove the schema.")
    for name, below in inner.items():
        if isinstance(name, str):
            yield from _schema_misfits((*path, "schema", name), mapping(below))


def _has_inside(kind: Type) -> bool:
    return kind.name in ("object", "dict") or any(_has_inside(arg) for arg in kind.args)


@rule("reduce-type", "error")
def reduce_type(draft: Draft) -> Iterator[Found]:
    """`reduce: append` needs a list to append to, and `reduce: merge` a dict or object to merge into.

    Change the field's type, or use `reduce: last`.
    """
    wanted = {"append": ("list",), "merge": ("dict", "object")}
    for field in draft.fields.values():
        reduce = field.data.get("reduce")
        kinds = wanted.get(reduce, ()) if isinstance(reduce, str) else ()
        if kinds and field.type and field.type.name not in (*kinds, "any"):
            message = f"reduce: {reduce} needs a {kinds[0]}, but '{field.name}' is of type {field.type}. "
            yield Found((*field.path, "reduce"), f"{message}Make it a {kinds[0]}, or write reduce: last.")


def given_by_schema(node: NodeView) -> Mapping[str, tuple[Type | None, int]] | None:
    """What an `output_schema` of type object gives: name to type and place in its list. None where it has
    no fields.
    """
    schema = mapping(node.data.get("output_schema"))
    if not isinstance(schema.get("fields"), list):
        return None
    found = {}
    for i, data in enumerate(sequence(schema["fields"])):
        if isinstance(mapping(data).get("name"), str):
            found[data["name"]] = (read_type(data), i)
    return found


@rule("output-type", "error")
def output_type(draft: Draft) -> Iterator[Found]:
    """A node's `output_schema` gives a value of a type that the state field of that name can't take.

    Give both the same type, or leave the `output_schema` out: then it is made from the state's fields.
    """
    for node in draft.nodes:
        path = (*node.path, "output_schema")
        fields = given_by_schema(node)
        for name in node.outputs:
            field = draft.fields.get(name.text)
            if fields is None:
                kind, place = read_type(mapping(node.data.get("output_schema"))), (*path, "type")
                kind = kind if len(node.outputs) == 1 else None
            else:
                kind, i = fields.get(name.text, (None, 0))
                place = (*path, "fields", i, "type")
            if field and field.type and kind and not _fits(field, kind, node):
                message = f"'{name.text}' is given as {kind} here, but the state field is {field.type}. "
                yield Found(place, f"{message}Make both the same type.")


def _fits(field: FieldView, kind: Type, node: NodeView) -> bool:
    if node.element is not None:
        return field.type is None or field.type.name != "list" or field.type.item.accepts(kind)
    if field.type is None or field.type.accepts(kind):
        return True
    return (
        field.data.get("reduce") == "append" and field.type.name == "list" and field.type.item.accepts(kind)
    )


@rule("output-not-given", "error")
def output_not_given(draft: Draft) -> Iterator[Found]:
    """`outputs` names a field that the node's `output_schema` does not give: the schema has no field of
    that name, or it is one simple value for several outputs.

    Add the field to the `output_schema`, take it out of `outputs`, or leave the `output_schema` out.
    """
    for node in draft.nodes:
        schema, path = mapping(node.data.get("output_schema")), (*node.path, "output_schema")
        fields = given_by_schema(node)
        if fields is not None:
            yield from _not_among(draft, node, fields)
        elif isinstance(schema.get("type"), str) and schema["type"] != "object" and len(node.outputs) > 1:
            message = (
                f"The output_schema gives one value ({schema['type']}) for {len(node.outputs)} outputs. "
            )
            yield Found((*path, "type"), f"{message}Make it an object with a field for each.")


def _not_among(draft: Draft, node: NodeView, fields: Mapping[str, Any]) -> Iterator[Found]:
    if draft.unsure("nodes", node.index):
        return
    for name in node.outputs:
        if name.text in fields or name.text not in draft.fields:
            continue
        others = [f for f in fields if f not in {n.text for n in node.outputs}]
        near = draft.names.certain(name.text, others)
        path = (*node.path, "output_schema", "fields", fields[near][1], "name") if near else name.path
        patch = replace_name(draft.document, path, name.text) if near else None
        hint = (
            f"It has '{near}': call that '{name.text}'."
            if near
            else f"It has: {listed(list(fields)) or 'none'}."
        )
        yield Found(
            path, f"The output_schema gives no '{name.text}', which is among the outputs. {hint}", patch
        )


RULES = (
    required_default,
    default_type,
    default_enum,
    enum_type,
    schema_type,
    reduce_type,
    output_type,
    output_not_given,
)
