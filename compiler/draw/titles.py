"""Placement of frame titles: along the top of a frame, where no edge runs.

Graphviz places the title of a cluster in its corner and routes edges through it. So a drawing is laid out, the titles are
moved to free places, and if a frame has none, the drawing is laid out again with a wider frame; any remaining obstacle
shortens the title.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape, unescape
from itertools import pairwise
from typing import Any

from archc.compiler.draw.layout import Point, drawing, laid_out
from archc.compiler.draw.strokes import sampled

ROUNDS = 4  # most times that a drawing is laid out with wider frames
GAP = 5.0  # points between a title and an edge
INSET = 8.0  # points from the corner of a frame to its title
WIDER = 1.03  # how much wider other programs may draw a text than Graphviz assumes
STEPS = 16  # segments of a curve

Span = tuple[float, float]


class _Run:
    """The curve of an edge. Its points are computed where a title may lie on it, since most curves are far from every title."""

    def __init__(self, start: Point | None, controls: list[Point], end: Point | None) -> None:
        self._start, self._controls, self._end = start, controls, end
        heights = [y for _, y in (*filter(None, (start, end)), *controls)]
        self._low, self._high = min(heights) - 0.01, max(heights) + 0.01  # a curve is within its control points

    @cached_property
    def points(self) -> list[Point]:
        """The points of the curve, in order."""
        return [*filter(None, [self._start]), *sampled(self._controls, STEPS), *filter(None, [self._end])]

    def within(self, low: float, high: float) -> Iterator[Span]:
        """Yield the horizontal intervals in which the curve runs between two heights."""
        if self._high < low or self._low > high:
            return
        for (ax, ay), (bx, by) in pairwise(self.points):
            if max(ay, by) >= low and min(ay, by) <= high:
                yield min(ax, bx), max(ax, bx)


@dataclass
class _Frame:
    """A cluster of a drawing that is laid out: its box, and the center line, width and height of its title."""

    cluster: Any
    left: float
    right: float
    middle: float
    wide: float
    high: float

    @classmethod
    def of(cls, cluster: Any) -> _Frame | None:
        attr = cluster.graph_attr
        if not attr["lp"] or not attr["label"]:
            return None
        left, _, right, _ = map(float, attr["bb"].split(","))
        return cls(cluster, left, right, _point(attr["lp"])[1], WIDER * 72 * float(attr["lwidth"]), 72 * float(attr["lheight"]))

    def gaps(self, runs: list[_Run], texts: list[tuple[Span, Span]]) -> list[Span]:
        """Return the free intervals of the line of the title, from left to right."""
        low, high = self.middle - self.high / 2 - 1, self.middle + self.high / 2 + 1
        taken = [span for run in runs for span in run.within(low, high)]
        taken += [across for across, (bottom, top) in texts if bottom < high and top > low]
        free, at = [], self.left + INSET
        for start, end in sorted((start - GAP, end + GAP) for start, end in taken if end > self.left and start < self.right):
            if start > at:
                free.append((at, start))
            at = max(at, end)
        return [*free, (at, self.right - INSET)] if at < self.right - INSET else free


def titled(dot: str, widen: bool = True) -> Any:
    """Lay out a drawing with its titles where no edge runs. With `widen`, frames are widened where necessary."""
    titles: dict[str, str] = {}
    widths: dict[str, float] = {}
    wider: dict[str, float] = {}
    for _ in range(ROUNDS if widen else 1):
        made = laid_out(_widened(dot, wider) if wider else dot)
        runs, texts = _edges(made)
        crossed = {}
        for frame in filter(None, map(_Frame.of, _clusters(made))):
            name = str(frame.cluster.name)
            text = titles.setdefault(name, unescape(str(frame.cluster.graph_attr["label"])))
            wide = widths.setdefault(name, frame.wide)
            gaps = frame.gaps(runs, texts)
            start = next((start for start, end in gaps if end - start >= wide), None)
            if start is None:
                lacks = wide - max((end - start for start, end in gaps), default=0.0)
                crossed[name] = frame.right - frame.left - 2 * INSET + lacks + 1
                start, text = _shortened(text, wide, gaps, frame.left + INSET)
                wide = wide if text == titles[name] else WIDER * _width(text)
            _move(frame, text, start + wide / WIDER / 2)
        if not crossed:
            break
        wider |= crossed
    return made


def cleared(made: Any) -> None:
    """Move the titles of a drawing that is laid out to where no edge runs, shortened where they do not fit."""
    runs, texts = _edges(made)
    for frame in filter(None, map(_Frame.of, _clusters(made))):
        text = unescape(str(frame.cluster.graph_attr["label"]).removeprefix("<").removesuffix(">"))
        gaps = frame.gaps(runs, texts)
        start, wide = next((start for start, end in gaps if end - start >= frame.wide), None), frame.wide
        if start is None:
            start, shown = _shortened(text, wide, gaps, frame.left + INSET)
            wide, text = wide if shown == text else WIDER * _width(shown), shown
        _move(frame, text, start + wide / WIDER / 2)


def _width(text: str) -> float:
    """Return the approximate width of a title."""
    return 5.1 * len(text) + 4


def _shortened(text: str, wide: float, gaps: list[Span], corner: float) -> tuple[float, str]:
    """Return a title without its arguments, or only the name, in the first gap where it fits."""
    name, *_ = parts = text.split("  ")
    call = "  ".join(part.partition("(")[0] for part in parts)
    times = "  ".join([name, *(part for part in parts[-1:] if re.fullmatch(r"x[0-9]+", part))])
    for shorter in (call, times, name):
        for start, end in gaps:
            if end - start >= WIDER * _width(shorter):
                return start, shorter
    return corner, text


def _move(frame: _Frame, text: str, middle: float) -> None:
    attr = frame.cluster.graph_attr
    attr["label"] = f"<{escape(text)}>"
    attr["lp"] = f"{middle:.2f},{frame.middle:.2f}"


def _widened(dot: str, wider: dict[str, float]) -> str:
    """Reserve several times the width of their titles in some frames."""
    made = drawing(dot)
    for cluster in _clusters(made):
        if (wide := wider.get(str(cluster.name))) is not None:
            cell = f'<TD WIDTH="{wide:.0f}">{cluster.graph_attr["label"]}</TD>'
            cluster.graph_attr["label"] = f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>{cell}</TR></TABLE>>'
    return str(made.to_string())


def _clusters(graph: Any) -> Iterator[Any]:
    for inner in graph.subgraphs():
        if str(inner.name).startswith("cluster_"):
            yield inner
        yield from _clusters(inner)


def _edges(graph: Any) -> tuple[list[_Run], list[tuple[Span, Span]]]:
    """Return the curves of all edges, and the places of their labels."""
    runs, texts = [], []
    for edge in graph.edges():
        if not edge.attr["pos"] or edge.attr["style"] == "invis":
            continue
        for spline in edge.attr["pos"].split(";"):
            marks = spline.split()
            ends = {mark[0]: _point(mark[2:]) for mark in marks if mark[0] in "se"}
            points = [_point(mark) for mark in marks if mark[0] not in "se"]
            runs.append(_Run(ends.get("s"), points, ends.get("e")))
        if edge.attr["lp"]:
            (x, y), wide = _point(edge.attr["lp"]), 5.0 * len(edge.attr["label"])
            texts.append(((x - wide / 2, x + wide / 2), (y - 6, y + 6)))
    return runs, texts


def _point(text: str) -> Point:
    x, y = text.lstrip("!").split(",")
    return float(x), float(y)
