"""Fields of type file in runs: references in the state, texts in templates, images to models, dicts to code."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.check import check
from engine.engine import Engine
from engine.errors import InputError
from engine.ports import Message, ModelInfo, ModelReply, ModelRequest, TextDelta
from sessions.db import Database, open_db
from sessions.files import FileStore
from sessions.runs import SqliteRunStore
from tests.chat.house import NoModel
from tests.files import image, pdf, stream
from tools.registry import ToolRegistry
from tools.sandbox.pool import Sandbox

TOOLS = ToolRegistry()
ME = "local"
HEAD = """\
schema_version: "1.0"
flow: {name: reads, description: Reads a file}
state:
  fields:
    doc: {type: file, required: true}
    told: str
    parts: str
nodes:
"""
TEMPLATE = (
    HEAD
    + """\
  - {id: tell, tool: text_template, args: {template: "{state.doc}"}, outputs: [told]}
  - id: name
    tool: text_template
    args: {template: "{state.doc.name}, {state.doc.media_type}, {state.doc.size}: {state.doc.text}"}
    outputs: [parts]
"""
)
LLM = (
    HEAD
    + """\
  - {id: tell, inputs: {it: state.doc}, prompt: "Look: {it}", outputs: [told]}
"""
)


class Models(NoModel):
    """A model that says "seen", and keeps what it was sent."""

    def __init__(self, sees: bool | None) -> None:
        self.sees = sees
        self.sent: list[Sequence[Message]] = []

    async def info(self, model: str | None = None) -> ModelInfo:
        return ModelInfo("openai/eyes", "a test", sees_images=self.sees)

    async def stream(self, request: ModelRequest) -> AsyncIterator[TextDelta | ModelReply]:
        self.sent.append(request.messages)
        yield ModelReply("seen", "openai/eyes")


class House:
    def __init__(self, home: Path, models: Any = None, sandbox: Sandbox | None = None) -> None:
        self.db: Database = open_db(home / "parlance.db", synchronous="NORMAL")
        self.files = FileStore(self.db, home / "files")
        self.store = SqliteRunStore(self.db)
        self.engine = Engine(self.store, models or NoModel(), TOOLS, files=self.files, sandbox=sandbox)

    async def add(self, name: str, content: bytes, owner: str = ME) -> str:
        return (await self.files.add(owner, name, stream(content))).id

    async def run(self, text: str, file: str | dict[str, Any], **options: Any) -> dict[str, Any]:
        checked = check(text, TOOLS)
        assert checked.workflow, checked.problems
        return await self.engine.run(checked.workflow, {"doc": file}, **options)

    async def close(self) -> None:
        await self.engine.close()
        self.db.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    found = House(tmp_path)
    yield found
    await found.close()


async def test_a_template_shows_the_text_and_the_state_keeps_a_reference(house: House) -> None:
    id = await house.add("report.pdf", pdf("Sales went up"))
    view = await house.run(TEMPLATE, {"file": id})
    size = len(pdf("Sales went up"))
    assert view["status"] == "ok", view["error"]
    assert view["state"]["told"] == "Sales went up"
    assert view["state"]["parts"] == f"report.pdf, application/pdf, {size}: Sales went up"
    known = {"file": id, "name": "report.pdf", "media_type": "application/pdf", "size": size}
    assert view["inputs"] == {"doc": known}
    assert (await house.store.get(view["id"] if "id" in view else view["run_id"])).inputs == {"doc": known}


async def test_a_run_keeps_its_file(house: House) -> None:
    id = await house.add("a.txt", b"text")
    await house.run(TEMPLATE, id)
    rows = await house.db.fetch("SELECT kept FROM files WHERE id = ?", (id,))
    assert [row["kept"] for row in rows] == [1]


async def test_what_is_no_file_of_ones_own_is_refused(house: House) -> None:
    foreign = await house.add("a.txt", b"secret", owner="else")
    for wrong in ("/etc/passwd", "report.pdf", {"file": "../../etc/passwd"}, {"file": foreign}, "0" * 32):
        with pytest.raises(InputError, match=r"not a file|not there"):
            await house.run(TEMPLATE, wrong)


async def test_a_file_that_is_gone_is_told(house: House) -> None:
    id = await house.add("a.txt", b"text")
    (await house.files.path(ME, id))[1].unlink()
    view = await house.run(TEMPLATE, {"file": id})
    assert view["status"] == "failed"
    assert "content of “a.txt” is gone" in view["error"]


async def test_a_dry_run_makes_one_up(house: House) -> None:
    checked = check(TEMPLATE, TOOLS)
    assert checked.workflow
    view = await house.engine.run(checked.workflow, {}, dry=True)
    assert view["status"] == "ok", view["error"]
    assert view["state"]["told"] == "example of the text of doc.txt"


async def test_a_list_of_files_is_run_over(house: House) -> None:
    text = """\
