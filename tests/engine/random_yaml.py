"""Documents in odd layouts, and edits of them, drawn from a random generator."""

from __future__ import annotations

import json
from random import Random
from typing import Any

WORDS = (
    "ticket",
    "answer",
    "tone",
    "Größe",
    "naïve 漢字",
    "a-b",
    "x.y",
    "no",
    "10:30",
    "it's",
    "#1",
    "a: b",
    "",
    "{state.x}",
)
ODD = (*WORDS, "&x", "- y", "tab\\there")
KEYS = ("alpha", "beta", "gamma", "delta", "id", "list", "map_", "größe", "with space")


def scalar(draw: Random) -> Any:
    return draw.choice([draw.choice(ODD), draw.choice(ODD), draw.randint(-5, 2000), 0.5, True, None])


def value(draw: Random, depth: int) -> Any:
    kind = draw.random()
    if depth <= 0 or kind < 0.45:
        return scalar(draw)
    if kind < 0.55:
        return (
            "".join(
                draw.choice(("one line\n", "  indented\n", "\n", "{state.x}: y # z\n")) for _ in range(3)
            ).strip("\n")
            + "\n"
        )
    if kind < 0.75:
        return [value(draw, depth - 1) for _ in range(draw.randint(0, 3))]
    return {key: value(draw, depth - 1) for key in draw.sample(KEYS, draw.randint(0, 3))}


def document(draw: Random) -> str:
    """A document with comments, blank lines, both styles, both line ends, with or without a last line break."""
    data = {key: value(draw, 3) for key in draw.sample(KEYS, draw.randint(2, 5))}
    lines = _mapping(draw, data, 0)
    if draw.random() < 0.3:
        lines.insert(0, "# head")
    if draw.random() < 0.3:
        lines.append("# tail")
    text = "\n".join(lines) + ("" if draw.random() < 0.25 else "\n")
    return text.replace("\n", "\r\n") if draw.random() < 0.2 else text


def _comment(draw: Random) -> str:
    return draw.choice(("", "", "", "   # why", " #"))


def _between(draw: Random, column: int) -> list[str]:
    return draw.choice(([], [], [], [], [""], [" " * column + "# note"], ["", " " * column + "# it's: [odd"]))


def _mapping(draw: Random, data: dict[str, Any], column: int) -> list[str]:
    lines: list[str] = []
    for key, item in data.items():
        if lines:
            lines += _between(draw, column)
        name = key if key.isascii() and " " not in key else json.dumps(key, ensure_ascii=False)
        lines += _entry(draw, f"{' ' * column}{name}:", item, column)
    return lines


def _entry(draw: Random, head: str, item: Any, column: int) -> list[str]:
    if isinstance(item, dict) and item and draw.random() < 0.7:
        step = draw.choice((1, 2, 4))
        return [head + _comment(draw), *_mapping(draw, item, column + step)]
    if isinstance(item, list) and item and draw.random() < 0.7:
        at = column + draw.choice((0, 2, 3))
        lines = [head + _comment(draw)]
        for each in item:
            lines += _between(draw, at) if len(lines) > 1 else []
            lines += _item(draw, each, at)
        return lines
    return _inline(draw, head, item, column)


def _inline(draw: Random, head: str, item: Any, column: int) -> list[str]:
    if isinstance(item, str) and item.endswith("\n"):
        step = " " * (column + draw.choice((2, 4)))
        first = next((part for part in item.split("\n") if part), "")
        if not first.startswith(" ") and not item.startswith("\n"):
            body = [step + part if part else "" for part in item.rstrip("\n").split("\n")]
            return [f"{head} |{_comment(draw)}", *body]
    anchor = draw.choice(("", "", "", "", f"&mark{draw.randrange(10**9)} "))
    return [f"{head} {anchor}{flow(draw, item)}{_comment(draw)}"]


def _item(draw: Random, item: Any, column: int) -> list[str]:
    if isinstance(item, dict) and item and draw.random() < 0.8:
        lines = _mapping(draw, item, column + 2)
        lines = lines[
            next(n for n, part in enumerate(lines) if part.strip() and not part.lstrip().startswith("#")) :
        ]
        return [" " * column + "- " + lines[0][column + 2 :], *lines[1:]]
    return _inline(draw, " " * column + "-", item, column)


def flow(draw: Random, item: Any) -> str:
    """One line, with the spaces that people leave."""
    gap = draw.choice(("", "", " "))
    if isinstance(item, dict):
        inner = ", ".join(
            f"{json.dumps(key, ensure_ascii=False)}: {flow(draw, each)}" for key, each in item.items()
        )
        return f"{{{gap}{inner}{gap}}}"
    if isinstance(item, list):
        trailing = "," if item and draw.random() < 0.2 else ""
        return f"[{gap}{', '.join(flow(draw, each) for each in item)}{trailing}{gap}]"
    if isinstance(item, str):
        plain = item.isalpha() and item not in ("no", "true") and draw.random() < 0.6
        single = "'" + item.replace("'", "''") + "'"
        double = json.dumps(item, ensure_ascii=False)
        return item if plain else single if "\n" not in item and draw.random() < 0.5 else double
    return json.dumps(item)
