"""Tests, exports and imports on the command line: real processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.test_cli import Shell

pytestmark = pytest.mark.slow
STORY = """\
schema_version: "1.0"
flow: {name: story}   # a comment that stays
state:
  fields:
    topic: {type: str, required: true}
    kind: {type: str, enum: [long, short]}
    text: str
nodes:
  - {id: choose, prompt: "Choose for {state.topic}.", outputs: [kind]}
  - {id: write, prompt: "Write.", outputs: [text]}
  - {id: sum_up, prompt: "Sum up.", outputs: [text]}
edges:
  - {from: START, to: choose}
  - from: choose
    routes: [{condition: "state.kind == 'long'", to: write}, {condition: default, to: sum_up}]
  - {from: write, to: END}
  - {from: sum_up, to: END}
"""
TEST = {
    "title": "Long ones are written",
    "quote": "long: write",
    "case": {"given": {"choose": "long"}, "must_run": ["write"]},
}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "story.yaml").write_text(STORY)
    return Shell(tmp_path)


def shared(shell: Shell) -> str:
    """A share file with a test, as somebody else might send it."""
    about = json.dumps({"tests": [TEST]})
    return f"{STORY}# parlance-share: 1\n# {about}\n"


def test_a_share_file_is_tried_imported_and_handed_on(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "got.parlance.yaml"
    file.write_text(shared(shell))
    assert "✓ Long ones are written" in shell("test", file.name).stdout
    said = shell("import", file.name).stdout
    assert "story is saved, version 1, with 1 test." in said
    assert "Tests: 1 of 1 pass" in said
    (result,) = shell.json("test", "story")
    assert (result["status"], result["quote"]) == ("passed", "long: write")
    (tmp_path / "story.yaml").write_text(STORY.replace("== 'long'", "== 'short'"))
    failed = shell("test", "story.yaml", code=1).stdout
    assert "✗ Long ones are written" in failed
    assert "asked for with: long: write" in failed
    again = shell("export", "story").stdout
    assert again.startswith(STORY)
    assert json.loads(again.partition("# parlance-share: 1\n")[2].replace("\n# ", "\n")[2:])["tests"]
    assert "Tests: 0 of 1 pass, 1 fails" in shell("save", "story.yaml").stdout


def test_pictures_go_to_files(shell: Shell, tmp_path: Path) -> None:
    shell("save", "story.yaml")
    shell("export", "story", "--format", "png", "-o", "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert "flowchart TD" in shell("export", "story", "--format", "mermaid").stdout
    assert shell("export", "story", "--format", "yaml").stdout == STORY
    assert "There is no workflow" in shell("export", "nobody", code=2).stderr
    assert "no tests yet" in shell("test", "story").stdout
    (tmp_path / "bad.yaml").write_text("nodes: [")
    assert "bad.yaml:" in shell("import", "bad.yaml", code=1).stderr
