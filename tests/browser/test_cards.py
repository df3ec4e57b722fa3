"""Messages as entries of the chat component, and the words for numbers and times."""

from __future__ import annotations

from typing import Any

import pytest

from chat.browser.cards import message_entries
from chat.browser.compared import diff_rows
from chat.browser.views import estimate_view, run_view, with_node
from chat.browser.words import duration, money, seconds_between, time_taken, tokens_of
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


def answer_of(
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
        message_entries(answer_of(part))[0]["metadata"]
        for part in (step, {**step, "status": "failed", "seconds": 1.25})
    )
    assert running["status"] == "pending"
    assert "log" not in running
    assert done["status"] == "done"
    assert done["log"] == "1.2 s"
    assert "failed" in done["title"]
    assert "&#60;up&#62;" in done["title"]


def test_a_silent_live_answer_shows_a_sign_of_life() -> None:
    assert "pl-typing" in _shown(answer_of(status="live", phase="answering"))[0]
    assert "Comes after" in _shown(answer_of(status="live", phase="queued"))[0]
    text = {"kind": "text", "text": "So far"}
    assert _shown(answer_of(text, status="live")) == ["<p>So far</p>"]


@pytest.mark.parametrize(
    ("status", "words", "again"), [("stopped", "Stopped.", False), ("interrupted", "Interrupted", True)]
)
def test_a_cut_answer_says_so(status: str, words: str, again: bool) -> None:
    last = _shown(answer_of({"kind": "text", "text": "So far"}, status=status))[-1]
    assert words in last
    assert ("retry:m" in last) is again


def test_options_stand_on_the_last_entry() -> None:
    question = {"kind": "question", "text": "Which?", "options": [{"label": "A", "value": "take a"}]}
    cost = {"kind": "cost", "model": "x/y", "prompt_tokens": 1, "completion_tokens": None, "cost_usd": None}
    entries = message_entries(answer_of(question, cost))
    assert [entry["options"] for entry in entries[:-1]] == [None]
    assert entries[-1]["options"] == [{"label": "A", "value": "take a"}]
    assert "x/y · tokens unknown · cost unknown" in entries[-1]["content"][0]["text"]


def test_a_run_card_shows_the_outputs_unless_words_tell_them() -> None:
    started = {"kind": "run_started", "run_id": "r1", "workflow": "greet", "inputs": {}}
    ended = {"kind": "run_ended", "run_id": "r1", "status": "ok", "run": RUN}
    (card,) = _shown(answer_of(started, ended, reply_to=None))
    for words in ("greet", "done", "first", "1.5 s", "1 min 5 s", "15 tokens", "cost unknown"):
        assert words in card
    assert "<strong>Hi</strong> &lt;b&gt;you&lt;/b&gt;" in card
    assert "empty" not in card
    told = _shown(answer_of(started, ended, {"kind": "text", "text": "It says hi."}))
    assert "pl-outcome" not in told[0]
    assert told[1] == "<p>It says hi.</p>"


def test_a_running_run_is_shown_from_what_is_known_of_it() -> None:
    started = {"kind": "run_started", "run_id": "r1", "workflow": "greet", "inputs": {}}
    live = {"run_id": "r1", "status": "running", "nodes": [{**NODE, "status": "running", "ended_at": None}]}
    (card,) = _shown(answer_of(started, status="live"), runs={"r1": live})
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
    (card,) = _shown(answer_of({"kind": "problems", "yaml": "a: 1", "problems": [problem]}))
    assert "line 7" in card
    assert "No &lt;node&gt;" in card
    assert 'value="mend:m:0"' in card
    (card,) = _shown(
        answer_of({"kind": "error", "code": "model_auth", "message": "No key.", "fix": "Paste one."})
    )
    assert "No key." in card
    assert "Paste one." in card
    assert 'value="settings"' in card


CASE = {
    "inputs": {"ticket": "<b>"},
    "given": {"judge": [{"topic": "bill"}, {"topic": "other"}]},
    "must_run": ["pay"],
}
PROOF = {
    "checked": {"ok": True, "errors": 0, "warnings": 0, "problems": []},
    "dry_run": {
        "status": "ok",
        "branches": 0,
        "reached": 0,
        "not_reached": [],
        "simulated": [],
        "unverified": [],
    },
    "tests": [],
}


