"""Steps in plain words, one per line or in one sentence, and the workflow that they make: a chain, wired by code."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chat.assistant.plan.outline import LONGEST_SENTENCE, chain
from chat.assistant.wiring import MOST_STEPS, wire

_ITEM = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)])\s*")


def split_steps(text: str) -> list[str]:
    """The steps in a person's words: one per line, or parts between semicolons, full stops or "then". A line that only
    announces the list is none.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if (
        len(lines) > 2
        and lines[0].rstrip().endswith(":")
        and not _ITEM.match(lines[0])
        and _ITEM.match(lines[1])
    ):
        lines = lines[1:]
    if len(lines) == 1:
        inline = re.sub(r"(?<!^)(?<=\s)\(?\d{1,2}[.)]\s+", "\n", lines[0])
        lines = re.split(r"\n|;|(?<=[a-z)])\.\s+|,?\s+(?:and\s+)?(?:then|after that|finally)\s+", inline)
    steps = (_ITEM.sub("", line).strip(" \t.,;") for line in lines)
    return [" ".join(step.split())[:LONGEST_SENTENCE] for step in steps if step][:MOST_STEPS]


def wire_steps(steps: Sequence[str], request: str = "") -> str:
    """The document: a chain in which each step sees the text and what came before it. ValueError without steps."""
    return wire(chain(steps, request))
