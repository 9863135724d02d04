"""The style `paper`: tensors as volumes from left to right, as wide as their channels and as high as their resolution.

Graphviz measures all texts and places what is not a chain; chains are placed here. The volumes are painted onto Graphviz's canvas, so that
all of its output formats contain them, and TikZ draws the same strokes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape, unescape
from math import ceil
from typing import Any

import graphviz

from archc.compiler.draw import bridges, key, strip, u_form
from archc.compiler.draw.condense import Run, condensed, paths
from archc.compiler.draw.dot import below, digraph, frame
from archc.compiler.draw.figure import percent
from archc.compiler.draw.kernels import kernels
from archc.compiler.draw.labels import drop, on_volumes
from archc.compiler.draw.layout import laid_out
from archc.compiler.draw.plan import Plan, Wire, clusters, given, point, read, write
from archc.compiler.draw.rows import wrap
from archc.compiler.draw.scene import Box, Edge, Scene
from archc.compiler.draw.shapes import LINE, PARTLY, Volume, drawn, volume
from archc.compiler.draw.strokes import Stroke, rounded, xdot
from archc.compiler.draw.style import Look
from archc.compiler.draw.titles import cleared
from archc.compiler.shapes.dim import show_shape

SIZE = 9.0  # points of text
READABLE = 5.5  # points of text in a column, if the figure can be broken into rows


@dataclass
class Title:
    """The title of a frame; `x`, `y` is its middle, or, if it is `painted`, its left end."""

    text: str
    x: float
    y: float
    painted: bool = False  # Graphviz has no cluster for it


@dataclass
class Figure:
    """A figure with all places, whatever writes it. `strokes` are painted in order, after the frames and below the texts."""

    plan: Plan
    strokes: list[Stroke]
    titles: list[Title]
    key: list[key.Entry]
    look: Look
    laid: Any  # the drawing, with its places as attributes


def paper_dot(scene: Scene, look: Look = Look()) -> str:  # noqa: B008 (it is frozen)
    """Return the DOT of a scene with all positions and the volumes as background, for `layout.render(..., placed=True)`."""
    made = figure(scene, look)
    c, laid = made.look.colours, made.laid
    laid.graph_attr["_background"] = xdot(made.strokes)
    texts = [key.text_node(f"key/{each.family or each.text}", each.text, each.start, each.y, 9, c["ink"]) for each in made.key]
    texts += [
        key.text_node(f"title/{number}", title.text, title.x, title.y, 10, c["faint"])
        for number, title in enumerate(made.titles)
        if title.painted
    ]
    return f"{str(laid.to_string()).rstrip().removesuffix('}')}{''.join(texts)}}}\n"


def figure(scene: Scene, look: Look) -> Figure:
    """Place everything in a figure of a scene, and draw it as strokes."""
    look = replace(look, volumes=True)
    scene = condensed(scene)
    drop(scene, look.hide)
    texts = on_volumes(scene, look.labels, {box.id: name for box, name in paths(scene)})
    scale = look.total(scene)
    for box in scene.shown() if look.heat else ():
        if box.family not in ("input", "merge") and scale.share(box) and look.labels != "none":
            texts[box.id] = (*texts[box.id], percent(scale.share(box)))
    streams = _streams(scene)
    volumes, parts = {}, {}
    for box in scene.shown():
        count = streams[box.id]
        parts[box.id] = [box.id] if count == 1 else [f"{box.id}/{stream}" for stream in range(count)]
        if box.family != "merge":
            for number, part in enumerate(parts[box.id]):
                lines = _shared(texts[box.id], box, count) if count > 1 else texts[box.id]
                volumes[part] = volume(box, count, lines)
                if number < count - 1:  # the last one has the name for all
                    own = tuple(line for line in lines if line == show_shape(_part(box, count)))[-1:]
                    volumes[part] = replace(volumes[part], lines=own, headed=False)
    dot = digraph(scene, look, "LR")
    dot.attr("graph", nodesep="0.12", ranksep="0.32", splines="spline")
    for box in scene.boxes:
        _draw(box, dot, look, volumes, parts, texts)
    wires = [wire for edge in scene.edges for wire in _wires(edge, scene, parts)]
    for number, wire in enumerate(wires):
        style = {"style": "dashed"} if wire.edge.training_only else {}
        weight = "10" if wire.edge.spine else "1"
        dot.edge(f"{wire.source}:v:e", f"{wire.target}:v:w", id=f"wire{number}", weight=weight, **style)
    below(scene, dot, replace(look, legend=False))
    laid = laid_out(dot.source)
    plan = read(laid, scene, wires, volumes, parts)
    plan.limit = 72 * look.figure.width * SIZE / READABLE
    path, depths = strip.chain(plan), u_form.levels(plan)
    places = plan.places()
    if depths is not None:
        u_form.u_form(plan, depths)
    elif path is not None and plan.limit:
        strip.column(plan, path)
    elif path is not None and not strip.fill(plan, path):
        wrap(plan)
    if (path is None and depths is None) or not plan.clear():
        plan.move(places)
        _behind_signs(plan)
        wrap(plan)
    write(plan, laid, lambda volume: _table(volume, above=False))
    cleared(laid)
    found = key.entries(scene, look)
    _under(plan, laid, found)
    titles = [
        Title(f"{texts[room.box.id][0]} …", room.left + 10, room.high - 12, True)
        for room in plan.rooms
        if not room.first and texts[room.box.id]
    ]
    titles += _partial(plan)
    titles += [Title(_text(cluster), *point(cluster.graph_attr["lp"])) for cluster in clusters(laid) if given(cluster.graph_attr, "lp")]
    return Figure(plan, _strokes(plan, look, found), titles, found, look, laid)


def _partial(plan: Plan) -> Iterator[Title]:
    """Yield how many of several neighbours have a shortcut, where not all have."""
    for spot in plan.spots.values():
        if isinstance(spot.box, Run) and spot.volume and spot.volume.partly:
            text = f"{spot.box.skipping} of {spot.box.members}"
            yield Title(text, spot.x - key.LETTER * len(text) / 2, spot.crown - PARTLY / 2, True)


def _behind_signs(plan: Plan) -> None:
    """Let arrows that Graphviz has drawn begin behind the signs of shortcuts."""
    for wire in plan.wires:
        start = plan.spots[wire.source]
        right = start.x + start.half[0]
        if start.exit[0] > right and abs(wire.points[0][0] - right) < 4:
            wire.points[:2] = [(max(x, start.exit[0]), y) for x, y in wire.points[:2]]


def _text(cluster: Any) -> str:
    return unescape(str(cluster.graph_attr["label"]).removeprefix("<").removesuffix(">"))


def _under(plan: Plan, laid: Any, found: list[key.Entry]) -> None:
    """Place the key and the caption below everything."""
    left, low, right, high = plan.ends()
    low = key.placed(found, left, right, low - 8) if found else low
    left = min([left] + [entry.x for entry in found])
    right = max([right] + [entry.x + entry.wide for entry in found])
    if plan.scene.caption:
        wide, tall = (72 * float(laid.graph_attr[side]) for side in ("lwidth", "lheight"))
        laid.graph_attr["lp"] = f"{(left + right) / 2:.2f},{low - tall / 2 - 4:.2f}"
        low -= tall + 8
        left, right = min(left, (left + right - wide) / 2), max(right, (left + right + wide) / 2)
    laid.graph_attr["bb"] = f"{left:.2f},{low:.2f},{right:.2f},{high:.2f}"


def _strokes(plan: Plan, look: Look, found: list[key.Entry]) -> list[Stroke]:
    c, total = look.colours, look.total(plan.scene)
    pattern = look.theme == "print" and not look.heat
    strokes = [
        Stroke(rounded(room.left, room.low, room.right, room.high), c["frame"], width=0.9, dashed=room.box.training_only)
        for room in plan.rooms
        if not room.first
    ]
    fills = {}
    for part, spot in plan.spots.items():
        if spot.volume is None or spot.box is None:
            continue
        fills[part] = look.fill(spot.box, total)
        dashed = spot.box.training_only or spot.box.family == "unknown"
        family = spot.box.family if pattern else ""
        strokes += drawn(spot.volume, (spot.x, spot.y), fills[part], c["line"], c["ground"], family, dashed)
    strokes += kernels(plan, look, fills)
    for spot in plan.spots.values():
        if spot.volume is not None and spot.volume.skips:
            strokes += bridges.bridge(spot, spot.volume.skips, c)
    for entry in found:
        if entry.family in bridges.KEY:
            strokes += bridges.swatch(entry.family, (entry.x + 9, entry.y), c)
        elif entry.fill:
            swatch = entry.swatch
            centre = (entry.x + swatch.box[0] / 2, entry.y)
            strokes += drawn(swatch, centre, entry.fill, c["line"], c["ground"], entry.family if pattern else "")
    return strokes


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


def _part(box: Box, streams: int) -> tuple[Any, ...]:
    """Return the shape of the part of a tensor that lies in one stream."""
    first = box.shape[0] if box.shape else 0
    return (first // streams, *box.shape[1:]) if isinstance(first, int) and first % streams == 0 else box.shape


def _shared(lines: tuple[str, ...], box: Box, streams: int) -> tuple[str, ...]:
    """Return the lines of a tensor in several streams, with the shape of one part."""
    return tuple(show_shape(_part(box, streams)) if line == show_shape(box.shape) else line for line in lines)


def _draw(
    box: Box, dot: graphviz.Digraph, look: Look, volumes: dict[str, Volume], parts: dict[str, list[str]], texts: dict[str, tuple[str, ...]]
) -> None:
    c = look.colours
    if box.opened:
        with dot.subgraph(name=f"cluster_{box.id}") as inner:
            frame(box, inner, look, filled=False)
            inner.attr("graph", label=f"<{escape('  '.join(texts[box.id]))}>" if texts[box.id] else "")
            for within in box.inside:
                _draw(within, inner, look, volumes, parts, texts)
        return
    if box.family == "merge":
        dot.node(box.id, label=box.title, id=box.id, tooltip=graphviz.escape(box.tooltip), shape="circle", style="filled",
                 fillcolor=c["merge"], fixedsize="true", width="0.3", height="0.3")  # fmt: skip
        return
    names = parts[box.id]
    with dot.subgraph() as column:
        for number, part in enumerate(names):
            tooltip = graphviz.escape(box.tooltip)
            column.node(part, label=_table(volumes[part]), id=part, tooltip=tooltip, shape="plain", fontsize="9")
            if number:
                column.edge(names[number - 1], part, style="invis")
        if len(names) > 1:
            column.attr(rank="same")


def _table(volume: Volume, above: bool = True) -> str:
    """Return a table with space for the volume, where edges end, and its text below; `above`, with as much space above as below."""
    bold = volume.headed
    lines = [f"<B>{escape(line)}</B>" if not number and bold else escape(line) for number, line in enumerate(volume.lines)]
    wide, high = volume.box
    text = "".join(f'<TR><TD HEIGHT="{LINE - 1 if number else LINE - 3:.0f}">{line}</TD></TR>' for number, line in enumerate(lines))
    text = f'<TR><TD HEIGHT="3"></TD></TR>{text}' if lines else ""
    cell = f'<TD PORT="v" FIXEDSIZE="TRUE" WIDTH="{ceil(wide)}" HEIGHT="{ceil(high)}" BGCOLOR="#ffffff01"></TD>'  # for the pointer
    space = ""
    if above and (free := max(volume.text, volume.over)):
        space = f'<TR><TD HEIGHT="{free:.0f}"></TD></TR>'
        text += f'<TR><TD HEIGHT="{free - volume.text:.0f}"></TD></TR>' if free > volume.text else ""
    if above and (free := bridges.beside(volume.skips)):
        side = f'<TD WIDTH="{free:.0f}"></TD>'
        cell = f"{side}{cell}{side}"
    room = f'<TR><TD><TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>{cell}</TR></TABLE></TD></TR>'
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{space}{room}{text}</TABLE>>'


def _wires(edge: Edge, scene: Scene, parts: dict[str, list[str]]) -> list[Wire]:
    """Return one arrow or, between streams, one per connected pair: crossing ones if each sees both."""
    sources, targets = parts[edge.source], parts[edge.target]
    target = next(box for box in scene.shown() if box.id == edge.target)
    groups = target.nodes[0].attrs.get("groups", 1) if target.nodes else 1
    apart = len(sources) == len(targets) > 1 and (groups == len(targets) or target.family == "pooling")
    pairs = list(zip(sources, targets, strict=True)) if apart else [(a, b) for a in sources for b in targets]
    return [Wire(edge, source, end) for source, end in pairs]
