"""A page of what a network computes of an image: the image, what it is taken for, feature maps, filters, a unit's field, Grad-CAM."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any, cast

from archc.compiler.draw.scene import clean
from archc.compiler.errors import UsageError, alternatives
from archc.compiler.files import replacing

FORMATS = (".svg", ".png", ".pdf")
WIDE, HIGH = 12.8, 7.2  # inches: a slide, 1920x1080 pixels at DPI
DPI = 150
EDGE, GAP = 0.3, 0.05  # around the page, and between two maps
LEFT = 2.9  # the width of the column of images
HEAD, NOTE, APART = 0.25, 0.24, 0.17  # the heights of a title and of a note, and what is left free below a part
LINE = 0.2  # the height of a class
HINTING = 1.05  # how much wider a text may be in pixels than in outlines
KEY = 0.62  # the width of a scale of values, with its numbers
ALONE = 3.4  # the size of an image where there are no maps
LEAST, LEAST_IMAGE = 1.15, 1.6  # the heights of a band and of an image, below which a page is higher than a slide
INK, FAINT, MARK = "#16202a", "#5b6770", "#d62728"
SIZES = {"title": 10.5, "small": 8.0, "head": 13.0}
Array = Any  # of numpy


@dataclass(frozen=True)
class Band:
    """Maps of one layer: `values` is `(maps, H, W)`, or `(maps, H, W, 3)` with colors from 0 to 1."""

    name: str
    title: str
    note: str
    values: Array
    marks: tuple[tuple[int, int], ...] = ()  # rows and columns of units

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
    """What is shown of one image `(H, W)` or `(H, W, 3)`, with values from 0 to 1, as the network takes it."""

    title: str
    image: Array
    classes: tuple[tuple[str, float], ...]  # the likeliest, with their probabilities
    panels: tuple[Panel, ...]
    bands: tuple[Band, ...]


def can_show(path: Path) -> Path:
    """Return a path whose suffix names a format of pages. Raises UsageError for another suffix."""
    if path.suffix not in FORMATS:
        raise UsageError(f"maps are {alternatives(FORMATS)}, not {path.name}", given=path.suffix, known=FORMATS)
    return path


def write(page: Page, path: Path) -> None:
    """Write a page as .svg, .png or .pdf: the same bytes for the same values. Needs matplotlib. Raises UsageError and CannotWrite."""
    form = can_show(path).suffix[1:]
    import matplotlib

    matplotlib.use("Agg")
    own: dict[Any, Any] = {"svg.hashsalt": "archc", "pdf.fonttype": 42, "text.color": INK, "font.size": SIZES["small"]}
    usual = {name: value for name, value in matplotlib.rcParamsDefault.items() if "backend" not in name}
    with matplotlib.rc_context(cast("Any", usual | own)):
        figure = _Drawn(page).figure
        dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
        with replacing(path) as temporary:
            figure.savefig(temporary, format=form, dpi=DPI, metadata=dates.get(form))


class _Drawn:
    """Draws a page on a figure of matplotlib. Places are in inches from the upper left corner."""

    def __init__(self, page: Page) -> None:
        from matplotlib.figure import Figure

        self._page = page
        count = 1 + len(page.panels)
        self._wide, self._high = WIDE, HIGH
        top = EDGE + HEAD + APART
        if page.bands:
            self._high = max(HIGH, top + EDGE + len(page.bands) * LEAST, top + EDGE + count * LEAST_IMAGE)
        else:
            self._wide = 2 * EDGE + count * ALONE + (count - 1) * EDGE
            self._high = top + HEAD + ALONE + max(NOTE, 0.1 + LINE * len(page.classes)) + EDGE
        self.figure = Figure(figsize=(self._wide, self._high), facecolor="white")
        self._text(EDGE, EDGE, page.title, "head", self._wide - 2 * EDGE, weight="bold")
        panels = [None, *page.panels]
        if not page.bands:
            for number, panel in enumerate(panels):
                self._image(EDGE + number * (ALONE + EDGE), top, ALONE, ALONE, panel, beside=False)
            return
        beside = count > 2  # the classes stand beside the image, so that it may be larger
        classes = 0.0 if beside else 0.1 + LINE * len(page.classes)
        texts = count * (HEAD + APART) + len(page.panels) * NOTE + classes
        high = min((self._high - top - EDGE - texts) / count, LEFT)
        y = top
        for panel in panels:
            self._image(EDGE, y, LEFT, high, panel, beside)
            y += HEAD + high + APART + (classes if panel is None else NOTE)
        self._bands(top)

    # ---- images

    def _image(self, x: float, y: float, wide: float, high: float, panel: Panel | None, beside: bool) -> None:
        """Draw the image in a space under its title; of a panel, with what is drawn on it, else with the likeliest classes."""
        image = self._page.image
        self._text(x, y, panel.title if panel is not None else "the image as the network takes it", "title", wide + 0.25)
        rows, columns = image.shape[:2]
        scale = min(wide / columns, high / rows)
        axes = self._axes(x, y + HEAD, columns * scale, rows * scale)
        grey = panel is not None and panel.heat is not None
        shown = image @ (0.299, 0.587, 0.114) if grey and len(image.shape) == 3 else image
        drawn = axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="none", aspect="auto")
        drawn.set_gid(panel.name if panel is not None else "image")
        y += HEAD + rows * scale
        if panel is None and beside and columns * scale < wide - 1.2:
            self._classes(x + columns * scale + 0.12, y - rows * scale, wide - columns * scale - 0.12)
        elif panel is None:
            self._classes(x, y + 0.1, wide)
        else:
            if panel.heat is not None:  # the warmer, the less of the image shines through
                heat = axes.imshow(
                    panel.heat, cmap="autumn_r", vmin=0, vmax=1, alpha=0.75 * panel.heat, interpolation="none", aspect="auto"
                )
                heat.set_gid(f"{panel.name}/heat")
            if panel.box is not None:
                self._box(axes, panel)
            self._text(x, y + 0.06, panel.note, "small", wide + 0.25, color=FAINT)

    def _box(self, axes: Any, panel: Panel) -> None:
        from matplotlib.patches import Rectangle

        assert panel.box is not None
        (top, bottom), (left, right) = panel.box
        corner, wide, high = (left - 0.5, top - 0.5), right - left + 1, bottom - top + 1
        for color, width in (("white", 3.2), (MARK, 1.6)):
            box = Rectangle(corner, wide, high, fill=False, edgecolor=color, linewidth=width, clip_on=False)
            box.set_gid(f"{panel.name}/box" if color == MARK else f"{panel.name}/rim")
            axes.add_patch(box)

    def _classes(self, x: float, y: float, wide: float) -> None:
        """Write the likeliest classes with a bar for each probability."""
        from matplotlib.patches import Rectangle

        widths = [_width(name, SIZES["small"]) for name, _ in self._page.classes]
        label = min(0.55 * wide, 0.1 + max(widths, default=0.0))
        longest = wide - label - 0.55
        for number, (name, share) in enumerate(self._page.classes):
            line = y + LINE * number
            self._text(x, line, name, "small", label - 0.08)
            for gid, part, color in ((None, 1.0, "#e8ecef"), (f"class/{name}", share, "#3b7cb8")):
                corner = ((x + label) / self._wide, 1 - (line + 0.12) / self._high)
                bar = Rectangle(corner, part * longest / self._wide, 0.11 / self._high, facecolor=color, transform=self.figure.transFigure)
                bar.set_gid(gid)
                self.figure.add_artist(bar)
            self._text(x + label + longest + 0.06, line, f"{100 * share:.1f} %", "small")

    # ---- bands of maps

    def _bands(self, top: float) -> None:
        left = EDGE + LEFT + 0.4
        budget = (self._high - top - EDGE + APART) / len(self._page.bands)
        for number, band in enumerate(self._page.bands):
            self._band(band, left, top + number * budget, self._wide - EDGE - KEY - left, budget - HEAD - APART)

    def _band(self, band: Band, x: float, y: float, wide: float, high: float) -> None:
        from matplotlib.patches import Rectangle

        title = self._text(x, y, band.title, "title", 0.6 * wide, weight="bold")
        self._text(x + title + 0.2, y + 0.02, band.note, "small", wide + KEY - title - 0.2, color=FAINT)
        across, size = fitted(len(band.values), band.aspect, wide, high)
        settings, scale = self._scale(band)
        y += HEAD
        for number, values in enumerate(band.values):
            row, column = divmod(number, across)
            axes = self._axes(x + column * (size * band.aspect + GAP), y + row * (size + GAP), size * band.aspect, size)
            axes.imshow(values, interpolation="none", aspect="auto", **settings).set_gid(f"map/{band.name}/{number}")
            for at in band.marks:
                axes.add_patch(Rectangle((at[1] - 0.5, at[0] - 0.5), 1, 1, fill=False, edgecolor=MARK, linewidth=1.2, clip_on=False))
        if scale is not None:
            down = ceil(len(band.values) / across)
            end = x + min(across, len(band.values)) * (size * band.aspect + GAP)
            self._key(scale, end + 0.06, y, down * size + (down - 1) * GAP, settings["cmap"], band.name)

    def _scale(self, band: Band) -> tuple[dict[str, Any], tuple[float, float] | None]:
        """Return how values are colored, the same for all maps of a band, and the ends of the scale."""
        if band.colored:
            return {}, None
        low, high = float(band.values.min()), float(band.values.max())
        if low < 0:  # white is 0
            most = max(-low, high)
            return {"cmap": "RdBu_r", "vmin": -most, "vmax": most}, (-most, most)
        return {"cmap": "viridis", "vmin": 0.0, "vmax": high or 1.0}, (0.0, high or 1.0)

    def _key(self, ends: tuple[float, float], x: float, y: float, high: float, colors: str, name: str) -> None:
        axes = self._axes(x, y, 0.09, high)
        ramp = [[1 - step / 63] for step in range(64)]
        axes.imshow(ramp, cmap=colors, vmin=0, vmax=1, aspect="auto", interpolation="none").set_gid(f"key/{name}")
        self._text(x + 0.13, y - 0.02, _number(ends[1]), "small", color=FAINT)
        self._text(x + 0.13, y + high - 0.13, _number(ends[0]), "small", color=FAINT)

    # ---- what everything is drawn with

    def _axes(self, x: float, y: float, wide: float, high: float) -> Any:
        place = (x / self._wide, 1 - (y + high) / self._high, wide / self._wide, high / self._high)
        axes = self.figure.add_axes(place)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_linewidth(0.4)
            spine.set_edgecolor(FAINT)
        return axes

    def _text(self, x: float, y: float, text: str, size: str, room: float = 0.0, weight: str = "normal", color: str = INK) -> float:
        """Write a text, cut to the room where there is one, and return its width."""
        shown = clean(text)
        while room and len(shown) > 1 and (width := _width(shown, SIZES[size], weight)) > room:
            kept = min(len(shown) - 2, int(len(shown) * room / width))
            shown = f"{shown[: max(kept, 0)]}…"
        place = (x / self._wide, 1 - y / self._high)
        self.figure.text(*place, shown, va="top", fontsize=SIZES[size], parse_math=False, weight=weight, color=color)
        return _width(shown, SIZES[size], weight)


@lru_cache(256)
def _width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of a text, with what hinting may add to it."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size, weight=weight)
    return HINTING * text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72


def fitted(count: int, aspect: float, wide: float, high: float) -> tuple[int, float]:
    """Return how many maps stand in a row, and the height of each, so that they are as large as a space allows.

    `aspect` is the width of a map by its height.
    """

    def size(across: int) -> float:
        down = ceil(count / across)
        return min((wide + GAP) / across - GAP, ((high + GAP) / down - GAP) * aspect) / aspect

    across = max(range(1, count + 1), key=size)
    return across, size(across)


def _number(value: float) -> str:
    return f"{value:.2g}".replace("-", "\u2212") if value else "0"
