"""What code reads in a person's words, with no model: commands, requests, steps, numbers and choices."""

from __future__ import annotations

import pytest

from chat.assistant.small.commands import Command, is_exit, pairs, read
from chat.assistant.small.steps import split_steps
from chat.assistant.small.words import read_request


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Run it", "run"),
        ("run it now!", "run"),
        ("please run it", "run"),
        ("Could you run it for me", "run"),
        ("yes, run it", "run"),
        ("ok start the workflow", "run"),
        ("go ahead", "run"),
        ("Run it with the sample", "sample"),
        ("Build it from steps", "steps"),
        ("list my workflows", "list"),
        ("Show all examples", "examples"),
        ("show me the last run", "runs"),
        ("Explain it", "explain"),
        ("what can you do?", "help"),
        ("Use the example make_quiz", "use"),
        ("change the language to French", "change"),
        ("set count to 3", "change"),
    ],
)
def test_commands(text: str, kind: str) -> None:
    command = read(text)
    assert command is not None
    assert command.kind == kind


@pytest.mark.parametrize(
    "text",
    [
        "Summarise a text and translate it to German",
        "run a marathon plan for me",
        "start a discussion about bees",
        "list the names in this text",
        "explain this CSV file to me",
        "yes",
        "3",
        "help me answer an e-mail",
    ],
)
def test_what_is_no_command(text: str) -> None:
    command = read(text)
    assert command is None or (text == "yes" and command.kind == "run")


def test_run_takes_names_values_and_texts_along() -> None:
    assert read("run it with language = French, count=3") == Command(
        "run", "", "language = French, count=3", {"language": "French", "count": "3"}
    )
    for words in ("run it: ", "run it with: ", "run it with "):
        assert read(f"{words}The cat sat on the mat.") == Command("run", "", "The cat sat on the mat.")
    named = read("run summarise_and_translate-2 with the text below")
    assert named is not None
    assert named.name == "summarise_and_translate-2"


def test_numbers_choose_among_what_was_offered() -> None:
    assert read("2", offered=["a", "b"]) == Command("use", "b")
    assert read("3", offered=["a", "b"]) is None
    assert read("2") is None


@pytest.mark.parametrize("text", ["cancel", "Stop.", "no", "never mind", "no, thanks"])
def test_ways_out(text: str) -> None:
    assert is_exit(text)
    assert not is_exit(f"{text} is what the letter says")


def test_pairs_must_be_the_whole_text() -> None:
    assert pairs("a = 1 and b = 'x y'") == {"a": "1", "b": "x y"}
    assert pairs("the formula a = 1 holds") == {}


def test_a_request_is_split_into_wish_and_payload() -> None:
    request = read_request("Please make me a workflow that summarises: The mill has a new wheel since May.")
    assert request.wish == "summarises"
    assert request.payload == "The mill has a new wheel since May."
    assert (
        read_request("Translate this:\n\nGood morning, dear neighbours!").payload
        == "Good morning, dear neighbours!"
    )


def test_a_short_part_after_a_colon_is_no_payload() -> None:
    request = read_request("Two steps: sum up, translate")
    assert request.payload == ""
    assert request.wish == "Two steps: sum up, translate"


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("1. Sum up\n2) Translate\n", ["Sum up", "Translate"]),
        ("- Sum up.\n- Translate.", ["Sum up", "Translate"]),
        ("Sum up; translate", ["Sum up", "translate"]),
        ("Sum up the text, then translate it", ["Sum up the text", "translate it"]),
        ("1. sum up 2. translate 3. print", ["sum up", "translate", "print"]),
        ("   \n ", []),
    ],
)
def test_steps_are_read_from_plain_words(text: str, steps: list[str]) -> None:
    assert split_steps(text) == steps
    assert read_request(text).is_steps == ("\n" in text and bool(steps))
