"""Figures that go down in resolution, up again, and skip across: a U, with the tensors of one resolution in a row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import log2

from archc.compiler.draw.plan import GAP, MARGIN, STEP, TITLE, WAY, Plan, Room, Spot, within
from archc.compiler.draw.spine import main_paths
from archc.compiler.draw.strip import CLOSE, around, connect, smaller
from archc.compiler.draw.strokes import curve

LOWER = 0.4  # height of a volume in a U, as a share of its height in a strip
LOWEST = 0.25  # in a column


def levels(plan: Plan) -> dict[str, int] | None:
    """Return how often the resolution was halved at every box; None if they are no chain that goes down, up again, and skips.

    A box on the way of a skip, as one that crops, has the level of its target.
    """
    if any(len(parts) > 1 for parts in plan.parts.values()):
        return None
    boxes = {box.id: box for box in plan.scene.shown()}
    path = _path(plan)
    found: dict[str, int] = {}
    level, side = 0, 0
    for name in path:
        sizes = [size for size in boxes[name].shape[1:] if isinstance(size, int)]
        if len(sizes) < 2 or len(sizes) < len(boxes[name].shape) - 1:
            return None
        now = max(sizes)
        level += round(log2(side / now) * 1.2) if side and max(side, now) / min(side, now) >= 1.5 else 0
        found[name] = level
        side = now
    for name in boxes.keys() - found.keys():
        ends = [edge.target for edge in plan.scene.edges if edge.source == name]
        starts = [edge.source for edge in plan.scene.edges if edge.target == name]
        if len(ends) != 1 or len(starts) != 1 or ends[0] not in path or starts[0] not in path:
            return None
        found[name] = found[ends[0]]
    depths = [found[name] for name in path]
    deepest = depths.index(max(depths, default=0)) if depths else 0
    down, up = depths[: deepest + 1], depths[deepest:]
    if max(depths, default=0) < 2 or down != sorted(down) or up != sorted(up, reverse=True) or up[-1] > 1 or min(depths) < 0:
        return None
    skips = [edge for edge in plan.scene.edges if not edge.spine]
    return found if len(skips) >= 2 and all(found[edge.source] == found[edge.target] for edge in skips) else None


def _path(plan: Plan) -> list[str]:
    """Return the boxes of the main path, in order: of the first, where there are several."""
    return next(iter(main_paths(plan.scene)), [])


def u_form(plan: Plan, depths: Mapping[str, int]) -> None:
    """Place a chain as a U; skips run straight across. In a column, the way down is no stair."""
    before = _path(plan)
    crossing = {edge.target: edge.source for edge in plan.scene.edges if edge.source not in before}  # what stands before a merge
    rising = {
        name: after
        for last, name, after in zip(before, before[1:], before[2:], strict=False)
        if depths[name] < depths[last] and after in crossing and depths[after] == depths[name]
    }
    _place(plan, before, depths, crossing, rising, 1.0)
    if plan.limit and plan.wide > plan.limit and not rising and not plan.rooms:
        _place(plan, before, depths, crossing, rising, CLOSE)
    _connect(plan, depths, rising)
    _frame(plan)


def _place(
    plan: Plan, path: Sequence[str], depths: Mapping[str, int], crossing: Mapping[str, str], rising: Mapping[str, str], share: float
) -> None:
    close = share < 1
    smaller(plan, LOWEST / LOWER if close else LOWER)
    spots = {name: plan.spots[parts[0]] for name, parts in plan.parts.items()}
    frames = around(plan.scene.boxes)
    _rows(spots, depths, rising, frames)
    deepest = max(depths.values())
    lowest = max(number for number, name in enumerate(path) if depths[name] == deepest)
    ends: dict[int, float] = defaultdict(float)  # of the rows so far
    for number, name in enumerate(path):
        spot, depth = spots[name], depths[name]
        aside = max(spot.x - spot.left, spot.half[0])
        if not number:
            spot.x = aside
        else:
            last = spots[path[number - 1]]
            margin = MARGIN * len(set(frames[name]) ^ set(frames[path[number - 1]]))
            onward = max(last.right + share * GAP + margin + aside, last.x + last.half[0] + max(share * WAY, margin + 14) + spot.half[0])
            beyond = max(last.right, last.x + last.half[0]) + margin
            if depth == depths[path[number - 1]]:
                spot.x = onward
            elif depth > depths[path[number - 1]]:
                spot.x = max(last.x, ends[depth] + GAP + aside) if ends[depth] else last.x
                if close:
                    spot.x = max(aside, spots[path[0]].x)
            elif name in rising:
                merge, cross = spots[rising[name]], spots[crossing[rising[name]]]
                wide = max(cross.x - cross.left, cross.half[0])
                spot.x = max(beyond + aside * 0.6, ends[depth] + margin + GAP + 2 * wide + WAY + merge.half[0])
                merge.x = spot.x
                cross.x = merge.x - merge.half[0] - WAY - wide
                continue
            else:
                spot.x = max(beyond + aside * 0.45, ends[depth] + GAP + aside)
            if path[number - 1] in rising:
                spot.x = last.x
        ends[depth] = spot.right
    if close:
        _aligned(spots, path, depths, lowest)


def _aligned(spots: Mapping[str, Spot], path: Sequence[str], depths: Mapping[str, int], lowest: int) -> None:
    """Move the boxes of a resolution on the way down below each other, and those of the way up to the right of them."""
    deepest = depths[path[lowest]]
    lasts = [name for number, name in enumerate(path) if number == lowest or (number < lowest and depths[name] < depths[path[number + 1]])]
    for name in lasts:
        spots[name].x = max(spots[other].x for other in lasts)
    up = [number for number in range(lowest, len(path)) if depths[path[number]] < deepest]
    right = max(spots[path[number]].right for number in range(len(path)) if number not in up)
    firsts = [number for number in up if depths[path[number]] < depths[path[number - 1]]]
    wide = max(spots[path[number]].x - spots[path[number]].left for number in firsts)
    for number in firsts:
        dx = right + CLOSE * WAY + wide - spots[path[number]].x
        for later in up:
            if depths[path[later]] == depths[path[number]]:
                spots[path[later]].x += dx


def _rows(spots: Mapping[str, Spot], depths: Mapping[str, int], rising: Mapping[str, str], frames: Mapping[str, Sequence[str]]) -> None:
    """Place the tensors of one resolution in a row, lower ones below; what rises to a merge stands under it."""
    floor = 0.0
    for depth in sorted(set(depths.values())):
        row = [name for name in spots if depths[name] == depth and name not in rising]
        framed = max((len(frames[name]) for name in row), default=0)
        y = floor - TITLE * framed - max(spots[name].crown - spots[name].y for name in row)
        for name in row:
            spots[name].y = y
        floor = min(spots[name].low for name in row)
        risers = [spots[name] for name in rising if depths[name] == depth]
        if risers:
            for spot in risers:
                spot.y = floor - STEP - spot.half[1]
            floor = min(spot.low for spot in risers)
        floor -= MARGIN * framed + STEP


def _connect(plan: Plan, depths: Mapping[str, int], rising: Mapping[str, str]) -> None:
    connect(plan)
    for wire in plan.wires:
        start, end = plan.spots[wire.source], plan.spots[wire.target]
        source, target = wire.edge.source, wire.edge.target
        if rising.get(source) == target:
            wire.run(curve([(start.x, start.top + 1), (start.x, (start.top + end.low) / 2), (end.x, end.low - 1)], 0))
        elif depths[target] > depths[source]:
            middle = (start.low + end.crown) / 2
            wire.run(curve([(start.x, start.low - 2), (start.x, middle), (end.x, middle), (end.x, end.crown + 1)]))
        elif depths[target] < depths[source]:
            aside = abs(end.x - start.x) > start.half[0] + 8
            way = [(start.exit[0] + 1, start.y), (end.x, start.y)] if aside else [(start.x, start.crown + 1), (end.x, start.crown + 9)]
            wire.run(curve([*way, (end.x, end.low - 2)], 7 if aside else 0))


def _frame(plan: Plan) -> None:
    """Draw every frame around what is in it, an inner one first."""
    made: dict[str, Room] = {}
    for room in reversed(plan.rooms):
        inside = [plan.spots[part] for name in within(room.box) for part in plan.parts[name]]
        inner = [made[box.id] for box in room.box.inside if box.id in made]
        made[room.box.id] = room.around(
            min([spot.left for spot in inside] + [each.left for each in inner]),
            min([spot.low for spot in inside] + [each.low for each in inner]),
            max([spot.right for spot in inside] + [each.right for each in inner]),
            max([spot.crown for spot in inside] + [each.high for each in inner]),
        )
    plan.rooms = [made[room.box.id] for room in plan.rooms]
