"""The open workflow changed by plain words that name no step: numbers, settings, defaults, inputs, tone and length.

What code can't read for certain is asked in one question, or left to who comes next; a message of several changes is
carried out as a whole or not at all.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence

from chat.assistant.drafting import Drafting
from chat.assistant.edits import apply_edits
from chat.assistant.small.adding import new_input
from chat.assistant.small.building import save
from chat.assistant.small.editing import carry_out
from chat.assistant.small.numbers import N, exchanged, set_by_name
from chat.assistant.small.orders import Order
from chat.assistant.small.places import Plain, Unsure, meant, nodes_of
from chat.assistant.small.renaming import renamed
from chat.assistant.small.rewiring import Cannot
from chat.assistant.small.saying import given, said, trimmed
from chat.assistant.small.settings import default, settings, style, tag
from chat.assistant.small.talking import explain_current, ready
from chat.assistant.turn import Outcome, Turn
from chat.events import Event, Question, Text
from engine.check import check
from engine.document import Document, read_document

LONGEST = 300  # characters of a message that is read as a change
_NEW = re.compile(
    r"^\W*(?:please\s+|now\s+|(?:can|could)\s+you\s+)*(?:make|build|create|draft|design|set\s+up|write)\s+(?:me\s+|us\s+)?"
    r"(?:an?|another|some\w*|new)\b(?!\s+(?:step|input|field))"
    r"|\b(?:new|another|different|separate)\s+(?:workflow|one)\b|\bi\s+(?:want|need|'d\s+like)\s+an?\s+(?:\w+\s+)?workflow\b"
    r"|\bworkflow\s+(?:that|which|for)\b",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"^\W*(?:and|no|nah|also|but|please\s+)?\s*(?:add|remove|drop|delete|rename|change|raise|lower|increase|decrease|replace|swap|"
    r"move|keep|put|make\s+(?:it|the|them))\b|\b(?:steps?|instead|as\s+well|too|not\s+any\s*more|the\s+workflow|should|must|has\s+to|"
    r"needs?\s+to|have\s+to|soll\w*|statt)\b",
    re.IGNORECASE,
)
_HINT = re.compile(
    r"^\s*(?:in|for)\s+(?:the\s+)?step\s+(?P<s>\w+)\s*[,:]\s*(?P<t>.+)$", re.IGNORECASE | re.DOTALL
)
_DROP = re.compile(
    r"^(?:nah,?\s+|no,?\s+)?(?:remove|delete|drop|leave\s+out|take\s+out|get\s+rid\s+of|strike)\s+"
    r"(?:the\s+)?(?P<s>[\w ]+?)"
    r"(?:\s+(?:one|stuff|part|again|after\s+all|too))*$",
    re.IGNORECASE,
)
_RENAME = re.compile(
    r"^(?:rename|call)\s+(?:it|this|the\s+workflow|this\s+workflow|my\s+workflow)\s+(?:(?:to|as|into)"
    r"\s+)?[`'\"“]?(?P<n>[\w -]+?)[`'\"”]?$",
    re.IGNORECASE,
)
_WHAT = re.compile(
    r"^\s*(?:ok\W+)?(?:what|which)\s+(?:are\s+)?(?:its\s+|the\s+)?(?:inputs|steps)\b[^.!\n]{0,40}\?\s*$",
    re.IGNORECASE,
)
Events = AsyncIterator[Event | Outcome]


def is_new(text: str) -> bool:
    """Whether a message asks for another workflow in so many words."""
    return _NEW.search(text) is not None and _HINT.match(text) is None


def is_about(text: str) -> bool:
    """Whether a message speaks of a change."""
    return _ABOUT.search(text) is not None


def read(text: str, document: Document) -> Plain | Unsure | None:
    """The change that a message asks for, None where code can't tell."""
    hinted = _HINT.match(text)
    hint = (hinted["s"],) if hinted else ()
    if hint and hint[0] not in {node["id"] for node in nodes_of(document)}:
        return None
    words = hinted["t"] if hinted else _begun(text)
    if len(text) > LONGEST or "\n" in text.strip() or text.strip().endswith("?"):
        return None
    return _whole(text, words, document, hint) or _parts(words, document, hint)


def _begun(text: str) -> str:
    """The message without an "ok." before it."""
    return re.sub(
        r"^\s*(?:ok(?:ay)?|great|good|thanks?|yes|no|nah|fine|super|gut)\s*[.,!]\s+",
        "",
        text,
        flags=re.IGNORECASE,
    )


def _whole(text: str, words: str, document: Document, hint: Sequence[str]) -> Plain | Unsure | None:
    if len(_sentences(words)) > 1:
        return new_input(words, document, hint)
    return _one(text, words, document, hint)


