"""Figures whose tensors are one chain with skips: a strip from left to right, or a U by depth of resolution.

Other networks have the places that Graphviz gives them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from math import log2

from archc.compiler.draw.layout import Point
from archc.compiler.draw.plan import MARGIN, TITLE, Plan, Room, Spot, Wire, within
from archc.compiler.draw.rows import SLIDE, ratio
from archc.compiler.draw.scene import Box
from archc.compiler.draw.strokes import curve

GAP = 10.0  # between texts, in points
WAY = 30.0  # between volumes
LANE = 9.0  # between two skips, one above the other
STEP = 22.0  # between two levels of a U
HIGHER = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0)  # how much higher the volumes of a strip may be, so that it is as high as a slide
ENOUGH = 2.3  # width over height of a strip that stays one
LOWER = 0.5  # height of a volume in a U, as a share of its height in a strip


def chain(plan: Plan) -> list[str] | None:
    """Return the ids of all boxes in the order of the main path, or None if a box is not on it."""
    after = {edge.source: edge.target for edge in plan.scene.edges if edge.spine}
    first = [box.id for box in plan.scene.shown() if box.id in after and box.id not in after.values()]
    if len(first) != 1:
        return None
    path = [first[0]]
    while path[-1] in after:
        path.append(after[path[-1]])
    at = {name: number for number, name in enumerate(path)}
    shown = {box.id for box in plan.scene.shown()}
    forward = all(at[edge.source] < at[edge.target] for edge in plan.scene.edges if edge.source in at and edge.target in at)
    return path if set(path) == shown and forward else None


def fill(plan: Plan, path: list[str]) -> bool:
    """Place a chain in one row, higher where it is wider than a slide; return whether that is enough."""
    usual = {part: spot.volume for part, spot in plan.spots.items()}

    def stretched(factor: float) -> float:
        for part, v in usual.items():
            if v is not None:
                plan.spots[part].volume = replace(v, high=v.high * factor, deep=v.deep * factor**0.3) if not v.sheets else v
        strip(plan, path)
        return ratio(plan)

    if any(stretched(factor) <= SLIDE for factor in HIGHER) or ratio(plan) <= ENOUGH:
        return True
    stretched(1.0)
    return False


def strip(plan: Plan, path: list[str]) -> None:
    """Place a chain from left to right, its streams one above the other, and its skips above it."""
    boxes = {box.id: box for box in plan.scene.shown()}
    around = _around(plan.scene.boxes)
    spread = _spread(plan, path)
    right, edge = 0.0, 0.0  # of the texts and of the drawings before
    before: list[str] = []
    for name in path:
        frames = around[name]
        shared = sum(1 for a, b in zip(before, frames, strict=False) if a == b)
        margin = MARGIN * (len(before) + len(frames) - 2 * shared)
        spots = [plan.spots[part] for part in plan.parts[name]]
        half, wide = max(spot.half[0] for spot in spots), max(spot.x - spot.left for spot in spots)
        way = WAY if boxes[name].family != "merge" else WAY * 0.7
        x = max(right + GAP + margin + wide, edge + max(way, margin + 14) + half) if before is not None and right else wide
        for number, spot in enumerate(spots):
            spot.x, spot.y = x, spread * ((len(spots) - 1) / 2 - number)
        right, edge, before = x + wide, x + half, frames
    connect(plan)
    _over(plan, path)


def _around(boxes: list[Box], frames: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Return the frames around every box, the outermost first."""
    found: dict[str, list[str]] = {}
    for box in boxes:
        if box.opened:
            found |= _around(box.inside, (*frames, box.id))
        else:
            found[box.id] = list(frames)
    return found


def _spread(plan: Plan, path: Iterable[str]) -> float:
    """Return the distance between the middles of two streams: no volume meets the text above it."""
    needed = 0.0
    for name in path:
        spots = [plan.spots[part] for part in plan.parts[name]]
        for upper, lower in pairwise(spots):
            needed = max(needed, upper.half[1] + upper.text + lower.half[1] + GAP)
    return needed


def connect(plan: Plan) -> None:
    """Draw every arrow straight from side to side, between streams as slight curves."""
    for wire in plan.wires:
        (ax, ay), (bx, by) = plan.spots[wire.source].exit, plan.spots[wire.target].mouth
        if abs(ay - by) < 0.5:
            wire.run([(ax + 1, ay), (ax + (bx - ax) / 3, ay), (bx - (bx - ax) / 3, by), (bx - 1, by)])
        else:
            bend = (bx - ax) * 0.35
            wire.run([(ax + 1, ay), (ax + bend, ay), (bx - bend - 4, by), (bx - 1, by)])


