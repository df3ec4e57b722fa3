"""The saved workflows that a document runs: found by a lookup, checked once each, for one check and all below it.

A workflow that is met again on the way down is not looked into again: that it runs itself is said by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.document import Document, read_document

if TYPE_CHECKING:
    from engine.check import Checked
    from tools.registry import ToolRegistry

Lookup = Callable[[str], "str | None"]
"""A saved workflow's text by its name, None where there is none. Where it has an attribute `names`, a function, that
gives all names."""


class Children:
    """What is known of the workflows that documents name."""

    def __init__(self, lookup: Lookup, tools: ToolRegistry) -> None:
        self._lookup, self._tools = lookup, tools
        self._checked: dict[str, Checked | None] = {}
        self._open: set[str] = set()
        self._texts: dict[str, str | None] = {}
        self._below: dict[str, tuple[str, ...]] = {}

    def names(self) -> list[str]:
        """All saved names, as far as they can be listed."""
        listing = getattr(self._lookup, "names", None)
        return list(listing()) if callable(listing) else []

    def text(self, name: str) -> str | None:
        """The saved text; None where there is no workflow of that name."""
        if name not in self._texts:
            self._texts[name] = self._lookup(name)
        return self._texts[name]

    def checked(self, name: str) -> Checked | None:
        """What the checker says of it; None where there is none, or where it is being checked already."""
        from engine.check import check_below

        if name in self._open:
            return None
        if name not in self._checked:
            text = self.text(name)
            self._open.add(name)
            self._checked[name] = None if text is None else check_below(text, self._tools, self)
            self._open.discard(name)
        return self._checked[name]

    def below(self, name: str) -> tuple[str, ...]:
        """The names of the workflows that it runs itself."""
        if name not in self._below:
            text = self.text(name)
            self._below[name] = () if text is None else named_in(read_document(text))
        return self._below[name]

    def circle(self, name: str, above: str | None) -> tuple[str, ...] | None:
        """The way on which the workflow `name` comes to run itself, or `above`; None where there is none."""
        return self._circle(name, (above,) if above else (), set())

    def _circle(self, name: str, way: tuple[str, ...], seen: set[str]) -> tuple[str, ...] | None:
        if name in way:
            return (*way[way.index(name) :], name)
        if name in seen or len(way) > 50:
            return None
        seen.add(name)
        found = (self._circle(child, (*way, name), seen) for child in self.below(name))
        return next((circle for circle in found if circle), None)

    def height(self, name: str, known: dict[str, int] | None = None) -> int:
        """How many workflows stand below each other from this one on, itself included; no circle may be in it."""
        known = {} if known is None else known
        if name not in known:
            known[name] = 1 + max((self.height(child, known) for child in self.below(name)), default=0)
        return known[name]


def named_in(document: Document) -> tuple[str, ...]:
    """The names of the workflows that a document's nodes run, each once."""
    data = document.data if isinstance(document.data, dict) else {}
    nodes = data.get("nodes")
    given = nodes if isinstance(nodes, list) else []
    named = (node.get("workflow") for node in given if isinstance(node, dict))
    return tuple(dict.fromkeys(name.strip() for name in named if isinstance(name, str) and name.strip()))
