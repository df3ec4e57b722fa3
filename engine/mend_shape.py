"""Documents in the right words but another shape, brought into the format's where that has one reading: one key around
all, nodes by name, fields in a list, edges as arrows, no schema_version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from engine.document import Document, read_document
from engine.edit_places import Places
from engine.text_edits import Edit, apply_edits
from engine.yaml_reader import Spot
from engine.yaml_writing import dedent, flow

VERSION = 'schema_version: "1.0"'
WRAPPERS = frozenset(("workflow", "yaml", "document", "parlance", "spec", "definition"))
_ARROW = re.compile(r"(?P<a>\w+)\s*(?:-+>|=>|→)\s*(?P<b>\w+)")
Mend = tuple[str, str] | None
"""The mended text and what was mended, None where there is nothing to mend."""
_KINDS = frozenset(("prompt", "code", "tool", "ask", "workflow", "agent"))


def mend_shape(text: str) -> tuple[str, list[str]]:
    """The text in the format's shape, and what was changed, in words."""
    said: list[str] = []
    document = read_document(text)
    for mend in MENDS:
        if not isinstance(document.data, dict):
            return text, said
        found = mend(document)
        if found is not None:
            text, words = found
            document = read_document(text)
            said.append(words)
    return text, said


def _unwrapped(document: Document) -> Mend:
    """`workflow:` around the whole document."""
    data, root = document.data, document.root
    if len(data) != 1 or root is None or not isinstance(root.children, dict):
        return None
    name, inner = next(iter(data.items()))
    spot = root.children[name]
    if name not in WRAPPERS or not isinstance(inner, dict) or "nodes" not in inner or spot.flow:
        return None
    start = Places(document).line_start(spot.start)
    eol = "\r\n" if "\r\n" in document.text else "\n"
    body = dedent(document.text[start:]).replace("\n", eol) + eol
    if read_document(body).data != inner:
        return None
    return document.text[
        : Places(document).line_start(spot.key_start)
    ] + body, f"took the document out of `{name}:`"


def _versioned(document: Document) -> Mend:
    data, root = document.data, document.root
    if root is None or {"schema_version", "version"} & set(data) or "nodes" not in data:
        return None
    words = "added the schema_version"
    if root.flow:
        start = document.text.index("{", root.start) + 1
        return f'{document.text[:start]}"schema_version": "1.0", {document.text[start:]}', words
    start = Places(document).line_start(root.start)
    eol = "\r\n" if "\r\n" in document.text else "\n"
    return f"{document.text[:start]}{VERSION}{eol}{document.text[start:]}", words


def _fields_below(document: Document) -> Mend:
    """Fields that stand below `state` itself."""
    state = document.data.get("state")
    spot = document.find(("state",))[0]
    if not isinstance(state, dict) or not state or "fields" in state or spot is None:
        return None
    if not all(_field(value) for value in state.values()):
        return None
    text = document.text
    words = "put the state's fields below `fields:`"
    if spot.flow:
        return f"{text[: spot.start]}{{fields: {text[spot.start : spot.end]}}}{text[spot.end :]}", words
    places = Places(document)
    start, end = places.line_start(spot.start), places.after_line(spot.end)
    column = places.column(spot.start)
    if column == 0 or not places.blank(start, spot.start):
        return None
    body = "".join(
        f"  {line}" if line.strip() else line for line in text[start:end].splitlines(keepends=True)
    )
    return f"{text[:start]}{' ' * column}fields:{places.eol}{body}{text[end:]}", words


def _field(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, Mapping) and "type" in value)


def _listed_fields(document: Document) -> Mend:
    """`- name: x` items in the place of `x:` keys."""
    path = ("state", "fields")
    found, there = document.find(path)
    return _by_key(document, found, "name", "wrote the state's fields as keys") if found and there else None


def _by_key(document: Document, holder: Spot, key: str, words: str) -> Mend:
    items = holder.value
    if not isinstance(items, list) or not items or not isinstance(holder.children, list):
        return None
    names = [item.get(key) if isinstance(item, dict) else None for item in items]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        return None
    pieces, position, text, places = [], 0, document.text, Places(document)
    for index, item in enumerate(holder.children):
        spots = list(item.children.items()) if isinstance(item.children, dict) else []
        if item.flow:
            rest = {name: value for name, value in item.value.items() if name != key}
            dash = places.dash(holder, index)
            if dash is None:
                return None
            pieces += [text[position:dash], f"{flow(item.value[key])}: {flow(rest)}"]
            position = item.end
            continue
        dash = places.dash(holder, index)
        if dash is None or spots[0][0] != key or places.column(item.start) != places.column(dash) + 2:
            return None
        first = spots[0][1]
        pieces += [text[position:dash], f"{flow(item.value[key])}:"]
        position = first.end
    mended = "".join([*pieces, text[position:]])
    after, there = read_document(mended).find(("state", "fields"))
    wanted = {item[key]: {k: v for k, v in item.items() if k != key} for item in items}
    return (mended, words) if there and after is not None and after.value == wanted else None


