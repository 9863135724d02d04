"""The forms of tensors in figures: volumes, bars, rows of tokens, and the maps of attention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import log2, sqrt

from archc.compiler.analysis.skips import Skips
from archc.compiler.draw import bridges
from archc.compiler.draw.condense import Run
from archc.compiler.draw.layout import Point
from archc.compiler.draw.scene import Box
from archc.compiler.draw.strokes import Stroke, hatching, rectangle, rounded
from archc.compiler.draw.style import LID, SIDE, shade

SLANT = 0.32  # offset of the depth to the right and up, relative to the height of a volume
LINE = 12.0  # line height of a label, in points
PARTLY = 12.0  # height of the text above the shortcuts that only some of several blocks have
WIDEST = 150.0  # of tokens, in points: more features than 4,900 are as wide
ROWS = 9  # rows of tokens that are drawn, at most
DENSE = 1.7  # line width of what is fully connected, in points
CELLS = 5  # rows and columns of a map of attention
SHEETS = 4  # maps of attention that are drawn, at most: one for a head
# In print, families differ by patterns too.
PATTERNS = {"pooling": "across", "dense": "rising", "learned": "falling", "shape": "upright"}


NONE = Skips()


@dataclass(frozen=True)
class Volume:
    """One tensor, or the part of it in one stream, in points."""

    wide: float
    high: float
    deep: float
    lines: tuple[str, ...] = ()
    headed: bool = True  # whether the first line is a name
    outline: float = 0.9  # line width, in points
    double: bool = False  # whether the front has a second outline
    rows: int = 0  # rows of tokens
    sheets: int = 0  # maps of attention
    round: bool = False  # a circle, of a merge
    causal: bool = False  # whether the maps see only what came before
    skips: Skips = NONE  # shortcuts in a closed block
    partly: bool = False  # whether only some of several blocks have them, which is written above

    @property
    def box(self) -> tuple[float, float]:
        """Return the width and height of the drawing, including the depth."""
        return self.wide + self.deep, self.high + self.deep

    @property
    def text(self) -> float:
        """Return the height of the text."""
        return LINE * len(self.lines)

    @property
    def over(self) -> float:
        """Return the height that shortcuts take above the volume."""
        return bridges.over(self.skips) + PARTLY * self.partly

    @property
    def solid(self) -> bool:
        """Return whether it has a side, as maps have."""
        return not self.rows and not self.sheets and self.deep > 0


def volume(box: Box, streams: int, lines: tuple[str, ...]) -> Volume:
    """Return the form of the tensor that a box produces, or of the part of it in one of several streams."""
    made = _form(box, streams, lines)
    if box.family != "block" or not box.skips or streams > 1:
        return made
    return replace(made, skips=box.skips, partly=isinstance(box, Run) and box.skipping < box.members)


def _form(box: Box, streams: int, lines: tuple[str, ...]) -> Volume:
    sizes = [dim if isinstance(dim, int) else 64 for dim in box.shape] or [1]
    channels = sizes[0] / streams
    outline, double = DENSE if box.family == "dense" else 0.9, box.family == "block"
    if box.family == "attention":
        attrs = box.nodes[0].attrs
        heads = attrs.get("heads")
        sheets = max(1, min(SHEETS, heads if isinstance(heads, int) else 1))
        deep = 4.0 * (sheets - 1)
        return Volume(56, 56, deep, lines, sheets=sheets, causal=attrs.get("causal") is True)
    if len(sizes) == 1:  # a vector: a bar
        return Volume(7, 22 + 9 * log2(channels + 1), 6, lines, outline=outline, double=double)
    if len(sizes) == 2:  # tokens: a row for each
        return Volume(
            min(WIDEST, 10 + 2 * sqrt(channels)),
            14 + 4.5 * sqrt(sizes[1]),
            0,
            lines,
            outline=outline,
            double=double,
            rows=min(ROWS, sizes[1]),
        )
    high = 6 + 9.5 * sqrt(max(sizes[1:]))
    return Volume(3 + 2.1 * sqrt(channels), high / sqrt(streams), SLANT * high / sqrt(streams), lines, outline=outline, double=double)


def drawn(volume: Volume, centre: Point, colour: str, line: str, ground: str, family: str = "", dashed: bool = False) -> Iterator[Stroke]:
    """Yield the strokes of a tensor; those of a family with a pattern have it if `family` is given. `ground` is the color of the page."""
    w, h, d = volume.wide, volume.high, volume.deep
    left, top = centre[0] - (w + d) / 2, centre[1] + (h + d) / 2
    low = top - h - d
    if volume.sheets:
        yield from _maps(volume, (left, low), colour, line, ground, dashed)
        return
    if volume.round:
        yield Stroke(rounded(left, low, left + w, low + h, w / 2), line, colour, volume.outline, dashed)
        return
    front = rectangle(left, low, left + w, low + h)
    if d:
        lid = ((left, low + h), (left + w, low + h), (left + w + d, top), (left + d, top))
        side = ((left + w, low), (left + w + d, low + d), (left + w + d, top), (left + w, low + h))
        yield Stroke(lid, line, shade(colour, LID), volume.outline, dashed)
        yield Stroke(side, line, shade(colour, SIDE), volume.outline, dashed)
    yield Stroke(front, line, colour, volume.outline, dashed)
    if pattern := PATTERNS.get(family):
        for lines in hatching(pattern, *front[0], *front[2]):
            yield Stroke(lines, line, width=0.5, closed=False)
    for row in range(1, volume.rows):
        y = low + h * row / volume.rows
        yield Stroke(((left, y), (left + w, y)), line, width=0.5, closed=False)
    if volume.double:
        gap = min(2.5, w / 4)
        yield Stroke(rectangle(left + gap, low + gap, left + w - gap, low + h - gap), line, width=volume.outline, dashed=dashed)


def _maps(volume: Volume, corner: Point, colour: str, line: str, ground: str, dashed: bool) -> Iterator[Stroke]:
    """Yield a map of weights for every head, the first in front: rows of positions, darker where they look."""
    step = volume.deep / max(1, volume.sheets - 1)
    for sheet in range(volume.sheets - 1, 0, -1):
        left, low = corner[0] + sheet * step, corner[1] + sheet * step
        yield Stroke(rectangle(left, low, left + volume.wide, low + volume.high), line, shade(colour, LID), dashed=dashed)
    left, low = corner
    side = volume.wide / CELLS
    for row in range(CELLS):
        for column in range(CELLS):
            x, y = left + column * side, low + (CELLS - 1 - row) * side
            apart = abs(row - column)
            shown = ground if volume.causal and column > row else shade(colour, SIDE if apart == 0 else 1.0 if apart == 1 else LID)
            yield Stroke(rectangle(x, y, x + side, y + side), line, shown, 0.4)
    yield Stroke(rectangle(left, low, left + volume.wide, low + volume.high), line, width=1.2, dashed=dashed)
