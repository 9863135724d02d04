"""TikZ output of the style `paper`: the strokes, texts and arrows of a figure, at the same places."""

from __future__ import annotations

from dataclasses import replace

from archc.compiler.draw.plan import Spot, Wire
from archc.compiler.draw.scene import Scene
from archc.compiler.draw.strokes import Stroke, colour_name, tikz
from archc.compiler.draw.style import Look
from archc.compiler.draw.tikz import caption, document, escaped
from archc.compiler.draw.volumes import Figure, figure

_SIZE = r"\fontsize{8.5}{10.5}\selectfont{}"


def paper_tikz(scene: Scene, look: Look) -> str:
    """Return a standalone document; `\\input` uses its `tikzpicture` environment."""
    made = figure(replace(scene, caption=[]), look)
    c, plan = made.look.colours, made.plan
    lines = [
        rf"\draw[draw={colour_name(c['frame'])}, rounded corners=8pt{', dashed' if room.box.training_only else ''}] "
        rf"({room.left:.2f},{room.low:.2f}) rectangle ({room.right:.2f},{room.high:.2f});"
        for room in plan.rooms
        if room.first
    ]
    lines += tikz(made.strokes)
    for spot in plan.spots.values():
        lines += _texts(spot, made)
    lines += [_arrow(wire, c["edge"]) for wire in plan.wires]
    faint = colour_name(c["faint"])
    lines += [
        rf"\node[anchor={'west' if title.painted else 'center'}, inner sep=0pt, text={faint}] at ({title.x:.2f},{title.y:.2f}) "
        rf"{{{_SIZE}{escaped(title.text)}}};"
        for title in made.titles
    ]
    for entry in made.key:
        place = f"({entry.start:.2f},{entry.y:.2f})"
        lines.append(rf"\node[anchor=west, inner sep=0pt, text={colour_name(c['ink'])}] at {place} {{{_SIZE}{escaped(entry.text)}}};")
    return document(
        scene, [*lines, *caption(scene)], _colours(made.strokes, [c[role] for role in ("frame", "edge", "faint", "ink", "merge", "line")])
    )


def _colours(strokes: list[Stroke], others: list[str]) -> dict[str, str]:
    """Return all colors by their names."""
    used = [colour for stroke in strokes for colour in (stroke.line, stroke.fill) if colour]
    return {colour_name(colour): colour for colour in [*used, *others]}


def _texts(spot: Spot, made: Figure) -> list[str]:
    c = made.look.colours
    if spot.volume is None:
        sign = escaped(spot.box.title if spot.box else "")
        options = f"circle, draw={colour_name(c['line'])}, fill={colour_name(c['merge'])}, minimum size=21.6pt, inner sep=0pt"
        return [rf"\node[{options}] at ({spot.x:.2f},{spot.y:.2f}) {{{sign}}};"]
    if not spot.volume.lines:
        return []
    lines = [escaped(line) for line in spot.volume.lines]
    if spot.volume.headed:
        lines[0] = rf"\textbf{{{lines[0]}}}"
    options = f"anchor=north, inner sep=1pt, text={colour_name(c['ink'])}"
    return [rf"\node[{options}] at ({spot.x:.2f},{spot.y - spot.half[1]:.2f}) {{{_SIZE}{(chr(92) * 2).join(lines)}}};"]


def _arrow(wire: Wire, colour: str) -> str:
    points = [f"({x:.2f},{y:.2f})" for x, y in wire.points]
    steps = [f".. controls {a} and {b} .. {c}" for a, b, c in zip(points[1::3], points[2::3], points[3::3], strict=True)]
    dashed = ", dashed" if wire.edge.training_only else ""
    return rf"\draw[->, draw={colour_name(colour)}{dashed}] {points[0]} {' '.join(steps)} -- ({wire.tip[0]:.2f},{wire.tip[1]:.2f});"
