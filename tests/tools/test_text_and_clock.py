"""text_template and current_time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.clock import current_time
from tools.registry import ToolContext, ToolError
from tools.text import text_template

MOMENT = 1_767_225_600.0  # 2026-01-01 00:00:00 UTC


async def fill(template: str, **values: Any) -> Any:
    return await text_template({"template": template, "values": values}, ToolContext())


async def test_places_are_filled_by_the_engines_rules() -> None:
    person = {"name": "Bo", "tags": ["x", {"deep": True}]}
    assert (
        await fill("Hi {p.name}: {p.tags[1].deep}, {p.tags}", p=person) == 'Hi Bo: true, ["x",{"deep":true}]'
    )
    assert await fill("a{nothing}b{number}", nothing=None, number=1.5) == "ab1.5"
    assert await fill('{"json": {"a": 1}} {{a}} { a } {a}', a=7) == '{"json": {"a": 1}} {a} { a } 7'
    assert await fill("{a}{b}", a="{b}", b="2") == "{b}2", "a value is no template"


@pytest.mark.parametrize(
    "text", ["{nam}", "{list[7]}", "{name.first}", "{list.x}", "{{zzz}}", "f'{x}' {", "}{}{{}}", "{0}"]
)
async def test_what_names_no_value_is_text(text: str) -> None:
    assert await fill(f"{text} {{name}} {text}", name="Bo", list=[1]) == f"{text} Bo {text}"


@given(st.text("{}ab[0]. "))
async def test_without_values_the_template_comes_back(text: str) -> None:
    assert await fill(text) == text
    assert await text_template({"template": text}, ToolContext()) == text


@given(st.text(st.characters(exclude_characters="{}")), st.text())
async def test_text_without_places_stays(text: str, value: str) -> None:
    assert await fill(text, v=value) == text
    assert await fill(f"{text}{{v}}", v=value) == text + value


async def now(**args: Any) -> Any:
    return await current_time(args, ToolContext(now=lambda: MOMENT))


async def test_the_time_in_a_zone_and_a_format() -> None:
    assert await now() == "2026-01-01T00:00:00+00:00"
    assert await now(time_zone="Europe/Berlin") == "2026-01-01T01:00:00+01:00"
    assert await now(time_zone="America/New_York", format="%A %H:%M") == "Wednesday 19:00"
    assert await now(time_zone="utc", format=None) == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("Berlin", "Did you mean Europe/Berlin?"),
        ("new york", "America/New_York"),
        ("Europe/Berln", "Europe/Berlin"),
        ("../../etc/passwd", "There is no time zone"),
        ("/etc/passwd", "There is no time zone"),
        ("\x00", "There is no time zone"),
    ],
)
async def test_an_unknown_zone(zone: str, words: str) -> None:
    with pytest.raises(ToolError) as caught:
        await now(time_zone=zone)
    assert words in str(caught.value)
