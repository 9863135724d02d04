"""Where the labels of points go: beside their points, within the axes, clear of each other and of all points, off lines if possible.

Every label has candidates, boxes around its point at growing distances. The best one is chosen for each label in turn, given those of
the others, until none changes. A label without a clear candidate is left out. There is no chance in it: equal input, equal places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Box = tuple[float, float, float, float]  # left, bottom, right, top
Array = np.ndarray[Any, np.dtype[np.float64]]

# Directions in the order in which cartographers prefer them: right above, right, left above, ...
DIRECTIONS = (
    (1, 1),
    (1, 0),
    (-1, 1),
    (-1, 0),
    (0, 1),
    (0, -1),
    (1, -1),
    (-1, -1),
    (2, 1),
    (-2, 1),
    (2, -1),
    (-2, -1),
    (1, 2),
    (-1, 2),
    (1, -2),
    (-1, -2),
)
STEPS = (0.0, 0.5, 1.0, 1.6, 2.4, 3.4, 4.8, 6.5, 8.5, 11.0)  # distances from the point, in heights of the label
LEADS = 0.5  # from this distance on a line leads from the point to its label
ROUNDS = 40
MEETS, HIDES, CROSSES = 1e6, 1e6, 40.0  # costs: of another label, of a point, of a line that leads to another label
STRIKES = 6.0  # of a line between points
FAR = 4.0  # of a distance of one height


@dataclass(frozen=True)
class Spot:
    """A point with a label of a width and a height."""

    x: float
    y: float
    radius: float
    width: float
    height: float


@dataclass(frozen=True)
class Place:
    """Where a label is: its box, and the end of the line that leads to it, None where it is at its point."""

    box: Box
    lead: tuple[float, float] | None


def places(spots: Sequence[Spot], room: Box, lines: Sequence[Box] = (), gap: float = 2.0, first: Sequence[int] = ()) -> list[Place | None]:
    """Return the place of each label, None where there is none.

    `room` holds all labels; `lines` are segments `(x1, y1, x2, y2)` that they avoid; `gap` is the distance from a point, and half of it
    that of two labels. Labels `first` are left out last.
    """
    if not spots:
        return []
    points = np.array([[s.x - s.radius, s.y - s.radius, s.x + s.radius, s.y + s.radius] for s in spots])
    boxes, ends, fixed = zip(*(_candidates(number, spots, points, room, lines, gap) for number in range(len(spots))), strict=True)
    free = [index for index, each in enumerate(fixed) if len(each)]
    chosen = {index: int(np.argmin(fixed[index])) for index in free}
    order = sorted(free, key=lambda index: (len(boxes[index]), index))
    _settle(order, chosen, boxes, ends, fixed, spots, gap)
    while True:  # leave out the label that meets the most others, those of `first` last
        met = {index: _meeting(index, chosen, boxes, gap) for index in chosen}
        worst = max(met, key=lambda index: (met[index] > 0, index not in first, met[index], index), default=None)
        if worst is None or not met[worst]:
            break
        del chosen[worst]
        order.remove(worst)
        _settle(order, chosen, boxes, ends, fixed, spots, gap)
    return [_place(boxes[index][chosen[index]], ends[index][chosen[index]]) if index in chosen else None for index in range(len(spots))]


def _place(box: Array, end: Array) -> Place:
    left, bottom, right, top = map(float, box)
    return Place((left, bottom, right, top), None if np.isnan(end[0]) else (float(end[0]), float(end[1])))


def _candidates(
    number: int, spots: Sequence[Spot], points: Array, room: Box, lines: Sequence[Box], gap: float
) -> tuple[Array, Array, Array]:
    """Return the boxes of a label that are in the room and hide no point, the ends of their lines (nan: none), and their costs."""
    spot = spots[number]
    boxes, ends, costs = [], [], []
    for step in STEPS:
        for rank, (dx, dy) in enumerate(DIRECTIONS):
            away = spot.radius + gap + step * spot.height
            if step == 0 and max(abs(dx), abs(dy)) > 1:
                continue
            slant = away * (0.72 if dx and dy and step == 0 else 1.0)
            x = spot.x + np.sign(dx) * slant * min(1.0, abs(dx) / max(1, abs(dy))) + (np.sign(dx) - 1) / 2 * spot.width
            y = spot.y + np.sign(dy) * slant * min(1.0, abs(dy) / max(1, abs(dx))) + (np.sign(dy) - 1) / 2 * spot.height
            box = (x, y, x + spot.width, y + spot.height)
            end = (min(max(spot.x, box[0]), box[2]), min(max(spot.y, box[1]), box[3]))
            boxes.append(box)
            ends.append(end if step > LEADS else (np.nan, np.nan))
            costs.append(FAR * step + 0.25 * rank + 2.0 * (step > LEADS))
    found, tips, cost = np.array(boxes), np.array(ends), np.array(costs)
    inside = (found[:, 0] >= room[0]) & (found[:, 1] >= room[1]) & (found[:, 2] <= room[2]) & (found[:, 3] <= room[3])
    inside &= ~_overlap(found, points, gap * 0.4).any(axis=1)
    found, tips, cost = found[inside], tips[inside], cost[inside]
    for line in lines:
        cost = cost + STRIKES * _struck(found, np.array(line))
    others = np.delete(points, number, axis=0)
    leads = ~np.isnan(tips[:, 0])
    for other in others:  # a line that leads through another point
        through = np.array([_through((spot.x, spot.y, *tip), other) if led else False for tip, led in zip(tips, leads, strict=True)], bool)
        cost = cost + CROSSES * through
    return found, tips, cost


def _overlap(first: Array, second: Array, gap: float) -> Any:
    """Return for each box of the first array and each of the second whether they are nearer than a gap."""
    a, b = first[:, None, :], second[None, :, :]
    return (a[..., 0] < b[..., 2] + gap) & (b[..., 0] < a[..., 2] + gap) & (a[..., 1] < b[..., 3] + gap) & (b[..., 1] < a[..., 3] + gap)


def _struck(boxes: Array, line: Array) -> Any:
    """Return for each box whether a segment passes through it."""
    begin, step = line[:2], line[2:] - line[:2]
    with np.errstate(divide="ignore", invalid="ignore"):
        near = (boxes[:, :2] - begin) / step
        far = (boxes[:, 2:] - begin) / step
    low, high = np.minimum(near, far), np.maximum(near, far)
    for axis in (0, 1):
        if step[axis] == 0:
            within = (boxes[:, axis] <= begin[axis]) & (begin[axis] <= boxes[:, axis + 2])
            low[:, axis] = np.where(within, -np.inf, np.inf)
            high[:, axis] = np.where(within, np.inf, -np.inf)
    enter, leave = np.maximum(low.max(axis=1), 0.0), np.minimum(high.min(axis=1), 1.0)
    return enter < leave


def _through(line: Sequence[float], box: Array) -> bool:
    return bool(_struck(box[None, :], np.array(line))[0])


def _settle(
    order: Sequence[int], chosen: dict[int, int], boxes: Sequence[Array], ends: Sequence[Array], fixed: Sequence[Array],
    spots: Sequence[Spot], gap: float,
) -> None:  # fmt: skip
    """Choose the cheapest candidate of each label, given those of the others, until none changes."""
    for _ in range(ROUNDS):
        changed = False
        for index in order:
            others = [other for other in chosen if other != index]
            cost = fixed[index].copy()
            if others:
                taken = np.array([boxes[other][chosen[other]] for other in others])
                cost += MEETS * _overlap(boxes[index], taken, gap / 2).sum(axis=1)
                for other in others:
                    tip = ends[other][chosen[other]]
                    if not np.isnan(tip[0]):
                        cost += CROSSES * _struck(boxes[index], np.array([spots[other].x, spots[other].y, *tip]))
                cost += _leads_through(spots[index], ends[index], taken)
            best = int(np.argmin(cost))
            if cost[best] < cost[chosen[index]] - 1e-9:
                chosen[index], changed = best, True
        if not changed:
            return


def _leads_through(spot: Spot, tips: Array, taken: Array) -> Any:
    """Return the costs of the lines to the candidates of a label that pass through other labels."""
    cost = np.zeros(len(tips))
    for number, tip in enumerate(tips):
        if not np.isnan(tip[0]):
            cost[number] = CROSSES * _struck(taken, np.array([spot.x, spot.y, *tip])).sum()
    return cost


def _meeting(index: int, chosen: dict[int, int], boxes: Sequence[Array], gap: float) -> int:
    """Return how many labels one meets."""
    others = [boxes[other][chosen[other]] for other in chosen if other != index]
    return int(_overlap(boxes[index][chosen[index]][None, :], np.array(others), gap / 2).sum()) if others else 0
