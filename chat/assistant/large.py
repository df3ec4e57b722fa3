"""A turn with a model that can write a workflow: it is shown the format and the actions, acts, is told how
that went, and acts again, until nothing is left to do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from chat.assistant.actions import offered
from chat.assistant.asking import Reply, ask_by_function, ask_by_json
from chat.assistant.context import shown
from chat.assistant.drafting import Drafting
from chat.assistant.handlers import Acting, write_document
from chat.assistant.plan.planning import plan_of_list
from chat.assistant.telling import Telling
from chat.assistant.turn import Outcome, Turn
from chat.events import Event, Text
from engine.errors import ParlanceError
from engine.ports import Message, ToolCall

MAX_CALLS = 10


async def large_turn(turn: Turn) -> AsyncIterator[Event]:
    """Answer one message. ParlanceErrors of models, store and engine pass through."""
    async for event in plan_of_list(turn) or _dialogue(turn):
        if not isinstance(event, Outcome):
            yield event


async def _dialogue(turn: Turn) -> AsyncIterator[Event]:
    telling = Telling()
    await telling.look(turn)
    acting = Acting(turn, Drafting(turn))
    finished = False
    try:
        async for event in _rounds(acting, telling):
            if isinstance(event, Outcome):
                finished = event.ends
            else:
                yield event
    except ParlanceError:
        for said in telling.close():
            yield said
        raise
    for said in telling.close():
        yield said
    async for event in _close(acting, telling, finished):
        yield event


async def _rounds(acting: Acting, telling: Telling) -> AsyncIterator[Event | Outcome]:
    """Ask, act and tell how it went, until nothing is left to do; the Outcome says whether that is so."""
    turn = acting.turn
    messages = list((await shown(turn)).messages)
    ask = ask_by_function if turn.info.function_calling else ask_by_json
    for _ in range(MAX_CALLS):
        reply, finished = None, False
        telling.begin()
        async for piece in ask(turn, messages):
            if isinstance(piece, Reply):
                reply = piece
            else:
                for event in telling.words(piece.text):
                    yield event
        if reply is None or not (reply.calls or reply.documents):
            yield Outcome("", ends=True)
            return
        messages.append(reply.message)
        async for done in _act(acting, reply, messages):
            if isinstance(done, Outcome):
                finished = done.ends
                continue
            for event in telling.event(done):
                yield event
        if finished:
            yield Outcome("", ends=True)
            return


async def _close(acting: Acting, telling: Telling, finished: bool) -> AsyncIterator[Event]:
    """What still has to be said when the dialogue is over."""
    if acting.drafting.open:
        async for event in acting.drafting.give_up():
            if not isinstance(event, Outcome):
                yield event
    elif not finished:
        yield Text(f"\n\nI stopped here: {MAX_CALLS} steps were not enough. Tell me how to go on.")
    else:
        for said in telling.left():
            yield said


async def _act(acting: Acting, reply: Reply, messages: list[Message]) -> AsyncIterator[Event | Outcome]:
    """Do all that the reply asks for, in order; the rest is left out once an action ends the turn."""
    ended = False
    results: list[Outcome] = []
    for document in reply.documents:
        async for event in _one(write_document(acting, document, {"summary": "Drafted"}), results):
            yield event
        ended = ended or results[-1].ends or not acting.drafting.open
    for number, call in enumerate(reply.calls):
        if ended:
            results.append(Outcome("Left out: the turn had ended."))
        else:
            async for event in _one(_call(acting, call), results):
                yield event
            # What follows in the same reply was asked for too, so a saved draft does not end the turn.
            more = number + 1 < len(reply.calls) and results[-1].saved
            ended = results[-1].ends and not more
        messages.append(_told(acting.turn, call, results[-1]))
    if reply.documents and not reply.calls:
        messages.append(Message("user", results[-1].text))
    yield Outcome("", ends=ended)


async def _one(events: AsyncIterator[Event | Outcome], results: list[Outcome]) -> AsyncIterator[Event]:
    outcome = Outcome("Done.")
    async for event in events:
        if isinstance(event, Outcome):
            outcome = event
        else:
            yield event
    results.append(outcome)


async def _call(acting: Acting, call: ToolCall) -> AsyncIterator[Event | Outcome]:
    there = {action.name: action for action in offered(acting.turn)}
    action = there.get(call.name)
    if action is None:
        yield Outcome(f"There is no action {call.name}. There are: {', '.join(there)}.")
        return
    args = action.read(call.arguments)
    if wrong := action.objection(args):
        yield Outcome(wrong)
        return
    async for event in action.handler(acting, args):
        yield event


def _told(turn: Turn, call: ToolCall, outcome: Outcome) -> Message:
    """How an action went, in the shape in which it was asked for."""
    if turn.info.function_calling:
        return Message("tool", outcome.text, tool_call_id=call.id)
    return Message("user", f"Result of {call.name}: {outcome.text}")
