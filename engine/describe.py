"""The format in words, made from the schema: the whole of it for `docs/format.md`, the core of it for
prompts.

Both show one spelling only; other spellings that are read, and older keys, are listed at the end of the full
text. `python -m engine.describe` writes `docs/format.md`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from engine.schema import KIND_KEYS, load_schema, resolve
from engine.workflow import Kind

DOCS_FILE = Path(__file__).resolve().parent.parent / "docs" / "format.md"

_AVAILABLE: tuple[Kind, ...] = ("llm", "tool", "code", "ask")
"""What a prompt tells of. A workflow node needs the name of a saved workflow, which a model would only make up."""
_TYPES = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true or false"}
_SHORT_PARTS = ("flow", "field", "node", "edge", "route", "loop")
_FULL_PARTS = (
    *("flow", "state", "field", "inner_field", "node", "edge", "condition", "route", "loop"),
    *("output_schema", "output_field", "retry", "llm", "fallback", "tool_use", "memory", "sandbox", "config"),
)


def describe_format(
    *, detail: Literal["short", "full"] = "full", node_kinds: Iterable[Kind] | None = None
) -> str:
    """Markdown. `node_kinds` says which kinds to tell of; None means all in full, the usual ones in short."""
    if detail == "short":
        return _short(tuple(node_kinds or _AVAILABLE))
    return _full(tuple(node_kinds or KIND_KEYS.values()))


def describe_kind(kind: Kind) -> str:
    """What one kind of node is and what its own key holds, in a few lines, for a prompt about one node."""
    key = next(key for key, found in KIND_KEYS.items() if found == kind)
    definition = load_schema()["$defs"][f"{key}_node"]
    return f"{definition['description']} `{key}`: {_meaning(definition['properties'][key])}"


# --- for prompts ------------------------------------------------------------------------------------------


def _short(kinds: Sequence[Kind]) -> str:
    schema = load_schema()
    lines = [
        "A workflow is a YAML document such as this one:",
        "",
        "```yaml",
        schema["x-example"].rstrip(),
        "```",
        "",
    ]
    lines += _bullets("Top level", schema)
    for part in _SHORT_PARTS:
        definition = schema["$defs"][part]
        lines += _bullets(_heading(definition), definition)
        if part == "node":
            for key in _kind_keys(kinds):
                lines += _bullets(f"A node with {key}", schema["$defs"][f"{key}_node"])
    for note in schema["x-notes"]:
        if note.get("short"):
            lines += [f"**{note['title']}.** {' '.join(note['text'])}", ""]
    return "\n".join(lines).rstrip() + "\n"


def _bullets(heading: str, schema: Mapping[str, Any]) -> list[str]:
    required = schema.get("required", [])
    lines = [f"**{heading}**"]
    for key, below in _properties(schema):
        if below.get("x-basic") and "x-later" not in below:
            needed = " (required)" if key in required else ""
            lines.append(f"- `{key}`{needed}: {_meaning(below)}")
    return [*lines, ""]


def _kind_keys(kinds: Sequence[Kind]) -> list[str]:
    """The keys of the kinds, the commonest first."""
    order = ("prompt", *(key for key in KIND_KEYS if key != "prompt"))
    return [
        key for key in sorted(order, key=lambda k: KIND_KEYS[k] not in _AVAILABLE) if KIND_KEYS[key] in kinds
    ]


# --- for people -------------------------------------------------------------------------------------------


def _full(kinds: Sequence[Kind]) -> str:
    schema = load_schema()
    lines = [
        "# The workflow format, version 1.0",
        "",
        "<!-- Made by `python -m engine.describe` from configs/workflow.schema.json; change that. -->",
        "",
        schema["description"],
        "",
        *("```yaml", schema["x-example"].rstrip(), "```", ""),
        *_table("Top level", schema),
    ]
    for part in _FULL_PARTS:
        definition = schema["$defs"][part]
        lines += _table(_heading(definition), definition)
        if part == "node":
            for key in _kind_keys(kinds):
                lines += _table(f"A node with `{key}`", schema["$defs"][f"{key}_node"])
        if part == "config":
            for key in ("execution", "observability", "gates"):
                lines += _tables_below(f"`config.{key}`", definition["properties"][key])
    for note in schema["x-notes"]:
        lines += [f"## {note['title']}", "", *_paragraphs(note["text"])]
    return "\n".join([*lines, *_other_spellings(), *_older_keys()]).rstrip() + "\n"


def _paragraphs(texts: Sequence[str]) -> list[str]:
    return [line for text in texts for line in (text, "")]


def _tables_below(heading: str, schema: Mapping[str, Any]) -> list[str]:
    """The table of a part of config and of the parts below it."""
    lines = _table(heading, schema)
    for key, below in _properties(schema):
        inner = resolve(below.get("items", below))
        if inner.get("properties"):
            lines += _table(f"{heading[:-1]}.{key}`", inner)
    return lines


def _table(heading: str, schema: Mapping[str, Any]) -> list[str]:
    schema = resolve(schema)
    later = _LATER if schema.get("x-later") else ""
    lines = [f"## {heading}", "", f"{schema.get('description', '')}{later}", ""]
    rows = [row for key, below in _properties(schema) if (row := _row(key, below, schema))]
    if rows:
        lines += ["| key | value | meaning |", "|---|---|---|", *rows, ""]
    for example in schema.get("examples", ()):
        lines += ["```yaml", _as_yaml(example), "```", ""]
    return lines


_LATER = " *Not available yet.*"


def _row(key: str, below: Mapping[str, Any], schema: Mapping[str, Any]) -> str | None:
    if below.get("deprecated") or "x-alias" in below:
        return None
    needed = " (required)" if key in schema.get("required", ()) else ""
    later = _LATER if "x-later" in below and not schema.get("x-later") else ""
    default = f" Default: {_as_yaml(below['default'])}." if "default" in below else ""
    example = _example(below)
    cells = (f"`{key}`{needed}", _kind(below), f"{_meaning(below)}{default}{example}{later}")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _example(below: Mapping[str, Any]) -> str:
    examples = below.get("examples")
    if not examples or isinstance(examples[0], dict):
        return ""
    return f" Such as {', '.join(f'`{_as_yaml(e)}`' for e in examples)}."


def _other_spellings() -> list[str]:
    """The keys and forms that are read as others."""
    lines = ["## Other spellings that are read", ""]
    for path, below in _walk(load_schema(), ""):
        if "x-alias" in below:
            lines.append(f"- `{path}`: {_meaning(below)}")
    return [*lines, "- A text where a list of names stands, for one name: `outputs: answer`.", ""]


def _older_keys() -> list[str]:
    lines = ["## Keys of older documents", "", "They are accepted with a warning.", ""]
    lines += ["| key | what to do |", "|---|---|"]
    for path, below in _walk(load_schema(), ""):
        if below.get("deprecated"):
            lines.append(f"| `{path}` | {below['x-instead']} |")
    return [*lines, ""]


def _walk(schema: Mapping[str, Any], where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every key of the format with the part it belongs to, as it is laid out in the schema."""
    for key, below in schema.get("properties", {}).items():
        yield f"{where}: {key}" if where else key, resolve(below)
        if "$ref" not in below and not below.get("deprecated"):
            yield from _walk(below, key)
    for part in schema.get("$defs", {}).values():
        yield from _walk(part, part.get("title", "").removeprefix("a ").removeprefix("an "))


