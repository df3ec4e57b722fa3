"""The outline of a big workflow: read from a model's words or a person's list, shown, and asked about.

All that is needed to go on rides on the question, so it is there after a restart and on every channel.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from chat.assistant.wiring import KINDS, MOST_STEPS, TYPES, Plan, PlanInput, PlanStep
from chat.assistant.wiring_names import name_all, slug
from chat.assistant.wiring_text import one_line
from chat.events import Outline, Question

FEW = 8
"""Up to so many steps a workflow is written at once."""
LONGEST_SENTENCE = 300
_LISTED = re.compile(r"^[ \t]*\(?(\d{1,2})[.)][ \t]+(\S.*)$", re.MULTILINE)
_OF_STEPS = re.compile(
    r"\b(?:workflow|steps?|process|pipeline|procedure|automate|ablauf|schritte?|prozess|étapes?|pasos|proceso)\b",
    re.IGNORECASE,
)


def _text(longest: int, description: str) -> dict[str, Any]:
    return {"type": "string", "maxLength": longest, "description": description}


def _object(properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


_INPUT = _object(
    {
        "name": _text(40, "An identifier"),
        "type": {"type": "string", "enum": list(TYPES)},
        "description": _text(200, "What the person gives"),
    },
    ["name", "type", "description"],
)
_STEP = {
    "kind": {
        "type": "string",
        "enum": list(KINDS),
        "description": "llm: a model writes or judges; ask: a person decides or approves; tool: one tool is called; "
        "code: something exact",
    },
    "needs": {
        "type": "array",
        "maxItems": 12,
        "items": _text(40, "A name"),
        "description": "The inputs and the ids of the earlier steps whose results it uses; steps that don't need each "
        "other run side by side",
    },
    "cases": {
        "type": "array",
        "maxItems": 8,
        "items": _text(60, "A case"),
        "description": "Only where it decides how things go on (llm or ask): the cases to choose from",
    },
    "only": _object(
        {"step": _text(40, "The id of the step that decides"), "case": _text(60, "One of its cases")},
        ["step", "case"],
    )
    | {"description": "Only where it runs in one case alone"},
    "each": _text(
        40, "Only where it runs once per element: the list's input, or the step that gives the list"
    ),
    "tool": _text(60, "Only for kind tool: the tool's name"),
}
OUTLINE: Mapping[str, Mapping[str, Any]] = {
    "name": _text(60, "The workflow's name"),
    "description": _text(300, "What it does, in a sentence"),
    "inputs": {
        "type": "array",
        "maxItems": 12,
        "items": _INPUT,
        "description": "What a person gives before it runs",
    },
    "steps": {
        "type": "array",
        "minItems": 1,
        "maxItems": MOST_STEPS,
        "description": "In the order in which a person would do them",
        "items": _object(
            {
                "id": _text(40, "An identifier"),
                "sentence": _text(LONGEST_SENTENCE, "What it does, in the person's language"),
                **_STEP,
            },
            ["id", "sentence", "kind", "needs"],
        ),
    },
}
"""The arguments of an outline, for models."""


def order_schema(ids: Sequence[str]) -> dict[str, Any]:
    """What a model adds to steps that the person listed: everything but the words and the order."""
    step = _object({"id": {"const": ""}, **_STEP}, ["kind", "needs"])
    del step["properties"]["id"]
    parts = {name: OUTLINE[name] for name in ("name", "description", "inputs")}
    count = {"minItems": len(ids), "maxItems": len(ids)}
    return _object({**parts, "steps": {"type": "array", **count, "items": step}}, [*parts, "steps"])


def listed_steps(text: str) -> list[str]:
    """The steps that a message lists by number where it lists more than a few and speaks of steps; else none."""
    found = _LISTED.findall(text)
    numbers = [int(number) for number, _ in found]
    if len(found) <= FEW or numbers != list(range(1, len(found) + 1)):
        return []
    head = text[: _LISTED.search(text).start()]  # type: ignore[union-attr]
    if head.strip() and not _OF_STEPS.search(head):
        return []
    return [one_line(sentence)[:LONGEST_SENTENCE] for _, sentence in found][:MOST_STEPS]


def read_plan(args: Mapping[str, Any], tools: Collection[str], sentences: Sequence[str] = ()) -> Plan:
    """The plan that a model's outline means, with every id made unique; `sentences` are the person's own words."""
    inputs = tuple(
        PlanInput(str(item.get("name", "")), str(item.get("description", "")), str(item.get("type", "str")))
        for item in args.get("inputs") or ()
    )
    given = list(args.get("steps") or ())
    steps = [_read_step(item, tools) for item in given]
    if sentences:
        steps = [
            replace(step, sentence=sentence, id=f"step_{number}")
            for number, (step, sentence) in enumerate(zip(steps, sentences, strict=False), 1)
        ]
    return named(Plan(str(args.get("name") or ""), str(args.get("description") or ""), inputs, tuple(steps)))


def _read_step(item: Mapping[str, Any], tools: Collection[str]) -> PlanStep:
    only, kind, tool = item.get("only"), str(item.get("kind", "llm")), str(item.get("tool") or "")
    if kind not in KINDS or (kind == "tool" and tool not in tools):
        kind = "llm"
    return PlanStep(
        one_line(str(item.get("sentence", "")))[:LONGEST_SENTENCE],
        str(item.get("id", "")),
        tuple(map(str, item.get("needs") or ())),
        kind=kind,
        cases=tuple(map(str, item.get("cases") or ())),
        only=(str(only["step"]), str(only["case"])) if only else None,
        each=str(item.get("each") or ""),
        tool=tool if kind == "tool" else "",
    )


def named(plan: Plan) -> Plan:
    """The plan with the names that stand in the document, so that what speaks of a step goes on to mean it."""
    names = name_all(plan)

    def known(name: str) -> str:
        kind, number = names.place.get(name, ("", 0))
        return names.inputs[number] if kind == "input" else names.ids[number] if kind == "step" else name

    inputs = tuple(replace(given, name=name) for given, name in zip(plan.inputs, names.inputs, strict=True))
    steps = tuple(
        replace(
            step,
            id=own,
            needs=tuple(map(known, step.needs)),
            after=tuple(map(known, step.after)),
            only=(known(step.only[0]), step.only[1]) if step.only else None,
            each=known(step.each) if step.each else "",
        )
        for step, own in zip(plan.steps, names.ids, strict=True)
    )
    return replace(plan, inputs=inputs, steps=steps)


def chain(sentences: Sequence[str], request: str) -> Plan:
    """Steps that follow each other, each seeing the text and what came before it."""
    text = PlanInput("text", "The text or the topic to work on")
    words = request or "; ".join(sentences)
    plan = Plan(
        slug(request, 4) or slug(" ".join(sentences), 4), words, (text,), tuple(map(PlanStep, sentences))
    )
    ids = name_all(plan).ids
    steps = (
        replace(step, id=own, needs=("text", *ids[max(number - 1, 0) : number]))
        for number, (step, own) in enumerate(zip(plan.steps, ids, strict=True))
    )
    return replace(plan, steps=tuple(steps))


def shown(
    plan: Plan, outline_id: str, status: Mapping[str, str] | None = None, *, is_open: bool = True
) -> Outline:
    """The outline as people see it. `status` is by step id."""
    steps = [
        {"id": step.id, "sentence": _in_words(plan, step), "status": (status or {}).get(step.id, "planned")}
        for step in plan.steps
    ]
    return Outline(outline_id, plan.description or plan.name, steps, open=is_open)


def _in_words(plan: Plan, step: PlanStep) -> str:
    """The sentence, with when it runs."""
    notes = list(_notes(plan, step))
    return f"{step.sentence} ({'; '.join(notes)})" if notes else step.sentence


def _notes(plan: Plan, step: PlanStep) -> Iterator[str]:
    numbers = {other.id: number for number, other in enumerate(plan.steps, 1)}
    if step.only and step.only[0] in numbers:
        yield f"only if step {numbers[step.only[0]]} says “{step.only[1]}”"
    if step.kind == "ask":
        yield "asks a person"
    if step.cases:
        yield " / ".join(step.cases)


def question(plan: Plan, outline_id: str, request: str, note: str = "") -> Question:
    """Asks whether to build it."""
    about = {"kind": "outline", "id": outline_id, "plan": plan.to_dict(), "request": request[:2000]}
    return Question(
        f"{note}Shall I build these {len(plan.steps)} steps? You can also say what to change, such as “drop 3, swap 1 "
        "and 2, add 'check the dates' after 4, build it”.",
        [{"label": "Build it", "value": "Build it"}, {"label": "Drop the plan", "value": "Drop the plan"}],
        about,
    )
