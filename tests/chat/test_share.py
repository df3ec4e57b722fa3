"""The share file: the same text byte for byte, its tests, and nothing that whoever made it can do to us."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chat.share import LARGEST, MARK, read_share, share_text
from engine.document import read_document
from engine.errors import InputError
from sessions.workflow_tests import WorkflowTest
from sessions.workflows import Version

CASE = {"inputs": {}, "given": {}, "must_run": ["greet"], "must_not_run": [], "checks": []}
YAML = 'schema_version: "1.0"\nflow: {name: greet}   # a comment\nnodes:\n  - {id: greet, prompt: |-\n      Hi}\n'
LINES = st.lists(
    st.sampled_from(
        [*YAML.splitlines(), MARK, '# {"length": 3}', "#", "", "  - é: 世界", "\ufeff", "a: \u2028b"]
    ),
    max_size=12,
)


def version(text: str, proof: Any = None) -> Version:
    return Version("greet", 3, text, "made", None, 0.0, proof=proof)


def saved_test(quote: str = "always greet", case: Any = None) -> WorkflowTest:
    return WorkflowTest("t1", "greet", "Greets", quote, case or CASE, "m1", 0.0)


@given(LINES, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.text(max_size=40))
@example([MARK, "# {}"], "\n", True, f"\n{MARK}\n# {{}}\n\u2028\x85")
def test_the_text_comes_back_byte_for_byte(lines: list[str], end: str, ends: bool, quote: str) -> None:
    text = end.join(lines) + (end if ends else "")
    shared = share_text(version(text, {"line": quote}), [saved_test(quote)])
    found = read_share(shared)
    assert found.yaml.encode("utf-8", "surrogatepass") == text.encode("utf-8", "surrogatepass")
    assert found.whole
    assert found.tests == (("Greets", quote, CASE),)
    sent = shared.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")
    assert read_share(sent).yaml == text
    if text.startswith("\ufeff"):
        assert read_share(shared.removeprefix("\ufeff")).yaml == text


def test_a_share_file_is_a_workflow_like_any_other() -> None:
    shared = share_text(version(YAML, {"line": "Checked"}), [saved_test("ends\nhere: [")])
    assert read_document(shared).data == read_document(YAML).data
    assert read_document(shared).problems == read_document(YAML).problems


def test_a_plain_document_is_taken_as_it_is() -> None:
    assert read_share(YAML).yaml == YAML
    assert read_share(YAML).tests == ()


def test_a_text_that_was_changed_on_the_way_keeps_its_tests_and_says_so() -> None:
    shared = share_text(version(YAML), [saved_test()]).replace("Hi", "Hello")
    found = read_share(shared)
    assert not found.whole
    assert found.yaml == YAML.replace("Hi", "Hello")
    assert len(found.tests) == 1


def test_other_line_ends_on_the_way_do_no_harm() -> None:
    found = read_share(share_text(version(YAML), [saved_test()]).replace("\n", "\r\n"))
    assert found.yaml == YAML
    assert found.whole


def ended(about: str) -> str:
    return YAML + MARK + "\n" + "".join(f"# {line}\n" for line in about.splitlines())


HOSTILE = [
    ("{", "can't be read"),
    ("[1]", "not what it should be"),
    ('{"length": NaN}', "can't be read"),
    ('{"length": ' + "9" * 10_000 + "}", "can't be read"),
    ("[" * 20_000, "can't be read"),
    ('{"a": ' + "[" * 60 + "]" * 60 + "}", "not what it should be"),
    ('{"tests": {}}', "no list"),
    ('{"tests": [1]}', "not an object"),
    ('{"tests": [{"case": 1}]}', "A test is an object"),
    ('{"tests": [{"title": 1, "case": {"must_run": ["a"]}}]}', "no text"),
    ('{"tests": [{"case": {"must_run": ["a"], "shell": "rm"}}]}', "has no 'shell'"),
    (json.dumps({"tests": [{"case": {"must_run": ["a"]}}] * 201}), "at most 200"),
    (json.dumps({"tests": [{"case": {"must_run": ["a" * 200_000]}}]}), "longer than"),
]


@pytest.mark.parametrize(("about", "said"), HOSTILE)
def test_a_malicious_end_is_refused_with_a_sentence(about: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        read_share(ended(about))
    assert said in str(error.value)


@pytest.mark.parametrize("length", ["-1", "true", "1e9", "null", '"3"', str(10**12)])
def test_a_length_that_lies_cuts_nothing(length: str) -> None:
    found = read_share(ended(f'{{"length": {length}, "digest": "x"}}'))
    assert found.yaml == YAML
    assert not found.whole


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(InputError, match="is the most"):
        read_share("x" * (LARGEST + 1))
