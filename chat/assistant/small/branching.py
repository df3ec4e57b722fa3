"""Branches by guided questions: what decides it, what are the cases, what happens in each, and what comes after.

The answers so far ride on the open question, so a restart loses none. A condition that a person states in one sentence
("if …, …, otherwise …") is read by code and needs no question.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from chat.assistant.drafting import Drafting
from chat.assistant.plan.outline import named
from chat.assistant.small import commands, talking
from chat.assistant.small.steps import split_steps
from chat.assistant.small.words import read_request
from chat.assistant.turn import Outcome, Turn
from chat.assistant.wiring import Plan, PlanInput, PlanStep, wire
from chat.assistant.wiring_names import case_value, identifier, slug
from chat.assistant.wiring_text import one_line
from chat.events import Event, Question, Text

Events = AsyncIterator[Event | Outcome]

MOST_CASES = 8
_NOTHING = re.compile(
    r"(?:nothing(?: (?:more|else))?|no|none|skip|that'?s (?:all|it)|it ends?(?: there)?|end|done|leave it|-)[\s.!]*",
    re.IGNORECASE,
)
_IF = re.compile(
    r"^(?P<before>.*?)(?:^|(?<=[.;,\n])\s*|\b(?:and|then)\s+)(?:if|when|in case)\s+(?P<what>[^,;:.\n]{3,200}?)\s*"
    r"(?:,\s*(?:then\s+)?|\s+then\s+|:\s+)(?P<yes>[^\n]{3,400}?)"
    r"(?:[,;.]?\s*(?:and\s+|but\s+)?(?:otherwise|else|if\s+not)\b[\s,:]*(?P<no>[^\n.;]{3,400}))?[.!]?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_LEAD = re.compile(
    r"^(?:it'?s|it is|we look at|look at|on|the|depends on|it depends on|whether)\s+", re.IGNORECASE
)


def condition(text: str) -> tuple[list[str], str, list[str], list[str]] | None:
    """(steps before, what is asked, steps if so, steps otherwise) of "if …, …, otherwise …"; None for other words."""
    found = _IF.search(text.strip())
    if found is None or "?" in text:
        return None
    before = split_steps(re.sub(r"[,;]?\s*(?:and|then)\s*$", "", found.group("before").strip()))
    no = found.group("no")
    return (
        before,
        one_line(found.group("what")),
        split_steps(found.group("yes")),
        split_steps(no) if no else [],
    )


def build_condition(turn: Turn, steps: Sequence[str], request: str = "") -> Events | None:
    """The workflow of steps one of which states a condition; None where none does."""
    for number, step in enumerate(steps):
        if found := condition(step):
            before, what, yes, no = found
            around = [*steps[:number], *before], steps[number + 1 :]
            return _build(
                turn,
                f"Decide whether this is so: {what}",
                {"yes": yes, "no": no},
                around[1],
                request,
                around[0],
            )
    return None


async def ask(turn: Turn, request: str) -> Events:
    """The first of the questions."""
    yield Question(
        "What decides how it goes on? For example “what the ticket is about” or “whether the review is good”.",
        [],
        {"kind": "branch", "stage": "what", "request": request},
    )


def branch_given(turn: Turn, about: Mapping[str, Any]) -> Events | None:
    """An answer to one of the questions; None where it is a command or a larger model can read it."""
    from chat.assistant.small import is_small

    said = turn.text.strip()
    if (
        not is_small(turn.info)
        or commands.read(said)
        or (commands.is_exit(said) and not _NOTHING.fullmatch(said))
    ):
        return None
    stages = {"what": _what, "cases": _cases, "happens": _happens, "after": _after}
    stage = stages.get(str(about.get("stage")))
    return stage(turn, about) if stage else None


async def _what(turn: Turn, about: Mapping[str, Any]) -> Events:
    what = one_line(turn.text).rstrip(".!?")[:200]
    text = f"What are the cases? Say them with commas between, for example “{_for_example(what)}”."
    options = [{"label": "yes, no", "value": "yes, no"}] if what.lower().startswith("whether") else []
    yield Question(text, options, {**about, "stage": "cases", "what": what})


def _for_example(what: str) -> str:
    return "yes, no" if what.lower().startswith("whether") else "refund, question, everything else"


async def _cases(turn: Turn, about: Mapping[str, Any]) -> Events:
    cases = read_cases(turn.text)
    if len(cases) < 2:
        yield Question("I need at least two cases, with commas between.", [], dict(about))
        return
    yield _ask_case({**about, "stage": "happens", "cases": cases, "happens": []})


def read_cases(text: str) -> list[str]:
    """Cases with commas, semicolons, "or", "and" or lines between them; each once."""
    parts = re.split(r"\n|[,;/]|\s+(?:or|and|oder|und)\s+", text.strip().rstrip(".!?"))
    named = (
        re.sub(r"^(?:(?:or|and|either)\s+|[-*•]\s*|\(?\d{1,2}[.)]\s*)+", "", part.strip()) for part in parts
    )
    found: dict[str, str] = {}
    for case in map(case_value, named):
        if case:
            found.setdefault(case.casefold(), case)
    return list(found.values())[:MOST_CASES]


def _ask_case(about: Mapping[str, Any]) -> Question:
    case = about["cases"][len(about["happens"])]
    return Question(
        f"What happens in the case “{case}”? One step per line, or “nothing”.",
        [{"label": "Nothing", "value": "Nothing"}],
        dict(about),
    )


async def _happens(turn: Turn, about: Mapping[str, Any]) -> Events:
    steps = [] if _NOTHING.fullmatch(turn.text.strip()) else split_steps(turn.text)
    about = {**about, "happens": [*about["happens"], steps]}
    if len(about["happens"]) < len(about["cases"]):
        yield _ask_case(about)
        return
    yield Question(
        "And what comes after that, whichever case it was? One step per line, or “nothing”.",
        [{"label": "Nothing", "value": "Nothing"}],
        {**about, "stage": "after"},
    )


async def _after(turn: Turn, about: Mapping[str, Any]) -> Events:
    after = [] if _NOTHING.fullmatch(turn.text.strip()) else split_steps(turn.text)
    cases = dict(zip(about["cases"], about["happens"], strict=True))
    what = f"Decide: {_LEAD.sub('', str(about['what']))}"
    async for event in _build(turn, what, cases, after, str(about.get("request") or "")):
        yield event


async def _build(
    turn: Turn,
    what: str,
    cases: Mapping[str, Sequence[str]],
    after: Sequence[str],
    request: str,
    before: Sequence[str] = (),
) -> Events:
    if not any(cases.values()):
        yield Text("Then nothing depends on it, so there is nothing to build.")
        return
    from chat.assistant.small.building import save

    plan = branch_plan(what, cases, after, read_request(request).wish if request else "", before)
    drafting, had = Drafting(turn), turn.workflow
    async for event in save(drafting, wire(plan), f"Made with {len(cases)} cases", None):
        yield event
    if turn.workflow is None or turn.workflow is had:
        return
    lines = [f"- “{case}”: {' → '.join(steps) or 'nothing'}" for case, steps in cases.items()]
    first = "".join(f"{step} → " for step in before)
    yield Text(f"I made a workflow: {first}{what}.\n\n" + "\n".join(lines) + _then(after))
    payload = read_request(request).payload if request else ""
    yield talking.ready(turn.workflow.name, {"text": payload} if payload else {}, sample=False)


def _then(after: Sequence[str]) -> str:
    return f"\n\nThen: {' → '.join(after)}.\n" if after else "\n"


def branch_plan(
    what: str,
    cases: Mapping[str, Sequence[str]],
    after: Sequence[str],
    request: str,
    before: Sequence[str] = (),
) -> Plan:
    """Steps, a decision, a chain per case, whose ends fill one field, and what comes after all of them."""
    steps: list[PlanStep] = []
    for sentence in before:
        steps.append(_next(steps, sentence))
    decide = PlanStep(what, "decide", ("text", *(s.id for s in steps[-1:])), cases=tuple(cases))
    steps.append(decide)
    common = steps[-2:-1] if before else []
    ends: list[str] = []
    for case, sentences in cases.items():
        own = list(common)
        for number, sentence in enumerate(sentences, 1):
            step = _next(own, sentence, taken=steps, only=("decide", case))
            own.append(step)
            result = "answer" if number == len(sentences) else ""
            steps.append(PlanStep(step.sentence, step.id, step.needs, only=step.only, result=result))
        ends += [own[-1].id] if sentences else []
    for number, sentence in enumerate(after):
        needs = ("text", *ends) if not number else ("text", steps[-1].id)
        steps.append(PlanStep(sentence, _free(sentence, steps), needs, after=("decide",)))
    words = request or f"{what}; {', '.join(cases)}"
    return named(Plan(slug(words, 4), words, (PlanInput("text", "The text to work on"),), tuple(steps)))


def _next(
    own: Sequence[PlanStep],
    sentence: str,
    taken: Sequence[PlanStep] | None = None,
    only: tuple[str, str] | None = None,
) -> PlanStep:
    """A step after the last of these."""
    needs = ("text", *(step.id for step in own[-1:]))
    return PlanStep(sentence, _free(sentence, own if taken is None else taken), needs, only=only)


def _free(sentence: str, steps: Sequence[PlanStep]) -> str:
    base = identifier(sentence, 3) or f"step_{len(steps) + 1}"
    taken = {"text", "decide", *(step.id for step in steps)}
    return next(name for n in range(1, 999) if (name := base if n == 1 else f"{base}_{n}") not in taken)
