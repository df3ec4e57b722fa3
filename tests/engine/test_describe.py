"""The description: up to date, short enough for a prompt, and true to what is read."""

from __future__ import annotations

import re

import yaml

from engine.check import check
from engine.describe import DOCS_FILE, describe_format
from engine.document import read_document
from engine.expression_operators import FUNCTIONS
from engine.schema import load_schema, resolve
from engine.types import SIMPLE
from tools.registry import ToolRegistry


def test_the_page_in_the_docs_is_up_to_date() -> None:
    assert DOCS_FILE.read_text(encoding="utf-8") == describe_format(), "run `python -m engine.describe`"


def test_the_example_is_a_workflow_without_a_problem() -> None:
    checked = check(load_schema()["x-example"], ToolRegistry())
    assert checked.problems == ()
    assert checked.workflow is not None
    for detail in ("short", "full"):
        assert load_schema()["x-example"].strip() in describe_format(detail=detail)


def test_the_full_text_names_every_key() -> None:
    text = describe_format()
    for part in load_schema()["$defs"].values():
        for key, below in part.get("properties", {}).items():
            assert f"`{key}`" in text or f": {key}`" in text, key
            assert resolve(below)["description"] in text or below.get("deprecated"), key


def test_both_name_every_type_and_every_function() -> None:
    for text in (describe_format(), describe_format(detail="short")):
        for word in (*SIMPLE, *FUNCTIONS):
            assert re.search(rf"\b{word}\b", text), word


def test_the_short_text_fits_a_prompt_and_shows_one_spelling() -> None:
    text = describe_format(detail="short")
    assert len(text) < 6600  # about 1,600 tokens
    for absent in ("logic", "timeout_seconds", "runtime", "agent", "memory", "max_parallel"):
        assert not re.search(rf"\b{absent}\b", text), absent
    for kind in ("prompt", "tool", "code", "ask"):
        assert f"A node with {kind}" in text
    for key in ("for_each", "on_error"):
        assert f"`{key}`" in text


def test_kinds_can_be_chosen() -> None:
    text = describe_format(detail="short", node_kinds=["llm"])
    assert "A node with prompt" in text
    assert "A node with tool" not in text
    assert "A node with workflow" in describe_format(detail="short", node_kinds=["llm", "subflow"])
    assert "A node with `tool`" not in describe_format(node_kinds=["llm"])


def test_every_snippet_is_yaml() -> None:
    snippets = re.findall(r"```yaml\n(.*?)```", describe_format(), re.DOTALL)
    assert len(snippets) > 10
    for snippet in snippets:
        assert yaml.safe_load(snippet)
        assert read_document(f"key:\n{re.sub('^', '  ', snippet, flags=re.MULTILINE)}").problems == []


def test_tables_have_three_columns() -> None:
    for line in describe_format().splitlines():
        if line.startswith("| `") and "keys of older" not in line:
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4), line
