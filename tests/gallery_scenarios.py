"""Scripted runs of every gallery workflow: what goes in, what the model answers, which way it takes, what
comes out.

An answer is looked up by a text that stands in one node's prompt only; `after` copies what the prompt
carries behind a mark, so that an output can only be right when the inputs have reached the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Answer = Callable[[str], Any]


@dataclass(frozen=True)
class Scenario:
    """`way` are the nodes in the order in which they end; sets are nodes that run side by side. `replies` are what
    the person answers, in turn, each with a text that stands in the question.
    """

    inputs: Mapping[str, Any]
    answers: Mapping[str, Answer | Any]
    way: tuple[str | frozenset[str], ...]
    outputs: Mapping[str, Any]
    prompts: tuple[str, ...] = field(default=())
    replies: tuple[tuple[str, Any], ...] = ()


def after(mark: str, text: str = "{}") -> Answer:
    """The rest of the line behind `mark` in the prompt, put into `text`."""

    def answer(prompt: str) -> str:
        assert mark in prompt, f"{mark!r} is not in: {prompt}"
        return text.replace("{}", prompt.split(mark, 1)[1].split("\n", 1)[0].strip())

    return answer


def both(*nodes: str) -> frozenset[str]:
    return frozenset(nodes)


TICKET = {"ticket": "the till is broken"}
EMAIL = {"email": "may I come on Friday?", "wishes": "yes, at ten"}
BIKES = {"first": "bike A", "second": "bike B", "needs": "light"}
CODE = {"code": "print(1/0)", "language": "Python"}
CV = {"job": "baker, early shifts", "cv": "four years in a bakery"}
NOTES = {"notes": "10:02 the shop failed"}
DRAFT = {"task": "a poem about rain", "audience": "children"}

SCENARIOS: Mapping[str, tuple[Scenario, ...]] = {
    "summarise_and_translate": (
        Scenario(
            {"text": "The library closes in May.", "language": "French"},
            {
                "Summarise this text": after("Text: ", "short: {}"),
                "Translate this text into French": after("Text: ", "fr: {}"),
            },
            ("summarise", "translate"),
            {
                "summary": "short: The library closes in May.",
                "translation": "fr: short: The library closes in May.",
            },
        ),
        Scenario(
            {"text": "Rain."},
            {
                "Summarise this text": after("Text: "),
                "Translate this text into German": after("Text: ", "de: {}"),
            },
            ("summarise", "translate"),
            {"summary": "Rain.", "translation": "de: Rain."},
        ),
    ),
    "triage_ticket": (
        Scenario(
            TICKET,
            {
                "Read this support ticket": {"urgency": "high", "topic": "technical"},
                "Write one sentence for the technical team": after("Ticket: ", "now: {}"),
                "Apologise and say that the technical team": after("Ticket: ", "sorry: {}"),
            },
            ("classify", "alert", "apologise"),
            {"hand_over": "now: the till is broken", "answer": "sorry: the till is broken"},
        ),
        Scenario(
            TICKET,
            {
                "Read this support ticket": {"urgency": "low", "topic": "billing"},
                "reply to this question about a bill": after("Ticket: ", "bill: {}"),
            },
            ("classify", "explain_bill"),
            {"answer": "bill: the till is broken", "hand_over": ""},
        ),
        Scenario(
            TICKET,
            {
                "Read this support ticket": {"urgency": "low", "topic": "other"},
                "thanks the customer": after("Ticket: ", "thanks: {}"),
            },
            ("classify", "thank"),
            {"answer": "thanks: the till is broken"},
        ),
    ),
    "compare_products": (
        Scenario(
            BIKES,
            {
                "Product: bike A": after("Needs: ", "A for {}"),
                "Product: bike B": after("Needs: ", "B for {}"),
                "Recommend the first product": lambda prompt: {
                    "choice": "second",
                    "reason": after("First product: ")(prompt) + after("Second product: ", " < {}")(prompt),
                },
            },
            (both("look_at_first", "look_at_second"), "recommend"),
            {"choice": "second", "reason": "A for light < B for light"},
        ),
    ),
    "draft_and_review": (
        Scenario(
            DRAFT,
            {
                "Write this for children": after("children: ", "1 {}"),
                "Draft: 1 a poem about rain": {"score": 9, "notes": "fine"},
            },
            ("write", "review"),
            {"draft": "1 a poem about rain", "score": 9},
            ("You are a fair but demanding editor.",),
        ),
        Scenario(
            DRAFT,
            {
                "Write this for children": after("children: ", "1 {}"),
                "Give the draft below a mark": lambda prompt: {
                    "score": 3,
                    "notes": "worse" if "Draft: 1" in prompt else "still bad",
                },
                "Improve the draft": after("Draft: ", "2 {}"),
            },
            ("write", "review", "revise", "review", "revise", "review"),
            {"draft": "2 2 1 a poem about rain", "score": 3},
            ('What the editor said so far: ["worse"]', 'What the editor said so far: ["worse","still bad"]'),
        ),
    ),
    "research_in_parallel": (
        Scenario(
            {"question": "Close the street?"},
            {
                "List the most important facts": after("Question: ", "facts {}"),
                "answering yes": after("Question: ", "yes {}"),
                "answering no": after("Question: ", "no {}"),
                "balanced report": lambda prompt: "|".join(
                    after(mark)(prompt) for mark in ("Facts: ", "For: ", "Against: ")
                ),
            },
            (both("find_facts", "argue_for", "argue_against"), "report"),
            {"report": "facts Close the street?|yes Close the street?|no Close the street?"},
        ),
    ),
    "extract_to_table": (
        Scenario(
            {"text": "Ann paid 40.", "columns": ["who", "amount"]},
            {
                "Find every entry": [{"who": "Ann", "amount": "40"}],
                "Markdown table with the columns": after("Rows: ", "| {} |"),
            },
            ("extract", "lay_out"),
            {
                "rows": [{"who": "Ann", "amount": "40"}],
                "table": '| [{"who":"Ann","amount":"40"}] |',
            },
            ('exactly these columns: ["who","amount"]', "Text: Ann paid 40."),
        ),
    ),
    "check_invoice": (
        Scenario(
            {"invoice_text": "Invoice 7", "limit": 100},
            {
                "Read this invoice": {"vendor": "Miller", "number": "7", "total": 100.5, "currency": "EUR"},
                "ask a manager to approve": after("The limit is ", "over {}"),
            },
            ("read", "ask_approval"),
            {"note": "over 100.0."},
            ("Invoice: Invoice 7", "7 from\nMiller over 100.5 EUR"),
        ),
        Scenario(
            {"invoice_text": "Invoice 8"},
            {"Read this invoice": {"vendor": "{x} & Co", "number": "8", "total": 500.0, "currency": "EUR"}},
            ("read", "book"),
            {"note": "Book invoice 8 from {x} & Co: 500.0 EUR."},
        ),
    ),
    "meeting_notes_to_tasks": (
        Scenario(
            {"notes": "Tom makes the sign."},
            {
                "List every task": lambda prompt: {
                    "tasks": [after("Notes: ", "task: {}")(prompt)],
                    "decisions": ["open on Sundays"],
                },
                "names the decisions and the tasks": after("Tasks: ", "Hello: {}"),
            },
            ("extract", "write_message"),
            {
                "tasks": ["task: Tom makes the sign."],
                "decisions": ["open on Sundays"],
                "message": 'Hello: ["task: Tom makes the sign."]',
            },
            ('Decisions: ["open on Sundays"]',),
        ),
    ),
    "daily_brief": (
        Scenario(
            {"appointments": "9:30 dentist", "tasks": ["pay the rent"], "time_zone": "Europe/Berlin"},
            {"Write a brief for the day": after("Tasks: ", "do {}")},
            ("look_at_clock", "write_brief"),
            {"brief": 'do ["pay the rent"]'},
            ("Appointments: 9:30 dentist", "Now: Sunday, 01 March 2026, 10:30"),
        ),
    ),
    "answer_email": (
        Scenario(
            EMAIL,
            {
                "What is this e-mail": "request",
                "polite reply to this e-mail": after("What I want to say: "),
            },
            ("read", "reply"),
            {"intent": "request", "reply": "yes, at ten"},
            ("E-mail: may I come on Friday?",),
        ),
        Scenario(
            EMAIL,
            {
                "What is this e-mail": "complaint",
                "reply to this complaint": after("What I want to say: ", "sorry, {}"),
            },
            ("read", "make_good"),
            {"intent": "complaint", "reply": "sorry, yes, at ten"},
        ),
        Scenario(
            EMAIL,
            {"What is this e-mail": "advertising"},
            ("read",),
            {"intent": "advertising", "reply": ""},
        ),
    ),
    "rewrite_for_tone": (
        Scenario(
            {"text": "Wrong part again.", "tone": "polite"},
            {"sounds polite": after("Text: ", "Dear, {}")},
            ("rewrite",),
            {"rewritten": "Dear, Wrong part again."},
        ),
    ),
    "make_quiz": (
        Scenario(
            {"topic": "rain", "count": 2, "level": "easy"},
            {
                "Write 2 easy questions": lambda prompt: [after("Topic: ", "Why {}?")(prompt), "When?"],
                "Answer each of these": ["so", "now"],
            },
            ("ask_questions", "answer_questions", "print_quiz"),
            {"quiz": 'Quiz: rain\n\nQuestions: ["Why rain?","When?"]\n\nKey: ["so","now"]'},
            ('Questions: ["Why rain?","When?"]',),
        ),
    ),
    "review_code": (
        Scenario(
            CODE,
            {
                "List the bugs in this Python code": lambda prompt: [after("Code: ", "bug in {}")(prompt)],
                "List the security holes": [],
                "easier to read": "name things",
                "kind code review": after("Bugs: ", "Review: {}"),
            },
            (both("find_bugs", "find_holes", "read_style"), "gather", "request_changes"),
            {"verdict": "Changes needed", "review": 'Review: ["bug in print(1/0)"]'},
            ("Style: name things",),
        ),
        Scenario(
            CODE,
            {
                "List the bugs in this Python code": [],
                "List the security holes": [],
                "easier to read": after("Code: ", "all of {}"),
                "kind code review": after("Style: ", "Fine: {}"),
            },
            (both("find_bugs", "find_holes", "read_style"), "gather", "approve"),
            {"verdict": "Approved", "review": "Fine: all of print(1/0)"},
        ),
    ),
    "screen_cv": (
        Scenario(
            CV,
            {
                "Compare this CV": lambda prompt: {
                    "score": 6,
                    "strengths": [after("CV: ")(prompt)],
                    "gaps": [],
                },
                "invitation to an interview": after("what we liked: "),
            },
            ("match_job", "invite"),
            {
                "match": {"score": 6, "strengths": ["four years in a bakery"], "gaps": []},
                "letter": '["four years in a bakery"]',
            },
            ("Judge skills and experience only.", "Job: baker, early shifts"),
        ),
        Scenario(
            {**CV, "pass_mark": 7},
            {
                "Compare this CV": {"score": 6, "strengths": [], "gaps": ["no licence"]},
                "kind refusal": after("know only: "),
            },
            ("match_job", "decline"),
            {"match": {"score": 6, "strengths": [], "gaps": ["no licence"]}, "letter": '["no licence"]'},
        ),
    ),
    "incident_report": (
        Scenario(
            NOTES,
            {
                "List the events": lambda prompt: [after("Notes: ")(prompt)],
                "most likely cause": {"cause": "disk full", "customers_hit": True},
                "Write an incident report": after("Timeline: ", "Report {}"),
                "notice of three sentences": after("Cause: ", "Sorry: {}"),
            },
            (both("order_events", "find_cause"), "write_report", "write_notice"),
            {"report": 'Report ["10:02 the shop failed"]', "notice": "Sorry: disk full"},
        ),
        Scenario(
            NOTES,
            {
                "List the events": ["10:02"],
                "most likely cause": {"cause": "disk full", "customers_hit": False},
                "Write an incident report": after("Cause: ", "Report {}"),
            },
            (both("order_events", "find_cause"), "write_report"),
            {"report": "Report disk full", "notice": ""},
        ),
    ),
    "press_release": (
        Scenario(
            {"facts": "a hall for children opens"},
            {
                "three short paragraphs": after("Facts: ", "News: {}"),
                "Attempt 0.": {"headline": "Hall", "good_enough": False},
                "Attempt 1.": lambda prompt: {
                    "headline": after("Last headline: ", "Better {}")(prompt),
                    "good_enough": True,
                },
            },
            ("write_body", "write_headline", "write_headline", "put_together"),
            {
                "headline": "Better Hall",
                "release": "# Better Hall\n\nNews: a hall for children opens",
            },
            ("Text: News: a hall for children opens",),
        ),
        Scenario(
            {"facts": "rain", "layout": "{headline}!"},
            {
                "three short paragraphs": after("Facts: "),
                "Write a headline": {"headline": "Wet", "good_enough": False},
            },
            ("write_body", "write_headline", "write_headline", "write_headline", "put_together"),
            {"headline": "Wet", "release": "Wet!"},
            ("Attempt 2.",),
        ),
    ),
    "study_plan": (
        Scenario(
            {"subject": "Italian", "weeks": 3, "hours_per_week": 4.5},
            {
                "List the topics": lambda prompt: [after("Subject: ", "Basic {}")(prompt)],
                "over 3 weeks with 4.5 hours": after("Topics: ", "Week 1: {}"),
            },
            ("split", "spread"),
            {"topics": ["Basic Italian"], "plan": 'Week 1: ["Basic Italian"]'},
        ),
    ),
    "summarise_page": (
        Scenario(
            {"url": "{server}/page", "focus": "all prices"},
            {"List all prices": lambda prompt: [after("Page: ")(prompt)]},
            ("fetch", "summarise"),
            {"points": ["A loaf costs 3 euros."]},
        ),
    ),
    "explain_csv": (
        Scenario(
            {"csv": "month,sales\nMay,12\n", "question": "Which month?"},
            {"Answer this question about the data": after("Data: ", "It says {}")},
            ("read", "explain"),
            {"answer": 'It says [{"month":"May","sales":"12"}]'},
            ("Question: Which month?",),
        ),
    ),
    "check_config": (
        Scenario(
            {"config": "debug: true\n"},
            {
                "Explain in a few plain sentences": after("Settings: ", "It sets {}"),
                "List what is risky": lambda prompt: [after("Settings: ", "Risk: {}")(prompt)],
            },
            ("read", both("explain", "warn")),
            {"explanation": 'It sets {"debug":true}', "risks": ['Risk: {"debug":true}']},
        ),
    ),
    "translate_to_many": (
        Scenario(
            {"text": "Close the gate.", "third_language": "Danish"},
            {
                "into English": after("Text: ", "en: {}"),
                "into French": after("Text: ", "fr: {}"),
                "into Danish": after("Text: ", "da: {}"),
            },
            (both("translate_first", "translate_second", "translate_third"),),
            {"translations": ["en: Close the gate.", "fr: Close the gate.", "da: Close the gate."]},
        ),
    ),
    "brainstorm_and_pick": (
        Scenario(
            {"goal": "a party", "count": 2},
            {
                "Give 2 different ideas": lambda prompt: ["a picnic", after("Goal: ", "dance at {}")(prompt)],
                "Pick the best": after("Ideas: ", "Best of {}"),
                "List the first three steps": lambda prompt: [after("Idea: ", "1. {}")(prompt)],
            },
            ("collect", "pick", "plan"),
            {
                "ideas": ["a picnic", "dance at a party"],
                "best": 'Best of ["a picnic","dance at a party"]',
                "first_steps": ['1. Best of ["a picnic","dance at a party"]'],
            },
        ),
    ),
    "report_from_api": (
        Scenario(
            {"url": "{server}/data.json", "question": "Which is larger?"},
            {"Answer the question from the data": after("Data: ", "From {}")},
            ("fetch", "read", "answer"),
            {"answer": 'From {"a":1,"b":2}'},
            ("Question: Which is larger?",),
        ),
    ),
}