# --- parts of the schema ----------------------------------------------------------------------------------


def _properties(schema: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, below in schema.get("properties", {}).items():
        yield key, resolve(below)


def _heading(schema: Mapping[str, Any]) -> str:
    title = str(schema["title"])
    return title[:1].upper() + title[1:] if title.startswith(("a ", "an ")) else f"`{title}`"


def _meaning(below: Mapping[str, Any]) -> str:
    text = str(below.get("description", ""))
    if "enum" in below:
        words = ", ".join(f"`{_as_yaml(v)}`" for v in below["enum"] if not str(v).isupper())
        return f"{text} {'Always' if len(below['enum']) == 1 else 'One of'} {words}."
    return text


def _kind(below: Mapping[str, Any]) -> str:
    """What a value is, in words."""
    kinds = below.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    words = [_TYPES.get(kind) or _collection(kind, below) for kind in kinds]
    if "string" in kinds and below.get("pattern", "").startswith("^[A-Za-z_]"):
        words[kinds.index("string")] = "name"
    if below.get("format") == "workflow-type" and kinds == ["string"]:
        words = ["type"]
    return " or ".join(words) or ("one word" if "enum" in below else "anything")


def _collection(kind: str, below: Mapping[str, Any]) -> str:
    if kind == "object":
        return "keys"
    items = resolve(below.get("items", {}))
    return "list of names" if "pattern" in items else "list"


def _as_yaml(value: Any) -> str:
    """A value as YAML, on one line where it is short; a JSON text is YAML as well."""
    import yaml

    if isinstance(value, str):
        return json.dumps(value) if value == "1.0" else value
    if not isinstance(value, dict | list):
        return json.dumps(value)
    text: str = yaml.safe_dump(value, sort_keys=False, default_flow_style=None, allow_unicode=True, width=100)
    return text.strip()


def main() -> None:
    """Write `docs/format.md`."""
    DOCS_FILE.write_text(describe_format(), encoding="utf-8")


if __name__ == "__main__":
    main()
