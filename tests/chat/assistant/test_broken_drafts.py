"""Every broken draft of the corpus, written by a model over HTTP: mended by code alone, or right after one round."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chat.events import DraftChanged
from engine.check import Checked, check
from engine.document import read_document
from engine.mend import mend
from engine.text_edits import apply_edits
from tests.chat.assistant.house import OWNER, Talk, call, last_told, of, open_talk
from tests.fakes.openai_server import FakeOpenAI
from tools.registry import ToolRegistry

CORPUS = Path(__file__).resolve().parents[2] / "data" / "drafts"
TOOLS = ToolRegistry()


@dataclass(frozen=True)
class Case:
    """A broken draft and what is expected of it."""

    name: str
    head: Mapping[str, Any]
    draft: str

    @property
    def mended(self) -> bool:
        return bool(self.head["expected"] == "mended")

    @property
    def reply(self) -> tuple[str, dict[str, Any]]:
        """The action with which the scripted model mends what was sent back."""
        reply = self.head["reply"]
        if "write" in reply:
            return "write_workflow", {"yaml": reply["write"], "summary": "Mended", "then": "stop"}
        return "edit_workflow", {"edits": reply["edits"], "summary": "Mended", "then": "stop"}


def cases() -> list[Case]:
    found = []
    for path in sorted(CORPUS.glob("*.draft")):
        head, draft = path.read_bytes().decode().split("\n=====\n", 1)
        found.append(Case(path.stem, json.loads(head), draft))
    return found


CASES = cases()


async def checked(text: str) -> Checked:
    return check(text, TOOLS)


def meaning(text: str) -> Any:
    """What a workflow says, but for its name, which may have got a number."""
    data = read_document(text).data
    return {**data, "flow": {**data["flow"], "name": ""}}


def test_the_corpus_is_large_and_varied() -> None:
    assert len(CASES) >= 120
    assert len({case.draft for case in CASES}) == len(CASES)
    told = Counter(case.head["expected"] for case in CASES)
    rules = {rule for case in CASES for rule in case.head.get("rules", ())}
    print(f"{len(CASES)} broken drafts: {told['mended']} mended by code, {told['sent back']} in one round")
    assert min(told.values()) >= 40
    assert len(rules) >= 15


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_what_code_mends(case: Case) -> None:
    """What is certain is mended and said, and nothing else is touched."""
    found = await mend(case.draft, checked)
    assert found.checked.ok == case.mended, found.checked.errors
    if not case.mended:
        assert sorted({problem.rule for problem in found.checked.errors}) == case.head["rules"]
        return
    assert list(found.said) == case.head["said"]
    if "means" in case.head:
        assert meaning(found.text) == meaning(
            (CORPUS / f"{case.head['means']}.yaml").read_text(encoding="utf-8")
        )
    numbers = [re.match(r"line (\d+): ", said) for said in found.said]
    if numbers and all(numbers):
        named = {int(match[1]) for match in numbers if match}
        old, new = case.draft.splitlines(), found.text.splitlines()
        assert {n for n, pair in enumerate(zip(old, new, strict=True), 1) if pair[0] != pair[1]} == named
    again = await mend(found.text, checked)
    assert (again.text, again.said) == (found.text, ())


@pytest.mark.slow
@pytest.mark.parametrize("way", ["functions", "json"])
async def test_the_assistant_saves_each_after_one_round_at_most(tmp_path: Path, way: str) -> None:
    told: Counter[str] = Counter()
    with FakeOpenAI() as fake:
        async with open_talk(tmp_path, fake, {"function_calling": way == "functions"}) as talk:
            for case in CASES[way == "json" :: 2]:
                told[await turn(talk, way, case)] += 1
    print(f"{way}: mended by code {told['mended']}, one round {told['sent back']}")
    assert sum(told.values()) == len(CASES[way == "json" :: 2])


async def turn(talk: Talk, way: str, case: Case) -> str:
    """Drive one turn with a model that writes the draft, and its mend if it is asked for one."""
    talk.conversation = (await talk.service.create(OWNER)).id
    script = [call(way, "write_workflow", {"yaml": case.draft, "summary": "Made", "then": "stop"})]
    if not case.mended:
        script.append(call(way, *case.reply))
    before = len(talk.fake.requests)
    await talk.answer(*script)
    events = await talk.say("Make me this workflow")
    saved = of(events, DraftChanged)
    assert saved, (case.name, events)
    assert len(talk.fake.requests) - before == (1 if case.mended else 2), case.name
    if not case.mended:
        asked = last_told(talk.fake)
        for rule in case.head["rules"]:
            assert f", {rule}: " in asked, (case.name, asked)
    text = await talk.yaml(saved[-1].workflow)
    assert check(text, TOOLS).ok, case.name
    if "means" in case.head:
        assert meaning(text) == meaning((CORPUS / f"{case.head['means']}.yaml").read_text(encoding="utf-8"))
    return str(case.head["expected"])


async def test_an_edit_mends_nothing_outside_itself() -> None:
    """What is wrong in an edit is mended; what stood there before is not touched, even where that would help."""
    base = (CORPUS / "blog_post.yaml").read_text(encoding="utf-8")
    edited = base.replace("a post about {state.topic}", "a post about {state.topik}")
    found = await mend(edited, checked, base)
    assert (found.text, found.checked.ok) == (base, True)
    renamed = base.replace("    topic: {type", "    topics: {type")
    found = await mend(renamed, checked, base)
    assert found.text == renamed
    assert not found.checked.ok
    assert apply_edits(renamed, [])[0] == renamed
