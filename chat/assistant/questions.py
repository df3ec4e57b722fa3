"""What the assistant may ask: nothing that was answered, at most two questions at a time, and none at all of a person
who wants it just done. Kept by code, since a model's good will does not last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from chat.assistant.intent import wants_no_questions
from chat.assistant.turn import Turn
from chat.events import Question
from chat.turns import PastMessage

MOST_OPEN = 2
ASKED = "asked"
"""Kind of `about` of what the assistant's model asks; its answer goes to the model."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A question of the assistant's and what the person said to it, in the person's words."""

    key: str
    question: str
    answer: str


def answered(history: Sequence[PastMessage]) -> list[Answered]:
    """The questions of the conversation that have an answer, oldest first. Who answers with a question, or wants it
    just done, has not answered.
    """
    found: list[Answered] = []
    for before, after in pairwise(history):
        if before.role != "assistant" or after.role != "user" or not _answers(after.text):
            continue
        for part in before.parts:
            about = part.get("about") or {}
            if part.get("kind") == Question.kind and about.get("kind", ASKED) == ASKED:
                found.append(Answered(str(about.get("key", "")), str(part["text"]), after.text.strip()))
    return found


def _answers(text: str) -> bool:
    said = text.strip()
    return bool(said) and not said.endswith(("?", "？")) and not wants_no_questions(said)


def objection_to(turn: Turn, asked: Mapping[str, Any]) -> str | None:
    """Why this question is not put, in a sentence for the model; None where it may be."""
    said = PastMessage("", "user", turn.text)
    for known in reversed(answered([*turn.context.history, said])):
        if _same(asked, known):
            return (
                f"“{asked['question']}” is not asked: it was answered already, to “{known.question}”: "
                f"“{known.answer[:600]}”. Go on with that answer."
            )
    return None


def _same(asked: Mapping[str, Any], known: Answered) -> bool:
    key = _plain(str(asked.get("key", "")))
    return _plain(str(asked["question"])) == _plain(known.question) or bool(key and key == _plain(known.key))


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold().replace("_", " ")))


def question_of(asked: Mapping[str, Any]) -> Question:
    options = [{"label": str(option), "value": str(option)} for option in asked.get("options") or ()]
    return Question(str(asked["question"]), options, {"kind": ASKED, "key": str(asked.get("key", ""))})
