"""Scripted runs of the gallery workflows with code, questions, lists and failures; see `gallery_scenarios`."""

from __future__ import annotations

from collections.abc import Mapping

from tests.gallery_scenarios import Scenario, after

LETTER = {"task": "a letter about rain"}
TRIP = {
    "expenses": [
        {"who": "Ana", "amount": 60, "what": "petrol"},
        {"who": "Ben", "amount": 30.5, "what": "food"},
        {"who": "Cem", "amount": 0, "what": "nothing"},
    ]
}
SURVEY = {"topic": "opening hours", "answers": ["much better", "worse", "I do not mind", "fine"]}


def _mood(prompt: str) -> str:
    return {"much better": "for", "fine": "For.", "worse": "against"}.get(
        after("Answer: ")(prompt), "undecided"
    )


KIND_SCENARIOS: Mapping[str, tuple[Scenario, ...]] = {
    "write_with_approval": (
        Scenario(
            LETTER,
            {"Write this, ready to use": after("use: ", "draft of {}")},
            ("write", "show"),
            {"draft": "draft of a letter about rain", "wish": ""},
            replies=(("draft of a letter about rain", "approve"),),
        ),
        Scenario(
            LETTER,
            {
                "Write this, ready to use": after("use: ", "draft of {}"),
                "Change this draft": lambda prompt: (
                    after("Draft: ", "{}, ")(prompt) + after("Wish: ")(prompt)
                ),
            },
            ("write", "show", "ask_for_wish", "change", "show", "ask_for_wish", "change", "show"),
            {"draft": "draft of a letter about rain, shorter, merrier", "wish": "merrier"},
            replies=(
                ("draft of a letter about rain", "reject"),
                ("What should be different?", "shorter"),
                ("rain, shorter", False),
                ("What should be different?", "merrier"),
                ("rain, shorter, merrier", True),
            ),
        ),
    ),
    "digest_pages": (
        Scenario(
            {"urls": ["{server}/page", "http://127.0.0.1:9/nothing"], "question": "What does a loaf cost?"},
            {
                "A loaf costs 3 euros": "It says 3 euros.",
                "Page: \n": "It could not be read.",
                "Answer the question from these notes": after("Notes: "),
            },
            ("fetch", "note", "answer"),
            {
                "notes": ["It says 3 euros.", "It could not be read."],
                "answer": '["It says 3 euros.","It could not be read."]',
            },
        ),
        Scenario(
            {"urls": [], "question": "What?"},
            {"Answer the question from these notes": after("Notes: ")},
            ("fetch", "note", "answer"),
            {"notes": [], "answer": "[]"},
        ),
    ),
    "split_expenses": (
        Scenario(
            TRIP,
            {"how the costs are settled": after("Payments: ")},
            ("settle", "tell"),
            {
                "payments": ["Cem pays Ana 29.83", "Cem pays Ben 0.33"],
                "message": '["Cem pays Ana 29.83","Cem pays Ben 0.33"]',
            },
            ("Share of each: 30.17",),
        ),
        Scenario(
            {"expenses": []},
            {"how the costs are settled": after("Payments: ")},
            ("settle", "tell"),
            {"payments": [], "message": "[]"},
        ),
    ),
    "survey_report": (
        Scenario(
            SURVEY,
            {"Is this answer for it": _mood, "Write a report": after("Figures: ")},
            ("judge", "count", "report"),
            {
                "counts": {"for": 2, "against": 1, "undecided": 1},
                "report": '{"for":2,"against":1,"undecided":1}',
            },
            ("Topic: opening hours",),
        ),
    ),
    "inspect_site": (
        Scenario(
            {"url": "{server}/page"},
            {"Say in two sentences": after("Words: ")},
            ("fetch", "measure", "describe"),
            {"words": 5, "verdict": "5, the longest is costs"},
            ("Status: 200\n", "A loaf costs 3 euros."),
        ),
        Scenario(
            {"url": "http://127.0.0.1:9/nothing"},
            {"Explain to a person": after("Address: ", "{} is down")},
            ("fetch", "explain"),
            {"verdict": "http://127.0.0.1:9/nothing is down", "words": 0},
            ("Error: ",),
        ),
    ),
    "choose_and_plan": (
        Scenario(
            {"occasion": "rain"},
            {
                "Suggest three quite different things": lambda prompt: [
                    "museum",
                    after("Occasion: ")(prompt),
                    "baking",
                ],
                "Plan this in five short steps": lambda prompt: [after("Chosen: ")(prompt)],
            },
            ("suggest", "choose", "plan"),
            {"choice": "baking", "plan": ["baking"]},
            ("Occasion: rain",),
            replies=(("Which of these", "Baking"),),
        ),
    ),
    "practise_questions": (
        Scenario(
            {"topic": "capitals", "count": 2},
            {
                "Make 2 short questions": lambda prompt: ["Peru?", after("Topic: ")(prompt)],
                "Mark these answers": [1, 0],
                "Say in two friendly sentences": lambda prompt: (
                    after("Points: ")(prompt) + after("Answers: ")(prompt)
                ),
            },
            ("make", "put", "pair", "count_points", "advise"),
            {"points": "1 of 2", "feedback": '1 of 2["Lima","no idea"]'},
            ('Answers: ["Lima","no idea"]',),
            replies=(("Peru?", "Lima"), ("capitals", "no idea")),
        ),
    ),
}
