"""What changed from one version of a document to the next, in plain sentences for people.

Meaning comes first: steps, their texts, models, tools, fields, ways and limits. Where only comments and layout differ,
that is said; a document that differs in any byte is never said to be the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.differences_nodes import describe_node, find_renamed, refer_to, summary_of
from engine.differences_ways import describe_ways, place, renamed
from engine.differences_words import MISSING, leaves, mapping, names, now, said, same

LAYOUT = "Comments and layout changed."
MOST = 40  # sentences; what more there is, is counted
_LIMITS = {
    "execution.timeout": "The time limit of a run (in seconds)",
    "execution.timeout_seconds": "The time limit of a run (in seconds)",
    "execution.budget_usd": "The budget of a run (in dollars)",
    "execution.max_visits": "How often a step may run",
    "execution.max_retries": "How often a step is tried again",
    "llm.model": "The model of all steps that name none",
    "llm.provider": "The model provider of all steps that name none",
    "llm.temperature": "The temperature of all steps that give none",
}
_FLOW = {
    "name": "The name",
    "description": "The description",
    "inputs": "The inputs",
    "outputs": "The outputs",
}


def describe_changes(before: str, after: str) -> list[str]:
    """Sentences, the ones that matter most first; empty only where both texts are the same. Never raises."""
    from engine.document import read_document

    if before == after:
        return []
    old, new = read_document(before).data, read_document(after).data
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return [_lines(before, after)]
    found = list(dict.fromkeys(_sentences(old, new)))
    if not found:
        return [LAYOUT if same(_long(old), _long(new)) else _lines(before, after)]
    more = len(found) - MOST
    return found if more <= 0 else [*found[:MOST], f"And {more} more changes."]


def _sentences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = nodes_of(old), nodes_of(new)
    if before is None or after is None:
        yield from _parts(old, new, ())
        return
    new_names = find_renamed(before, after)
    yield from _flow(mapping(old.get("flow")), mapping(new.get("flow")))
    yield from _fields(old, new)
    yield from _nodes(before, after, new_names, old, new)
    gone = [id for id in before if id not in after and id not in new_names]
    added = [id for id in after if id not in before and id not in new_names.values()]
    edges = renamed(old.get("edges"), new_names)
    ways = list(describe_ways(edges, new.get("edges"), gone, added))
    yield from ways
    if not (ways or gone or added or same(edges, new.get("edges"))):
        yield "The edges are written in another way."
    yield from _config(mapping(old.get("config")), mapping(new.get("config")))
    yield from _parts(old, new, ("flow", "state", "nodes", "edges", "config"))


def nodes_of(data: Any) -> dict[str, Mapping[str, Any]] | None:
    """The nodes by id in their order; None where that can't be told."""
    nodes = mapping(data).get("nodes")
    if not isinstance(nodes, list):
        return None
    found = {
        node["id"]: node for node in nodes if isinstance(node, Mapping) and isinstance(node.get("id"), str)
    }
    return found if len(found) == len(nodes) else None


def _parts(old: Mapping[str, Any], new: Mapping[str, Any], known: Sequence[str]) -> Iterator[str]:
    """What has no words of its own: by its path."""
    for key in dict.fromkeys([*old, *new]):
        if key not in known:
            for path, was, is_now in leaves(old.get(key, MISSING), new.get(key, MISSING), str(key)):
                yield now(f"'{path}'", was, is_now)


