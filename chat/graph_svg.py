"""The picture of a workflow as SVG, made on the server: for the page and whatever else can show an image.

Colours are CSS variables with fallbacks, so one picture serves light and dark; every id in it is its own, so
many can stand on one page. All text is escaped: a document is never trusted.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from chat.graph_layout import Arc, Box, Layout, Line, Point, lay_out
from chat.graph_picture import KIND_NAMES, Link, Picture, Step, from_data, from_workflow
from engine.workflow import END, START, Workflow

ICONS = {
    "llm": "M8 1.5 9.6 6.4 14.5 8 9.6 9.6 8 14.5 6.4 9.6 1.5 8 6.4 6.4Z",
    "tool": "M9.5 2.2a3.6 3.6 0 0 0-4.3 4.9L1.9 10.4l3.7 3.7 3.3-3.3a3.6 3.6 0 0 0 4.9-4.3"
    "L11.6 8.7 9 8.2 7.3 4.4Z",
    "code": "M5.5 4 1.5 8l4 4M10.5 4l4 4-4 4",
    "ask": "M8 1.8a6.2 6.2 0 0 0-5.2 9.6L2 14.2l2.9-.8A6.2 6.2 0 1 0 8 1.8Z",
    "subflow": "M2 3h5v4H2zM9 9h5v4H9zM4.5 7v4H9",
    "agent": "M8 2.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6ZM2.6 14a5.4 5.4 0 0 1 10.8 0",
}
PAD = 14.0
SMALL_CHAR = 6.9
TEXT_LEFT, DOT_ROOM, WIDEST = 48.0, 26.0, 296.0
NARROW, BROAD = frozenset("ijl.,:;!'|ftrI "), frozenset("mwMWQ@%")


def graph_svg(
    workflow: Workflow | Mapping[str, Any],
    statuses: Mapping[str, str] | None = None,
    *,
    lines: Mapping[str, int] | None = None,
) -> str:
    """One `<svg>` element, sized in pixels.

    `workflow` is a Workflow or a document's data, however broken. `statuses` gives a node's status by id
    (ok, failed, cancelled, waiting, unknown, running; no entry: not started). `lines` gives the 1-based line of each
    node in the YAML: such a node is a button with `data-line`. Nodes carry `data-node` and `data-status`.
    """
    picture = from_workflow(workflow) if isinstance(workflow, Workflow) else from_data(workflow)
    boxes = [_terminal(START), *(_box(step) for step in picture.steps), _terminal(END)]
    arcs = [Arc(link.source, link.target, _label_width(link)) for link in picture.links]
    return _draw(picture, lay_out(boxes, arcs), boxes, statuses or {}, lines or {})


# --- sizes ------------------------------------------------------------------------------------------------


def _terminal(name: str) -> Box:
    return Box(name, 64.0, 28.0)


def _box(step: Step) -> Box:
    wide = max(_bold(_fitted(step.title)) + TEXT_LEFT + DOT_ROOM, len(_cut(step.below, 34)) * SMALL_CHAR + 58)
    more = _more_lines(step)
    wide = max([wide, *(len(_cut(line, 34)) * SMALL_CHAR + 62 for line in more)])
    return Box(step.id, min(max(wide, 148.0), WIDEST), 54.0 + 18.0 * len(more))


def _more_lines(step: Step) -> list[str]:
    """What stands below name and outputs: once for each of what it runs, and when its loop ends."""
    return [f"for each of {step.each}"] * bool(step.each) + [f"↻ {step.loop}"] * bool(step.loop)


def _bold(text: str) -> float:
    """How wide a title is at most, in pixels, in any of the fonts that people have."""
    return sum(4.8 if char in NARROW else 12.6 if char in BROAD else 8.7 for char in text)


def _fitted(title: str) -> str:
    """The title, cut so that it ends before the dot."""
    title = " ".join(title.split())
    cut = title
    while cut and _bold(cut) > WIDEST - TEXT_LEFT - DOT_ROOM:
        cut = cut[:-1]
    return cut if cut == title else cut[:-1].rstrip("_ ") + "…"


def _label_width(link: Link) -> float:
    return (
        len(_cut(link.label, 30)) * SMALL_CHAR + 16 if link.label and link.kind in ("route", "error") else 0.0
    )


def _cut(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


# --- drawing ----------------------------------------------------------------------------------------------


def _draw(
    picture: Picture,
    layout: Layout,
    boxes: Sequence[Box],
    statuses: Mapping[str, str],
    lines: Mapping[str, int],
) -> str:
    me = f"g{uuid.uuid4().hex[:10]}"
    sizes = {box.id: box for box in boxes}
    reach = [layout.places[step.id][0] + sizes[step.id].width / 2 + 26 for step in picture.steps if step.loop]
    width, height = max([layout.width, *reach]) + 2 * PAD, layout.height + 2 * PAD
    count = len(picture.steps)
    title = f"Workflow {picture.name or 'without a name'}: {count} step{'' if count == 1 else 's'}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{me}" class="graph" role="group" '
        f'aria-label="{escape(title)}" viewBox="{-PAD:g} {-PAD:g} {width:.1f} {height:.1f}" '
        f'width="{width:.0f}" height="{height:.0f}">',
        f"<style>{_style(me)}</style>",
        f'<defs><marker id="{me}-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0.5 0.8 7 4 0.5 7.2Z" class="tip"/></marker></defs>',
    ]
    for link, line in zip(picture.links, layout.lines, strict=True):
        parts.append(_draw_link(me, link, line, layout.places[link.source], sizes[link.source]))
    parts.append(_draw_terminal(START, "Start", picture.takes, layout.places[START]))
    parts.extend(
        _draw_step(
            step, layout.places[step.id], sizes[step.id], statuses.get(step.id, ""), lines.get(step.id)
        )
        for step in picture.steps
    )
    parts.append(_draw_terminal(END, "End", picture.gives, layout.places[END]))
    parts.append("</svg>")
    return "".join(parts)


def _draw_link(me: str, link: Link, line: Line, place: Point, box: Box) -> str:
    ends = f'data-from="{escape(link.source)}" data-to="{escape(link.target)}"'
    if link.kind == "loop":
        return _draw_loop(me, link, place, box, ends)
    if not line.points:
        return ""
    path = _back_path(line.points) if line.back else _path(line.points)
    drawn = f'<path class="link {link.kind}" d="{path}" marker-end="url(#{me}-tip)" {ends}/>'
    return drawn + (_draw_label(link.label, line.label) if line.label else "")


def _draw_loop(me: str, link: Link, place: Point, box: Box, ends: str) -> str:
    x, y = place[0] + box.width / 2, place[1]
    path = f"M{x:.1f} {y + 14:.1f}c26 4 26 -32 1.5 -28"
    return f'<path class="link loop" d="{path}" marker-end="url(#{me}-tip)" {ends}/>'


def _draw_label(label: str, at: Point) -> str:
    x, y = at
    text, width = _cut(label, 30), len(_cut(label, 30)) * SMALL_CHAR + 14
    return (
        f'<g class="label"><title>{escape(label)}</title>'
        f'<rect x="{x - width / 2:.1f}" y="{y - 10:.1f}" width="{width:.1f}" height="20" rx="10"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}">{escape(text)}</text></g>'
    )


def _path(points: Sequence[Point]) -> str:
    """Through the points from top to bottom: a curve between layers, straight within one."""
    (x, y), rest = points[0], points[1:]
    parts = [f"M{x:.1f} {y:.1f}"]
    for to_x, to_y in rest:
        if abs(to_x - x) < 0.5:
            parts.append(f"L{to_x:.1f} {to_y:.1f}")
        else:
            bend = (to_y - y) * 0.55
            parts.append(f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    return "".join(parts)


def _back_path(points: Sequence[Point]) -> str:
    """Along straight lines with round corners: out, up the lane, and in again."""
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        r = min(10.0, _far(before, here) / 2, _far(here, after) / 2)
        near, far = _toward(here, before, r), _toward(here, after, r)
        parts.append(f"L{near[0]:.1f} {near[1]:.1f}Q{here[0]:.1f} {here[1]:.1f} {far[0]:.1f} {far[1]:.1f}")
    return "".join(parts) + f"L{points[-1][0]:.1f} {points[-1][1]:.1f}"


def _far(a: Point, b: Point) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _toward(start: Point, end: Point, distance: float) -> Point:
    whole = _far(start, end) or 1.0
    return (
        start[0] + (end[0] - start[0]) * distance / whole,
        start[1] + (end[1] - start[1]) * distance / whole,
    )


def _draw_terminal(identity: str, text: str, names: Sequence[str], place: Point) -> str:
    x, y = place
    what = "takes" if identity == START else "gives"
    about = f"<title>{escape(f'{text}: {what} ' + ', '.join(names))}</title>" if names else ""
    return (
        f'<g class="terminal">{about}<rect x="{x - 32:.1f}" y="{y - 14:.1f}" width="64" height="28" rx="14"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}">{text}</text></g>'
    )


def _draw_step(step: Step, place: Point, box: Box, status: str, line: int | None) -> str:
    left, top = place[0] - box.width / 2, place[1] - box.height / 2
    kind = KIND_NAMES.get(step.kind, step.kind)
    button = f' role="button" tabindex="0" data-line="{line}"' if line else ' role="img"'
    said = ", ".join(filter(None, [f"{step.id}: {kind} step", step.about, status or "not started"]))
    size = f'width="{box.width:.1f}" height="{box.height:.1f}" rx="10"'
    stroke = "open" if step.kind in ("code", "subflow", "agent", "ask") else "solid"
    return (
        f'<g class="node" data-node="{escape(step.id)}" data-kind="{step.kind}" '
        f'data-status="{escape(status)}"{button} aria-label="{escape(said)}" '
        f'transform="translate({left:.1f} {top:.1f})">'
        f"<title>{escape(step.about or step.id)}</title>"
        + (f'<rect class="box" x="5" y="-5" {size}/>' if step.each else "")
        + f'<rect class="box" {size}/>'
        f'<rect class="chip" x="10" y="13" width="28" height="28" rx="8"/>'
        f'<path class="icon {stroke}" transform="translate(16 19)" d="{ICONS.get(step.kind, ICONS["llm"])}"/>'
        f'<text class="name" x="{TEXT_LEFT:g}" y="24">{escape(_fitted(step.title))}</text>'
        f'<text class="below" x="48" y="40">{escape(_cut(step.below, 34))}</text>'
        f"{_drawn_lines(step)}"
        f'<circle class="dot" cx="{box.width - 13:.1f}" cy="13" r="4"/>'
        f'<text class="visits" x="{box.width - 10:.1f}" y="45"></text></g>'
    )


def _drawn_lines(step: Step) -> str:
    return "".join(
        f'<text class="below" x="48" y="{58 + 18 * index}">{escape(_cut(line, 34))}</text>'
        for index, line in enumerate(_more_lines(step))
    )


def _style(me: str) -> str:
    """Colours by variables of the page; the values after the comma serve where there is no page."""
    rules = {
        "": "font-family:var(--pl-font,ui-sans-serif,system-ui,sans-serif);font-size:13px",
        ".link": "fill:none;stroke:var(--pl-line-strong,#b6bccb);stroke-width:1.5",
        ".link.loop,.link.error": "stroke-dasharray:4 3",
        ".link.error": "stroke:var(--pl-failed,#c8372d)",
        ".tip": "fill:var(--pl-line-strong,#b6bccb)",
        ".box": "fill:var(--pl-surface,#fff);stroke:var(--pl-line,#dfe3ec);stroke-width:1.25",
        ".chip": "fill:var(--pl-sunken,#f1f3f8)",
        ".icon.solid": "fill:var(--pl-muted,#66708a)",
        ".icon.open": "fill:none;stroke:var(--pl-muted,#66708a);stroke-width:1.5;stroke-linecap:round",
        ".name": "font-weight:600;fill:var(--pl-text,#1c2333)",
        ".below,.note,.label text": "font-size:11px;fill:var(--pl-muted,#66708a)",
        ".visits": "font-size:10.5px;font-weight:600;text-anchor:end;fill:var(--pl-muted,#66708a)",
        ".label rect": "fill:var(--pl-surface,#fff);stroke:var(--pl-line,#dfe3ec)",
        ".label text,.terminal text": "text-anchor:middle",
        ".terminal rect": "fill:var(--pl-sunken,#f1f3f8);stroke:none",
        ".terminal text": "font-size:11px;font-weight:600;fill:var(--pl-muted,#66708a)",
        ".dot": "fill:var(--pl-line,#dfe3ec)",
        ".node[data-line]": "cursor:pointer",
        ".node[data-line]:hover .box": "stroke:var(--pl-accent,#4a56d2)",
        ".node:focus": "outline:none",
        ".node:focus-visible .box": "stroke:var(--pl-accent,#4a56d2);stroke-width:2.5",
    }
    colours = {
        "ok": "#16804a",
        "failed": "#c8372d",
        "running": "#4a56d2",
        "waiting": "#b26a00",
        "unknown": "#8a3ab0",
        "cancelled": "#66708a",
    }
    for status, colour in colours.items():
        here = f'.node[data-status="{status}"]'
        rules[f"{here} .box"] = (
            f"stroke:var(--pl-{status},{colour});"
            f"fill:color-mix(in srgb,var(--pl-{status},{colour}) 8%,var(--pl-surface,#fff))"
        )
        rules[f"{here} .dot"] = f"fill:var(--pl-{status},{colour})"
    sheet = "".join(
        ",".join(f"#{me} {one}".strip() for one in name.split(",")) + "{" + body + "}"
        for name, body in rules.items()
    )
    return (
        sheet
        + f'#{me} .node[data-status="running"] .dot{{animation:{me} 1.2s ease-in-out infinite}}'
        + f"@keyframes {me}{{50%{{opacity:.25}}}}"
        + f"@media (prefers-reduced-motion:reduce){{#{me} .dot{{animation:none!important}}}}"
    )
