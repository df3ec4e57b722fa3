"""Signs that are no YAML, put right where they have one reading: tabs, curly quotes, quotes within quotes."""

from __future__ import annotations

import re
from collections.abc import Callable

from engine.document import Document, read_document
from engine.yaml_faults import quoted

_LEAD = r"(?P<lead>[ ]*(?:- +)*(?:[\w-]+:[ \t]+)?)"
_ODD = re.compile(rf"^{_LEAD}(?P<value>[@`%&*!].*?)[ \t]*$")
_AFTER = re.compile(rf"^{_LEAD}(?P<value>[\"'\[{{].*\S)[ \t]*$")
_KEYED = re.compile(r"^[ ]*(?:- +)*[\w-]+:[ \t]+")
_CURLY = re.compile(
    r"(?P<lead>(?:^|[:\-\[{,])[ ]+|[\[{,])“(?P<text>[^“”\"\\\n]*)”(?=[ \t]*(?:[,\]}]|#|\r?$))", re.MULTILINE
)
_CONDITION = re.compile(
    r"(?P<lead>\b(?:condition|logic|if|when):[ ]*)\"(?P<text>[^,{}\n]*\"[^{}\n]*)\"(?=[ ]*[,}])"
)
MAX_FAULTS = 40


def mend_lines(text: str) -> tuple[str, list[str]]:
    """The text with its odd signs put right, and what was, in words."""
    said: list[str] = []
    for mend, words in (
        (_spaces, "put plain spaces in the place of other ones"),
        (_tabs, "put spaces in the place of tabs"),
        (_curly, "put straight quotes in the place of curly ones"),
    ):
        mended = mend(text)
        if mended != text:
            text = mended
            said.append(words)
    mended = _quotes(text)
    return mended, [*said, "put quotes right"] if mended != text else said


def _spaces(text: str) -> str:
    """No-break and zero-width spaces within an indentation or at the ends of lines."""
    return re.sub(
        r"^[ \t]*[\u00a0\u2007\u202f\u200b\ufeff][ \t\u00a0\u2007\u202f\u200b\ufeff]*",
        lambda m: _plain_spaces(m.group()) if m.start() else m.group(),
        text,
        flags=re.MULTILINE,
    )


def _plain_spaces(text: str) -> str:
    return re.sub("[\u200b\ufeff]", "", re.sub("[\u00a0\u2007\u202f]", " ", text))


def _tabs(text: str) -> str:
    """Tabs in the indentation, where all widths that can be read mean the same."""
    if not re.search(r"^ *\t", text, re.MULTILINE) or read_document(text).root is not None:
        return text
    found = []
    for width in (2, 4, 8):
        spaced = re.sub(r"^[ \t]*\t[ \t]*", _widened(width), text, flags=re.MULTILINE)
        mended = _quotes(spaced)
        document = read_document(mended)
        if document.root is not None:
            found.append((spaced, document.data))
    if found and all(data == found[0][1] for _, data in found):
        return found[0][0]
    return text


def _widened(width: int) -> Callable[[re.Match[str]], str]:
    return lambda match: match.group().replace("\t", " " * width)


def _curly(text: str) -> str:
    blocks = _block_lines(text)

    def straight(match: re.Match[str]) -> str:
        line = text.count("\n", 0, match.start("text"))
        inner = match["text"].replace("‘", "'").replace("’", "'") if "==" in match["text"] else match["text"]
        return match.group() if line in blocks else f'{match["lead"]}"{inner}"'

    return _CURLY.sub(straight, text)


def _block_lines(text: str) -> set[int]:
    """The numbers (from 0) of the lines that are the text of a block scalar."""
    inside: set[int] = set()
    column = -1
    for number, line in enumerate(text.split("\n")):
        margin = len(line) - len(line.lstrip(" "))
        if column >= 0 and (margin > column or not line.strip()):
            inside.add(number)
            continue
        opened = re.match(r"^( *(?:- +)*)[\w-]+: *[|>][+-]?\s*(?:#.*)?$", line)
        column = len(opened[1]) if opened else -1
    return inside


def _quotes(text: str) -> str:
    """Values on one line that the parser gives up in, put in quotes as a whole; one after another."""
    for _ in range(MAX_FAULTS):
        document = read_document(text)
        if document.root is not None or not document.problems:
            return text
        mended = _one_fault(document)
        if mended is None or mended == text or not _further(document, mended):
            return text
        text = mended
    return text


def _further(before: Document, text: str) -> bool:
    """Whether the text can be read, or at least further down than before."""
    after = read_document(text)
    return after.root is not None or after.problems[-1].line > before.problems[-1].line


def _one_fault(document: Document) -> str | None:
    fault = document.problems[-1]
    if fault.rule.startswith("limit-"):
        return None
    if fault.patch is not None:
        from engine.check.patches import apply

        return apply(document.text, fault.patch)
    lines = document.text.split("\n")
    inside = _block_lines(document.text)
    for number in (fault.line - 1, fault.line - 2):
        if 0 <= number < len(lines) and number not in inside:
            line = lines[number].rstrip("\r")
            mended = quoted_line(line)
            if mended is not None:
                return "\n".join([*lines[:number], mended + lines[number][len(line) :], *lines[number + 1 :]])
    return None


def quoted_line(line: str) -> str | None:
    """The line with its value in quotes, None where that is not what is wrong with it."""
    if line.lstrip().startswith("//"):
        return line.replace("//", "#", 1)
    condition = _CONDITION.search(line)
    if condition and "'" not in condition["text"]:
        return (
            line[: condition.start("text")]
            + condition["text"].replace('"', "'")
            + line[condition.end("text") :]
        )
    if match := _ODD.match(line):
        return match["lead"] + quoted(match["value"])
    match = _AFTER.match(line)
    if match is None or not _KEYED.match(line):
        return None
    value = match["value"]
    first, last = value[0], value[-1]
    if first in "\"'" and last == first and len(value) > 2:
        inner = value[1:-1]
        if first == "'" and "'" in inner.replace("''", "") and '"' not in inner and "\\" not in inner:
            return f'{match["lead"]}"{inner}"'
        if first == '"' and '"' in inner.replace('\\"', "") and "\\" not in inner:
            return match["lead"] + "'" + inner.replace("'", "''") + "'"
        return None
    if first in "\"'" and value.count(first) == 2 and " #" not in value:
        return match["lead"] + quoted(value)
    if first == "[" and "]" in value and last not in "],}" and " #" not in value:
        return match["lead"] + quoted(value)
    return None