def _flow(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for path, was, is_now in leaves(old, new):
        if path == "description" and isinstance(was, str) and isinstance(is_now, str):
            yield "The description changed."
        elif path in ("inputs", "outputs") and is_now is not MISSING and was is not MISSING:
            yield f"{_FLOW[path]} are {said(is_now)} now (they were {said(was)})."
        else:
            yield now(_FLOW.get(path, f"'flow.{path}'"), was, is_now)


def _config(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for path, was, is_now in leaves(old, new):
        if isinstance(is_now, Mapping) and was is MISSING:
            for below, _, value in leaves({}, is_now, path):
                yield now(_LIMITS.get(below, f"'config.{below}'"), MISSING, value)
            if not is_now:
                yield now(f"'config.{path}'", was, is_now)
        elif isinstance(was, Mapping) and is_now is MISSING and was:
            for below, value, _ in leaves(was, {}, path):
                yield now(_LIMITS.get(below, f"'config.{below}'"), value, MISSING)
        else:
            yield now(_LIMITS.get(path, f"'config.{path}'"), was, is_now)


# --- fields -----------------------------------------------------------------------------------------------


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = _fields_of(old), _fields_of(new)
    inputs = {**dict.fromkeys(_inputs(old, before)), **dict.fromkeys(_inputs(new, after))}
    for name in dict.fromkeys([*before, *after]):
        word = f"{'Input' if name in inputs else 'Field'} '{name}'"
        if name not in after:
            yield f"{word} is gone."
        elif name not in before:
            yield f"{word} is new{_described(after[name])}."
        else:
            yield from _field(word, before[name], after[name])


def _fields_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """By name; the short form `ticket: str` written out."""
    fields = mapping(mapping(data.get("state")).get("fields"))
    return {str(k): {"type": v} if isinstance(v, str) else v for k, v in fields.items()}


def _long(data: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the short forms of its fields written out."""
    fields = mapping(mapping(data.get("state")).get("fields"))
    return dict(data) | ({"state": {**data["state"], "fields": _fields_of(data)}} if fields else {})


def _inputs(data: Mapping[str, Any], fields: Mapping[str, Any]) -> list[str]:
    """What a run is given: as the document says, else what is required and what no node writes."""
    given = mapping(data.get("flow")).get("inputs")
    if given is not None:
        return names(given)
    nodes = (nodes_of(data) or {}).values()
    written = {name for node in nodes for name in names(node.get("outputs"))}
    return [name for name, field in fields.items() if mapping(field).get("required") or name not in written]


def _described(field: Any) -> str:
    found = mapping(field)
    words = [str(found["type"])] if found.get("type") is not None else []
    words += ["required"] if found.get("required") else []
    words += [f"one of {said(found['enum'])}"] if found.get("enum") else []
    words += [f"default {said(found['default'])}"] if found.get("default") is not None else []
    return f" ({', '.join(words)})" if words else ""


def _field(word: str, old: Any, new: Any) -> Iterator[str]:
    for path, was, is_now in leaves(old, new):
        was_words = "" if was in (MISSING, None) else f" (it was {said(was)})"
        if path == "required":
            yield f"{word} {'must be given now' if is_now is True else 'need not be given any more'}."
        elif path == "description":
            yield f"The description of {word[0].lower()}{word[1:]} changed."
        elif is_now is MISSING:
            yield f"{word} has no {path} any more{was_words}."
        elif path == "enum":
            yield f"{word} may be {said(is_now)} now{was_words}."
        else:
            yield f"{word} has the {path or 'value'} {said(is_now)} now{was_words}."


# --- nodes ------------------------------------------------------------------------------------------------


def _nodes(
    before: Mapping[str, Mapping[str, Any]],
    after: Mapping[str, Mapping[str, Any]],
    new_names: Mapping[str, str],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
) -> Iterator[str]:
    order = list(after)
    came_from = {is_now: was for was, is_now in new_names.items()}
    for was, is_now in new_names.items():
        yield f"Step '{was}' is called '{is_now}' now."
    for index, id in enumerate(order):
        was = came_from.get(id, id)
        if was in before:
            yield from describe_node(id, refer_to(before[was], new_names), after[id])
            continue
        neighbours = (
            order[index - 1] if index else None,
            order[index + 1] if index + 1 < len(order) else None,
        )
        yield f"Step '{id}' is new{place(id, new.get('edges'), *neighbours)}{summary_of(after[id])}."
    for id in before:
        if id not in after and id not in new_names:
            yield f"Step '{id}' is gone."
    kept = [new_names.get(id, id) for id in before]
    yield from _moved([id for id in kept if id in after], [id for id in order if id in kept], order)


def _moved(before: Sequence[str], after: Sequence[str], order: Sequence[str]) -> Iterator[str]:
    """Nodes that stand at another place in the list."""
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    staying = {before[i + n] for i, _, size in matcher.get_matching_blocks() for n in range(size)}
    for id in after:
        if id not in staying:
            index = order.index(id)
            where = f"after '{order[index - 1]}'" if index else "first"
            yield f"Step '{id}' stands {where} now."


def _lines(before: str, after: str) -> str:
    """How many lines differ, where no more can be told."""
    diff = difflib.ndiff(before.splitlines(), after.splitlines())
    marks = [line[:1] for line in diff if line[:1] in "+-"]
    count = max(marks.count("+"), marks.count("-"))
    return "1 line changed." if count == 1 else f"{count} lines changed." if count else LAYOUT
