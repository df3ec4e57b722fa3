"""A workflow changed by a person's plain words: steps added, removed, swapped, renamed, their prompts changed. Each
change is a few spans of the text; every byte outside them stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chat.assistant.small.orders import Order, which
from chat.assistant.small.rewiring import (
    Cannot,
    around_removed,
    edges_past_new,
    edges_past_removed,
    outputs_without,
)
from chat.assistant.wiring_names import identifier
from chat.assistant.wiring_text import block, literal, one_line, quoted, sentence
from engine.document import Document, read_document
from engine.text_edits import put

TEXTS = ("prompt", "ask")
_REFERENCE = re.compile(r"\{state\.(\w+)[^{}]*\}")
_LABEL_LINE = re.compile(r"^[^\n{}]{0,60}:\s*\{state\.\w+[^{}]*\}\s*$")


@dataclass
class Changing:
    """A document that is being changed: spans to replace, and what was done in words."""

    document: Document
    spans: list[tuple[int, int, str]] = field(default_factory=list)
    done: str = ""

    @property
    def nodes(self) -> list[Mapping[str, Any]]:
        return list(self.document.data["nodes"])

    @property
    def text(self) -> str:
        return put(self.document.text, self.spans)

    def step(self, said: str) -> int:
        found = which(said, self.nodes)
        if found is None:
            names = ", ".join(f"{n}. {node['id']}" for n, node in enumerate(self.nodes, 1))
            raise Cannot(f"I don't know which step “{said}” is. There are: {names}.")
        return found

    def block(self, number: int) -> tuple[int, int]:
        """Where the lines of a node begin and end."""
        document = self.document
        start = document.position(("nodes", number))[0]
        if number + 1 < len(self.nodes):
            end = document.position(("nodes", number + 1))[0]
            if end == start:
                raise Cannot("The steps stand on one line here; change them in the editor.")
            return document.offset((start, 1)), document.offset((end, 1))
        last = document.offset(document.span(("nodes", number))[1])
        text = document.text
        if last and text[last - 1] != "\n":
            found = text.find("\n", last)
            last = len(text) if found < 0 else found + 1
        return document.offset((start, 1)), last

    def replace(self, path: Sequence[str | int], new: str) -> None:
        start, end = self.document.span(path)
        self.spans.append((self.document.offset(start), self.document.offset(end), new))

    def indent(self) -> int:
        return self.document.key_span(("nodes", 0, "id"))[0][1] - 1


def carry_out(document: Document, order: Order) -> tuple[str, str]:
    """(the new text, what was done in words). Cannot says why it can't be done."""
    changing = Changing(document)
    _CHANGES[order.kind](changing, order)
    text = changing.text
    return _described(document, text) if order.kind in ("add", "remove", "swap") else text, changing.done


def _described(before: Document, text: str) -> str:
    """A description that code made of the steps follows when they change; a person's own stays."""
    after = read_document(text)
    said = str(before.data["flow"].get("description")).split("; ")
    if after.root is None or [*map(sentence, said)] != [*map(sentence, _steps_in_words(before).split("; "))]:
        return text
    start, end = (after.offset(place) for place in after.span(("flow", "description")))
    return text[:start] + quoted(_steps_in_words(after)) + text[end:]


def _steps_in_words(document: Document) -> str:
    """The steps in a sentence, as `outline.chain` describes a chain that nobody described."""
    words = "; ".join(str(node.get("description", "")) for node in document.data["nodes"])
    return one_line(words)[:600]


# --- what a step says -------------------------------------------------------------------------------------


def _texts(node: Mapping[str, Any]) -> str:
    key = next((key for key in TEXTS if isinstance(node.get(key), str)), None)
    if key is None or "code" in node:
        raise Cannot(f"`{node['id']}` has no prompt that I could change.")
    return key


def _set_text(changing: Changing, number: int, key: str, text: str) -> None:
    path = ("nodes", number, key)
    start, end = changing.document.span(path)
    first, last = changing.document.offset(start), changing.document.offset(end)
    raw = changing.document.text[first:last]
    lines = block(key, text, changing.indent())
    new = "\n".join([lines[0].split(": ", 1)[1], *lines[1:]])
    changing.spans.append((first, last, new + raw[len(raw.rstrip("\n")) :]))


