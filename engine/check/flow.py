"""How control moves: every node can be reached, every run can end, and every loop has something that ends
it.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.check.draft import Draft
from engine.check.graph import Graph
from engine.check.names import listed
from engine.check.reading import EdgeView, FieldView, LoopView, NodeView, mapping, names
from engine.check.references import given_from_start
from engine.check.rules import Found, Path, rule
from engine.workflow import START


@rule("unreachable-node", "error")
def unreachable_node(draft: Draft) -> Iterator[Found]:
    """No way leads from START to a node, so it never runs. What only follows such a node is not reported
    again.

    Add an edge to it, or remove it.
    """
    graph = draft.graph
    if graph is None:
        return
    lost = [n for n in draft.nodes if n.index not in graph.reached and not n.twin]
    for first, after in _heads(graph, {n.index for n in lost}):
        node = draft.nodes[first]
        also = (
            f" Nor can what follows it: {listed([str(draft.nodes[i].id) for i in after])}." if after else ""
        )
        yield Found(
            (*node.path, "id"),
            f"No edge leads to the node {node.label}, so it never runs.{also} Add an edge to it.",
        )


def _heads(graph: Graph, lost: set[int]) -> Iterator[tuple[int, list[int]]]:
    """Of the lost nodes, those that need an edge, each with the lost ones that would come with it."""
    covered: set[int] = set()
    for component in reversed(graph.components):
        if component[0] in covered or component[0] not in lost:
            continue
        along, todo = set(component), list(component)
        while todo:
            for w in graph.successors[todo.pop()]:
                if w in lost and w not in along:
                    along.add(w)
                    todo.append(w)
        yield component[0], sorted(along - {component[0]} - covered)
        covered |= along


@rule("no-end", "error")
def no_end(draft: Draft) -> Iterator[Found]:
    """Whatever way a run takes, it never comes to an end.

    Let an edge lead to END, or leave out the edge that leads back.
    """
    graph = draft.graph
    if graph and graph.start not in graph.ending:
        yield Found(("edges",), "No way leads to END, so a run would never finish. Let one edge lead to END.")


@rule("endless", "error")
def endless(draft: Draft) -> Iterator[Found]:
    """From some nodes there is no way to END: they lead only to each other.

    Let one of them lead out, by a route with a condition or by a loop with `exit_to`.
    """
    graph = draft.graph
    if graph is None or graph.start not in graph.ending:
        return
    for component in graph.components:
        stuck = component[0] in graph.reached and component[0] not in graph.ending_well
        if stuck and all(w in component for v in component for w in graph.going[v]):
            node = draft.nodes[component[0]]
            ids = listed([f"'{draft.nodes[i].id}'" for i in component])
            what = f"{ids} lead only to each other" if len(component) > 1 else f"{ids} leads only to itself"
            yield Found(
                (*node.path, "id"), f"{what}, so a run that comes here never ends. Add a way out to END."
            )


@rule("loop-without-end", "error")
def loop_without_end(draft: Draft) -> Iterator[Found]:
    """Nothing makes the `condition_field` of a loop true: no node in the loop or before it writes it, and it is
    no input that a person is asked for. So the loop always runs to `max_iterations`.

    Add the field to the `outputs` of the node, so that the node can say when it is done. Where a person is to
    say it beforehand, name the field in the flow's `inputs`.
    """
    for node, field, loop in _loops_unwritten(draft):
        if not _true_before(draft, node.index, draft.fields[field]):
            times = "once" if loop.max_iterations == 1 else f"{loop.max_iterations} times"
            message = f"Nothing in the loop writes '{field}', so '{node.id}' would always run {times}. "
            yield Found(_place(loop), f"{message}Add '{field}' to the outputs of '{node.id}'.")


@rule("loop-not-ending-itself", "warning")
def loop_not_ending_itself(draft: Draft) -> Iterator[Found]:
    """Nothing that runs in a loop writes its `condition_field`, but it may be true from before. So the node runs
    either once or `max_iterations` times.

    Add the field to the `outputs` of the node, so that the node can say when it is done.
    """
    for node, field, loop in _loops_unwritten(draft):
        if loop.max_iterations > 1 and _true_before(draft, node.index, draft.fields[field]):
            message = (
                f"Nothing in the loop writes '{field}', so '{node.id}' runs once or {loop.max_iterations} "
            )
            yield Found(_place(loop), f"{message}times. Add '{field}' to the outputs of '{node.id}'.")


def _place(loop: LoopView) -> Path:
    return loop.field.path if loop.field else loop.path


def _loops_unwritten(draft: Draft) -> Iterator[tuple[NodeView, str, LoopView]]:
    """Loops whose field nothing writes that runs in them: the node, the field and the loop."""
    for edge in draft.edges:
        field = draft.meant_field(edge.loop.field.text) if edge.loop and edge.loop.field else None
        if field is None or edge.loop is None or edge.loop.field is None or not draft.writes_known:
            continue
        if _wrong_kind(draft.fields[field]):
            continue
        writers = {n.index for n in draft.writers.get(field, ())}
        for source in edge.sources:
            number = draft.meant_node(source.text) if source.text != START else None
            if number is None or number in writers or _beside(draft, number, writers):
                continue
            yield draft.nodes[number], field, edge.loop


def _true_before(draft: Draft, number: int, field: FieldView) -> bool:
    """Whether a field may be true when a node starts for the first time.

    A field that starts as false and that nothing writes could be set by hand, too, but hardly for a loop: far
    more often its writer was forgotten.
    """
    writers = {n.index for n in draft.writers.get(field.name, ())}
    inputs = mapping(draft.data.get("flow")).get("inputs")
    asked_for = inputs is None and not writers and field.data.get("default") is None
    if asked_for or (given_from_start(draft, field) and field.data.get("default") is not False):
        return True
    if field.name in {n.text for n in names(inputs, ())}:
        return True
    return draft.graph is None or any(draft.graph.below[w] >> number & 1 for w in writers)


@rule("second-loop", "error")
def second_loop(draft: Draft) -> Iterator[Found]:
    """A node has two `loop` edges, and it can't be told which of them says when it is done.

    Keep one of them. To lead to several nodes after it, name them in its `exit_to`.
    """
    first: dict[str, EdgeView] = {}
    for edge in draft.edges:
        for source in edge.sources if edge.loop else ():
            other = first.setdefault(source.text, edge)
            if other is not edge:
                line = draft.document.position(other.path)[0]
                message = f"'{source.text}' has a loop already, on line {line}. Keep one of the two."
                yield Found((*edge.path, "loop"), message)


def _beside(draft: Draft, number: int, writers: set[int]) -> bool:
    """Whether a writer can run at the same time as the node; where the graph is not known, assume so."""
    graph = draft.graph
    return graph is None or next(graph.beside(number, writers), None) is not None


@rule("loop-field-type", "error")
def loop_field_type(draft: Draft) -> Iterator[Found]:
    """The `condition_field` of a loop is not a `bool` field, so that it can't say "done" or "not done".

    Make the field `type: bool`, or name another one.
    """
    for edge in draft.edges:
        name = edge.loop.field if edge.loop else None
        field = draft.fields.get(name.text) if name else None
        if name and field and _wrong_kind(field):
            message = f"A loop ends when a bool field is true, but '{field.name}' is of type {field.type}. "
            yield Found(name.path, f"{message}Use a field with type: bool.")


def _wrong_kind(field: FieldView) -> bool:
    return field.type is not None and field.type.name not in ("bool", "any")


RULES = (
    unreachable_node,
    no_end,
    endless,
    loop_without_end,
    loop_not_ending_itself,
    second_loop,
    loop_field_type,
)
