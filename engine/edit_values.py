"""Edits by path as spans of the text: a value set, a key made, items added, entries removed.

Each gives several ways to write the same, the most natural first. Whoever applies them reads the document again
and takes the first way in which just this value has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.document import Document
from engine.edit_fragments import Fragment
from engine.edit_paths import Target
from engine.edit_places import Places, Span
from engine.yaml_reader import Spot
from engine.yaml_writing import block, flow, indent, key_text

STEP = 2
Way = list[Span]


def set_ways(document: Document, target: Target, value: Fragment) -> Iterator[Way]:
    """Ways to put a value in the place of the one at the target, which exists."""
    places, spot = Places(document), target.spot
    if spot is None:
        return
    if target.inside_flow:
        yield from _set_in_flow(places, spot, value)
        return
    begin, column = _slot(places, target, spot)
    if begin is None:
        return
    listed = isinstance(target.parent.children, list)
    for lines, beside in _spellings(value):
        if beside:
            yield from _beside(places, spot, begin, column, lines)
        else:
            yield from _below(places, spot, begin, column, lines, listed)


def _slot(places: Places, target: Target, spot: Spot) -> tuple[int | None, int]:
    """Where the value's place begins (behind the colon or the dash), and the column of its key or dash."""
    last = target.path[-1]
    if isinstance(last, int):
        dash = places.dash(target.parent, last)
        return (None, 0) if dash is None else (dash + 1, places.column(dash))
    return places.after_colon(spot), places.column(spot.key_start)


def _spellings(value: Fragment) -> Iterator[tuple[Sequence[str], bool]]:
    """Lines of the value and whether they begin beside the key."""
    lines = value.lines
    if isinstance(value.value, str) and (value.scalar_block or len(lines) > 1):
        if value.scalar_block and not lines[0][1:2].isdigit():
            margin = min((len(p) - len(p.lstrip()) for p in lines[1:] if p.strip()), default=0)
            yield [lines[0], *(part[margin:] for part in lines[1:])], True
        if written := block(value.value):
            yield written, True
        yield [flow(value.value)], True
        return
    if value.block:
        yield lines, False
    elif len(lines) == 1:
        yield lines, True
    yield [flow(value.value)], True


def _set_in_flow(places: Places, spot: Spot, value: Fragment) -> Iterator[Way]:
    start = places.inner(spot)
    for text in value.one_line():
        for before in ("", " ", ": ") if start == spot.end else ("",):
            yield [(start, spot.end, before + text)]


def _beside(places: Places, spot: Spot, begin: int, column: int, lines: Sequence[str]) -> Iterator[Way]:
    """The value begins on the line of its key: `key: value`, `key: |` with lines below."""
    rest = "".join(places.eol + part for part in indent(list(lines[1:]), _content(places, spot, column)))
    anchor = places.anchor(spot)
    head = f"{anchor} {lines[0]}" if anchor else lines[0]
    start, end = _extent(spot, begin)
    gap, stop = places.text[begin:start], places.line_end(end)
    if start == end or places.blank(begin, start):
        same_line = "\n" not in gap and "\r" not in gap and start != end
        first = (start, end, head) if same_line else (begin, end, f" {head}")
        yield [first, (stop, stop, rest)] if rest else [first]
        yield [(*first[:2], first[2] + rest)]
    yield [(start, end, head + rest)]
    yield [(start, end, f"{' ' * STEP}{head}{rest}")]


def _extent(spot: Spot, begin: int) -> tuple[int, int]:
    """Start and end of a value; of one that is not written, the place behind the colon or the dash."""
    return (begin, begin) if spot.start >= spot.end else (max(begin, spot.start), max(begin, spot.end))


def _content(places: Places, spot: Spot, column: int) -> int:
    """The column of the lines of a block scalar: as it was, else one step further in than the key."""
    written = places.text[places.inner(spot) : spot.end]
    if written[:1] in ("|", ">") and "\n" in written and isinstance(spot.value, str):
        first = next((p for p in written.split("\n")[1:] if p.strip()), "")
        shown = next((p for p in spot.value.split("\n") if p.strip()), "")
        found = len(first) - len(first.lstrip(" ")) - (len(shown) - len(shown.lstrip(" ")))
        return found if found > column else column + STEP
    return column + STEP


