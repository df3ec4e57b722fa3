"""What a version says was asked for, where the last words alone do not tell it."""

from __future__ import annotations

import pytest

from chat.events import DraftChanged, Question
from chat.turns import PastMessage, TurnContext

DRAFT = (DraftChanged("mails", 1, "Made").to_dict(),)
ASKS = (Question("Which tone?", []).to_dict(),)


def said(role: str, text: str, parts: tuple[object, ...] = ()) -> PastMessage:
    return PastMessage(text, role, text, parts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("history", "request_"),
    [
        ((), "formal"),
        ((said("user", "Write mails"), said("assistant", "Which tone?", ASKS)), "Write mails\nformal"),
        ((said("user", "Write mails"), said("assistant", "Done.")), "formal"),
        ((said("assistant", "Which tone?", ASKS),), "formal"),
        ((said("user", "Write mails"), said("assistant", "Shall I run it?", (*DRAFT, *ASKS))), "formal"),
        (
            (
                said("user", "Hello"),
                said("assistant", "Good day."),
                said("user", "Write mails"),
                said("assistant", "To whom?", ASKS),
                said("user", "to Ann"),
                said("assistant", "Which tone?", ASKS),
            ),
            "Write mails\nto Ann\nformal",
        ),
    ],
)
def test_an_answer_stands_after_what_led_to_the_question(
    history: tuple[PastMessage, ...], request_: str
) -> None:
    assert TurnContext("ann", "talk", "answer", "formal", history).request == request_
