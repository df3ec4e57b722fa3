"""The share file: a workflow's text byte for byte, and below it, as comments, its proof and its tests.

So it is a workflow like any other, which every program here reads; who imports it gets the same text, and the tests.
What comes in is data from anybody: it is bounded, nothing of it is run, its proof is not believed but made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.cases import read_case
from engine.errors import InputError
from sessions.workflow_tests import LONGEST_QUOTE, LONGEST_TITLE, MOST, WorkflowTest
from sessions.workflows import Version

MARK = "# parlance-share: 1"
LARGEST = 2_000_000
"""Characters of a share file."""
DEEPEST = 40
_BROKEN = "Export it again; or delete the comment lines at its end, and import the workflow alone."


@dataclass(frozen=True, slots=True)
class Shared:
    """What a share file holds. `tests` are (title, quote, case); `whole` says that text and end belong together: the
    text was not changed since it was exported."""

    yaml: str
    tests: tuple[tuple[str, str, Mapping[str, Any]], ...] = ()
    whole: bool = True


def share_text(version: Version, tests: Sequence[WorkflowTest]) -> str:
    """The share file of a version."""
    about = {
        "workflow": version.name,
        "version": version.version,
        "length": len(version.yaml),
        "digest": _digest(version.yaml),
        "proof": version.proof,
        "tests": [{"title": test.title, "quote": test.quote, "case": dict(test.case)} for test in tests],
    }
    # Only ASCII: no character in a comment may end its line, in whatever reads it.
    lines = json.dumps(about, indent=1, allow_nan=False).splitlines()
    gap = "" if version.yaml.endswith("\n") else "\n"
    return version.yaml + gap + "\n".join([MARK, *(f"# {line}" for line in lines)]) + "\n"


def read_share(text: str) -> Shared:
    """What is in a share file, or in a plain workflow's text. InputError when it is too large or its end is broken."""
    if len(text) > LARGEST:
        raise InputError(
            f"The file has {len(text):,} characters; {LARGEST:,} is the most.", "Share a smaller workflow."
        )
    at = _mark_at(text)
    if at is None:
        return Shared(text)
    about = _about(text[at:])
    yaml = _exact(text[:at], about)
    whole = yaml is not None
    return Shared(yaml if yaml is not None else text[:at], _tests(about.get("tests")), whole)


def _mark_at(text: str) -> int | None:
    """Where the end begins: the last line that is the mark, with nothing but comments below it."""
    at = text.rfind(f"\n{MARK}")
    start = at + 1 if at >= 0 else 0 if text.startswith(MARK) else None
    if start is None:
        return None
    lines = text[start:].splitlines()
    whole = lines[0] == MARK and all(line.startswith("#") or not line.strip() for line in lines)
    return start if whole else None


def _about(end: str) -> Mapping[str, Any]:
    body = "\n".join(line[1:].removeprefix(" ") for line in end.splitlines()[1:])
    try:
        found = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InputError("The end of the share file can't be read.", _BROKEN) from None
    if not isinstance(found, Mapping) or _depth(found) > DEEPEST:
        raise InputError("The end of the share file is not what it should be.", _BROKEN)
    return found


def _exact(text: str, about: Mapping[str, Any]) -> str | None:
    """The very text that was exported; None where it was changed since. A byte order mark may have been lost, and lines
    may have got other ends, on the way."""
    length, digest = about.get("length"), about.get("digest")
    if not isinstance(length, int) or isinstance(length, bool):
        return None
    for candidate in (text, f"\ufeff{text}", text.replace("\r\n", "\n")):
        found = candidate[: max(length, 0)]
        if not candidate[len(found) :].strip("\r\n") and _digest(found) == digest:
            return found
    return None


def _tests(value: Any) -> tuple[tuple[str, str, Mapping[str, Any]], ...]:
    """The tests, each of the right shape. InputError for any that is not."""
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MOST:
        raise InputError(f"The tests of the share file are no list of at most {MOST}.", _BROKEN)
    return tuple(_test(entry, number) for number, entry in enumerate(value, 1))


def _test(entry: Any, number: int) -> tuple[str, str, Mapping[str, Any]]:
    if not isinstance(entry, Mapping):
        raise InputError(f"Test {number} of the share file is not an object.", _BROKEN)
    title, quote = entry.get("title") or f"Test {number}", entry.get("quote") or ""
    if not isinstance(title, str) or not isinstance(quote, str):
        raise InputError(f"The words of test {number} of the share file are no text.", _BROKEN)
    try:
        case = read_case(entry.get("case"))
    except InputError as error:
        raise InputError(f"Test {number} of the share file: {error.message}", error.fix or _BROKEN) from None
    return title[:LONGEST_TITLE], quote[:LONGEST_QUOTE], case.to_dict()


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _depth(value: Any) -> int:
    """How deep a value of JSON is nested."""
    deepest, todo = 0, [(value, 1)]
    while todo:
        found, depth = todo.pop()
        deepest = max(deepest, depth)
        inner = found.values() if isinstance(found, Mapping) else found if isinstance(found, list) else ()
        todo += [(each, depth + 1) for each in inner]
    return deepest
