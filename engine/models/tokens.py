"""How many tokens a text has, without asking anybody.

OpenAI's models are counted by their own tokenizer, whose tables LiteLLM brings along; nothing is ever fetched. For
all others there is a rule of thumb by kinds of characters, which a test holds against the embedded model's
tokenizer and OpenAI's: within a quarter for English and for code, between a half and twice for all else.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiktoken import Encoding

PER_MESSAGE = 4
"""What each message costs beside its text; OpenAI's own figure, and near enough elsewhere."""
PER_REPLY = 3
WORST = 1.7
"""By how much the rule of thumb may fall short; what a call could cost at worst is reckoned with it."""

_PIECE = re.compile(r"([A-Z]?[a-z]+|[A-Z]+)|([0-9]+)|(\n\s*)|([ \t]{2,})|([^\x00-\x7f]+)|([^A-Za-z0-9\s]+)")
# A word of English has one token up to about 11 letters, and one more for each further 5.
_FREE_LETTERS, _LETTERS = 11, 5
_CHUNK = 4000
"""The tokenizer's time grows with the square of what has no spaces, so that long texts are cut."""

_NEWER = ("gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "o1", "o3", "o4", "chatgpt-4o")
_OLDER = ("gpt-4", "gpt-3.5", "text-embedding-3", "text-embedding-ada")
# The names of the files are the SHA-1 of their addresses: so tiktoken finds them in a folder.
_FILES = {
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
}


def rule_of_thumb(text: str) -> int:
    """About how many tokens a text has."""
    return sum(map(_size, _PIECE.finditer(text)))


def _size(piece: re.Match[str]) -> int:
    length = piece.end() - piece.start()
    kind = piece.lastindex
    if kind == 1:
        return 1 + max(0, length - _FREE_LETTERS + _LETTERS - 1) // _LETTERS
    if kind == 2:
        return -(-length // 2)
    if kind == 5:
        return -(-sum(map(_weight, piece.group())) // 4)
    return 1 if kind in (3, 4) else -(-length // 2)


def _weight(character: str) -> int:
    """Quarters of a token: letters of alphabets go together, those of other scripts and pictures do not."""
    code = ord(character)
    return 2 if code < 0x0900 else 3 if code < 0x2E80 else 4 if code < 0x10000 else 8


def encoding_name(provider: str, model: str) -> str | None:
    """The tokenizer of a model, None where it is not known: then there is the rule of thumb."""
    if provider != "openai":
        return None
    if model.startswith(_NEWER):
        return "o200k_base"
    return "cl100k_base" if model.startswith(_OLDER) else None


def count(text: str, provider: str, model: str) -> int:
    """Tokens of a text. Loads the tokenizer, 0.4 s and 85 MB, when it is first needed: see `load`."""
    name = encoding_name(provider, model)
    encoding = _encoding(name) if name else None
    if encoding is None:
        return rule_of_thumb(text)
    parts = [text[n : n + _CHUNK] for n in range(0, len(text), _CHUNK)]
    return sum(len(encoding.encode_ordinary(part)) for part in parts)


def at_worst(text: str, provider: str, model: str) -> int:
    """No fewer tokens than the text has, as far as can be known."""
    name = encoding_name(provider, model)
    found = count(text, provider, model)
    return found if name and _encoding(name) else int(found * WORST) + 1


async def load(provider: str, model: str) -> None:
    """Load what counting for a model takes, on a thread."""
    name = encoding_name(provider, model)
    if name is not None:
        await asyncio.to_thread(_encoding, name)


@functools.cache
def _encoding(name: str) -> Encoding | None:
    """The tokenizer from LiteLLM's files; None where they, or tiktoken, are not there."""
    found = importlib.util.find_spec("litellm")
    folder = (
        Path(found.origin).parent / "litellm_core_utils" / "tokenizers" if found and found.origin else None
    )
    if folder is None or not (folder / _FILES[name]).is_file() or not importlib.util.find_spec("tiktoken"):
        return None
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    import tiktoken

    return tiktoken.get_encoding(name)
