"""What a person asks for in so many words, read by code from the person's own message alone.

What may not depend on a model's good will hangs on this: a run, another workflow, a whole rewrite, no questions.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

WORDS = Path(__file__).resolve().parent.parent.parent / "configs" / "prompts" / "words.yaml"


@cache
def words() -> dict[str, Any]:
    """The lists of `words.yaml`."""
    import yaml

    found: dict[str, Any] = yaml.load(WORDS.read_text(encoding="utf-8"), Loader=yaml.CBaseLoader)
    return found


def says_yes(text: str) -> bool | None:
    """Whether the whole text is a plain yes or a plain no; None when it is neither."""
    said = re.sub(r"[\s,.!]+", " ", text.casefold().replace("’", "'")).strip()
    return True if said in words()["yes"] else False if said in words()["no"] else None
