"""Which step and which field a person means, told from the words of a document: ids, outputs, descriptions, prompts."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chat.assistant.edits import Edit
from chat.assistant.wiring_text import literal, one_line, quoted
from engine.document import Document, Path, path_text

TEXTS = ("prompt", "ask")
BOTH = re.compile(
    r"\b(?:both|all|each|every|everywhere|alle[nrms]?|beiden?|überall|todos|ambos|tous)\b", re.IGNORECASE
)
_FILLER = frozenset(
    [
        "the",
        "and",
        "that",
        "this",
        "with",
        "for",
        "its",
        "her",
        "his",
        "our",
        "your",
        "you",
        "they",
        "them",
        "then",
        "there",
        "should",
        "must",
        "have",
        "has",
        "had",
        "not",
        "but",
        "can",
        "could",
        "will",
        "would",
        "please",
        "pls",
        "also",
        "too",
        "now",
        "just",
        "only",
        "very",
        "more",
        "most",
        "less",
        "some",
        "any",
        "all",
        "both",
        "each",
        "into",
        "from",
        "step",
        "steps",
        "give",
        "make",
        "let",
        "use",
        "der",
        "die",
        "das",
        "und",
        "den",
        "dem",
        "des",
        "ein",
        "eine",
        "einen",
        "soll",
        "sollen",
        "bitte",
        "auch",
        "mit",
        "von",
        "zum",
        "zur",
        "les",
        "des",
        "une",
        "est",
        "dans",
        "por",
        "los",
        "las",
        "una",
        "que",
    ]
)
_PLAIN = {ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue", ord("ß"): "ss"}
_LABEL = re.compile(r"^[^\n{}]{0,60}:\s*\{[\w.]+[^{}]*\}\s*$|^\s*\{[\w.]+[^{}]*\}\s*$")


@dataclass(frozen=True, slots=True)
class Plain:
    """A change that code read: edits made one after the other, what is done in words, and the steps it concerns."""

    edits: tuple[Edit, ...]
    done: str
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unsure:
    """A change that could mean several places: the question, and a message for each place that says it."""

    question: str
    options: tuple[tuple[str, str], ...]
    """(label, message)"""


def words_of(text: str) -> list[str]:
    """The words that carry meaning, small, umlauts written out."""
    plain = text.lower().translate(_PLAIN)
    return [word for word in re.findall(r"[^\W\d_]{3,}", plain) if word not in _FILLER]


def alike(one: str, other: str) -> bool:
    """Whether two words are forms of one: writer and write, apology and apologise."""
    same = next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    return one == other or same >= max(4, min(len(one), len(other)) - 2)


def known(word: str, words: Collection[str]) -> bool:
    return any(alike(word, other) for other in words)


def whole(clause: str, *found: re.Match[str]) -> bool:
    """Whether each part of a clause ("…, and …") holds some of what was found, so that nothing gets lost."""
    start = 0
    for part in re.split(r"(,\s+|\s+(?:and|und|et|y|e|i|en)\s+)", clause):
        end = start + len(part)
        mark = re.fullmatch(r"[,\s]*(?:(?:and|und|et|y|e|i|en)\s+)?", part)
        if not mark and not any(match.start() < end and match.end() > start for match in found):
            return False
        start = end
    return True


def nodes_of(document: Document) -> list[Mapping[str, Any]]:
    return [node for node in document.data["nodes"] if isinstance(node, Mapping)]


def fields_of(document: Document) -> dict[str, Mapping[str, Any]]:
    found = document.data["state"]["fields"]
    return {str(name): spec if isinstance(spec, Mapping) else {"type": spec} for name, spec in found.items()}


def outputs_of(node: Mapping[str, Any]) -> list[str]:
    found = node.get("outputs") or []
    return [found] if isinstance(found, str) else [str(name) for name in found]


def text_key(node: Mapping[str, Any]) -> str | None:
    """The key of what a step says, None where it says nothing."""
    return next((key for key in TEXTS if isinstance(node.get(key), str)), None)


def texts(document: Document) -> list[Mapping[str, Any]]:
    """The steps that say something to a model or to a person."""
    return [node for node in nodes_of(document) if text_key(node)]


def meant(
    said: str, document: Document, among: Sequence[Mapping[str, Any]], least: int = 1
) -> list[Mapping[str, Any]]:
    """The steps that the words fit best, several when they fit equally well, none when they fit none. A word counts 4
    where it names a step or what it gives, 2 in a description, 1 in a prompt; `least` must be reached.
    """
    scores = [_score(words_of(said), node, document) for node in among]
    best = max(scores, default=0)
    return [node for node, score in zip(among, scores, strict=True) if score == best] if best >= least else []


def _score(words: Sequence[str], node: Mapping[str, Any], document: Document) -> int:
    fields = fields_of(document)
    own = words_of(" ".join([str(node.get("id", "")).replace("_", " "), *_spaced(outputs_of(node))]))
    told = [
        str(node.get("description", "")),
        *(str(fields.get(n, {}).get("description", "")) for n in outputs_of(node)),
    ]
    asked = words_of(re.sub(r"\{[^{}]*\}", " ", str(node.get(text_key(node) or "", ""))))
    scored = ((own, 4), (words_of(" ".join(told)), 2), (asked, 1))
    return sum(next((points for there, points in scored if known(word, there)), 0) for word in words)


def _spaced(names: Sequence[str]) -> list[str]:
    return [name.replace("_", " ") for name in names]


def fields_meant(said: str, document: Document, among: Collection[str]) -> list[str]:
    """The fields among these that the words fit best: by name first, then by description."""
    words, fields = words_of(said), fields_of(document)
    scores = {
        name: sum(
            4 if known(word, words_of(name.replace("_", " "))) or word == name else
            1 if known(word, words_of(str(fields[name].get("description", "")))) else 0
            for word in words
        )
        for name in among
    }  # fmt: skip
    best = max(scores.values(), default=0)
    return [name for name, score in scores.items() if score == best] if best else []


def inputs_of(document: Document) -> list[str]:
    """The fields that no step fills."""
    filled = {name for node in nodes_of(document) for name in outputs_of(node)}
    return [name for name in fields_of(document) if name not in filled]


def scalars(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that is no list and no set of keys, with its path."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from scalars(below, (*path, str(key)))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from scalars(below, (*path, number))
    else:
        yield path, value


def rewritten(document: Document, path: Path, text: str) -> Edit:
    """The edit that puts a text in the place of another, written as that one is."""
    first = document.source(path)[:1]
    fits = first in ("|", ">") and text[:1] not in ("|", ">", '"', "'") and bool(text.strip())
    inline = json.dumps(text, ensure_ascii=False) if first in ("'", '"') else quoted(text)
    return Edit("set", path_text(path), text if fits else inline)


def said_more(
    document: Document, node: Mapping[str, Any], lines: Sequence[str], labels: Sequence[str] = ()
) -> Edit:
    """The edit that adds sentences to what a step says, before the lines that hand over values, and such lines last."""
    number = nodes_of(document).index(node)
    key = str(text_key(node))
    old = str(node[key]).rstrip("\n").split("\n")
    at = len(old)
    while at and (_LABEL.match(old[at - 1]) or not old[at - 1].strip()):
        at -= 1
    at = at or len(old)
    # What hands over a value in words ("Tasks: {x}") at the end of the only line stays where it is.
    new = [*old[:at], *map(sentence_of, lines), *old[at:], *labels]
    one_line_only = len(old) == 1 and document.source(("nodes", number, key))[:1] not in ("|", ">")
    text = " ".join(new) if one_line_only else "\n".join(new)
    return rewritten(document, ("nodes", number, key), text)


def sentence_of(words: str) -> str:
    """A person's words as a sentence of a prompt."""
    text = literal(one_line(words))
    text = text[:1].upper() + text[1:]
    return text if text[-1:] in ".!?:" else f"{text}."


def label_of(name: str, *, maybe: bool = False) -> str:
    """The line of a prompt that hands over a field."""
    title = name.replace("_", " ")
    return f"{title[:1].upper()}{title[1:]}{' (may be empty)' if maybe else ''}: {{state.{name}}}"


def ids(nodes: Sequence[Mapping[str, Any]]) -> str:
    return " and ".join(f"`{node['id']}`" for node in nodes)


def which_step(question: str, nodes: Sequence[Mapping[str, Any]], clause: str) -> Unsure:
    """Ask which step is meant; each answer says the wish again with the step."""
    options = [(str(node["id"]), f"In the step {node['id']}, {clause}") for node in nodes[:5]]
    every = [("All of them", f"In all of them: {clause}")] if len(nodes) > 1 else []
    return Unsure(question, (*options, *every))
