"""Kernels in figures: a patch on the side of a volume, as large as the window there, and lines to where its result is."""

from __future__ import annotations

from collections.abc import Iterator
from math import atan2

from archc.compiler.draw.layout import Point
from archc.compiler.draw.plan import Plan, Spot
from archc.compiler.draw.strokes import Stroke
from archc.compiler.draw.style import Look, shade

LEAST = 5.0  # height of a patch, in points
HEIGHT = 0.72  # of the middle of a patch, as a share of the side


def kernels(plan: Plan, look: Look, fills: dict[str, str]) -> Iterator[Stroke]:
    """Yield the patches of all convolutions and poolings with windows of more than one place, and their lines."""
    for wire in plan.wires:
        source, target = plan.spots[wire.source], plan.spots[wire.target]
        window = _window(target)
        if window is None or not (
            source.volume and source.volume.solid and source.volume.deep > LEAST and target.volume and target.volume.solid
        ):
            continue
        apart = len(plan.parts[wire.edge.source]) == len(plan.parts[wire.edge.target])
        if (apart and abs(source.y - target.y) > 1) or source.exit[0] + 4 > target.mouth[0]:
            continue
        if any(source.x < other.x < target.x and abs(other.y - target.y) < other.half[1] for other in plan.spots.values()):
            continue
        yield from _patch(source, target, window, look, fills[wire.source])


def _window(spot: Spot) -> tuple[float, float] | None:
    """Return the size of the window of a spot's operator, as a share of the height and width of its input."""
    node = spot.box.nodes[0] if spot.box and spot.box.nodes else None
    if node is None or spot.box is None or spot.box.family not in ("convolution", "pooling") or not node.operands:
        return None
    kernel, shape = node.attrs.get("kernel"), node.operands[0].shape
    sizes = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    if len(shape) != 3 or len(sizes) != 2 or not all(isinstance(size, int) for size in (*sizes, *shape)) or max(sizes) < 2:
        return None
    maps, before = spot.box.shape[1:], shape[1:]
    if any(isinstance(size, int) and isinstance(old, int) and size > old for size, old in zip(maps, before, strict=True)):
        return None  # transposed: a window of what it produces
    return min(1.0, sizes[0] / shape[1]), min(1.0, sizes[1] / shape[2])


def _patch(source: Spot, target: Spot, window: tuple[float, float], look: Look, fill: str) -> Iterator[Stroke]:
    volume, end = source.volume, target.volume
    assert volume is not None and end is not None
    high, deep = max(LEAST / volume.high, window[0]), max(LEAST / volume.high, window[1])
    middle = HEIGHT if target.y > source.y - 20 else 1 - HEIGHT
    v = min(max(middle, high / 2), 1 - high / 2)
    base = source.x - source.half[0] + volume.wide, source.y - source.half[1]

    def at(across: float, up: float) -> Point:
        return base[0] + across * volume.deep, base[1] + across * volume.deep + up * volume.high

    left, right = 0.5 - deep / 2, 0.5 + deep / 2
    corners = (at(left, v - high / 2), at(right, v - high / 2), at(right, v + high / 2), at(left, v + high / 2))
    front = target.x - target.half[0], target.y - target.half[1]
    tip = front[0] + min(4.0, end.wide / 2), min(max(at(0.5, v)[1], front[1] + 0.15 * end.high), front[1] + 0.88 * end.high)
    line = look.colours["line"]
    yield Stroke(corners, line, fill if fill == look.colours["ground"] else shade(fill, 1.0), 0.7)
    seen = sorted(corners, key=lambda corner: atan2(corner[1] - tip[1], tip[0] - corner[0]))
    for corner in (seen[0], seen[-1]):
        yield Stroke((corner, tip), line, width=0.5, closed=False)
