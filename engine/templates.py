"""Templates: `{state.field}` in prompts, inputs and arguments, compiled once and rendered per visit.

A brace that does not open a reference is text, so JSON in a prompt needs no escape; `{{` is a brace that
never opens one, and its partner `}}` is one brace too. A template that is one reference alone keeps its type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.files import FileValue
from engine.types import show

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PATH = rf"{_NAME}(?:\.{_NAME}|\[[0-9]{{1,9}}\])*"
_PIECE = re.compile(rf"\{{({_PATH})\}}|(\{{\{{)|(\{{)|(\}})")
_STEP = re.compile(rf"({_NAME})|\[([0-9]+)\]")
_BARE = re.compile(rf"state(?:\.{_NAME}|\[[0-9]{{1,9}}\])+")


class TemplateError(LookupError):
    """A reference that leads nowhere; `message` is a plain sentence."""

    def __init__(self, message: str, *, missing: str | None = None, there: Sequence[str] = ()) -> None:
        """`missing` is the name that was looked up, `there` are the names that there are."""
        super().__init__(message)
        self.message = message
        self.missing = missing
        self.there = tuple(there)

    @property
    def fault(self) -> Mapping[str, Any]:
        found = {} if self.missing is None else {"missing": self.missing, "there": list(self.there)}
        return {"code": "template", **found}

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference. `text` is what stands between the braces, at `start`..`end` of its string.

    `root` is "state", "secret" or the name of a node's input; `where` is the place of the string in the
    template's value, such as ("headers", "Authorization"), empty when the value is the string itself.
    """

    root: str
    path: tuple[str | int, ...]
    text: str
    start: int
    end: int
    where: tuple[str | int, ...] = ()


Lookup = Callable[[Ref], Any]


@dataclass(frozen=True, slots=True)
class Template:
    """A value with references in it. `value` is as written, `refs` stand in reading order."""

    value: Any
    refs: tuple[Ref, ...]
    parts: Any

    @property
    def only_ref(self) -> Ref | None:
        """The reference of a template that is one reference and nothing else."""
        return self.parts if isinstance(self.parts, Ref) else None

    def render(self, lookup: Lookup) -> Any:
        """The value with every reference replaced by what `lookup` finds. TemplateError passes through."""
        return _render(self.parts, lookup)


@dataclass(frozen=True, slots=True)
class _Text:
    """A string cut into text and references."""

    pieces: tuple[str | Ref, ...]


def compile_template(value: Any, *, bare: bool = False) -> Template:
    """Compile a string, or nested lists and mappings of them; other values stand as they are.

    `bare` lets a whole string `state.path` be a reference without braces, as in `inputs` and `for_each`.
    """
    refs: list[Ref] = []
    return Template(value, parts=_compile(value, (), bare, refs), refs=tuple(refs))


def _compile(value: Any, where: tuple[str | int, ...], bare: bool, refs: list[Ref]) -> Any:
    if isinstance(value, str):
        pieces = _bare(value) if bare and _BARE.fullmatch(value) else _pieces(value)
        placed = tuple(replace(p, where=where) if where and isinstance(p, Ref) else p for p in pieces)
        refs.extend(p for p in placed if isinstance(p, Ref))
        return placed[0] if len(placed) == 1 else _Text(placed)
    if isinstance(value, Mapping):
        return {key: _compile(item, (*where, key), bare, refs) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_compile(item, (*where, n), bare, refs) for n, item in enumerate(value)]
    return value


def _bare(text: str) -> list[str | Ref]:
    return [make_ref(text, 0)]


def _pieces(text: str) -> list[str | Ref]:
    """Text and references in turn; neighbouring text is joined."""
    if "{" not in text and "}" not in text:
        return [text]
    found: list[str | Ref] = []
    buffer: list[str] = []
    doubled: list[bool] = []  # the braces still open: was each written as `{{`?
    position = 0
    for match in _PIECE.finditer(text):
        if match.start() < position:
            continue
        buffer.append(text[position : match.start()])
        position = match.end()
        if match.group(1):
            found += [joined] if (joined := "".join(buffer)) else []
            buffer = []
            found.append(make_ref(match.group(1), match.start() + 1))
        elif match.group(4):
            if doubled and doubled.pop() and text.startswith("}", position):
                position += 1
            buffer.append("}")
        else:
            doubled.append(match.group(2) is not None)
            buffer.append("{")
    buffer.append(text[position:])
    joined = "".join(buffer)
    return [*found, joined] if joined or not found else found


def make_ref(text: str, start: int) -> Ref:
    """The reference written as `text`, which stands at offset `start`."""
    steps = [m.group(1) or int(m.group(2)) for m in _STEP.finditer(text)]
    return Ref(str(steps[0]), tuple(steps[1:]), text, start, start + len(text))


def _render(parts: Any, lookup: Lookup) -> Any:
    if isinstance(parts, Ref):
        return lookup(parts)
    if isinstance(parts, _Text):
        return "".join(p if isinstance(p, str) else as_text(lookup(p)) for p in parts.pieces)
    if isinstance(parts, dict):
        return {key: _render(item, lookup) for key, item in parts.items()}
    if isinstance(parts, list):
        return [_render(item, lookup) for item in parts]
    return parts


def as_text(value: Any) -> str:
    """A value inside text: a str as it is, null as nothing, a file as its text, everything else as compact JSON."""
    if isinstance(value, FileValue):
        return value.shown
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def walk(value: Any, path: Sequence[str | int]) -> Any:
    """Follow `.name` and `[n]` from `value`. TemplateError says which step leads nowhere."""
    for step in path:
        if isinstance(value, Mapping):
            key = step if step in value else str(step)
            if key not in value:
                raise TemplateError(
                    f"There is no '{step}' in {_keys(value)}.", missing=str(step), there=_first_names(value)
                )
            value = value[key]
        elif isinstance(value, list) and isinstance(step, int):
            if not -len(value) <= step < len(value):
                raise TemplateError(f"There is no element [{step}] in a list of {len(value)}.")
            value = value[step]
        else:
            what = "an empty value (null)" if value is None else show(value)
            raise TemplateError(f"'{step}' can't be looked up in {what}.")
    return value


def _first_names(value: Mapping[Any, Any]) -> list[str]:
    return [str(key)[:80] for key in list(value)[:40]]


def _keys(value: Mapping[Any, Any]) -> str:
    names = ", ".join(str(k) for k in list(value)[:10])
    return f"a value with {names}{', …' if len(value) > 10 else ''}" if names else "an empty set of values"