def _prompt(changing: Changing, order: Order) -> None:
    """A new prompt; what the old one was given, the new one is given too."""
    number = changing.step(order.step)
    node = changing.nodes[number]
    key = _texts(node)
    lines, seen = [], set()
    for line in str(node[key]).splitlines():
        for found in _REFERENCE.finditer(line):
            if found.group() not in seen:
                seen.add(found.group())
                whole = _LABEL_LINE.match(line) and len(_REFERENCE.findall(line)) == 1
                lines.append(line.strip() if whole else f"{_title(found.group(1))}: {found.group()}")
    if node.get("for_each") and "{item}" in str(node[key]):
        lines.append("Item: {item}")
    text = f"{_full(order.text)}\n\n" + "\n".join(lines)
    _set_text(changing, number, key, text)
    changing.done = f"Changed the prompt of `{node['id']}`"


def _say(changing: Changing, order: Order) -> None:
    """One sentence more, before the lines that hand over values."""
    number = changing.step(order.step)
    node = changing.nodes[number]
    key = _texts(node)
    lines = str(node[key]).rstrip("\n").split("\n")
    at = len(lines)
    while at and (_LABEL_LINE.match(lines[at - 1]) or not lines[at - 1].strip()):
        at -= 1
    lines.insert(at, _full(order.text))
    _set_text(changing, number, key, "\n".join(lines))
    changing.done = f"Added a sentence to `{node['id']}`"


def _replace(changing: Changing, order: Order) -> None:
    """Words within prompts by others, in the very place."""
    numbers = [changing.step(order.step)] if order.step else range(len(changing.nodes))
    for number in numbers:
        node = changing.nodes[number]
        for key in (key for key in (*TEXTS, "description") if isinstance(node.get(key), str)):
            start, end = (changing.document.offset(p) for p in changing.document.span(("nodes", number, key)))
            raw = changing.document.text[start:end]
            places = _places(raw, order.old) if key != "description" else []
            new = _fitting(raw, literal(one_line(order.text))) if places else ""
            changing.spans += [(start + at, start + at + len(order.old), new) for at in places]
    if len(changing.spans) != 1:
        many = "in several places" if changing.spans else "nowhere"
        raise Cannot(
            f"“{order.old}” stands {many} in the prompts. Say in which step, with more of the words around it."
        )
    changing.done = f"Changed “{order.old}” to “{one_line(order.text)}”"


def _places(raw: str, old: str) -> list[int]:
    """Where words stand as words, outside of references."""
    taken = [found.span() for found in re.finditer(r"\{[^{}\n]*\}", raw)]
    whole = re.finditer(rf"(?<!\w){re.escape(old)}(?!\w)", raw)
    starts = (found.start() for found in whole)
    return [at for at in starts if not any(a < at + len(old) and at < b for a, b in taken)]


def _fitting(raw: str, new: str) -> str:
    """Words as they have to stand in a value that is written like `raw`."""
    if raw[:1] == '"':
        return new.replace("\\", "\\\\").replace('"', '\\"')
    if raw[:1] == "'":
        return new.replace("'", "''")
    if raw[:1] != "|" and re.search(r":\s|\s#|[\[\]{},&*?|>!%@`\"']", new):
        raise Cannot("These words need quotes in that place; change them in the editor.")
    return new


def _rename(changing: Changing, order: Order) -> None:
    number = changing.step(order.step)
    node = changing.nodes[number]
    if "description" in node:
        changing.replace(("nodes", number, "description"), quoted(sentence(order.text)[:300]))
    else:
        end = changing.document.offset(changing.document.span(("nodes", number, "id"))[1])
        line = f"\n{' ' * changing.indent()}description: {quoted(sentence(order.text)[:300])}"
        changing.spans.append((end, end, line))
    changing.done = f"Renamed `{node['id']}` to “{sentence(order.text)}”"


# --- which steps there are --------------------------------------------------------------------------------