def _below(
    places: Places, spot: Spot, begin: int, column: int, lines: Sequence[str], listed: bool
) -> Iterator[Way]:
    """The value stands in lines of its own below the key, or begins behind the dash of its item."""
    start, end = _extent(spot, begin)
    eol, gap = places.eol, places.text[begin:start]
    if listed and "\n" not in gap and start < end:
        at = places.column(start)
        yield [(start, end, eol.join([lines[0], *indent(list(lines[1:]), at)]))]
    elif listed:
        yield [(begin, end, " " + eol.join([lines[0], *indent(list(lines[1:]), column + STEP)]))]
    elif "\n" in gap:
        at = places.column(start)
        yield [(start, end, eol.join([lines[0], *indent(list(lines[1:]), at)]))]
    moved = eol + eol.join(indent(list(lines), column + STEP))
    stop = places.line_end(end)
    yield [(begin, end, ""), (stop, stop, moved)]
    yield [(begin, end, moved)]


# --- adding ---


def key_ways(
    document: Document, target: Target, entries: Sequence[tuple[str, Fragment]], lines: list[str]
) -> Iterator[Way]:
    """Ways to put new keys, which are these lines too, at the end of the mapping at the target."""
    places, holder = Places(document), target.spot
    assert holder is not None  # noqa: S101  the caller found it
    if target.inside_flow or holder.flow:
        for number in (0, -1):
            parts = [f"{key_text(key)}: {value.one_line()[number]}" for key, value in entries]
            yield from _add_in_flow(places, holder, parts, "}")
    if target.inside_flow:
        return
    if holder.flow:
        yield from _written_out(places, target, holder, lines)
        return
    own = places.own(holder)
    if own:
        yield from _append(places, holder, lines, places.column(own[0].key_start), own)


def entry_lines(key: str, value: Fragment) -> list[str]:
    """`key: value` in lines, from column 0."""
    name = f"{key_text(key)}:"
    lines, beside = next(_spellings(value))
    if beside:
        return [f"{name} {lines[0]}", *indent(list(lines[1:]), STEP)]
    return [name, *indent(list(lines), STEP)]


def item_lines(value: Fragment) -> list[str]:
    """`- value` in lines, from column 0."""
    lines, _ = next(_spellings(value))
    return [f"- {lines[0]}", *indent(list(lines[1:]), STEP)]


def item_ways(
    document: Document, target: Target, items: Sequence[Fragment], lines: list[str]
) -> Iterator[Way]:
    """Ways to put items, which are these lines too, at the end of the list at the target."""
    places, holder = Places(document), target.spot
    assert holder is not None  # noqa: S101  the caller found it
    several = len(lines) > len(items)
    if holder.flow and several and not holder.value and not target.inside_flow:
        yield from _written_out(places, target, holder, lines)
    if target.inside_flow or holder.flow:
        for number in (0, -1):
            yield from _add_in_flow(places, holder, [item.one_line()[number] for item in items], "]")
        return
    dash = places.dash(holder, 0)
    if dash is not None:
        yield from _append(places, holder, lines, places.column(dash), places.own(holder))


def _add_in_flow(places: Places, holder: Spot, parts: Sequence[str], sign: str) -> Iterator[Way]:
    close = holder.end - 1
    if places.text[close : close + 1] != sign:
        return
    at = close
    while at and places.text[at - 1].isspace():
        at -= 1
    before = places.text[at - 1 : at]
    text = ", ".join(parts)
    if before in "{[" and at - 1 <= places.inner(holder):
        yield [(at, at, text)]
    elif before == ",":
        yield [(at, at, f" {text}")]
    else:
        yield [(at, at, f", {text}")]
        yield [(close, close, f", {text}")]


