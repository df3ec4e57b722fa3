"""Where the boxes and lines of a graph picture go: layers from top to bottom, few crossings, straight lines.

The method is Sugiyama's: break cycles, give layers, order each layer by barycentres, then place with the
least squares that keep the order. A line's label is a box of its own, so no label can lie on anything.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Point = tuple[float, float]
H_GAP = 28.0
V_GAP = 36.0
LANE = 20.0
LABEL_HEIGHT = 20.0
SWEEPS = 8
PLACINGS = 15


@dataclass(frozen=True, slots=True)
class Box:
    """A vertex with its size in pixels."""

    id: str
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Arc:
    """A directed line between two boxes; `label_width` is 0 where it has no label."""

    source: str
    target: str
    label_width: float = 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """A drawn arc: the points it passes, the centre of its label, whether it runs back up."""

    points: tuple[Point, ...]
    label: Point | None = None
    back: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """`places` are the centres of the boxes; `lines` stand in the order of the arcs."""

    width: float
    height: float
    places: Mapping[str, Point]
    lines: tuple[Line, ...]


@dataclass(slots=True)
class _Cell:
    """A box, a label or a point of a long line, in its layer."""

    width: float
    height: float
    layer: int
    above: list[int] = field(default_factory=list)
    below: list[int] = field(default_factory=list)
    real: bool = False
    x: float = 0.0
    y: float = 0.0


def lay_out(boxes: Sequence[Box], arcs: Sequence[Arc]) -> Layout:
    """Place the boxes. `boxes` stand in reading order; an arc from a box to itself gets an empty line."""
    back = _back_arcs(boxes, arcs)
    layers = _layers(boxes, arcs, back)
    _sink_last(boxes, layers)
    cells = [_Cell(box.width, box.height, layers[box.id], real=True) for box in boxes]
    index = {box.id: number for number, box in enumerate(boxes)}
    chains = _chains(arcs, back, index, cells)
    rows = _ordered(cells)
    _place_across(rows, cells)
    height = _place_down(rows, cells)
    boxes_in = [[n for n in row if cells[n].height] for row in rows]
    lines = [_line(arc, chain, cells, index, boxes_in) for arc, chain in zip(arcs, chains, strict=True)]
    lines, right = _add_back_lines(arcs, back, index, cells, lines)
    left = min((cell.x - cell.width / 2 for cell in cells), default=0.0)
    right = max([right, *(cell.x + cell.width / 2 for cell in cells)])
    places = {box.id: (cells[index[box.id]].x - left, cells[index[box.id]].y) for box in boxes}
    return Layout(right - left, height, places, tuple(_shifted(line, -left) for line in lines))


def _back_arcs(boxes: Sequence[Box], arcs: Sequence[Arc]) -> set[int]:
    """The arcs that close a cycle, found by walking from the first box in the given order."""
    out: dict[str, list[int]] = defaultdict(list)
    for number, arc in enumerate(arcs):
        out[arc.source].append(number)
    state: dict[str, int] = {}
    back: set[int] = set()
    for box in boxes:
        if box.id in state:
            continue
        state[box.id] = 1
        stack = [(box.id, iter(out[box.id]))]
        while stack:
            here, rest = stack[-1]
            number = next(rest, -1)
            if number < 0:
                state[here] = 2
                stack.pop()
                continue
            target = arcs[number].target
            if state.get(target) == 1:
                back.add(number)
            elif target not in state:
                state[target] = 1
                stack.append((target, iter(out[target])))
    return back


def _layers(boxes: Sequence[Box], arcs: Sequence[Arc], back: set[int]) -> dict[str, int]:
    """The longest way from the top; an arc with a label spans two layers at least."""
    forward = [arc for number, arc in enumerate(arcs) if number not in back]
    waiting = {box.id: 0 for box in boxes}
    out: dict[str, list[Arc]] = defaultdict(list)
    for arc in forward:
        waiting[arc.target] += 1
        out[arc.source].append(arc)
    layer = {box.id: 0 for box in boxes}
    ready = [box.id for box in boxes if not waiting[box.id]]
    for here in ready:
        for arc in out[here]:
            layer[arc.target] = max(layer[arc.target], layer[here] + (2 if arc.label_width else 1))
            waiting[arc.target] -= 1
            if not waiting[arc.target]:
                ready.append(arc.target)
    return layer


def _sink_last(boxes: Sequence[Box], layers: dict[str, int]) -> None:
    """The last box is the end: nothing stands beside or below it."""
    if len(boxes) > 1:
        last = boxes[-1].id
        layers[last] = max(layers[last], 1 + max(layers[box.id] for box in boxes[:-1]))


def _chains(
    arcs: Sequence[Arc], back: set[int], index: Mapping[str, int], cells: list[_Cell]
) -> list[list[int]]:
    """For every forward arc the cells between its ends, made and linked here; the label sits in the first."""
    chains: list[list[int]] = []
    for number, arc in enumerate(arcs):
        chain: list[int] = []
        chains.append(chain)
        if number in back:
            continue
        previous = index[arc.source]
        for layer in range(cells[previous].layer + 1, cells[index[arc.target]].layer):
            label = arc.label_width and not chain
            chain.append(len(cells))
            cells.append(_Cell(arc.label_width if label else 6.0, LABEL_HEIGHT if label else 0.0, layer))
            _link(cells, previous, chain[-1])
            previous = chain[-1]
        _link(cells, previous, index[arc.target])
    return chains


def _link(cells: list[_Cell], upper: int, lower: int) -> None:
    cells[upper].below.append(lower)
    cells[lower].above.append(upper)


def _ordered(cells: list[_Cell]) -> list[list[int]]:
    """The layers, each ordered so that lines cross little: the best of some sweeps by barycentre."""
    rows: list[list[int]] = [[] for _ in range(1 + max((cell.layer for cell in cells), default=0))]
    for number in _walk(cells):
        rows[cells[number].layer].append(number)
    best, fewest = [row[:] for row in rows], _crossings(rows, cells)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for row in rows[1:] if down else rows[-2::-1]:
            neighbours = rows[cells[row[0]].layer + (-1 if down else 1)] if row else []
            place = {number: at for at, number in enumerate(neighbours)}
            _sort_row(row, cells, place, down)
        crossings = _crossings(rows, cells)
        if crossings < fewest:
            best, fewest = [row[:] for row in rows], crossings
    return best


def _walk(cells: list[_Cell]) -> list[int]:
    """All cells depth first from the top, so that what belongs together starts side by side."""
    seen: set[int] = set()
    order: list[int] = []
    for first in range(len(cells)):
        stack = [] if cells[first].above and not cells[first].real else [first]
        while stack:
            number = stack.pop()
            if number not in seen:
                seen.add(number)
                order.append(number)
                stack.extend(reversed(cells[number].below))
    return order


def _sort_row(row: list[int], cells: list[_Cell], place: Mapping[int, int], down: bool) -> None:
    """Order by the mean place of the neighbours; a cell without any keeps its rank."""

    def barycentre(item: tuple[int, int]) -> float:
        rank, number = item
        near = [place[n] for n in (cells[number].above if down else cells[number].below) if n in place]
        return sum(near) / len(near) if near else float(rank)

    row[:] = [number for _, number in sorted(enumerate(row), key=barycentre)]


def _crossings(rows: list[list[int]], cells: list[_Cell]) -> int:
    """How many pairs of lines cross, counted by inversions between neighbouring layers."""
    total = 0
    for upper, lower in itertools.pairwise(rows):
        place = {number: at for at, number in enumerate(lower)}
        ends = [at for number in upper for at in sorted(place[n] for n in cells[number].below if n in place)]
        tree = [0] * (len(lower) + 1)
        for seen, end in enumerate(ends):
            before = 0
            at = end + 1
            while at:
                before += tree[at]
                at -= at & -at
            total += seen - before
            at = end + 1
            while at <= len(lower):
                tree[at] += 1
                at += at & -at
    return total


def _place_across(rows: list[list[int]], cells: list[_Cell]) -> None:
    """x for every cell: drawn to its neighbours, never out of its order."""
    for row in rows:
        _spread(row, cells, [0.0] * len(row), [1.0] * len(row))
    for turn in range(PLACINGS):
        down = turn % 2 == 0
        both = PLACINGS - 4 <= turn < PLACINGS - 1
        for row in rows if down else reversed(rows):
            wanted, weights = [], []
            for number in row:
                cell = cells[number]
                near = (cell.above + cell.below) if both else (cell.above if down else cell.below)
                pulls = [(cells[n].x, _pull(cell, cells[n])) for n in near]
                weight = sum(pull for _, pull in pulls)
                wanted.append(sum(x * pull for x, pull in pulls) / weight if weight else cell.x)
                weights.append(weight or 0.1)
            _spread(row, cells, wanted, weights)


def _pull(cell: _Cell, near: _Cell) -> float:
    """How much a line wants to be straight: within a long line most, then where one leads to one."""
    if not cell.real and not near.real:
        return 6.0
    upper, lower = (cell, near) if cell.layer < near.layer else (near, cell)
    return 4.0 if len(upper.below) == 1 and len(lower.above) == 1 else 1.0


def _spread(row: list[int], cells: list[_Cell], wanted: list[float], weights: list[float]) -> None:
    """The nearest places to the wanted ones that keep order and distance (pool adjacent violators)."""
    offsets, at = [], 0.0
    for rank, number in enumerate(row):
        if rank:
            at += (cells[row[rank - 1]].width + cells[number].width) / 2 + H_GAP
        offsets.append(at)
    blocks: list[list[float]] = []  # mean, weight, count
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        blocks.append([want - offset, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, weigh, count = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + mean * weigh) / (last[1] + weigh)
            last[1] += weigh
            last[2] += count
    rank = 0
    for mean, _, count in blocks:
        for _ in range(int(count)):
            cells[row[rank]].x = mean + offsets[rank]
            rank += 1


def _place_down(rows: list[list[int]], cells: list[_Cell]) -> float:
    """y for every cell, and the height of all. A layer without boxes or labels takes no room of its own."""
    top = 0.0
    for number, row in enumerate(rows):
        height = max((cells[n].height for n in row), default=0.0)
        if number:
            top += V_GAP if height else V_GAP / 2
        for n in row:
            cells[n].y = top + height / 2
        top += height
    return top


def _line(
    arc: Arc, chain: list[int], cells: list[_Cell], index: Mapping[str, int], boxes_in: list[list[int]]
) -> Line:
    start, end = cells[index[arc.source]], cells[index[arc.target]]
    if arc.source == arc.target or start.layer >= end.layer:
        return Line(())
    label = cells[chain[0]] if arc.label_width and chain else None
    own = {index[arc.source], index[arc.target], *chain}
    stops = [(start.x, start.y + start.height / 2)]
    if label:
        stops += [(label.x, label.y - label.height / 2), (label.x, label.y + label.height / 2)]
    target = (end.x, end.y - end.height / 2)
    first = cells[chain[0]].layer if label else start.layer
    between = [n for row in boxes_in[first : end.layer + 1] for n in row if n not in own]
    if not _is_clear(stops[-1], target, [cells[n] for n in between]):
        for number in chain[1:] if label else chain:
            stops.append((cells[number].x, cells[number].y))
    return Line((*stops, target), (label.x, label.y) if label else None)


def _is_clear(start: Point, end: Point, obstacles: Sequence[_Cell]) -> bool:
    """Whether one smooth curve between the points touches no box."""
    (ax, ay), (bx, by) = start, end
    for step in range(1, 16):
        t = step / 16
        x = ax + (bx - ax) * t * t * (3 - 2 * t)
        y = ay + (by - ay) * (0.55 * 3 * t * (1 - t) ** 2 + 0.45 * 3 * t * t * (1 - t) + t**3)
        for cell in obstacles:
            if abs(x - cell.x) < cell.width / 2 + 6 and abs(y - cell.y) < cell.height / 2 + 4:
                return False
    return True


def _add_back_lines(
    arcs: Sequence[Arc], back: set[int], index: Mapping[str, int], cells: list[_Cell], lines: list[Line]
) -> tuple[list[Line], float]:
    """The lines that run up: out to the right of all they pass, short ones inside, long ones outside."""
    lanes: list[tuple[float, float, float]] = []  # x, top, bottom
    furthest = 0.0
    spans = {n: (cells[index[arcs[n].target]], cells[index[arcs[n].source]]) for n in back}
    for number in sorted(back, key=lambda n: (spans[n][1].y - spans[n][0].y, n)):
        target, source = spans[number]
        if source is target:
            continue
        passed = [cell for cell in cells if target.layer <= cell.layer <= source.layer]
        lane = max(cell.x + cell.width / 2 for cell in passed) + LANE
        width = arcs[number].label_width
        while any(
            lane < x and x - LANE < lane + width + LANE and _meet(top, bottom, target.y, source.y)
            for x, top, bottom in lanes
        ) or any(abs(x - lane) < LANE and _meet(top, bottom, target.y, source.y) for x, top, bottom in lanes):
            lane += LANE
        lanes.append((lane + width, target.y, source.y))
        out, into = _side(source, cells, 1), _side(target, cells, -1)
        middle = (out[-1][1] + into[-1][1]) / 2
        label = (lane + 8 + width / 2, middle) if width else None
        points = (*out, (lane, out[-1][1]), (lane, into[-1][1]), *reversed(into))
        lines[number] = Line(points, label, back=True)
        furthest = max(furthest, lane + (width + 12 if width else 4))
    return lines, furthest


def _meet(a: float, b: float, c: float, d: float) -> bool:
    return a < d and c < b


def _side(cell: _Cell, cells: list[_Cell], down: int) -> list[Point]:
    """Where a line that runs up leaves or enters a box: at its right, or by the gap if others stand there."""
    others = (c for c in cells if c.layer == cell.layer and c is not cell and c.x > cell.x and c.height)
    if not any(others):
        return [(cell.x + cell.width / 2, cell.y)]
    x, edge = cell.x + cell.width / 4, cell.y + down * cell.height / 2
    return [(x, edge), (x, edge + down * V_GAP * 0.3)]


def _shifted(line: Line, dx: float) -> Line:
    label = (line.label[0] + dx, line.label[1]) if line.label else None
    return Line(tuple((x + dx, y) for x, y in line.points), label, line.back)
