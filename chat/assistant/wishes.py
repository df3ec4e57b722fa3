"""Wishes become tests: what a person says must happen, or must not, is kept as a case that is tried after every change.

A model only proposes. The case is tried before it is shown, it is kept by code on the person's yes, with the words that
the person really said, and what came of it is said by code.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chat.assistant.action import Action, text
from chat.assistant.pending import yes_or_no
from chat.assistant.turn import Outcome, Turn
from chat.events import Event, Question, TestProposed, Text
from chat.proof import quoted
from engine.errors import InputError, NotFound

if TYPE_CHECKING:
    from chat.assistant.handlers import Acting

TEST = "test"
KEEP, MEND, LEAVE = "yes", "mend", "no"
LONGEST_QUOTE = 2000
_LOOKS_LIKE = (
    "inputs: input name to value. given: step id to {output: value}, what a model, a person or a tool is assumed to "
    'answer there, or {"_error": "why"} where it is to fail; give all that decides the way. must_run, must_not_run: '
    "step ids. checks: conditions on the state at the end, such as state.tone == 'formal'"
)


def _offered(turn: Turn) -> bool:
    return turn.house.proofs is not None


async def propose(acting: Acting, args: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    """Try the case, and ask the person whether it is to be kept."""
    turn, drafting = acting.turn, acting.drafting
    proofs, workflow = turn.house.proofs, turn.workflow
    if drafting.open:
        yield Outcome("Not proposed: the draft still has problems. Mend it first.")
        return
    if proofs is None or workflow is None:
        yield Outcome("Not proposed: there is no saved workflow yet that could be tested.")
        return
    try:
        tried = await proofs.try_case(turn.owner, workflow.yaml, args["case"])
    except InputError as error:
        yield Outcome(f"Not proposed: {error}\nCorrect the case and propose it again.")
        return
    if tried["status"] == "unknown":
        yield Outcome(
            f"Not proposed: the case can't be judged. {tried['why']} Say in `given` what is assumed there, and propose "
            "it again; leave it if that can't be said."
        )
        return
    wish = {
        "workflow": workflow.name,
        "title": " ".join(args["title"].split()),
        "quote": said_by_person(turn, args["quote"]),
        "case": dict(args["case"]),
    }
    if await _is_kept(turn, wish):
        yield Outcome("That test is kept already, and is tried after every change.")
        return
    for event in _ask(turn, wish, tried):
        yield event
    yield Outcome("The person was asked whether to keep this test.", ends=True)


PROPOSE_TEST = Action(
    "propose_test",
    "When the person says what must always or never happen in the workflow, propose that as a test, once the workflow "
    "is saved: with `then` go on there, and this after it. Code tries it, asks the person, keeps it and tries it after "
    "every change; so say nothing of that yourself.",
    {
        "title": text("What holds, in a few words of the person's language", 120),
        "quote": text("The person's own words for it, copied exactly from the message", 1000),
        "case": {"type": "object", "description": _LOOKS_LIKE},
    },
    propose,
    offered=_offered,
)


def said_by_person(turn: Turn, quote: str) -> str:
    """The quote where the person really said that, in this conversation; else the message that was sent."""
    wanted = _plain(quote).strip(" \"'“”„‚‘’«».…")
    texts = [turn.text, *(m.text for m in reversed(turn.context.history) if m.role == "user")]
    found = bool(wanted) and any(wanted in _plain(said) for said in texts)
    return (quote.strip() if found else turn.text.strip())[:LONGEST_QUOTE]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


async def _is_kept(turn: Turn, wish: Mapping[str, Any]) -> bool:
    found = await turn.house.proofs.tests.list(turn.owner, wish["workflow"])
    return any(dict(test.case) == wish["case"] for test in found)


def _ask(turn: Turn, wish: Mapping[str, Any], tried: Mapping[str, Any]) -> list[Event]:
    """The test as a card, and the question about it; `about` has all that the answer needs."""
    key = f"{turn.context.message_id}-test-{turn.asked + 1}"
    message = turn.context.user_message_id
    holds = tried["status"] == "passed"
    about = {"kind": TEST, "id": key, "message_id": message, "holds": holds, **wish}
    if holds:
        said = f"“{quoted(wish)}” holds now. Shall I keep that as a test, and try it after every change?"
        options = [{"label": "Keep it", "value": KEEP}, {"label": "No", "value": LEAVE}]
    else:
        then = "Shall I keep it as a test, and change the workflow so that it does?"
        said = f"It does not hold yet: {tried['why']} {then}"
        options = [
            {"label": "Keep it, and change the workflow", "value": MEND},
            {"label": "Only keep it", "value": KEEP},
            {"label": "No", "value": LEAVE},
        ]
    return [TestProposed(key, **wish), Question(said, options, about)]


# --- the answer -----------------------------------------------------------------------------------------------


def answered(turn: Turn, about: Mapping[str, Any]) -> AsyncIterator[Event | Outcome] | None:
    """The person said whether a test is to be kept; anything else is for the model."""
    choice = turn.text.strip().casefold()
    if choice == MEND:
        return _keep(turn, about, mend=True)
    if choice == KEEP:
        return _keep(turn, about, mend=False)
    said = yes_or_no(turn)
    if said is None:
        return None
    return _keep(turn, about, mend=not about.get("holds", True)) if said else _leave(about)


async def _keep(turn: Turn, about: Mapping[str, Any], *, mend: bool) -> AsyncIterator[Event | Outcome]:
    """Keep it, try it on the workflow as it is now, and say how that went."""
    proofs, name = turn.house.proofs, str(about["workflow"])
    try:
        saved = await turn.house.workflows.get(turn.owner, name)
        key = await proofs.tests.add(
            turn.owner, name, about["title"], about["quote"], about["case"], about.get("message_id")
        )
    except NotFound as error:
        yield Text(f"The test is not kept: {error.message}")
        return
    yield _card(about, "kept")
    proof = await proofs.prove(turn.owner, name, saved.version)
    mine = next(test for test in proof["tests"] if test["id"] == key)
    if mine["status"] == "failed" and mend:
        yield Text(f"Kept as a test. It does not hold yet: {mine['why']}\n\n")
        async for event in _mend(turn, about, mine["why"]):
            yield event
        return
    how = {
        "passed": "it holds now, and is tried after every change.",
        "failed": f"it does not hold yet: {mine['why']}",
        "unknown": f"whether it holds can't be judged: {mine['why']}",
    }
    yield Text(f"Kept as a test of **{name}**: {how[mine['status']]}")


async def _mend(turn: Turn, about: Mapping[str, Any], why: str) -> AsyncIterator[Event]:
    """Let the model change the workflow so that the test holds."""
    from chat.assistant.large import large_turn
    from chat.assistant.small import is_small

    if is_small(turn.info):
        yield Text("Say what is to be changed, so that it does.")
        return
    wanted = f"Change the workflow {about['workflow']} so that this holds: {about['quote']}\nNow it does not: {why}"
    turn.context = replace(turn.context, text=wanted)
    async for event in large_turn(turn):
        yield event


async def _leave(about: Mapping[str, Any]) -> AsyncIterator[Event | Outcome]:
    yield _card(about, "declined")
    yield Text("It is not kept as a test.")


def _card(about: Mapping[str, Any], status: str) -> TestProposed:
    return TestProposed(
        str(about["id"]), about["workflow"], about["title"], about["quote"], about["case"], status
    )
