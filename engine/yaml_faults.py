"""What is wrong with a text that is no YAML, in sentences to act on, with a mend where it is certain."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from engine.types import TypeSyntaxError, parse_type

_REFERENCE = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[[0-9]+\])*"
_PLACEHOLDER = re.compile(rf"\{{(\{{)?\s*({_REFERENCE})\s*(?(1)\}})\}}", re.ASCII)
_UNQUOTED = re.compile(
    rf"^[ \t]*(?:- +)*(?:[\w-]+:[ \t]+)?(?P<value>\{{{{1,2}}{_REFERENCE}\}}{{1,2}}(?P<rest>.*?))[ \t]*\r?$",
    re.ASCII,
)
_COLON = re.compile(r"^(?P<lead>[ \t]*(?:- +)*[\w-]+:[ \t]+)(?P<value>[^\s\"'|>{\[&*!#].*?:(?: .*)?)\s*$")


_BRACKETS = r"\[[^\[\]{}\"'\n\r]*"
_TYPE_IN_BRACES = re.compile(
    # A name and brackets, up to four of them nested, with what ends a value within braces behind it.
    rf":[ \t]+(?P<type>[A-Za-z]+(?:{_BRACKETS}){{1,4}}\]{{1,4}})(?=[ \t]*(?:[,}}]|#|\r|\n|$))"
)
UNQUOTED_TYPE = "unquoted-type"


@dataclass(frozen=True, slots=True)
class YamlFault:
    """A fault of the YAML at a character offset; `patch` is (start, end, text) in offsets."""

    rule: str
    offset: int
    message: str
    path: tuple[str | int, ...] = ()
    patch: tuple[int, int, str] | None = None


def placeholder(text: str) -> str | None:
    """The reference in a text that is one reference in single or double braces, else None."""
    match = _PLACEHOLDER.fullmatch(text)
    return match.group(2) if match else None


def quoted(text: str) -> str:
    """The text as a YAML scalar in quotes, on one line."""
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"


def explain(error: Exception, text: str, shift: int) -> YamlFault:
    """The fault behind an error of the YAML parser (or of the encoding)."""
    if isinstance(error, UnicodeEncodeError):
        return YamlFault(
            "yaml-syntax", error.start + shift, "This character can't be stored as text. Remove it."
        )
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem, context = str(getattr(error, "problem", "") or ""), str(getattr(error, "context", "") or "")
    if mark is None:
        return _unreadable(error, text, shift)
    offset = min(int(mark.index) + shift, len(text))
    context_mark = getattr(error, "context_mark", None)
    opened = min(int(context_mark.index) + shift, len(text)) if context_mark else offset
    mended = (
        type_in_braces(text, offset)
        or _unquoted_near(text, offset)
        or _unquoted_near(text, opened)
        or _indexed_at(text, offset)
    )
    if mended:
        return mended
    return _plain(problem, context, text, offset, opened)


def _unreadable(error: Exception, text: str, shift: int) -> YamlFault:
    """A character that YAML does not allow; the reader counts it in bytes."""
    position = getattr(error, "position", None)
    offset = 0
    if isinstance(position, int):
        offset = (
            len(text[shift:].encode("utf-8", "surrogatepass")[:position].decode("utf-8", "ignore")) + shift
        )
    code = f" (U+{ord(text[offset]):04X})" if offset < len(text) else ""
    return YamlFault(
        "yaml-syntax", offset, f"There is a character here that YAML does not allow{code}. Remove it."
    )


def _line_at(text: str, offset: int) -> tuple[int, str]:
    start = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
    ends = [e for e in (text.find("\n", start), text.find("\r", start)) if e >= 0]
    return start, text[start : min(ends, default=len(text))]


def _unquoted_near(text: str, offset: int) -> YamlFault | None:
    """A value that begins with a placeholder and goes on as text, on the line or the one before."""
    start, line = _line_at(text, offset)
    for _ in range(2):
        match = _UNQUOTED.match(line)
        if match and match["rest"].strip() and not match["rest"].lstrip().startswith(("#", ",", "]", "}")):
            begin = start + match.start("value")
            value = match["value"]
            message = "A text that begins with a brace needs quotes round it, or YAML reads a set of keys."
            mended = quoted(_PLACEHOLDER.sub(r"{\2}", value))
            return YamlFault("unquoted-placeholder", begin, message, (), (begin, begin + len(value), mended))
        if start == 0:
            return None
        start, line = _line_at(text, start - 1)
    return None


def _indexed_at(text: str, offset: int) -> YamlFault | None:
    """A placeholder such as {state.items[0]}, whose bracket YAML can't read inside braces."""
    start, line = _line_at(text, offset)
    for match in _PLACEHOLDER.finditer(line):
        begin, end = start + match.start(), start + match.end()
        if begin < offset < end and (match.start() == 0 or line[match.start() - 1] in " [,"):
            message = (
                f"{match.group()} needs quotes; without them YAML reads a set of keys instead of a reference."
            )
            patch = (begin, end, f'"{{{match.group(2)}}}"')
            return YamlFault("unquoted-placeholder", begin, message, (), patch)
    return None


