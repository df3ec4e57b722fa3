"""Numbers that a person wants changed, found by the old number, by what they count, or by the name they go by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chat.assistant.edits import Edit
from chat.assistant.small.places import (
    BOTH,
    Plain,
    Unsure,
    fields_meant,
    fields_of,
    inputs_of,
    known,
    meant,
    nodes_of,
    rewritten,
    scalars,
    texts,
    whole,
    words_of,
)
from engine.document import Document, Path, path_text

WORDS = {
    "half a": 0.5, "half an": 0.5, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20,
    "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "sieben": 7, "acht": 8, "neun": 9, "zehn": 10,
}  # fmt: skip
N = rf"(?:{'|'.join(WORDS)}|\d+(?:\.\d+)?)"
_ONE = re.compile(rf"(?<![\w.])(?P<n>{N})(?![\w]|\.\d)", re.IGNORECASE)
_QUANTITY = re.compile(
    rf"(?<![\w.])(?P<n>{N})\s+(?P<between>(?:[^\W\d]+\s+){{0,3}}?)(?P<unit>[^\W\d]{{3,}})", re.IGNORECASE
)
_UNIT = r"(?P<unit>(?:\s+[^\W\d]+){0,3}?)"
_INSTEAD = (
    r"(?:instead\s+of|rather\s+than|(?:and\s+)?not|statt|anstatt|nicht|no|nie|pas|au\s+lieu\s+de|en\s+vez\s+de"
    r"|in\s+plaats\s+van)"
)
_PAIRS = (
    re.compile(
        rf"(?<![\w.])(?P<new>{N}){_UNIT}(?:\s+please)?\s*,?\s+{_INSTEAD}\s+(?P<old>{N})(?!\w|\.\d)",
        re.IGNORECASE,
    ),
    re.compile(rf"\bfrom\s+(?P<old>{N}){_UNIT}\s+to\s+(?P<new>{N})\b", re.IGNORECASE),
    re.compile(
        rf"\b(?:change|replace)\s+(?:the\s+)?(?P<old>{N}){_UNIT}\s+(?:to|by|with|into)\s+(?P<new>{N})\b",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\b(?P<old>{N}){_UNIT}\s+(?:is|are|ist|sind)\s+(?:too|far\s+too|zu)\s+\w+,?\s*(?:please\s+)?(?:make\s+it|take|use|rather|nimm)\s+"
        rf"(?P<new>{N})\b",
        re.IGNORECASE,
    ),
)  # fmt: skip
_NAMED = re.compile(
    rf"(?:raise|lower|increase|decrease|reduce|set|change|put|make|erhöhe|senke|setze|sube|baja)\s+(?P<name>(?:\S+\s+){{1,5}}?)"
    rf"(?:(?:to|at|=|auf|a)\s+)?(?P<new>{N})(?P<after>(?:\s+[^\W\d]+){{0,2}})",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"\b(?:limit|threshold|bound|boundary|cap|grenze|schwelle|límite|limite|próg|grens)\w*\b", re.IGNORECASE
)
_KEYS = ("prompt", "ask", "system", "description", "code", "condition", "default")


@dataclass(frozen=True, slots=True)
class Spot:
    """A number that stands somewhere: what it belongs to (`thing`), and the value with the new one in its place."""

    path: Path
    thing: str
    edit: Edit


_SAME = {
    "woerter": "words", "worte": "words", "palabras": "words", "mots": "words", "parole": "words",
    "saetze": "sentences", "frases": "sentences", "frasi": "sentences", "zeilen": "lines", "líneas": "lines",
    "lignes": "lines", "seiten": "pages", "punkte": "points", "zeichen": "characters", "caracteres": "characters",
}  # fmt: skip


def noun(words: str) -> str:
    """What is counted, in one language: the last of the words."""
    last = (words_of(words) or words.lower().split() or [""])[-1]
    return _SAME.get(last, last)


def value_of(word: str) -> float:
    return float(WORDS.get(word.lower(), 0) or word)


def exchanged(clause: str, document: Document) -> Plain | Unsure | None:
    """`80 words instead of 120`, `over 500, not 1000`: the old number gives way to the new one."""
    found = next((match for pattern in _PAIRS if (match := pattern.search(clause))), None)
    if found is None or not whole(clause, found):
        return None
    old, new, units = found["old"], found["new"], words_of(found["unit"] or "")
    spots = list(_spots(document, old, new))
    spots = _of_the_step(clause, document, spots)
    if units:
        # What counts something else is not meant.
        counted_words = [noun(unit) for unit in units]
        spots = [spot for spot in spots if _counts(spot, counted_words)]
    return _one_thing(spots, clause, old, new, document)


def _counts(spot: Spot, words: Sequence[str]) -> bool:
    """Whether a number counts one of these; true of what counts nothing, like a bound."""
    if not spot.thing or spot.path[-1] in ("condition", "default", "code"):
        return True
    return any(known(noun(word), words) for word in spot.thing.split())


def _of_the_step(clause: str, document: Document, spots: list[Spot]) -> list[Spot]:
    """Only those of a step that is named, where one is."""
    named = re.search(r"\bin\s+(?:the\s+)?step\s+(\w+)", clause, re.IGNORECASE)
    numbers = [n for n, node in enumerate(nodes_of(document)) if named and node["id"] == named.group(1)]
    return [spot for spot in spots if spot.path[:2] == ("nodes", numbers[0])] if numbers else spots


def _one_thing(
    spots: Sequence[Spot], clause: str, old: str, new: str, document: Document
) -> Plain | Unsure | None:
    things = {spot.thing if len(spot.thing) > 2 else path_text(spot.path) for spot in spots}
    if not spots:
        return None
    if len(things) > 1 and not BOTH.search(clause):
        nodes = nodes_of(document)
        numbers = dict.fromkeys(spot.path[1] for spot in spots if spot.path[0] == "nodes")
        names = [str(nodes[int(n)]["id"]) for n in numbers]
        options = tuple((name, f"In the step {name}, change {old} to {new}") for name in names[:5])
        places = ", ".join(f"`{path_text(spot.path)}`" for spot in spots[:6])
        return Unsure(f"{old} stands in several places: {places}. Which one do you mean?", options)
    where = ", ".join(dict.fromkeys(f"`{path_text(spot.path)}`" for spot in spots))
    return Plain(tuple(spot.edit for spot in spots), f"Changed {old} to {new} in {where}")


def _spots(document: Document, old: str, new: str) -> Iterator[Spot]:
    """Where the old number stands, once a value; a value in which it stands twice for two things is left out."""
    for path, value in scalars(document.data):
        key = str(path[-1])
        if key not in _KEYS or path[0] not in ("state", "nodes", "edges"):
            continue
        if isinstance(value, int | float) and not isinstance(value, bool):
            if float(value) == value_of(old):
                yield Spot(path, str(path[-2]), Edit("set", path_text(path), _digits(new)))
        elif isinstance(value, str):
            places = [m for m in _ONE.finditer(value) if value_of(m["n"]) == value_of(old)]
            if len(places) == 1:
                thing = _thing(key, value, places[0].end())
                yield Spot(path, thing, _put(document, path, value, places[0], new))


def _thing(key: str, value: str, end: int) -> str:
    """What a number belongs to: the state field of a condition, or the next words of a text."""
    if key == "condition":
        found = re.findall(r"state\.(\w+)", value[:end])
        return f"state.{found[-1]}" if found else ""
    after = re.match(r"(?:\s+[^\W\d]+){1,3}", value[end:])
    return " ".join(after.group().lower().split()) if after and key != "code" else ""


def _digits(word: str) -> str:
    value = value_of(word)
    return str(int(value)) if value == int(value) else str(value)


def _put(document: Document, path: Path, value: str, place: re.Match[str], new: str) -> Edit:
    digits = place["n"][0].isdigit()
    number = _digits(new) if digits and new.lower() not in ("half a", "half an") else new.lower()
    if place["n"][0].isupper():
        number = number[:1].upper() + number[1:]
    return rewritten(document, path, value[: place.start("n")] + number + value[place.end("n") :])


def set_by_name(clause: str, document: Document) -> Plain | Unsure | None:
    """`raise the limit to 2000`, `set count to 3`: a default, or the number of a condition, by its name."""
    found = _NAMED.search(clause)
    if found is None or (
        found["after"].split()[:1] and found["after"].split()[0].lower() in ("tokens", "seconds", "times")
    ):
        return None
    name, new = found["name"], found["new"]
    fields = fields_of(document)
    numeric = [
        n for n in inputs_of(document)
        if fields[n].get("type") in ("int", "float") and fields[n].get("default") is not None
    ]  # fmt: skip
    named = fields_meant(name, document, numeric)
    if len(named) == 1:
        at = f"state.fields.{named[0]}.default"
        return Plain(
            (Edit("set", at, _digits(new)),), f"Changed the default of `{named[0]}` to {_digits(new)}"
        )
    spots = [spot for spot, thing in _conditions(document, new) if _fits(name, thing, document)]
    if not spots and _LIMIT.search(name):
        spots = [spot for spot, _ in _conditions(document, new)]
    if not spots:
        return None
    things = {spot.thing for spot in spots}
    if len(things) > 1:
        options = tuple((thing, f"change {thing} to {new}") for thing in sorted(things))
        return Unsure("Which number do you mean?", options)
    where = ", ".join(dict.fromkeys(f"`{path_text(spot.path)}`" for spot in spots))
    return Plain(tuple(spot.edit for spot in spots), f"Changed the number to {_digits(new)} in {where}")


def _fits(name: str, thing: str, document: Document) -> bool:
    field = thing.removeprefix("state.")
    told = str(fields_of(document).get(field, {}).get("description", ""))
    return any(known(word, words_of(f"{field.replace('_', ' ')} {told}")) for word in words_of(name))


def _conditions(document: Document, new: str) -> Iterator[tuple[Spot, str]]:
    """The conditions that compare a field with one number."""
    for path, value in scalars(document.data):
        if path[-1] == "condition" and isinstance(value, str):
            places = list(re.finditer(r"[<>=]=?\s*(?P<n>\d+(?:\.\d+)?)(?![\w.])", value))
            thing = _thing("condition", value, places[0].start()) if len(places) == 1 else ""
            if thing:
                yield (
                    Spot(path, f"{thing} ({value.strip()})", _put(document, path, value, places[0], new)),
                    thing,
                )


def counted(clause: str, document: Document, subject: str) -> Plain | Unsure | None:
    """`paragraph max 90 words` where a prompt says how many words: the number there gives way."""
    wanted = list(_QUANTITY.finditer(clause))
    if len(wanted) != 1:
        return None
    new, unit = wanted[0]["n"], wanted[0]["unit"].lower()
    among = texts(document)
    steps = meant(subject, document, among) if words_of(subject) else among
    found = [
        (number, key, match)
        for number, node in enumerate(nodes_of(document))
        if any(node is step for step in steps)
        for key in ("prompt", "ask", "system")
        if isinstance(node.get(key), str)
        for match in _QUANTITY.finditer(str(node[key]))
        if known(noun(unit), [noun(match["unit"])])
    ]
    if len(found) != 1 and not (found and BOTH.search(clause)):
        return None
    nodes = nodes_of(document)
    edits = tuple(_counted_edit(document, ("nodes", n, key), match, new, unit) for n, key, match in found)
    steps_named = tuple(dict.fromkeys(str(nodes[n]["id"]) for n, _, _ in found))
    done = f"Changed “{found[0][2].group()}” to “{new.lower()} {unit}” in {' and '.join(f'`{s}`' for s in steps_named)}"
    return Plain(edits, done, steps_named)


def _counted_edit(document: Document, path: Path, match: re.Match[str], new: str, unit: str) -> Edit:
    value = match.string
    after = value[match.end("n") : match.start("unit")]
    noun = unit if after.isspace() else match["unit"]
    return rewritten(
        document, path, value[: match.start("n")] + new.lower() + after + noun + value[match.end("unit") :]
    )
