"""Where the branches that meet at a merge look at different places of the input.

Position i of a node looks at pixel `start + i*step` of the input, along each axis. Branches are out of step where their steps
differ, and displaced where they start a whole number of output positions apart: that is what more or less padding mends. A
fraction of a position is not: it comes of even kernels, and of nearest upsampling after convolutions with a stride, which no
padding brings into line. Branches that all look back from the same last pixel are causal, and meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from compiler.graph import INPUT, ArchGraph, Node
from compiler.ops.sight import EACH, Sight

OUT_OF_STEP = Fraction(3, 2)  # steps this far apart differ by more than the rounding of odd sizes


@dataclass(frozen=True, slots=True)
class View:
    """Along one axis, in pixels: where position 0 looks, how far apart positions are, and what position 0 sees at most."""

    start: Fraction = Fraction(0)
    step: Fraction = Fraction(1)
    first: Fraction = Fraction(0)
    last: Fraction = Fraction(0)

    def through(self, sight: Sight) -> View:
        step = Fraction(sight.advance) / len(sight.windows)
        ends = [(w.first - phase * step, w.last - phase * step) for phase, w in enumerate(sight.windows) if w is not None]
        middle = Fraction(sum(first + last for first, last in ends)) / (2 * max(len(ends), 1))
        first, last = (min(first for first, _ in ends), max(last for _, last in ends)) if ends else (middle, middle)
        return View(self.start + middle * self.step, self.step * step, self.first + first * self.step, self.last + last * self.step)


Views = tuple[View, ...] | None  # one for each axis; None where all of the input is seen


def misaligned(graph: ArchGraph) -> Iterator[tuple[Node, list[tuple[str, Views]]]]:
    """The merges whose branches look at different places, each with its branches and where they look."""
    views: dict[str, Views] = {}
    for node in graph:
        if node.op == INPUT:
            views[node.name] = (View(),) * (len(node.shape) - 1) if len(node.shape) > 1 else None
            continue
        branches = [(name, views[name]) for name in dict.fromkeys(graph.operands(node.name))]
        seen = [view for _, view in branches if view is not None]
        sights = node.operator.sight(graph.call(node.name), node.shape)
        if len(seen) > 1 and any(_displaced(axis) for axis in zip(*seen, strict=True)):
            yield node, branches
        known = [sight for sight in sights if sight is not None and sight.advance]
        if len(seen) < len(branches) or len(known) < len(sights) or _resized_unknown(graph, node):
            views[node.name] = None
        else:
            together = seen[0] if len(seen) == 1 else tuple(_union(axis) for axis in zip(*seen, strict=True))
            same = all(sight is EACH for sight in known)
            views[node.name] = together if same else tuple(axis.through(sight) for axis, sight in zip(together, known, strict=True))


def _resized_unknown(graph: ArchGraph, node: Node) -> bool:
    """Does it change sizes that are left open, so that its step is not known as a number?"""
    before = graph[graph.operands(node.name)[0]].shape
    open_sizes = any(not isinstance(size, int) for size in (*before[1:], *node.shape[1:]))
    return open_sizes and "kernel" not in node.attrs and before[1:] != node.shape[1:]


def _displaced(views: Sequence[View]) -> bool:
    steps = [view.step for view in views]
    if len(set(steps)) > 1:
        return max(steps) >= OUT_OF_STEP * min(steps)
    if len({view.last for view in views}) == 1:
        return False
    apart = {(view.start - views[0].start) / steps[0] for view in views}
    return any(distance and distance.denominator == 1 for distance in apart)


def _union(views: Sequence[View]) -> View:
    """What a merge sees: it looks where its first branch does, from the first pixel of all to the last."""
    return View(views[0].start, views[0].step, min(view.first for view in views), max(view.last for view in views))