def _add(changing: Changing, order: Order) -> None:
    """A step that a model does, given what the step before it gives; what follows is given its result too."""
    document, nodes = changing.document, changing.nodes
    if order.step:
        number = changing.step(order.step) + (order.place == "after")
    else:
        number = 0 if order.place == "start" else len(nodes)
    fields = document.data["state"]["fields"]
    taken = {str(node["id"]) for node in nodes} | set(fields)
    base = identifier(order.text, 3) or f"step_{len(nodes) + 1}"
    own = next(
        name
        for n in range(1, 99)
        if not {name := base if n == 1 else f"{base}_{n}", f"{name}_result"} & taken
    )
    given = _first_input(document) if not number else ""
    reads = [given, *_outputs(nodes[number - 1])] if number else [given]
    lines = [
        f"- id: {own}",
        f"  description: {quoted(sentence(order.text)[:300])}",
        *block(
            "prompt", f"{literal(sentence(order.text))}. Answer with the result only.\n\n{_labels(reads)}", 2
        ),
        f"  outputs: [{own}_result]",
    ]
    margin = " " * (changing.indent() - 2)
    at = changing.block(number)[0] if number < len(nodes) else changing.block(number - 1)[1]
    before = "" if not at or document.text[at - 1] == "\n" else "\n"
    changing.spans.append((at, at, before + "".join(f"{margin}{line}\n" if line else "\n" for line in lines)))
    _add_field(changing, f"{own}_result", order.text)
    if document.data.get("edges"):
        if not number:
            raise Cannot("I can't put a step before the first one where the ways are drawn by edges.")
        changing.spans += edges_past_new(document, str(nodes[number - 1]["id"]), own)
    _hand_on(changing, number, own)
    changing.done = f"Added the step `{own}`" + (f" after `{nodes[number - 1]['id']}`" if number else "")


def _hand_on(changing: Changing, number: int, own: str) -> None:
    """Give a new step's result to the next one, or to whoever ran the workflow."""
    document, nodes = changing.document, changing.nodes
    following = nodes[number] if number < len(nodes) and not document.data.get("edges") else None
    key = next((key for key in TEXTS if following and isinstance(following.get(key), str)), None)
    if following is not None and key is not None and "code" not in following:
        text = str(following[key]).rstrip("\n")
        gap = "\n" if _LABEL_LINE.match(text.rsplit("\n", 1)[-1]) else "\n\n"
        _set_text(changing, number, key, f"{text}{gap}{_title(own)}: {{state.{own}_result}}")
        return
    outputs = document.data["flow"].get("outputs")
    if isinstance(outputs, list) and outputs:
        end = document.offset(document.span(("flow", "outputs", len(outputs) - 1))[1])
        changing.spans.append((end, end, f", {own}_result"))


def _add_field(changing: Changing, name: str, description: str) -> None:
    document = changing.document
    last = list(document.data["state"]["fields"])[-1]
    line, column = document.position(("state", "fields", last))
    start = document.offset((line, 1))
    margin = document.text[start : start + column - 1]
    if margin.strip():
        raise Cannot("The fields stand on one line here; add the step in the editor.")
    text = f"{margin}{name}: {{type: str, description: {quoted(sentence(description)[:300] or name)}}}\n"
    changing.spans.append((start, start, text))


def _remove(changing: Changing, order: Order) -> None:
    """Take a step away; who read its result reads what it read."""
    document, nodes = changing.document, changing.nodes
    if len(nodes) == 1:
        raise Cannot("That is the only step; a workflow needs one.")
    number = changing.step(order.step)
    node = nodes[number]
    start, end = changing.block(number)
    changing.spans.append((start, end, ""))
    if document.data.get("edges"):
        changing.spans += edges_past_removed(document, str(node["id"]))
    given = list(_REFERENCE.findall(str(node.get("prompt") or node.get("ask") or "")))
    others = [other for n, other in enumerate(nodes) if n != number]
    gone = [name for name in _outputs(node) if not any(name in _outputs(other) for other in others)]
    for name in gone:
        changing.spans += around_removed(document, name, [n for n in given if n not in gone], (start, end))
    changing.spans += outputs_without(document, gone, given)
    changing.done = f"Removed the step `{node['id']}`"


