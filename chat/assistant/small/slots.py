"""Slots: the inputs of an example that have a default, filled from what the person said.

Numbers and choices are found by code. For free text the model is asked, one slot at a time under a
grammar, and believed only where what it copied does stand in the request: a model of this size invents
otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chat.assistant.prompts import prompt
from chat.assistant.turn import Turn
from engine.errors import ModelBadReply
from engine.ports import Message, ModelRequest
from engine.workflow import MISSING, Field, Workflow

if TYPE_CHECKING:
    from engine.document import Document

LONGEST_REQUEST = 600
LONGEST_VALUE = 48
_NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "twelve": 12,
}  # fmt: skip


def slots_of(workflow: Workflow) -> list[Field]:
    """The inputs with a default that a few words can set."""
    found = (workflow.fields[name] for name in workflow.inputs)
    return [f for f in found if f.default is not MISSING and f.type.name in ("str", "int", "float")]


async def fill_slots(turn: Turn, fields: Sequence[Field], request: str) -> dict[str, Any]:
    """Values said in the request, by field; what was not said is left out."""
    numbers = [f for f in fields if f.type.name in ("int", "float")]
    values = _numbers(numbers, request) | _choices(fields, request)
    for series in _series([f for f in fields if f.type.name == "str" and not f.enum and _short_text(f)]):
        values |= await _ask_model(turn, series, " ".join(request.split())[:LONGEST_REQUEST])
    return values


def _short_text(slot: Field) -> bool:
    """Whether a slot takes a word or two: its default does too. Layouts and the like are left alone."""
    return 0 < len(str(slot.default)) <= LONGEST_VALUE and "{" not in str(slot.default)


def _series(fields: Sequence[Field]) -> list[list[Field]]:
    """Slots that belong together (`first_language`, `second_language` …) in one list; the others alone."""
    found: dict[str, list[Field]] = {}
    for slot in fields:
        found.setdefault(re.sub(r"^(first|second|third|fourth|fifth)_", "", slot.name), []).append(slot)
    return list(found.values())


def _choices(fields: Iterable[Field], request: str) -> dict[str, Any]:
    words = request.casefold()
    found: dict[str, Any] = {}
    for slot in fields:
        for value in slot.enum or ():
            if re.search(rf"\b{re.escape(str(value).casefold())}", words):
                found[slot.name] = value
    return found


_DIGITS = re.compile(rf"\b(\d+(?:\.\d+)?|{'|'.join(_NUMBERS)})\b", re.IGNORECASE)


def _numbers(fields: Sequence[Field], request: str) -> dict[str, Any]:
    """A number belongs to the slot whose word comes next after it ("3 weeks"); a lone one to a lone slot."""
    found: dict[str, Any] = {}
    matches = list(_DIGITS.finditer(request))
    ends = [*(match.start() for match in matches[1:]), len(request)][: len(matches)]
    for match, end in zip(matches, ends, strict=True):
        for word in re.findall(r"[a-z]+", request[match.end() : end].lower())[:3]:
            slot = next((f for f in fields if word.rstrip("s") in _units(f)), None)
            if slot:
                found.setdefault(slot.name, _number(match.group(), slot))
                break
    if not found and len(fields) == len(matches) == 1:
        found[fields[0].name] = _number(matches[0].group(), fields[0])
    return found


def _units(slot: Field) -> set[str]:
    """The words that a slot counts: the first of its name, and what its description asks "How many" of."""
    asked = re.match(r"How many (\w+)", slot.description)
    words = [slot.name.split("_")[0], *([asked.group(1)] if asked else [])]
    return {word.lower().rstrip("s") for word in words}


def _number(text: str, slot: Field) -> int | float:
    value = float(_NUMBERS.get(text.lower(), 0) or text)
    return value if slot.type.name == "float" else int(value)


async def _ask_model(turn: Turn, series: Sequence[Field], request: str) -> dict[str, Any]:
    """The values of one slot, or of several that belong together and are said in one breath."""
    slot = series[0]
    name = slot.name.replace("_", " ")
    shown = prompt("slot_example", value=str(slot.default), name=name).strip()
    messages = (
        Message("user", prompt("slot", name=name, request=shown).strip()),
        Message("assistant", json.dumps({slot.name: slot.default}, ensure_ascii=False)),
        Message("user", prompt("slot", name=name, request=request).strip()),
    )
    schema = {
        "type": "object",
        "properties": {slot.name: {"type": "string", "maxLength": LONGEST_VALUE}},
        "required": [slot.name],
        "additionalProperties": False,
    }
    try:
        reply = await turn.complete(ModelRequest(messages, temperature=0, max_tokens=40, schema=schema))
    except ModelBadReply:
        return {}
    value = str(reply.value.get(slot.name) or "") if isinstance(reply.value, Mapping) else ""
    parts = re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+", value) if len(series) > 1 else [value]
    said = [_stands_in(part, request) for part in parts]
    return {f.name: word for f, word in zip(series, said, strict=False) if word}


def _stands_in(value: str, request: str) -> str:
    """The value as it stands in the request, "" when it does not stand there, or is most of it."""
    wanted = value.strip().strip(".,;:!?\"'")
    found = re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", request, re.IGNORECASE) if wanted else None
    return found.group() if found and len(wanted) <= 0.75 * len(request) else ""


def set_defaults(document: Document, values: Mapping[str, Any]) -> str:
    """The document's text with these defaults of state fields replaced, and not a byte more."""
    text = document.text
    places = []
    for name, value in values.items():
        path = ("state", "fields", name, "default")
        if document.has(path):
            start, end = document.span(path)
            places.append((document.offset(start), document.offset(end), _scalar(value)))
    for first, last, new in sorted(places, reverse=True):
        text = text[:first] + new + text[last:]
    return text


def _scalar(value: Any) -> str:
    """A value as YAML: a plain word stays plain."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z ]*[A-Za-z]", value):
        plain = value.lower() not in ("true", "false", "null", "yes", "no", "on", "off")
        return value if plain else json.dumps(value)
    return json.dumps(value, ensure_ascii=False)
