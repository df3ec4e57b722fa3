"""The text of a PDF, read by a child process that is killed when it takes too long."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InputError

SECONDS = 30.0
MOST_PAGES = 500
CHILD = Path(__file__).with_name("pdf_child.py")
_WHY = {
    "locked": ("is protected by a password", "Save a copy without one."),
    "broken": ("is no PDF that can be read", "Open it in a viewer and print it into a new PDF."),
    "large": ("takes more memory to read than it may", "Split it, or paste the part that matters."),
    "slow": ("takes too long to read", "Split it, or paste the part that matters."),
}
_one_at_a_time = asyncio.Semaphore(2)


@dataclass(frozen=True, slots=True)
class PdfText:
    """`text` is that of the pages in order, empty where they are pictures; `cut` says that it is not all."""

    text: str
    pages: int
    cut: bool


async def pdf_text(path: Path, name: str, most_characters: int, seconds: float = SECONDS) -> PdfText:
    """The text of the file at `path`. InputError, naming it `name`, where it can't be read within the limits."""
    async with _one_at_a_time:
        answer = await _ask(path, most_characters, seconds)
    if "error" in answer:
        why, fix = _WHY[str(answer["error"])]
        raise InputError(f"“{name}” {why}.", fix, "file")
    return PdfText(str(answer["text"]), int(str(answer["pages"])), bool(answer["cut"]))


async def _ask(path: Path, most_characters: int, seconds: float) -> dict[str, object]:
    with path.open("rb") as source:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", str(CHILD), str(MOST_PAGES), str(most_characters)),
            stdin=source,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": ""},
        )
    try:
        async with asyncio.timeout(seconds):
            out, _ = await child.communicate()
    except TimeoutError:
        return {"error": "slow"}
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    try:
        found = json.loads(out)
    except ValueError:  # it was ended by a limit of its own before it could say so
        return {"error": "large"}
    return found if isinstance(found, dict) else {"error": "broken"}