def _written_out(places: Places, target: Target, holder: Spot, lines: list[str]) -> Iterator[Way]:
    """An empty `[]` or `{}` that becomes lines of its own."""
    begin, column = _slot(places, target, holder) if target.above else (None, 0)
    if begin is not None and not holder.value:
        yield from _below(places, holder, begin, column, lines, isinstance(target.path[-1], int))


def _append(
    places: Places, holder: Spot, lines: list[str], column: int, own: Sequence[Spot]
) -> Iterator[Way]:
    """Lines behind the last part of a mapping or list, with the empty lines that its parts have between them."""
    eol, text = places.eol, places.text
    apart = len(own) > 1 and "\n\n" in text[own[-2].end : own[-1].key_start].replace("\r", "")
    body = [*([""] if apart else []), *indent(lines, column)]
    for at in dict.fromkeys((places.below(holder, column), places.after_line(holder.end), len(text))):
        ended = at == 0 or text[at - 1] in "\r\n"
        yield [(at, at, eol.join(body) + eol if ended else eol + eol.join(body))]


# --- removing ---


def remove_ways(document: Document, parent: Target, steps: Sequence[str | int]) -> Iterator[Way]:
    """Ways to take keys or items out of the mapping or list at `parent`."""
    places, holder = Places(document), parent.spot
    assert holder is not None  # noqa: S101  they stand in it
    own = places.own(holder)
    gone = [holder.children[step] for step in steps]  # type: ignore[index]
    if any(all(g is not c for c in own) for g in gone):
        return
    left = [c for c in own if all(c is not g for g in gone)]
    if holder.flow:
        yield _cut_in_flow(places, holder, own, gone)
    elif not left:
        yield from _emptied(places, parent, holder)
    else:
        yield _cut_lines(places, holder, own, gone)
        yield _cut_lines(places, holder, own, gone, keep_rest=True)


def _cut_in_flow(places: Places, holder: Spot, own: Sequence[Spot], gone: Sequence[Spot]) -> Way:
    cut = [any(c is g for g in gone) for c in own]
    if all(cut):
        return [(places.inner(holder) + 1, holder.end - 1, "")]
    spans: Way = []
    kept = cut.index(False)
    if kept:
        spans.append((own[0].key_start, own[kept].key_start, ""))
    for number in range(kept + 1, len(own)):
        if cut[number]:
            spans.append((own[number - 1].end, own[number].end, ""))
    return spans


def _emptied(places: Places, parent: Target, holder: Spot) -> Iterator[Way]:
    empty = "[]" if isinstance(holder.children, list) else "{}"
    if not parent.above:
        return
    begin, column = _slot(places, parent, holder)
    if begin is not None:
        yield from _beside(places, holder, begin, column, [empty])


def _cut_lines(
    places: Places, holder: Spot, own: Sequence[Spot], gone: Sequence[Spot], keep_rest: bool = False
) -> Way:
    """Whole lines go; a key that shares its line with the dash of its item leaves the dash to the next key."""
    spans: Way = []
    listed = isinstance(holder.children, list)
    shared = False
    for number, spot in enumerate(own):
        if all(spot is not g for g in gone):
            if shared:  # this key moves up to the dash
                spans.append((spans.pop()[0], spot.key_start, ""))
                shared = False
            continue
        start = places.dash(holder, number) if listed else spot.key_start
        start = spot.key_start if start is None else start
        begin, end = places.line_start(start), max(spot.end, start + 1, spot.key_end)
        if shared:
            continue
        if places.blank(begin, start):
            spans.append((begin, places.after_line(end), ""))
        elif keep_rest:
            spans.append((start, places.line_end(end), ""))
        else:
            spans.append((start, end, ""))
            shared = True
    if spans and spans[-1][1] == len(places.text) and not places.text.endswith(("\n", "\r")):
        start = spans[-1][0]  # the last line had no line break: the one before has none now
        spans[-1] = (
            start - len(places.text[:start]) + len(places.text[:start].rstrip("\r\n")),
            spans[-1][1],
            "",
        )
    return spans


def _after(places: Places, end: int) -> int:
    return places.after_line(end)
