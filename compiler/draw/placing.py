"""From a scene to a drawing with places and a size, which all formats of Graphviz are rendered from."""

from __future__ import annotations

import re

from archc.compiler.draw.figure import Figure
from archc.compiler.draw.layout import PNG_SIDE, TooLarge
from archc.compiler.draw.scene import Scene
from archc.compiler.draw.style import Look

FINE = 192  # pixels per inch of a PNG, unless it would be too large
COARSE = 96
PAD = 2 * 0.15  # inches around a drawing
_BOUNDS = re.compile(r'\bbb="?(-?[\d.e+-]+),(-?[\d.e+-]+),(-?[\d.e+-]+),(-?[\d.e+-]+)')


def placed(scene: Scene, style: str, look: Look, form: str) -> str:
    """Return the DOT of a scene with all places, and the size that is asked for."""
    return sized(_laid_out(scene, style, look), form, look.figure)


def _laid_out(scene: Scene, style: str, look: Look) -> str:
    if style == "paper":
        from archc.compiler.draw.volumes import paper_dot

        return paper_dot(scene, look)
    from archc.compiler.draw.arcs import with_arcs
    from archc.compiler.draw.dot import graph_dot
    from archc.compiler.draw.titles import titled

    return with_arcs(titled(graph_dot(scene, look)), scene, look.colours, look.figure.direction)


def sized(dot: str, form: str, figure: Figure) -> str:
    """Set the size of a drawing that is laid out, and the pixels per inch of a PNG. Raises TooLarge for a PNG that would be."""
    wide, high = inches(dot)
    factor = figure.width / wide if figure.width else figure.scale
    found = []
    if figure.width:  # exactly, whatever the height is
        found.append(f'size="{figure.width:.4f},10000!"')
    elif factor != 1:
        found.append(f'size="{wide * factor:.4f},{high * factor:.4f}!"')
    if form == "png":
        side = factor * max(wide, high)
        found.append(f"dpi={(dpi := figure.dpi or finest(side))}")
        if dpi * side > PNG_SIDE:
            raise TooLarge(
                f"this picture has {dpi * side:,.0f} pixels on its longer side, but a PNG has at most {PNG_SIDE:,}: "
                + "write an .svg, or fold it"
                + " or ask for fewer dpi" * (figure.dpi > COARSE)
            )
    return re.sub(r"\{", f"{{\ngraph [{', '.join(found)}];", dot, count=1) if found else dot


def inches(dot: str) -> tuple[float, float]:
    """Return the width and height of a drawing that is laid out, with the room around it."""
    bounds = _BOUNDS.search(dot)
    assert bounds is not None, "Graphviz writes the bounds of what it has laid out"
    left, low, right, high = map(float, bounds.groups())
    return (right - left) / 72 + PAD, (high - low) / 72 + PAD


def finest(side: float) -> int:
    """Return the pixels per inch of a PNG whose longer side is so many inches long."""
    return max(COARSE, min(FINE, int(PNG_SIDE / side)))
