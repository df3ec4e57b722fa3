"""Who writes and who reads the state, and whether one can happen while the other does."""

from __future__ import annotations

from collections.abc import Iterator

from engine.check.arguments import missing_argument
from engine.check.draft import Draft
from engine.check.reading import Name, NodeView, mapping, names
from engine.check.references import SYSTEM_NAMES, field_of, given_from_start, readers
from engine.check.rules import Found, Path, rule
from engine.check.uses import Use


@rule("parallel-write", "error")
def parallel_write(draft: Draft) -> Iterator[Found]:
    """Two nodes that can run at the same time write the same state field, so that one result would be lost.

    Let each write a field of its own, or say with `reduce` on the field how the results come together:
    `append` to gather them in a list, `merge` for dicts, `last` to keep the one of the node that stands
    last in the document.
    """
    graph = draft.graph
    if graph is None:
        return
    for name, writers in draft.writers.items():
        if len(writers) < 2 or draft.fields[name].data.get("reduce") is not None:
            continue
        numbers = {w.index for w in writers}
        for node in writers:
            other = next((i for i in graph.beside(node.index, numbers) if i < node.index), None)
            if other is not None:
                yield Found(_output_path(draft, node, name), _clash(draft, name, draft.nodes[other], node))
                break


def _clash(draft: Draft, name: str, first: NodeView, second: NodeView) -> str:
    kind = draft.fields[name].type
    reduce = "append" if kind and kind.name == "list" else "merge" if kind and kind.name == "dict" else "last"
    return (
        f"'{first.id}' and '{second.id}' can run at the same time and both write '{name}'. "
        f"Give each a field of its own, or add reduce: {reduce} to the field '{name}'."
    )


def _output_path(draft: Draft, node: NodeView, field: str) -> Path:
    return next(n.path for n in node.outputs if draft.meant_field(n.text) == field)


@rule("racing-read", "warning")
def racing_read(draft: Draft) -> Iterator[Found]:
    """A node reads a field that another node may be writing at the same time. It sees the value from before
    that.

    Let the reader come after the writer, or leave the reference out.
    """
    graph = draft.graph
    if graph is None:
        return
    seen: set[tuple[int, str]] = set()
    for use in draft.uses:
        name = field_of(draft, use)
        if name is None or use.reader is None or use.reader.twin or (use.reader.index, name) in seen:
            continue
        writers = {w.index for w in draft.writers.get(name, ())}
        other = next(graph.beside(use.reader.index, writers), None)
        if other is not None:
            seen.add((use.reader.index, name))
            first, second = draft.nodes[other].id, use.reader.id
            message = (
                f"'{first}' may write '{name}' while '{second}' reads it; '{second}' sees the old value. "
            )
            yield Found(use.path, f"{message}Let '{second}' come after '{first}' if it needs the new one.")


@rule("read-too-early", "warning")
def read_too_early(draft: Draft) -> Iterator[Found]:
    """A field is read where it is always still empty: it has no default, and only nodes that come later
    write it.

    Move the node, or give the field a default.
    """
    graph = draft.graph
    if graph is None or not draft.writes_known:
        return
    seen: set[tuple[int, str]] = set()
    for use in draft.uses:
        name = field_of(draft, use)
        if name is None or use.reader is None or (use.reader.index, name) in seen:
            continue
        writers = {w.index for w in draft.writers.get(name, ())}
        if not writers or given_from_start(draft, draft.fields[name]) or not _empty_at(draft, use, writers):
            continue
        seen.add((use.reader.index, name))
        later = (
            "itself"
            if writers == {use.reader.index}
            else f"'{draft.nodes[min(writers - {use.reader.index})].id}'"
        )
        message = (
            f"'{name}' is always empty when '{use.reader.id}' reads it; only {later} writes it, afterwards. "
        )
        yield Found(use.path, f"{message}Change the order, or give '{name}' a default.")


def _empty_at(draft: Draft, use: Use, writers: set[int]) -> bool:
    """Whether no run can have been through a writer when the reference is read."""
    graph = draft.graph
    if graph is None or use.reader is None:
        return False
    reader = use.reader.index
    if reader not in graph.reached or (use.place == "condition" and reader in writers):
        return False
    if next(graph.beside(reader, writers), None) is not None:
        return False
    return not any(graph.below[w] >> reader & 1 for w in writers)


@rule("unused-field", "warning")
def unused_field(draft: Draft) -> Iterator[Found]:
    """Nothing reads and nothing writes a state field, so it does nothing but ask the person for a value.

    Refer to it where it is needed, or remove it.
    """
    if not draft.writes_known or not draft.fields_known:
        return
    if not draft.edges_known or next(iter(missing_argument.find(draft)), None):
        return
    named = [edge.loop.field for edge in draft.edges if edge.loop and edge.loop.field]
    named += [Name(str(n.data["for_each"]).strip(), n.path) for n in draft.nodes if "for_each" in n.data]
    named += names(mapping(draft.data.get("flow")).get("outputs"), ())
    read = {*readers(draft), *(draft.meant_field(name.text) for name in named)}
    if any(field_of(draft, use) is None and _of_a_field(use) for use in draft.uses):
        return
    if any(not n.inputs and _reads_all(draft, n) for n in draft.nodes if n.kind == "code"):
        return
    for name, field in draft.fields.items():
        if name not in read and name not in draft.writers:
            yield Found(
                field.path,
                f"No node reads or writes '{name}'. Refer to it as {{state.{name}}}, or remove it.",
            )


def _of_a_field(use: Use) -> bool:
    """Whether a reference is to name a field: not a count or an error that the engine keeps."""
    name = str(use.ref.path[0]) if use.ref.path else ""
    return use.ref.root == "state" and not name.startswith(SYSTEM_NAMES)


def _reads_all(draft: Draft, node: NodeView) -> bool:
    """Whether code may read any of its inputs, for all that can be seen."""
    code = draft.code.get(node.index)
    return code is None or not code.known or code.whole or code.opaque


@rule("unused-input", "warning")
def unused_input(draft: Draft) -> Iterator[Found]:
    """A node has an input that none of its texts mentions, so it reaches neither the model nor the tool; or code
    never reads it.

    Write `{name}` where the value belongs, or remove the input.
    """
    for node in draft.nodes:
        if draft.unsure("nodes", node.index):
            continue
        if node.kind == "code" and not _reads_all(draft, node):
            read = {name for name, _ in draft.code[node.index].read}
            for name in node.inputs if read <= node.inputs.keys() else ():
                if name not in read:
                    advice = f"Read it as inputs['{name}'], or remove it."
                    yield Found(
                        (*node.path, "inputs", name),
                        f"The input '{name}' of {node.label} is not used. {advice}",
                    )
        if node.kind not in ("llm", "tool", "ask"):
            continue
        refs = [u.ref for u in draft.uses_in(node) if u.place != "inputs"]
        used = {str(r.path[0]) if r.root == "state" and r.path else r.root for r in refs}
        if any(name not in {*node.inputs, *draft.fields, "state", "secret"} for name in used):
            continue
        for name in node.inputs:
            if name not in used:
                where = {"llm": "its prompt", "tool": "its args", "ask": "its question"}[node.kind]
                message = f"The input '{name}' of {node.label} is not used. "
                advice = f"Write {{{name}}} in {where}, or remove it."
                yield Found((*node.path, "inputs", name), f"{message}{advice}")


RULES = (parallel_write, racing_read, read_too_early, unused_field, unused_input)
