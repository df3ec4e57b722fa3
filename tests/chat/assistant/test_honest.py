"""Words that claim something: shown where the record bears them out, replaced where not, and no other touched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.assistant.honest import MOST_HELD, Honest, Record, claims_in
from chat.events import DraftChanged, RunEnded, Step, Text

PASSED = [{"id": "t", "status": "passed"}]
FAILED = [{"id": "t", "status": "failed"}]


def proof(tests: list[Any]) -> dict[str, Any]:
    return {"checked": {"ok": True}, "tests": tests}


def saved(tests: list[Any] | None = None) -> DraftChanged:
    return DraftChanged("w", 2, "x", proof=None if tests is None else proof(tests))


CLAIMS = [
    ("Done!", "done"),
    ("Done.", "done"),
    ("I've added a step that asks a person.", "done"),
    ("I’ve **updated** the prompt.", "done"),
    ("All done, have fun.", "done"),
    ("The workflow is now saved.", "done"),
    ("The change has been made; it has been saved.", "done"),
    ("I fixed the condition.", "fixed"),
    ("The problem is fixed.", "fixed"),
    ("I have verified the result.", "checked"),
    ("Everything is verified.", "checked"),
    ("I tested it with your text.", "tested"),
    ("It works now.", "tested"),
    ("All tests pass.", "tested"),
    ("Erledigt.", "done"),
    ("Ich habe den Schritt hinzugefügt.", "done"),
    ("Der Fehler ist behoben.", "fixed"),
    ("Ich habe alles geprüft.", "checked"),
    ("Jetzt funktioniert es.", "tested"),
    ("Es funktioniert jetzt.", "tested"),
    ("C'est terminé !", "done"),
    ("J'ai corrigé l'erreur.", "fixed"),
    ("J'ai vérifié le résultat.", "checked"),
    ("Tout fonctionne.", "tested"),
    ("¡Listo!", "done"),
    ("He guardado los cambios.", "done"),
    ("Ya está arreglado.", "fixed"),
    ("Lo he comprobado: he verificado todo.", "checked"),
    ("Fatto!", "done"),
    ("Ho corretto il prompt.", "fixed"),
    ("Pronto! Adicionei o passo.", "done"),
    ("Klaar.", "done"),
    ("Gotowe!", "done"),
    ("Готово!", "done"),
    ("Я исправил ошибку.", "fixed"),
    ("修正しました。", "fixed"),
    ("保存しました。", "done"),
    ("已经保存了工作流。", "done"),
    ("问题已修复。", "fixed"),
]
NO_CLAIMS = [
    "The fields are added to the state before the first step runs.",
    "I have not saved anything.",
    "Nothing was changed.",
    "Is it fixed?",
    "Shall I mark it as done?",
    "Once it is saved, I will run it.",
    "It will be tested when you run it.",
    "I can add a step that checks the result.",
    "The prompt works like this: the model reads the text.",
    "A node with effect once is never repeated.",
    "In version 2 I changed the prompt.",
    "If the ticket is resolved, the person is told.",
    "Was soll geändert werden?",
    "Ich habe nichts gespeichert.",
    "Sobald es gespeichert ist, kann es laufen.",
    "Je n'ai rien enregistré.",
    "No he guardado nada.",
    "まだ保存していません。",
    "还没有保存。",
    "The tone is set to formal by default.",
    "Choose a set of colours.",
    "The step `check_done` looks whether the work is complete for the customer.",
]


@pytest.mark.parametrize(("sentence", "kind"), CLAIMS)
def test_what_is_not_so_is_replaced(sentence: str, kind: str) -> None:
    found = next(claims_in(sentence.split("! ")[0]), None)
    assert found is not None, sentence
    honest = Honest()
    shown = honest.feed(sentence) + honest.close()
    assert sentence not in shown
    assert shown.strip()


@pytest.mark.parametrize(("sentence", "kind"), CLAIMS)
def test_what_is_so_stays_word_for_word(sentence: str, kind: str) -> None:
    honest = Honest()
    shown = honest.feed(sentence) + honest.note(saved(PASSED)) + honest.close()
    assert shown == sentence


@pytest.mark.parametrize("sentence", NO_CLAIMS)
def test_what_claims_nothing_is_left_alone(sentence: str) -> None:
    assert next(claims_in(sentence), None) is None
    honest = Honest()
    assert honest.feed(f"{sentence} ") + honest.close() == f"{sentence} "


def test_what_is_said_instead_is_said_once_and_in_the_language() -> None:
    honest = Honest()
    text = "Gut. Ich habe den Schritt hinzugefügt. Ich habe auch den Prompt geändert. Das war es."
    said = "In diesem Zug wurde nichts gespeichert."
    assert honest.feed(text) + honest.close() == f"Gut. {said} Das war es."
    honest = Honest()
    assert (
        "".join(map(honest.feed, text)) + honest.close() == f"Gut. Ich habe den Schritt … {said} Das war es."
    )


def test_a_claim_before_its_action_waits_for_it() -> None:
    honest = Honest()
    assert honest.feed("Sure. I've ") == "Sure. I've "
    assert honest.feed("added a step. Now it asks ") == ""
    assert honest.note(Step("s", "Checked the draft", "ok")) == ""
    assert honest.note(saved()) == "added a step. Now it asks "
    assert honest.feed("a person.") + honest.close() == "a person."


def test_each_word_needs_its_own_record() -> None:
    works = "It works now."
    honest = Honest()
    assert (
        honest.feed(works) + honest.note(saved()) + honest.close()
        == "It … It was not run or tested in this turn."
    )
    honest = Honest()
    assert honest.feed(works) + honest.note(RunEnded("r", "ok")) + honest.close() == works
    honest = Honest()
    failed = honest.feed(works) + honest.note(RunEnded("r", "failed")) + honest.close()
    assert failed == "It … The run did not end well."
    honest = Honest()
    told = honest.feed("I fixed it.") + honest.note(saved(FAILED)) + honest.close()
    assert told == "I … It is saved, but a test of it fails."
    known = Record()
    known.proof(proof(PASSED))
    honest = Honest(known)
    assert (
        honest.feed("All tests pass. It is verified.") + honest.close() == "All tests pass. It is verified."
    )


@pytest.mark.parametrize(
    "sentence",
    [
        "I checked it, and everything is done.",
        "C'est fait, j'ai corrigé et vérifié.",
        "I fixed and verified it.",
    ],
)
def test_a_sentence_that_claims_two_things_needs_both(sentence: str) -> None:
    honest = Honest(Record(checked=True))
    assert sentence not in honest.feed(f"{sentence} ") + honest.close()
    honest = Honest(Record(checked=True, saved=True, acted=True))
    assert honest.feed(f"{sentence} ") + honest.close() == f"{sentence} "


def test_a_later_draft_whose_test_fails_takes_back_what_an_earlier_one_bore_out() -> None:
    honest = Honest()
    assert honest.note(saved(PASSED)) == ""
    assert honest.note(saved(FAILED)) == ""
    assert (
        honest.feed("Everything is tested.") + honest.close()
        == "Everything is … It is saved, but a test of it fails."
    )


def test_code_is_not_looked_at() -> None:
    code = "Here:\n```yaml\n# Done. I've added it.\nprompt: It works now.\n```\nThat is all."
    honest = Honest()
    assert honest.feed(code) + honest.close() == code


def test_much_that_waits_is_shown_and_put_right_at_the_end() -> None:
    honest = Honest()
    long = "Done. " + "This is how it goes on and on. " * 40
    assert len(long) > MOST_HELD
    assert honest.feed(long) + honest.close() == f"{long}\n\nNothing was saved in this turn."


PIECES = st.lists(
    st.sampled_from(
        [
            *(sentence for sentence, _ in CLAIMS),
            *NO_CLAIMS,
            " ",
            "\n",
            "```",
            "\0",
            "fix",
            "ed",
            "Do",
            "ne",
            "é",
            "…",
        ]
    ),
    max_size=12,
)


def chunks(text: str, sizes: list[int]) -> list[str]:
    found, at = [], 0
    while at < len(text):
        size = sizes[len(found) % len(sizes)]
        found.append(text[at : at + size])
        at += size
    return found


@given(PIECES, st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_what_is_borne_out_passes_whatever_the_pieces(pieces: list[str], sizes: list[int]) -> None:
    text = " ".join(pieces)
    honest = Honest()
    assert honest.note(saved(PASSED)) == ""
    assert "".join(map(honest.feed, chunks(text, sizes))) + honest.close() == text


@given(PIECES, st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_nothing_that_is_not_so_comes_through_whatever_the_pieces(
    pieces: list[str], sizes: list[int]
) -> None:
    text = "".join(f"{piece}\n" for piece in pieces if "```" not in piece)
    honest = Honest()
    shown = "".join(map(honest.feed, chunks(text, sizes))) + honest.close()
    for sentence, _ in CLAIMS:
        assert f"\n{sentence}\n" not in f"\n{shown}"
    for sentence in NO_CLAIMS:
        assert f"\n{text}".count(f"\n{sentence}\n") == f"\n{shown}".count(f"\n{sentence}\n")


@given(st.text(alphabet="hjkquvxyz .\n", max_size=200), st.integers(1, 7))
def test_other_words_are_never_held(text: str, size: int) -> None:
    honest = Honest()
    for piece in chunks(text, [size]):
        assert len(piece) - len(honest.feed(piece)) in (0, *range(-20, 21))
    assert Honest().feed(f"{text} ") == f"{text} "


def test_what_code_says_is_not_looked_at() -> None:
    assert Honest().note(Text("Done.")) == ""
