"""Settings of steps (time-outs, temperature, tries) and defaults of inputs, set by a person's plain words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from chat.assistant.edits import Edit
from chat.assistant.small.numbers import N, value_of
from chat.assistant.small.places import (
    BOTH,
    Plain,
    Unsure,
    fields_meant,
    fields_of,
    ids,
    inputs_of,
    known,
    meant,
    nodes_of,
    which_step,
    whole,
    words_of,
)
from engine.document import Document

_NUMBER = r"(?P<n>\d+(?:\.\d+)?)"
_SECONDS = rf"{_NUMBER}\s*(?:s|sec|seconds?|sekunden)"
_NO_PAUSE = r"(?!\s+(?:pause|wait|delay|apart))"
_SETTINGS = (
    # key, pattern, what of a step must be there
    ("llm.temperature", rf"\btemperatur\w*\b\D{{0,40}}?{_NUMBER}", "prompt"),
    ("llm.max_tokens", rf"{_NUMBER}\s*tokens?\b", "prompt"),
    ("retry.backoff_seconds", rf"{_NUMBER}\s*(?:s|sec|seconds?|sekunden)\s+(?:pause|wait|delay|apart)\b", ""),
    ("timeout", rf"(?:give|timeout|time[- ]out|wait|up\s+to|for)\b.*?{_SECONDS}\b{_NO_PAUSE}", ""),
    ("retry.max_attempts", rf"\b(?:re)?tr(?:y|ies)\b\D{{0,40}}?{_NUMBER}\s*times\b", ""),
    ("max_parallel", rf"{_NUMBER}\s+(?:at\s+once|at\s+the\s+same\s+time|in\s+parallel|gleichzeitig)\b", "for_each"),
)  # fmt: skip
_DEFAULT = re.compile(
    r"\b(?:by\s+)?defaults?(?:\s+(?:value|to|is))?\b|\bstandard\w*\b|\bpar\s+défaut\b|\bpor\s+defecto\b|\bpor\s+defeito\b"
    r"|\bdomyślnie\b",
    re.IGNORECASE,
)
_NOISE = re.compile(
    r"\b(?:make|set|change|use|let|the|a|an|is|are|be|should|shall|must|now|to|as|of|please|pls|great|ok|okay|good|it|"
    r"we're|we|i|my|our|and|by|value|soll|sein|ist|bitte|auf|als)\b|[():=,.!?\"“”'‘’]",
    re.IGNORECASE,
)


def settings(clause: str, document: Document, before: Sequence[str] = ()) -> Plain | Unsure | None:
    """Every setting that a clause names, of the step that it names; `before` are the steps of the clause before it."""
    found = [
        (key, m, kind) for key, pattern, kind in _SETTINGS if (m := re.search(pattern, clause, re.IGNORECASE))
    ]
    if not found:
        return _rounds(clause, document)
    if not whole(clause, *(match for _, match, _ in found)):
        return None
    nodes = nodes_of(document)
    kinds = {kind for _, _, kind in found if kind}
    among = [node for node in nodes if all(kind in node for kind in kinds)]
    said = clause
    for _, match, _ in found:
        said = re.sub(
            r"\btemperatur\w*|\btokens?|\bpause\b|\bonce\b|\btimes\b", " ", said.replace(match["n"], " ")
        )
    steps = meant(said, document, among) or [node for node in among if str(node["id"]) in before]
    if not steps and (BOTH.search(clause) or len(among) == 1):
        steps = among
    if not steps:
        return which_step("Which step do you mean?", among, clause) if 1 < len(among) <= 5 else None
    if len(steps) > 1 and not BOTH.search(clause):
        return which_step("Which step do you mean?", steps, clause)
    edits = tuple(
        edit for node in steps for edit in _edits(node, [(key, match["n"]) for key, match, _ in found])
    )
    what = " and ".join(f"`{key}` to {match['n']}" for key, match, _ in found)
    return Plain(edits, f"Set {what} in {ids(steps)}", tuple(str(node["id"]) for node in steps))


def _rounds(clause: str, document: Document) -> Plain | None:
    """`only 2 rounds` where the document bounds how often a step is visited."""
    found = re.search(rf"(?<![\w.])(?P<n>{N})\s+(?:rounds?|visits|iterations)\b", clause, re.IGNORECASE)
    other = re.search(r"\b(?:if|after|when|before|step)\b", clause, re.IGNORECASE)
    if not found or other or not document.has(("config", "execution", "max_visits")):
        return None
    number = str(int(value_of(found["n"])))
    return Plain(
        (Edit("set", "config.execution.max_visits", number),),
        f"Each step is visited {number} times at most now",
    )


def _edits(node: Mapping[str, Any], values: Sequence[tuple[str, str]]) -> list[Edit]:
    made: dict[str, list[str]] = {}
    edits = []
    for key, value in values:
        group, _, inner = key.partition(".")
        if inner and not isinstance(node.get(group), Mapping):
            made.setdefault(group, []).append(f"{inner}: {value}")
        else:
            edits.append(Edit("set", f"nodes.{node['id']}.{key}", value))
    return [
        *edits,
        *(
            Edit("set", f"nodes.{node['id']}.{group}", f"{{{', '.join(parts)}}}")
            for group, parts in made.items()
        ),
    ]


def default(clause: str, document: Document) -> Plain | Unsure | None:
    """`make formal the default tone`, `the default length should be 800`: a default, said with that word."""
    said = _DEFAULT.search(clause)
    if said is None or not whole(clause, said):
        return None
    fields = fields_of(document)
    among = [name for name in inputs_of(document) if "default" in fields[name]]
    rest = _DEFAULT.sub(" ", clause)
    named = fields_meant(rest, document, among)
    number = re.search(rf"(?<!\w){N}(?!\w)", rest, re.IGNORECASE)
    numeric = [name for name in among if fields[name].get("type") in ("int", "float")]
    if number and (len(named) != 1 or named[0] not in numeric) and len(numeric) == 1:
        named = numeric
    if len(named) != 1:
        return None
    name, spec = named[0], fields[named[0]]
    value = _value(name, spec, rest, number)
    if value is None:
        return None
    edit = Edit(
        "set",
        f"state.fields.{name}.default",
        json.dumps(value, ensure_ascii=False) if value != _word(value) else str(value),
    )
    return Plain((edit,), f"Changed the default of `{name}` to {value}")


def _word(value: Any) -> Any:
    """The value where it can stand in YAML as it is."""
    plain = isinstance(value, str) and re.fullmatch(r"[^\W\d_](?:[^\W_]| )*", value)
    return (
        value if plain and value.lower() not in ("true", "false", "null", "yes", "no", "on", "off") else None
    )


def _value(name: str, spec: Mapping[str, Any], rest: str, number: re.Match[str] | None) -> Any:
    """What the field is to be, from the words that neither name it nor lead to it; None where that is not plain."""
    kind = spec.get("type")
    if kind in ("int", "float"):
        found = value_of(number.group()) if number else None
        return int(found) if found is not None and kind == "int" else found
    about = words_of(f"{name.replace('_', ' ')} {spec.get('description', '')}")
    words = [
        word for word in _NOISE.sub(" ", rest).split() if not any(known(w, about) for w in words_of(word))
    ]
    said = " ".join(words)
    if kind == "bool":
        yes = said.lower() in ("true", "yes", "on", "ja", "sim", "sí", "si", "oui", "tak")
        return (
            True
            if yes
            else False
            if said.lower() in ("false", "no", "off", "nein", "não", "non", "nie")
            else None
        )
    if spec.get("enum"):
        return next((value for value in spec["enum"] if str(value).lower() == said.lower()), None)
    if kind != "str" or not 1 <= len(words) <= 3:
        return None
    return said.capitalize() if str(spec["default"]).istitle() and said.islower() else said


def style(clause: str, document: Document) -> Plain | None:
    """`use a formal tone`, `make it answer in Spanish` where an input of that name holds the tone or the language."""
    fields = fields_of(document)
    tone = re.search(
        r"\b(?:in|use|with)\s+an?\s+(?:more\s+)?(?P<v>\w+)\s+(?P<k>tone|style)\b", clause, re.IGNORECASE
    )
    speech = language_in(clause)
    kinds = ("tone", "style") if tone else ("language", "lang", "sprache") if speech else ()
    among = [
        name for name in inputs_of(document)
        if fields[name].get("type") == "str" and "default" in fields[name]
        and name in (*kinds, *(f"target_{kind}" for kind in kinds))
    ]  # fmt: skip
    if len(among) != 1:
        return None
    value = tone["v"] if tone else str(speech)
    if from_enum := fields[among[0]].get("enum"):
        value = next((str(one) for one in from_enum if str(one).lower() == value.lower()), "")
    if not value:
        return None
    return Plain(
        (Edit("set", f"state.fields.{among[0]}.default", value),),
        f"Changed the default of `{among[0]}` to {value}",
    )


LANGUAGES = [
    "english",
    "german",
    "french",
    "spanish",
    "italian",
    "portuguese",
    "dutch",
    "polish",
    "czech",
    "danish",
    "swedish",
    "norwegian",
    "finnish",
    "greek",
    "turkish",
    "russian",
    "ukrainian",
    "chinese",
    "japanese",
    "korean",
    "arabic",
    "hebrew",
    "hindi",
    "hungarian",
    "romanian",
    "latin",
    "croatian",
    "bulgarian",
]


def language_in(clause: str) -> str | None:
    """The language of `in Spanish`, None where there is none."""
    found = re.search(rf"\b(?:in|into|to)\s+(?P<l>{'|'.join(LANGUAGES)})\b", clause, re.IGNORECASE)
    return found["l"].capitalize() if found else None


def tag(clause: str, document: Document) -> Plain | None:
    """`tag legal`: one more tag of the workflow."""
    found = re.search(
        r"\btag(?:ged)?\s+(?:it\s+)?(?:(?:as|with)\s+)?[`'\"]?(?P<t>[a-z]\w*)[`'\"]?$", clause, re.IGNORECASE
    )
    if found is None:
        return None
    tags = document.data["flow"].get("tags")
    if tags is not None and (not isinstance(tags, list) or found["t"] in tags):
        return None
    edit = Edit("add", "flow.tags", found["t"]) if tags else Edit("set", "flow.tags", f"[{found['t']}]")
    return Plain((edit,), f"Added the tag `{found['t']}`")
