"""A file as an input on the command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.files import pdf
from tests.test_cli import Shell

READ = """\
schema_version: "1.0"
flow: {name: read_doc, description: Reads a document}
state:
  fields:
    doc: {type: file, required: true}
    told: str
nodes:
  - {id: tell, tool: text_template, args: {template: "{state.doc.name}: {state.doc}"}, outputs: [told]}
"""


def test_a_path_is_read_into_the_store(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "read.yaml").write_text(READ)
    (tmp_path / "my report.pdf").write_bytes(pdf("Sales went up"))
    done = shell("run", "read.yaml", "-i", "doc=@my report.pdf", "--json")
    view = json.loads(done.stdout.splitlines()[-1])
    assert view["outputs"] == {"told": "my report.pdf: Sales went up"}
    assert view["inputs"]["doc"]["media_type"] == "application/pdf"
    again = shell("run", "read.yaml", "-i", f"doc={view['inputs']['doc']['file']}", "--json")
    assert json.loads(again.stdout.splitlines()[-1])["outputs"] == view["outputs"]


def test_only_a_typed_word_names_a_path(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "read.yaml").write_text(READ)
    (tmp_path / "a.txt").write_text("words")
    (tmp_path / "inputs.json").write_text(json.dumps({"doc": "@a.txt"}))
    assert "is not a file" in shell("run", "read.yaml", "-i", "@inputs.json", code=2).stderr
    assert "nothing.txt does not exist" in shell("run", "read.yaml", "-i", "doc=@nothing.txt", code=2).stderr
