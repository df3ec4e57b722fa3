"""A new input, by plain words: `add an audience input (default: engineers) that plan and write use`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from chat.assistant.edits import Edit
from chat.assistant.small.places import (
    BOTH,
    Plain,
    Unsure,
    fields_of,
    ids,
    label_of,
    meant,
    said_more,
    texts,
    which_step,
)
from chat.assistant.wiring_names import identifier
from chat.assistant.wiring_text import quoted, sentence
from engine.document import Document

_Q = r"[`'\"“‘]"
_INPUT = r"(?:input|parameter|eingabe|entrada|entrée)"
_FIRST = re.compile(
    rf"(?:\b(?:add|with|need|want)\s+(?:an?|one|another|the)?\s*(?:(?:new|optional|required)\s+)*{_INPUT}(?:\s+field)?\s*(?:called|named|:)?\s*"
    rf"{_Q}?(?P<a>[a-z]\w*){_Q}?"
    rf"|\badd\s+(?:an?|one|another|the)?\s*(?:(?:new|optional|required)\s+)*{_Q}?(?P<b>[a-z]\w*(?:\s[a-z]\w*)?){_Q}?\s+(?:as\s+an?\s+)?{_INPUT}\b"
    rf"|\badd\s+{_Q}(?P<c>[a-z]\w*)['\"`”’]\s*\("
    rf"|^(?:and\s+)?one\s+{_INPUT}:\s*(?P<d>[a-z]\w*)"
    rf"|\b(?:as|in)\s+an?\s+{_INPUT}\b[^,:]{{0,10}}[,:]\s*(?P<e>[a-z]\w*)"
    rf"|\bein(?:e|en)?\s+(?:weiteres?\s+|neues?\s+)?(?:Feld|Eingabe)\s+{_Q}?(?P<f>[a-z]\w*))",
    re.IGNORECASE,
)
_EMPTY = re.compile(r"\bdefault\w*\s*:?\s*(?:is\s+|to\s+)?(?:empty|nothing|blank|\"\"|'')", re.IGNORECASE)
_DEFAULT = re.compile(
    rf"\b(?:default\w*|vorgegeben|vorgabe|normal)\s*(?::|=|is|to)?\s*(?:{_Q}(?P<q>[^'\"”’`]+)['\"`”’]|(?P<w>[^\s,;()]+))",
    re.IGNORECASE,
)
_AS_DEFAULT = re.compile(
    rf"{_Q}?(?P<q>[^\W\d]\w*)(?P<w>){_Q}?\s+as\s+(?:the\s+|its\s+)?default", re.IGNORECASE
)
_USED = re.compile(
    r"\b(?:that|which)\s+(?P<s>[\w ,]+?)\s+(?:should\s+|must\s+)?uses?\b|\bused?\s+(?:it\s+)?"
    r"(?:by|in|for)\s+(?P<t>[\w ,]+)|\bmentioned\s+in\s+(?P<u>[\w' ]+)|\b(?:beim|im|in\s+der)\s+"
    r"(?P<v>\w+)\s+(?:verwenden|benutzen|nutzen)",
    re.IGNORECASE,
)
_TASK = re.compile(
    r"(?:,|\band\b)\s*(?:and\s+)?(?P<t>(?:let\s+(?P<l>(?:both|all|the|each)\s+\w+(?:\s+steps?)?)\s+"
    r"|the\s+(?P<m>[\w ]+?)\s+(?:must|should|has\s+to|have\s+to)\s).+)$",
    re.IGNORECASE,
)
_OTHER = re.compile(r"\b(?:if|step|when|instead|remove|unless)\b", re.IGNORECASE)


def new_input(text: str, document: Document, hint: Sequence[str] = ()) -> Plain | Unsure | None:
    """The field, and the line that hands it to each step that is to use it. `hint` are steps that were named."""
    found = _FIRST.search(text)
    every = re.match(r"\s*in\s+(?:all|both)\b", text, re.IGNORECASE) is not None
    if found is None or _OTHER.search(text):
        return None
    name = identifier(next(part for part in found.groups() if part), 4)
    if not name or name in fields_of(document):
        return None
    rest = text[found.end() :]
    if (
        re.search(r"\band\s+(?!use\b)", rest, re.IGNORECASE)
        and not _TASK.search(rest)
        and not _USED.search(rest)
    ):
        return None  # something else is wanted too
    spec = _spec(name, rest)
    task = _TASK.search(rest)
    among = texts(document)
    named = [node for node in among if str(node["id"]) in hint]
    of = re.search(r"\bof\s+(?:the\s+)?(?P<s>\w+)\s+as\s+an?\b", text[: found.end()], re.IGNORECASE)
    steps = named or (meant(of["s"], document, among) if of else []) or _users(rest, task, document, among)
    if not steps and every:
        steps = list(among)
    if not steps:
        return which_step(f"Which step is to use `{name}`?", among, text) if among else None
    told = _told(task) if task else []
    maybe = spec.get("default") == ""
    edits = [said_more(document, node, told, [label_of(name, maybe=maybe)]) for node in steps]
    inner = ", ".join(f"{key}: {_scalar(value)}" for key, value in spec.items())
    edits.insert(0, Edit("add", "state.fields", f"{name}: {{{inner}}}"))
    done = f"Added the input `{name}` ({_in_words(spec)}), which {ids(steps)} {'use' if len(steps) > 1 else 'uses'}"
    return Plain(tuple(edits), done, tuple(str(node["id"]) for node in steps))


def _scalar(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | int | float) else quoted(value) if value else '""'


def _in_words(spec: Mapping[str, Any]) -> str:
    if spec.get("required"):
        return "required"
    return f"default {spec['default']}" if spec["default"] != "" else "empty unless it is given"


def _spec(name: str, rest: str) -> dict[str, Any]:
    """Its type and what it is when it isn't given: what was said, else text that may be left out."""
    about = {"description": sentence(name.replace("_", " "))}
    numeric = re.search(r"\b(?:number|integer|zahl|número)\b", rest, re.IGNORECASE)
    found = None if _EMPTY.search(rest) else _AS_DEFAULT.search(rest) or _DEFAULT.search(rest)
    value = (found["q"] or found["w"]) if found else None
    if value and re.fullmatch(r"-?\d+(?:\.\d+)?", value):
        number = float(value)
        whole = number == int(number) and "." not in value
        return {"type": "int" if whole else "float", "default": int(number) if whole else number, **about}
    if value is None and (numeric or re.search(r"\brequired\b", rest, re.IGNORECASE)):
        return {"type": "float" if numeric else "str", "required": True, **about}
    return {"type": "str", "default": value or "", **about}


def _users(
    rest: str, task: re.Match[str] | None, document: Document, among: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The steps that are to be given it, as far as they were named."""
    used = _USED.search(rest)
    said = next(part for part in used.groups() if part) if used else (task["l"] or task["m"]) if task else ""
    if said and not re.fullmatch(r"(?:it|the\s+workflow)", said.strip(), re.IGNORECASE):
        parts = [part for part in re.split(r",|\band\b", said) if part.strip()]
        found = [meant(part, document, among) for part in parts]
        if all(len(one) == 1 or (one and BOTH.search(said)) for one in found):
            wanted = [node for one in found for node in one]
            return [node for node in among if any(node is other for other in wanted)]
        return []
    return list(among) if len(among) == 1 else []


def _told(task: re.Match[str]) -> list[str]:
    """What the steps are to do with it, as a sentence of their prompts."""
    if task["l"]:
        return [task["t"][task.end("l") - task.start("t") :].strip()]
    return [task["t"]]
