"""The graph picture: every step and line is drawn, nothing overlaps, no document can break out."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.graph_layout import Arc, Box, lay_out
from chat.graph_svg import graph_svg
from engine.check import check
from tests.patience import within
from tools.registry import ToolRegistry

SVG = "{http://www.w3.org/2000/svg}"
GALLERY = sorted((Path(__file__).parents[2] / "configs" / "gallery").glob("*.yaml"))


def _parsed(data: Any, **options: Any) -> ElementTree.Element:
    return ElementTree.fromstring(graph_svg(data, **options))


def _nodes(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [element for element in root.iter(f"{SVG}g") if "data-node" in element.attrib]


def _links(root: ElementTree.Element) -> set[tuple[str, str]]:
    return {
        (e.attrib["data-from"], e.attrib["data-to"])
        for e in root.iter(f"{SVG}path")
        if "data-from" in e.attrib
    }


def _steps(*names: str) -> list[dict[str, str]]:
    return [{"id": name, "prompt": "Say hello"} for name in names]


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_draws_every_step_of_the_gallery(path: Path) -> None:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    root = _parsed(data)
    assert [node.attrib["data-node"] for node in _nodes(root)] == [node["id"] for node in data["nodes"]]
    assert any(source == "START" for source, _ in _links(root))
    assert any(target == "END" for _, target in _links(root))


def test_steps_without_edges_run_in_the_order_in_which_they_stand() -> None:
    assert _links(_parsed({"nodes": _steps("a", "b")})) == {("START", "a"), ("a", "b"), ("b", "END")}


def test_routes_carry_their_conditions_and_loops_say_when_they_end() -> None:
    data = {
        "nodes": _steps("judge", "good", "again"),
        "edges": [
            {
                "from": "judge",
                "routes": [{"condition": "state.ok", "to": "good"}, {"condition": "default", "to": "again"}],
            },
            {"from": "again", "loop": {"condition_field": "done", "max_iterations": 4, "exit_to": "good"}},
        ],
    }
    text = "".join(_parsed(data).itertext())
    assert "ok" in text
    assert "otherwise" in text
    assert "until done, at most 4×" in text
    assert _links(_parsed(data)) >= {
        ("judge", "good"),
        ("judge", "again"),
        ("again", "again"),
        ("again", "good"),
    }


def test_a_checked_workflow_and_its_data_make_the_same_picture() -> None:
    from engine.build import build_workflow
    from engine.document import read_document
    from tools.registry import ToolRegistry

    text = (GALLERY[0].parent / "triage_ticket.yaml").read_text(encoding="utf-8")
    document = read_document(text)
    checked, bare = _parsed(build_workflow(document, ToolRegistry())), _parsed(document.data)
    assert _links(checked) == _links(bare)
    assert [n.attrib["transform"] for n in _nodes(checked)] == [n.attrib["transform"] for n in _nodes(bare)]


def test_status_and_line_are_on_the_node() -> None:
    root = _parsed({"nodes": _steps("a", "b")}, statuses={"a": "running"}, lines={"a": 7})
    first, second = _nodes(root)
    assert (first.attrib["data-status"], first.attrib["data-line"], first.attrib["role"]) == (
        "running",
        "7",
        "button",
    )
    assert (second.attrib["data-status"], second.attrib["role"]) == ("", "img")
    assert "running" in first.attrib["aria-label"]


def test_two_pictures_on_one_page_share_no_id() -> None:
    data = {"nodes": _steps("a")}
    ids = [re.findall(r'\bid="([^"]+)"', graph_svg(data)) for _ in range(2)]
    assert ids[0]
    assert not set(ids[0]) & set(ids[1])


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    "${alert(1)}",
    "]]>&amp;</svg>",
]


@pytest.mark.parametrize("evil", HOSTILE)
def test_text_of_a_document_stays_text(evil: str) -> None:
    node = {"id": evil, "tool": evil, "description": evil, "outputs": [evil]}
    edges = [
        {"from": evil, "routes": [{"condition": evil, "to": evil}, {"condition": "default", "to": "END"}]}
    ]
    root = _parsed({"flow": {"name": evil}, "nodes": [node], "edges": edges})
    drawn = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert drawn <= {"svg", "style", "defs", "marker", "path", "g", "rect", "text", "title", "circle"}
    assert _nodes(root)[0].attrib["data-node"] == evil
    assert not any(name.startswith("on") for element in root.iter() for name in element.attrib)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(
    ["flow", "nodes", "edges", "id", "from", "to", "routes", "loop", "condition", "name", "prompt"]
)
documents = st.recursive(
    json_like, lambda inner: st.dictionaries(keys, inner | st.lists(inner, max_size=3), max_size=5)
)


@settings(max_examples=60, deadline=None)
@given(documents)
def test_any_data_gives_a_picture(data: Any) -> None:
    _parsed(data)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Box], list[Arc]]:
    count = draw(st.integers(2, 14))
    sizes = st.floats(40, 280)
    boxes = [
        Box(str(number), draw(sizes), draw(st.sampled_from([28.0, 54.0, 72.0]))) for number in range(count)
    ]
    ends = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(ends, ends, st.sampled_from([0.0, 0.0, 90.0])), max_size=30))
    return boxes, [Arc(str(a), str(b), label) for a, b, label in pairs if b != 0 and a != count - 1]


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_boxes_and_labels_never_overlap_and_every_line_arrives(graph: tuple[list[Box], list[Arc]]) -> None:
    boxes, arcs = graph
    layout = lay_out(boxes, arcs)
    sizes = {box.id: box for box in boxes}
    areas = [(*layout.places[box.id], box.width, box.height) for box in boxes]
    labels = zip(layout.lines, arcs, strict=True)
    areas += [(*line.label, arc.label_width, 20.0) for line, arc in labels if line.label and not line.back]
    for (ax, ay, aw, ah), (bx, by, bw, bh) in itertools.combinations(areas, 2):
        assert abs(ax - bx) >= (aw + bw) / 2 - 0.01 or abs(ay - by) >= (ah + bh) / 2 - 0.01
    for arc, line in zip(arcs, layout.lines, strict=True):
        if arc.source == arc.target:
            assert line.points == ()
            continue
        for end, name in ((line.points[0], arc.source), (line.points[-1], arc.target)):
            (x, y), box = layout.places[name], sizes[name]
            assert abs(end[0] - x) <= box.width / 2 + 0.01
            assert abs(end[1] - y) <= box.height / 2 + 0.01
        assert all(-0.01 <= x <= layout.width + 0.01 for x, _ in line.points)


def test_the_end_stands_below_everything() -> None:
    layout = lay_out(
        [Box("a", 90, 50), Box("b", 90, 50), Box("end", 60, 28)], [Arc("a", "b"), Arc("a", "end")]
    )
    assert layout.places["end"][1] > layout.places["b"][1]


@pytest.mark.slow
def test_the_largest_document_is_drawn_in_seconds() -> None:
    names = [f"n{number}" for number in range(1000)]
    edges: list[dict[str, Any]] = [{"from": "START", "to": names[:200]}]
    edges += [{"from": name, "to": names[(at * 7 + 13) % 1000]} for at, name in enumerate(names)]
    started = time.perf_counter()
    assert len(_nodes(_parsed({"nodes": _steps(*names), "edges": edges}))) == 1000
    assert time.perf_counter() - started < within(10)


KINDS = """\
schema_version: "1.0"
flow: {name: every_kind}
state:
  fields:
    items: {type: "list[str]", required: true}
    done: "list[str]"
    total: int
    fine: bool
nodes:
  - {id: each, for_each: state.items, prompt: "Do {item}", outputs: [done], on_error: ask}
  - {id: sum, code: "result = len(inputs['done'])", outputs: [total]}
  - {id: ask, ask: "Fine?", outputs: [fine]}
"""


def test_kinds_maps_and_failures_are_told_apart() -> None:
    checked = check(KINDS, ToolRegistry())
    assert checked.workflow is not None, checked.problems
    for picture in (graph_svg(checked.workflow), graph_svg(checked.document.data)):
        assert 'data-kind="code"' in picture
        assert 'data-kind="ask"' in picture
        assert "for each of items" in picture
        assert picture.count('class="link error"') == 1
        assert 'data-from="ask" data-to="END"' in picture


def test_waiting_and_unknown_have_colours_of_their_own() -> None:
    picture = graph_svg({"nodes": [{"id": "a", "ask": "?"}]}, {"a": "unknown"})
    assert 'data-status="unknown"' in picture
    for status in ("waiting", "unknown"):
        assert f"stroke:var(--pl-{status}," in picture
