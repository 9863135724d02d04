"""How things look: colours and forms of the operator families, in three themes and by cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import sqrt

from archc.compiler.draw.figure import Figure
from archc.compiler.draw.scene import Box, Scene
from archc.compiler.ops import OPERATORS

STYLES = ("graph", "paper")
LEGEND = {
    "input": "input, output",
    "convolution": "convolution",
    "dense": "fully connected",
    "attention": "attention",
    "learned": "trained tensor",
    "pooling": "pooling",
    "normalization": "normalization",
    "activation": "activation",
    "regularization": "regularization",
    "shape": "change of shape",
    "merge": "merge",
    "unknown": "not read",
    "block": "block",
}

# Graphviz's forms are the second channel, for readers who do not see the colours and for print.
FORMS: dict[str, dict[str, str]] = {
    "input": {"shape": "box", "style": "rounded,filled"},
    "output": {"shape": "box", "style": "rounded,filled"},
    "convolution": {"shape": "box", "style": "filled"},
    "dense": {"shape": "box", "style": "filled", "penwidth": "2.2"},
    "attention": {"shape": "component", "style": "filled", "margin": "0.16,0.08"},
    "learned": {"shape": "cylinder", "style": "filled", "margin": "0.08,0.06"},
    "pooling": {"shape": "polygon", "sides": "4", "distortion": "0.1", "style": "filled", "fixedsize": "true"},
    "normalization": {"shape": "box", "style": "diagonals,filled"},
    "activation": {"shape": "ellipse", "style": "filled", "margin": "0.02,0.02"},
    "regularization": {"shape": "box", "style": "filled,dotted"},
    "shape": {"shape": "note", "style": "filled"},
    "merge": {"shape": "circle", "style": "filled", "fixedsize": "true", "width": "0.34", "height": "0.34"},
    "unknown": {"shape": "box", "style": "filled,dashed", "penwidth": "1.6"},
    "block": {"shape": "box", "style": "rounded,filled", "peripheries": "2"},
    "failed": {"shape": "box", "style": "filled", "penwidth": "2.2"},
}

# Fills keep their order of lightness, so that they differ in grey too; hues after Okabe & Ito 2008, "Color universal design".
LIGHT = {
    "ground": "#ffffff",
    "ink": "#16202a",
    "faint": "#5b6770",
    "line": "#46525c",
    "edge": "#56636e",
    "frame": "#9aa6af",
    "room": "#f5f7f9",
    "input": "#eceff1",
    "output": "#eceff2",
    "convolution": "#9fcdec",
    "dense": "#f3be7c",
    "attention": "#b39ae6",
    "learned": "#e9d3b0",
    "pooling": "#8fd3b6",
    "normalization": "#f4ea9a",
    "activation": "#ee9d93",
    "regularization": "#e2bdd4",
    "shape": "#d5dade",
    "merge": "#fefefe",
    "unknown": "#fffffe",
    "block": "#dde6f3",
    "added": "#b5e3b0",
    "removed": "#f3b0ac",
    "changed": "#f7d27a",
    "failed": "#f9c9c5",
    "wrong": "#a81414",
    "new": "#2e7d32",
    "skip": "#2b5f94",
}
DARK = {
    "ground": "#12171c",
    "ink": "#eef2f5",
    "faint": "#a3b0ba",
    "line": "#8795a1",
    "edge": "#93a1ad",
    "frame": "#55626d",
    "room": "#1a2128",
    "input": "#2b343c",
    "output": "#2b343d",
    "convolution": "#1f5b84",
    "dense": "#7d4710",
    "attention": "#5a3f96",
    "learned": "#4a3a2a",
    "pooling": "#1f6b50",
    "normalization": "#72702a",
    "activation": "#8a4529",
    "regularization": "#74456a",
    "shape": "#414b54",
    "merge": "#12171d",
    "unknown": "#12171e",
    "block": "#2d3c55",
    "added": "#2c6b2f",
    "removed": "#853331",
    "changed": "#7d5c0f",
    "failed": "#6d2726",
    "wrong": "#ff8a80",
    "new": "#81c784",
    "skip": "#9cc7ee",
}
_WHITE = dict.fromkeys(
    (
        "input",
        "output",
        "convolution",
        "dense",
        "attention",
        "learned",
        "pooling",
        "normalization",
        "activation",
        "regularization",
        "shape",
    ),
    "#ffffff",
)
PRINT = LIGHT | _WHITE | {"ink": "#000000", "line": "#000000", "edge": "#000000", "room": "#ffffff", "block": "#eeeeee", "merge": "#ffffff"}
PRINT |= {"unknown": "#ffffff", "skip": "#000000"}
PRINT |= {"frame": "#777777", "faint": "#333333"}
# Volumes have no forms to tell families by, so in print they differ in grey; lids and sides are shaded besides.
PRINT_VOLUMES = PRINT | {"pooling": "#b4b4b4", "shape": "#8e8e8e", "input": "#dadada", "normalization": "#cfcfcf", "block": "#f3f3f3"}
PRINT_VOLUMES |= {"attention": "#a2a2a2", "learned": "#e7e7e7"}
THEMES = {"auto": LIGHT, "light": LIGHT, "dark": DARK, "print": PRINT}

HEATS: dict[str, Callable[[Box], int]] = {
    "params": lambda box: box.params * box.copies,
    "macs": lambda box: box.macs * box.copies if isinstance(box.macs, int) else 0,
    "memory": lambda box: box.values * box.copies,
    "time": lambda box: box.nanoseconds,
}
HEAT_NAMES = {"params": "parameters", "macs": "MACs", "memory": "activation values", "time": "measured time"}
_HEAT = ((0xFF, 0xFC, 0xF2), (0xFD, 0xE8, 0xA6), (0xFB, 0xC0, 0x62), (0xF2, 0x8E, 0x52), (0xE0, 0x5C, 0x48))  # from pale to red
STEPS = 24
HEAT_INK = "#16202b"  # on colours of cost, which are pale in every theme; no colour of a theme, so no rule of a page changes it


def legend(family: str, boxes: Iterable[Box]) -> str:
    """What the key to a picture of these boxes says of a family; of merges, with the signs that stand in their circles."""
    if family != "merge":
        return LEGEND[family]
    shown = {box.nodes[0].op for box in boxes if box.family == "merge" and box.nodes}
    merges = sorted((OPERATORS[name] for name in OPERATORS if name in shown), key=lambda operator: -operator.operands[0])
    return "merge: " + ", ".join(" ".join(operator.merge_sign) for operator in merges)


LID, SIDE = 1.08, 0.88  # of the light that the front of a volume gives back


def shade(colour: str, factor: float) -> str:
    return "#" + "".join(f"{min(255, round(int(colour[i : i + 2], 16) * factor)):02x}" for i in (1, 3, 5))


def heat_colour(level: float) -> str:
    """Return a colour from pale to red, for a level between 0 and 1."""
    at = round(STEPS * min(1.0, max(0.0, level))) / STEPS * (len(_HEAT) - 1)
    below = min(int(at), len(_HEAT) - 2)
    part = at - below
    return "#" + "".join(f"{round(cool + (hot - cool) * part):02x}" for cool, hot in zip(_HEAT[below], _HEAT[below + 1], strict=True))


@dataclass(frozen=True)
class Scale:
    """Costs as colours: from nothing to the largest of a picture, by the square root, so that a tenth of the largest is told from none."""

    heat: str = ""
    total: int = 0
    most: int = 0

    def share(self, box: Box) -> float:
        """Return the part of the whole that a box costs."""
        return HEATS[self.heat](box) / self.total if self.heat and self.total else 0.0

    def colour(self, box: Box) -> str:
        """Return the colour of a box."""
        return heat_colour(sqrt(HEATS[self.heat](box) / self.most) if self.most else 0.0)

    def key(self) -> list[tuple[float, str]]:
        """Return shares of the whole with their colours, from none to the largest."""
        levels = (0.0, 0.25, 0.5, 0.75, 1.0)
        return [(level**2 * self.most / self.total if self.total else 0.0, heat_colour(level)) for level in levels]


@dataclass(frozen=True)
class Look:
    """A theme, and perhaps a count whose share of the whole colours the boxes."""

    theme: str = "auto"
    heat: str = ""
    legend: bool = True
    volumes: bool = False  # of the style `paper`
    labels: str = ""  # what is written on boxes: one of `labels.LABELS`, or what is usual for the style
    hide: tuple[str, ...] = ()  # options and arguments that titles leave out
    figure: Figure = field(default_factory=Figure)

    @property
    def colours(self) -> Mapping[str, str]:
        return PRINT_VOLUMES if self.theme == "print" and self.volumes else THEMES[self.theme]

    def total(self, scene: Scene) -> Scale:
        """What the boxes cost, all together and the largest, where they are coloured by it."""
        costs = [HEATS[self.heat](box) for box in scene.shown()] if self.heat else []
        return Scale(self.heat, sum(costs), max(costs, default=0))

    def by_cost(self, box: Box) -> bool:
        return bool(self.heat) and box.family not in ("input", "output") and not box.status

    def fill(self, box: Box, scale: Scale) -> str:
        """The colour of a box: of what happened to it, of what it costs, or of its family."""
        return scale.colour(box) if self.by_cost(box) else self.colours[box.status or box.family]
