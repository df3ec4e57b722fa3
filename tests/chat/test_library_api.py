"""Saved workflows over real HTTP: why they are so, other names, copies, what is archived and what goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from engine.errors import NotFound
from tests.chat.house import HELD, QUICK, TestHouse, open_gate
from tests.chat.serving import served

PARENT = """\
schema_version: "1.0"
flow: {name: outer}
state:
  fields:
    who: {type: str, required: true}
    greeting: str
nodes:
  - {id: sub, workflow: quick, inputs: {who: "{state.who}"}, outputs: [greeting]}
"""


@pytest.fixture
def house(tmp_path: Path) -> TestHouse:
    return TestHouse(tmp_path)


@pytest.fixture
async def client(house: TestHouse) -> AsyncIterator[httpx.AsyncClient]:
    async with served(house) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        yield client


async def save(client: httpx.AsyncClient, text: str) -> None:
    answer = await client.post("/api/workflows", json={"yaml": text})
    assert answer.status_code == 201, answer.text


async def test_why_a_line_is_there(house: TestHouse, client: httpx.AsyncClient) -> None:
    talk = (await client.post("/api/conversations")).json()["id"]
    await house.answer("local", talk, "draft first")
    await house.answer("local", talk, "draft second\nsay done")
    await save(client, QUICK.replace("Hello {", "Good day {") + "# second\n")
    lines = len(QUICK.splitlines())
    asked = (await client.get("/api/workflows/quick/why", params={"line": lines + 1})).json()
    said = (await house.service.get("local", talk)).messages[2]
    assert (asked["version"], asked["author"], asked["summary"]) == (2, "assistant", "second")
    assert (asked["request"], asked["request_id"], asked["conversation_id"]) == (said.text, said.id, talk)
    assert (asked["line"], asked["text"], asked["path"]) == (lines + 1, "# second", None)
    greet = (await client.get("/api/workflows/quick/why", params={"path": "nodes.greet.args"})).json()
    assert (greet["version"], greet["author"], greet["path"]) == (3, "api", "nodes[greet].args")
    assert (greet["since"], greet["changed"], greet["line"]) == (1, 3, lines)
    for question, code in (
        ({"line": 99}, 422),
        ({"line": 0}, 422),
        ({}, 422),
        ({"path": "nodes.nobody"}, 422),
    ):
        answer = await client.get("/api/workflows/quick/why", params=question)
        assert answer.status_code == code, (question, answer.text)
    assert (await client.get("/api/workflows/nobody/why", params={"line": 1})).status_code == 404


async def test_what_is_saved_at_once_under_one_name_is_one_workflow(client: httpx.AsyncClient) -> None:
    yaml = 'schema_version: "1.0"\nflow: {name: both, description: NUMBER}\nstate: {fields: {now: any}}\nnodes:\n'
    yaml += "  - {id: clock, tool: current_time, outputs: [now]}\n"
    texts = [yaml.replace("NUMBER", f"Number {n}") for n in range(4)]
    saved = await asyncio.gather(*(client.post("/api/workflows", json={"yaml": text}) for text in texts))
    assert {answer.json()["name"] for answer in saved} == {"both"}
    assert sorted(answer.json()["version"] for answer in saved) == [1, 2, 3, 4]


async def test_who_made_every_line_and_what_changed(house: TestHouse, client: httpx.AsyncClient) -> None:
    await save(client, QUICK)
    await save(client, QUICK.replace("Hello {", "Good day {"))
    found = (await client.get("/api/workflows/quick/blame")).json()
    assert found["lines"] == [1] * (len(QUICK.splitlines()) - 1) + [2]
    assert found["nodes"] == {"greet": {"line": len(QUICK.splitlines()), "since": 1, "version": 2}}
    assert found["paths"]["state.fields.who"] == {"since": 1, "version": 1}
    assert {n: v["author"] for n, v in found["versions"].items()} == {"1": "api", "2": "api"}
    newest, oldest = (await client.get("/api/workflows/quick/versions")).json()
    assert newest["changes"] == [
        "'template' of 'greet' is 'Good day {state.who}' now (it was 'Hello {state.who}')."
    ]
    assert (oldest["changes"], oldest["yaml"]) == ([], QUICK)
    back = await client.get("/api/workflows/quick/changes", params={"before": 2, "after": 1})
    assert back.json() == [
        "'template' of 'greet' is 'Hello {state.who}' now (it was 'Good day {state.who}')."
    ]


async def test_a_new_name_for_all_that_goes_by_it(house: TestHouse, client: httpx.AsyncClient) -> None:
    await save(client, QUICK)
    await save(client, PARENT)
    run = await house.service.start_detached_run("local", QUICK, {"who": "Ada"})
    await house.engine.wait(run)
    plan = {"cron": "0 9 * * 1", "workflow": "quick", "inputs": {"who": "Ada"}, "id": "monday"}
    assert (await client.post("/api/schedules", json=plan)).status_code == 201
    usage = (await client.get("/api/workflows/quick/usage")).json()
    assert (usage["parents"], usage["schedules"], usage["versions"]) == (["outer"], ["monday"], 1)
    refused = await client.patch("/api/workflows/quick", json={"name": "a/b"})
    assert refused.status_code == 409
    assert '"outer"' in refused.json()["error"]["message"]
    done = await client.patch("/api/workflows/quick", json={"name": "a/b", "references": True})
    assert done.json() == {"name": "a/b"}
    assert (await client.get("/api/schedules")).json()[0]["workflow"] == "a/b"
    assert [r["run_id"] for r in (await client.get("/api/runs", params={"workflow": "a/b"})).json()] == [run]
    assert (await client.get("/api/workflows/a/b")).json()["version"] == 2
    outer = await house.service.start_detached_run(
        "local", (await house.workflows.get("local", "outer")).yaml, {"who": "Bo"}
    )
    assert (await house.engine.wait(outer))["outputs"] == {"greeting": "Hello Bo"}


async def test_copies_and_what_is_archived(client: httpx.AsyncClient) -> None:
    await save(client, QUICK)
    assert (await client.post("/api/workflows/quick/copy")).json() == {"name": "quick-copy", "version": 1}
    assert (await client.post("/api/workflows/quick/copy", json={"name": "x"})).status_code == 201
    assert (await client.patch("/api/workflows/x", json={"archived": True})).json() == {"name": "x"}

    async def listed(archived: bool) -> set[str]:
        found = await client.get("/api/workflows", params={"archived": archived})
        return {each["name"] for each in found.json()}

    assert (await listed(False), await listed(True)) == ({"quick", "quick-copy"}, {"x"})
    assert (await client.get("/api/workflows/x")).status_code == 200


async def test_what_is_in_use_is_deleted_by_force_alone(house: TestHouse, client: httpx.AsyncClient) -> None:
    await save(client, QUICK)
    await save(client, PARENT)
    plan = {"cron": "0 9 * * 1", "workflow": "quick", "inputs": {"who": "Ada"}, "id": "monday"}
    await client.post("/api/schedules", json=plan)
    refused = await client.delete("/api/workflows/quick")
    assert refused.status_code == 409
    assert (
        refused.json()["error"]["message"]
        == '"quick" is started by the schedule monday, the workflow "outer".'
    )
    gone = (await client.delete("/api/workflows/quick", params={"force": True})).json()
    assert (gone["schedules"], gone["parents"], gone["versions"]) == (["monday"], ["outer"], 1)
    assert (await client.get("/api/schedules")).json() == []
    assert (await client.get("/api/workflows/quick")).status_code == 404
    assert (await client.delete("/api/workflows/outer")).status_code == 200


async def test_a_run_is_deleted_once_it_has_ended(
    house: TestHouse, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    talk = (await client.post("/api/conversations")).json()["id"]
    await house.service.save_yaml("local", talk, HELD, "first")
    run = await house.service.start_run("local", talk, {"gate": str(gate)})
    assert (await client.delete(f"/api/runs/{run}")).status_code == 409
    open_gate(gate, "a secret word")
    await house.engine.wait(run)
    card = (await house.service.get("local", talk)).messages[-1]
    await house.events("local", talk, card.id)
    assert "a secret word" in str((await client.get(f"/api/conversations/{talk}")).json())
    assert (await client.delete(f"/api/runs/{run}")).status_code == 204
    assert (await client.get(f"/api/runs/{run}")).status_code == 404
    shown = (await client.get(f"/api/conversations/{talk}")).json()["messages"][-1]
    assert shown["parts"] == [{"kind": "text", "text": f"*Run {run} was deleted.*"}]
    assert (await client.delete(f"/api/runs/{run}")).status_code == 404


FOREIGN = {
    "usage": lambda library: library.usage("bob", "quick"),
    "rename": lambda library: library.rename("bob", "quick", "mine"),
    "duplicate": lambda library: library.duplicate("bob", "quick"),
    "archive": lambda library: library.archive("bob", "quick"),
    "delete": lambda library: library.delete("bob", "quick", force=True),
    "why": lambda library: library.why("bob", "quick", 1),
    "blame_view": lambda library: library.blame_view("bob", "quick"),
    "history": lambda library: library.history("bob", "quick"),
    "changes": lambda library: library.changes("bob", "quick", 1, 1),
}
COVERED_BY_THE_SERVICE = {"current_workflow", "save_yaml", "save_workflow", "use_workflow", "restore"}
OWN_THINGS_ONLY = {"check", "checked", "list"}


@pytest.fixture
async def quick(house: TestHouse) -> AsyncIterator[TestHouse]:
    await house.workflows.save("local", None, QUICK, "first")
    yield house
    await house.close()


async def test_every_method_of_the_library_is_called_as_a_foreign_owner(quick: TestHouse) -> None:
    library = quick.service.library
    public = {name for name in dir(library) if not name.startswith("_") and callable(getattr(library, name))}
    assert public == FOREIGN.keys() | COVERED_BY_THE_SERVICE | OWN_THINGS_ONLY
    for call in FOREIGN.values():
        with pytest.raises(NotFound):
            await call(library)
    assert await library.list("bob", None) == []
    assert (await quick.workflows.get("local", "quick")).version == 1
