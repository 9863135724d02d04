"""Where the labels of points go: beside their points, within the axes, clear of each other and of all points, off lines if possible.

Every label has candidates, boxes around its point at growing distances. The best one is chosen for each label in turn, given those of
the others, until none changes; then labels change places with those in their way, while that is cheaper. A label that is clear nowhere
is left out. There is no chance in it: equal input, equal places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

Box = tuple[float, float, float, float]  # left, bottom, right, top; of a line, its two ends
Array = np.ndarray[Any, np.dtype[np.float64]]

# Directions in the order in which cartographers prefer them: right above, right, left above, left, ...
NEAR = ((1, 1), (1, 0), (-1, 1), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, -1))
BETWEEN = ((2, 1), (-2, 1), (2, -1), (-2, -1), (1, 2), (-1, 2), (1, -2), (-1, -2))
STEPS = (0.0, 0.35, 0.8, 1.4, 2.1, 3.0, 4.2)  # distances from the point, in heights of the label; farther away, it is left out
ROUNDS, PASSES, TRIED = 25, 6, 14  # at most
FEWEST, MOST, ALL = 16, 90, 5000  # candidates of one label, and of all
MEETS = 1e6  # the cost of another label
CROSSES = 60.0  # of a line to a label through another label, or through a point
CUTS = 25.0  # of two lines to labels that cross
STRIKES = 6.0  # of a line between points behind the label
LEADS = 4.0  # of a line to the label
FAR = 5.0  # of a distance of one height
RANK = 0.25  # of each less preferred direction


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

    `room` holds all labels; `lines` are segments that they avoid; `gap` is the distance from a point, and half of it that of two labels.
    Labels `first` are left out last.
    """
    work = _Labels(spots, room, lines, gap)
    chosen = work.best()
    while True:  # leave out the label that meets the most others, those of `first` last
        met = {index: work.meeting(index, chosen) for index in chosen}
        worst = max(met, key=lambda index: (met[index] > 0, index not in first, met[index], index), default=None)
        if worst is None or not met[worst]:
            break
        del chosen[worst]
        work.improve(chosen)
    return [work.place(chosen[index]) if index in chosen else None for index in range(len(spots))]


