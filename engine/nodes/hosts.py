"""Whose word the host of a tool's `url` is: a private host may be called only where the document or the person
named it. What a model or a tool wrote could lead anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.nodes.step import Step
from engine.templates import Ref, compile_template
from engine.workflow import Node, Workflow

_HOST = re.compile(r"\s*https?://[^/?#]+[/?#]", re.IGNORECASE)


def names_own_host(step: Step) -> bool:
    """Whether all of `url` up to the end of its host stands in the document or came in as an input of the run.

    False for a node without a `url` among its arguments. TemplateError passes through.
    """
    node = step.node
    value: Any = node.args.value if node.args else None
    url = value.get("url") if isinstance(value, Mapping) else None
    if node.args is None or not isinstance(url, str):
        return False
    given = given_fields(step.workflow)
    foreign = [ref for ref in node.args.refs if ref.where == ("url",) and not _is_given(ref, node, given)]
    if not foreign:
        return True
    before = url[: min(ref.start for ref in foreign)].removesuffix("{")
    return _HOST.match(str(compile_template(before).render(step.lookup))) is not None


def given_fields(workflow: Workflow) -> frozenset[str]:
    """The fields that no node writes: inputs of the run, and defaults of the document."""
    written = {name for node in workflow.nodes.values() for name in node.outputs}
    return frozenset(workflow.fields.keys() - written)


def _is_given(ref: Ref, node: Node, given: frozenset[str]) -> bool:
    if ref.root != "state" and ref.root in node.inputs:
        return all(_field(inner) in given for inner in node.inputs[ref.root].refs)
    return _field(ref) in given


def _field(ref: Ref) -> str | int | None:
    """The field that a reference reads; None for a secret, and for the whole state."""
    if ref.root == "state":
        return ref.path[0] if ref.path else None
    return None if ref.root == "secret" else ref.root
