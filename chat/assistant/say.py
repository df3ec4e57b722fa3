"""Text as it comes from a model, made fit to be shown while it is still coming.

`SayStream` reads the field `say` out of a JSON object that is not finished yet. `FenceStream` holds back a
workflow that a model writes into its answer, so that the person sees the draft as a draft and not as a wall
of YAML.
"""

from __future__ import annotations

import json
import re

_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


class SayStream:
    """Feed it the pieces of a JSON object; it gives back what is new in the top-level string `field`."""

    def __init__(self, field: str = "say") -> None:
        self._field = field
        self._text = ""
        self._position: int | None = None  # of the first character of the value not yet given out
        self._ended = False
        self._seen = 0  # how far the search for the field has come
        self._depth = 0
        self._high = ""  # the first half of a surrogate pair

    def feed(self, piece: str) -> str:
        self._text += piece
        if self._ended:
            return ""
        if self._position is None:
            self._find()
        return self._read() if self._position is not None else ""

    def _find(self) -> None:
        """Move over whole tokens until `"field": "` stands there at depth 1."""
        while self._seen < len(self._text):
            char = self._text[self._seen]
            if char == '"':
                match = _STRING.match(self._text, self._seen)
                if match is None:
                    return
                if self._depth == 1 and match.group(1) == self._field:
                    opened = re.compile(r'\s*:\s*"').match(self._text, match.end())
                    if opened:
                        self._position = opened.end()
                        return
                    if re.compile(r"\s*:?\s*$").match(self._text, match.end()):
                        return  # the value has not come yet
                self._seen = match.end()
                continue
            self._depth += (char in "{[") - (char in "}]")
            self._seen += 1

    def _read(self) -> str:
        found: list[str] = []
        position = self._position or 0
        text = self._text
        while position < len(text):
            char = text[position]
            if char == '"':
                self._ended = True
                break
            if char != "\\":
                found.append(char)
                position += 1
                continue
            width = 6 if text[position + 1 : position + 2] == "u" else 2
            if position + width > len(text):
                break
            found.append(self._unescape(text[position : position + width]))
            position += width
        self._position = position
        return "".join(found)

    def _unescape(self, escape: str) -> str:
        if escape[1] != "u":
            return _ESCAPES.get(escape[1], escape[1])
        try:
            code = int(escape[2:], 16)
        except ValueError:
            return ""
        if 0xD800 <= code < 0xDC00:
            self._high = escape
            return ""
        if 0xDC00 <= code < 0xE000:
            high, self._high = self._high, ""
            return str(json.loads(f'"{high}{escape}"')) if high else ""
        return chr(code)


_FENCE = re.compile(r"^[ \t]*```[^\n`]*$")
_BARE = re.compile(r"^(schema_version|flow)\s*:")


def looks_like_workflow(text: str) -> bool:
    """Whether a text is meant as a workflow document: it has steps, and says so at the left margin."""
    keys = set(re.findall(r"^([A-Za-z_]+)\s*:", text, re.MULTILINE))
    return "nodes" in keys and bool(keys & {"schema_version", "flow", "state"})


class FenceStream:
    """Feed it the pieces of an answer; it gives back what may be shown. `documents` are the workflows held
    back.

    A fenced block is held until it is closed and shown after all when it is no workflow. Lines that open a
    document without a fence hold back everything up to the end.
    """

    def __init__(self) -> None:
        self.documents: list[str] = []
        self._line = ""
        self._shown = 0  # how much of the unfinished line is out already
        self._held: list[str] | None = None
        self._fenced = False

    @property
    def holding(self) -> bool:
        return self._held is not None

    def feed(self, piece: str) -> str:
        self._line += piece
        out = []
        while "\n" in self._line:
            line, _, self._line = self._line.partition("\n")
            out.append(self._whole(line))
            self._shown = 0
        out.append(self._begun())
        return "".join(out)

    def close(self) -> str:
        """What is left when the stream has ended."""
        out = self._whole(self._line, end="") if self._line else ""
        held, self._held, self._line = self._held, None, ""
        return out if held is None else out + self._release(held, held[1:] if self._fenced else held)

    def _begun(self) -> str:
        """The part of an unfinished line that can't be the start of something to hold back."""
        if self._held is not None or _may_open(self._line):
            return ""
        piece, self._shown = self._line[self._shown :], len(self._line)
        return piece

    def _whole(self, line: str, end: str = "\n") -> str:
        if self._held is not None:
            return self._inside(line, end)
        if not self._shown and (_FENCE.match(line) or _BARE.match(line)):
            self._held, self._fenced = [line + end], bool(_FENCE.match(line))
            return ""
        return line[self._shown :] + end

    def _inside(self, line: str, end: str) -> str:
        held = self._held or []
        held.append(line + end)
        if not (self._fenced and _FENCE.match(line)):
            return ""
        self._held = None
        return self._release(held, held[1:-1])

    def _release(self, held: list[str], body: list[str]) -> str:
        """What was held back: nothing to show when it is a workflow, all of it otherwise."""
        text = "".join(body)
        if not looks_like_workflow(text):
            return "".join(held)
        self.documents.append(text if text.endswith("\n") else f"{text}\n")
        return ""


def _may_open(line: str) -> bool:
    stripped = line.lstrip(" \t")
    fence = stripped[:3] == "```"[: len(stripped)] or stripped.startswith("```")
    return fence or any(
        key.startswith(line) or line.startswith(key) for key in ("schema_version", "flow:", "flow :")
    )
