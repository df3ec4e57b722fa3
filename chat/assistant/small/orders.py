"""Changes of a workflow in plain words, read by code: which step is meant, and what is to become of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chat.assistant.wiring_names import slug

_Q = r"(?:'(?P<{0}1>[^'\n]+)'|\"(?P<{0}2>[^\"\n]+)\"|“(?P<{0}3>[^”\n]+)”|‘(?P<{0}4>[^’\n]+)’)"
_TEXT = rf"(?:{_Q.format('t')}|(?P<t5>.+?))"
_OLD = _Q.format("o")
_NAME = r"[\"'“`]?(?P<{0}>\w[\w -]*?)[\"'”`]?"
_REF = r"(?:the\s+)?(?:steps?\s+)?" + _NAME + r"(?:\s+step)?"
_STEP = r"(?:the\s+)?(?:steps?\s+" + _NAME + r"|(?P<{0}x>\w[\w -]*?)\s+step)"
_A_STEP = (
    r"(?:(?:a|an|another|one\s+more)\s+)?(?:new\s+|further\s+)?step\s*:?\s*(?:(?P<does>that|which)\s+|to\s+)?"
)
_ADD = r"(?:add|insert|append)\s+"
_DROP = r"(?:remove|delete|drop|strike|skip|leave\s+out|take\s+out|get\s+rid\s+of)\s+"
_WHERE = r"(?P<place>after|before)\s+"
_PROMPT = r"(?:the\s+)?(?:prompt|text|question|wording|instructions?)\s+"
_BECOMES = r"\s*(?:\bto\b|\binto\b|\bby\b|\bwith\b|:|=)\s*"
_NEW = _Q.format("t")
_STEP_R, _REF_R = _STEP.format("r"), _REF.format("r")
_PATTERNS: tuple[tuple[str, str], ...] = (
    (
        "add",
        rf"{_ADD}{_A_STEP}{_WHERE}{_REF_R}(?:\s*[:,]\s*(?:to\s+)?|\s+(?:(?P<doing>that|which)|to)\s+){_TEXT}",
    ),
    ("add", rf"{_ADD}{_A_STEP}{_TEXT}\s+{_WHERE}{_REF_R}"),
    ("add", rf"{_ADD}{_A_STEP}{_TEXT}(?:\s+at\s+the\s+(?P<edge>end|start|beginning))?"),
    ("add", rf"{_WHERE}{_STEP_R},?\s*(?:please\s+)?(?:also\s+)?(?:add|insert)\s+(?:{_A_STEP})?{_TEXT}"),
    ("add", rf"{_ADD}{_NEW}\s+{_WHERE}{_REF_R}"),
    ("swap", rf"(?:swap|switch|exchange)\s+{_STEP_R}\s+(?:and|with)\s+{_REF.format('s')}"),
    ("remove", rf"{_DROP}{_STEP_R}"),
    ("rename", rf"rename\s+{_STEP_R}\s+(?:to|as|into)\s+{_TEXT}"),
    ("say", rf"{_ADD}{_NEW}\s+to\s+(?:the\s+)?(?:prompt\s+of\s+|text\s+of\s+)?{_STEP_R}"),
    ("replace", rf"(?:replace|change)\s+{_OLD}\s+(?:by|with|to|into)\s+{_NEW}(?:\s+(?:in|of)\s+{_REF_R})?"),
    ("prompt", rf"(?:change|set|rewrite|replace)\s+{_PROMPT}(?:of|in|for)\s+{_REF_R}{_BECOMES}{_TEXT}"),
    ("prompt", rf"(?:change|rewrite)\s+{_STEP_R}\s*(?:\bto\b|\binto\b|:)\s*{_TEXT}"),
    ("prompt", rf"{_STEP_R}\s+(?:should|must|shall)\s+(?:rather\s+|instead\s+)?{_TEXT}(?:\s+instead)?"),
    (
        "say",
        rf"(?:in|for)\s+{_STEP_R}(?!\w),?\s*(?:please\s+)?(?:also\s+)?(?:say\s+|write\s+|add\s+)?(?:that\s+)?{_TEXT}",
    ),
    ("say", rf"tell\s+{_STEP_R}\s+(?:also\s+)?to\s+{_TEXT}"),
)
_COMPILED = [(kind, re.compile(pattern, re.IGNORECASE | re.DOTALL)) for kind, pattern in _PATTERNS]
_POLITE = re.compile(
    r"^(?:(?:please|ok(?:ay)?|yes|now|then|and|so|just|well|(?:can|could|would)\s+you)[\s,!.]+)+",
    re.IGNORECASE,
)
_ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1}


@dataclass(frozen=True, slots=True)
class Order:
    """One change. `step` and `other` say which steps are meant, as the person said it; `place` is before, after, start
    or end; `text` is new, `old` what it replaces.
    """

    kind: str
    step: str = ""
    other: str = ""
    place: str = ""
    text: str = ""
    old: str = ""


def read_order(message: str) -> Order | None:
    """The change that a message asks for; None where it is none of these."""
    words = _POLITE.sub("", message.strip()).rstrip(" .!")
    for kind, pattern in _COMPILED:
        found = pattern.fullmatch(words)
        if found:
            return _order(kind, found.groupdict())
    return None


def _order(kind: str, groups: Mapping[str, Any]) -> Order:
    def one_of(*names: str) -> str:
        return next((str(groups[name]).strip() for name in names if groups.get(name)), "")

    also = (
        re.match(r"also\s+(?P<t>.+)", one_of("t5"), re.IGNORECASE | re.DOTALL) if kind == "prompt" else None
    )
    if also:
        return Order("say", one_of("r", "rx"), text=also["t"])
    place = one_of("place", "edge").lower() or "end"
    return Order(
        kind,
        one_of("r", "rx"),
        one_of("s"),
        "start" if place == "beginning" else place,
        _bare(one_of("t1", "t2", "t3", "t4", "t5"))
        if groups.get("does") or groups.get("doing")
        else one_of("t1", "t2", "t3", "t4", "t5"),
        one_of("o1", "o2", "o3", "o4"),
    )


def _bare(text: str) -> str:
    """ "checks the tone" as one says it to who does it: "check the tone"."""
    text = re.sub(r"^(\w+(?:x|sh|ch|ss|o))es\b", r"\1", text)
    return re.sub(r"^(\w{2,}[^s\W])s\b", r"\1", text)


def which(said: str, nodes: Sequence[Mapping[str, Any]]) -> int | None:
    """The step that is meant: by number, place, id, or the words of its description; None where that is not clear."""
    said = said.strip().lower().removeprefix("the ").strip()
    if said.isdigit():
        return int(said) - 1 if 1 <= int(said) <= len(nodes) else None
    if said in _ORDINALS:
        place = _ORDINALS[said]
        return range(len(nodes))[place] if -len(nodes) <= place < len(nodes) else None
    ids = [str(node.get("id", "")).lower() for node in nodes]
    for name in (said, said.replace(" ", "_"), slug(said, 6)):
        if name in ids:
            return ids.index(name)
    wanted = _words(said)
    scores = [len(wanted & _words(f"{node.get('id', '')} {node.get('description', '')}")) for node in nodes]
    best = max(scores, default=0)
    return scores.index(best) if best and scores.count(best) == 1 else None


def _words(text: str) -> set[str]:
    return {word[:5] for word in re.findall(r"\w{3,}", text.lower().replace("_", " "))} - {
        "step",
        "the",
        "and",
    }
