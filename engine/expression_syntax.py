"""The text of conditions before Python's parser sees it: braced references, and mends of other languages.

`prepare` keeps every offset, so what the parser says about the prepared text holds for the text as written.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator

LITERALS = {"true": True, "false": False, "null": None}
_BRACED = re.compile(r"\{[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[-?[0-9]+\])*\}", re.ASCII)
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)


class SyntaxFault(Exception):
    """A condition outside the language. `mendable` says that `suggest` may know what was meant."""

    def __init__(
        self,
        message: str,
        hint: str | None = None,
        *,
        mendable: bool = False,
        name: str | None = None,
        start: int = 0,
        end: int = 0,
    ) -> None:
        super().__init__(message)
        self.message, self.hint, self.mendable = message, hint, mendable
        self.name, self.start, self.end = name, start, end


def split_strings(text: str) -> Iterator[tuple[str, bool]]:
    """The text cut into (piece, whether it is a string literal). A quote without an end is no string."""
    position = 0
    for match in _STRING.finditer(text):
        if match.start() > position:
            yield text[position : match.start()], False
        yield match.group(), True
        position = match.end()
    if position < len(text):
        yield text[position:], False


def prepare(text: str) -> str:
    """The text with `{state.x}` as `(state.x)` and line breaks as blanks, each character in its old place."""
    pieces: list[str] = []
    for piece, literal in split_strings(text):
        if literal:
            before = "".join(pieces[-2:])
            if before[-1:].isalnum() or before[-1:] == "_" or before.rstrip()[-1:] in ("'", '"'):
                raise SyntaxFault(
                    f"A letter or quote stands right before {piece[:40]}.", "Write 'text' in quotes."
                )
            if "\n" in piece or "\r" in piece:
                raise SyntaxFault("A text in quotes must end on the line on which it begins.")
        else:
            piece = _prepare_code(piece)
        pieces.append(piece)
    return "".join(pieces)


def _prepare_code(piece: str) -> str:
    if "'" in piece or '"' in piece:
        raise SyntaxFault("A text in quotes has no closing quote.", "Put the same quote at its end.")
    for sign, meant in (
        ("#", "A condition has no comments."),
        ("\\", "A backslash can stand only within quotes."),
    ):
        if sign in piece:
            raise SyntaxFault(meant)
    piece = _BRACED.sub(lambda m: f"({m.group()[1:-1]})", re.sub(r"[\r\n\t]", " ", piece))
    if "{" in piece or "}" in piece:
        raise SyntaxFault(
            "Braces in a condition can hold one reference only.",
            "Write state.field or {state.field}.",
            mendable=True,
        )
    if not piece.isascii():
        odd = next(c for c in piece if not c.isascii())
        raise SyntaxFault(
            f"`{odd}` can stand in a condition only within quotes.", mendable=odd in _TYPOGRAPHIC
        )
    return piece


def parse_prepared(source: str) -> ast.expr:
    """Python's tree of a prepared, stripped condition. Raises SyntaxError, ValueError, RecursionError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "invalid escape sequence" and the like
        return ast.parse(source, mode="eval").body


# --- mends ------------------------------------------------------------------------------------------------

_TYPOGRAPHIC = {"≠": "!=", "≤": "<=", "≥": ">=", "‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " "}
_HABITS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), mend)
    for pattern, mend in (
        (r"!==", "!="),
        (r"===", "=="),
        (r"\s*(?:&&|&)\s*", " and "),
        (r"\s*(?:\|\||\|)\s*", " or "),
        (r"<>", "!="),
        (r"!(?!=)\s*", "not "),
        (r"(?<![=!<>])=(?!=)", "=="),
        (r"\bAND\b", "and"),
        (r"\bOR\b", "or"),
        (r"\bNOT\b", "not"),
        (r"\bIN\b", "in"),
        (r"\bis\s+not\b", "!="),
        (r"\bis\b", "=="),
        (r"\b(?:NULL|Null|nil|undefined|NONE|none)\b", "null"),
        (r"\b(?:TRUE)\b", "true"),
        (r"\b(?:FALSE)\b", "false"),
        (r"\$\{", "{"),
        (r"\{\{\s*([^{}]*?)\s*\}\}", r"{\1}"),
        (r"\{\s+([^{}]*?)\s*\}|\{([^{}]*?)\s+\}", r"{\1\2}"),
    )
)
_METHODS = {
    "startswith": "startswith", "startsWith": "startswith", "endswith": "endswith", "endsWith": "endswith",
    "lower": "lower", "toLowerCase": "lower", "upper": "upper", "toUpperCase": "upper",
    "contains": "contains", "includes": "contains", "__contains__": "contains", "__len__": "len",
    "size": "len", "length": "len", "count": "len",
}  # fmt: skip
_ALIASES = {
    "length": "len",
    "size": "len",
    "count": "len",
    "tolower": "lower",
    "toupper": "upper",
    "includes": "contains",
}


def suggest(text: str, compiles: Callable[[str], bool]) -> str | None:
    """What was most likely meant, if that is a condition; None where nothing is certain."""
    for sign, meant in _TYPOGRAPHIC.items():
        text = text.replace(sign, meant)
    mended = "".join(piece if literal else _mend_code(piece) for piece, literal in split_strings(text))
    for _ in range(20):
        if compiles(mended):
            return mended
        again = _mend_call(mended)
        if again is None or again == mended:
            return None
        mended = again
    return None


def _mend_code(piece: str) -> str:
    for pattern, mend in _HABITS:
        piece = pattern.sub(mend, piece)
    return piece


def _mend_call(text: str) -> str | None:
    """The first `value.method(…)` as `function(value, …)`."""
    text = text.strip()
    if not text.isascii():  # offsets in the tree are bytes
        return None
    try:
        tree = parse_prepared(prepare(text))
    except (SyntaxFault, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (mended := _mend_one(text, node)) is not None:
            return mended
    return None


def _mend_one(text: str, node: ast.Call) -> str | None:
    start, end = node.col_offset, node.end_col_offset or 0
    func_end = node.func.end_col_offset or 0
    arguments = text[func_end:end].strip().removeprefix("(").removesuffix(")").strip()
    if isinstance(node.func, ast.Name):
        name = _ALIASES.get(node.func.id.lower(), node.func.id.lower())
        return None if name == node.func.id else f"{text[:start]}{name}({arguments}){text[end:]}"
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in _METHODS:
        return None
    value = text[start : func_end - len(node.func.attr)].rstrip().removesuffix(".").strip()
    inside = f"{value}, {arguments}" if arguments else value
    return f"{text[:start]}{_METHODS[node.func.attr]}({inside}){text[end:]}"
