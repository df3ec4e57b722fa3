"""Edits replace what stands there once and leave every other byte as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chat.assistant.edits import Edit, apply_edits, numbered, read_edits
from engine.document import read_document

TEXT = "flow:\n  name: a   # kept\n\n\tnodes: [x]\n  x: 1\n  y: 1\n"


def test_one_line_is_changed_and_nothing_else() -> None:
    text, problems = apply_edits(TEXT, [Edit("replace", "name: a", "name: b")])
    assert problems == []
    assert text == TEXT.replace("name: a", "name: b")


def test_all_places_are_looked_up_in_the_text_as_it_was() -> None:
    text, problems = apply_edits(
        "one two three", [Edit("replace", "three", "one"), Edit("replace", "one", "three")]
    )
    assert problems == []
    assert text == "three two one"


def test_what_stands_there_twice_is_told_with_its_lines_and_nothing_is_changed() -> None:
    text, problems = apply_edits(TEXT, [Edit("replace", "name: a", "name: b"), Edit("replace", ": 1", ": 2")])
    assert text == TEXT
    assert problems == [
        "Edit 2: `at` stands in the document 2 times (lines 5, 6): ': 1'. Give more of the text around it."
    ]


def test_what_is_missing_is_told_with_the_nearest_line() -> None:
    text, problems = apply_edits(TEXT, [Edit("replace", "name: aa", "name: b")])
    assert text == TEXT
    assert "does not stand in the document" in problems[0]
    assert "line 2:   name: a   # kept" in problems[0]


def test_edits_that_overlap_are_refused() -> None:
    text, problems = apply_edits("abcdef", [Edit("replace", "abc", "x"), Edit("replace", "cde", "y")])
    assert text == "abcdef"
    assert "same place" in problems[0]


def test_places_that_overlap_each_other_are_not_one_place() -> None:
    _, problems = apply_edits("aaa", [Edit("replace", "aa", "b")])
    assert "2 times" in problems[0]


def test_an_empty_old_and_no_edit_at_all_are_told() -> None:
    assert "empty" in apply_edits(TEXT, [Edit("replace", "", "x")])[1][0]
    assert apply_edits(TEXT, []) == (TEXT, ["There is no edit."])


def test_line_numbers_that_were_copied_along_are_understood() -> None:
    old = "\n".join(numbered(TEXT).splitlines()[4:6])
    text, problems = apply_edits(TEXT, [Edit("replace", old, "5|   x: 1\n6|   y: 2")])
    assert problems == []
    assert text == TEXT.replace("y: 1", "y: 2")


def test_a_document_with_crlf_keeps_its_line_ends() -> None:
    text, problems = apply_edits("a: 1\r\nb: 2\r\nc: 3\r\n", [Edit("replace", "a: 1\nb: 2", "a: 1\nb: 9")])
    assert problems == []
    assert text == "a: 1\r\nb: 9\r\nc: 3\r\n"


@given(st.text(max_size=60), st.text(min_size=1, max_size=20), st.text(max_size=60), st.text(max_size=20))
def test_before_and_after_an_edit_every_byte_stays(before: str, old: str, after: str, new: str) -> None:
    text = before + old + after
    edited, problems = apply_edits(text, [Edit("replace", old, new)])
    if problems:
        assert edited == text
    elif read_document(text).root is None:
        assert edited == before + new + after
    else:  # what is new may have got quotes
        assert edited.startswith(before)
        assert edited.endswith(after)
        assert read_document(edited).root is not None


def test_the_older_shape_is_a_replacement() -> None:
    assert read_edits([{"old": "a", "new": "b"}, {"op": "remove", "at": "x.y"}]) == [
        Edit("replace", "a", "b"),
        Edit("remove", "x.y"),
    ]
