"""Polygons and lines of a figure, and how Graphviz and TikZ write them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, pi, sin

from archc.compiler.draw.layout import Point


@dataclass(frozen=True)
class Stroke:
    """A polygon, or a line through points; lengths in points."""

    points: tuple[Point, ...]
    line: str  # a color as #rrggbb
    fill: str = ""
    width: float = 0.9
    dashed: bool = False
    closed: bool = True


def xdot(strokes: Iterable[Stroke]) -> str:
    """Write strokes in the language of Graphviz's `_background`."""
    return " ".join(_xdot(stroke) for stroke in strokes)


def _xdot(stroke: Stroke) -> str:
    width, style = f"setlinewidth({stroke.width:g})", "dashed" if stroke.dashed else "solid"
    pen = f"S {len(width)} -{width} S {len(style)} -{style} c {len(stroke.line)} -{stroke.line}"
    fill = f"C {len(stroke.fill)} -{stroke.fill} " if stroke.fill else ""
    sign = ("P" if stroke.fill else "p") if stroke.closed else "L"
    return f"{pen} {fill}{sign} {len(stroke.points)} {' '.join(f'{x:.2f} {y:.2f}' for x, y in stroke.points)}"


def tikz(strokes: Iterable[Stroke]) -> Iterator[str]:
    """Yield a command of TikZ for every stroke; colors are named by `colour_name`."""
    for stroke in strokes:
        options = [f"draw={colour_name(stroke.line)}", f"line width={stroke.width:g}pt"]
        options += [f"fill={colour_name(stroke.fill)}"] if stroke.fill else []
        options += ["dashed"] if stroke.dashed else []
        way = " -- ".join(f"({x:.2f},{y:.2f})" for x, y in stroke.points)
        yield rf"\draw[{', '.join(options)}] {way}{' -- cycle' if stroke.closed else ''};"


def colour_name(colour: str) -> str:
    """Return the name of a color in TeX."""
    return f"archc-{colour[1:]}"


def rectangle(left: float, low: float, right: float, high: float) -> tuple[Point, ...]:
    """Return the corners of a rectangle."""
    return (left, low), (right, low), (right, high), (left, high)


def rounded(left: float, low: float, right: float, high: float, radius: float = 10.0) -> tuple[Point, ...]:
    """Return the corners of a rectangle with round corners."""
    steps = 5
    middles = (
        (right - radius, high - radius),
        (left + radius, high - radius),
        (left + radius, low + radius),
        (right - radius, low + radius),
    )
    angles = [pi / 2 * (corner + step / steps) for corner in range(4) for step in range(steps + 1)]
    return tuple(
        (middles[number // (steps + 1)][0] + radius * cos(angle), middles[number // (steps + 1)][1] + radius * sin(angle))
        for number, angle in enumerate(angles)
    )


def circle(middle: Point, radius: float) -> tuple[Point, ...]:
    """Return the corners of a circle, as a polygon."""
    (x, y), r = middle, radius
    return rounded(x - r, y - r, x + r, y + r, r)


def sampled(controls: Sequence[Point], steps: int = 5) -> tuple[Point, ...]:
    """Return points along a chain of cubic curves."""
    points = [controls[0]]
    for start in range(0, len(controls) - 3, 3):
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = controls[start : start + 4]
        for step in range(1, steps + 1):
            t = step / steps
            a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            points.append((a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy))
    return tuple(points)


def hatching(kind: str, left: float, low: float, right: float, high: float, gap: float = 5.0) -> Iterator[tuple[Point, Point]]:
    """Yield the lines of a pattern within a rectangle: `across`, `upright`, `rising` or `falling`."""
    wide, tall = right - left, high - low
    if kind == "across":
        for step in range(1, int(tall / gap) + 1):
            if step * gap < tall - 1:
                yield (left, low + step * gap), (right, low + step * gap)
    elif kind == "upright":
        for step in range(1, int(wide / gap) + 1):
            if step * gap < wide - 1:
                yield (left + step * gap, low), (left + step * gap, high)
    else:
        for step in range(1, int((wide + tall) / gap) + 1):
            at = step * gap * 1.0  # where the line meets the base, from the left: clipped to the rectangle
            begin, end = max(0.0, at - tall), min(wide, at)
            if end - begin < 1:
                continue
            first, last = (begin, at - begin), (end, at - end)  # falls to the right
            if kind == "rising":
                first, last = (begin, tall - first[1]), (end, tall - last[1])
            yield (left + first[0], low + first[1]), (left + last[0], low + last[1])


def curve(points: Sequence[Point], radius: float = 7.0) -> list[Point]:
    """Return a way along straight lines with round corners, as the control points of cubic curves."""
    way = [points[0]]
    at = points[0]
    for corner, after in pairwise(points[1:]):
        before, behind = _toward(corner, at, radius), _toward(corner, after, radius)
        way += [*_straight(at, before), _between(before, corner, 0.55), _between(behind, corner, 0.55), behind]
        at = behind
    return [*way, *_straight(at, points[-1])]


def _straight(start: Point, end: Point) -> list[Point]:
    return [_between(start, end, 1 / 3), _between(start, end, 2 / 3), end]


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _toward(corner: Point, other: Point, radius: float) -> Point:
    """Return the point on the way from a corner to another point where its rounding begins."""
    length = ((other[0] - corner[0]) ** 2 + (other[1] - corner[1]) ** 2) ** 0.5
    return _between(corner, other, min(0.5, radius / length) if length else 0.0)
