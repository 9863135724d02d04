"""The style `paper`: feature maps as volumes from left to right, as wide as their channels and as high as their resolution.

Graphviz places invisible boxes and routes the edges; the volumes are then painted onto its canvas, so that all of Graphviz's
output formats contain them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from math import ceil, log2, sqrt

import graphviz

from archc.compiler.analysis.notation import notation
from archc.compiler.draw.dot import below, cut, digraph, frame
from archc.compiler.draw.layout import Point, centres
from archc.compiler.draw.scene import Box, Edge, Scene
from archc.compiler.draw.style import LID, SIDE, Look, shade
from archc.compiler.draw.titles import titled

SLANT = 0.32  # offset of the depth to the right and up, relative to the height of a volume
QUIET = ("pad", "pad_mode", "bias", "ceil", "count_pad")  # options that figures in papers do not show
LINE = 12.0  # line height of a label, in points


@dataclass(frozen=True)
class Volume:
    """One tensor, or the part of it in one stream, in points."""

    wide: float
    high: float
    deep: float
    name: str = ""
    lines: tuple[str, ...] = ()
    outline: float = 0.9  # line width, in points
    double: bool = False  # whether the front has a second outline

    @property
    def box(self) -> tuple[float, float]:
        """Return the width and height of the drawing, including the depth."""
        return self.wide + self.deep, self.high + self.deep


def paper_dot(scene: Scene, look: Look = Look()) -> str:  # noqa: B008 (it is frozen)
    """Return the DOT of a scene with all positions and the volumes as background, for `layout.render(..., placed=True)`."""
    look = replace(look, volumes=True)
    scene = without_steps(scene)
    streams = _streams(scene)
    volumes = {box.id: _volume(box, streams[box.id]) for box in scene.shown() if box.family != "merge"}
    dot = digraph(scene, look, "LR")
    dot.attr("graph", nodesep="0.12", ranksep="0.32", splines="spline")
    for box in scene.boxes:
        _draw(box, dot, look, volumes, streams)
    boxes = {box.id: box for box in scene.shown()}
    for edge in scene.edges:
        _connect(edge, boxes[edge.target], dot, look, streams)
    below(scene, dot, look)
    laid = titled(dot.source, widen=False)
    laid.graph_attr["_background"] = _paint(scene, look, volumes, streams, centres(laid))
    return str(laid.to_string())


def without_steps(scene: Scene) -> Scene:
    """Remove what only names, reshapes or acts elementwise: figures in papers draw tensors."""
    passed = {
        box.id
        for box in scene.shown()
        if box.family in ("activation", "normalization", "regularization", "output") or (box.nodes and box.nodes[0].operator.unrolls)
    }
    into = {edge.target: edge for edge in scene.edges}

    def origin(name: str) -> str:
        while name in passed:
            name = into[name].source
        return name

    edges = [replace(edge, source=origin(edge.source)) for edge in scene.edges if edge.target not in passed]
    return Scene(scene.name, scene.title, _kept(scene.boxes, passed), edges, caption=scene.caption)


def _kept(boxes: list[Box], passed: set[str]) -> list[Box]:
    return [replace(box, inside=_kept(box.inside, passed)) if box.opened else box for box in boxes if box.id not in passed]


def _streams(scene: Scene) -> dict[str, int]:
    """Return how many devices hold a part of each tensor: those of the operator, or of its input if it passes them on."""
    into: dict[str, str] = {}
    for edge in scene.edges:
        into.setdefault(edge.target, edge.source)
    found: dict[str, int] = {}
    for box in scene.shown():
        own = len(box.nodes[0].place) if box.nodes else 0
        inherits = box.family not in ("convolution", "dense", "input", "output", "block", "merge")
        found[box.id] = own if own > 1 else found.get(into.get(box.id, ""), 1) if inherits else 1
    return found


def _volume(box: Box, streams: int) -> Volume:
    sizes = [dim if isinstance(dim, int) else 64 for dim in box.shape] or [1]
    channels = sizes[0] / streams
    name, title = _named(box)
    lines = tuple(line for line in (title, box.times, "x".join(map(str, box.shape))) if line)
    outline, double = 2.2 if box.family == "dense" else 0.9, box.family == "block"
    if len(sizes) == 1:  # a vector: a bar
        return Volume(7, 22 + 9 * log2(channels + 1), 6, name, lines, outline, double)
    side = max(sizes[1:])
    high = 6 + 9.5 * sqrt(side)
    wide, high, deep = 3 + 2.1 * sqrt(channels), high / sqrt(streams), SLANT * high / sqrt(streams)
    return Volume(wide, high, deep, name, lines, outline, double)


def _named(box: Box) -> tuple[str, str]:
    """Return the name, if it is a word, and a short description."""
    if box.family in ("input", "output"):
        return box.name, ""
    title = notation(box.nodes[0], QUIET) if box.family != "block" and box.nodes else cut(box.title, 20)
    return "" if box.name.isdigit() else box.name, title


def _parts(name: str, streams: dict[str, int]) -> list[str]:
    return [name] if streams.get(name, 1) == 1 else [f"{name}/{stream}" for stream in range(streams[name])]


def _draw(box: Box, dot: graphviz.Digraph, look: Look, volumes: dict[str, Volume], streams: dict[str, int]) -> None:
    c = look.colours
    if box.opened:
        with dot.subgraph(name=f"cluster_{box.id}") as inner:
            frame(box, inner, look, filled=False)
            for within in box.inside:
                _draw(within, inner, look, volumes, streams)
        return
    if box.family == "merge":
        dot.node(box.id, label=box.title, id=box.id, tooltip=graphviz.escape(box.tooltip), shape="circle", style="filled",
                 fillcolor=c["merge"], fixedsize="true", width="0.3", height="0.3")  # fmt: skip
        return
    parts = _parts(box.id, streams)
    with dot.subgraph() as column:
        for number, part in enumerate(parts):
            column.node(
                part,
                label=_table(volumes[box.id], part is parts[-1]),
                id=part,
                tooltip=graphviz.escape(box.tooltip),
                shape="plain",
                fontsize="9",
            )
            if number:
                column.edge(parts[number - 1], part, style="invis")
        if len(parts) > 1:
            column.attr(rank="same")


def _table(volume: Volume, labelled: bool) -> str:
    """Return a table with space for the volume, where edges end, its text below, and equal space above to align all volumes."""
    lines = [f"<B>{escape(volume.name)}</B>"] * bool(volume.name) + [escape(line) for line in volume.lines] if labelled else []
    wide, high = volume.box
    space = f'<TR><TD HEIGHT="{LINE * len(lines):.0f}"></TD></TR>' if lines else ""
    text = f'<TR><TD HEIGHT="{LINE * len(lines):.0f}" CELLPADDING="0">{"<BR/>".join(lines)}</TD></TR>' if lines else ""
    cell = f'<TD PORT="v" FIXEDSIZE="TRUE" WIDTH="{ceil(wide)}" HEIGHT="{ceil(high)}" BGCOLOR="#ffffff01"></TD>'  # for the pointer
    room = f'<TR><TD><TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>{cell}</TR></TABLE></TD></TR>'
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{space}{room}{text}</TABLE>>'


def _connect(edge: Edge, target: Box, dot: graphviz.Digraph, look: Look, streams: dict[str, int]) -> None:
    """Draw one arrow or, between streams, one per connected pair: crossing ones if each sees both."""
    sources, targets = _parts(edge.source, streams), _parts(edge.target, streams)
    groups = target.nodes[0].attrs.get("groups", 1) if target.nodes else 1
    apart = len(sources) == len(targets) > 1 and (groups == len(targets) or target.family == "pooling")
    pairs = list(zip(sources, targets, strict=True)) if apart else [(a, b) for a in sources for b in targets]
    for source, end in pairs:
        found = {"weight": "10" if edge.spine else "1"}
        if edge.training_only:
            found["style"] = "dashed"
        dot.edge(f"{source}:v:e", f"{end}:v:w", **found)


def _paint(scene: Scene, look: Look, volumes: dict[str, Volume], streams: dict[str, int], centres: dict[str, Point]) -> str:
    """Paint the volumes at the positions of their boxes."""
    boxes, total = {box.id: box for box in scene.shown()}, look.total(scene)
    strokes = []
    for name, volume in volumes.items():
        box = boxes[name]
        for part in _parts(name, streams):
            dashed = box.training_only or box.family == "unknown"
            strokes.append(_faces(volume, centres[part], look.fill(box, total), look.colours["line"], dashed))
    return " ".join(strokes)


def _faces(volume: Volume, centre: Point, colour: str, line: str, dashed: bool) -> str:
    """Return front, top and side of a volume in the language of Graphviz's xdot format."""
    w, h, d = volume.wide, volume.high, volume.deep
    left, top = centre[0] - (w + d) / 2, centre[1] + (h + d) / 2
    low = top - h - d
    front = [(left, low), (left + w, low), (left + w, low + h), (left, low + h)]
    lid = [(left, low + h), (left + w, low + h), (left + w + d, top), (left + d, top)]
    side = [(left + w, low), (left + w + d, low + d), (left + w + d, top), (left + w, low + h)]
    width = f"setlinewidth({volume.outline})"
    pen = f"S {len(width)} -{width} S {6 if dashed else 5} -{'dashed' if dashed else 'solid'} c {len(line)} -{line}"
    faces = ((front, colour), (lid, shade(colour, LID)), (side, shade(colour, SIDE)))
    strokes = [f"{pen} C 7 -{fill} P {len(corners)} {' '.join(f'{x:.2f} {y:.2f}' for x, y in corners)}" for corners, fill in faces]
    if volume.double:
        gap = min(2.5, w / 4)
        inner = [(left + gap, low + gap), (left + w - gap, low + gap), (left + w - gap, low + h - gap), (left + gap, low + h - gap)]
        strokes.append(f"p 4 {' '.join(f'{x:.2f} {y:.2f}' for x, y in inner)}")
    return " ".join(strokes)
