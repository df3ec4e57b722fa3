"""What happens when a node fails or the machine dies: `on_error`, `effect` and `retry`."""

from __future__ import annotations

from collections.abc import Iterator

from engine.check.draft import Draft
from engine.check.names import listed, tools_of
from engine.check.patches import replace_name
from engine.check.reading import mapping
from engine.check.rules import Found, rule
from engine.workflow import END, START

_STRENGTH = ("none", "idempotent", "once")


@rule("unknown-handler", "error")
def unknown_handler(draft: Draft) -> Iterator[Found]:
    """`on_error` names a node that does not exist, the node itself, START or END.

    It is `fail`, `continue`, or the id of another node, which then runs in place of what the edges lead to.
    """
    for node in draft.nodes:
        name = node.handler
        if name is None or draft.unsure("nodes", node.index):
            continue
        if name.text == node.id:
            message = "A node that fails can't lead to itself. To try again, use retry: {max_attempts: 3}."
            yield Found(name.path, message)
        elif name.text in (START, END):
            message = f"on_error can't lead to {name.text}. Name a node, or write continue to go on without this one."
            yield Found(name.path, message)
        elif name.text not in draft.by_id:
            known = [*(id for id in draft.by_id if id != node.id), "continue", "fail"]
            mend = draft.names.certain(name.text, known)
            if mend is None and (not draft.nodes_known or any(n.twin for n in draft.nodes)):
                continue
            near = mend or draft.names.near(name.text, known)
            hint = (
                f"Did you mean '{near}'?"
                if near
                else f"It is fail, continue or one of: {listed(known[:-2])}."
            )
            patch = replace_name(draft.document, name.path, mend) if mend else None
            yield Found(name.path, f"There is no node '{name.text}' to go to. {hint}", patch)


@rule("handler-in-line", "warning")
def handler_in_line(draft: Draft) -> Iterator[Found]:
    """A node that `on_error` names also runs when nothing has failed: without `edges` every node follows the one
    above it.

    Write `edges`, and lead to the node from nowhere else.
    """
    if draft.edges or not draft.edges_known:
        return
    for node in draft.nodes:
        name = node.handler
        if name and name.text in draft.by_id and draft.by_id[name.text].index > node.index:
            message = f"Without edges '{name.text}' runs also when '{node.id}' has not failed. "
            yield Found(name.path, f"{message}Write edges if it is for failures only.")


@rule("effect-too-weak", "error")
def effect_too_weak(draft: Draft) -> Iterator[Found]:
    """`effect` says less than what the node's tools do: a tool that sends or pays must not be repeated by itself,
    whatever the node says.

    Leave `effect` out: then it is what the tools say.
    """
    for node in draft.nodes:
        said = node.data.get("effect")
        if said not in _STRENGTH or said == "once":
            continue
        for name in tools_of(node):
            if name.text not in draft.tools:
                continue
            effect = draft.tools.get(name.text).effect
            if _STRENGTH.index(effect) > _STRENGTH.index(said):
                path = (*node.path, "effect")
                patch = replace_name(draft.document, path, effect)
                message = f"The tool {name.text} has the effect {effect}, which is more than {said}. "
                yield Found(path, f"{message}Write effect: {effect}, or leave it out.", patch)
                break


@rule("once-retry", "warning")
def once_retry(draft: Draft) -> Iterator[Found]:
    """A node whose effect is `once` is to be tried again. It is, but only after a definite refusal: what may have
    happened is never repeated by itself.

    Nothing has to be done. Where repeating does no harm, say `effect: idempotent` of the tool.
    """
    for node in draft.nodes:
        attempts = mapping(node.data.get("retry")).get("max_attempts")
        if not isinstance(attempts, int) or attempts < 2:
            continue
        tools = [name.text for name in tools_of(node) if name.text in draft.tools]
        once = node.data.get("effect") == "once" or any(draft.tools.get(t).effect == "once" for t in tools)
        if once:
            message = (
                "The effect of this node is once, so it is tried again only when it was refused for certain."
            )
            yield Found((*node.path, "retry"), message)


RULES = (unknown_handler, handler_in_line, effect_too_weak, once_retry)
