"""A workflow written as JSON, laid out as people read it: the same data, in lines."""

from __future__ import annotations

from typing import Any

from engine.document import read_document
from engine.edit_units import same
from engine.mend_shape import WRAPPERS
from engine.yaml_writing import block, flow, indent, key_text

WIDEST = 100


def mend_json(text: str) -> tuple[str, list[str]]:
    """YAML in the place of a JSON object; anything else stays."""
    if not text.lstrip().startswith("{"):
        return text, []
    document = read_document(text)
    data = document.data
    if isinstance(data, dict) and len(data) == 1 and next(iter(data)) in WRAPPERS:
        data = next(iter(data.values()))
    if not isinstance(data, dict) or document.problems or "nodes" not in data:
        return text, []
    written = "\n".join(lines_of(data, 0)) + "\n"
    after = read_document(written)
    return (written, ["wrote the JSON as YAML"]) if same(after.data, data) else (text, [])


def lines_of(data: dict[str, Any], depth: int) -> list[str]:
    """A set of keys in lines, from column 0."""
    lines: list[str] = []
    for key, value in data.items():
        head = f"{key_text(key)}:"
        short = f"{head} {flow(value)}"
        if isinstance(value, str) and "\n" in value and (written := block(value)):
            lines += [f"{head} {written[0]}", *indent(written[1:], 2)]
        elif not isinstance(value, dict | list) or not value or (depth and fits(short, value)):
            lines.append(short)
        elif isinstance(value, dict):
            lines += [head, *indent(lines_of(value, depth + 1), 2)]
        else:
            lines += [head, *indent([part for item in value for part in _item(item, key)], 2)]
    return lines


def fits(line: str, value: Any) -> bool:
    """Whether a value can stand on one line: it is short, and no text in it has several lines."""
    return len(line) <= WIDEST and "\\n" not in line and not (isinstance(value, dict) and "prompt" in value)


def _item(item: Any, key: str) -> list[str]:
    if not isinstance(item, dict) or not item or (key != "nodes" and fits(flow(item), item)):
        return [f"- {flow(item)}"]
    lines = lines_of(item, 1)
    return [f"- {lines[0]}", *indent(lines[1:], 2)]
