"""A workflow in other shapes: its text, its picture as SVG or PNG, as Mermaid, and a file to share.

A picture is made of the document alone and asks nobody for anything: its fonts come with the program, and what it says
is escaped, so a workflow from elsewhere can be exported without harm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from chat.graph_picture import Link, Picture, Step, from_data
from chat.graph_svg import graph_svg
from engine.document import read_document
from engine.errors import InputError
from engine.workflow import END, START

FORMATS = ("yaml", "svg", "png", "mermaid", "share")
ENDINGS = {"yaml": ".yaml", "svg": ".svg", "png": ".png", "mermaid": ".mmd", "share": ".parlance.yaml"}
MEDIA = {
    "yaml": "application/yaml; charset=utf-8",
    "svg": "image/svg+xml; charset=utf-8",
    "png": "image/png",
    "mermaid": "text/vnd.mermaid; charset=utf-8",
    "share": "application/yaml; charset=utf-8",
}
WIDEST = 8000
"""Pixels of a PNG in either direction; what is larger is drawn smaller."""
SHARPER = 2.0
FONT = "Source Sans Pro"
_PAGE_FONT = "ui-sans-serif,system-ui,sans-serif"
_VARIABLE = re.compile(r"var\(--[\w-]+,\s*([^()]*(?:\([^()]*\))?[^()]*)\)")
_MIX = re.compile(r"color-mix\(in srgb,(#[0-9a-f]{6}) 8%,#fff\)")
_SHAPES = {
    "llm": ("[", "]"),
    "tool": ("[[", "]]"),
    "code": ("[/", "/]"),
    "ask": ("{{", "}}"),
    "subflow": ("[[", "]]"),
    "agent": ("([", "])"),
}


@dataclass(frozen=True, slots=True)
class Export:
    """A file to hand out: its name, its media type, its bytes."""

    name: str
    media: str
    content: bytes


def checked_format(word: str) -> str:
    """InputError for a format that is none."""
    if word not in FORMATS:
        raise InputError(f"There is no export {word!r}.", f"Choose one of {', '.join(FORMATS)}.", "format")
    return word


def export(name: str, text: str, format_: str) -> Export:
    """A workflow's text as a file of this format, any but `share` (see `chat.share`). Takes up to a second for a PNG of
    a large workflow: to be called on a thread. InputError for an unknown format."""
    makers = {
        "yaml": lambda: text.encode(),
        "svg": lambda: svg(text).encode(),
        "png": lambda: png(text),
        "mermaid": lambda: mermaid(text).encode(),
    }
    return Export(file_name(name, format_), MEDIA[checked_format(format_)], makers[format_]())


def file_name(name: str, format_: str) -> str:
    """A file's name that every system takes."""
    plain = re.sub(r"[^\w.-]+", "_", name).strip("._")[:80]
    return f"{plain or 'workflow'}{ENDINGS[format_]}"


# --- pictures -------------------------------------------------------------------------------------------------


def svg(text: str) -> str:
    """The picture of a document, however broken, as an SVG file of its own."""
    found = _MIX.sub(lambda m: _mixed(m.group(1)), _plain_colours(graph_svg(_data(text))))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_printable(found)}\n'


def png(text: str) -> bytes:
    """The picture as a PNG on white, drawn sharply; a very large one is scaled down to `WIDEST` pixels."""
    import resvg_py

    drawn = svg(text)
    width, height = (float(x) for x in re.findall(r' (?:width|height)="(\d+)"', drawn)[:2])
    zoom = min(SHARPER, WIDEST / max(width, height))
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=drawn.replace(_PAGE_FONT, FONT).replace("↻ ", ""),
            background="#ffffff",
            width=max(1, round(width * zoom)),
            height=max(1, round(height * zoom)),
            font_files=list(_fonts()),
            font_family=FONT,
            sans_serif_family=FONT,
        )
    )


@cache
def _fonts() -> tuple[str, ...]:
    """The fonts that come with the program; for letters that these lack the system's own are used."""
    folder = files("font_source_sans_pro") / "files"
    return tuple(str(folder / f"SourceSansPro-{weight}.ttf") for weight in ("Regular", "Semibold"))


def _plain_colours(drawn: str) -> str:
    """Variables of the page replaced by what they fall back to."""
    before = ""
    while before != drawn:
        before, drawn = drawn, _VARIABLE.sub(r"\1", drawn)
    return drawn


def _mixed(colour: str) -> str:
    """Eight parts of a colour in a hundred, the rest white."""
    parts = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(255 - (255 - part) * 0.08):02x}" for part in parts)


def _printable(text: str) -> str:
    """Without the characters that XML does not take."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


# --- Mermaid --------------------------------------------------------------------------------------------------


def mermaid(text: str) -> str:
    """The graph of a document, however broken, as a Mermaid flow chart."""
    picture = from_data(_data(text))
    names = {START: "start", END: "finish"} | {step.id: f"n{n}" for n, step in enumerate(picture.steps, 1)}
    lines = [
        *_mermaid_title(picture),
        "flowchart TD",
        '  start(["Start"])',
        *(f"  {names[step.id]}{_mermaid_step(step)}" for step in picture.steps),
        '  finish(["End"])',
        *(f"  {_mermaid_link(link, names)}" for link in picture.links),
    ]
    return "\n".join(lines) + "\n"


def _mermaid_title(picture: Picture) -> list[str]:
    return [f"%% Workflow {_mermaid_text(picture.name)}"] if picture.name else []


def _mermaid_step(step: Step) -> str:
    opens, closes = _SHAPES.get(step.kind, _SHAPES["llm"])
    lines = [step.title, step.below, *([f"for each of {step.each}"] if step.each else [])]
    return f'{opens}"{"<br/>".join(map(_mermaid_text, lines))}"{closes}'


def _mermaid_link(link: Link, names: Mapping[str, str]) -> str:
    arrow = "-.->" if link.kind in ("loop", "error") else "-->"
    label = f'|"{_mermaid_text(link.label)}"|' if link.label else ""
    return f"{names[link.source]} {arrow}{label} {names[link.target]}"


def _mermaid_text(text: str) -> str:
    """Text for between quotes: what could end them, or be read as a mark, is written as a number."""
    flat = " ".join(_printable(text).split())
    short = flat if len(flat) <= 200 else f"{flat[:199]}…"
    return "".join(f"#{ord(char)};" if char in '"#<>&`;\\%{}[]()|' else char for char in short)


def _data(text: str) -> Any:
    return read_document(text).data
