"""What proposes something: a test, the outline of a big workflow, the mend of a run that failed, two questions, a run.

What is answered to them are the options of the question that follows. Where a card can be worked in, as an outline's
order can be changed, the page's script builds that into it from the entry's `data`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from chat.browser.card import act, acts, bullets, card, glyph, tag
from chat.browser.case_words import case_rows
from chat.browser.markdown import inline, one_line, plain, to_html
from chat.browser.words import count

Part = Mapping[str, Any]
Data = dict[str, Any]
TEST_TITLES = {"proposed": "Keep this as a test?", "kept": "Test kept", "declined": "Test not kept"}
STEP_STATES = {"writing": "running", "written": "ok", "failed": "failed"}
CAUSES = {
    "workflow": "Why it failed",
    "world": "Nothing is wrong with the workflow",
    "unknown": "Why it failed",
}


def test_card(part: Part) -> str:
    """A wish as a test. What is tried is told as long as it is proposed; later one line is enough."""
    status = str(part.get("status") or "proposed")
    title = TEST_TITLES.get(status, TEST_TITLES["proposed"])
    where = acts(act("Show", "show:versions")) if status == "kept" else ""
    head = f"{glyph('test')}<strong>{title}</strong>{tag(str(part['workflow']))}{where}"
    quote = f'<div class="pl-quote">“{plain(str(part["quote"]))}”</div>' if part.get("quote") else ""
    name = f'<div class="pl-card-line">{plain(str(part["title"]))}</div>'
    rows = _case(part.get("case") or {}) if status == "proposed" else ""
    return card(f"test {escape(status)}", head, f'<div class="pl-card-body">{name}{quote}{rows}</div>')


def _case(case: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<div><span class="pl-faint">{escape(row["label"])}</span>'
        f"<span>{'<br>'.join(plain(item) for item in row['items'])}</span></div>"
        for row in case_rows(case)
    )
    return f'<div class="pl-case-rows">{rows}</div>' if rows else ""


def outline_card(part: Part, identity: str) -> str:
    """The steps that are planned, or how far they are written."""
    steps = part.get("steps") or ()
    written = sum(step.get("status") == "written" for step in steps)
    begun = any(step.get("status") not in (None, "planned") for step in steps)
    said = f"{written} of {len(steps)} written" if begun else count(len(steps), "step")
    state = "ok" if begun and written == len(steps) else ""
    head = f"{glyph('list')}<strong>{plain(str(part['title']))}</strong>{tag(said, state)}"
    rows = "".join(_outline_step(step) for step in steps)
    return card(
        "outline", head, f'<ol class="pl-outline-steps">{rows}</ol>', identity=identity, label="Outline"
    )


def _outline_step(step: Mapping[str, str]) -> str:
    status = str(step.get("status") or "planned")
    state = STEP_STATES.get(status, "")
    dot = f'<span class="pl-dot {state}" title="{escape(status)}"></span>' if state else ""
    words = f'<span class="pl-unseen">{escape(status)}</span>' if state else ""
    return f"<li>{dot}<span>{plain(str(step['sentence']))}</span>{words}</li>"


def outline_data(part: Part, answer: str) -> Data | None:
    """What the script needs to let an outline be changed; None once it is closed. `answer` is sent for "as it is"."""
    if not part.get("open", True):
        return None
    steps = [str(step["sentence"]) for step in part.get("steps") or ()]
    return {"kind": "outline", "steps": steps, "answer": answer}


def fix_card(part: Part, identity: str) -> str:
    """What failed and why, in words, and what the mend would change. There is no mend for what the world did."""
    cause, status = str(part.get("cause") or "unknown"), str(part.get("status") or "none")
    sign = "wrench" if part.get("yaml") else "warn world" if cause == "world" else "warn"
    node = str(part.get("node") or "")
    tags = (tag(node) if node else "") + (tag("applied", "ok") if status == "applied" else "")
    where = acts(act("Show in the graph", f"node:{node}")) if node else ""
    head = f"{glyph(sign)}<strong>{CAUSES.get(cause, CAUSES['unknown'])}</strong>{tags}{where}"
    body = f'<div class="pl-card-text">{one_line(to_html(str(part["text"])))}</div>'
    if status != "applied":  # then the new version says what is changed
        changes = bullets(str(words) for words in part.get("changes") or ())
        body += f'<div class="pl-fix-mend">With the mend:</div>{changes}' if changes else ""
    return card(f"fix {escape(cause)}", head, body, identity=identity, label="A run that failed")


def fix_data(part: Part) -> Data | None:
    """What the script needs to show the mend as a difference; None where none is offered."""
    offered = part.get("yaml") and part.get("status") == "offered"
    return {"kind": "fix", "yaml": str(part["yaml"])} if offered else None


def questions_card(questions: Sequence[Part], identity: str) -> str:
    """Two questions that are answered together, for which the script makes the fields."""
    rows = "".join(
        f'<li><div class="pl-question">{one_line(inline(str(question["text"])))}</div></li>'
        for question in questions
    )
    head = f"{glyph('ask waiting')}<strong>{count(len(questions), 'question')}</strong>"
    return card(
        "questions", head, f'<ol class="pl-question-list">{rows}</ol>', identity=identity, label="Questions"
    )


def questions_data(questions: Sequence[Part]) -> Data:
    shown = [
        {
            "text": str(q["text"]),
            "options": [{k: str(o[k]) for k in ("label", "value")} for o in q.get("options") or ()],
        }
        for q in questions
    ]
    return {"kind": "questions", "questions": shown}


def offer_data(part: Part) -> Data:
    """What the script needs to say what a run that is offered will take, and to bound it. `yes` is the answer."""
    about, options = part.get("about") or {}, part.get("options") or ()
    told = {"workflow": str(about.get("workflow") or ""), "inputs": dict(about.get("inputs") or {})}
    return {"kind": "offer", **told, "yes": str(options[0]["value"]) if options else ""}
