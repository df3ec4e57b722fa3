"""What a person asks for in so many words, read by code from the person's own message alone.

What may not depend on a model's good will hangs on this: a run, another workflow, a whole rewrite, no questions. A
text that the person only passes on (a quotation, a block, a long paste) does not speak for the person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

WORDS = Path(__file__).resolve().parent.parent.parent / "configs" / "prompts" / "words.yaml"
LONGEST_OWN = 400  # characters of a paragraph that is taken for the person's own words

_PASSED_ON = re.compile(
    r"```.*?(?:```|\Z)|\"\"\".*?(?:\"\"\"|\Z)|'''.*?(?:'''|\Z)|<(\w+)[^>]*>.*?(?:</\1>|\Z)|^\s*>.*?$"
    r"|[\"“„«‘][^\"”“»’\n]{25,}[\"”“»’]",
    re.DOTALL | re.MULTILINE,
)
_CLAUSE = re.compile(r"[,.;:!?\n]+|\bbut\b|\baber\b|\bmais\b|\bpero\b|\bma\b|\bmas\b|\bmaar\b|，|。|、|！|？")


@cache
def _words() -> dict[str, frozenset[str]]:
    return {name: frozenset(entries) for name, entries in _lists().items() if name in ("yes", "no")}


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile("|".join(_lists()[name]), re.IGNORECASE)


@cache
def _lists() -> dict[str, list[str]]:
    from engine.document import read_document

    found: dict[str, list[str]] = read_document(WORDS.read_text(encoding="utf-8")).data
    return found


def says_yes(text: str) -> bool | None:
    """Whether the whole text is a plain yes or a plain no; None when it is neither."""
    said = re.sub(r"[\s,.!]+", " ", _straight(text).casefold()).strip()
    return True if said in _words()["yes"] else False if said in _words()["no"] else None


def own_words(text: str) -> str:
    """The message without what it only passes on."""
    left = _PASSED_ON.sub("\n", _straight(text))
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", left) if part.strip()]
    ends = paragraphs if len(paragraphs) < 3 else [paragraphs[0], paragraphs[-1]]
    return "\n".join(part if len(part) <= LONGEST_OWN else part[: LONGEST_OWN // 2] for part in ends)


def wants_run(text: str, names: Iterable[str] = ()) -> bool:
    """Whether the message asks for a run: of what is talked about, or of one of these workflows."""
    for clause in _CLAUSE.split(own_words(text)):
        if _pattern("not_run").search(clause):
            continue
        if _pattern("run").search(clause.strip()):
            return True
        if any(_runs_by_name(clause, name) for name in names):
            return True
    return False


def _runs_by_name(clause: str, name: str) -> bool:
    named = r"[\s_-]+".join(map(re.escape, _parts(name)))
    return bool(
        re.search(rf"\b(?:run|start|execute|launch|try|starte?|lance)\b.*\b{named}\b", clause, re.IGNORECASE)
    )


def only_wants_run(text: str) -> bool:
    """Whether the message asks for a run and for nothing else, so that nothing should be changed before."""
    from chat.assistant.small.commands import read

    command = read(text.strip())
    return command is not None and command.kind in ("run", "sample")


def wants_no_questions(text: str) -> bool:
    """Whether the person wants it done without being asked."""
    return bool(_pattern("no_questions").search(own_words(text)))


def wants_rewrite(text: str) -> bool:
    """Whether the person wants the whole document written anew."""
    return bool(_pattern("rewrite").search(own_words(text)))


def names(text: str, name: str) -> bool:
    """Whether the message names this workflow: every word of its name stands there, in whatever spelling."""
    said = set(_parts(own_words(text)))
    parts = _parts(name)
    return bool(parts) and all(part in said for part in parts)


def _parts(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold().replace("_", " "))


def _straight(text: str) -> str:
    return text.replace("’", "'")
