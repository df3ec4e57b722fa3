"""The edits that a model asks for: read in the shapes in which models write them, applied by `engine.text_edits`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.text_edits import OPS, Edit, apply_edits

__all__ = ["OPS", "Edit", "apply_edits", "numbered", "read_edits"]


def read_edits(items: Sequence[Mapping[str, Any]]) -> list[Edit]:
    """The edits of an action's arguments, which fit its schema."""
    return [
        Edit(item.get("op") or "replace", item["at"], item.get("text") or "") for item in map(_normal, items)
    ]


def _normal(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """One edit in today's shape; `{old, new}` is a replacement."""
    if "old" in item and "at" not in item:
        rest = {key: value for key, value in item.items() if key not in ("old", "new")}
        return {"op": "replace", **rest, "at": item["old"], "text": item.get("new", "")}
    return item


def numbered(text: str) -> str:
    """The text with line numbers, as it is shown to a model."""
    lines = text.splitlines() or [""]
    width = len(str(len(lines)))
    return "\n".join(f"{n:>{width}}| {line}" for n, line in enumerate(lines, 1))
