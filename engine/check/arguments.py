"""The arguments of tool nodes, against what the tool takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.check.draft import Draft
from engine.check.names import listed
from engine.check.patches import replace_key
from engine.check.reading import NodeView
from engine.check.references import target
from engine.check.rules import Found, Path, rule
from engine.check.uses import strings
from engine.templates import compile_template
from engine.types import Type, show

_WORDS = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "array": "a list", "object": "a set of named values", "null": "null",
}  # fmt: skip
_JSON = {
    "str": {"string"}, "file": {"string"}, "int": {"integer", "number"}, "float": {"number"},
    "bool": {"boolean"}, "list": {"array"}, "dict": {"object"}, "object": {"object"},
}  # fmt: skip


def _tool_nodes(draft: Draft) -> Iterator[tuple[NodeView, Mapping[str, Any], Mapping[str, Any]]]:
    """Tool nodes with their arguments and the JSON Schema of those, where both can be read."""
    for node in draft.nodes:
        name, args = node.data.get("tool"), node.data.get("args", {})
        if (
            node.kind == "tool"
            and isinstance(name, str)
            and name in draft.tools
            and isinstance(args, Mapping)
        ):
            yield node, args, draft.tools.get(name).parameters


@rule("unknown-argument", "error")
def unknown_argument(draft: Draft) -> Iterator[Found]:
    """A tool is given an argument that it does not take.

    Correct the name; the message lists what the tool takes.
    """
    for node, args, schema in _tool_nodes(draft):
        known = list(schema.get("properties", {}))
        for name in args:
            if name in known or schema.get("additionalProperties") is not False:
                continue
            path = (*node.path, "args", name)
            mend = draft.names.certain(name, [k for k in known if k not in args])
            near = mend or draft.names.near(name, known)
            hint = f"Did you mean '{near}'?" if near else f"It takes: {listed(known) or 'nothing'}."
            patch = replace_key(draft.document, path, mend) if mend else None
            yield Found(path, f"The tool {node.data['tool']} takes no argument '{name}'. {hint}", patch)


@rule("missing-argument", "error")
def missing_argument(draft: Draft) -> Iterator[Found]:
    """A tool is not given an argument that it needs.

    Add it to the node's `args`.
    """
    for node, args, schema in _tool_nodes(draft):
        properties = schema.get("properties", {})
        strange = [a for a in args if a not in properties]
        for name in schema.get("required", ()):
            if name not in args and not any(draft.names.certain(s, [name]) for s in strange):
                what = properties.get(name, {}).get("description")
                about = f" ({what})" if what else ""
                message = f"The tool {node.data['tool']} needs the argument '{name}'{about}. Add it to args."
                yield Found((*node.path, "args", name), message)


@rule("argument-type", "error")
def argument_type(draft: Draft) -> Iterator[Found]:
    """A value given to a tool, or the state field that it is taken from, is not of a kind that the tool
    takes.

    Give a value of that kind. A reference alone in quotes keeps the type of its field; with text beside it,
    it is text.
    """
    for node, args, schema in _tool_nodes(draft):
        for name, value in args.items():
            wanted = schema.get("properties", {}).get(name)
            if isinstance(wanted, Mapping):
                yield from _misfit(draft, node, name, value, wanted)


def _misfit(
    draft: Draft, node: NodeView, name: str, value: Any, wanted: Mapping[str, Any]
) -> Iterator[Found]:
    path: Path = (*node.path, "args", name)
    kinds = wanted.get("type", [])
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    words = " or ".join(_WORDS.get(k, k) for k in sorted(kinds, reverse=True) if k != "null")
    if any(compile_template(text).refs for _, text in strings(value, ())):
        found = _type_of(draft, node, path, value)
        if found is not None and kinds and not kinds & _JSON.get(found.name, kinds):
            yield Found(
                path,
                f"The argument '{name}' of {node.data['tool']} must be {words}; this is of type {found}.",
            )
        return
    from jsonschema import Draft202012Validator

    fault = next(iter(Draft202012Validator(dict(wanted)).iter_errors(value)), None)
    if fault is not None:
        must = (
            f"must be {words}, not {show(value)}"
            if fault.validator == "type" and not fault.path
            else fault.message
        )
        yield Found(path, f"The argument '{name}' of {node.data['tool']} does not fit: {must}.")


def _type_of(draft: Draft, node: NodeView, path: Path, value: Any) -> Type | None:
    """The type that a template with references gives; None where it can't be told."""
    if not isinstance(value, str):
        return Type("list") if isinstance(value, list) else Type("dict")
    if compile_template(value).only_ref is None:
        return Type("str")
    use = next((u for u in draft.uses_in(node) if u.path == path), None)
    found = target(draft, use) if use else None
    return found.type.at(found.steps) if found and found.type else None


RULES = (unknown_argument, missing_argument, argument_type)
