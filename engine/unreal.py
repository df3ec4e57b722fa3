"""Which values of a dry run are real: what a person gave, and what was computed from nothing but that."""

from __future__ import annotations

from collections.abc import Iterable

from engine.parts import refs_of
from engine.workflow import Node, Workflow


def unreal_fields(workflow: Workflow, made: Iterable[str]) -> frozenset[str]:
    """The state fields whose values in a dry run may be made up, or computed from such; `made` are those inputs."""
    found = set(made)
    nodes = list(workflow.nodes.values())
    for node in nodes:
        if not computes(node):
            found.update(node.outputs)
    before = -1
    while before != len(found):
        before = len(found)
        for node in nodes:
            if found & fields_seen(node, workflow):
                found.update(node.outputs)
    return frozenset(found)


def computes(node: Node) -> bool:
    """Whether a node gives in a dry run what it would give in a real one: code, and tools that only look at their
    arguments."""
    return node.kind == "code" or (node.kind == "tool" and node.effect == "none" and not reaches_out(node))


def reaches_out(node: Node) -> bool:
    """Whether a tool reads something outside, which may not be there."""
    args = node.args.value if node.args else None
    return isinstance(args, dict) and "url" in args


def fields_seen(node: Node, workflow: Workflow) -> set[str]:
    """The state fields that a node refers to; all of them for code without inputs of its own."""
    if node.kind == "code" and not node.inputs:
        return set(workflow.fields)
    refs = [*refs_of(node), *(node.each.items.refs if node.each else ())]
    return {str(ref.path[0]) if ref.root == "state" and ref.path else ref.root for ref in refs}
