"""The places of everything in a figure: read from what Graphviz laid out, moved, and written back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from archc.compiler.draw.arcs import single
from archc.compiler.draw.bridges import AFTER
from archc.compiler.draw.layout import Point
from archc.compiler.draw.scene import Box, Edge, Scene
from archc.compiler.draw.shapes import Volume

HEAD = 6.0  # length of an arrowhead, in points
TITLE = 21.0  # height of the title of a frame
PAD = 22.0  # around a figure, on both sides together
GAP = 10.0  # between texts
WAY = 30.0  # between volumes
STEP = 22.0  # from a text to what stands below it
MARGIN = 9.0  # between a frame and what is in it


Area = tuple[float, float, float, float]  # left, low, right, high


@dataclass
class Spot:
    """A volume, or the sign of a merge, with the text under it; in points, y upwards. `x`, `y` is the middle of the drawing."""

    part: str
    box: Box | None  # None: an entry of the key
    x: float
    y: float
    wide: float  # with the text
    text: float  # height of the text
    volume: Volume | None = None

    @property
    def half(self) -> tuple[float, float]:
        """Return half of the width and height of the drawing."""
        wide, high = self.volume.box if self.volume else (21.6, 21.6)
        return wide / 2, high / 2

    @property
    def top(self) -> float:
        """Return the upper end of the drawing."""
        return self.y + self.half[1]

    @property
    def crown(self) -> float:
        """Return the upper end with the shortcuts of a block."""
        return self.top + (self.volume.over if self.volume else 0.0)

    @property
    def low(self) -> float:
        """Return the lower end, with the text."""
        return self.y - self.half[1] - self.text

    @property
    def left(self) -> float:
        """Return the left end of the drawing or of its text."""
        return self.x - max(self.wide / 2, self.half[0])

    @property
    def right(self) -> float:
        """Return the right end of the drawing or of its text."""
        return self.x + max(self.wide / 2, self.half[0])

    @property
    def mouth(self) -> Point:
        """Return where arrows end."""
        return self.x - self.half[0], self.y

    @property
    def exit(self) -> Point:
        """Return where arrows begin: after the sign of a shortcut, where there is one."""
        return self.x + self.half[0] + (AFTER if self.volume and single(self.volume.skips) else 0.0), self.y


@dataclass
class Wire:
    """An arrow between two spots: the control points of its curves, and its tip."""

    edge: Edge
    source: str
    target: str
    points: list[Point] = field(default_factory=list)
    tip: Point = (0.0, 0.0)

    def run(self, points: list[Point]) -> None:
        """Take a way by its control points; the arrowhead takes its end."""
        (ax, ay), (bx, by) = points[-2], points[-1]
        length = ((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5 or 1.0
        self.tip = (bx, by)
        self.points = [*points[:-1], (bx - HEAD * (bx - ax) / length, by - HEAD * (by - ay) / length)]


@dataclass
class Room:
    """The frame of an opened block, or the part of it that is in one row."""

    box: Box
    left: float
    low: float
    right: float
    high: float
    first: bool = True
    title: float = 0.0  # width of its title

    def around(self, left: float, low: float, right: float, high: float) -> Room:
        """Return the frame around what lies within these bounds, wide enough for its title."""
        left -= MARGIN
        right = max(right + MARGIN, left + self.title + 2 * MARGIN if self.title else left)
        return replace(self, left=left, low=low - MARGIN, right=right, high=high + TITLE)


@dataclass
class Plan:
    """A figure with all places."""

    scene: Scene
    spots: dict[str, Spot]
    wires: list[Wire]
    rooms: list[Room]
    parts: dict[str, list[str]]  # the spots of every box: several where it is in several streams
    limit: float = 0.0  # the width, in points, at which texts can be read in a column; 0 for a slide

    @property
    def wide(self) -> float:
        """Return the width, with the space around."""
        left, _, right, _ = self.ends()
        return right - left + PAD

    def ends(self) -> tuple[float, float, float, float]:
        """Return left, low, right and high of everything."""
        spots, rooms = self.spots.values(), self.rooms
        points = [point for wire in self.wires for point in [*wire.points, wire.tip]]
        return (
            min([spot.left for spot in spots] + [room.left for room in rooms] + [x for x, _ in points]),
            min([spot.low for spot in spots] + [room.low for room in rooms] + [y for _, y in points]),
            max([spot.right for spot in spots] + [room.right for room in rooms] + [x for x, _ in points]),
            max([spot.crown for spot in spots] + [room.high for room in rooms] + [y for _, y in points]),
        )

    def places(self) -> tuple[dict[str, Spot], list[Wire], list[Room]]:
        """Return copies of everything that has a place."""
        return (
            {part: replace(spot) for part, spot in self.spots.items()},
            [replace(wire, points=list(wire.points)) for wire in self.wires],
            [replace(room) for room in self.rooms],
        )

    def move(self, places: tuple[dict[str, Spot], list[Wire], list[Room]]) -> None:
        """Take places that `places` has returned."""
        self.spots, self.wires, self.rooms = places

    def clear(self) -> bool:
        """Return whether no volume or text lies on another one, or in a frame that is not around it."""
        spots = [spot for spot in self.spots.values() if spot.box]
        areas = [(spot.left + 1, spot.low + 1, spot.right - 1, spot.top - 1) for spot in spots]
        meet = any(_meet(a, b) for a, b in combinations(areas, 2))
        owned = [(room, {part for name in within(room.box) for part in self.parts[name]}) for room in self.rooms]
        return not meet and not any(
            spot.part not in parts and _meet(area, (room.left, room.low, room.right, room.high))
            for room, parts in owned
            for spot, area in zip(spots, areas, strict=True)
        )

    def wire(self, source: str, target: str) -> Wire | None:
        """Return the arrow from one spot to another."""
        return next((wire for wire in self.wires if (wire.source, wire.target) == (source, target)), None)


def _meet(a: Area, b: Area) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def read(laid: Any, scene: Scene, wires: list[Wire], volumes: dict[str, Volume], parts: dict[str, list[str]]) -> Plan:
    """Return the places of a drawing that is laid out; the edge number n of it has the id `wire n`."""
    owner = {part: box for box in scene.shown() for part in parts[box.id]}
    spots = {}
    for node in laid.nodes():
        name = str(node)
        if name in owner:
            x, y = point(node.attr["pos"])
            volume = volumes.get(name)
            spots[name] = Spot(name, owner[name], x, y, 72 * float(node.attr["width"]), volume.text if volume else 0.0, volume)
    for edge in laid.edges():
        if given(edge.attr, "id").startswith("wire"):
            wire = wires[int(edge.attr["id"][4:])]
            tip, *points = edge.attr["pos"].split()
            wire.tip, wire.points = point(tip[2:]), [point(each) for each in points]
    boxes = {box.id: box for box in scene.every()}
    rooms = []
    for cluster in clusters(laid):
        left, low, right, high = map(float, cluster.graph_attr["bb"].split(","))
        title = 1.03 * 72 * float(given(cluster.graph_attr, "lwidth") or 0)  # other programs may draw it wider
        rooms.append(Room(boxes[str(cluster.name).removeprefix("cluster_")], left, low, right, high, title=title))
    return Plan(scene, spots, wires, rooms, parts)


def write(plan: Plan, laid: Any, label: Callable[[Volume], str]) -> None:
    """Write the places into the drawing, and the label of every volume. Frames of further rows have no place in it: they are painted."""
    for node in laid.nodes():
        spot = plan.spots[str(node)]
        node.attr["pos"] = f"{spot.x:.2f},{spot.y - spot.text / 2:.2f}"
        if spot.volume is not None:
            node.attr["label"] = label(spot.volume)
            node.attr["height"] = f"{(spot.volume.box[1] + spot.text) / 72:.4f}"
    for edge in laid.edges():
        if given(edge.attr, "style") == "invis":  # which kept streams apart
            (ax, ay), (bx, by) = (plan.spots[end].exit for end in edge_ends(edge))
            edge.attr["pos"] = f"e,{bx:.2f},{by:.2f} {ax:.2f},{ay:.2f} {ax:.2f},{ay:.2f} {bx:.2f},{by:.2f} {bx:.2f},{by:.2f}"
        if given(edge.attr, "id").startswith("wire"):
            wire = plan.wires[int(edge.attr["id"][4:])]
            points = " ".join(f"{x:.2f},{y:.2f}" for x, y in wire.points)
            edge.attr["pos"] = f"e,{wire.tip[0]:.2f},{wire.tip[1]:.2f} {points}"
    rooms = {room.box.id: room for room in plan.rooms if room.first}
    for cluster in clusters(laid):
        room = rooms[str(cluster.name).removeprefix("cluster_")]
        cluster.graph_attr["bb"] = f"{room.left:.2f},{room.low:.2f},{room.right:.2f},{room.high:.2f}"
        if given(cluster.graph_attr, "lwidth"):
            wide = 72 * float(cluster.graph_attr["lwidth"])
            cluster.graph_attr["lp"] = f"{room.left + 8 + wide / 2:.2f},{room.high - 12:.2f}"
    left, low, right, high = plan.ends()
    laid.graph_attr["bb"] = f"{left:.2f},{low:.2f},{right:.2f},{high:.2f}"


def given(attributes: Any, name: str) -> str:
    """Return an attribute of a drawing, or "" if nothing in it has one of that name."""
    try:
        return attributes[name] or ""
    except KeyError:
        return ""


def edge_ends(edge: Any) -> list[str]:
    """Return the names of the ends of an edge in a drawing."""
    return list(map(str, edge)) if isinstance(edge, tuple) else edge.name.split("->")


def clusters(graph: Any) -> Iterator[Any]:
    """Yield the frames of a drawing, an outer one before those in it."""
    for inner in graph.subgraphs():
        if str(inner.name).startswith("cluster"):
            yield inner
        yield from clusters(inner)


def point(text: str) -> Point:
    """Read a point as Graphviz writes it."""
    x, y = text.lstrip("!").split(",")
    return float(x), float(y)


def within(box: Box) -> Iterable[str]:
    """Return the ids of the boxes in an opened block, at any depth."""
    for inner in box.inside:
        if inner.opened:
            yield from within(inner)
        else:
            yield inner.id
