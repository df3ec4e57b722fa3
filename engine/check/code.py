"""Code nodes: Python that can be read, that reads inputs it has and sets what the node is to give back."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from engine.check.draft import Draft
from engine.check.names import listed
from engine.check.patches import replace_inside, text_place
from engine.check.python import INPUTS, RESULT, TOOLS, Code, Span
from engine.check.reading import FieldView, NodeView, mapping, sequence
from engine.check.references import SYSTEM_NAMES, known_system_name
from engine.check.rules import Found, Path, rule
from engine.problems import Patch
from engine.types import Type, convert
from tools.sandbox.guest.modules import refusal

_MADE = (
    (ast.JoinedStr, "str"), (ast.List, "list"), (ast.ListComp, "list"), (ast.Dict, "dict"), (ast.DictComp, "dict"),
    (ast.Compare, "bool"),
)  # fmt: skip
_CALLED = {
    "len": "int",
    "str": "str",
    "bool": "bool",
    "int": "int",
    "list": "list",
    "sorted": "list",
    "dict": "dict",
}


def _nodes(draft: Draft) -> Iterator[tuple[NodeView, Code]]:
    """The code nodes whose Python could be read."""
    for number, code in draft.code.items():
        if code.known:
            yield draft.nodes[number], code


def _found(
    draft: Draft, node: NodeView, code: Code, span: Span, message: str, new: str | None = None
) -> Found:
    """A problem at a place within the code, with `new` for what stands there."""
    path: Path = (*node.path, "code")
    patch: Patch | None = None
    if new is not None:
        patch = replace_inside(draft.document, path, code.text, *span, new)
    return Found(path, message, patch, text_place(draft.document, path, code.text, span[0]))


@rule("code-syntax", "error")
def code_syntax(draft: Draft) -> Iterator[Found]:
    """The code of a node is no Python that can be read, or it has a `return` outside of a function.

    Correct the line that the message names. What the node gives back is set as `result = …`.
    """
    for number, code in draft.code.items():
        node = draft.nodes[number]
        if code.fault:
            start = sum(len(line) + 1 for line in code.text.split("\n")[: code.fault.line - 1])
            at = text_place(draft.document, (*node.path, "code"), code.text, start + code.fault.column - 1)
            message = f"The code can't be read: {code.fault.message.rstrip('.')} (line {code.fault.line} of the code)."
            yield Found((*node.path, "code"), message, at=at)
        for statement in code.returned:
            start = code.span(statement)[0]
            span = (start, start + len("return"))
            value = isinstance(statement, ast.Return) and statement.value is not None
            new = "result =" if value and statement is _last(code) else None
            message = (
                "There is no function here to return from. Write result = … for what the node gives back."
            )
            yield _found(draft, node, code, span, message, new)


def _last(code: Code) -> ast.stmt | None:
    """The only `return`, where nothing comes after it."""
    only = code.returned[0] if len(code.returned) == 1 else None
    return only if only and not code.text[code.span(only)[1] :].strip() else None


@rule("code-result", "error")
def code_result(draft: Draft) -> Iterator[Found]:
    """A code node has outputs, but its code never sets `result`.

    Set `result`: the value for one output, or a dict with one entry per output.
    """
    for node, code in _nodes(draft):
        if not node.outputs or RESULT in code.bound or code.opaque or code.returned:
            continue
        outputs = [name.text for name in node.outputs]
        near = draft.names.certain(RESULT, code.bound)
        entries = ", ".join(f"'{name}': …" for name in outputs[:8])
        fix = f"result = … (the value of '{outputs[0]}')" if len(outputs) == 1 else f"result = {{{entries}}}"
        hint = f"It sets '{near}'; that is another name. " if near else ""
        yield Found((*node.path, "code"), f"The code never sets result. {hint}Write {fix}.")


@rule("code-value", "error")
def code_value(draft: Draft) -> Iterator[Found]:
    """What the code sets as `result` can't be what the outputs take: an entry is missing, or its type is another.

    Give one entry per output, of the type that the state field has.
    """
    for node, code in _nodes(draft):
        value = code.results[0] if len(code.results) == 1 else None
        if value is None or code.opaque or code.returned or draft.unsure("nodes", node.index):
            continue
        keys = _keys(value)
        if keys is not None and (len(node.outputs) > 1 or (node.outputs and node.outputs[0].text in keys)):
            yield from _entries(draft, node, code, value, keys)
        elif len(node.outputs) == 1:
            field = draft.fields.get(node.outputs[0].text)
            reason = _misfit(field, node, value)
            if reason and field:
                yield _found(
                    draft, node, code, code.span(value), f"{reason} Give '{field.name}' a value that fits."
                )
        elif len(node.outputs) > 1 and _kind(value) not in (None, "dict"):
            message = "There are several outputs, but result is one value. Write result = {…} with an entry for each."
            yield _found(draft, node, code, code.span(value), message)


def _keys(value: ast.expr) -> dict[str, ast.expr] | None:
    """The entries of a dict written out with plain keys, None for all else."""
    if not isinstance(value, ast.Dict):
        return None
    found = {}
    for key, item in zip(value.keys, value.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            return None
        found[key.value] = item
    return found


def _entries(
    draft: Draft, node: NodeView, code: Code, value: ast.expr, keys: dict[str, ast.expr]
) -> Iterator[Found]:
    added = code.text.count(RESULT) > 1  # an entry may be put in later
    for name in node.outputs:
        field = draft.fields.get(name.text)
        if name.text in keys:
            reason = _misfit(field, node, keys[name.text])
            if reason and field:
                span = code.span(keys[name.text])
                yield _found(draft, node, code, span, f"{reason} Give '{field.name}' a value that fits.")
        elif field and not added:
            others = [key for key in keys if key not in {n.text for n in node.outputs}]
            near = draft.names.certain(name.text, others)
            hint = f"It has '{near}': call that '{name.text}'." if near else "Add it."
            message = f"The result has no entry '{name.text}', which is among the outputs. {hint}"
            yield _found(draft, node, code, code.span(value), message)


def _misfit(field: FieldView | None, node: NodeView, value: ast.expr) -> str | None:
    """Why a field can't take a value that is plain to see; None where it can, or where that can't be told."""
    if field is None or field.type is None or field.type.name == "any":
        return None
    kind = field.type.item if node.element is not None and field.type.name == "list" else field.type
    enum = field.enum if kind is field.type else None
    appended = field.data.get("reduce") == "append" and field.type.name == "list"
    kinds = [kind, field.type.item] if appended else [kind]
    if isinstance(value, ast.Constant) and value.value is not None and not isinstance(value.value, bytes):
        return _refused(value.value, kinds, enum)
    made = _kind(value)
    if made is None or any(each.accepts(Type(made)) for each in kinds):
        return None
    return f"The result is a {made} here, but the state field '{field.name}' is of type {field.type}."


def _refused(value: object, kinds: Sequence[Type], enum: Sequence[object] | None) -> str | None:
    reason = ""
    for kind in kinds:
        try:
            convert(value, kind, enum=enum)
        except (ValueError, TypeError) as error:
            reason = str(error)
        else:
            return None
    return f"The result does not fit: {reason}."


def _kind(value: ast.expr) -> str | None:
    """The type of a value that is plain to see."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return _CALLED.get(value.func.id)
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not):
        return "bool"
    if isinstance(value, ast.Constant):
        return {bool: "bool", int: "int", float: "float", str: "str"}.get(type(value.value))
    return next((name for kind, name in _MADE if isinstance(value, kind)), None)


