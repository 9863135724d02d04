"""Figures whose tensors are one chain with skips: a strip from left to right.

Other networks have the places that Graphviz gives them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from archc.compiler.draw import branches
from archc.compiler.draw.layout import Point
from archc.compiler.draw.plan import GAP, MARGIN, WAY, Plan, Room, Wire, within
from archc.compiler.draw.rows import BROAD, SLIDE, ratio, wrap
from archc.compiler.draw.scene import Box
from archc.compiler.draw.spine import main_paths
from archc.compiler.draw.strokes import curve

LANE = 9.0  # between two skips, one above the other
HIGHER = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2)  # how much higher the volumes of a strip may be, so that it is as high as a slide
CLOSE = 0.6  # of the usual gaps, in a column
SMALL = 0.65  # height of a volume in a column, as a share of the usual one
SLACK = 1.1  # how much wider one row may be than what can be read well
ENOUGH = 2.2  # width over height of a strip that stays one


def chain(plan: Plan) -> list[str] | None:
    """Return the ids of the boxes in the order of the main path, or None if there is more than branches beside it."""
    paths = main_paths(plan.scene)
    if len(paths) != 1:
        return None
    (path,) = paths
    out = defaultdict(list)
    for edge in plan.scene.edges:
        out[edge.source].append(edge.target)
    while len(out[path[-1]]) == 1 and out[path[-1]][0] not in path:  # after an output
        path.append(out[path[-1]][0])
    at = {name: number for number, name in enumerate(path)}
    forward = all(at[edge.source] < at[edge.target] for edge in plan.scene.edges if edge.source in at and edge.target in at)
    return path if forward and branches.aside(plan, path) is not None else None


def fill(plan: Plan, path: list[str]) -> bool:
    """Place a chain in one row, higher where it is wider than a slide; return whether that is enough."""
    usual = {part: spot.volume for part, spot in plan.spots.items()}

    def stretched(factor: float) -> float:
        for part, v in usual.items():
            if v is not None:
                plan.spots[part].volume = replace(v, high=v.high * factor, deep=v.deep * factor**0.3) if not v.sheets else v
        strip(plan, path)
        return ratio(plan)

    for enough in (SLIDE, ENOUGH):
        if any(stretched(factor) <= enough and plan.wide <= BROAD for factor in HIGHER):
            return True
    stretched(1.0)
    return False


def column(plan: Plan, path: list[str]) -> None:
    """Place a chain so that its texts can be read in a column: close together, in rows if need be."""
    smaller(plan, SMALL)
    strip(plan, path, CLOSE)
    if plan.wide > SLACK * plan.limit:
        wrap(plan)


def smaller(plan: Plan, share: float) -> None:
    """Make all volumes lower, but not the maps of attention."""
    for spot in plan.spots.values():
        if (v := spot.volume) is not None and not v.sheets:
            spot.volume = replace(v, high=v.high * share, deep=v.deep * share)


def strip(plan: Plan, path: list[str], share: float = 1.0) -> None:
    """Place a chain from left to right, its streams one above the other, and its skips above it; `share` is that of the usual gaps."""
    boxes = {box.id: box for box in plan.scene.shown()}
    enclosing = around(plan.scene.boxes)
    spread = _spread(plan, path)
    right, edge = 0.0, 0.0  # of the texts and of the drawings before
    before: list[str] = []
    titles = {room.box.id: room.title for room in plan.rooms}
    ends: dict[str, float] = {}
    beside = branches.aside(plan, path)
    assert beside is not None, "a chain has nothing else beside it"
    for name in path:
        frames = enclosing[name]
        shared = sum(1 for a, b in zip(before, frames, strict=False) if a == b)
        right = max([right] + [ends[frame] for frame in before[shared:]])
        margin = MARGIN * (len(before) + len(frames) - 2 * shared)
        spots = [plan.spots[part] for part in plan.parts[name]]
        half, wide = max(spot.half[0] for spot in spots), max(spot.x - spot.left for spot in spots)
        way = share * (WAY if boxes[name].family != "merge" else WAY * 0.7)
        x = max(right + share * GAP + margin + wide, edge + max(way, margin + 14) + half) if before is not None and right else wide
        x = max(x, branches.needed(plan, beside, path, name, enclosing, share) + margin)
        for number, spot in enumerate(spots):
            spot.x, spot.y = x, spread * ((len(spots) - 1) / 2 - number)
        right, edge, before = x + wide, x + half, frames
        for number, frame in enumerate(frames):  # a frame is as wide as its title
            ends.setdefault(frame, x - wide - MARGIN * (len(frames) - number) + titles[frame] + MARGIN)
    branches.place(plan, path, beside, enclosing, share)
    connect(plan)
    branches.connect(plan, beside)
    _over(plan, path)


def around(boxes: list[Box], frames: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Return the frames around every box, the outermost first."""
    found: dict[str, list[str]] = {}
    for box in boxes:
        if box.opened:
            found |= around(box.inside, (*frames, box.id))
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
    skips = [wire for wire in plan.wires if at.get(wire.edge.target, 0) - at.get(wire.edge.source, len(path)) > 1]
    things: list[tuple[float, float, float]] = [(spot.left, spot.right, spot.crown) for spot in plan.spots.values() if spot.box]
    waiting: list[tuple[float, int, Wire | Box]] = []
    for number, wire in enumerate(skips):
        waiting.append((plan.spots[wire.target].x - plan.spots[wire.source].x, number, wire))
    for number, room in enumerate(plan.rooms):
        inside = [plan.spots[part] for name in within(room.box) for part in plan.parts[name]]
        wide = max(spot.right for spot in inside) - min(spot.left for spot in inside)
        waiting.append((wide + 0.1 + _levels(room.box), len(skips) + number, room.box))
    rooms: dict[str, Room] = {}
    usual = {room.box.id: room for room in plan.rooms}
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
        high = max([top for a, b, top in things if a >= left - 1 and b <= right + 1] + [room.high for room in inner])
        low = min([spot.low for spot in inside] + [room.low for room in inner])
        left, right = min([left] + [room.left for room in inner]), max([right] + [room.right for room in inner])
        rooms[thing.id] = usual[thing.id].around(left, low, right, high)
        things.append((rooms[thing.id].left, rooms[thing.id].right, rooms[thing.id].high))
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
    high = max([top for left, right, top in things if left < bx and right > ax] + [start.crown, end.crown]) + LANE
    points: list[Point] = [(ax, start.top), (ax, high), (bx, high), (bx, end.top + 1)]
    wire.run(curve(points, 8))
    return high
