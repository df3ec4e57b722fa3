"""Edits by path; those of one place are gathered into one change, which is told in text and in plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.document import Document, path_text
from engine.edit_fragments import (
    TEXT_KEYS,
    Fragment,
    WrongFragment,
    entries_of,
    read_fragment,
    read_items,
    text_fragment,
)
from engine.edit_paths import Target, WrongPath, find, nowhere
from engine.edit_values import (
    Way,
    entry_lines,
    item_lines,
    item_ways,
    key_ways,
    remove_ways,
    set_ways,
)
from engine.yaml_writing import block, dedent

if TYPE_CHECKING:
    from engine.text_edits import Edit

PATH_OPS = frozenset(("set", "add", "remove"))


@dataclass(frozen=True, slots=True)
class Unit:
    """One change by path: `ways` writes it, `change` makes it in plain data."""

    op: str
    numbers: tuple[int, ...]
    target: Target
    ways: Callable[[], Iterable[Way]]
    change: Callable[[Any], None]

    @property
    def label(self) -> str:
        return (
            f"Edit {self.numbers[0]}"
            if len(self.numbers) == 1
            else f"Edits {', '.join(map(str, self.numbers))}"
        )

    @property
    def where(self) -> str:
        return path_text(self.target.path) or "the document"


def units(document: Document, edits: Sequence[tuple[int, Edit]]) -> tuple[list[Unit], list[str]]:
    """The units of all edits by path, or what is wrong with the edits."""
    found: dict[tuple[Any, ...], list[tuple[int, Edit, Target]]] = {}
    problems = []
    for number, edit in edits:
        try:
            target = find(document, edit.at)
            if edit.op == "remove":
                _removable(document, target)
            key = _place(edit.op, target)
            if edit.op == "set" and key in found and target.spot is not None:
                raise WrongPath(
                    f"{path_text(target.path)} is set by another edit already. Leave one of them out."
                )
            found.setdefault(key, []).append((number, edit, target))
        except WrongPath as wrong:
            problems.append(f"Edit {number}: {wrong}")
    made = []
    for (op, *_), group in found.items():
        try:
            made.append(_unit(document, str(op), group))
        except (WrongPath, WrongFragment) as wrong:
            problems.append(f"Edit {group[0][0]}: {wrong}")
    return made, problems


def _place(op: str, target: Target) -> tuple[Any, ...]:
    """Edits of the same place are one unit: new keys of one mapping, items of one list, removals from either."""
    if op == "remove":
        return (op, target.path[:-1])
    if op == "set" and target.spot is None:
        return ("make", target.path[:-1])
    return (op, target.path)


def _unit(document: Document, op: str, group: Sequence[tuple[int, Edit, Target]]) -> Unit:
    numbers = tuple(number for number, _, _ in group)
    target = group[0][2]
    if op == "remove":
        return _remove(document, numbers, [each for _, _, each in group])
    if op == "set":
        return _set(document, numbers, target, group[0][1].text)
    if op == "make":
        named = [(str(each.path[-1]), edit.text) for _, edit, each in group]
        return _make(document, numbers, _up(target), named)
    return _add(document, numbers, target, [edit.text for _, edit, _ in group])


def _up(target: Target) -> Target:
    return Target(target.path[:-1], target.above[:-1], target.above[-1])


def _removable(document: Document, target: Target) -> None:
    if target.spot is None:
        raise WrongPath(nowhere(target.parent, target.path[-1], target.path[:-1]))


def _remove(document: Document, numbers: tuple[int, ...], targets: Sequence[Target]) -> Unit:
    steps = list(dict.fromkeys(target.path[-1] for target in targets))
    parent = _up(targets[0])

    def change(data: Any) -> None:
        holder = _at(data, parent.path)
        for step in sorted(steps, key=lambda s: s if isinstance(s, int) else 0, reverse=True):
            del holder[step]

    return Unit("remove", numbers, targets[0], lambda: remove_ways(document, parent, steps), change)


def _set(document: Document, numbers: tuple[int, ...], target: Target, text: str) -> Unit:
    spot = target.spot
    assert spot is not None  # noqa: S101  a missing one is made
    value = new_value(text, _name(target), document.source(target.path), spot.value)

    def change(data: Any) -> None:
        _at(data, target.path[:-1])[target.path[-1]] = copy(value.value)

    return Unit("set", numbers, target, lambda: set_ways(document, target, value), change)


def new_value(text: str, key: str, source: str, old: Any) -> Fragment:
    """What the text of a `set` means in the place of a value: a block of text stays one."""
    body = dedent(text)
    if not isinstance(old, str) or source[:1] not in ("|", ">"):
        return read_fragment(text, key)
    header = source.split("\n", 1)[0].strip()
    if body[:1] in ("|", ">", '"', "'"):
        given = read_fragment(body, key)
        if not isinstance(given.value, str):
            return given
        value = given.value if body[0] in "|>" else _ended(given.value, old)
    elif header.startswith(">"):
        return read_fragment(
            "\n".join([header, *(f"  {part}" if part else "" for part in body.split("\n"))]), key
        )
    else:
        value = _ended(body, old)
    return _in_block(value, header) or text_fragment(value)


def _ended(text: str, old: str) -> str:
    """The text with the line break at its end that the old one had."""
    return text.rstrip("\n") + "\n" * (len(old) - len(old.rstrip("\n")))


def _in_block(value: str, header: str) -> Fragment | None:
    lines = block(value)
    if lines is None:
        return None
    comment = header[header.index("#") :] if " #" in header else ""
    return Fragment(value, (f"{lines[0]}  {comment}" if comment else lines[0], *lines[1:]), False)


def _name(target: Target) -> str:
    named = [step for step in target.path if isinstance(step, str)]
    return named[-1] if named else "value"


def _make(
    document: Document, numbers: tuple[int, ...], holder: Target, named: Sequence[tuple[str, str]]
) -> Unit:
    entries: list[tuple[str, Fragment]] = []
    for key, text in named:
        if any(key == other for other, _ in entries):
            raise WrongPath(f"`{key}` is given twice. Leave one of them out.")
        entries.append((key, read_fragment(text, key, text_wanted=key in TEXT_KEYS)))
    lines = [part for key, value in entries for part in entry_lines(key, value)]
    return _entries(document, numbers, holder, entries, lines)


def _entries(
    document: Document,
    numbers: tuple[int, ...],
    holder: Target,
    entries: Sequence[tuple[str, Fragment]],
    lines: list[str],
) -> Unit:
    def change(data: Any) -> None:
        _at(data, holder.path).update((key, copy(value.value)) for key, value in entries)

    return Unit("add", numbers, holder, lambda: key_ways(document, holder, entries, lines), change)


def _add(document: Document, numbers: tuple[int, ...], target: Target, texts: Sequence[str]) -> Unit:
    spot = target.spot
    if spot is None:  # not there yet: it is made
        named = [(str(target.path[-1]), "\n".join(texts))]
        return _make(document, numbers, _up(target), named)
    if spot.value is None:
        return _set(document, numbers, target, "\n".join(texts))
    if isinstance(spot.value, list):
        return _add_items(document, numbers, target, texts)
    if not isinstance(spot.value, dict):
        where = path_text(target.path)
        raise WrongPath(
            f"{where} is neither a list nor a set of keys, so nothing can be added to it. Use set."
        )
    entries, lines = list[tuple[str, Fragment]](), list[str]()
    for text in texts:
        more, written = _read_entries(text, target)
        taken = {*spot.value, *(key for key, _ in entries)}
        present = next((key for key, _ in more if key in taken), None)
        if present is not None:
            where = path_text((*target.path, present))
            raise WrongPath(f"{where} stands there already. Change it with set.")
        entries += more
        lines += written
    return _entries(document, numbers, target, entries, lines)


def _add_items(document: Document, numbers: tuple[int, ...], target: Target, texts: Sequence[str]) -> Unit:
    items, lines = list[Fragment](), list[str]()
    among = target.spot.value if target.spot else []
    for text in texts:
        more, written = read_items(text, among)
        items += more
        lines += written or [part for item in more for part in item_lines(item)]

    def change(data: Any) -> None:
        _at(data, target.path).extend(copy(item.value) for item in items)

    return Unit("add", numbers, target, lambda: item_ways(document, target, items, lines), change)


def _read_entries(text: str, target: Target) -> tuple[list[tuple[str, Fragment]], list[str]]:
    whole = read_fragment(text, _name(target))
    if not isinstance(whole.value, dict):
        where = path_text(target.path) or "The document"
        raise WrongFragment(f"{where} is a set of keys: `text` must be `key: value` lines.")
    entries = entries_of(whole)
    lines = (
        list(whole.lines) if whole.block else [p for key, value in entries for p in entry_lines(key, value)]
    )
    return entries, lines


def _at(data: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        data = data[step]
    return data


def copy(value: Any) -> Any:
    """A copy in which nothing is shared, not even what aliases share."""
    if isinstance(value, dict):
        return {key: copy(item) for key, item in value.items()}
    return [copy(item) for item in value] if isinstance(value, list) else value


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same, their types and the order of their keys too."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(item, b[key]) for key, item in a.items())
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b or (a != a and b != b))
