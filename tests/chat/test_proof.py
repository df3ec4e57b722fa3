"""Proof of a version: what code found out about it, in bounded time, kept with it and never more than is true."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chat.proof import broken, broken_words, proof_line
from engine.errors import InputError
from tests.chat.house import TestHouse, eventually

OWNER = "local"
TRIAGE = """\
schema_version: "1.0"
flow: {name: triage, description: Sort tickets}
state:
  fields:
    ticket: {type: str, required: true}
    kind: {type: str, enum: [question, refund]}
    page: any
    answer: str
nodes:
  - {id: classify, prompt: "What is it? {state.ticket}", outputs: [kind]}
  - {id: look, tool: http_get, args: {url: "https://example.com"}, outputs: [page]}
  - {id: reply, prompt: "Answer {state.ticket}", outputs: [answer]}
edges:
  - {from: START, to: classify}
  - from: classify
    routes:
      - {condition: "state.kind == 'refund'", to: look}
      - {condition: default, to: reply}
  - {from: look, to: reply}
  - {from: reply, to: END}
"""
CASE = {"given": {"classify": {"kind": "refund"}}, "must_run": ["look"]}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[TestHouse]:
    made = await TestHouse(tmp_path).start()
    yield made
    await made.close()


async def test_a_proof_says_what_was_found_and_what_was_not(house: TestHouse) -> None:
    saved = await house.service.save_workflow(OWNER, TRIAGE, "first")
    proof = saved["proof"]
    assert proof["line"] == "Checked: no problems · Dry run: 2 of 2 ways reached, 1 step not verified"
    assert proof["checked"] == {"ok": True, "errors": 0, "warnings": 0, "problems": []}
    dry = proof["dry_run"]
    assert (dry["status"], dry["branches"], dry["reached"], dry["not_reached"]) == ("ok", 2, 2, [])
    assert {each["node"] for each in dry["simulated"]} == {"classify", "reply"}
    assert dry["unverified"] == [{"node": "look", "why": "http_get reads outside, and nothing is read here"}]
    assert (await house.workflows.get(OWNER, "triage")).proof == proof
    assert await house.engine.runs() == []


async def test_a_way_that_nothing_leads_to_is_named(house: TestHouse) -> None:
    text = TRIAGE.replace("state.kind == 'refund'", "len(state.kind) > 100")
    proof = (await house.service.save_workflow(OWNER, text, "first"))["proof"]
    (missed,) = proof["dry_run"]["not_reached"]
    assert (missed["node"], missed["to"]) == ("classify", ["look"])
    assert missed["why"]
    assert "1 of 2 ways reached" in proof["line"]


async def test_what_the_editor_saves_and_restores_is_proved_in_the_background(house: TestHouse) -> None:
    talk = (await house.service.create(OWNER)).id
    await house.service.save_yaml(OWNER, talk, TRIAGE, "by hand")
    await house.service.save_yaml(OWNER, talk, TRIAGE + "# more\n", "by hand")
    await house.service.restore(OWNER, talk, 1)

    async def proved() -> bool:
        versions = await house.workflows.versions(OWNER, "triage")
        return len(versions) == 3 and all(version.proof for version in versions)

    await eventually(proved)


async def test_tests_go_with_every_version(house: TestHouse) -> None:
    await house.service.save_workflow(OWNER, TRIAGE, "first")
    proofs = house.service.proofs
    added = await proofs.add_test(OWNER, "triage", "Refunds are looked at", "look at refunds", CASE)
    assert added["result"]["status"] == "passed"
    before = (await house.workflows.get(OWNER, "triage")).proof
    changed = TRIAGE.replace("'refund'", "'question'")
    after = (await house.service.save_workflow(OWNER, changed, "swapped"))["proof"]
    assert after["line"].endswith("Tests: 0 of 1 pass, 1 fails")
    (test,) = broken(before, after)
    assert "“look at refunds” – 'look' did not run" in broken_words([test])
    assert broken(after, after) == []
    gone = TRIAGE.replace("look", "peek")
    lost = (await house.service.save_workflow(OWNER, gone, "renamed"))["proof"]
    assert lost["tests"][0]["status"] == "failed"
    assert "There is no step 'look' in triage." in lost["tests"][0]["why"]
    with pytest.raises(InputError):
        await proofs.add_test(OWNER, "triage", "t", "q", CASE)


async def test_what_does_not_end_in_time_is_said(house: TestHouse, tmp_path: Path) -> None:
    text = TRIAGE.replace(
        'tool: http_get, args: {url: "https://example.com"}', f"tool: hold, args: {{gate: {tmp_path}/never}}"
    )
    proof = (await house.service.save_workflow(OWNER, text, "first"))["proof"]
    assert "hold takes longer than 1 s" in [each["why"] for each in proof["dry_run"]["unverified"]]
    added = await house.service.proofs.add_test(OWNER, "triage", "t", "q", CASE)
    found = await house.service.proofs.prove_text(OWNER, "triage", text, seconds=0.0)
    assert found["dry_run"]["status"] in ("partial", "ok")
    (test,) = [each for each in found["tests"] if each["id"] == added["id"]]
    assert (test["status"], test["why"]) == ("unknown", "There was no time left to try it.")


async def test_a_document_with_errors_has_no_dry_run(house: TestHouse) -> None:
    await house.service.save_workflow(OWNER, TRIAGE, "first")
    await house.service.proofs.add_test(OWNER, "triage", "t", "q", CASE)
    proof = await house.service.proofs.prove_text(OWNER, "triage", TRIAGE.replace("nodes:", "knots:"))
    assert proof["dry_run"] is None
    assert proof["checked"]["errors"] > 0
    assert proof["tests"][0]["status"] == "unknown"
    assert proof["line"].startswith("Checked: ")
    assert "error" in proof["line"]
    assert "Dry run" not in proof["line"]


def big(steps: int) -> str:
    """A workflow of about four lines a step, with a branch at each."""
    fields = "\n".join(f"    f{n}: {{type: str, enum: [a, b]}}" for n in range(steps))
    nodes = "\n".join(
        f"  - id: n{n}\n    prompt: 'Say {{state.start}}'\n    outputs: [f{n}]" for n in range(steps)
    )
    edges = ["  - {from: START, to: n0}"]
    edges += [
        f"  - from: n{n}\n    routes:\n      - {{condition: \"state.f{n} == 'b'\", to: n{n + 2}}}\n"
        f"      - {{condition: default, to: n{n + 1}}}"
        for n in range(steps - 2)
    ]
    edges += [f"  - {{from: n{steps - 2}, to: n{steps - 1}}}", f"  - {{from: n{steps - 1}, to: END}}"]
    head = 'schema_version: "1.0"\nflow: {name: big}\nstate:\n  fields:\n    start: {type: str, required: true}\n'
    return f"{head}{fields}\nnodes:\n{nodes}\nedges:\n" + "\n".join(edges) + "\n"


async def test_proving_is_bounded_and_leaves_the_loop_to_others(house: TestHouse) -> None:
    """The guard of the tests fails this when a step keeps the loop for long."""
    started = time.monotonic()
    proof = (await house.service.save_workflow(OWNER, big(150), "first"))["proof"]
    print(f"150 branches: {proof['line']}, {proof['seconds']} s, {time.monotonic() - started:.2f} s in all")
    assert proof["dry_run"]["branches"] == 296
    assert proof["dry_run"]["status"] in ("ok", "partial")
    for missed in proof["dry_run"]["not_reached"]:
        assert missed["why"]


LINES: list[tuple[Any, str]] = [
    (None, "Checked: no problems"),
    ({"status": "failed", "branches": 2, "reached": 0}, "Checked: no problems · Dry run: it fails"),
    ({"status": "ok", "branches": 0, "reached": 0}, "Checked: no problems · Dry run: it runs through"),
    (
        {"status": "partial", "branches": 0, "reached": 0},
        "Checked: no problems · Dry run: not finished in time",
    ),
    ({"status": "ok", "branches": 1, "reached": 1}, "Checked: no problems · Dry run: 1 of 1 way reached"),
    (
        {
            "status": "ok",
            "branches": 0,
            "reached": 0,
            "unverified": [{"node": "get", "why": "nothing is read"}],
        },
        "Checked: no problems · Dry run: it runs through, 1 step not verified",
    ),
]


@pytest.mark.parametrize(("dry", "line"), LINES)
def test_the_line_says_no_more_than_is_so(dry: Any, line: str) -> None:
    checked = {"ok": True, "errors": 0, "warnings": 0}
    assert proof_line({"checked": checked, "dry_run": dry, "tests": []}) == line


async def test_closing_gives_up_what_is_being_proved(tmp_path: Path) -> None:
    house = await TestHouse(tmp_path).start()
    talk = (await house.service.create(OWNER)).id
    await house.service.save_yaml(OWNER, talk, TRIAGE, "by hand")
    await house.close()
    assert [task for task in asyncio.all_tasks() if "job" in repr(task.get_coro())] == []
