"""The words done, fixed, checked and tested, only where the record of the turn bears them out.

A model says what it is about to do as if it were done. So a sentence in which one of these words stands is held back
from that word on, until the record says so or the turn is over; then it is shown as it is, or what is so stands in its
place. All other text passes as it comes. The words, by language, stand in `configs/prompts/honest.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from chat.assistant.turn import OPENED
from chat.events import DraftChanged, Event, Fix, RunEnded, RunStarted, Text
from chat.events import TestProposed as Proposed

Kind = Literal["done", "fixed", "checked", "tested"]
KINDS: tuple[Kind, ...] = ("tested", "checked", "fixed", "done")
FILE = Path(__file__).resolve().parent.parent.parent / "configs" / "prompts" / "honest.yaml"
MOST_HELD = 800
"""Characters that wait for a claim to be borne out; past that they are shown, and put right at the end."""
_ENDS = re.compile(r"[.!?…](?=[\s\"'”»)*_])|[。！？]|\n")
_WORD = re.compile(r"\w+")
_LAST_WORD = re.compile(r"\w+\Z")
LONGEST, LONGEST_SENTENCE = 60, 2000
"""Letters of a word, and of a sentence, that are looked at."""
_CJK = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


@dataclass(slots=True)
class Record:
    """What code knows of the turn, and of the workflow that it is about. None: nothing is known."""

    saved: bool = False
    acted: bool = False
    checked: bool | None = None
    tests: tuple[int, int] = (0, 0)
    ran: bool | None = None

    def note(self, event: Event) -> None:
        """An event of the turn, said by code."""
        if isinstance(event, DraftChanged) and event.summary != OPENED:
            self.saved = self.acted = self.checked = True
            self.tests = (0, 0)
            self.proof(event.proof)
        elif isinstance(event, DraftChanged):
            self.proof(event.proof)
        elif isinstance(event, RunStarted):
            self.acted = True
        elif isinstance(event, RunEnded):
            self.ran = event.status == "ok"
        elif isinstance(event, Proposed) and event.status == "kept":
            self.acted = True
        elif isinstance(event, Fix) and event.status == "applied":
            self.saved = self.acted = self.checked = True

    def proof(self, proof: Mapping[str, Any] | None) -> None:
        """What was proved of the workflow as it is now."""
        if proof is None:
            return
        found = [test["status"] for test in proof["tests"]]
        self.checked = bool(proof["checked"]["ok"])
        self.tests = (found.count("passed"), found.count("failed"))

    def bears_out(self, kind: Kind) -> bool:
        passed, failed = self.tests
        if kind == "done":
            return self.acted
        if kind == "fixed":
            return self.saved and not failed
        if kind == "checked":
            return bool(self.checked) and not failed
        return not failed and (passed > 0 or self.ran is True)


@dataclass(frozen=True, slots=True)
class _Language:
    claims: Mapping[Kind, re.Pattern[str]]
    denied: re.Pattern[str]
    instead: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Words:
    """Where a claim may begin: languages by word, the same of scripts without spaces, and every beginning of a word."""

    plain: Mapping[str, frozenset[str]]
    dense: Mapping[str, frozenset[str]]
    begins: frozenset[str]
    in_dense: re.Pattern[str]

    def languages(self, word: str) -> frozenset[str]:
        """Whose word it is, with up to two letters at its end that are not in the list."""
        low = word.casefold()
        return self.plain.get(low) or self.plain.get(low[:-1]) or self.plain.get(low[:-2]) or frozenset()


def warm() -> None:
    """Read the words, which takes a moment: not while somebody waits."""
    words()
    for name in _file():
        _language(name)


@cache
def _language(name: str) -> _Language:
    found = _file()[name]
    return _Language(
        {kind: re.compile("|".join(rules), re.IGNORECASE) for kind, rules in found["claims"].items()},
        re.compile("|".join(found["denied"]), re.IGNORECASE),
        found["instead"],
    )


@cache
def _file() -> Mapping[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: Mapping[str, Any] = yaml.load(FILE.read_text(encoding="utf-8"), loader)  # noqa: S506 - safe loaders
    return found


@cache
def words() -> _Words:
    """All words of all languages."""
    plain: dict[str, set[str]] = {}
    dense: dict[str, set[str]] = {}
    for name, found in _file().items():
        for word in found["words"]:
            (dense if _CJK.search(word) else plain).setdefault(word.casefold(), set()).add(name)
    begins = {word[:n] for word in (*plain, *dense) for n in range(1, len(word) + 1)}
    longest_first = sorted(dense, key=len, reverse=True)
    return _Words(
        {word: frozenset(names) for word, names in plain.items()},
        {word: frozenset(names) for word, names in dense.items()},
        frozenset(begins),
        re.compile("|".join(map(re.escape, longest_first))),
    )


def claims_in(sentence: str) -> Iterator[tuple[str, Kind]]:
    """(language, kind) of all that a sentence claims to be so; nothing where it claims nothing, denies, asks or
    promises.
    """
    plain = re.sub(r"[*_`]+", "", sentence[:LONGEST_SENTENCE]).replace("’", "'").strip()
    if not plain or plain.endswith(("?", "？", ":")):
        return
    for name in _spoken(plain):
        language = _language(name)
        for kind in KINDS:
            found = language.claims[kind].search(plain)
            if found is not None and not language.denied.search(plain):
                yield name, kind


def untested(summary: str) -> str:
    """A summary of what is about to be saved, without sentences that claim it was tested: it was not yet."""
    kept = [each for each in _sentences(summary) if all(kind != "tested" for _, kind in claims_in(each))]
    return "".join(kept).strip() or "A new version"


def _spoken(sentence: str) -> list[str]:
    """The languages whose words stand in a sentence, as the file has them."""
    known = words()
    found: set[str] = set()
    for word in _WORD.findall(sentence):
        found |= known.languages(word)
    for dense in known.in_dense.findall(sentence):
        found |= known.dense[dense]
    return [name for name in _file() if name in found]


@dataclass(slots=True)
class Honest:
    """Feed it a model's words as they come, and the events of the turn; what they give back may be shown.

    `record` is what is known; it may be given the proof of the workflow as it is (`record.proof`). At the end of the
    turn `close` gives what is left. In code blocks nothing is held.
    """

    record: Record = field(default_factory=Record)
    _sentence: str = ""
    _shown: int = 0
    _clear: int = 0
    _before: str = ""
    _held: str = ""
    _fenced: bool = False
    _open: list[tuple[str, Kind]] = field(default_factory=list)
    _said: set[str] = field(default_factory=set)

    def feed(self, text: str) -> str:
        """More of the model's words; what of them may be shown now."""
        out = []
        while text:
            end = _ENDS.search(self._sentence + text, max(len(self._sentence) - 1, 0))
            if end is None:
                self._sentence += text
                break
            whole = self._sentence + text
            self._sentence, text = whole[: end.end()], whole[end.end() :]
            out.append(self._ended())
        out.append(self._part())
        return "".join(out)

    def note(self, event: Event) -> str:
        """An event of the turn, to be shown after what this gives back: the words that it bears out."""
        if isinstance(event, Text):
            return ""
        self.record.note(event)
        if not self._held or not all(self.record.bears_out(kind) for _, kind in self._claims()):
            return ""
        held, self._held = self._held, ""
        return held + self._part()

    def close(self) -> str:
        """The turn is over: what is left, with what is so in the place of what is not."""
        out = self._ended() if self._sentence else ""
        told = out + (self._honest() if self._held else "")
        self._held = ""
        wrong = [claim for claim in self._open if not self.record.bears_out(claim[1])]
        self._open.clear()
        for claim in wrong:
            if said := self._instead(*claim):
                told += f"\n\n{said}"
        return told

    # --- inside ---

    def _ended(self) -> str:
        """The sentence is whole: what of it has not been shown, unless it has to wait."""
        sentence, shown = self._sentence, self._shown
        self._sentence, self._shown, self._clear = "", 0, 0
        if sentence.lstrip().startswith("```"):
            self._fenced = not self._fenced
        rest = sentence[shown:]
        if self._held:
            self._held += rest
        else:
            if self._fenced or self._wrong(sentence) is None:
                return rest
            self._before, self._held = sentence[:shown], rest
        if len(self._held) > MOST_HELD:
            return self._let_go()
        return ""

    def _part(self) -> str:
        """What of the unfinished sentence can be shown: all before a word that may claim something."""
        if self._held:
            return ""
        if self._fenced:
            self._clear = start = len(self._sentence)
        else:
            self._clear, start = _look(self._sentence, self._clear)
        piece = self._sentence[self._shown : start]
        self._shown = max(start, self._shown)
        return piece

    def _let_go(self) -> str:
        """Too much waits: it is shown, and what it claims is looked at again at the end."""
        self._open += self._claims()
        held, self._held = self._held, ""
        return held

    def _claims(self) -> list[tuple[str, Kind]]:
        return [c for sentence in _sentences(self._before + self._held) for c in claims_in(sentence)]

    def _wrong(self, sentence: str) -> tuple[str, Kind] | None:
        """What a sentence claims that is not borne out, however much else in it is."""
        return next((c for c in claims_in(sentence) if not self.record.bears_out(c[1])), None)

    def _honest(self) -> str:
        """What was held back, each sentence that is not borne out replaced by what is so, once."""
        out = []
        shown = self._before  # of the first of the sentences
        for sentence in _sentences(shown + self._held):
            claim = self._wrong(sentence)
            if claim is None:
                out.append(sentence[len(shown) :])
            else:
                out.append(self._replaced(sentence, shown, self._instead(*claim)))
            shown = ""
        return "".join(out)

    def _replaced(self, sentence: str, shown: str, said: str) -> str:
        end = sentence[len(sentence.rstrip()) :]
        if not shown.strip():
            begin = sentence[len(shown) : len(sentence) - len(sentence.lstrip())]
            return f"{begin}{said}{end}" if said else end
        return f"… {said}{end}" if said else f"…{end}"

    def _instead(self, language: str, kind: Kind) -> str:
        """What is so, "" where it has been said already."""
        broken = self.record.saved and self.record.tests[1] > 0
        key: str = "broken" if broken else kind
        if key == "fixed" and not self.record.saved:
            key = "done"
        if key == "tested" and self.record.ran is False:
            key = "failed"
        said: str = _language(language).instead[key]
        if said in self._said:
            return ""
        self._said.add(said)
        return said


def _look(text: str, clear: int) -> tuple[int, int]:
    """How far an unfinished sentence has been looked through for good, and up to where it can be shown. It was before
    up to `clear`, which is the beginning or the end of a word.
    """
    known = words()
    for found in _WORD.finditer(text, clear):
        word, at = found.group(), found.start()
        if _CJK.search(word):
            start = _look_dense(word, known)
            if start < len(word):
                return max(clear, at), at + start
        elif known.languages(word) or (found.end() == len(text) and word.casefold() in known.begins):
            return at, at
    # A word that has no end yet goes on from its beginning.
    tail = _LAST_WORD.search(text, max(len(text) - LONGEST, 0))
    return max(clear, tail.start() if tail else len(text)), len(text)


def _look_dense(word: str, known: _Words) -> int:
    """As `_look`, within letters that stand without spaces: up to where they can be shown."""
    found = known.in_dense.search(word)
    start = found.start() if found else len(word)
    for at in range(max(len(word) - 5, 0), start):
        if word[at:] in known.begins:
            return at
    return start


def _sentences(text: str) -> list[str]:
    out, at = [], 0
    for end in _ENDS.finditer(text):
        out.append(text[at : end.end()])
        at = end.end()
    return [*out, text[at:]] if at < len(text) else out
