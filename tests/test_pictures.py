"""The pictures of the documentation: each is shown, each that is shown is there, and none is large."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
LARGEST = 64_000  # bytes of one
ALL = 4_000_000  # bytes of all


def test_the_page_in_pictures_is_whole_and_small() -> None:
    shown = set(re.findall(r'src="images/([^"]+)"', (DOCS / "page.md").read_text(encoding="utf-8")))
    there = {file.name: file.stat().st_size for file in (DOCS / "images").iterdir()}
    assert shown == set(there)
    assert max(there.values()) <= LARGEST
    assert sum(there.values()) <= ALL
