"""What stands in a request: the wish itself, and the text or address that was given along with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chat.gallery import Example
    from engine.workflow import Workflow

_WANT = re.compile(
    r"^(?:please|hi|hello|hey|can you|could you|would you|will you|i want (?:you )?to"
    r"|i(?:'d| would) like (?:you )?to|i need to"
    r"|[\s,.!])*"
    r"(?:(?:make|build|create|draft|write|give|set up|i want|i need|i(?:'d| would) like)(?: me| us)?"
    r"(?: a| the)?(?: small| simple| new)? workflows?(?: which| that| to| for| where| can|,|:)*)?\s*",
    re.IGNORECASE,
)
_LIST_LINE = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)])\s+\S", re.MULTILINE)
_URL = re.compile(r"https?://[^\s<>\"']+")
SHORTEST_PAYLOAD = 20


@dataclass(frozen=True, slots=True)
class Request:
    """`wish` is what is to be done, without "make me a workflow that"; `payload` the text it is to be done
    to.
    """

    whole: str
    wish: str
    payload: str

    @property
    def is_steps(self) -> bool:
        """Whether the message is itself a list of steps."""
        return len(_LIST_LINE.findall(self.whole)) >= 2


def read_request(text: str) -> Request:
    """Split at the first colon or line break that is followed by enough text to be meant as material."""
    text = text.strip()
    wish, payload = text, ""
    for match in re.finditer(r":\s+|\n+", text):
        rest = text[match.end() :].strip()
        if match.start() > 0 and len(rest) >= SHORTEST_PAYLOAD:
            wish, payload = text[: match.start()].strip(), rest
            break
    stripped = _WANT.sub("", wish).strip()
    return Request(text, stripped or wish, payload.strip("\"“”'"))


def pasted(text: str) -> str | None:
    """The document in a message that holds one: from its first key on; None where there is none."""
    found = re.search(r"^(?:schema_version|flow)\s*:", text, re.MULTILINE)
    document = text[found.start() :] if found else ""
    return document.split("\n```")[0] if re.search(r"^nodes\s*:", document, re.MULTILINE) else None


def given_inputs(example: Example | None, workflow: Workflow, request: Request) -> dict[str, Any]:
    """Required inputs that the request carries: an address, a text after a colon, a topic after its cue."""
    required = [name for name in workflow.inputs if workflow.fields[name].required]
    found: dict[str, Any] = {}
    address = _URL.search(request.whole)
    for name in required:
        if "url" in name and address:
            found[name] = address.group().rstrip(".,;)")
    open_names = [name for name in required if name not in found and "url" not in name]
    if not open_names:
        return found
    if request.payload:
        found[open_names[0]] = request.payload
    elif example and (topic := _after_cue(example.cues, request.wish)):
        found[open_names[0]] = topic
    return found


def _after_cue(cues: tuple[str, ...], wish: str) -> str:
    """What follows the first cue word: the topic of "a quiz about volcanoes"."""
    if not cues:
        return ""
    pattern = rf"\b(?:{'|'.join(map(re.escape, cues))})\s+(?P<topic>.+)"
    found = re.search(pattern, wish, re.IGNORECASE)
    topic = re.sub(r"\s+(?:please|with \d+ .*|in \d+ .*)$", "", found.group("topic")) if found else ""
    topic = topic.strip(" .!?,")
    vague = re.fullmatch(
        r"(?:a|any|some|the|my|this|that) (?:topic|subject|question|thing|chapter|text)|it|this|that", topic
    )
    return "" if vague else topic


def in_words(inputs: Mapping[str, Any]) -> str:
    """Inputs in a few words, for a sentence."""
    shown = (f"`{name}` = {_short(str(value))}" for name, value in inputs.items())
    return ", ".join(shown)


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 60 else f"{flat[:59]}…"
