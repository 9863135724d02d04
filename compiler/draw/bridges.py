"""Shortcuts of closed blocks in figures: an arc over the volume, from entry to exit, or a scheme above it where there are several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import TYPE_CHECKING

from archc.compiler.analysis.skips import Skips
from archc.compiler.draw.arcs import DOT, MARK, MOST, SIGN, single
from archc.compiler.draw.layout import Point
from archc.compiler.draw.strokes import Stroke, circle, curve, rectangle, sampled

if TYPE_CHECKING:
    from archc.compiler.draw.plan import Spot

BEFORE = 10.0  # from where an arc leaves the arrow to the volume, in points
AFTER = 2 * SIGN + 2.0  # from the volume to the end of the sign
LANE = 8.0  # from the top of a volume to an arc
STEP = 6.0  # from an arc of a scheme to the next one above it


def over(skips: Skips) -> float:
    """Return the height that shortcuts take above a volume."""
    if not skips:
        return 0.0
    return LANE + (2.0 if single(skips) else STEP * (_most(skips) if skips.dense else 1) + 2.0)


def beside(skips: Skips) -> float:
    """Return the width that shortcuts take on either side of a volume."""
    return max(BEFORE, AFTER) + DOT if single(skips) else 0.0


def _most(skips: Skips) -> int:
    return min(MOST, len(skips.all))


def bridge(spot: Spot, skips: Skips, colours: Mapping[str, str]) -> Iterator[Stroke]:
    """Yield the shortcuts of a volume that is placed."""
    yield from _arc(spot, skips, colours) if single(skips) else _scheme(spot, skips, colours)


def _arc(spot: Spot, skips: Skips, c: Mapping[str, str]) -> Iterator[Stroke]:
    left, right = spot.x - spot.half[0], spot.x + spot.half[0]
    start, end, high = left - BEFORE, right + SIGN + 1, spot.top + LANE
    yield Stroke(((start, spot.y), (left, spot.y)), c["edge"], closed=False)
    yield Stroke(((right, spot.y), (end, spot.y)), c["edge"], closed=False)
    way = curve([(start, spot.y), (start, high), (end, high), (end, spot.y)], 6)
    yield Stroke(sampled(way), c["skip"], width=1.3, closed=False)
    yield Stroke(circle((start, spot.y), DOT), c["skip"], c["skip"])
    if skips.all[0].projected:
        yield Stroke(rectangle(spot.x - MARK[0], high - MARK[1], spot.x + MARK[0], high + MARK[1]), c["skip"], c["convolution"])
    yield Stroke(circle((end, spot.y), SIGN), c["skip"], c["merge"])
    yield from sign((end, spot.y), skips.dense, c["ink"])


def sign(middle: Point, dense: bool, colour: str) -> Iterator[Stroke]:
    """Yield the sign of a sum, or the letter C of a concatenation, as lines."""
    (x, y), size = middle, 0.5 * SIGN
    if dense:
        ring = circle(middle, size)  # from the right end, over the top
        yield Stroke(tuple(p for p in ring if p[0] < x + 0.75 * size), colour, width=1.1, closed=False)
        return
    yield Stroke(((x - size, y), (x + size, y)), colour, width=1.1, closed=False)
    yield Stroke(((x, y - size), (x, y + size)), colour, width=1.1, closed=False)


def _scheme(spot: Spot, skips: Skips, c: Mapping[str, str]) -> Iterator[Stroke]:
    """Yield points in a line above the volume with arcs between them, every one to every later one if the block is dense."""
    count = _most(skips)
    volume = spot.volume
    assert volume is not None
    wide = max(volume.wide, 12.0 * count)
    steps = count + skips.lead + skips.trail
    base, left = spot.top + LANE / 2, spot.x + volume.deep / 2 - wide / 2
    points = [(left + wide * number / steps, base) for number in range(steps + 1)]
    yield Stroke((points[0], points[-1]), c["skip"], width=1.0, closed=False)
    ends = points[skips.lead : skips.lead + count + 1]
    for first in range(count):
        for last in range(first + 1, count + 1 if skips.dense else first + 2):
            (ax, _), (bx, _) = ends[first], ends[last]
            high = base + STEP * (last - first) + 2
            way = [(ax, base), (ax, high), (bx, high), (bx, base)]
            yield Stroke(sampled(curve(way, min(4.0, (bx - ax) / 3))), c["skip"], width=1.0, closed=False)
        if skips.all[first].projected:
            x, y = (ends[first][0] + ends[first + 1][0]) / 2, base + STEP + 2
            yield Stroke(rectangle(x - 3, y - 2, x + 3, y + 2), c["skip"], c["convolution"], 0.7)
    for point in ends:
        yield Stroke(circle(point, DOT), c["skip"], c["skip"])


KEY = {"shortcut": "shortcut: +", "projection": "projection", "connections": "dense connections"}


def kinds(found: Iterable[Skips]) -> list[str]:
    """Return which of `KEY` these shortcuts are."""
    every = list(found)
    shown = {
        "shortcut": any(not skips.dense for skips in every),
        "projection": any(skip.projected for skips in every for skip in skips.all),
        "connections": any(skips.dense for skips in every),
    }
    return [kind for kind, there in shown.items() if there]


def swatch(kind: str, middle: Point, c: Mapping[str, str]) -> Iterator[Stroke]:
    """Yield the small drawing of a kind of shortcuts in the key."""
    x, y = middle
    if kind == "projection":
        yield Stroke(((x - 9, y), (x + 9, y)), c["skip"], width=1.3, closed=False)
        yield Stroke(rectangle(x - MARK[0], y - MARK[1], x + MARK[0], y + MARK[1]), c["skip"], c["convolution"])
        return
    points = [x - 8, x, x + 8] if kind == "connections" else [x - 8, x + 6]
    for first, last in combinations(range(len(points)), 2):
        a, b, high = points[first], points[last], y - 4 + 5 * (last - first) + (3 if kind == "shortcut" else 0)
        yield Stroke(sampled(curve([(a, y - 4), (a, high), (b, high), (b, y - 4)], 2.5)), c["skip"], closed=False)
    for at in points[: 1 if kind == "shortcut" else None]:
        yield Stroke(circle((at, y - 4), DOT), c["skip"], c["skip"])
    if kind == "shortcut":
        yield Stroke(circle((points[1], y - 4), SIGN), c["skip"], c["merge"])
        yield from sign((points[1], y - 4), False, c["ink"])