class _Labels:
    """The candidates of all labels, numbered through: boxes, lines that lead to them, their costs, and those of each two together.

    `own` are the candidates of each label. A line goes from a point to itself where none is drawn.
    """

    def __init__(self, spots: Sequence[Spot], room: Box, lines: Sequence[Box], gap: float) -> None:
        points = np.array([[s.x - s.radius, s.y - s.radius, s.x + s.radius, s.y + s.radius] for s in spots]).reshape(-1, 4)
        struck = np.array(lines, dtype=float).reshape(-1, 4)
        most = max(FEWEST, min(MOST, ALL // max(1, len(spots))))
        found = [_candidates(number, spot, points, struck, room, gap, most) for number, spot in enumerate(spots)]
        ends = np.cumsum([0, *(len(costs) for _, _, costs in found)])
        self.own = [np.arange(begin, end) for begin, end in pairwise(ends)]
        self.boxes = np.concatenate([np.empty((0, 4)), *(boxes for boxes, _, _ in found)])
        self.leads = np.concatenate([np.empty((0, 4)), *(leads for _, leads, _ in found)])
        self.costs = np.concatenate([np.empty(0), *(costs for _, _, costs in found)])
        self.together = np.zeros((len(self.boxes), len(self.boxes)), np.float32)
        self.meets = np.zeros(self.together.shape, bool)
        for own in self.own:
            self.meets[own] = overlap(self.boxes[own], self.boxes, gap / 2)
            through = crossings(self.leads[own], self.boxes).astype(np.float32)
            self.together[own] += MEETS * self.meets[own] + CROSSES * through + CUTS * cut(self.leads[own], self.leads)
            self.together[:, own] += CROSSES * through.T

    def best(self) -> dict[int, int]:
        """Return the candidates of the cheapest of several ways to choose them."""
        free = [index for index, own in enumerate(self.own) if len(own)]
        found = []
        for order in (sorted(free, key=lambda index: (len(self.own[index]), index)), free, free[::-1]):
            chosen: dict[int, int] = {}
            for index in order:  # the others come later
                chosen[index] = self.cheapest(index, chosen)[0]
            self.improve(chosen)
            found.append((self.total(chosen), chosen))
        return min(found, key=lambda each: each[0], default=(0.0, {}))[1]

    def given(self, index: int, chosen: dict[int, int]) -> Array:
        """Return the costs of a label's candidates, given those of the others."""
        own = self.own[index]
        others = [number for other, number in chosen.items() if other != index]
        costs: Array = self.costs[own] + self.together[own][:, np.array(others, dtype=np.intp)].sum(axis=1)
        return costs

    def cheapest(self, index: int, chosen: dict[int, int]) -> tuple[int, float]:
        """Return the cheapest candidate of a label, given those of the others, and its cost."""
        costs = self.given(index, chosen)
        best = int(np.argmin(costs))
        return int(self.own[index][best]), float(costs[best])

    def total(self, chosen: dict[int, int]) -> float:
        """Return the cost of all labels."""
        numbers = np.array(list(chosen.values()), dtype=np.intp)
        return float(self.costs[numbers].sum() + self.together[np.ix_(numbers, numbers)].sum() / 2)

    def settle(self, chosen: dict[int, int]) -> None:
        """Choose the cheapest candidate of each label, given those of the others, until none changes."""
        for _ in range(ROUNDS):
            changed = False
            for index in sorted(chosen):
                best, cost = self.cheapest(index, chosen)
                before = self.given(index, chosen)[chosen[index] - self.own[index][0]]
                if cost < before - 1e-6:
                    chosen[index], changed = best, True
            if not changed:
                return

    def improve(self, chosen: dict[int, int]) -> None:
        """Settle; then give each label a nearer place, let those that are in its way go elsewhere, and keep what is cheaper."""
        self.settle(chosen)
        total = self.total(chosen)
        for _ in range(PASSES):
            before = total
            for index in sorted(chosen, key=lambda index: (-self.costs[chosen[index]], index)):
                near = self.own[index][np.argsort(self.costs[self.own[index]], kind="stable")[:TRIED]]
                for number in near:
                    if self.costs[number] >= self.costs[chosen[index]]:
                        break
                    tried = {**chosen, index: int(number)}
                    away = [other for other in chosen if other != index and self.together[number, chosen[other]] > 0]
                    for other in away:
                        del tried[other]
                    for other in away:
                        tried[other] = self.cheapest(other, tried)[0]
                    if self.total(tried) < total - 1e-3:
                        self.settle(tried)
                        chosen.update(tried)
                        total = self.total(chosen)
            if total >= before - 1e-3:
                return

    def meeting(self, index: int, chosen: dict[int, int]) -> int:
        """Return how many labels one meets."""
        return int(self.meets[chosen[index], [number for other, number in chosen.items() if other != index]].sum())

    def place(self, number: int) -> Place:
        """Return the place of a candidate."""
        left, bottom, right, top = map(float, self.boxes[number])
        x, y, to_x, to_y = map(float, self.leads[number])
        return Place((left, bottom, right, top), None if (x, y) == (to_x, to_y) else (to_x, to_y))


def _candidates(number: int, spot: Spot, points: Array, lines: Array, room: Box, gap: float, most: int) -> tuple[Array, Array, Array]:
    """Return the cheapest boxes around a point that are in the room and hide no point, the lines to them, and their costs."""
    boxes, leads, costs = _around(spot, gap)
    inside = (boxes[:, 0] >= room[0]) & (boxes[:, 1] >= room[1]) & (boxes[:, 2] <= room[2]) & (boxes[:, 3] <= room[3])
    inside &= ~overlap(boxes, points, gap * 0.4).any(axis=1)
    boxes, leads, costs = boxes[inside], leads[inside], costs[inside]
    others = np.delete(points, number, axis=0)
    costs = costs + STRIKES * crossings(lines, boxes).sum(axis=0) + CROSSES * crossings(leads, others).sum(axis=1)
    cheap = np.argsort(costs, kind="stable")[:most]
    return boxes[cheap], leads[cheap], costs[cheap]


def _around(spot: Spot, gap: float) -> tuple[Array, Array, Array]:
    """Return the boxes around a point, the lines to them, and their costs."""
    boxes, leads, costs = [], [], []
    for step in STEPS:
        for rank, (dx, dy) in enumerate((*NEAR, *BETWEEN) if step else NEAR):
            away = spot.radius + gap + step * spot.height
            across, up = away * dx / max(abs(dx), abs(dy)), away * dy / max(abs(dx), abs(dy))
            if dx and dy and abs(dx) == abs(dy):
                across, up = across * 0.72, up * 0.72
            x = spot.x + across - spot.width * ((dx == 0 and 0.5) or dx < 0)
            y = spot.y + up - spot.height * ((dy == 0 and 0.5) or dy < 0)
            box = (x, y, x + spot.width, y + spot.height)
            boxes.append(box)
            near = step <= STEPS[1] and rank < len(NEAR)
            end = (spot.x, spot.y) if near else (min(max(spot.x, box[0]), box[2]), min(max(spot.y, box[1]), box[3]))
            leads.append((spot.x, spot.y, *end))
            costs.append(FAR * step + RANK * rank + LEADS * (not near))
    return np.array(boxes), np.array(leads), np.array(costs)


def overlap(first: Array, second: Array, gap: float) -> Any:
    """Return for each box of the first array and each of the second whether they are nearer than a gap."""
    a, b = first[:, None, :], second[None, :, :]
    return (a[..., 0] < b[..., 2] + gap) & (b[..., 0] < a[..., 2] + gap) & (a[..., 1] < b[..., 3] + gap) & (b[..., 1] < a[..., 3] + gap)


def cut(first: Array, second: Array) -> Any:
    """Return for each line of the first array and each of the second whether they cross between their ends."""

    def sides(lines: Array, points: Array) -> Any:  # on which side of each line a point is: lines in rows, points in columns
        along = lines[:, None, 2:] - lines[:, None, :2]
        to = points[None, :, :] - lines[:, None, :2]
        return np.sign(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0])

    apart = sides(first, second[:, :2]) * sides(first, second[:, 2:]) < 0
    return apart & (sides(second, first[:, :2]) * sides(second, first[:, 2:]) < 0).T


def crossings(lines: Array, boxes: Array) -> Any:
    """Return for each line and each box whether the line passes through the box; a line of no length passes through none."""
    begin, step = lines[:, None, :2], (lines[:, 2:] - lines[:, :2])[:, None, :]
    low, high = boxes[None, :, :2], boxes[None, :, 2:]
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (low - begin) / step, (high - begin) / step
    still = np.broadcast_to(step == 0, one.shape)
    within = (low <= begin) & (begin <= high)
    enter = np.where(still, np.where(within, -np.inf, np.inf), np.minimum(one, other)).max(axis=2)
    leave = np.where(still, np.where(within, np.inf, -np.inf), np.maximum(one, other)).min(axis=2)
    moves = (lines[:, :2] != lines[:, 2:]).any(axis=1)[:, None]
    return moves & (np.maximum(enter, 0.0) < np.minimum(leave, 1.0))
