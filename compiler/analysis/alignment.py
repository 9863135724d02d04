"""Find merges whose branches look at different places of the input.

Position i of a node looks at pixel `start + i*step` of the input, along each axis. Branches are out of step where their steps
differ, and displaced where they start a whole number of output positions apart: that is what more or less padding repairs. A
fraction of a position is not reported: it results from even kernels, and from nearest upsampling after strided convolutions, which no
padding aligns. Branches that all look back from the same last pixel are causal, which is intended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.receptive import EACH, ReceptiveField

OUT_OF_STEP = Fraction(3, 2)  # steps this far apart differ by more than the rounding of odd sizes


@dataclass(frozen=True, slots=True)
class View:
    """Along one axis, in pixels: where position 0 looks, how far apart positions are, and the receptive field of position 0."""

    start: Fraction = Fraction(0)
    step: Fraction = Fraction(1)
    first: Fraction = Fraction(0)
    last: Fraction = Fraction(0)


Views = tuple[View | None, ...]  # one for each axis after the channels; None where it is not known, or is the whole input


def misaligned(graph: ArchGraph) -> Iterator[tuple[Node, list[tuple[str, Views]]]]:
    """Yield the merges whose branches look at different places, each with its branches and where they look."""
    if not any(len(node.operands) > 1 for node in graph):
        return  # no branches
    views: dict[str, Views] = {}
    for node in graph:
        axes = len(node.shape) - 1
        branches = [(name, views[name]) for name in dict.fromkeys(operand.name for operand in node.operands)]
        if not branches or any(len(axes_of) != axes for _, axes_of in branches):
            views[node.name] = (View(),) * axes if node.is_input else (None,) * axes
            continue
        together = [[view for view in axis if view is not None] for axis in zip(*(axes_of for _, axes_of in branches), strict=True)]
        fields = node.operator.receptive_field(node.call, node.shape)
        if any(_displaced(axis) for axis, field in zip(together, fields, strict=True) if field is not None):
            yield node, branches
        joined = [_union(axis) if axis else None for axis in together]
        unknown = _resized_unknown(node)
        views[node.name] = tuple(
            None if view is None or field is None or unknown else view if field is EACH else _through(view, field)
            for view, field in zip(joined, fields, strict=True)
        )


def _through(view: View, field: ReceptiveField) -> View | None:
    """Return where an operator looks that repeats a pattern of windows: on the line through the middles of its windows."""
    step = field.step
    ends = [(w.first - phase * step, w.last - phase * step) for phase, w in enumerate(field.windows) if w is not None]
    if not ends or not step:
        return None
    low, high = min(first for first, _ in ends), max(last for _, last in ends)
    return View(view.start + field.offset * view.step, view.step * step, view.first + low * view.step, view.last + high * view.step)


def _resized_unknown(node: Node) -> bool:
    """Return whether it changes open sizes, which leaves its step unknown."""
    before = node.operands[0].shape
    open_sizes = any(not isinstance(size, int) for size in (*before[1:], *node.shape[1:]))
    return open_sizes and node.window is None and before[1:] != node.shape[1:]


def _displaced(views: Sequence[View]) -> bool:
    steps = [view.step for view in views]
    if len(set(steps)) > 1:
        return max(steps) >= OUT_OF_STEP * min(steps)
    if len({view.last for view in views}) <= 1:
        return False
    apart = {(view.start - views[0].start) / steps[0] for view in views}
    return any(distance and distance.denominator == 1 for distance in apart)


def _union(views: Sequence[View]) -> View:
    """Return the view of a merge: it looks where its first branch does, from the first pixel of all branches to the last."""
    return View(views[0].start, views[0].step, min(view.first for view in views), max(view.last for view in views))
