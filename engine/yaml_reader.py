"""YAML into plain data with the place of every key and value, from the events of PyYAML's C parser.

The tree is built without recursion while the events come, so that depth, size and the growth by aliases are
bounded before they can cost anything, and a duplicate key or a placeholder without quotes is seen where it
stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from engine.yaml_faults import UNQUOTED_TYPE, YamlFault, explain, placeholder
from engine.yaml_scalars import CORE_TAGS, plain, tagged

TEMPLATE_KEYS = frozenset(("prompt", "system", "ask", "options", "inputs", "args", "config", "default"))

_IN_TYPES = "[],"
_TYPES_AT_ONCE = 50
"""How many types without quotes are told of at once: the text is read anew for each."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds: `size` of the text with its aliases written out, levels of depth, number of values."""

    size: int
    depth: int
    values: int


@dataclass(slots=True)
class Spot:
    """A value and its offsets in the text; `children` by key or index for a mapping or list.

    `key_start`..`key_end` is the key's span; for a list item both are the value's start. `flow` tells a mapping or
    list written in brackets.
    """

    value: Any
    start: int
    end: int
    key_start: int
    key_end: int
    children: dict[str, Spot] | list[Spot] | None = None
    depth: int = 0
    weight: int = 0
    flow: bool = False

    def child(self, step: str | int) -> Spot | None:
        """The spot below, None where there is none."""
        if isinstance(self.children, dict):
            return self.children.get(step) if isinstance(step, str) else None
        if isinstance(self.children, list) and isinstance(step, int):
            return self.children[step] if 0 <= step < len(self.children) else None
        return None


class _Stop(Exception):
    """The rest of the document is not worth reading; the fault says why."""

    def __init__(self, fault: YamlFault) -> None:
        self.fault = fault


@dataclass(slots=True)
class _Open:
    """A mapping or list that is not closed yet."""

    spot: Spot
    path: tuple[str | int, ...]
    flow: bool
    anchor: str | None
    key: tuple[str | None, int, int, bool] | None = None  # text, start, end, plain
    merges: list[Spot] = field(default_factory=list)
    implied: bool = True  # has no value that is written out
    plain_keys: bool = True


def read_yaml(text: str, limits: Limits) -> tuple[Spot | None, list[YamlFault]]:
    """The root of the one document in the text (None where it can't be read) and the faults found."""
    shift = 1 if text.startswith("\ufeff") else 0
    types: dict[int, YamlFault] = {}
    while True:
        reader = _Reader(text, shift, limits, types)
        try:
            for event in _events(reader.disguised()):
                reader.take(event)
            reader.finish()
        except _Stop as stop:
            reader.faults.append(stop.fault)
            return None, reader.faults
        except (yaml.YAMLError, UnicodeEncodeError) as error:
            fault = explain(error, text, shift)
            if fault.rule == UNQUOTED_TYPE and fault.offset not in types and len(types) < _TYPES_AT_ONCE:
                types[fault.offset] = fault  # it is certain what was meant: go on, as if it were in quotes
                continue
            # A placeholder that was read as a set of keys before the text behind it was met.
            return None, [*(f for f in reader.faults if f.offset != fault.offset), fault]
        return reader.root, reader.faults


def _events(text: str) -> Iterator[Any]:
    loader = yaml.CSafeLoader(text)
    try:
        while (event := loader.get_event()) is not None:
            yield event
            if isinstance(event, yaml.StreamEndEvent):
                return
    finally:
        loader.dispose()


def _disguise(text: str, signs: str) -> dict[int, str]:
    """Stand-ins, not in the text, for those of the signs that are in it."""
    found = [sign for sign in signs if sign in text]
    unused = (chr(code) for code in range(0xE000, 0xF8FF) if chr(code) not in text) if found else iter(())
    return {ord(sign): stand_in for sign, stand_in in zip(found, unused, strict=False)}


