"""Messages as entries of the chat component, and the words for numbers and times."""

from __future__ import annotations

from typing import Any

import pytest

from chat.browser.cards import message_entries
from chat.browser.views import diff_rows, run_view, with_node
from chat.browser.words import duration, money, seconds_between, tokens_of
from sessions.conversations import Message

NODE = {
    "id": "first",
    "kind": "llm",
    "iteration": 1,
    "attempt": 1,
    "status": "ok",
    "started_at": "2026-01-01T10:00:00.000Z",
    "ended_at": "2026-01-01T10:00:01.500Z",
    "model": "fake/model",
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "cost_usd": None,
    "error": None,
}
RUN = {
    "run_id": "r1",
    "workflow": "greet",
    "status": "ok",
    "inputs": {},
    "outputs": {"greeting": "**Hi** <b>you</b>", "empty": ""},
    "nodes": [NODE],
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "cost_usd": None,
    "error": None,
    "created_at": "2026-01-01T10:00:00.000Z",
    "ended_at": "2026-01-01T10:01:05.000Z",
}


def _answer(
    *parts: dict[str, Any], status: str = "ok", phase: str | None = None, reply_to: str | None = "u"
) -> Message:
    return Message(
        seq=2,
        id="m",
        conversation_id="c",
        role="assistant",
        channel="browser",
        external_id=None,
        reply_to=reply_to,
        text="",
        parts=parts,
        status=status,  # type: ignore[arg-type]
        phase=phase,
        process=None,
        created_at=0.0,
    )


def _shown(message: Message, **options: Any) -> list[str]:
    return [entry["content"][0]["text"] for entry in message_entries(message, **options)]


def test_what_a_person_said_is_shown_as_it_is_and_kept_for_copying() -> None:
    message = Message(1, "u", "c", "user", "browser", None, None, "a <b>\nc", (), "ok", None, None, 0.0)
    (entry,) = message_entries(message)
    assert entry["content"][0]["text"] == '<div class="pl-said">a &lt;b&gt;&#10;c</div>'
    assert (entry["raw"], entry["id"], entry["role"]) == ("a <b>\nc", "u", "user")


def test_a_step_becomes_a_card_that_opens_and_says_how_it_went() -> None:
    step = {
        "kind": "step",
        "id": "s",
        "title": "Look <up>",
        "status": "running",
        "detail": "",
        "seconds": None,
    }
    running, done = (
        message_entries(_answer(part))[0]["metadata"]
        for part in (step, {**step, "status": "failed", "seconds": 1.25})
    )
    assert running["status"] == "pending"
    assert "log" not in running
    assert done["status"] == "done"
    assert done["log"] == "1.2 s"
    assert "failed" in done["title"]
    assert "&#60;up&#62;" in done["title"]


def test_a_silent_live_answer_shows_a_sign_of_life() -> None:
    assert "pl-typing" in _shown(_answer(status="live", phase="answering"))[0]
    assert "Comes after" in _shown(_answer(status="live", phase="queued"))[0]
    text = {"kind": "text", "text": "So far"}
    assert _shown(_answer(text, status="live")) == ["<p>So far</p>"]


@pytest.mark.parametrize(
    ("status", "words", "again"), [("stopped", "Stopped.", False), ("interrupted", "Interrupted", True)]
)
def test_a_cut_answer_says_so(status: str, words: str, again: bool) -> None:
    last = _shown(_answer({"kind": "text", "text": "So far"}, status=status))[-1]
    assert words in last
    assert ("retry:m" in last) is again


def test_options_stand_on_the_last_entry() -> None:
    question = {"kind": "question", "text": "Which?", "options": [{"label": "A", "value": "take a"}]}
    cost = {"kind": "cost", "model": "x/y", "prompt_tokens": 1, "completion_tokens": None, "cost_usd": None}
    entries = message_entries(_answer(question, cost))
    assert [entry["options"] for entry in entries[:-1]] == [None]
    assert entries[-1]["options"] == [{"label": "A", "value": "take a"}]
    assert "x/y · tokens unknown · cost unknown" in entries[-1]["content"][0]["text"]


