"""What a person does on the page: one server function each, called by the page's script.

Each finds out who asks and hands his name to the service, which checks that what is asked for is his. It answers
with plain JSON: what came of it, or {error, fix} in words. A new function is a public method of an area; a new area
is a file with a class, and a line in AREAS.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from chat.browser.actions.area import Answer, Area, Given
from chat.browser.actions.conversation import Conversation
from chat.browser.actions.editor import Editor
from chat.browser.actions.files import Files
from chat.browser.actions.library import Library
from chat.browser.actions.models import ModelSettings
from chat.browser.actions.preferences import MyPreferences
from chat.browser.actions.runs import Runs
from chat.browser.actions.templates import Templates
from chat.browser.actions.versions import Versions
from engine.errors import InputError, ParlanceError, WorkflowInvalid

if TYPE_CHECKING:
    from chat.browser.house import House

logger = logging.getLogger(__name__)

AREAS: tuple[type[Area], ...] = (
    Conversation,
    Editor,
    Runs,
    ModelSettings,
    Templates,
    Library,
    Files,
    MyPreferences,
    Versions,
)


def _names(area: type[Area]) -> list[str]:
    return [name for name, _ in inspect.getmembers(area, inspect.iscoroutinefunction) if name[0] != "_"]


NAMES = tuple(name for area in AREAS for name in _names(area))


class Actions:
    """The functions of all areas, bound to the house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._areas = [area(house) for area in AREAS]

    @property
    def functions(self) -> list[Callable[..., Awaitable[Answer]]]:
        """What the page may call, each as `name(given, request)`. ValueError when two have the same name."""
        if twice := sorted({name for name in NAMES if NAMES.count(name) > 1}):
            raise ValueError(f"Two areas have a function of the same name: {', '.join(twice)}.")
        return [
            self._guarded(name, getattr(area, name)) for area in self._areas for name in _names(type(area))
        ]

    def _guarded(self, name: str, work: Callable[..., Any]) -> Callable[..., Awaitable[Answer]]:
        async def call(given: Given, request: gr.Request) -> Answer:
            owner = self._house.owner_of(request)  # Gradio hands over Starlette's own request here
            if owner is None:
                return {
                    "error": "You are not signed in any more.",
                    "fix": "Sign in again.",
                    "signed_out": True,
                }
            try:
                return await work(owner, given or {}) or {}
            except WorkflowInvalid as error:
                return {"error": str(error), "fix": "Mend what is marked, or ask for it in the chat."}
            except InputError as error:
                return {"error": error.message, "fix": error.fix, "field": error.field}
            except ParlanceError as error:
                return {"error": error.message, "fix": error.fix}
            except Exception:
                logger.exception("The page asked for %s and it failed", name)
                return {"error": "Something went wrong.", "fix": "Try again; the log tells more."}

        call.__name__ = name
        return call
