"""Long figures in rows, from left to right and from top to bottom, so that they can be read on a slide.

A figure is cut where one arrow alone goes on. A frame that is cut goes on in the next row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from archc.compiler.draw.plan import PAD, Plan, Room, Spot, Wire, within
from archc.compiler.draw.strokes import curve

WIDEST = 2.5  # width over height of a figure in one row
BROAD = 1000.0  # width, in points, of one in one row whose texts can be read on a slide
SLIDE = 16 / 9  # of one in several
BETWEEN = 26.0  # between rows, in points
LANE = 5.0  # between arrows of two streams
BESIDE = 12.0  # from a row to the arrow that leads from it, or to it
KEY = 28.0 + PAD  # height that the key takes, and the space around
_SPLIT = 40.0  # width, in points, that it is worth not to cut a frame

Segment = list[Spot]


def wrap(plan: Plan) -> None:
    """Break a figure that is too wide into rows, where it can be."""
    if plan.wide <= plan.limit if plan.limit else ratio(plan) <= WIDEST and plan.wide <= BROAD:
        return
    segments, links = _segments(plan)
    best: list[list[Segment]] = []
    widest = _wide(segments)
    scale = _scale(*_size(plan))
    for count in range(2, len(segments) + 1):
        more = _rows(plan, segments, count)
        if max(map(_wide, more)) > 0.97 * widest:  # one row cannot be cut any more
            break
        widest = max(map(_wide, more))
        wide = widest + 2 * BESIDE + PAD
        tall = sum(_tall(plan, row) + BETWEEN for row in more) - BETWEEN + KEY
        if plan.limit or _scale(wide, tall) > scale:
            best, scale = more, _scale(wide, tall)
        if wide <= (plan.limit or SLIDE * tall):
            break
    if best:
        _place(plan, best, links)


def _scale(wide: float, high: float) -> float:
    """Return how large a figure is on a slide."""
    return min(SLIDE / wide, 1 / high)


def _size(plan: Plan) -> tuple[float, float]:
    left, low, right, high = plan.ends()
    return right - left + PAD, high - low + KEY


def ratio(plan: Plan) -> float:
    """Return the width of a figure over its height, with the key and the space around it."""
    wide, high = _size(plan)
    return wide / high


def _segments(plan: Plan) -> tuple[list[Segment], list[list[Wire]]]:
    """Return the spots between two places where a figure can be cut, and the arrows that are cut there."""
    waiting = sorted((spot for spot in plan.spots.values() if spot.box), key=lambda spot: spot.left)
    segments: list[Segment] = [[waiting[0]]]
    links: list[list[Wire]] = []
    end = waiting[0].right
    for spot in waiting[1:]:
        if spot.left > end and (cut := _cut(plan, (end + spot.left) / 2)):
            segments.append([])
            links.append(cut)
        segments[-1].append(spot)
        end = max(end, spot.right)
    return segments, links


def _cut(plan: Plan, x: float) -> list[Wire]:
    """Return the arrow that passes an abscissa from the left to the right, or those of streams side by side; none if there are others."""
    passing = [wire for wire in plan.wires if plan.spots[wire.source].x < x < plan.spots[wire.target].x]
    passing += [wire for wire in plan.wires if wire not in passing and min(wire.points)[0] < x < max(wire.points)[0]]
    onward = all(plan.spots[wire.source].x < x and wire.edge is passing[0].edge for wire in passing)
    apart = len({wire.source for wire in passing}) == len({wire.target for wire in passing}) == len(passing)
    if len(passing) > 1 and not apart and len({wire.source for wire in passing}) == 1:  # a fork, which goes into the next row as one
        apart = onward = all(abs(wire.tip[1] - plan.spots[wire.target].mouth[1]) < 2 for wire in passing)
    return sorted(passing, key=lambda wire: -plan.spots[wire.source].y) if onward and apart else []


def _rows(plan: Plan, segments: Sequence[Segment], count: int) -> list[list[Segment]]:
    """Return the segments in as many rows as are asked for: the widest is as narrow as can be, and few frames are cut."""
    number = len(segments)
    cost = [
        [_wide(segments[i:j]) + _SPLIT * _cuts(plan, segments, j) for j in range(number + 1)] if i < number else [] for i in range(number)
    ]
    best: list[dict[int, tuple[float, float, int]]] = [{0: (0.0, 0.0, 0)}]
    for _ in range(count):
        now: dict[int, tuple[float, float, int]] = {}
        for j in range(1, number + 1):
            options = [(max(best[-1][i][0], cost[i][j]), best[-1][i][1] + cost[i][j] ** 2, i) for i in range(j) if i in best[-1]]
            if options:
                now[j] = min(options)
        best.append(now)
    rows, end = [], number
    for step in range(count, 0, -1):
        start = best[step][end][2]
        rows.append(list(segments[start:end]))
        end = start
    return rows[::-1]


def _cuts(plan: Plan, segments: Sequence[Segment], at: int) -> int:
    """Return the square of how many frames are cut before a segment: one in another is worse than two in a row."""
    if at == len(segments):
        return 0
    x = (max(spot.right for spot in segments[at - 1]) + min(spot.left for spot in segments[at])) / 2
    return sum(1 for room in plan.rooms if room.left < x < room.right) ** 2


def _wide(row: Sequence[Segment]) -> float:
    spots = [spot for segment in row for spot in segment]
    return max(spot.right for spot in spots) - min(spot.left for spot in spots) if spots else 0.0


def _tall(plan: Plan, row: Sequence[Segment]) -> float:
    spots = [spot for segment in row for spot in segment]
    names = {spot.part for spot in spots}
    tops = [spot.crown for spot in spots] + [y for wire in plan.wires if {wire.source, wire.target} <= names for _, y in wire.points]
    rooms = _pieces(plan, spots)
    return max(tops + [room.high for room in rooms]) - min([spot.low for spot in spots] + [room.low for room in rooms])


def _pieces(plan: Plan, spots: Sequence[Spot]) -> list[Room]:
    """Return the parts of all frames that are around these spots."""
    owned = {spot.part: spot for spot in spots}
    found: dict[str, Room] = {}
    for room in sorted(plan.rooms, key=lambda room: room.right - room.left):
        parts = [part for name in within(room.box) for part in plan.parts[name]]
        inside = [owned[part] for part in parts if part in owned]
        if not inside:
            continue
        wires = [y for wire in plan.wires if wire.source in parts and wire.target in parts and {wire.source, wire.target} <= owned.keys()
                 for _, y in wire.points]  # fmt: skip
        inner = [found[box.id] for box in room.box.inside if box.id in found]
        first = parts[0] in owned
        made = replace(room, first=first, title=room.title if first else 0.0).around(
            min([spot.left for spot in inside] + [each.left for each in inner]),
            min([spot.low for spot in inside] + [each.low for each in inner]),
            max([spot.right for spot in inside] + [each.right for each in inner]),
            max([spot.crown for spot in inside] + wires + [each.high for each in inner]),
        )
        found[room.box.id] = made
    return list(found.values())


def _place(plan: Plan, rows: list[list[Segment]], links: list[list[Wire]]) -> None:
    """Put rows below each other, and lead the arrows from one to the next."""
    rooms: list[Room] = []
    ends = []
    floor = 0.0
    for row in rows:
        spots = [spot for segment in row for spot in segment]
        names = {spot.part for spot in spots}
        pieces = _pieces(plan, spots)
        wires = [wire for wire in plan.wires if {wire.source, wire.target} <= names]
        tops = [spot.crown for spot in spots] + [room.high for room in pieces] + [y for wire in wires for _, y in wire.points]
        left = min([spot.left for spot in spots] + [room.left for room in pieces])
        dx, dy = -left, floor - max(tops)
        for spot in spots:
            spot.x, spot.y = spot.x + dx, spot.y + dy
        for wire in wires:
            wire.points = [(x + dx, y + dy) for x, y in wire.points]
            wire.tip = (wire.tip[0] + dx, wire.tip[1] + dy)
        for room in pieces:
            rooms.append(replace(room, left=room.left + dx, low=room.low + dy, right=room.right + dx, high=room.high + dy))
        right = max([spot.right for spot in spots] + [room.right + dx for room in pieces])
        low = min([spot.low for spot in spots] + [room.low + dy for room in pieces])
        ends.append((names, right, low))
        floor = low - BETWEEN
    plan.rooms = _ordered(plan, rooms)
    for (names, right, low), (after, _, _) in pairwise(ends):
        for wires in links:
            for number, wire in enumerate(wires):
                if wire.source in names and wire.target in after:
                    (ax, ay), (bx, by) = plan.spots[wire.source].exit, plan.spots[wire.target].mouth
                    inner, outer = LANE * number, LANE * (len(wires) - 1 - number)  # no two cross: the first is outside, and then inside
                    if wires[0].source == wires[-1].source:  # a fork
                        inner = outer = 0.0
                    x, y, back = right + BESIDE + outer, low - BETWEEN / 2 - outer, -BESIDE - inner
                    wire.run(curve([(ax + 1, ay), (x, ay), (x, y), (back, y), (back, by), (bx - 1, by)], 8))


def _ordered(plan: Plan, rooms: list[Room]) -> list[Room]:
    """Return frames in the order of the figure: an outer one before those in it, and its parts from top to bottom."""
    order = {box.id: number for number, box in enumerate(plan.scene.every())}
    return sorted(rooms, key=lambda room: (order[room.box.id], not room.first))
