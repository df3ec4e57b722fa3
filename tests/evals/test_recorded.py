"""The scoreboard offline: every task with the answers that are recorded for the very prompts of today.

Prompts, actions, edits, checker and the checks on the rounds hold each other here: whoever changes one of them so that
an answer of ours is no longer asked for, understood or right finds out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pytest

from chat.assistant.edits import read_edits
from engine.document import read_document
from engine.text_edits import apply_edits
from evals.driving import Driven, Watch, drive
from evals.recordings import Recorded, Recording, read_recordings
from evals.running import replay, settings_for
from evals.scores import figures
from evals.tasks import KINDS, Task, load_tasks
from tests.evals.edit_regions import changed_outside, edits_of, region
from tests.fakes.openai_server import FakeOpenAI, Reply

pytestmark = pytest.mark.slow

TASKS = load_tasks()
LEAST_EDITS = 300


@cache
def _known() -> Mapping[str, Mapping[str, str]]:
    return read_recordings()


async def _driven(task: Task) -> tuple[Driven, Recorded]:
    source = Recorded(task, _known().get(task.id, {}))
    with FakeOpenAI(source.answer) as fake:
        driven = await drive(task, settings_for(task, fake.base_url), Watch(source.begin, source.end))
    return driven, source


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
async def test_our_answers_pass_every_check(task: Task) -> None:
    driven, source = await _driven(task)

    assert source.faults == []
    assert [judged.failures for judged in driven.rounds] == [[] for _ in task.rounds]
    assert driven.undone == []
    for number, judged in enumerate(driven.rounds):
        _assert_edits(task, number, judged.record.before, judged.record.after)


def _assert_edits(task: Task, number: int, before: object, after: object) -> None:
    """What the round's edits, applied one after the other, make of the text is what was saved."""
    if before is None or after is None or not any(edits_of(task.rounds[number].answers)):
        return
    text = before.yaml  # type: ignore[attr-defined]
    for edits in edits_of(task.rounds[number].answers):
        text, _ = apply_edits(text, read_edits(edits))
    assert text == after.yaml  # type: ignore[attr-defined]


def test_no_byte_outside_of_the_edits_changes() -> None:
    """Over all edits of the tasks that are applied: each changes only the part that it names, and the document
    can be read before and afterwards. The parts are found by other code than that which edits.
    """
    applied = 0
    for task in TASKS:
        text = task.start
        for round_ in task.rounds:
            for hand in round_.hand:
                assert text is not None
                text = text.replace(hand["old"], hand["new"])
            for answer in round_.answers:
                text = answer.get("write", text)
                text = _written(answer) or text
                if "edit" in answer and text is not None:
                    text, count = _edited(task, text, [dict(each) for each in answer["edit"]])
                    applied += count
    assert applied > LEAST_EDITS


def _written(answer: Mapping[str, object]) -> str | None:
    from chat.assistant.drafting import strip_fences

    return strip_fences(str(answer["raw"])) if "raw" in answer else None


def _edited(task: Task, text: str, edits: list[dict[str, str]]) -> tuple[str, int]:
    """The text after all edits together, and how many could be checked by themselves."""
    whole, wrong = apply_edits(text, read_edits(edits))
    if wrong:
        return text, 0
    alone = 0
    for edit in edits:
        after, problems = apply_edits(text, read_edits([edit]))
        if problems:  # alone it would leave what can't be read: it goes with the next
            continue
        assert not changed_outside(text, after, region(text, edit)), (task.id, edit)
        assert not read_document(after).problems, (task.id, edit)
        alone += 1
    assert not read_document(whole).problems
    return whole, alone


def test_the_tasks_are_many_and_of_every_kind() -> None:
    assert len(TASKS) >= 60
    assert {task.kind for task in TASKS} == set(KINDS)
    assert all(2 <= len(task.rounds) <= 6 for task in TASKS)
    assert all(round_.checks for task in TASKS for round_ in task.rounds)
    assert len({task.language for task in TASKS}) >= 5


def test_nothing_is_recorded_of_tasks_that_are_gone() -> None:
    assert set(_known()) == {task.id for task in TASKS}


async def test_a_prompt_without_a_recording_says_what_to_do() -> None:
    task = TASKS[0]
    with FakeOpenAI(Recorded(task, {}).answer) as fake:
        source = Recorded(task, {})
        fake.script = source.answer
        await drive(task, settings_for(task, fake.base_url), Watch(source.begin, source.end))

    assert "make eval-record" in source.faults[0]
    assert task.id in source.faults[0]


class _Lazy(Recording):
    """A model that does nothing and says that it is done."""

    def find(self, body: Mapping[str, object]) -> Reply:
        done = "Done. I have changed it and tested it."
        return (
            Reply(text=done)
            if self.task.way == "functions"
            else Reply(value={"say": done, "action": {"name": "none", "args": {}}})
        )


@pytest.mark.parametrize("kind", KINDS)
async def test_who_does_nothing_solves_nothing(kind: str) -> None:
    """The checks can fail: a model that only claims solves no task. Nor does the person hear its claims."""
    some = [task for task in TASKS if task.kind == kind][:3]

    tries = [await replay(task, _Lazy(task)) for task in some]

    found = figures(tries)
    assert found["pass_1"] == 0
    assert found["false_done"] == 0
