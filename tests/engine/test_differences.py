"""What is said about a change: true, in words, and never nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.differences import LAYOUT, MOST, describe_changes

BASE = """\
schema_version: "1.0"
flow:
  name: answer
  description: Answers mails
state:
  fields:
    mail: {type: str, required: true}
    tone: {type: str, default: friendly}
    kind: str
    text: str
nodes:
  - id: classify
    prompt: What kind is {state.mail}?
    outputs: [kind]
  - id: draft
    prompt: |
      Answer {state.mail} in a way that everybody understands, please.
      Keep it short.
    tools: [web_search]
    outputs: [text]
  - id: send
    tool: http_get
    args: {url: "https://example.org"}
edges:
  - {from: START, to: classify}
  - from: classify
    routes:
      - {condition: "state.kind == 'complaint'", to: draft}
      - {condition: default, to: END}
  - {from: draft, to: send}
  - {from: send, to: END}
config:
  execution: {timeout: 30}
"""
REVIEW = """\
  - id: review
    ask: May it go out?
    options: [approve, reject]
  - id: send
"""


def changed(*swaps: tuple[str, str], base: str = BASE) -> list[str]:
    text = base
    for old, new in swaps:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        text = text.replace(old, new)
    return describe_changes(base, text)


@pytest.mark.parametrize(
    ("swaps", "said"),
    [
        (
            [
                ("  - id: send\n", REVIEW),
                ("{from: draft, to: send}", "{from: draft, to: review}\n  - {from: review, to: send}"),
            ],
            ["Step 'review' is new, after 'draft', and asks a person."],
        ),
        ([("name: answer", "name: reply")], ["The name is 'reply' now (it was 'answer')."]),
        ([("Answers mails", "Answers all mails")], ["The description changed."]),
        (
            [("default: friendly", "default: formal")],
            ["Input 'tone' has the default 'formal' now (it was 'friendly')."],
        ),
        ([("    tone: {type: str, default: friendly}\n", "")], ["Input 'tone' is gone."]),
        (
            [("    kind: str\n", "    kind: str\n    to: {type: str, required: true}\n")],
            ["Input 'to' is new (str, required)."],
        ),
        ([("kind: str", "kind: {type: str}")], [LAYOUT]),
        (
            [("kind: str", "kind: {type: str, enum: [complaint, praise]}")],
            ["Field 'kind' may be 'complaint' and 'praise' now."],
        ),
        ([("{type: str, required: true}", "{type: str}")], ["Input 'mail' need not be given any more."]),
        (
            [("      Keep it short.\n", "      Keep it short.\n      Sign as Ann.\n")],
            ["The prompt of 'draft' changed: 'Sign as Ann.' was added."],
        ),
        (
            [("      Keep it short.\n", "")],
            ["The prompt of 'draft' changed: 'Keep it short.' was taken out."],
        ),
        ([("everybody understands", "a child understands")], ["The prompt of 'draft' changed."]),
        (
            [("prompt: What kind is {state.mail}?", "prompt: Kind of {state.mail}?")],
            [
                "The prompt of 'classify' is 'Kind of {state.mail}?' now (it was 'What kind is {state.mail}?')."
            ],
        ),
        (
            [
                (
                    "    outputs: [kind]\n",
                    "    outputs: [kind]\n    llm: {provider: openai, model: gpt-5, temperature: 0.2}\n",
                )
            ],
            ["'classify' asks the model 'openai/gpt-5' now.", "The temperature of 'classify' is 0.2 now."],
        ),
        (
            [("[web_search]", "[http_get, json_parse]")],
            [
                "'draft' may use 'http_get' and 'json_parse' now.",
                "'draft' may not use 'web_search' any more.",
            ],
        ),
        (
            [("[web_search]", "[{name: web_search, on_error: fail}]")],
            ["The settings of 'web_search' in 'draft' changed."],
        ),
        (
            [("tool: http_get", "tool: web_fetch")],
            ["'send' uses the tool 'web_fetch' now (it was 'http_get')."],
        ),
        (
            [("https://example.org", "https://example.com")],
            ["'url' of 'send' is 'https://example.com' now (it was 'https://example.org')."],
        ),
        (
            [("outputs: [text]", "outputs: [text, kind]")],
            ["'draft' writes 'text' and 'kind' now (it was 'text')."],
        ),
        (
            [
                (
                    "    tools: [web_search]\n",
                    "    tools: [web_search]\n    retry: {max_attempts: 3}\n    on_error: continue\n    timeout: 5\n",
                )
            ],
            [
                "The number of attempts of 'draft' is 3 now.",
                "When 'draft' fails, the run goes on now.",
                "The time limit (in seconds) of 'draft' is 5 now.",
            ],
        ),
        (
            [("== 'complaint'", "== 'urgent'")],
            [
                "The way from 'classify' to 'draft' is taken when state.kind == 'urgent' now"
                " (it was when state.kind == 'complaint')."
            ],
        ),
        (
            [("{from: send, to: END}", "{from: send, to: [END, classify]}")],
            ["After 'send' comes 'classify' now."],
        ),
        (
            [("{from: send, to: END}", "{from: send, loop: {condition_field: ok, max_iterations: 3}}")],
            ["The way from 'send' to 'END' is gone.", "'send' is repeated until 'ok', at most 3 times."],
        ),
        (
            [("{timeout: 30}", "{timeout: 60, budget_usd: 0.5}")],
            [
                "The time limit of a run (in seconds) is 60 now (it was 30).",
                "The budget of a run (in dollars) is 0.5 now.",
            ],
        ),
        (
            [("config:\n  execution: {timeout: 30}\n", "")],
            ["The time limit of a run (in seconds) is not set any more (it was 30)."],
        ),
        ([("nodes:", "# the steps\nnodes:")], [LAYOUT]),
        (
            [
                (
                    "flow:\n  name: answer\n  description: Answers mails",
                    "flow: {description: Answers mails, name: answer}",
                )
            ],
            [LAYOUT],
        ),
        ([("1.0", "1")], ["'schema_version' is '1' now (it was '1.0')."]),
        ([('"1.0"', "1.0")], ["'schema_version' is 1.0 now (it was '1.0')."]),
    ],
)
def test_a_change_in_words(swaps: list[tuple[str, str]], said: list[str]) -> None:
    assert changed(*swaps) == said


def test_a_step_that_is_gone_takes_its_ways_along() -> None:
    text = BASE.replace(BASE[BASE.index("  - id: send\n") : BASE.index("edges:")], "")
    text = text.replace(
        "  - {from: draft, to: send}\n  - {from: send, to: END}\n", "  - {from: draft, to: END}\n"
    )
    assert describe_changes(BASE, text) == ["Step 'send' is gone."]


def test_a_step_with_another_name() -> None:
    assert describe_changes(BASE, BASE.replace("draft", "write")) == ["Step 'draft' is called 'write' now."]


def test_steps_in_another_order_without_edges() -> None:
    base = BASE[: BASE.index("edges:")]
    start, end = base.index("  - id: classify"), base.index("  - id: draft")
    moved = base[:start] + base[end:] + base[start:end]
    assert describe_changes(base, moved) == ["Step 'classify' stands after 'send' now."]


def test_the_order_of_routes_counts() -> None:
    routes = ["      - {condition: state.a, to: draft}\n", "      - {condition: state.b, to: send}\n"]
    base = BASE[: BASE.index("      - {condition:")]
    one, other = base + "".join(routes), base + "".join(reversed(routes))
    assert describe_changes(one, other) == ["The order in which the ways from 'classify' are tried changed."]


def test_what_can_not_be_read_is_counted_in_lines() -> None:
    assert describe_changes(BASE, BASE + "nodes: [\n") == ["1 line changed."]
    assert describe_changes("a: [", "b: [") == ["1 line changed."]
    assert describe_changes("", "\n\n") == ["2 lines changed."]


def test_very_many_changes_are_cut() -> None:
    fields = "".join(f"    f{n}: str\n" for n in range(100))
    found = changed(("    kind: str\n", "    kind: str\n" + fields))
    assert len(found) == MOST + 1
    assert found[-1] == "And 60 more changes."


GALLERY = sorted((Path(__file__).resolve().parents[2] / "configs" / "gallery").rglob("*.yaml"))


@pytest.mark.parametrize("file", GALLERY, ids=lambda file: file.stem)
def test_the_same_is_no_change_and_a_comment_is_one(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert describe_changes(text, text) == []
    assert describe_changes(text, text + "# a note\n") == [LAYOUT]


KEYS = st.sampled_from(
    [
        "flow",
        "state",
        "fields",
        "nodes",
        "edges",
        "config",
        "id",
        "name",
        "from",
        "to",
        "routes",
        "loop",
        "prompt",
        "llm",
        "tools",
        "outputs",
        "on_error",
        "condition",
        "args",
        "execution",
        "x",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 3)
    | st.floats(0, 1)
    | st.sampled_from(["a", "b", "1", "state.x", "END"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=12,
)
NODE = st.fixed_dictionaries({"id": st.sampled_from("abc")}, optional={
    "prompt": VALUES, "llm": VALUES, "tools": VALUES, "outputs": VALUES, "tool": VALUES, "retry": VALUES,
    "on_error": VALUES, "inputs": VALUES,
})  # fmt: skip
EDGE = st.fixed_dictionaries({"from": st.sampled_from("abc")}, optional={
    "to": VALUES, "routes": VALUES, "loop": VALUES, "condition": VALUES,
})  # fmt: skip
DOCUMENTS = st.fixed_dictionaries({}, optional={
    "flow": VALUES, "state": st.fixed_dictionaries({"fields": st.dictionaries(KEYS, VALUES, max_size=3)}) | VALUES,
    "nodes": st.lists(NODE, max_size=3) | VALUES, "edges": st.lists(EDGE, max_size=3) | VALUES, "config": VALUES,
    "x": VALUES,
})  # fmt: skip


def dumped(data: object) -> str:
    import yaml

    return yaml.safe_dump(data, sort_keys=False)


@given(DOCUMENTS, DOCUMENTS)
def test_whatever_changes_something_is_said(one: object, other: object) -> None:
    before, after = dumped(one), dumped(other)
    found = describe_changes(before, after)
    assert bool(found) == (before != after)
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in found)
    assert describe_changes(before, before) == []


@given(DOCUMENTS, DOCUMENTS)
def test_what_means_something_else_is_never_called_layout(one: object, other: object) -> None:
    from engine.differences_words import same
    from engine.document import read_document

    before, after = dumped(one), dumped(other)
    assume(before != after)
    old, new = read_document(before).data, read_document(after).data
    if LAYOUT in describe_changes(before, after):
        assert same(old, new) or before.count(": ") != after.count(": ")


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_two_texts_can_be_compared(one: str, other: str) -> None:
    assert bool(describe_changes(one, other)) == (one != other)
