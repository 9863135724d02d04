"""The key to a figure: a small volume of every family, with its name beside it, in lines below the figure."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import graphviz

from archc.compiler.draw import bridges
from archc.compiler.draw.figure import percent
from archc.compiler.draw.scene import Scene
from archc.compiler.draw.shapes import DENSE, Volume
from archc.compiler.draw.style import HEAT_NAMES, LEGEND, Look, legend

LINE = 20.0  # height of a line, in points
SWATCH = 24.0  # width of a volume, and of the space after it
LETTER = 5.7  # width of a character, as wide as any program draws it


@dataclass
class Entry:
    """A swatch and its text. `x`, `y` is the left end of its middle line."""

    text: str
    fill: str
    family: str = ""
    x: float = 0.0
    y: float = 0.0

    @property
    def wide(self) -> float:
        """Return the width, in points."""
        return (SWATCH if self.fill else 0) + LETTER * len(self.text) + 12

    @property
    def start(self) -> float:
        """Return where the text begins."""
        return self.x + (SWATCH if self.fill else 0)

    @property
    def swatch(self) -> Volume:
        """Return the small volume."""
        thick = DENSE if self.family == "dense" else 0.9
        if self.family == "merge":
            return Volume(13, 13, 0, round=True)
        if self.family == "attention":
            return Volume(11, 11, 3, sheets=2)
        return Volume(12, 8, 4, outline=thick, double=self.family == "block")


def entries(scene: Scene, look: Look) -> list[Entry]:
    """Return what the key of a scene has; nothing without a legend."""
    if not look.legend:
        return []
    if look.heat:
        named = Entry(f"share of the {HEAT_NAMES[look.heat]}", "")
        return [named, *(Entry(percent(share), colour) for share, colour in look.total(scene).key())]
    families = {box.family for box in scene.shown()}
    found = [Entry(legend(family, scene.shown()), look.colours[family], family) for family in LEGEND if family in families]
    shortcuts = bridges.kinds(box.skips for box in scene.shown() if box.family == "block" and box.skips)
    return found + [Entry(bridges.KEY[kind], look.colours["ground"], kind) for kind in shortcuts]


def placed(found: list[Entry], left: float, right: float, high: float) -> float:
    """Place entries in as many lines as they need below a height, in the middle between left and right; return the lower end."""
    lines: list[list[Entry]] = [[]]
    for entry in found:
        if lines[-1] and sum(each.wide for each in lines[-1]) + entry.wide > max(right - left, 280):
            lines.append([])
        lines[-1].append(entry)
    y = high - LINE / 2
    for line in lines:
        x = (left + right - sum(entry.wide for entry in line)) / 2
        for entry in line:
            entry.x, entry.y = x, y
            x += entry.wide
        y -= LINE
    return y + LINE / 2


def text_node(name: str, text: str, x: float, y: float, size: float, colour: str, family: str = "") -> str:
    """Return the statement of a text in DOT whose left end is placed."""
    wide = LETTER * len(text)
    quoted = graphviz.quoting.quote(name)
    row = f'<TR><TD WIDTH="{wide:.0f}" ALIGN="LEFT">{escape(text)}</TD></TR>'
    cell = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{row}</TABLE>'
    return (
        f'{quoted} [shape=plain, id={quoted}, class="key", label=<{cell}>, fontsize="{size:g}", fontcolor="{colour}", tooltip=" ", '
        f'width="{wide / 72:.3f}", height="0.2", pos="{x + wide / 2:.2f},{y:.2f}"];\n'
    )