@rule("code-input", "error")
def code_input(draft: Draft) -> Iterator[Found]:
    """The code reads an input that the node does not have.

    Correct the name, or add it to the node's `inputs`. Without `inputs` the code gets the whole state.
    """
    for node, code in _nodes(draft):
        if (
            INPUTS in code.bound
            or (not node.inputs and not draft.fields_known)
            or draft.unsure("nodes", node.index)
        ):
            continue
        names = _inputs(draft, node)
        seen = set()
        for name, span in code.read:
            if name in names or name in code.stored or name in seen or _system(draft, node, name):
                continue
            seen.add(name)
            mend = draft.names.certain(name, names)
            near = mend or draft.names.near(name, names)
            hint = f"Did you mean '{near}'?" if near else f"There is: {listed(names) or 'none'}."
            quote = code.text[span[0] : span[0] + 1]
            new = f"{quote}{mend}{quote}" if mend and quote in ("'", '"') else None
            what = "an input" if node.inputs else "a state field"
            yield _found(
                draft,
                node,
                code,
                span,
                f"The code reads inputs['{name}'], but there is no such {what[2:].strip()}. {hint}",
                new,
            )


def _inputs(draft: Draft, node: NodeView) -> list[str]:
    """What the code finds in `inputs`."""
    if node.inputs:
        return [str(name) for name in node.inputs]
    return [*draft.fields, node.element] if node.element else list(draft.fields)


