"""Shortcuts of closed blocks, drawn within their boxes: an arc round the text, or a small scheme beside it where there are several.

Graphviz has no such form, so a drawing is laid out first, and the arcs are added to it as edges with fixed places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from archc.compiler.analysis.skips import Skips
from archc.compiler.draw.layout import Point
from archc.compiler.draw.scene import Box, Scene

MOST = 3  # most shortcuts of a scheme; more are drawn as so many
ROOM = {"one": (0.33, 0.13), "several": (0.45, 0.13)}  # inches beside and above the text
OUTLINE = 8.0  # points that the second outline of a block adds to its width and height
SIGN = 5.0  # radius of the circle of a merge, in points
DOT = 1.7  # radius of a point where a path forks
MARK = (4.5, 3.2)  # half the sides of the mark of a projection


@dataclass
class Glyph:
    """Curves of four points each, an arrow at the end of each last one; dots, circles with a sign, and marks of projections."""

    arcs: list[list[Point]] = field(default_factory=list)
    dots: list[Point] = field(default_factory=list)
    signs: list[tuple[Point, str]] = field(default_factory=list)
    marks: list[Point] = field(default_factory=list)


def single(skips: Skips) -> bool:
    """Return whether a block is one shortcut round all that is in it."""
    return len(skips.all) == 1 and not skips.lead and not skips.trail


def margin(skips: Skips, direction: str) -> str:
    """Return the margin of a box that has room for its arcs."""
    beside, above = ROOM["one" if single(skips) else "several"]
    if direction == "LR" and single(skips):
        beside, above = 0.2, 0.2
    return f"{beside},{above}"


def glyph(skips: Skips, centre: Point, wide: float, high: float, direction: str = "TB") -> Glyph:
    """Return what is drawn in a box of a place and size, in points; y upwards."""
    if single(skips):
        return _round(skips, centre, wide, high, direction)
    return _scheme(skips, centre, wide, high)


def _round(skips: Skips, centre: Point, wide: float, high: float, direction: str) -> Glyph:
    """Return an arc from the entry to the exit, round the text."""
    along, across = (high / 2, wide / 2) if direction == "TB" else (wide / 2, high / 2)
    out = across - (9 if direction == "TB" else 6)

    def at(forward: float, aside: float) -> Point:
        """Return the point so far along the path, and so far to the right of it, or above it."""
        x, y = (aside, -forward) if direction == "TB" else (forward, aside)
        return centre[0] + x, centre[1] + y

    turn = at(0, out)
    bend = along - 2
    first = [at(-along, 0), at(-bend, out * 0.72), at(-bend * 0.8, out), turn]
    second = [turn, at(bend * 0.8, out), at(bend, out * 0.8), at(along, SIGN + 1.5)]
    made = Glyph([[*first, *second[1:]]], [at(-along, 0)], [(at(along, 0), "C" if skips.dense else "+")])
    if skips.all[0].projected:
        made.marks.append(turn)
    return made


def _scheme(skips: Skips, centre: Point, wide: float, high: float) -> Glyph:
    """Return a line beside the text with the arcs of up to three shortcuts; every point is linked to every later one if it is dense."""
    count = min(len(skips.all), MOST)
    steps = count + skips.lead + skips.trail
    x, top, step = centre[0] + wide / 2 - 25, centre[1] + high / 2 - 4, (high - 8) / steps
    points = [(x, top - step * number) for number in range(steps + 1)]
    made = Glyph([[points[0], *_thirds(points[0], points[-1]), points[-1]]])
    ends = points[skips.lead : skips.lead + count + 1]
    made.dots += ends
    shown = skips.all[:count]
    for first in range(count):
        for last in range(first + 1, count + 1 if skips.dense else first + 2):
            (_, above), (_, below) = ends[first], ends[last]
            bulge = x + 10 + (9 * (last - first - 1) / max(1, count - 1))
            made.arcs.append([(x, above), (bulge + 1, above), (bulge + 1, below), (x + DOT, below)])
        if shown[first].projected:
            made.marks.append((x + 8.5, (ends[first][1] + ends[first + 1][1]) / 2))
    return made


def _thirds(a: Point, b: Point) -> list[Point]:
    return [(a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part) for part in (1 / 3, 2 / 3)]


def with_arcs(laid: Any, scene: Scene, colours: Mapping[str, str], direction: str = "TB") -> str:
    """Return a drawing that is laid out as DOT, with the arcs of all boxes."""
    boxes = {box.id: box for box in scene.shown() if box.family == "block"}
    lines: list[str] = []
    for node in laid.nodes() if boxes else ():
        box = boxes.get(str(node))
        if box is None:
            continue
        x, y = map(float, node.attr["pos"].split(","))
        wide, high = (72 * float(node.attr[side]) - OUTLINE for side in ("width", "height"))
        node.attr["width"], node.attr["height"] = f"{wide / 72:.5f}", f"{high / 72:.5f}"  # Graphviz adds the second outline once more
        if box.skips:
            lines += _statements(box, glyph(box.skips, (x, y), wide, high, direction), colours)
    placed = str(laid.to_string())
    return placed.rstrip().removesuffix("}") + "\n".join(lines) + "\n}\n" if lines else placed


def _statements(box: Box, made: Glyph, c: Mapping[str, str]) -> Iterator[str]:
    """Yield statements of DOT: edges between points that are not drawn, and nodes."""
    prefix = f"skip/{box.id}"
    say = f'tooltip="{box.skips}"'
    for number, arc in enumerate(made.arcs):
        ends = [f'"{_quoted(prefix)}/{number}/{end}"' for end in "ab"]
        for end, (x, y) in zip(ends, (arc[0], arc[-1]), strict=True):
            yield f'{end} [label="", shape=point, style=invis, width=0.01, height=0.01, pos="{x:.2f},{y:.2f}"];'
        points = " ".join(f"{x:.2f},{y:.2f}" for x, y in arc)
        yield (
            f'{" -> ".join(ends)} [class=skip, id="{_quoted(prefix)}/{number}", arrowhead=none, color="{c["skip"]}", '
            f'penwidth={1.3 if single(box.skips) else 1.0}, {say}, pos="{points}"];'
        )
    shapes = [(at, DOT, DOT, "circle", "", c["skip"]) for at in made.dots]
    shapes += [(at, SIGN, SIGN, "circle", sign, c["merge"]) for at, sign in made.signs]
    shapes += [(at, *MARK, "box", "", c["convolution"]) for at in made.marks]
    for number, ((x, y), wide, high, shape, sign, fill) in enumerate(shapes):
        yield (
            f'"{_quoted(prefix)}/n{number}" [class=skip, id="{_quoted(prefix)}/n{number}", label="{sign}", shape={shape}, fixedsize=true, '
            f"style=filled, fontsize=9, margin=0, peripheries=1, penwidth=0.9, width={wide / 36:.4f}, height={high / 36:.4f}, "
            f'fillcolor="{fill}", color="{c["skip"]}", {say}, pos="{x:.2f},{y:.2f}"];'
        )


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def markup(box: Box, centre: Point, wide: float, high: float, c: Mapping[str, str]) -> str:
    """Return the arcs of a box as elements of SVG, y downwards."""
    if not box.skips:
        return ""
    made = glyph(box.skips, (centre[0], -centre[1]), wide - OUTLINE, high - OUTLINE)
    parts = []
    for arc in made.arcs:
        (x, y), *rest = arc
        curves = " ".join(f"{x:.2f},{-y:.2f}" for x, y in rest)
        parts.append(f'<path fill="none" stroke="{c["skip"]}" stroke-width="1.3" d="M{x:.2f},{-y:.2f}C{curves}"/>')
    for x, y in made.dots:
        parts.append(f'<ellipse fill="{c["skip"]}" stroke="{c["skip"]}" cx="{x:.2f}" cy="{-y:.2f}" rx="{DOT}" ry="{DOT}"/>')
    for (x, y), sign in made.signs:
        parts.append(f'<ellipse fill="{c["merge"]}" stroke="{c["skip"]}" cx="{x:.2f}" cy="{-y:.2f}" rx="{SIGN}" ry="{SIGN}"/>')
        parts.append(f'<text text-anchor="middle" font-size="9" fill="{c["ink"]}" x="{x:.2f}" y="{3 - y:.2f}">{sign}</text>')
    for x, y in made.marks:
        size = f'x="{x - MARK[0]:.2f}" y="{-y - MARK[1]:.2f}" width="{2 * MARK[0]}" height="{2 * MARK[1]}"'
        parts.append(f'<rect fill="{c["convolution"]}" stroke="{c["skip"]}" {size}/>')
    return "".join(parts)


def tikz(box: Box, centre: Point, wide: float, high: float, direction: str) -> Iterator[str]:
    """Yield the arcs of a box as commands of TikZ, in points."""
    if not box.skips:
        return
    made = glyph(box.skips, centre, wide - OUTLINE, high - OUTLINE, direction)

    def at(point: Point) -> str:
        return f"({point[0]:.2f},{point[1]:.2f})"

    for start, *rest in made.arcs:
        curves = (f".. controls {at(a)} and {at(b)} .. {at(c)}" for a, b, c in zip(rest[::3], rest[1::3], rest[2::3], strict=True))
        yield rf"\draw[draw=archc-skip, line width=0.9pt] {at(start)} {' '.join(curves)};"
    for dot in made.dots:
        yield rf"\fill[archc-skip] {at(dot)} circle[radius={DOT}pt];"
    for mark in made.marks:
        yield rf"\node[draw=archc-skip, fill=archc-convolution, inner sep=0pt, minimum width=9pt, minimum height=6.4pt] at {at(mark)} {{}};"
    for place, sign in made.signs:
        yield (
            rf"\node[circle, draw=archc-skip, fill=archc-merge, inner sep=0pt, minimum size={2 * SIGN}pt, font=\sffamily\tiny] "
            rf"at {at(place)} {{{sign}}};"
        )
