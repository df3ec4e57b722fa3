"""What a graph picture shows: steps and links, of a checked workflow or of a document with problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.workflow import END, START, Edge, Node, Workflow

KEYS = {
    "prompt": "llm",
    "code": "code",
    "tool": "tool",
    "ask": "ask",
    "workflow": "subflow",
    "agent": "agent",
}
KIND_NAMES = {
    "llm": "model",
    "tool": "tool",
    "code": "code",
    "ask": "question",
    "subflow": "workflow",
    "agent": "agent",
}


SAID = {"tool": "tool", "subflow": "workflow", "agent": "agent"}


@dataclass(frozen=True, slots=True)
class Step:
    """A node: what it is called, the line below its name, what it is for, when it ends if it loops, and what it runs
    once for each of, if it does.
    """

    id: str
    kind: str
    title: str
    below: str
    about: str
    loop: str = ""
    each: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A way from one step to another. `kind` is plain, route, loop or error (taken when the step fails)."""

    source: str
    target: str
    label: str = ""
    kind: str = "plain"


@dataclass(slots=True)
class Picture:
    """Everything to be drawn; `takes` and `gives` are the fields that go in and come out, where known."""

    name: str
    steps: list[Step] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    takes: list[str] = field(default_factory=list)
    gives: list[str] = field(default_factory=list)


def from_workflow(workflow: Workflow) -> Picture:
    """The picture of a checked workflow."""
    picture = Picture(workflow.name, takes=list(workflow.inputs), gives=list(workflow.outputs))
    for node in workflow.nodes.values():
        each = _each(node.each.items.value) if node.each else ""
        step = Step(node.id, node.kind, node.id, _node_below(node), node.description, each=each)
        picture.steps.append(step)
    for edge in workflow.edges:
        picture.links.extend(_edge_links(edge))
    for node in workflow.nodes.values():
        if node.on_error not in ("fail", "continue"):
            picture.links.append(_on_error(node.id, node.on_error))
    return _completed(picture)


def _node_below(node: Node) -> str:
    said = {"tool": node.tool, "subflow": node.subflow}.get(node.kind)
    return _below(said or KIND_NAMES[node.kind], node.outputs)


def _each(items: Any) -> str:
    """What a step runs once for each of: "tickets" for `{state.tickets}`."""
    return _condition(_text(items).strip("{} "))


def _on_error(source: str, target: str) -> Link:
    return Link(source, target, "on error", "error")


def _edge_links(edge: Edge) -> Iterable[Link]:
    if edge.loop:
        yield Link(
            edge.source, edge.source, _loop_label(edge.loop.condition_field, edge.loop.max_iterations), "loop"
        )
        for target in edge.loop.exit_to:
            yield Link(edge.source, target)
    for route in edge.routes:
        label = route.condition.text if route.condition else "otherwise"
        for target in route.to:
            yield Link(edge.source, target, _condition(label), "route")
    for target in edge.to:
        yield Link(edge.source, target)


def from_data(data: Any) -> Picture:
    """The picture of a document's data, however broken: what makes no sense is left out."""
    data = data if isinstance(data, Mapping) else {}
    flow = data.get("flow")
    picture = Picture(_text(flow.get("name")) if isinstance(flow, Mapping) else "")
    failures: list[Link] = []
    for entry in _list(data.get("nodes")):
        if isinstance(entry, Mapping) and _text(entry.get("id")):
            picture.steps.append(_data_step(entry))
            target = _text(entry.get("on_error"))
            if target not in ("", "fail", "continue"):
                failures.append(_on_error(_text(entry.get("id")), target))
    edges = _list(data.get("edges"))
    for edge in edges:
        if isinstance(edge, Mapping):
            picture.links.extend(_data_links(edge))
    if not edges:
        ids = [step.id for step in picture.steps]
        picture.links = [Link(a, b) for a, b in zip([START, *ids], [*ids, END], strict=True) if ids]
    picture.links += failures
    return _completed(picture)


def _data_step(entry: Mapping[str, Any]) -> Step:
    kind = next((KEYS[key] for key in ("code", *KEYS) if key in entry), "llm")
    name = _text(entry.get(SAID.get(kind, ""))) or KIND_NAMES[kind]
    identity = _text(entry.get("id"))
    below = _below(name, [_text(item) for item in _list(entry.get("outputs"))])
    each = _each(entry.get("for_each"))
    return Step(identity, kind, identity, below, _text(entry.get("description")), each=each)


def _data_links(edge: Mapping[str, Any]) -> Iterable[Link]:
    for source in map(_text, _list(edge.get("from"))):
        loop = edge.get("loop")
        if isinstance(loop, Mapping):
            label = _loop_label(_text(loop.get("condition_field")), loop.get("max_iterations", 10))
            yield Link(source, source, label, "loop")
            for target in _list(loop.get("exit_to", END)):
                yield Link(source, _text(target))
        routes = [route for route in _list(edge.get("routes")) if isinstance(route, Mapping)]
        for route in routes or ([edge] if "condition" in edge else []):
            condition = route.get("condition", "default")
            condition = condition.get("logic") if isinstance(condition, Mapping) else condition
            label = "otherwise" if condition == "default" else _condition(_text(condition))
            for target in _list(route.get("to")):
                yield Link(source, _text(target), label, "route")
        if "condition" not in edge:
            for target in _list(edge.get("to")):
                yield Link(source, _text(target))


def _completed(picture: Picture) -> Picture:
    """Add what the format leaves unsaid, START to the first and the last to END; drop what leads nowhere."""
    known = {step.id for step in picture.steps} | {START, END}
    links = [link for link in picture.links if link.source in known and link.target in known]
    links = [link for link in links if link.source != END and link.target != START]
    if picture.steps and not any(link.source == START for link in links):
        links.insert(0, Link(START, picture.steps[0].id))
    leaving = {link.source for link in links if link.target != link.source and link.kind != "error"}
    links += [Link(step.id, END) for step in picture.steps if step.id not in leaving]
    picture.links = list(dict.fromkeys(links))
    loops = {link.source: link.label for link in links if link.kind == "loop"}
    picture.steps = [replace(step, loop=loops.get(step.id, "")) for step in picture.steps]
    unique = {step.id: step for step in reversed(picture.steps)}
    picture.steps = [step for step in picture.steps if unique.pop(step.id, None)]
    return picture


def _below(name: str | None, outputs: Sequence[str]) -> str:
    return f"{name or 'tool'} → {', '.join(outputs)}" if outputs else name or "tool"


def _loop_label(condition_field: str, most: Any) -> str:
    return f"until {condition_field}, at most {most}×"


def _condition(text: str) -> str:
    return text.replace("state.", "").strip()


def _list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
