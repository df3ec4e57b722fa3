"""Names of nodes and tools: every one that is used must exist, and once only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.check.draft import Draft
from engine.check.patches import replace_name
from engine.check.reading import Name, NodeView, mapping, sequence
from engine.check.rules import Found, Path, rule
from engine.workflow import END, START

_SHOWN = 8


def listed(names: Sequence[str]) -> str:
    """Names for a sentence, the first few of many."""
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


@rule("duplicate-node", "error")
def duplicate_node(draft: Draft) -> Iterator[Found]:
    """Two nodes have the same `id`, so that an edge to it could mean either.

    Give the second one an id of its own. Where the edges name exactly one node that does not exist, that is
    the id offered.
    """
    wanted = _id_of_twin(draft)
    for node in draft.nodes:
        if not node.twin:
            continue
        path = (*node.path, "id")
        line = draft.document.position((*draft.by_id[str(node.id)].path, "id"))[0]
        advice = f"The edges name '{wanted}': call this one so." if wanted else "Give this one another id."
        sure = wanted and draft.names.certain(wanted, draft.by_id) is None
        patch = replace_name(draft.document, path, wanted) if wanted and sure else None
        yield Found(path, f"The id '{node.id}' is taken by the node on line {line} already. {advice}", patch)


def _id_of_twin(draft: Draft) -> str | None:
    """The id that the second node of a name was to have: the only one that edges name and no node has."""
    missing = {name.text for name, _ in _lost(draft)}
    return missing.pop() if len(missing) == 1 and sum(n.twin for n in draft.nodes) == 1 else None


@rule("undefined-node", "error")
def undefined_node(draft: Draft) -> Iterator[Found]:
    """An edge names a node that does not exist.

    Correct the name, or add the node. START and END are written in capitals.
    """
    explained = _id_of_twin(draft)
    unsure = not draft.nodes_known or any(n.twin for n in draft.nodes)
    for name, other in _lost(draft):
        if name.text == explained:
            continue
        mend = draft.names.certain(name.text, _endpoints(draft, other))
        near = mend or draft.names.near(name.text, _endpoints(draft, other))
        if mend is None and unsure:
            continue
        hint = f"Did you mean '{near}'?" if near else f"The nodes are: {listed(list(draft.by_id))}."
        patch = replace_name(draft.document, name.path, mend) if mend else None
        yield Found(name.path, f"There is no node '{name.text}'. {hint}", patch)


def _endpoints(draft: Draft, other: str | None) -> Iterator[str]:
    """What an edge can name, without its other end."""
    yield from (n for n in draft.by_id if n != other)
    yield from (START, END)


def _lost(draft: Draft) -> Iterator[tuple[Name, str | None]]:
    """Endpoints that name no node, each with the other end where that is one node."""
    if not draft.nodes or draft.unsure("nodes"):
        return
    known = {*draft.by_id, START, END}
    for edge in draft.edges:
        targets = list(edge.targets)
        for name in edge.sources:
            if name.text not in known:
                yield name, targets[0].text if len(targets) == 1 else None
        for name in targets:
            if name.text not in known:
                yield name, edge.sources[0].text if len(edge.sources) == 1 else None


@rule("wrong-way", "error")
def wrong_way(draft: Draft) -> Iterator[Found]:
    """An edge leads into START, comes out of END, or lets START run in a loop.

    START is where a run begins and END where it ends; neither is a step.
    """
    for edge in draft.edges:
        for name in edge.targets:
            if name.text == START:
                yield Found(name.path, f"An edge can't lead to START.{_again(draft)}")
        for name in edge.sources:
            if name.text == END:
                yield Found(name.path, "Nothing can come after END. Name the node that this edge comes from.")
            if name.text == START and edge.loop:
                yield Found(name.path, "START can't run in a loop. Name the node that is to run again.")


def _again(draft: Draft) -> str:
    first = next(iter(draft.by_id), None)
    return f" To begin again, lead to the first node, '{first}'." if first else ""


@rule("unknown-tool", "error")
def unknown_tool(draft: Draft) -> Iterator[Found]:
    """A node uses a tool that this installation does not have.

    Correct the name, or use one of the tools that the message lists.
    """
    for _, name in tool_uses(draft):
        if name.text in draft.tools:
            continue
        known = list(draft.tools.names())
        mend = draft.names.certain(name.text, known)
        near = mend or draft.names.near(name.text, known)
        hint = f"Did you mean '{near}'?" if near else f"The tools are: {listed(known)}."
        patch = replace_name(draft.document, name.path, mend) if mend else None
        yield Found(name.path, f"There is no tool '{name.text}' in this installation. {hint}", patch)


def tool_uses(draft: Draft) -> Iterator[tuple[NodeView, Name]]:
    """Every tool that is named: by a tool node, and in the `tools` of a node with a model or code."""
    for node in draft.nodes:
        yield from ((node, name) for name in tools_of(node))


def tools_of(node: NodeView) -> Iterator[Name]:
    """The tools that a node names."""
    if isinstance(node.data.get("tool"), str):
        yield Name(node.data["tool"], (*node.path, "tool"))
    for i, use in enumerate(sequence(node.data.get("tools"))):
        path: Path = (*node.path, "tools", i)
        if isinstance(use, str):
            yield Name(use, path)
        elif isinstance(mapping(use).get("name"), str):
            yield Name(use["name"], (*path, "name"))


RULES = (duplicate_node, undefined_node, wrong_way, unknown_tool)
