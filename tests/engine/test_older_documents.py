"""Documents of the older format: each of its twelve kinds of test config loads, and builds where its tools are here."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.build import build_workflow
from engine.check import check
from engine.document import read_document
from engine.schema import findings, marked_keys
from engine.workflow import END, START
from tools.registry import ToolRegistry

OLDER = sorted((Path(__file__).resolve().parents[1] / "data" / "older").glob("*.yaml"))

# What the checker has to say of each: rules, by number of the document.
TOLD = {
    "02": {"config.observability": "warning"},
    "04": {"nodes[0].tools[0]": "error"},
    "09": {"config.memory": "warning"},
    "10": {
        "nodes[1].sandbox": "warning",
        "nodes[1].sandbox.runtime": "warning",
        "config.sandbox": "warning",
        "config.sandbox.runtime": "warning",
    },
    "11": {"config.storage": "warning"},
    "12": {"nodes[0].tools[0]": "error", "config.observability": "warning"},
}


def test_there_are_twelve() -> None:
    assert [path.stem[:2] for path in OLDER] == [f"{n:02}" for n in range(1, 13)]


@pytest.mark.parametrize("path", OLDER, ids=lambda p: p.stem)
def test_an_older_document_loads_and_builds(path: Path) -> None:
    document = read_document(path.read_text(encoding="utf-8"))
    assert document.problems == []
    assert findings(document) == []
    assert not [mark for mark in marked_keys(document.data) if mark.later == "error"]
    workflow = build_workflow(document, ToolRegistry())
    assert len(workflow.nodes) == len(document.data["nodes"])
    assert workflow.inputs
    assert workflow.outputs
    assert all(node.llm.provider in ("google", "anthropic") for node in workflow.nodes.values())
    assert {edge.source for edge in workflow.edges} == {START, *workflow.nodes}
    assert any(END in edge.targets for edge in workflow.edges)


@pytest.mark.parametrize("path", OLDER, ids=lambda p: p.stem)
def test_an_older_document_is_told_what_is_not_used(path: Path) -> None:
    checked = check(path.read_text(encoding="utf-8"), ToolRegistry())
    assert {p.path: p.severity for p in checked.problems} == TOLD.get(path.stem[:2], {})
    assert (checked.workflow is None) == ("error" in TOLD.get(path.stem[:2], {}).values())


def test_keys_keep_their_meaning() -> None:
    full = build_workflow(read_document(OLDER[11].read_text(encoding="utf-8")), ToolRegistry())
    assert full.execution.timeout == 120
    assert {node.retry.max_attempts for node in full.nodes.values()} == {4}
    loop = next(edge.loop for edge in full.edges if edge.loop)
    assert (loop.condition_field, loop.max_iterations, loop.exit_to) == ("settled", 3, ("write_report",))
    routes = next(edge.routes for edge in full.edges if edge.routes)
    assert [r.condition and r.condition.text for r in routes] == ["state.care == 'quick'", None]
    models = build_workflow(read_document(OLDER[7].read_text(encoding="utf-8")), ToolRegistry()).nodes
    assert models["ask_first"].llm.model == "gemini-2.5-flash-lite"
    assert (models["ask_second"].llm.provider, models["ask_second"].llm.model) == (
        "anthropic",
        "claude-haiku-4-5",
    )
