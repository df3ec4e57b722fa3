"""Paths of edits: `nodes.review.prompt`, `edges[2].to`, `nodes[review]`; read, and led to what stands there.

A path that leads nowhere is answered with a sentence that says where it ends and what stands there instead.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass

from engine.document import Document, path_text
from engine.yaml_reader import Spot

Step = str | int
_STEP = re.compile(
    r"""\[\s*(?P<index>-?\d+)\s*\]|\[\s*(?P<quoted>"(?:[^"\\]|\\.)*"|'[^']*')\s*\]|\[(?P<named>[^\]]+)\]"""
    r"""|(?:(?<=.)\.|^)(?P<bare>[^.\[\]]+)"""
)


class WrongPath(Exception):
    """The path can't be followed; `str()` is the sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a path leads: the spots from the root down, and the steps as keys and indices.

    `spot` is None where only the last key is missing.
    """

    path: tuple[Step, ...]
    above: tuple[Spot, ...]
    spot: Spot | None

    @property
    def parent(self) -> Spot:
        return self.above[-1]

    @property
    def inside_flow(self) -> bool:
        return any(spot.flow for spot in self.above)


def read_path(text: str) -> list[Step]:
    """The steps of a path as written. WrongPath where it is none."""
    text, position = text.strip().strip("`"), 0
    steps: list[Step] = []
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            raise WrongPath(
                f"`{text[:80]}` is no path. Paths look like nodes.review.prompt, state.fields.tone or edges[2].to."
            )
        steps.append(_step(match))
        position = match.end()
    if not steps:
        raise WrongPath("The path is empty. Paths look like nodes.review.prompt or edges[2].to.")
    return steps


def _step(match: re.Match[str]) -> Step:
    if match["index"] is not None:
        return int(match["index"])
    if match["quoted"] is not None:
        inner = match["quoted"]
        return str(json.loads(inner)) if inner[0] == '"' else inner[1:-1]
    return (match["named"] or match["bare"]).strip()


def find(document: Document, text: str) -> Target:
    """Where a path leads. WrongPath where more than its last key is missing, or where it could mean two things."""
    spot, above = document.root, list[Spot]()
    path: list[Step] = []
    steps = read_path(text)
    if spot is None:
        raise WrongPath("The document can't be read as it is, so no path leads anywhere. Use replace.")
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        key, below = _follow(spot, step, tuple(path))
        if below is None and not (last and isinstance(key, str) and isinstance(spot.children, dict)):
            raise WrongPath(nowhere(spot, step, tuple(path)))
        above.append(spot)
        path.append(key)
        if below is None:
            return Target(tuple(path), tuple(above), None)
        spot = below
    return Target(tuple(path), tuple(above), spot)


def _follow(spot: Spot, step: Step, path: tuple[Step, ...]) -> tuple[Step, Spot | None]:
    """The key or index that a step means below a spot, and what stands there."""
    if isinstance(spot.children, dict):
        key = str(step)
        return key, spot.children.get(key)
    if not isinstance(spot.children, list):
        return step, None
    index = _index(spot, step, path)
    return (step, None) if index is None else (index, spot.children[index])


def _index(spot: Spot, step: Step, path: tuple[Step, ...]) -> int | None:
    count = len(spot.value)
    if isinstance(step, str):
        for name in (_id, _name, _self):
            found = [n for n, item in enumerate(spot.value) if name(item) == step]
            if len(found) > 1:
                where = ", ".join(path_text((*path, n)) for n in found[:5])
                raise WrongPath(
                    f"`{step}` stands {len(found)} times in {path_text(path)}: {where}. Give the number."
                )
            if found:
                return found[0]
        if not re.fullmatch(r"-?\d+", step):
            return None
        step = int(step)
    step = step + count if step < 0 else step
    return step if 0 <= step < count else None


def _id(item: object) -> object:
    return item.get("id") if isinstance(item, dict) else None


def _name(item: object) -> object:
    return item.get("name") if isinstance(item, dict) else None


def _self(item: object) -> object:
    return item if isinstance(item, str) else None


def nowhere(spot: Spot, step: Step, path: tuple[Step, ...]) -> str:
    """What stands where a path ends, in a sentence."""
    where = path_text(path) or "the document"
    if isinstance(spot.value, dict):
        names = list(spot.value)
        kind = "keys"
    elif isinstance(spot.value, list):
        ids = [_id(item) or _name(item) or _self(item) for item in spot.value]
        names = [str(name) for name in ids if isinstance(name, str)]
        count = len(spot.value)
        kind = "items" if names else f"{count} items (0 to {count - 1})" if count else "no items"
    else:
        return f"There is nothing below {where}: it is a single value, so `{step}` leads nowhere."
    near = difflib.get_close_matches(str(step), names, n=1, cutoff=0.6)
    meant = f" Did you mean {near[0]}?" if near else ""
    listed = f": {', '.join(names[:30])}{' …' if len(names) > 30 else ''}" if names else ""
    return f"There is no `{step}` in {where}. It has {kind}{listed}.{meant}"
