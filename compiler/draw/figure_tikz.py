"""TikZ output of the style `paper`: the strokes, texts and arrows of a figure, at the same places."""

from __future__ import annotations

from dataclasses import replace

from archc.compiler.draw.plan import Spot, Wire
from archc.compiler.draw.scene import Scene
from archc.compiler.draw.strokes import Stroke, colour_name, tikz
from archc.compiler.draw.style import Look
from archc.compiler.draw.tikz import caption, document, escaped
from archc.compiler.draw.volumes import Figure, figure

BORDER = 8.0  # of a standalone picture, on both sides together, in points


def _size(factor: float) -> str:
    return rf"\fontsize{{{8.5 * factor:.3g}}}{{{10.5 * factor:.3g}}}\selectfont{{}}"


def paper_tikz(scene: Scene, look: Look) -> str:
    """Return a standalone document; `\\input` uses its `tikzpicture` environment."""
    made = figure(replace(scene, caption=[]), look)
    c, plan = made.look.colours, made.plan
    left, _, right, _ = map(float, made.laid.graph_attr["bb"].split(","))
    page = look.figure
    factor = (72.27 * page.width - BORDER) / (right - left) if page.width else page.scale
    size = _size(factor)
    lines = [
        rf"\draw[draw={colour_name(c['frame'])}, rounded corners=8pt{', dashed' if room.box.training_only else ''}] "
        rf"({room.left:.2f},{room.low:.2f}) rectangle ({room.right:.2f},{room.high:.2f});"
        for room in plan.rooms
        if room.first
    ]
    lines += tikz(made.strokes)
    for spot in plan.spots.values():
        lines += _texts(spot, made, factor)
    lines += [_arrow(wire, c["edge"]) for wire in plan.wires]
    faint = colour_name(c["faint"])
    lines += [
        rf"\node[anchor={'west' if title.painted else 'center'}, inner sep=0pt, text={faint}] at ({title.x:.2f},{title.y:.2f}) "
        rf"{{{size}{escaped(title.text)}}};"
        for title in made.titles
    ]
    for entry in made.key:
        place = f"({entry.start:.2f},{entry.y:.2f})"
        lines.append(rf"\node[anchor=west, inner sep=0pt, text={colour_name(c['ink'])}] at {place} {{{size}{escaped(entry.text)}}};")
    return document(
        scene,
        [*lines, *caption(scene)],
        _colours(made.strokes, [c[role] for role in ("frame", "edge", "faint", "ink", "merge", "line")]),
        factor,
    )


def _colours(strokes: list[Stroke], others: list[str]) -> dict[str, str]:
    """Return all colors by their names."""
    used = [colour for stroke in strokes for colour in (stroke.line, stroke.fill) if colour]
    return {colour_name(colour): colour for colour in [*used, *others]}


def _texts(spot: Spot, made: Figure, factor: float) -> list[str]:
    c, size = made.look.colours, _size(factor)
    if spot.volume is None:
        sign = escaped(spot.box.title if spot.box else "")
        options = (
            f"circle, draw={colour_name(c['line'])}, fill={colour_name(c['merge'])}, minimum size={21.6 * factor:.2f}pt, inner sep=0pt"
        )
        return [rf"\node[{options}] at ({spot.x:.2f},{spot.y:.2f}) {{{size}{sign}}};"]
    if not spot.volume.lines:
        return []
    lines = [escaped(line) for line in spot.volume.lines]
    if spot.volume.headed:
        lines[0] = rf"\textbf{{{lines[0]}}}"
    options = f"anchor=north, inner sep=1pt, text={colour_name(c['ink'])}"
    return [rf"\node[{options}] at ({spot.x:.2f},{spot.y - spot.half[1]:.2f}) {{{size}{(chr(92) * 2).join(lines)}}};"]


def _arrow(wire: Wire, colour: str) -> str:
    points = [f"({x:.2f},{y:.2f})" for x, y in wire.points]
    steps = [f".. controls {a} and {b} .. {c}" for a, b, c in zip(points[1::3], points[2::3], points[3::3], strict=True)]
    dashed = ", dashed" if wire.edge.training_only else ""
    return rf"\draw[->, draw={colour_name(colour)}{dashed}] {points[0]} {' '.join(steps)} -- ({wire.tip[0]:.2f},{wire.tip[1]:.2f});"