def _system(draft: Draft, node: NodeView, name: str) -> bool:
    """Whether it is a count or an error that the whole state holds; a wrong one is `unknown-field`."""
    return not node.inputs and name.startswith(SYSTEM_NAMES) and known_system_name(draft, name)


@rule("code-name", "error")
def code_name(draft: Draft) -> Iterator[Found]:
    """The code uses a name that nothing sets, so that it stops there with an error.

    What the node is given is in `inputs`: `inputs["ticket"]`. Everything else must be set or imported first.
    """
    for node, code in _nodes(draft):
        if code.opaque or draft.unsure("nodes", node.index):
            continue
        names = _inputs(draft, node)
        for name, span in code.unbound:
            if name in names:
                new = f'inputs["{name}"]'
                message = f"The code uses {name}, which nothing sets. What the node is given is in inputs: write {new}."
                yield _found(draft, node, code, span, message, _fitting(draft, node, code, name))
            elif name == "state":
                message = 'The code can\'t see the state. What the node is given is in inputs: write inputs["NAME"].'
                yield _found(draft, node, code, span, message)
            elif refusal(name, None) is None:
                yield _found(
                    draft,
                    node,
                    code,
                    span,
                    f"The code uses {name}, which nothing sets. Write import {name} first.",
                )
            else:
                near = draft.names.near(name, [*code.bound, *names])
                hint = f"Did you mean {near}?" if near else "Set it first, or read it from inputs."
                yield _found(draft, node, code, span, f"The code uses {name}, which nothing sets. {hint}")


def _fitting(draft: Draft, node: NodeView, code: Code, name: str) -> str | None:
    """The input as it is written; None where the name stands more than once, so that one mend is not enough."""
    if code.text.count(name) > 1:
        return None
    source = draft.document.source((*node.path, "code"))
    return f"inputs['{name}']" if source[:1] == '"' else f'inputs["{name}"]'


@rule("code-import", "warning")
def code_import(draft: Draft) -> Iterator[Found]:
    """The code imports a module that the sandbox does not have, or that `allowed_modules` leaves out. It will stop
    there with an error.

    Do without it: the standard library is there, the network, files and other packages are not.
    """
    for node, code in _nodes(draft):
        seen = set()
        for name, span in code.imported:
            reason = refusal(name, _allowed(draft, node)) if name not in seen else None
            seen.add(name)
            if reason:
                yield _found(
                    draft, node, code, span, f"{reason[:1].upper()}{reason[1:].rstrip('.')}. Do without it."
                )


def _allowed(draft: Draft, node: NodeView) -> frozenset[str] | None:
    base = mapping(mapping(draft.data.get("config")).get("sandbox"))
    own = mapping(node.data.get("sandbox"))
    said = own.get("allowed_modules", base.get("allowed_modules"))
    return frozenset(m for m in said if isinstance(m, str)) if isinstance(said, list) else None


@rule("code-tool", "error")
def code_tool(draft: Draft) -> Iterator[Found]:
    """The code calls a tool that is not among the node's `tools`, or one that does more than read.

    Add the tool to the node's `tools`; then the code calls it as `tools.NAME(argument=value)`. A tool that sends or
    writes something needs a node of its own.
    """
    for node, code in _nodes(draft):
        if TOOLS in code.bound or draft.unsure("nodes", node.index):
            continue
        uses = sequence(node.data.get("tools"))
        given = [u if isinstance(u, str) else mapping(u).get("name") for u in uses]
        names = [name for name in given if isinstance(name, str)]
        for root, name, span in code.attributes:
            if root != TOOLS or name == "ToolError":
                continue
            if name in names:
                if name in draft.tools and draft.tools.get(name).effect != "none":
                    message = f"The tool {name} does more than read, so code can't call it. "
                    yield _found(draft, node, code, span, f"{message}Give it a node of its own.")
                continue
            mend = draft.names.certain(name, names)
            hint = f"Did you mean tools.{mend}?" if mend else f"Write tools: [{name}] on the node."
            message = f"The code calls the tool {name}, which the node was not given. {hint}"
            yield _found(draft, node, code, span, message, f"tools.{mend}" if mend else None)


RULES = (code_syntax, code_result, code_value, code_input, code_name, code_import, code_tool)
