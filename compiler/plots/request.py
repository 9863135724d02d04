"""What is asked of a plot: axes, sizes, colors, and the page that it is for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archc.compiler.errors import UsageError, alternatives, at_least, one_of

SUFFIXES = (".svg", ".pdf", ".png", ".tex", ".pgf")
LABELS = ("full", "short", "none")
LOGS = ("", "x", "y", "xy", "none")
INCH = {"mm": 25.4, "cm": 2.54, "in": 1.0, "pt": 72.27}
BOUNDS = (1.0, 40.0)  # inches


@dataclass(frozen=True)
class Page:
    """The size of a plot in inches, that of its text in points, and the dots per inch of a PNG."""

    width: float
    height: float
    text: float
    dpi: int


# A column and the text width of two-column papers (IEEE, CVPR, ACL within 3 mm), and a slide of 1920x1080 pixels.
PAGES = {
    "column": Page(85 / 25.4, 68 / 25.4, 7, 300),
    "page": Page(175 / 25.4, 92 / 25.4, 8, 300),
    "slide": Page(1920 / 144, 1080 / 144, 17, 144),
}


@dataclass(frozen=True)
class Axes:
    """What a plot shows: columns by their keys.

    `x` and `y` are numbers; without `y`, it is the first own column, or the parameters. The area of a point is its `size`, a column of
    numbers; its `color` is a column of words, whose networks share a color, or of numbers. `join` is a column whose equal networks are
    joined by a line, from left to right, by default that of the colors; `none` joins none. `log` names the logarithmic axes, by default
    those whose values differ by more than a factor of 30, or is `none`. `pareto` draws the front of the networks that no other one excels
    in both axes. `labels` are `full` names, `short` ones without the name of their color's family, or `none`. `width` is `column` (85 mm),
    `page` (175 mm), `slide` (1920x1080 pixels) or a length, and so is the `height`. `styles` are names or files of styles of matplotlib.

    Raises UsageError for an unknown `log` or kind of labels, a length that is none, and a resolution below 1.
    """

    x: str = "macs"
    y: str = ""
    size: str = ""
    color: str = "family"
    join: str = ""
    log: str = ""
    pareto: bool = False
    labels: str = "full"
    width: str = "page"
    height: str = ""
    dpi: int | None = None
    styles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        one_of("log", self.log, LOGS)
        one_of("labels", self.labels, LABELS)
        if self.dpi is not None:
            at_least("dpi", self.dpi, 1)
        self.page()

    def page(self) -> Page:
        """Return the page that the plot is for. Raises UsageError for a length that is none."""
        usual = PAGES.get(self.width)
        if usual is None:
            width = inches("width", self.width, tuple(PAGES))
            usual = Page(width, width * (0.8 if width < 5 else 0.55), 7 if width < 5 else 8, 300)
        height = inches("height", self.height) if self.height else usual.height
        return Page(usual.width, height, usual.text, self.dpi or usual.dpi)


def inches(option: str, text: str, names: Sequence[str] = ()) -> float:
    """Return a length in inches: `85mm`, `8.5cm`, `3.3in` or `240pt`. Raises UsageError for anything else, and beyond BOUNDS."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(mm|cm|in|pt)", text)
    if match is None:
        wanted = alternatives([*names, "a length in mm, cm, in or pt, as 85mm"])
        raise UsageError(f"is {wanted}, not {text}", option=option, given=text, known=names)
    length = float(match[1]) / INCH[match[2]]
    if not BOUNDS[0] <= length <= BOUNDS[1]:
        raise UsageError(f"is from {BOUNDS[0]:g} to {BOUNDS[1]:g} inches, not {text}", option=option, given=text)
    return length


def can_plot(path: Path) -> Path:
    """Return a path whose suffix names a format of plots. Raises UsageError for another suffix."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"a plot is {alternatives(SUFFIXES)}, not {path.name}", given=path.suffix, known=SUFFIXES)
    return path


def ready() -> None:
    """Raise ModuleNotFoundError where there is no matplotlib, before any work is done."""
    import matplotlib

    assert matplotlib
