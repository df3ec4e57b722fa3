"""Where an edit may change bytes, found without the code that applies edits: by PyYAML's marks and plain search."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml


def region(text: str, edit: dict[str, str]) -> tuple[int, int]:
    """Start and end of the only part of `text` that this edit may change."""
    op, at = edit.get("op", "replace"), edit["at"]
    if op in ("set", "add", "remove"):
        return _of_path(text, op, at)
    place, found = _place(text, at)
    end = place + len(found)
    if op == "replace":
        return place, end
    begin = text.rfind("\n", 0, place) + 1
    if op == "insert_before":
        return begin, begin
    stop = end if text[end - 1 : end] == "\n" else _line_end(text, end)
    if op == "insert_after":
        return stop, stop
    whole = not text[begin:place].strip() and not text[end:stop].strip()
    return (begin, min(stop + 2, len(text))) if whole else (place, end)


def _place(text: str, at: str) -> tuple[int, str]:
    for spelling in (at, at.strip("\n"), at.replace("\n", "\r\n"), at.strip("\n").replace("\n", "\r\n")):
        if text.count(spelling) == 1:
            return text.find(spelling), spelling
    raise AssertionError(f"{at!r} does not stand once in the text")


def _of_path(text: str, op: str, path: str) -> tuple[int, int]:
    steps = [step for step in re.split(r"[.\[\]]+", path) if step]
    above: list[Any] = []
    node: Any = yaml.compose(text, yaml.SafeLoader)
    for number, step in enumerate(steps):
        found = _child(node, step)
        above.append(node)
        if found is None:
            assert number == len(steps) - 1, f"{path} leads nowhere"
            return _end_of(text, node)
        key, node = found
    if op == "add":
        return _end_of(text, node)
    if op == "set":
        return (key.end_mark.index if key is not None else node.start_mark.index), _end(text, node)
    return _removed(text, above[-1], key, node)


def _child(node: Any, step: str) -> tuple[Any, Any] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == step), None)
    for item in node.value:
        if isinstance(item, yaml.MappingNode) and ("id", step) in [(k.value, v.value) for k, v in item.value]:
            return None, item
    return (None, node.value[int(step)]) if step.isdigit() and int(step) < len(node.value) else None


def _end_of(text: str, node: Any) -> tuple[int, int]:
    """Where something new may stand at the end of a list or mapping."""
    if node.flow_style:
        close = node.end_mark.index - 1
        return len(text[:close].rstrip(" \n,")), close
    return _end(text, node), node.end_mark.index


def _removed(text: str, parent: Any, key: Any, node: Any) -> tuple[int, int]:
    start, end = (key or node).start_mark.index, _end(text, node)
    if parent.flow_style:
        before = len(text[:start].rstrip(" ,\n"))
        after = re.compile(r"[ ,\n]*").match(text, end)
        return before, after.end() if after else end
    return text.rfind("\n", 0, start) + 1, min(_line_end(text, end) + 2, len(text))


def _end(text: str, node: Any) -> int:
    """The end of what stands there, without blank lines and comments behind it."""
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        return len(text[:end].rstrip("\r\n")) if text[start : start + 1] in ("|", ">") else end
    part = text[start:end]
    return start + len(re.sub(r"(?:[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z))+\Z", "", part))


def _line_end(text: str, place: int) -> int:
    end = text.find("\n", place)
    return len(text) if end < 0 else end - (text[end - 1 : end] == "\r")


def changed_outside(before: str, after: str, bounds: tuple[int, int]) -> bool:
    """Whether any character outside of the bounds is not what it was."""
    start, end = bounds
    head, tail = before[:start], before[end:]
    return not (after.startswith(head) and after.endswith(tail) and len(after) >= len(head) + len(tail))


def edits_of(answers: Any) -> Iterator[list[dict[str, str]]]:
    """The edits of each answer that makes some."""
    for answer in answers:
        if "edit" in answer:
            yield [dict(each) for each in answer["edit"]]
