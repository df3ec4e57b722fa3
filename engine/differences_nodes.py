"""What changed in one node of a workflow, in words; and which nodes only have another name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.differences_words import MISSING, leaves, listed, mapping, names, now, said, same

_TEXTS = {
    "prompt": "prompt",
    "system": "system prompt",
    "code": "code",
    "ask": "question",
    "description": "description",
}
_LABELS = {
    "timeout": "time limit (in seconds)",
    "retry.max_attempts": "number of attempts",
    "retry.backoff_seconds": "pause between attempts (in seconds)",
    "for_each": "list that is gone through",
    "max_parallel": "number at a time",
    "options": "choices",
    "default": "answer when nobody answers",
    "effect": "effect",
    "output_schema": "shape of the answer",
    "temperature": "temperature",
}
_BODIES = ("prompt", "code", "ask", "tool", "workflow", "agent")
_ALIKE = 0.6
"""Of the keys of two nodes with different ids so many must be the same for one to be the other."""


def describe_node(id: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """The sentences about a node that is in both versions."""
    step = f"'{id}'"
    for key in dict.fromkeys([*old, *new]):
        was, is_now = old.get(key, MISSING), new.get(key, MISSING)
        if key == "id" or same(was, is_now):
            continue
        if key in _TEXTS:
            yield _text(step, _TEXTS[key], was, is_now)
        elif key == "llm":
            yield from _model(step, mapping(_given(was)), mapping(_given(is_now)), was, is_now)
        elif key == "tools":
            yield from _tools(step, _given(was), _given(is_now))
        elif key == "tool":
            yield _other(step, "uses the tool", "uses no tool of its own any more", was, is_now)
        elif key == "workflow":
            yield _other(step, "runs the workflow", "runs no other workflow any more", was, is_now)
        elif key in ("outputs", "inputs") and not isinstance(_given(is_now), Mapping):
            yield from _lists(step, "writes" if key == "outputs" else "reads", was, is_now)
        elif key == "on_error":
            yield _on_error(step, was, is_now)
        else:
            yield from _rest(step, str(key), was, is_now)


def summary_of(node: Mapping[str, Any]) -> str:
    """What a new node does, for the end of its sentence."""
    if node.get("tool") is not None:
        return f", with the tool {said(node['tool'])}"
    if node.get("workflow") is not None:
        return f", and runs the workflow {said(node['workflow'])}"
    if node.get("ask") is not None:
        return ", and asks a person"
    return ", with code" if node.get("code") is not None else ""


def find_renamed(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Old id to new id of nodes that are much the same under another id."""
    found: dict[str, str] = {}
    new = [id for id in after if id not in before]
    for id in (id for id in before if id not in after):
        alike = {other: _alike(before[id], after[other]) for other in new if other not in found.values()}
        best = max(alike, key=lambda other: alike[other], default=None)
        if best is not None and alike[best] >= _ALIKE:
            found[id] = best
    return found


def refer_to(node: Mapping[str, Any], new_names: Mapping[str, str]) -> Mapping[str, Any]:
    """A node with the new names of the nodes that it names."""
    target = node.get("on_error")
    return (
        {**node, "on_error": new_names[target]} if isinstance(target, str) and target in new_names else node
    )


def _alike(old: Mapping[str, Any], new: Mapping[str, Any]) -> float:
    keys = {key for key in {*old, *new} if key != "id"}
    if not any(key in old and same(old[key], new.get(key, MISSING)) for key in _BODIES):
        return 0.0
    return sum(same(old.get(key, MISSING), new.get(key, MISSING)) for key in keys) / len(keys)


def _given(value: Any) -> Any:
    return None if value is MISSING else value


def _text(step: str, word: str, old: Any, new: Any) -> str:
    if old is MISSING or old is None:
        return f"{step} has a {word} now."
    if new is MISSING or new is None:
        return f"{step} has no {word} any more."
    short = 40
    if all(isinstance(each, str) and len(each) <= short and "\n" not in each.strip() for each in (old, new)):
        return f"The {word} of {step} is {said(new)} now (it was {said(old)})."
    return f"The {word} of {step} changed{_words_changed(str(old), str(new))}."


