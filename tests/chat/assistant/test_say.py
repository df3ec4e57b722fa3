"""Text shown while it comes: cut anywhere, it says the same, and a workflow in it is held back."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.assistant.say import FenceStream, SayStream

WORKFLOW = "schema_version: '1.0'\nflow:\n  name: x\nnodes:\n  - id: a\n    prompt: |\n      Hi\n"


def cut(text: str, places: list[int]) -> list[str]:
    marks = sorted({0, len(text), *(p % (len(text) + 1) for p in places)})
    return [text[a:b] for a, b in pairwise(marks)]


@given(st.text(), st.booleans(), st.booleans(), st.lists(st.integers(0, 10_000), max_size=12))
def test_say_is_the_same_however_the_json_is_cut(
    say: str, plain: bool, late: bool, places: list[int]
) -> None:
    action = {"name": "none", "args": {"say": "not this", "x": ['"say": "nor this"', {"say": "no"}]}}
    value = {"action": action, "say": say} if late else {"say": say, "action": action}
    text = json.dumps(value, ensure_ascii=not plain)
    stream = SayStream()
    said = "".join(stream.feed(piece) for piece in cut(text, places))
    try:
        say.encode()
    except UnicodeEncodeError:
        return  # half of a pair has no text
    assert said == say


def test_say_comes_before_the_object_ends() -> None:
    stream = SayStream()
    assert stream.feed('{"say": "Hel') == "Hel"
    assert stream.feed("lo \\u00e4\\ud83d") == "lo ä"
    assert stream.feed('\\ude00"') == "😀"
    assert stream.feed(', "action": {"name": "none"') == ""


@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_a_fenced_workflow_is_held_back(places: list[int]) -> None:
    fences = FenceStream()
    text = f"Here it is:\n```yaml\n{WORKFLOW}```\nShall I run it?"
    shown = "".join(fences.feed(piece) for piece in cut(text, places)) + fences.close()
    assert shown == "Here it is:\nShall I run it?"
    assert fences.documents == [WORKFLOW]


@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_a_workflow_without_a_fence_is_held_back_to_the_end(places: list[int]) -> None:
    fences = FenceStream()
    shown = "".join(fences.feed(piece) for piece in cut(f"Done.\n{WORKFLOW}", places)) + fences.close()
    assert shown == "Done.\n"
    assert fences.documents == [WORKFLOW]


@pytest.mark.parametrize(
    "text",
    [
        "Use this:\n```python\nprint(1)\n```\nand that.",
        "flow: that is the word",
        "A `nodes:` key.\n``` open for ever",
        "flow\nflow:\n\n",
        "No fence at all, but `code`.",
    ],
)
@given(places=st.lists(st.integers(0, 10_000), max_size=12))
def test_everything_else_is_shown_as_it_is(text: str, places: list[int]) -> None:
    fences = FenceStream()
    shown = "".join(fences.feed(piece) for piece in cut(text, places)) + fences.close()
    assert shown == text
    assert fences.documents == []


def test_plain_text_is_not_held_up() -> None:
    fences = FenceStream()
    assert fences.feed("Hello, I ") == "Hello, I "
    assert fences.feed("write") == "write"


def test_a_workflow_whose_fence_never_closes_still_counts() -> None:
    fences = FenceStream()
    assert fences.feed(f"```yaml\n{WORKFLOW}") + fences.close() == ""
    assert fences.documents == [WORKFLOW]