class _Reader:
    """Takes events one by one; `root` is complete after `finish`."""

    def __init__(self, text: str, shift: int, limits: Limits, types: Mapping[int, YamlFault]) -> None:
        self.text, self.shift, self.limits, self.types = text, shift, limits, types
        self.disguise = _disguise(text, "\x85\u2028\u2029" + (_IN_TYPES if types else ""))
        self.undisguise = {ord(new): chr(old) for old, new in self.disguise.items()}
        self.faults: list[YamlFault] = []
        self.root: Spot | None = None
        self.stack: list[_Open] = []
        self.anchors: dict[str, Spot] = {}
        self.opened: set[str] = set()
        self.size = len(text)
        self.values = 0
        self.documents = 0

    def disguised(self) -> str:
        """The text for the C parser, every character in its place.

        Stand-ins are put for characters that are line breaks to it, but not in YAML 1.2, nor to an editor; and
        for the brackets and commas of the types without quotes that it has met.
        """
        pieces, position = [], self.shift
        for start, fault in sorted(self.types.items()):
            end = fault.patch[1] if fault.patch else start
            pieces += [self._without_breaks(position, start), self.text[start:end].translate(self.disguise)]
            position = end
        return "".join([*pieces, self._without_breaks(position, len(self.text))])

    def _without_breaks(self, start: int, end: int) -> str:
        kept = {old: new for old, new in self.disguise.items() if chr(old) not in _IN_TYPES}
        return self.text[start:end].translate(kept) if kept else self.text[start:end]

    def take(self, event: Any) -> None:
        """Handle one event. _Stop ends the reading."""
        if isinstance(event, yaml.ScalarEvent):
            if self.undisguise:
                event.value = event.value.translate(self.undisguise)
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                message = "A second document begins here. Remove this line (---) and what does not belong."
                raise _Stop(YamlFault("yaml-syntax", self._start(event), message))

    def finish(self) -> None:
        """Check that there was a mapping."""
        if self.root is not None and isinstance(self.root.value, dict):
            return
        if self.root is None or self.root.value is None:
            message = "The document is empty. A workflow needs schema_version, flow, state and nodes."
            raise _Stop(YamlFault("yaml-syntax", 0, message))
        what = "a list" if isinstance(self.root.value, list) else "plain text"
        message = (
            f"The document is {what}, but a workflow is a set of keys: schema_version, flow, state and nodes."
        )
        raise _Stop(YamlFault("yaml-syntax", self.root.start, message))

    # --- events ---

    def _scalar(self, event: Any) -> None:
        start, end = self._start(event), self._end(event)
        if event.style in ("|", ">"):
            end = start + len(self.text[start:end].rstrip())
        top = self.stack[-1] if self.stack else None
        unquoted = event.style is None or event.style == ""
        if start in self.types:
            self.faults.append(replace(self.types[start], path=self._path()))
        if top and isinstance(top.spot.value, dict) and top.key is None:
            top.key = (event.value, start, end, unquoted and not event.tag)
            self._anchor(event, Spot(event.value, start, end, start, start, weight=end - start))
            return
        spot = Spot(self._value(event, unquoted, start), start, end, start, start, weight=end - start)
        if top and (end > start or not unquoted):
            top.implied = False
        self._anchor(event, spot)
        self._add(spot)

    def _value(self, event: Any, unquoted: bool, start: int) -> Any:
        tag = event.tag
        if tag is None or tag == "!":
            return plain(event.value) if unquoted and tag is None else event.value
        if tag not in CORE_TAGS:
            self._refuse_tag(tag, start)
            return event.value
        try:
            return tagged(event.value, tag)
        except ValueError as error:
            self.faults.append(YamlFault("yaml-tag", start, str(error), self._path()))
            return event.value

    def _open(self, event: Any) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        start = self._start(event)
        if event.tag not in (None, "!") and CORE_TAGS.get(event.tag) != ("map" if mapping else "seq"):
            self._refuse_tag(event.tag, start)
        self._check_depth(len(self.stack) + 1, start)
        spot = Spot({} if mapping else [], start, start, start, start, {} if mapping else [], depth=1)
        spot.flow = bool(event.flow_style)
        if event.anchor:
            self.opened.add(event.anchor)
        self.stack.append(_Open(spot, self._path(), bool(event.flow_style), event.anchor))

    def _close(self, event: Any) -> None:
        done = self.stack.pop()
        spot = done.spot
        spot.end = self._end(event) if done.flow else max(spot.end, spot.start)
        spot.weight = max(spot.weight, spot.end - spot.start)
        if done.anchor:
            self.opened.discard(done.anchor)
            self.anchors[done.anchor] = spot
        top = self.stack[-1] if self.stack else None
        if done.flow and self._mend_placeholder(done):
            return
        for merged in done.merges:
            self._merge(spot, merged)
        if top and isinstance(top.spot.value, dict) and top.key is None:
            message = "A key must be plain text here, not a list or a set of keys."
            self.faults.append(YamlFault("yaml-key", spot.start, message, self._path()))
            top.key = (None, spot.start, spot.end, False)
            return
        if top:
            top.implied = False
        self._add(spot)

    def _alias(self, event: Any) -> None:
        start, end = self._start(event), self._end(event)
        if event.anchor not in self.anchors:
            message = (
                f"*{event.anchor} refers to itself."
                if event.anchor in self.opened
                else f"Nothing above is marked &{event.anchor}. A text that begins with * needs quotes."
            )
            raise _Stop(YamlFault("yaml-syntax", start, message))
        target = self.anchors[event.anchor]
        self.size += target.weight
        if self.size > self.limits.size:
            message = f"With its aliases written out the document has over {self.limits.size:,} characters."
            raise _Stop(YamlFault("limit-aliases", start, message))
        self._check_depth(len(self.stack) + target.depth, start)
        top = self.stack[-1] if self.stack else None
        if top and isinstance(top.spot.value, dict) and top.key is None:
            key = target.value if isinstance(target.value, str) else None
            top.key = (key, start, end, False)
            return
        if top:
            top.implied = False
        self._add(
            Spot(target.value, start, end, start, start, target.children, target.depth, target.weight),
        )

    # --- the tree ---

    def _add(self, spot: Spot) -> None:
        """Put a finished value where it belongs."""
        self.values += 1
        if self.values > self.limits.values:
            message = f"The document has over {self.limits.values:,} values."
            raise _Stop(YamlFault("limit-size", spot.start, message))
        if not self.stack:
            self.root = spot
            return
        top = self.stack[-1]
        holder = top.spot
        holder.depth = max(holder.depth, spot.depth + 1)
        holder.end = max(holder.end, spot.end)
        holder.weight += spot.weight + 1
        if isinstance(holder.children, list):
            holder.children.append(spot)
            holder.value.append(spot.value)
        elif isinstance(holder.children, dict):
            self._add_to_mapping(top, spot)

    def _add_to_mapping(self, top: _Open, spot: Spot) -> None:
        assert top.key is not None  # noqa: S101  a value follows its key
        key, spot.key_start, spot.key_end, is_plain = top.key
        top.key = None
        top.plain_keys = top.plain_keys and is_plain
        children = top.spot.children
        if key is None or not isinstance(children, dict):
            return
        if key == "<<" and is_plain:
            top.merges.append(spot)
        elif key in children:
            line = self.text.count("\n", 0, children[key].key_start) + 1
            message = (
                f"`{key}` stands here a second time; it is on line {line} already. Remove one of the two."
            )
            self.faults.append(YamlFault("duplicate-key", spot.key_start, message, (*top.path, key)))
        else:
            children[key] = spot
            top.spot.value[key] = spot.value

    def _merge(self, spot: Spot, merged: Spot) -> None:
        """`<<: *base`: the keys of the base that the mapping does not have itself."""
        several = merged.children if isinstance(merged.children, list) else [merged]
        for base in several:
            if not isinstance(base.children, dict) or not isinstance(spot.children, dict):
                message = "`<<` takes in the keys of a set of keys, such as *base, and of nothing else."
                self.faults.append(YamlFault("yaml-key", merged.key_start, message, self._path()))
                return
            for key, child in base.children.items():
                if key not in spot.children:
                    spot.children[key] = child
                    spot.value[key] = child.value
                    spot.depth = max(spot.depth, child.depth + 1)

    def _mend_placeholder(self, done: _Open) -> bool:
        """Whether the mapping was a `{state.field}` without quotes; then its text stands in its place."""
        spot = done.spot
        written = self.text[spot.start : spot.end]
        name = placeholder(written) if done.implied and len(spot.value) == 1 else None
        doubled = written.startswith("{{")
        if name is None or done.plain_keys == doubled:
            return False
        known = name.startswith(("state.", "state[", "secret."))
        if not known and not any(step in TEMPLATE_KEYS for step in done.path):
            return False
        message = f"{written} needs quotes; without them YAML reads a set of keys instead of a reference."
        patch = (spot.start, spot.end, f'"{{{name}}}"')
        if doubled:
            self.faults.pop()  # the inner braces, told of already
        self.faults.append(YamlFault("unquoted-placeholder", spot.start, message, done.path, patch))
        text = Spot(f"{{{name}}}", spot.start, spot.end, spot.start, spot.start, weight=spot.weight)
        top = self.stack[-1] if self.stack else None
        if top and isinstance(top.spot.value, dict) and top.key is None:
            top.key = (text.value, spot.start, spot.end, False)
            return True
        if top:
            top.implied = False
        self._add(text)
        return True

    # --- helpers ---

    def _path(self) -> tuple[str | int, ...]:
        """The path of the value that comes next."""
        if not self.stack:
            return ()
        top = self.stack[-1]
        if isinstance(top.spot.children, list):
            return (*top.path, len(top.spot.children))
        return (*top.path, top.key[0]) if top.key and top.key[0] is not None else top.path

    def _check_depth(self, depth: int, start: int) -> None:
        if depth > self.limits.depth:
            message = f"The document is nested more than {self.limits.depth} levels deep here."
            raise _Stop(YamlFault("limit-depth", start, message))

    def _anchor(self, event: Any, spot: Spot) -> None:
        if event.anchor:
            self.anchors[event.anchor] = spot

    def _refuse_tag(self, tag: str, start: int) -> None:
        name = tag.replace("tag:yaml.org,2002:", "!!")[:60]
        message = f"The tag {name} is not allowed. Remove it; a document holds plain values only."
        match = re.compile(r"!\S*[ \t]*").match(self.text, start)
        patch = (start, match.end(), "") if match else None
        self.faults.append(YamlFault("yaml-tag", start, message, self._path(), patch))

    def _start(self, event: Any) -> int:
        return int(event.start_mark.index) + self.shift

    def _end(self, event: Any) -> int:
        return int(event.end_mark.index) + self.shift