def _one(text: str, words: str, document: Document, hint: Sequence[str]) -> Plain | Unsure | None:
    """One change. What names more comes first, so that nothing of it gets lost."""
    clause = trimmed(words)
    found = (
        new_input(words, document, hint)
        or exchanged(text if hint else clause, document)
        or settings(clause, document, hint)
        or default(clause, document)
        or tag(clause, document)
        or given(clause, document)
    )
    if found or len(re.findall(rf"(?<!\w){N}(?!\w)", clause, re.IGNORECASE)) > 1:
        return found
    return (None if hint else set_by_name(clause, document) or style(clause, document)) or said(
        words, document, hint
    )


def _sentences(words: str) -> list[str]:
    return [part for part in re.split(r"(?<=[^\d\W])[.;!]\s+", words.strip()) if part.strip()]


def _parts(words: str, document: Document, hint: Sequence[str]) -> Plain | None:
    """Several changes in one message, one after the other; None unless every one of them is plain."""
    parts = _sentences(words)
    if len(parts) < 2:
        parts = [part for part in re.split(r",\s*(?:and\s+)?", words) if part.strip()]
    if len(parts) < 2:
        return None
    done: list[Plain] = []
    for part in parts:
        found = _one(part, part, document, hint)
        text = _edited(document, found) if isinstance(found, Plain) else None
        if text is None or not isinstance(found, Plain):
            return None
        done.append(found)
        document = read_document(text)
    edits = tuple(edit for one in done for edit in one.edits)
    return Plain(
        edits, "; ".join(one.done for one in done), tuple(step for one in done for step in one.steps)
    )


def _edited(document: Document, plain: Plain) -> str | None:
    """The text with the edits made one after the other; None where one can't be made."""
    text = document.text
    for edit in plain.edits:
        text, wrong = apply_edits(text, [edit])
        if wrong:
            return None
    return text


async def take_up(turn: Turn) -> Events | None:
    """The events of a change that code can read, None where it can't."""
    if turn.workflow is None or is_new(turn.text):
        return None
    document = read_document(turn.workflow.yaml)
    checked = await asyncio.to_thread(check, turn.workflow.yaml, turn.house.tools)
    if checked.workflow is None:
        return None
    if _RENAME.match(trimmed(turn.text)):
        return _not_renamed(turn.workflow.name)
    if _WHAT.match(turn.text):
        return explain_current(turn)
    if events := _renamed(turn, document):
        return events
    removal = _DROP.match(trimmed(turn.text))
    if removal and (events := _removed(turn, document, removal["s"])):
        return events
    found = read(turn.text, document)
    if isinstance(found, Unsure):
        return _ask(found)
    return _make(turn, document, found) if found else None


async def _ask(unsure: Unsure) -> Events:
    yield Question(unsure.question, [{"label": label, "value": value} for label, value in unsure.options])


async def _not_renamed(name: str) -> Events:
    yield Text(
        f"I can't rename **{name}** from here, as its runs and schedules have to follow. Rename it in the list of "
        "workflows on the page; nothing was changed."
    )


def _renamed(turn: Turn, document: Document) -> Events | None:
    try:
        found = renamed(trimmed(turn.text), document)
    except Cannot as why:
        return _say(str(why))
    return _keep(turn, *found) if found else None


async def _say(words: str) -> Events:
    yield Text(words)


def _removed(turn: Turn, document: Document, name: str) -> Events | None:
    steps = meant(name, document, nodes_of(document))
    if not steps:
        return None
    if len(steps) > 1:
        options = tuple((str(node["id"]), f"Remove the {node['id']} step") for node in steps[:5])
        return _ask(Unsure("Which step shall I remove?", options))
    return _without(turn, document, str(steps[0]["id"]))


async def _without(turn: Turn, document: Document, step: str) -> Events:
    try:
        text, done = carry_out(document, Order("remove", step))
    except Cannot as why:
        yield Text(f"{why} Nothing was changed.")
        return
    async for event in _keep(turn, text, done):
        yield event


async def _make(turn: Turn, document: Document, plain: Plain) -> Events:
    text = _edited(document, plain)
    if text is None:
        yield Text(
            "I found what you mean, but could not change it here without touching more. Change it in the editor."
        )
    elif text == document.text:
        yield Text("That is how it is already, so nothing was changed.")
    else:
        async for event in _keep(turn, text, plain.done):
            yield event


async def _keep(turn: Turn, text: str, done: str) -> Events:
    """Save what the checker accepts, and say what was changed."""
    saved = turn.workflow
    checked = await asyncio.to_thread(check, text, turn.house.tools)
    if saved is None or checked.workflow is None:
        why = checked.errors[0].message if checked.errors else "there is no workflow"
        yield Text(f"That would break the workflow, so nothing was changed: {why}")
        return
    async for event in save(Drafting(turn), text, done, saved):
        yield event
    yield Text(f"{done}.\n")
    yield ready(turn.workflow.name if turn.workflow else saved.name, {}, sample=False)