def _swap(changing: Changing, order: Order) -> None:
    """Two steps in each other's place; lines that hand over values go by the place."""
    one, other = sorted((changing.step(order.step), changing.step(order.other)))
    document, nodes = changing.document, changing.nodes
    if one == other:
        raise Cannot("These are the same step.")
    if document.data.get("edges"):
        raise Cannot("The ways between these steps are drawn by edges; swap them in the editor.")
    spans = [changing.block(one), changing.block(other)]
    texts = [document.text[start:end] for start, end in spans]
    first, second = ([line for line in text.splitlines(True) if _is_label(line)] for text in texts)
    a, b = (_outputs(nodes[n]) for n in (one, other))
    inline = [line for line in texts[1].splitlines() if not _is_label(line)]
    if any(f"{{state.{name}" in line for name in a for line in inline) or len(a) != 1 or len(b) != 1:
        raise Cannot(
            f"`{nodes[other]['id']}` uses what `{nodes[one]['id']}` gives, so they can't be swapped."
        )
    there = {a[0]: b[0], b[0]: a[0]}
    texts = [_with_labels(texts[0], [_led(line, there) for line in second]), _with_labels(texts[1], first)]
    changing.spans += [(*spans[0], texts[1]), (*spans[1], texts[0])]
    for number in range(one + 1, len(nodes)):
        if number != other:
            start, end = changing.block(number)
            text = document.text[start:end]
            led = "".join(_led(line, there) if _is_label(line) else line for line in text.splitlines(True))
            changing.spans += [(start, end, led)] if led != text else []
    outputs = document.data["flow"].get("outputs")
    for place, name in enumerate(outputs if isinstance(outputs, list) else ()):
        if name in there and there[name] not in outputs:
            changing.replace(("flow", "outputs", place), there[name])
    changing.done = f"Swapped the steps `{nodes[one]['id']}` and `{nodes[other]['id']}`"


def _is_label(line: str) -> bool:
    return _LABEL_LINE.match(line.strip()) is not None


def _with_labels(text: str, labels: Sequence[str]) -> str:
    """A step's lines with these in the place of those that hand over values."""
    lines = text.splitlines(True)
    places = [number for number, line in enumerate(lines) if _is_label(line)]
    if not places:
        if labels:
            raise Cannot("These steps get their values in different ways; swap them in the editor.")
        return text
    kept = [line for number, line in enumerate(lines) if number not in places]
    return "".join([*kept[: places[0]], *labels, *kept[places[0] :]])


def _led(line: str, there: Mapping[str, str]) -> str:
    """A line that hands over a value, with the value that now stands in that place."""
    name = _REFERENCE.findall(line)[0]
    if name not in there:
        return line
    line = line.replace(f"{{state.{name}", f"{{state.{there[name]}")
    return line.replace(f"{_title(name)}:", f"{_title(there[name])}:")


def _outputs(node: Mapping[str, Any]) -> list[str]:
    found = node.get("outputs") or []
    return [found] if isinstance(found, str) else list(map(str, found))


def _first_input(document: Document) -> str:
    fields = document.data["state"]["fields"]
    return str(
        next(
            (n for n, f in fields.items() if isinstance(f, Mapping) and f.get("required")), next(iter(fields))
        )
    )


def _labels(names: Sequence[str]) -> str:
    return "\n".join(f"{_title(name)}: {{state.{name}}}" for name in names if name)


def _title(name: str) -> str:
    words = name.removesuffix("_result").replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _full(text: str) -> str:
    """A person's words as a sentence of a prompt."""
    text = literal(one_line(text))
    text = text[:1].upper() + text[1:]
    return text if text[-1:] in ".!?:" else f"{text}."


_CHANGES: dict[str, Callable[[Changing, Order], None]] = {
    "prompt": _prompt,
    "say": _say,
    "replace": _replace,
    "rename": _rename,
    "add": _add,
    "remove": _remove,
    "swap": _swap,
}