def test_a_draft_tells_what_changed_and_what_is_proved_of_it() -> None:
    draft = {"kind": "draft", "workflow": "a b", "version": 2, "summary": "Calmer", "problems": []}
    (plain,) = _shown(answer_of(draft))
    assert "pl-proof-line" not in plain
    (card,) = _shown(answer_of({**draft, "changes": ["Calmer.", "Step 'x' is <new>."], "proof": PROOF}))
    assert "<li>Step &#x27;x&#x27; is &lt;new&gt;.</li>" in card
    assert card.count("Calmer") == 1
    assert 'value="undo:a%20b:2"' in card
    assert 'value="version:a%20b:2"><span class="pl-dot ok">' in card
    bad = {**PROOF, "tests": [{"status": "failed", "title": "t", "quote": "", "why": ""}]}
    assert '<span class="pl-dot failed">' in _shown(answer_of({**draft, "proof": bad}))[0]
    assert "undo:" not in _shown(answer_of({**draft, "version": 1}))[0]


def test_a_proposed_test_tells_its_case_in_words_and_a_kept_one_only_its_name() -> None:
    part = {
        "kind": "test_proposed",
        "id": "t",
        "workflow": "w",
        "title": "Bills",
        "quote": "a <bill>",
        "case": CASE,
    }
    (card,) = _shown(answer_of({**part, "status": "proposed"}))
    for words in (
        "Keep this as a test?",
        "“a &lt;bill&gt;”",
        "ticket: “&lt;b&gt;”",
        "judge gives topic = “bill”",
        "Must run",
    ):
        assert words in card
    (kept,) = _shown(answer_of({**part, "status": "kept"}))
    assert "Test kept" in kept
    assert "Must run" not in kept


def test_an_outline_can_be_changed_while_it_is_open() -> None:
    steps = [
        {"id": "a", "sentence": "One", "status": "written"},
        {"id": "b", "sentence": "Two", "status": "writing"},
    ]
    part = {"kind": "outline", "id": "o", "title": "T", "steps": steps}
    options = [{"label": "Go", "value": "go"}, {"label": "No", "value": "no"}]
    asked = {"kind": "question", "text": "Well?", "options": options, "about": {"kind": "outline"}}
    first, last = message_entries(answer_of({**part, "open": True}, asked))
    assert first["data"] == {
        "kind": "outline",
        "steps": ["One", "Two"],
        "answer": "go",
        "place": "pl-card-m-0",
    }
    assert 'id="pl-card-m-0"' in first["content"][0]["text"]
    assert last["options"] == options[1:]
    (closed,) = message_entries(answer_of({**part, "open": False}))
    assert closed["data"] is None
    assert "1 of 2 written" in closed["content"][0]["text"]


def test_a_mend_is_offered_only_for_what_the_workflow_did() -> None:
    part = {
        "kind": "fix",
        "run_id": "r",
        "node": "pay",
        "text": "No **field**.",
        "workflow": "w",
        "changes": ["It is."],
    }
    (mine,) = message_entries(answer_of({**part, "cause": "workflow", "yaml": "a: 1", "status": "offered"}))
    assert (mine["data"]["kind"], mine["data"]["yaml"]) == ("fix", "a: 1")
    text = mine["content"][0]["text"]
    assert 'value="node:pay"' in text
    assert "<strong>field</strong>" in text
    (world,) = message_entries(answer_of({**part, "cause": "world", "yaml": None, "status": "none"}))
    assert world["data"] is None
    assert "Nothing is wrong with the workflow" in world["content"][0]["text"]


def test_two_questions_are_one_card_and_an_offer_says_what_is_run() -> None:
    first, second = (
        {"kind": "question", "text": t, "options": [{"label": "A", "value": "a"}]} for t in ("One?", "Two?")
    )
    (entry,) = message_entries(answer_of(first, second))
    assert [q["text"] for q in entry["data"]["questions"]] == ["One?", "Two?"]
    assert (entry["raw"], entry["options"]) == ("One?\n\nTwo?", None)
    about = {"kind": "run", "workflow": "w", "inputs": {"a": 1}}
    (offer,) = message_entries(answer_of({**first, "about": about}))
    assert offer["data"] == {
        "kind": "offer",
        "workflow": "w",
        "inputs": {"a": 1},
        "yes": "a",
        "place": "pl-card-m-0",
    }
    assert offer["options"] == [{"label": "A", "value": "a"}]


