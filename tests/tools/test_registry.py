"""The registry: names, loading on first use, arguments checked before a tool runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tools.registry import BUILT_IN, Tool, ToolContext, ToolError, ToolRegistry, tool

ROOT = Path(__file__).resolve().parents[2]


@tool(
    description="Say a word so many times.",
    parameters={
        "word": {"type": "string"},
        "times": {"type": "integer", "minimum": 1, "default": 1},
        "options": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
        "loud": {"type": "boolean", "default": False},
    },
    returns="The words.",
    effect="idempotent",
)
async def echo(args: Mapping[str, Any], context: ToolContext) -> Any:
    return [args["word"]] * args.get("times", 1), context.idempotency_key


def test_all_six_are_there_with_a_sound_description() -> None:
    registry = ToolRegistry()
    assert registry.names() == list(BUILT_IN)
    assert set(registry) == {
        "http_get",
        "json_parse",
        "yaml_parse",
        "csv_parse",
        "text_template",
        "current_time",
    }
    for name in registry:
        found = registry.get(name)
        assert found.name == name
        assert found.effect == "none"
        assert found.description.endswith(".")
        assert found.returns.endswith(".")
        Draft202012Validator.check_schema(found.parameters)
        assert found.parameters["additionalProperties"] is False


def test_an_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        ToolRegistry().get("http_gte")


def test_a_tool_is_loaded_on_its_first_use() -> None:
    code = """
import sys
from tools.registry import ToolRegistry
registry = ToolRegistry()
print(sorted(m for m in sys.modules if m in ("tools.http", "tools.parse", "httpx", "jsonschema", "yaml", "zoneinfo")))
registry.get("http_get")
print(sorted(m for m in sys.modules if m in ("tools.http", "tools.parse", "httpx", "jsonschema", "yaml")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, cwd=ROOT)
    assert done.stdout.splitlines() == ["[]", "['tools.http']"], done.stderr


async def test_own_tools_go_through_the_same_door() -> None:
    registry = ToolRegistry({"echo": "tests.tools.test_registry.echo"})
    assert await registry.get("echo")({"word": "a", "times": 2}, ToolContext(idempotency_key="k")) == (
        ["a", "a"],
        "k",
    )
    registry.add("again", echo)
    assert "again" in registry
    assert isinstance(registry.get("again"), Tool)
    with pytest.raises(TypeError, match="is not a Tool"):
        ToolRegistry({"x": "tests.tools.test_registry.ROOT"}).get("x")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            {},
            "the argument word is missing. It takes: word, times (optional), options (optional), loud (optional).",
        ),
        ({"word": 3}, "word must be a text"),
        ({"word": "a", "times": "2"}, "times must be a whole number"),
        ({"word": "a", "times": True}, "times must be a whole number"),
        ({"word": "a", "loud": 1}, "loud must be true or false"),
        ({"word": "a", "times": 0}, "times breaks the rule minimum: 1"),
        ({"word": "a", "tims": 2}, "there is no argument tims"),
        ({"word": "a", "options": {"x": 1}}, "options.x must be a text"),
    ],
)
async def test_wrong_arguments_are_named(args: dict[str, Any], words: str) -> None:
    with pytest.raises(ToolError) as caught:
        await echo(args, ToolContext())
    assert words in str(caught.value)


async def test_an_argument_that_may_be_a_secret_is_not_in_the_error() -> None:
    with pytest.raises(ToolError) as caught:
        await echo({"word": {"secret": "hunter2"}, "options": {"Authorization": 7}}, ToolContext())
    assert "hunter2" not in f"{caught.value}{caught.value.__context__!r}"