def _words_changed(old: str, new: str) -> str:
    """For a text that only grew or shrank at one place: what came or went."""
    a, b = re.findall(r"\S+", old), re.findall(r"\S+", new)
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    end = next(
        (i for i, (x, y) in enumerate(zip(a[start:][::-1], b[start:][::-1], strict=False)) if x != y),
        min(len(a), len(b)) - start,
    )
    gone, came = " ".join(a[start : len(a) - end]), " ".join(b[start : len(b) - end])
    if came and not gone:
        return f": {said(came)} was added"
    if gone and not came:
        return f": {said(gone)} was taken out"
    return ""


def _model(step: str, old: Mapping[str, Any], new: Mapping[str, Any], was: Any, is_now: Any) -> Iterator[str]:
    before, after = (
        "/".join(str(each[key]) for key in ("provider", "model") if each.get(key)) for each in (old, new)
    )
    said_something = False
    if before != after:
        said_something = True
        text = f"asks the model {said(after)} now" if after else "asks the usual model now"
        yield f"{step} {text}{f' (it was {said(before)})' if before else ''}."
    for path, one, other in leaves(old, new):
        if path not in ("provider", "model"):
            said_something = True
            yield now(f"The {_LABELS.get(path, path)} of {step}", one, other)
    if not said_something:
        yield now(f"The model of {step}", was, is_now)


def _tools(step: str, old: Any, new: Any) -> Iterator[str]:
    before, after = _uses(old), _uses(new)
    added, gone = [t for t in after if t not in before], [t for t in before if t not in after]
    if added:
        yield f"{step} may use {listed(added)} now."
    if gone:
        yield f"{step} may not use {listed(gone, 'or')} any more."
    changed = [t for t in after if t in before and not same(before[t], after[t])]
    if changed:
        yield f"The settings of {listed(changed)} in {step} changed."
    if not (added or gone or changed):
        yield f"The tools of {step} are written in another way."


def _uses(value: Any) -> dict[str, Any]:
    """The tools by name; `web_search` is short for `{name: web_search}`."""
    found = value if isinstance(value, list) else []
    uses = [{"name": use} if isinstance(use, str) else mapping(use) for use in found]
    return {str(use.get("name")): use for use in uses}


def _other(step: str, verb: str, gone: str, old: Any, new: Any) -> str:
    if new is MISSING or new is None:
        return f"{step} {gone} (it was {said(old)})."
    was = "" if old is MISSING or old is None else f" (it was {said(old)})"
    return f"{step} {verb} {said(new)} now{was}."


def _lists(step: str, verb: str, old: Any, new: Any) -> Iterator[str]:
    before, after = names(_given(old)), names(_given(new))
    if before == after or isinstance(_given(old), Mapping):
        yield now(f"What {step} {verb}", old, new)
        return
    was = f" (it was {listed(before)})" if before else ""
    yield f"{step} {verb} {listed(after) if after else 'nothing'} now{was}."


def _on_error(step: str, old: Any, new: Any) -> str:
    ways = {"fail": "the run fails", "continue": "the run goes on"}
    target = "fail" if new is MISSING or new is None else new
    then = ways.get(target, f"{said(target)} comes next") if isinstance(target, str) else said(target)
    return f"When {step} fails, {then} now{'' if old is MISSING else f' (it was {said(old)})'}."


def _rest(step: str, key: str, old: Any, new: Any) -> Iterator[str]:
    """By the path below the node. What comes or goes as a whole is told by its parts."""
    was, is_now = ({} if each is MISSING else each for each in (old, new))
    whole = isinstance(was, Mapping) and isinstance(is_now, Mapping) and (was or is_now)
    for path, one, other in leaves(was if whole else old, is_now if whole else new, key):
        label = _LABELS.get(path, path.removeprefix("args.") if path.startswith("args.") else path)
        yield now(f"The {label} of {step}" if path in _LABELS else f"'{label}' of {step}", one, other)
