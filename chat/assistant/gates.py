"""What code does not leave to a model, however it was talked into it: a run, another workflow, a secret that nobody
spoke of. Where the person's own words do not ask for it, the person is asked, and code acts on the yes.

Data that a model reads (results, documents, names, files) may hold instructions; a model may follow them. So nothing
here looks at what a model says about the person's wish.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from chat.assistant import intent
from chat.assistant.pending import yes_or_no
from chat.assistant.questions import ASKED
from chat.assistant.turn import OPENED, Outcome, Turn
from chat.events import DraftChanged, Event, Question, RunStarted, Text
from chat.turns import CurrentWorkflow, PastMessage

RUN, OPEN = "run", "open"
RUN_IT, NOT_NOW = "Run it", "Not now"
LONGEST_VALUE = 200
_BOUNDED = re.compile(RUN_IT + r" for at most \$(\d*\.?\d+)\.?", re.IGNORECASE)
_SECRET = re.compile(r"\bsecret\.([A-Za-z_]\w*)")


def may_run(turn: Turn, saved: CurrentWorkflow) -> bool:
    """Whether the person asks for a run of this workflow, in this message or in one that led to it by questions.

    The answer about an input of it does so too. It has to be the conversation's own, one that was made in this turn,
    or one that the message names. What was changed in this turn is run only where the message asks for more than a run.
    """
    about = turn.pending()
    if about.get("kind") == "input" and about.get("workflow") == saved.name:
        return not turn.made and intent.says_yes(turn.text) is not False
    said = [text for text in _asked_for(turn) if intent.wants_run(text, (saved.name,))]
    own = turn.context.workflow is not None and turn.context.workflow.name == saved.name
    if not own and saved.name not in turn.made:
        said = [text for text in said if intent.names(text, saved.name)]
    return bool(said) and not (turn.made and intent.only_wants_run(turn.text))


def _asked_for(turn: Turn) -> Iterator[str]:
    """This message, and those before it that were answered with nothing but questions about them."""
    yield turn.text
    history = turn.context.history
    for said, answer in zip(history[-2::-2], history[-1::-2], strict=False):
        if said.role != "user" or not _only_asks(answer):
            return
        yield said.text


def _only_asks(message: PastMessage) -> bool:
    asked = [part for part in message.parts if part.get("kind") == Question.kind]
    started = any(part.get("kind") == RunStarted.kind for part in message.parts)
    return bool(asked) and not started and all((p.get("about") or {}).get("kind") == ASKED for p in asked)


def ask_to_run(saved: CurrentWorkflow, inputs: Mapping[str, Any]) -> Question:
    shown = "".join(f"\n- {name}: {_short(value)}" for name, value in inputs.items())
    about = {"kind": RUN, "workflow": saved.name, "version": saved.version, "inputs": dict(inputs)}
    options = [{"label": RUN_IT, "value": RUN_IT}, {"label": NOT_NOW, "value": NOT_NOW}]
    return Question(f"Shall I run **{saved.name}**{' with this' if shown else ''}?{shown}", options, about)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    flat = " ".join(text.split())
    return flat if len(flat) <= LONGEST_VALUE else f"{flat[:LONGEST_VALUE]}… ({len(text)} characters)"


def run_answered(turn: Turn, about: Mapping[str, Any]) -> AsyncIterator[Event | Outcome] | None:
    """The person said yes or no to a run, or yes within a budget; anything else is for the model."""
    if bounded := _BOUNDED.fullmatch(turn.text.strip()):
        return _run(turn, about, float(bounded[1]))
    said = yes_or_no(turn)
    return None if said is None else _run(turn, about) if said else _leave("Not run.")


async def _run(
    turn: Turn, about: Mapping[str, Any], limit_usd: float | None = None
) -> AsyncIterator[Event | Outcome]:
    from chat.assistant.running import find_workflow, run_workflow

    saved = await find_workflow(turn, str(about["workflow"]))
    if saved is None:
        return
    if saved.version != about.get("version", saved.version):
        yield Text(f"{saved.name} has changed since I asked.")
        yield ask_to_run(saved, about.get("inputs", {}))
        return
    async for event in run_workflow(turn, saved, about.get("inputs", {}), limit_usd=limit_usd):
        yield event


def may_open(turn: Turn, name: str) -> bool:
    """Whether the person has spoken of this workflow in this conversation, or it was made here."""
    if turn.workflow is not None and turn.workflow.name == name:
        return True
    said = [turn.context.text, *(m.text for m in turn.context.history if m.role == "user")]
    return name in set(_made_here(turn)) or any(intent.names(text, name) for text in said)


def _made_here(turn: Turn) -> Iterator[str]:
    for message in turn.context.history:
        for part in message.parts:
            if part.get("kind") == DraftChanged.kind:
                yield str(part["workflow"])


def ask_to_open(name: str) -> Question:
    options = [{"label": f"Open {name}", "value": f"Open {name}"}, {"label": NOT_NOW, "value": NOT_NOW}]
    return Question(f"Shall I open **{name}**?", options, {"kind": OPEN, "workflow": name})


def open_answered(turn: Turn, about: Mapping[str, Any]) -> AsyncIterator[Event | Outcome] | None:
    said = yes_or_no(turn)
    return None if said is None else _open(turn, str(about["workflow"])) if said else _leave("Not opened.")


async def _open(turn: Turn, name: str) -> AsyncIterator[Event | Outcome]:
    found = await turn.house.workflows.get(turn.owner, name)
    yield DraftChanged(found.name, found.version, OPENED)
    yield Text(f"{found.name} is open. What shall I change, or shall I run it?")


async def _leave(said: str) -> AsyncIterator[Event | Outcome]:
    yield Text(f"{said} Tell me when you want something else.")


def new_secrets(turn: Turn, before: str, after: str) -> list[str]:
    """The secrets that a draft would use, that were not in the document and that the person has not named."""
    known = set(_SECRET.findall(before))
    said = [turn.context.text, *(m.text for m in turn.context.history if m.role == "user")]
    words = {word for text in said for word in re.findall(r"\w+", text)}
    return sorted(set(_SECRET.findall(after)) - known - words)
