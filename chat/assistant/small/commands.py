"""Plain commands, read by code: what the options send, and the few words that everybody uses for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Command:
    """What is wanted. `name` is an example or a workflow, `rest` what the person gave along, `values`
    inputs.
    """

    kind: str
    name: str = ""
    rest: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


_POLITE = re.compile(
    r"^(?:(?:please|ok(?:ay)?|yes|now|then|and|so|just|well|(?:can|could|would) you)[\s,!.]+)+", re.IGNORECASE
)
_EXIT = re.compile(
    r"(?:cancel|stop|never ?mind|forget it|no|no,? thanks?|no,? thank you|quit|exit|leave it|abort)[\s.!]*",
    re.IGNORECASE,
)
_RUN = re.compile(
    r"(?:run|start|execute|launch|try)"
    r"(?:\s+(?:it|this|that|the workflow|my workflow))?(?:\s+(?:now|again|please|once more|out|for me))*"
    r"(?:\s*[:.!]\s*|\s+(?:with|for|on|using)(?:\s+|\s*:\s*)|\s*$)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_RUN_NAME = re.compile(
    r"(?:run|start|execute)\s+(?:the workflow\s+)?"
    r"[`\"“]?(?P<name>[a-z][a-z0-9_-]*_[a-z0-9_-]+|[a-z0-9_]+-\d+)[`\"”]?"
    r"(?:\s*[:.!]\s*|\s+(?:with|for|on|using)(?:\s+|\s*:\s*)|\s*$)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_SIMPLE = (
    ("run", re.compile(r"(?:yes|go|go ahead|do it|ok(?:ay)?,? run it)[\s.!]*", re.IGNORECASE)),
    ("sample", re.compile(r"(?:run|try)(?: it)? with the (?:sample|example)s?[\s.!]*", re.IGNORECASE)),
    (
        "branch",
        re.compile(
            r"build (?:it|one|a workflow)?\s*with (?:my )?cases[\s.!]*"
            r"|(?:it|that) depends(?: on (?:something|the case))?[\s.!]*"
            r"|(?:add|build|make) (?:a|some) (?:branch(?:es)?|decision|cases)[\s.!]*",
            re.IGNORECASE,
        ),
    ),
    ("steps", re.compile(r"build (?:it|one|a workflow)?\s*from (?:my )?steps[\s.!]*", re.IGNORECASE)),
    (
        "list",
        re.compile(r"(?:list|show)(?: me)?(?: all)?(?: my| the| saved)* workflows[\s.!?]*", re.IGNORECASE),
    ),
    ("runs", re.compile(r"(?:list|show)(?: me)?(?: all)?(?: my| the| last)* runs?[\s.!?]*", re.IGNORECASE)),
    ("explain", re.compile(r"explain(?: it| this| the workflow)?[\s.!?]*", re.IGNORECASE)),
    (
        "examples",
        re.compile(r"(?:list|show)(?: me)?(?: all)?(?: the)? (?:examples|templates)[\s.!?]*", re.IGNORECASE),
    ),
    ("help", re.compile(r"help[\s.!?]*|what can you do[\s.!?]*", re.IGNORECASE)),
)
_USE = re.compile(r"use (?:the )?example [`\"“]?(?P<name>[a-z0-9_]+)[`\"”]?[\s.!]*", re.IGNORECASE)
_CHANGE = re.compile(
    r"(?:change|set|switch|replace|use|make it|rather|instead)\b(?P<rest>.+)"
    r"|(?P<in>in \w+ (?:please|instead).*)",
    re.IGNORECASE | re.DOTALL,
)
_PAIR = re.compile(
    r"([a-z_][a-z0-9_]*)\s*=\s*(\"[^\"]*\"|'[^']*'|[^,;\n]+?(?=\s+and\s+\w+\s*=|\s*(?:[,;\n]|$)))",
    re.IGNORECASE,
)


def is_exit(text: str) -> bool:
    return _EXIT.fullmatch(text.strip()) is not None


def read(text: str, offered: Sequence[str] = ()) -> Command | None:
    """The command that a message is, None when it is none. `offered` are examples that "1", "2" … choose
    from.
    """
    words = text.strip()
    number = re.fullmatch(r"(?:number |option )?([1-9])[.)!]?", words, re.IGNORECASE)
    if number and int(number.group(1)) <= len(offered):
        return Command("use", offered[int(number.group(1)) - 1])
    if found := _simple(words):
        return found
    words = _POLITE.sub("", words)
    return _simple(words) or _with_rest(words)


def _simple(words: str) -> Command | None:
    for kind, pattern in _SIMPLE:
        if pattern.fullmatch(words):
            return Command(kind)
    found = _USE.fullmatch(words)
    return Command("use", found.group("name").lower()) if found else None


def _with_rest(words: str) -> Command | None:
    for pattern in (_RUN_NAME, _RUN):
        found = pattern.fullmatch(words)
        if found:
            rest = found.group("rest").strip()
            return Command("run", found.groupdict().get("name") or "", rest, pairs(rest))
    if _CHANGE.fullmatch(words):
        return Command("change", rest=words)
    return None


def pairs(text: str) -> dict[str, str]:
    """`language = French, count = 3` as a mapping; empty when the text is not all of that kind."""
    found = {name: value.strip().strip("\"'") for name, value in _PAIR.findall(text)}
    left = re.sub(r"[\s,;.!]|\band\b", "", _PAIR.sub("", text))
    return found if not left else {}