def _listed_nodes(document: Document) -> Mend:
    """Nodes as keys in the place of a list."""
    spot, there = document.find(("nodes",))
    nodes = document.data.get("nodes")
    if (
        not there
        or spot is None
        or not isinstance(nodes, dict)
        or not nodes
        or not isinstance(spot.children, dict)
    ):
        return None
    if not all(isinstance(n, dict) and "id" not in n and _KINDS & set(n) for n in nodes.values()):
        return None
    pieces, position, places = [], 0, Places(document)
    for name, node in spot.children.items():
        pieces.append(document.text[position : node.key_start])
        if node.flow:
            pieces.append(f"- {{id: {flow(name)}, ")
            position = node.start + 1
            continue
        colon = places.after_colon(node)
        if spot.flow or colon is None or places.column(node.start) != places.column(node.key_start) + 2:
            return None
        pieces.append(f"- id: {flow(name)}")
        position = colon
    mended = "".join([*pieces, document.text[position:]])
    wanted = [{"id": name, **node} for name, node in nodes.items()]
    data = read_document(mended).data
    found = data.get("nodes") if isinstance(data, dict) else None
    return (mended, "wrote the nodes as a list") if found == wanted else None


def _arrows(document: Document) -> Mend:
    """`a -> b` in the place of an edge."""
    spot, there = document.find(("edges",))
    if not there or spot is None or not isinstance(spot.children, list):
        return None
    pieces, position = [], 0
    for item in spot.children:
        match = _ARROW.fullmatch(item.value) if isinstance(item.value, str) else None
        pair = (
            item.value
            if isinstance(item.value, list) and len(item.value) == 2
            else match and (match["a"], match["b"])
        )
        if not pair or not all(isinstance(name, str) for name in pair):
            continue
        pieces += [document.text[position : item.start], f"{{from: {flow(pair[0])}, to: {flow(pair[1])}}}"]
        position = item.end
    return (
        ("".join([*pieces, document.text[position:]]), "wrote the edges with from and to") if pieces else None
    )


def _edge_keys(document: Document) -> Mend:
    """`a: b` in the place of an edge from a to b."""
    spot, there = document.find(("edges",))
    if not there or spot is None or not isinstance(spot.children, dict) or not spot.children or spot.flow:
        return None
    pieces, position = [], 0
    for name, target in spot.children.items():
        names = target.value if isinstance(target.value, list) else [target.value]
        if not names or not all(isinstance(each, str) for each in names) or target.end < target.key_end:
            return None
        if name in ("from", "to", "routes", "loop"):
            return None
        pieces += [
            document.text[position : target.key_start],
            f"- {{from: {flow(name)}, to: {flow(target.value)}}}",
        ]
        position = target.end
    mended = "".join([*pieces, document.text[position:]])
    after = read_document(mended).find(("edges",))[0]
    wanted = [{"from": name, "to": target} for name, target in spot.value.items()]
    return (
        (mended, "wrote the edges with from and to") if after is not None and after.value == wanted else None
    )


def _named(document: Document) -> Mend:
    """`name` in the place of `id`, at all nodes."""
    nodes = document.data.get("nodes")
    spot = document.find(("nodes",))[0]
    if not isinstance(nodes, list) or not nodes or spot is None or not isinstance(spot.children, list):
        return None
    if not all(isinstance(n, dict) and "id" not in n and _identifier(n.get("name")) for n in nodes):
        return None
    text = document.text
    for item in reversed(spot.children):
        key = item.child("name")
        if key is None or text[key.key_start : key.key_end] != "name":
            return None
        text = f"{text[: key.key_start]}id{text[key.key_end :]}"
    return text, "wrote id for the nodes' name"


def _identifier(value: object) -> bool:
    return isinstance(value, str) and value.isidentifier()


_TYPES: Mapping[str, frozenset[str]] = {
    "prompt": frozenset(("llm", "prompt", "ai", "model")),
    "code": frozenset(("code", "python", "script")),
    "tool": frozenset(("tool",)),
    "ask": frozenset(("ask", "human", "approval", "question")),
    "workflow": frozenset(("workflow", "subflow")),
}


def _typed(document: Document) -> Mend:
    """A `type` that only says again what kind of node it is."""
    nodes = document.data.get("nodes")
    edits = []
    for index, node in enumerate(nodes if isinstance(nodes, list) else ()):
        kinds = [kind for kind in _TYPES if isinstance(node, dict) and kind in node]
        if len(kinds) == 1 and node.get("type") in _TYPES[kinds[0]]:
            edits.append(Edit("remove", f"nodes[{index}].type"))
    text, wrong = apply_edits(document.text, edits) if edits else (document.text, [])
    return None if wrong or not edits else (text, "left out `type`, which the nodes' other keys say")


MENDS: Sequence[Callable[[Document], Mend]] = (
    _unwrapped,
    _versioned,
    _fields_below,
    _listed_fields,
    _listed_nodes,
    _named,
    _typed,
    _arrows,
    _edge_keys,
)
