"""What every area of functions has, and how what the page hands over is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import NotFound

if TYPE_CHECKING:
    from chat.browser.house import House

Answer = dict[str, Any]
Given = dict[str, Any]


class Area:
    """Some functions of the page: each public method `name(owner, given)` of a subclass is one, called by its name.

    It answers plain JSON or None for nothing to tell; a ParlanceError reaches the page as {error, fix}.
    """

    def __init__(self, house: House) -> None:
        self.house = house
        self.service = house.service


def typed(given: Given, name: str) -> str | None:
    """What was typed, None for nothing."""
    return str(given.get(name) or "").strip() or None


def identity(given: Given, name: str) -> str:
    """An id or a name the page has to know. NotFound when it doesn't."""
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise NotFound(f"This page does not know which {name} is meant.", "Load the page again.")
    return value
