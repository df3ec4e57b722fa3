"""Slots: the inputs of an example that have a default, filled from what the person said.

Numbers and choices are found by code. For free text the model is asked, in one constrained object, and
believed only where what it copied does stand in the request: a model of this size invents otherwise.
"""

from __future__ import annotations

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
    free = [f for f in fields if f.type.name == "str" and not f.enum and _short_text(f)]
    if free:
        values |= await _ask_model(turn, free, request[:LONGEST_REQUEST])
    return values


def _short_text(slot: Field) -> bool:
    """Whether a slot takes a word or two: its default does too. Layouts and the like are left alone."""
    return 0 < len(str(slot.default)) <= LONGEST_VALUE and "{" not in str(slot.default)


def _choices(fields: Iterable[Field], request: str) -> dict[str, Any]:
    words = request.casefold()
    found: dict[str, Any] = {}
    for slot in fields:
        for value in slot.enum or ():
            if re.search(rf"\b{re.escape(str(value).casefold())}", words):
                found[slot.name] = value
    return found


def _numbers(fields: Sequence[Field], request: str) -> dict[str, Any]:
    """A number belongs to the slot whose words stand beside it ("3 weeks"); a lone one to a lone slot."""
    digits = re.compile(rf"\b(\d+(?:\.\d+)?|{'|'.join(_NUMBERS)})\b((?:\W+\w+){{0,4}})", re.IGNORECASE)
    matches = [(_number(m.group(1)), _stems(m.group(2))) for m in digits.finditer(request)]
    found: dict[str, Any] = {}
    for slot in fields:
        own = _stems(f"{slot.name.replace('_', ' ')} {slot.description}") - _stems(
            "how many you have can which the a"
        )
        for number, words in matches:
            if own & words:
                found.setdefault(slot.name, number if slot.type.name == "float" else int(number))
    if not found and len(fields) == len(matches) == 1:
        number = matches[0][0]
        found[fields[0].name] = number if fields[0].type.name == "float" else int(number)
    return found


def _number(text: str) -> float:
    return float(_NUMBERS.get(text.lower(), 0) or text)


def _stems(text: str) -> set[str]:
    return {word.rstrip("s") for word in re.findall(r"[a-z]+", text.lower())}


async def _ask_model(turn: Turn, fields: Sequence[Field], request: str) -> dict[str, Any]:
    names = [f.name for f in fields]
    schema = {
        "type": "object",
        "properties": {name: {"type": "string", "maxLength": LONGEST_VALUE} for name in names},
        "required": names,
        "additionalProperties": False,
    }
    lines = "\n".join(f"{f.name}: {f.description}" for f in fields)
    text = prompt("slots", request=" ".join(request.split()), fields=lines)
    asked = ModelRequest((Message("user", text),), temperature=0, max_tokens=40 * len(fields), schema=schema)
    try:
        reply = await turn.complete(asked)
    except ModelBadReply:
        return {}
    value = reply.value if isinstance(reply.value, Mapping) else {}
    return {name: said for name in names if (said := _stands_in(str(value.get(name) or ""), request))}


def _stands_in(value: str, request: str) -> str:
    """The value as it stands in the request, "" when it does not stand there."""
    wanted = value.strip().strip(".,;:!?\"'")
    found = re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", request, re.IGNORECASE) if wanted else None
    return found.group() if found else ""


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
    import json

    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z ]*[A-Za-z]", value):
        plain = value.lower() not in ("true", "false", "null", "yes", "no", "on", "off")
        return value if plain else json.dumps(value)
    return json.dumps(value, ensure_ascii=False)
