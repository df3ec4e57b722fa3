"""What a run asks a person, and what it was answered: in words for the Run tab, as a card for the conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from chat.browser.markdown import one_line, plain, to_html

Question = Mapping[str, Any]

ANSWERED_BY = {"local": "you", "timeout": "nobody in time, so the default was taken"}
EFFECT_ANSWERS = {
    "did happen": "It did happen: go on",
    "try again": "It did not: try again",
    "stop": "Stop the run",
}


def question_shown(question: Question, *, ended: bool = False) -> dict[str, Any]:
    """A question as the Run tab takes it; `open` while an answer is of use."""
    is_open = question.get("answered_at") is None and not ended
    return {
        "node": question["path"],
        "iteration": question["iteration"],
        "kind": question["kind"],
        "html": one_line(to_html(str(question["question"]))),
        "text": str(question["question"]),
        "options": [{"label": _label(question, option), "value": option} for option in question["options"]],
        "open": is_open,
        "answer": "" if question.get("answered_at") is None else _said(question),
        "by": _by(question),
        "asked_at": question.get("asked_at"),
        "answered_at": question.get("answered_at"),
        "due_at": question.get("due_at") if is_open else None,
        "default": _told(question.get("default")) if question.get("default") is not None else "",
    }


def question_cards(run_id: str, questions: Sequence[Question], *, ended: bool) -> list[str]:
    """The cards of a conversation, one for each question."""
    return [_card(run_id, question_shown(question, ended=ended)) for question in questions]


def answered_before(question: Question) -> dict[str, Any]:
    """Who comes second is told who was first; `at` (ISO 8601) is said by the page, in the time of its place."""
    shown = question_shown(question)
    return {
        "error": f"This was answered by {shown['by']} already: “{shown['answer']}”.",
        "fix": "Look at the run to see how it went on.",
        "at": shown["answered_at"],
    }


def _card(run_id: str, shown: Mapping[str, Any]) -> str:
    doubt = shown["kind"] == "effect"
    status = "unknown" if doubt else "waiting"
    title = "May have happened" if doubt else "A question to you"
    state = "open" if shown["open"] else "answered" if shown["answer"] else "over"
    tag = f'<span class="pl-tag {status if shown["open"] else ""}">{state}</span>'
    head = (
        f'<span class="pl-glyph ask {status}"></span><strong>{title}</strong>'
        f'<span class="pl-faint">{escape(str(shown["node"]))}</span>{tag}'
    )
    end = _acts(run_id, shown) if shown["open"] else _answer(shown)
    return one_line(
        f'<div class="pl-card pl-asked {status}" role="group" title="{title}">'
        f'<div class="pl-card-head">{head}</div><div class="pl-card-text pl-question">{shown["html"]}</div>{end}</div>'
    )


def _acts(run_id: str, shown: Mapping[str, Any]) -> str:
    """Buttons; the page's script reads from them what to do, run, place, visit, and the answer or the question."""
    place = f"{run_id}:{quote(str(shown['node']), safe='')}:{shown['iteration']}"
    if shown["options"]:
        buttons = [
            (str(option["label"]), f"answer:{place}:{quote(str(option['value']), safe='')}")
            for option in shown["options"]
        ]
    else:
        buttons = [("Answer …", f"reply:{place}:{quote(str(shown['text']), safe='')}")]
    made = "".join(
        f'<button type="button" class="pl-act" value="{escape(value)}">{escape(label)}</button>'
        for label, value in buttons
    )
    return f'<div class="pl-acts">{made}</div>'


def _answer(shown: Mapping[str, Any]) -> str:
    if not shown["answer"]:
        return '<div class="pl-facts">The run ended without an answer.</div>'
    return (
        f'<div class="pl-facts pl-answered"><strong>{plain(str(shown["answer"]))}</strong>'
        f" · answered by {escape(str(shown['by']))}</div>"
    )


def _label(question: Question, option: Any) -> str:
    return EFFECT_ANSWERS.get(str(option), str(option)) if question["kind"] == "effect" else _told(option)


def _said(question: Question) -> str:
    answer = question.get("answer")
    return _label(question, answer) if question["kind"] == "effect" else _told(answer)


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "approve" if value else "reject"
    return value if isinstance(value, str) else "nothing" if value is None else str(value)


def _by(question: Question) -> str:
    name = question.get("answered_by")
    if name == "timeout" and question.get("answer") is None:
        return "nobody in time"
    return ANSWERED_BY.get(str(name), str(name)) if name else ""