def test_an_unknown_cost_is_unknown_and_never_nothing() -> None:
    assert money(None) == "unknown"
    assert money(0) == "$0"
    assert money(0.00213) == "$0.0021"
    assert money(1.5) == "$1.50"
    assert money(0.00000001) == "below $0.0001"
    assert tokens_of({"prompt_tokens": 3, "completion_tokens": None}) == "tokens unknown"


def test_times_in_words() -> None:
    assert [duration(s) for s in (None, 0.04, 9.94, 9.96, 12.2, 59.6, 120)] == [
        *("", "0.0 s", "9.9 s", "10 s", "12 s", "1 min 0 s", "2 min 0 s")
    ]
    assert [duration(s) for s in (3600, 7500, 90_000)] == ["1 h", "2 h 5 min", "1 d 1 h"]
    assert seconds_between("2026-01-01T10:00:00.000Z", None) is None
    assert seconds_between("2026-01-01T10:00:00.000Z", "2026-01-01T10:00:01.500Z") == 1.5


def test_a_run_tells_how_long_it_waited_apart_from_what_it_did() -> None:
    at = "2026-01-01T10:{}.000Z".format
    ask = {**NODE, "id": "fine", "kind": "ask", "started_at": at("00:02"), "ended_at": at("01:02")}
    work = {**NODE, "id": "work", "started_at": at("00:52"), "ended_at": at("01:05")}
    run = {**RUN, "nodes": [NODE, ask, work]}
    assert time_taken(run) == "15 s, and 50 s waiting"  # ten seconds of the waiting it worked, too
    assert (
        time_taken({**run, "nodes": [NODE]}, [{"asked_at": at("00:05"), "answered_at": None}])
        == "5.0 s, and 1 min 0 s waiting"
    )
    assert time_taken(RUN) == "1 min 5 s"


def test_a_node_takes_the_place_of_the_same_visit_and_attempt() -> None:
    running = {**NODE, "status": "running", "ended_at": None}
    once = with_node({"run_id": "r", "nodes": []}, running)
    assert [n["status"] for n in once["nodes"]] == ["running"]
    assert [n["status"] for n in with_node(once, NODE)["nodes"]] == ["ok"]
    twice = with_node(with_node(once, NODE), {**running, "iteration": 2})
    assert [(n["iteration"], n["status"]) for n in twice["nodes"]] == [(1, "ok"), (2, "running")]


def test_where_no_model_could_be_asked_nothing_is_said_of_tokens_and_cost() -> None:
    unknown = {**NODE, "prompt_tokens": None, "completion_tokens": None}
    for kind, says in (("code", False), ("ask", False), ("llm", True), ("subflow", True)):
        run = {**RUN, "nodes": [{**unknown, "kind": kind}], "prompt_tokens": None, "completion_tokens": None}
        view = run_view(run)
        assert (view["tokens"], view["cost"]) == (("tokens unknown", "unknown") if says else ("", ""))
        started = {"kind": "run_started", "run_id": "r1", "workflow": "greet", "inputs": {}}
        ended = {"kind": "run_ended", "run_id": "r1", "status": "ok", "run": run}
        assert ("cost unknown" in _shown(answer_of(started, ended))[0]) is says


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
    assert diff_rows(old, old) == [
        {"kind": "skip", "old": None, "new": None, "text": "40 lines as before", "marks": []}
    ]


QUESTION: dict[str, Any] = {
    "node": "sub/pay[3]",
    "path": "sub/pay[3]",
    "iteration": 2,
    "question": "Pay **it**? <b>now</b>",
    "options": ["yes: all", "no"],
    "kind": "ask",
    "default": "no",
    "due_at": "2026-01-02T10:00:00.000Z",
    "asked_at": "2026-01-01T10:00:00.000Z",
    "answer": None,
    "answered_at": None,
    "answered_by": None,
}
WAITS = {"kind": "run_waiting", "run_id": "r1", "questions": [QUESTION]}
BEGUN = {"kind": "run_started", "run_id": "r1", "workflow": "greet", "inputs": {}}