def test_a_run_card_shows_the_outputs_unless_words_tell_them() -> None:
    started = {"kind": "run_started", "run_id": "r1", "workflow": "greet", "inputs": {}}
    ended = {"kind": "run_ended", "run_id": "r1", "status": "ok", "run": RUN}
    (card,) = _shown(_answer(started, ended, reply_to=None))
    for words in ("greet", "done", "first", "1.5 s", "1 min 5 s", "15 tokens", "cost unknown"):
        assert words in card
    assert "<strong>Hi</strong> &lt;b&gt;you&lt;/b&gt;" in card
    assert "empty" not in card
    told = _shown(_answer(started, ended, {"kind": "text", "text": "It says hi."}))
    assert "pl-outcome" not in told[0]
    assert told[1] == "<p>It says hi.</p>"


def test_a_running_run_is_shown_from_what_is_known_of_it() -> None:
    started = {"kind": "run_started", "run_id": "r1", "workflow": "greet", "inputs": {}}
    live = {"run_id": "r1", "status": "running", "nodes": [{**NODE, "status": "running", "ended_at": None}]}
    (card,) = _shown(_answer(started, status="live"), runs={"r1": live})
    assert "running" in card
    assert '<span class="pl-dot running"></span><span>first</span>' in card


def test_problems_and_errors_say_where_and_what_to_do() -> None:
    problem = {
        "line": 7,
        "column": 1,
        "severity": "error",
        "rule": "x",
        "path": "",
        "message": "No <node>",
        "patch": None,
    }
    (card,) = _shown(_answer({"kind": "problems", "yaml": "a: 1", "problems": [problem]}))
    assert "line 7" in card
    assert "No &lt;node&gt;" in card
    assert 'value="mend:m:0"' in card
    (card,) = _shown(
        _answer({"kind": "error", "code": "model_auth", "message": "No key.", "fix": "Paste one."})
    )
    assert "No key." in card
    assert "Paste one." in card
    assert 'value="settings"' in card


def test_an_unknown_cost_is_unknown_and_never_nothing() -> None:
    assert money(None) == "unknown"
    assert money(0) == "$0"
    assert money(0.00213) == "$0.0021"
    assert money(1.5) == "$1.50"
    assert money(0.00000001) == "below $0.0001"
    assert tokens_of({"prompt_tokens": 3, "completion_tokens": None}) == "tokens unknown"


def test_times_in_words() -> None:
    assert [duration(s) for s in (None, 0.04, 9.96, 12.2, 125)] == [
        "",
        "0.0 s",
        "10.0 s",
        "12 s",
        "2 min 5 s",
    ]
    assert seconds_between("2026-01-01T10:00:00.000Z", None) is None
    assert seconds_between("2026-01-01T10:00:00.000Z", "2026-01-01T10:00:01.500Z") == 1.5


def test_a_node_takes_the_place_of_the_same_visit_and_attempt() -> None:
    running = {**NODE, "status": "running", "ended_at": None}
    once = with_node({"run_id": "r", "nodes": []}, running)
    assert [n["status"] for n in once["nodes"]] == ["running"]
    assert [n["status"] for n in with_node(once, NODE)["nodes"]] == ["ok"]
    twice = with_node(with_node(once, NODE), {**running, "iteration": 2})
    assert [(n["iteration"], n["status"]) for n in twice["nodes"]] == [(1, "ok"), (2, "running")]


def test_a_run_that_is_under_way_has_no_outputs_or_sums_yet() -> None:
    view = run_view({**RUN, "status": "running", "ended_at": None})
    assert (view["ended"], view["outputs"], view["tokens"], view["cost"]) == (False, [], "", "")
    view = run_view(RUN)
    assert (view["ended"], view["seconds"], view["cost"]) == (True, "1 min 5 s", "unknown")
    assert len(view["outputs"]) == 1


def test_a_difference_shows_the_lines_near_a_change() -> None:
    old = "\n".join(str(n) for n in range(40))
    rows = diff_rows(old, old.replace("20", "twenty"))
    assert [row["kind"] for row in rows] == ["skip", *["same"] * 3, "del", "add", *["same"] * 3, "skip"]
    assert (rows[4]["text"], rows[4]["old"], rows[5]["text"], rows[5]["new"]) == ("20", 21, "twenty", 21)
    assert {row["kind"] for row in diff_rows("", "a\nb")} == {"add"}
    assert diff_rows(old, old) == [{"kind": "skip", "old": None, "new": None, "text": "40 lines as before"}]
