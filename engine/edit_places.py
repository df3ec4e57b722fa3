"""Where the parts of a document begin and end as lines: colons, dashes, comments, line breaks."""

from __future__ import annotations

import re

from engine.document import Document
from engine.yaml_reader import Spot

Span = tuple[int, int, str]
_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*\s+)*")
_ANCHOR = re.compile(r"&[^\s,\[\]{}]+")


class Places:
    """Questions about offsets in one text."""

    def __init__(self, document: Document) -> None:
        self.text = document.text
        self.eol = "\r\n" if "\r\n" in document.text else "\n"

    def line_start(self, offset: int) -> int:
        return max(self.text.rfind("\n", 0, offset), self.text.rfind("\r", 0, offset)) + 1

    def line_end(self, offset: int) -> int:
        """The end of the line without its line break."""
        match = re.compile(r"[\r\n]").search(self.text, offset)
        return match.start() if match else len(self.text)

    def after_line(self, offset: int) -> int:
        """The beginning of the next line, or the end of the text."""
        end = self.line_end(offset)
        match = re.compile(r"\r\n|\r|\n").match(self.text, end)
        return match.end() if match else end

    def column(self, offset: int) -> int:
        begin = self.line_start(offset)
        return offset - begin - (1 if begin == 0 and self.text.startswith("\ufeff") else 0)

    def blank(self, start: int, end: int) -> bool:
        return not self.text[start:end].strip()

    def after_colon(self, spot: Spot) -> int | None:
        """The offset behind the colon of a key, None where the key has none of its own."""
        match = re.compile(r"\s*:").match(self.text, spot.key_end)
        return match.end() if match else None

    def dash(self, holder: Spot, index: int) -> int | None:
        """The offset of the dash of an item of a list that is written with dashes."""
        items = holder.children if isinstance(holder.children, list) else []
        start = items[index - 1].end if index else holder.start
        region = self.text[start : items[index].start + 1]
        masked = re.sub(
            r"(^|\s)#[^\r\n]*", lambda m: m.group(1) + " " * (len(m.group()) - len(m.group(1))), region
        )
        masked = masked if items[index].start == items[index].end else masked[:-1]
        found = list(re.finditer(r"(?:^|(?<=\s))-(?=\s|$)", masked))
        return start + found[-1 if index else 0].start() if found else None

    def inner(self, spot: Spot) -> int:
        """Where the value itself begins, behind its anchor and tag."""
        match = _PROPERTIES.match(self.text, spot.start, spot.end)
        return match.end() if match else spot.start

    def anchor(self, spot: Spot) -> str:
        """The anchor in front of a value, empty where there is none."""
        match = _ANCHOR.search(self.text[spot.start : self.inner(spot)])
        return match.group() if match else ""

    def own(self, holder: Spot) -> list[Spot]:
        """The children that stand within the holder itself, in the order of the text; not merged ones."""
        children = holder.children.values() if isinstance(holder.children, dict) else holder.children or []
        return sorted(
            (c for c in children if holder.start <= c.key_start <= holder.end), key=lambda c: c.key_start
        )

    def below(self, holder: Spot, column: int) -> int:
        """Where the lines of a mapping or list end, comments that are indented like its parts among them."""
        end = self.after_line(holder.end)
        position, kept = end, end
        while position < len(self.text):
            stop = self.line_end(position)
            line = self.text[position:stop]
            if line.strip() and not (
                column and line.startswith(" " * column) and line.lstrip().startswith("#")
            ):
                break
            position = self.after_line(position)
            kept = position if line.strip() else kept
        return kept