def test_an_open_question_has_a_button_for_each_option_that_says_where_the_answer_goes() -> None:
    _, card = _shown(answer_of(BEGUN, WAITS))
    assert "Pay <strong>it</strong>? &lt;b&gt;now&lt;/b&gt;" in card
    assert 'value="answer:r1:sub%2Fpay%5B3%5D:2:yes%3A%20all"' in card
    assert card.count("<button") == 2


def test_a_question_without_options_is_answered_in_a_dialog() -> None:
    _, card = _shown(answer_of(BEGUN, {**WAITS, "questions": [{**QUESTION, "options": []}]}))
    assert 'value="reply:r1:sub%2Fpay%5B3%5D:2:Pay%20%2A%2Ait' in card


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("local", "answered by you"),
        ("timeout", "answered by nobody in time, so the default was taken"),
        ("telegram:<b>Ada", "answered by telegram:&lt;b&gt;Ada"),
    ],
)
def test_an_answered_question_says_by_whom(by: str, words: str) -> None:
    answered = {**QUESTION, "answer": "no", "answered_at": "2026-01-01T11:00:00.000Z", "answered_by": by}
    _, card = _shown(answer_of(BEGUN, {**WAITS, "questions": [answered]}))
    assert "<strong>no</strong>" in card
    assert words in card
    assert "<button" not in card


def test_a_question_that_nobody_answered_in_time_names_no_default() -> None:
    late = {**QUESTION, "answered_at": "2026-01-01T11:00:00.000Z", "answered_by": "timeout", "default": None}
    _, card = _shown(answer_of(BEGUN, {**WAITS, "questions": [late]}))
    assert "answered by nobody in time<" in card


def test_a_doubt_says_in_words_what_each_choice_does() -> None:
    doubt = {**QUESTION, "kind": "effect", "options": ["did happen", "try again", "stop"]}
    _, card = _shown(answer_of(BEGUN, {**WAITS, "questions": [doubt]}))
    for words in ("May have happened", "It did happen: go on", "It did not: try again", "Stop the run"):
        assert words in card
    assert "answer:r1:sub%2Fpay%5B3%5D:2:try%20again" in card


def test_a_question_of_a_run_that_has_ended_can_be_answered_no_more() -> None:
    ended = {
        "kind": "run_ended",
        "run_id": "r1",
        "status": "cancelled",
        "run": {**RUN, "status": "cancelled"},
    }
    cards = _shown(answer_of(BEGUN, WAITS, ended))
    assert "The run ended without an answer." in cards[1]
    assert "answer:" not in cards[1]
    assert run_view(RUN, [QUESTION])["questions"][0]["open"] is False


def test_an_estimate_is_told_in_ranges_and_unknown_is_never_a_number() -> None:
    node = {
        "id": "write",
        "kind": "llm",
        "model": None,
        "calls": [1, 2],
        "prompt_tokens": [10, 20],
        "completion_tokens": None,
        "cost_usd": None,
        "seconds": [1.0, 95.0],
        "basis": "default",
        "note": None,
    }
    found = estimate_view(
        {**node, "nodes": [node], "cost_usd": [0.001, 0.5], "budget_usd": 0.2, "unknown": ["No price."]}
    )
    assert (found["cost"], found["tokens"], found["calls"]) == ("$0.0010 to $0.50", "unknown", "1 to 2")
    assert found["seconds"] == "1.0 s to 1 min 35 s"
    assert found["over"] is True
    assert found["nodes"][0]["cost"] == "unknown"
    assert found["unknown"] == ["No price."]


def test_of_a_long_result_the_card_has_the_beginning() -> None:
    long = "word " * 5000
    ended = {
        "kind": "run_ended",
        "run_id": "r1",
        "status": "ok",
        "run": {**RUN, "outputs": {"greeting": long}},
    }
    (card,) = _shown(answer_of(BEGUN, ended, reply_to=None))
    assert len(card) < 5000
    assert 'value="run:r1">Show all' in card
    told = _shown(answer_of(BEGUN, ended, {"kind": "text", "text": long}))
    assert len(told[1]) < 5000
    assert "of 25,000 characters" in told[1]
