"""Which version made a line or a key: told from the texts alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.blame import Blame, blame, lines_of, same_line

FIRST = """\
schema_version: "1.0"
flow: {name: greet, description: Greets}
state:
  fields:
    who: {type: str, required: true}
    text: str
nodes:
  - id: draft
    prompt: |
      Say hello to {state.who}.
      Be short.
    outputs: [text]
"""
SECOND = FIRST.replace("Be short.", "Be formal.")
THIRD = SECOND + "  - {id: send, tool: text_template, args: {template: hi}}\n"


def of(*texts: str) -> Blame:
    return blame(list(enumerate(texts, start=1)))


def line(text: str, part: str) -> int:
    return next(n for n, found in enumerate(lines_of(text), start=1) if part in found)


def made(found: Blame, text: str, part: str) -> int:
    return found.lines[line(text, part) - 1]


def test_each_line_has_the_version_that_made_it() -> None:
    found = of(FIRST, SECOND, THIRD)
    assert len(found.lines) == len(lines_of(THIRD))
    assert made(found, THIRD, "Say hello") == 1
    assert made(found, THIRD, "Be formal") == 2
    assert made(found, THIRD, "id: send") == 3
    assert set(found.lines) == {1, 2, 3}


def test_a_key_has_the_version_that_changed_its_value_last() -> None:
    found = of(FIRST, SECOND, THIRD)
    prompt, outputs = found.key("nodes[draft].prompt"), found.key("nodes.draft.outputs")
    assert prompt is not None
    assert (prompt.since, prompt.changed) == (1, 2)
    assert prompt.line == line(THIRD, "prompt:")
    assert outputs is not None
    assert (outputs.since, outputs.changed) == (1, 1)
    assert {id: (key.since, key.changed) for id, key in found.nodes.items()} == {
        "draft": (1, 2),
        "send": (3, 3),
    }
    assert found.key("nodes.nobody") is None
    assert found.line_of("flow.name") == 2


def test_the_key_of_a_line_is_the_innermost() -> None:
    found = of(FIRST)
    names = {part: found.key_at(line(FIRST, part)) for part in ("Be short", "who:", "id: draft")}
    assert [key.path if key else None for key in names.values()] == [
        "nodes[draft].prompt",
        "state.fields.who",
        "nodes[draft].id",
    ]


def test_a_comment_has_its_own_origin_and_changes_no_key() -> None:
    found = of(FIRST, FIRST.replace("    text: str", "    text: str  # what is sent"))
    assert made(found, FIRST, "text: str") == 2
    key = found.key("state.fields.text")
    assert key is not None
    assert key.changed == 1


def test_what_is_moved_or_indented_anew_keeps_its_origin() -> None:
    deeper = FIRST.replace("  - id: draft", "    - id: draft").replace(
        "    outputs: [text]", "      outputs: [text]"
    )
    deeper = deeper.replace("    prompt: |", "      prompt: |").replace("      Say", "        Say")
    deeper = deeper.replace("      Be short", "        Be short")
    assert set(of(FIRST, deeper).lines) == {1}
    two = THIRD.replace("  - id: draft", "  - id: first")
    send = "  - {id: send, tool: text_template, args: {template: hi}}\n"
    moved = two.replace(send, "").replace("nodes:\n", "nodes:\n" + send)
    found = of(FIRST, two, moved)
    assert made(found, moved, "id: send") == 2
    assert 3 not in found.lines
    assert found.nodes["send"].changed == 2


def test_a_node_that_gets_another_name_keeps_its_story() -> None:
    found = of(FIRST, SECOND, SECOND.replace("id: draft", "id: write"))
    prompt = found.key("nodes.write.prompt")
    assert prompt is not None
    assert (prompt.since, prompt.changed) == (1, 2)
    assert (found.nodes["write"].since, found.nodes["write"].changed) == (1, 3)


def test_an_undo_brings_back_the_origins_too() -> None:
    found = of(FIRST, SECOND, FIRST)
    assert set(found.lines) == {1}
    assert {key.changed for key in found.keys} == {1}


def test_a_version_that_can_not_be_read_breaks_no_story() -> None:
    found = of(FIRST, "nodes: [", SECOND)
    key = found.key("state.fields.who")
    assert key is not None
    assert (key.since, key.changed) == (1, 1)


def test_windows_lines_and_strange_breaks() -> None:
    text = "a: 1\r\nb: 2\r\n"
    found = of(text, text.replace("b: 2", "b: 3\x0b"))
    assert found.lines == (1, 2)
    assert lines_of("") == []
    assert lines_of("a\u2028b\n") == ["a\u2028b"]


def test_where_a_line_of_another_text_stands() -> None:
    assert same_line(SECOND, THIRD, line(SECOND, "Be formal")) == line(THIRD, "Be formal")
    assert same_line(SECOND, FIRST, line(SECOND, "Be formal")) is None


LINES = st.lists(
    st.sampled_from(["a: 1", "b: 2", "c: 3", "- x", "", "  d: 4", "# note", "nodes:"]), max_size=8
)


@given(st.lists(LINES, min_size=1, max_size=5))
def test_every_line_stood_in_the_version_that_is_said_to_have_made_it(histories: list[list[str]]) -> None:
    texts = ["\n".join(lines) for lines in histories]
    found = of(*texts)
    newest = lines_of(texts[-1])
    assert len(found.lines) == len(newest)
    for text, number in zip(newest, found.lines, strict=True):
        assert text.strip() in [each.strip() for each in lines_of(texts[number - 1])]
        assert all(1 <= key.since <= key.changed <= len(texts) for key in found.keys)


@pytest.mark.parametrize("text", ["", "\n", "a: 1", ": :", "- [", "{a: 1}"])
def test_any_text_has_a_blame(text: str) -> None:
    assert of(text).lines == (1,) * len(lines_of(text))
