"""What a network computes of an image, as it is put on a page: the image, what it is taken for, feature maps, filters, fields, Grad-CAM."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from archc.compiler.errors import UsageError, alternatives, one_of
from archc.compiler.files import replacing

FORMATS = (".svg", ".png", ".pdf")
WIDTHS = ("slide", "page", "column")  # 1920x1080 pixels; 175 mm and 85 mm, as high as what is shown
Array = Any  # of numpy


@dataclass(frozen=True)
class Band:
    """Maps of one layer: `values` is `(maps, H, W)`, or `(maps, H, W, 3)` with colors from 0 to 1.

    At most `most` of them are drawn, the first ones; None means as many as suit the page.
    """

    name: str
    title: str
    note: str
    values: Array
    marks: tuple[tuple[int, int], ...] = ()  # rows and columns of units
    most: int | None = None

    @property
    def colored(self) -> bool:
        """Whether its maps are pictures in color."""
        return len(self.values.shape) == 4

    @property
    def aspect(self) -> float:
        """Width by height of one map."""
        return float(self.values.shape[2] / self.values.shape[1])


@dataclass(frozen=True)
class Panel:
    """The image with something drawn on it: a `box` of rows and columns, or a `heat` of its size from 0 to 1."""

    name: str
    title: str
    note: str = ""
    box: tuple[tuple[int, int], tuple[int, int]] | None = None
    heat: Array = None


@dataclass(frozen=True)
class Page:
    """What is shown of one image `(H, W)` or `(H, W, 3)`, with values from 0 to 1, as the network takes it.

    `width` is one of WIDTHS.
    """

    title: str
    image: Array
    classes: tuple[tuple[str, float], ...]  # the likeliest, with their probabilities
    panels: tuple[Panel, ...]
    bands: tuple[Band, ...]
    width: str = "slide"

    def __post_init__(self) -> None:
        one_of("width", self.width, WIDTHS)


def can_show(path: Path) -> Path:
    """Return a path whose suffix names a format of pages. Raises UsageError for another suffix."""
    if path.suffix not in FORMATS:
        raise UsageError(f"maps are {alternatives(FORMATS)}, not {path.name}", given=path.suffix, known=FORMATS)
    return path


def write(page: Page, path: Path) -> None:
    """Write a page as .svg, .png or .pdf: the same bytes for the same values. Needs matplotlib. Raises UsageError and CannotWrite."""
    form = can_show(path).suffix[1:]
    import matplotlib

    from archc.compiler.plots.map_figure import INK, SIZES, drawn

    matplotlib.use("Agg")
    own: dict[Any, Any] = {"svg.hashsalt": "archc", "pdf.fonttype": 42, "text.color": INK, "font.size": SIZES["small"]}
    usual = {name: value for name, value in matplotlib.rcParamsDefault.items() if "backend" not in name}
    with matplotlib.rc_context(cast("Any", usual | own)):
        figure = drawn(page)
        dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
        with replacing(path) as temporary:
            figure.savefig(temporary, format=form, dpi=figure.dpi, metadata=dates.get(form))
