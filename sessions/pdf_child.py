"""Reads one PDF in a process of its own: the bytes come on stdin, what was found goes out as one JSON object.

It is started as a script, with limits on its memory and its time, so that a hostile file can take nothing but itself
down. `{"error": "locked" | "broken" | "large"}` where there is nothing to read.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import warnings
from typing import Any

MEMORY_BYTES = 1024 * 1024 * 1024
CPU_SECONDS = 20


def bound() -> None:
    """Bound memory and time, where the system can."""
    try:
        import resource
    except ImportError:  # not on Windows: there the parent's time-out alone holds
        return
    for what, most in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, CPU_SECONDS)):
        try:
            resource.setrlimit(what, (most, most))
        except (ValueError, OSError):  # the system's own limit is smaller, or it has none of this kind
            continue


def read(data: bytes, most_pages: int, most_characters: int) -> dict[str, Any]:
    """The text of the first pages, and how many pages there are."""
    from pypdf import PdfReader
    from pypdf.errors import FileNotDecryptedError, LimitReachedError, PyPdfError

    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            return {"error": "locked"}
        pages = len(reader.pages)
        text, cut = _text(reader, min(pages, most_pages), most_characters)
        return {"pages": pages, "text": text, "cut": cut or pages > most_pages}
    except FileNotDecryptedError:
        return {"error": "locked"}
    except (LimitReachedError, MemoryError):
        return {"error": "large"}
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OSError):
        return {"error": "broken"}


def _text(reader: Any, pages: int, most: int) -> tuple[str, bool]:
    found: list[str] = []
    left = most
    for number in range(pages):
        page = reader.pages[number].extract_text()
        found.append(page[:left])
        left -= len(page)
        if left < 0:
            return "\n\n".join(found), True
    return "\n\n".join(found), False


def main() -> None:
    """Answer one request."""
    bound()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    try:
        found = read(sys.stdin.buffer.read(), int(sys.argv[1]), int(sys.argv[2]))
    except MemoryError:
        found = {"error": "large"}
    sys.stdout.buffer.write(json.dumps(found).encode("ascii"))


if __name__ == "__main__":
    main()
