"""What the next message does to a question that is open: each kind of `about` has a handler, and code acts without
asking a model. The same for small and large models, on every channel, and after a restart.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from importlib import import_module
from typing import Any

from chat.assistant.intent import says_yes
from chat.assistant.turn import Outcome, Turn, chosen_option
from chat.events import Event

Handler = Callable[[Turn, Mapping[str, Any]], AsyncIterator[Event | Outcome] | None]

HANDLERS: dict[str, str] = {
    "input": "chat.assistant.running:input_given",
    "run": "chat.assistant.gates:run_answered",
    "open": "chat.assistant.gates:open_answered",
    "test": "chat.assistant.wishes:answered",
    "fix": "chat.assistant.failures:answered",
    "schedule": "chat.assistant.schedules:answered",
    "outline": "chat.assistant.plan.planning:outline_given",
    "branch": "chat.assistant.small.branching:branch_given",
    "steps": "chat.assistant.small.building:steps_given",
}
"""Kind of `about` to "module:function", imported when it is first needed. The function is a `Handler`: it gives the
events of the turn, or None where the message is none of its business and goes on to the model.
"""


def take_up(turn: Turn) -> AsyncIterator[Event | Outcome] | None:
    """The events of what was asked about, where code can act on the message; None: it goes on to the model."""
    about = turn.pending()
    place = HANDLERS.get(str(about.get("kind", "")))
    if place is None:
        return None
    module, _, name = place.partition(":")
    handler: Handler = getattr(import_module(module), name)
    return handler(turn, about)


def yes_or_no(turn: Turn) -> bool | None:
    """Whether the message is a plain yes or no to the open question, by option or in words; None when it is
    neither, so that it has to be understood.

    An option says yes or no by its value: "yes" and "no", or the first and the last of two options.
    """
    for question in reversed(turn.questions()):
        options = [str(option["value"]) for option in question.get("options", ())]
        chosen = chosen_option(question, turn.text)
        if chosen is not None and (said := says_yes(chosen)) is not None:
            return said
        if chosen is not None and len(options) == 2:
            return chosen == options[0]
        if chosen is not None:
            return None
    return says_yes(turn.text)