schema_version: "1.0"
flow: {name: reads, description: Reads files}
state:
  fields:
    docs: {type: "list[file]", required: true}
    told: "list[str]"
nodes:
  - id: tell
    for_each: state.docs
    as: one
    tool: text_template
    args: {template: "{one.name}: {one}"}
    outputs: [told]
"""
    ids = [await house.add(f"{n}.txt", f"text {n}".encode()) for n in range(3)]
    checked = check(text, TOOLS)
    assert checked.workflow, checked.problems
    view = await house.engine.run(checked.workflow, {"docs": [{"file": id} for id in ids]})
    assert view["state"]["told"] == ["0.txt: text 0", "1.txt: text 1", "2.txt: text 2"]


async def test_a_model_is_sent_the_image(tmp_path: Path) -> None:
    models = Models(sees=True)
    house = House(tmp_path, models)
    view = await house.run(LLM, {"file": await house.add("cat.png", image())})
    assert view["state"]["told"] == "seen"
    (sent,) = models.sent
    assert sent[-1].content == "Look: [image: cat.png]"
    assert [(each.media_type, each.data) for each in sent[-1].images] == [("image/png", image())]
    await house.run(LLM, {"file": await house.add("a.txt", b"words of it")})
    assert (models.sent[-1][-1].content, models.sent[-1][-1].images) == ("Look: words of it", ())
    await house.close()


async def test_a_model_that_cannot_see_is_not_asked(tmp_path: Path) -> None:
    models = Models(sees=False)
    house = House(tmp_path, models)
    view = await house.run(LLM, {"file": await house.add("cat.png", image())})
    assert view["status"] == "failed"
    assert "openai/eyes can't see images" in view["error"]
    assert models.sent == []
    await house.close()


@pytest.mark.parametrize(
    ("template", "rule", "near"),
    [
        ("{state.doc.txt}", "unknown-path", "Did you mean 'text'?"),
        ("{state.doc.media_typ}", "unknown-path", "Did you mean 'media_type'?"),
        ("{state.doc.path}", "unknown-path", "It has: name, media_type, size, text"),
        ("{state.doc.name.first}", "unknown-path", "is of type str"),
    ],
)
def test_wrong_parts_of_a_file_are_problems(template: str, rule: str, near: str) -> None:
    text = TEMPLATE.replace("{state.doc}", template)
    (problem,) = check(text, TOOLS).errors
    assert problem.rule == rule
    assert near in problem.message.replace(
        "'name', 'media_type', 'size', 'text'", "name, media_type, size, text"
    )


async def test_a_sub_workflow_gets_the_reference(tmp_path: Path) -> None:
    house = House(tmp_path)
    parent = HEAD + "  - {id: below, workflow: reads, inputs: {doc: state.doc}, outputs: [parts]}\n"

    async def saved(name: str) -> str | None:
        return TEMPLATE if name == "reads" else None

    checked = check(parent.replace("name: reads", "name: parent"), TOOLS)
    assert checked.workflow, checked.problems
    id = await house.add("a.txt", b"words below")
    view = await house.engine.run(checked.workflow, {"doc": {"file": id}}, workflows=saved)
    assert view["state"]["parts"] == "a.txt, text/plain, 11: words below", view["error"]
    runs = await house.store.find(owner=ME, children=True)
    assert all("words below" not in json.dumps(dict(run.inputs)) for run in runs)
    await house.close()


@pytest.mark.slow
async def test_code_gets_a_dict(tmp_path: Path) -> None:
    sandbox = Sandbox()
    house = House(tmp_path, sandbox=sandbox)
    code = (
        HEAD
        + """\
  - id: count
    code: |
      result = {"told": inputs["doc"]["text"].upper(), "parts": ",".join(sorted(inputs["doc"]))}
    inputs: {doc: state.doc}
    outputs: [told, parts]
"""
    )
    view = await house.run(code, {"file": await house.add("a.csv", b"a,b\n")})
    assert view["status"] == "ok", view["error"]
    assert view["state"]["told"] == "A,B\n"
    assert view["state"]["parts"] == "file,media_type,name,size,text"
    await house.close()
    await sandbox.close()