def _over(plan: Plan, path: list[str]) -> None:
    """Draw skips above what they pass, short ones below long ones, and frames around what is in them."""
    at = {name: number for number, name in enumerate(path)}
    skips = [wire for wire in plan.wires if at[wire.edge.target] - at[wire.edge.source] > 1]
    things: list[tuple[float, float, float]] = [(spot.left, spot.right, spot.top) for spot in plan.spots.values() if spot.box]
    waiting: list[tuple[float, int, Wire | Box]] = []
    for number, wire in enumerate(skips):
        waiting.append((plan.spots[wire.target].x - plan.spots[wire.source].x, number, wire))
    for number, room in enumerate(plan.rooms):
        inside = [plan.spots[part] for name in within(room.box) for part in plan.parts[name]]
        wide = max(spot.right for spot in inside) - min(spot.left for spot in inside)
        waiting.append((wide + 0.1 + _levels(room.box), len(skips) + number, room.box))
    rooms: dict[str, Room] = {}
    leaving: dict[str, int] = {}
    for _, _, thing in sorted(waiting, key=lambda each: each[:2]):
        if isinstance(thing, Wire):
            high = _skip(plan, thing, things, leaving)
            things.append((plan.spots[thing.source].x, plan.spots[thing.target].x, high))
            continue
        names = set(within(thing))
        inside = [plan.spots[part] for name in names for part in plan.parts[name]]
        left, right = min(spot.left for spot in inside), max(spot.right for spot in inside)
        inner = [rooms[box.id] for box in thing.inside if box.opened]
        high = max(top for a, b, top in things if a < right and b > left and (a >= left - 1 and b <= right + 1))
        low = min([spot.low for spot in inside] + [room.low for room in inner])
        left, right = min([left] + [room.left for room in inner]), max([right] + [room.right for room in inner])
        rooms[thing.id] = Room(thing, left - MARGIN, low - MARGIN, right + MARGIN, high + TITLE)
        things.append((left - MARGIN, right + MARGIN, high + TITLE))
    plan.rooms = [rooms[room.box.id] for room in plan.rooms]


def _levels(box: Box) -> int:
    """Return how many frames are inside one another in a block, with its own."""
    return 1 + max((_levels(inner) for inner in box.inside), default=0) if box.opened else 0


def _skip(plan: Plan, wire: Wire, things: list[tuple[float, float, float]], leaving: dict[str, int]) -> float:
    """Draw a skip above everything between its ends; return its height."""
    start, end = plan.spots[wire.source], plan.spots[wire.target]
    turn = leaving.get(wire.source, 0)
    leaving[wire.source] = turn + 1
    ax, bx = start.x + (start.volume.deep / 2 if start.volume else 0) + 4 * turn, end.x + (end.volume.deep / 2 if end.volume else 0)
    high = max([top for left, right, top in things if left < bx and right > ax] + [start.top, end.top]) + LANE
    points: list[Point] = [(ax, start.top), (ax, high), (bx, high), (bx, end.top + 1)]
    wire.run(curve(points, 8))
    return high


# ---- a U


def levels(plan: Plan, path: list[str]) -> list[int] | None:
    """Return how often the resolution was halved at every box of a chain; None if it is not one that goes down, up again, and skips."""
    if any(len(parts) > 1 for parts in plan.parts.values()) or plan.rooms:
        return None
    boxes = {box.id: box for box in plan.scene.shown()}
    found, level, side = [], 0, 0
    for name in path:
        sizes = [size for size in boxes[name].shape[1:] if isinstance(size, int)]
        if len(sizes) < 2 or len(sizes) < len(boxes[name].shape) - 1:
            return None
        now = max(sizes)
        level += round(log2(side / now) * 1.2) if side and max(side, now) / min(side, now) >= 1.5 else 0
        found.append(level)
        side = now
    deepest = found.index(max(found))
    down, up = found[: deepest + 1], found[deepest:]
    if max(found) < 2 or down != sorted(down) or up != sorted(up, reverse=True) or up[-1] > 1 or min(found) < 0:
        return None
    at = dict(zip(path, found, strict=True))
    skips = [edge for edge in plan.scene.edges if not edge.spine]
    return found if len(skips) >= 2 and all(at[edge.source] == at[edge.target] for edge in skips) else None


def u_form(plan: Plan, path: list[str], depths: list[int]) -> None:
    """Place a chain as a U: tensors of one resolution in a row, lower ones below; skips run straight across."""
    for spot in plan.spots.values():
        if spot.volume is not None:
            v = spot.volume
            spot.volume = replace(v, high=v.high * LOWER, deep=v.deep * LOWER)
    rows: dict[int, list[Spot]] = {}
    spots = [plan.spots[plan.parts[name][0]] for name in path]
    for spot, depth in zip(spots, depths, strict=True):
        rows.setdefault(depth, []).append(spot)
    y, floor = 0.0, 0.0
    for depth in sorted(rows):
        row = rows[depth]
        y = floor - max(spot.half[1] for spot in row) if depth else 0.0
        for spot in row:
            spot.y = y
        floor = min(spot.low for spot in row) - STEP
    for number, (spot, depth) in enumerate(zip(spots, depths, strict=True)):
        if not number:
            spot.x = spot.x - spot.left
            continue
        before = spots[number - 1]
        aside = max(spot.x - spot.left, spot.half[0])
        if depth > depths[number - 1]:
            spot.x = before.x
            clash = [other.right for other in rows[depth] if other is not spot and spots.index(other) < number]
            spot.x = max([spot.x] + [end + GAP + aside for end in clash])
        elif depth < depths[number - 1]:
            spot.x = max(before.right, before.x + before.half[0]) + aside * 0.45
        else:
            spot.x = max(before.right + GAP + aside, before.x + before.half[0] + WAY + spot.half[0])
    connect(plan)
    at = dict(zip(path, depths, strict=True))
    for wire in plan.wires:
        start, end = plan.spots[wire.source], plan.spots[wire.target]
        if at[wire.edge.target] > at[wire.edge.source]:
            wire.run(
                curve(
                    [
                        (start.x, start.low - 2),
                        (start.x, (start.low + end.top) / 2),
                        (end.x, (start.low + end.top) / 2),
                        (end.x, end.top + 1),
                    ]
                )
            )
        elif at[wire.edge.target] < at[wire.edge.source]:
            wire.run(curve([(start.exit[0] + 1, start.y), (end.x, start.y), (end.x, end.low - 2)]))