def type_in_braces(text: str, offset: int) -> YamlFault | None:
    """A type such as list[int] that the parser gave up in: within braces its bracket would begin a list."""
    start, line = _line_at(text, offset)
    for match in _TYPE_IN_BRACES.finditer(line):
        begin, end = start + match.start("type"), start + match.end("type")
        if begin < offset < end and _is_type(match["type"]):
            message = f"Put quotes round {match['type']}: within braces YAML takes its bracket for a list."
            return YamlFault(UNQUOTED_TYPE, begin, message, (), (begin, end, f'"{match["type"]}"'))
    return None


def _is_type(text: str) -> bool:
    """Whether a text is a type, or a slip of the pen for one."""
    try:
        return bool(parse_type(text))
    except TypeSyntaxError as error:
        return error.suggestion is not None


def _plain(problem: str, context: str, text: str, offset: int, opened: int) -> YamlFault:
    if "cannot start any token" in problem:
        return YamlFault("yaml-syntax", offset, _bad_start(text, offset))
    if "mapping values are not allowed" in problem:
        return _second_colon(text, offset)
    if "unexpected end of stream" in problem and "quoted scalar" in context:
        return YamlFault("yaml-syntax", opened, "The quote that opens here is never closed.")
    if "document separator" in problem or "unexpected document indicator" in problem:
        return YamlFault("yaml-syntax", offset, "A line with --- or ... can't stand within a quoted text.")
    start, line = _line_at(text, offset)
    if "expected key" in problem and line[: offset - start].strip(" -\t"):
        message = "A text goes on after its closing quote or bracket. Put quotes round the whole text."
        return YamlFault("yaml-syntax", offset, message)
    for sign, message in _SENTENCES:
        if sign in problem or sign in f"{context} {problem}":
            return YamlFault("yaml-syntax", opened if message.startswith("The bracket") else offset, message)
    detail = f": {problem}" if problem else ""
    return YamlFault("yaml-syntax", offset, f"The YAML can't be read here{detail}.")


_INDENT = (
    "The indentation does not fit here: lines of one block must begin in the same column, with spaces only."
)
_SENTENCES = (
    ("',' or '}'", "The bracket { that opens here is not closed, or a comma is missing after it."),
    ("',' or ']'", "The bracket [ that opens here is not closed, or a comma is missing after it."),
    ("flow node", "The bracket that opens here is not closed, or something is missing in it."),
    (
        "could not find expected ':'",
        "A line here is neither `key: value` nor part of a text. Indent it, or add a colon.",
    ),
    ("did not find expected key", _INDENT),
    ("'-' indicator", _INDENT),
    ("block sequence entries are not allowed", _INDENT),
    ("block collections", _INDENT),
    ("wrong indentation", _INDENT),
    ("leading empty line", _INDENT),
    ("unknown escape character", "In double quotes a backslash needs a second one. Or use single quotes."),
    (
        "escape",
        "The backslash in this double-quoted text is followed by something unknown. Use single quotes.",
    ),
    ("tab character", "There is a tab where YAML needs spaces."),
    ("tag", "A text that begins with ! must stand in quotes."),
    ("anchor", "A text that begins with & or * must stand in quotes."),
    ("alias", "A text that begins with & or * must stand in quotes."),
    ("directive", "A text that begins with % must stand in quotes."),
    ("block scalar", "After | or > the text begins on the next line, indented."),
    ("<document start>", "There is something after the end of the document."),
)


def _bad_start(text: str, offset: int) -> str:
    sign = text[offset : offset + 1]
    if sign == "\t":
        return "There is a tab here. Indent with spaces; YAML does not allow tabs."
    if text.startswith("```", offset):
        return "Remove the lines with ```; the document is the YAML between them."
    return f"A text that begins with {sign} must stand in quotes."


def _second_colon(text: str, offset: int) -> YamlFault:
    start, line = _line_at(text, offset)
    message = "There is a second colon on this line. Put the text in quotes, or write it below `key: |`."
    match = _COLON.match(line.split(" #")[0])
    if match is None or start + match.start("value") > offset:
        return YamlFault("yaml-syntax", offset, f"{message} Or the line before is not finished.")
    begin = start + match.start("value")
    value = match["value"].rstrip()
    return YamlFault("yaml-syntax", offset, message, (), (begin, begin + len(value), quoted(value)))


def describe_kind(value: Any) -> str:
    """What a value is, for a sentence."""
    names = {
        type(None): "empty",
        bool: "true or false",
        str: "text",
        int: "a whole number",
        float: "a number",
    }
    return names.get(type(value)) or ("a list" if isinstance(value, list) else "a set of keys")
