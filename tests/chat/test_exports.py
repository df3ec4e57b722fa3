"""Pictures and Mermaid: valid whatever a document says, and no way out of the quotes for what it says."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from chat.exports import WIDEST, file_name, mermaid, png, svg
from chat.gallery import Gallery
from tests.chat.test_proof import big

NASTY = '"]; click n1 "javascript:alert(1)" %% `<script>alert(1)</script>`&#quot;\\ \u2028|x|'


def document(name: str, title: str) -> str:
    import json

    return f"flow: {{name: {json.dumps(name)}}}\nnodes:\n  - {{id: {json.dumps(title)}, prompt: x, outputs: [a]}}\n"


def size_of(picture: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


@given(st.text(max_size=30), st.text(max_size=60))
def test_svg_is_xml_whatever_is_in_it(name: str, title: str) -> None:
    found = ElementTree.fromstring(svg(document(name, title)))
    assert found.tag.endswith("svg")


@given(st.text(max_size=30), st.text(max_size=60))
def test_mermaid_has_no_way_out_of_its_quotes(name: str, title: str) -> None:
    for line in mermaid(document(name, title)).splitlines():
        assert re.fullmatch(
            r'%% Workflow [^"]*|flowchart TD|'
            r'  \w+(\(\[|\[\[|\[/|\{\{|\[)"[^"`<>]*(<br/>[^"`<>]*)*"(\]\)|\]\]|/\]|\}\}|\])'
            r'|  \w+ (-->|-\.->)(\|"[^"]*"\|)? \w+',
            line,
        ), line


def test_what_is_nasty_stays_text() -> None:
    text = document(NASTY, NASTY)
    assert "<script>" not in svg(text)
    assert "script>" not in mermaid(text)
    assert png(text).startswith(b"\x89PNG")


@pytest.mark.parametrize("example", list(Gallery()), ids=lambda example: example.name)
def test_every_example_has_all_its_pictures(example: object) -> None:
    text = example.yaml  # type: ignore[attr-defined]
    drawn = svg(text)
    assert "var(" not in drawn
    assert "color-mix" not in drawn
    steps = drawn.count('class="node"')
    assert steps > 0
    assert mermaid(text).count("<br/>") >= steps


@pytest.mark.slow
def test_text_is_drawn_and_large_pictures_are_bounded() -> None:
    text, blank = document("a", "wwwwwwwwww"), document("a", " ")
    assert len(png(text)) > len(png(blank)) + 500
    width, height = size_of(png(big(150)))
    assert max(width, height) <= WIDEST


@given(st.text(max_size=120))
@examples(max_examples=50)
def test_file_names_suit_every_system(name: str) -> None:
    found = file_name(name, "share")
    assert found.endswith(".parlance.yaml")
    assert not set(found) & set('/\\:*?"<>|\0\n')
    assert not found.startswith(".")
