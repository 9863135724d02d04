"""Draw what a network computes of an image with matplotlib: on a slide beside each other, on a page or a column below each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import Any

from archc.compiler.draw.scene import clean
from archc.compiler.plots.map_pages import Band, Page, Panel

WIDE, HIGH = 12.8, 7.2  # inches of a slide, 1920x1080 pixels at 150 dots per inch
EDGE, GAP = 0.3, 0.05  # around the page, and between two maps
LEFT = 2.9  # the width of the column of images
HEAD, NOTE, APART = 0.25, 0.24, 0.17  # the heights of a title and of a note, and what is left free below a part
LINE = 0.2  # the height of a class
HINTING = 1.05  # how much wider a text may be in pixels than in outlines
KEY = 0.62  # the width of a scale of values, with its numbers
ALONE = 3.4  # the size of an image where there are no maps
LEAST, LEAST_IMAGE = 1.15, 1.6  # the heights of a band and of an image, below which a page is higher than a slide
FEWEST = 8  # maps of a layer, where there is room
INK, FAINT, MARK = "#16202a", "#5b6770", "#d62728"
SIZES = {"title": 10.5, "small": 8.0, "head": 13.0}
Array = Any  # of numpy


@dataclass(frozen=True)
class Sheet:
    """A page of a paper: its width in inches, how its texts and distances compare with those of a slide, what stands in a row."""

    width: float
    scale: float
    images: int
    maps: int


SHEETS = {"page": Sheet(175 / 25.4, 0.72, 4, 12), "column": Sheet(85 / 25.4, 0.66, 2, 6)}


def drawn(page: Page) -> Any:
    """Return the figure of a page."""
    if page.width == "slide":
        return Drawn(page).figure
    return Drawn(page, Drawn(page, 99.0).high).figure  # it is as high as what is drawn


class Drawn:
    """Draws a page on a figure of matplotlib. Places are in inches from the upper left corner."""

    def __init__(self, page: Page, high: float = 0.0) -> None:
        from matplotlib.figure import Figure

        self._page = page
        self._sheet = SHEETS.get(page.width)
        if self._sheet is not None:
            self._f, self._wide, self._high = self._sheet.scale, self._sheet.width, high
            self.figure = Figure(figsize=(self._wide, high), facecolor="white", dpi=300)
            self.high = self._stacked(self._sheet)
            return
        self._f = 1.0  # how distances and texts compare with those of a slide
        count = 1 + len(page.panels)
        self._wide, self._high = WIDE, HIGH
        top = EDGE + HEAD + APART
        if page.bands:
            self._high = max(HIGH, top + EDGE + len(page.bands) * LEAST, top + EDGE + count * LEAST_IMAGE)
        else:
            self._wide = 2 * EDGE + count * ALONE + (count - 1) * EDGE
            self._high = top + HEAD + ALONE + max(NOTE, 0.1 + LINE * len(page.classes)) + EDGE
        self.figure = Figure(figsize=(self._wide, self._high), facecolor="white", dpi=150)
        self.high = self._high
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

    def _stacked(self, sheet: Sheet) -> float:
        """Draw images in rows, and below them a row of maps for each layer; return the height of all."""
        edge, gap, f = 0.02, 0.14, self._f
        panels = [None, *self._page.panels]
        rows, columns = self._page.image.shape[:2]
        across = min(sheet.images, len(panels))
        wide = (self._wide - 2 * edge - (across - 1) * gap) / across
        high = min(wide * rows / columns, wide, 0.36 * self._wide if across == 1 else wide)
        y = edge
        for begin in range(0, len(panels), across):
            row = panels[begin : begin + across]
            heads = [self._lines(_title(panel, "the input"), "title", wide) for panel in row]
            notes = [self._lines(panel.note, "small", wide) for panel in row if panel is not None]
            head = HEAD * max(map(len, heads))
            for number, panel in enumerate(row):
                x = edge + number * (wide + gap)
                self._image(x, y, wide, high, panel, across == 1, heads[number], f * head)
            under = max([0.04, *(0.06 + LINE * len(lines) for lines in notes)])
            if not begin and across > 1:
                under = max(under, 0.1 + LINE * len(self._page.classes))
            y += f * (head + under + APART) + high
        for band in self._page.bands:
            self._text(edge, y, band.title, "title", self._wide - 2 * edge, weight="bold")
            room = self._wide - 2 * edge - f * KEY
            size = (room + GAP) / sheet.maps - GAP  # of the width of a map
            count = min(len(band.values), band.most or sheet.maps)
            down = ceil(count / sheet.maps)
            self._text(edge, y + f * HEAD, _note(band, count), "small", self._wide - 2 * edge, color=FAINT)
            y += f * (HEAD + NOTE)
            high = down * (size / band.aspect + GAP) - GAP
            self._maps(replace(band, values=band.values[:count]), edge, y, room, high)
            y += high + f * APART
        return y - f * APART + edge

    # ---- images

    def _image(
        self, x: float, y: float, wide: float, high: float, panel: Panel | None, beside: bool, title: Sequence[str] = (), head: float = HEAD
    ) -> None:
        """Draw the image in a space under its title, of a height; of a panel, with what is drawn on it, else with the likeliest classes."""
        image, f = self._page.image, self._f
        room = wide + (0.25 if self._sheet is None else 0.0)
        for number, line in enumerate(title or self._lines(_title(panel), "title", room, 1)):
            self._text(x, y + f * HEAD * number, line, "title")
        rows, columns = image.shape[:2]
        scale = min(wide / columns, high / rows)
        axes = self._axes(x, y + head, columns * scale, rows * scale)
        grey = panel is not None and panel.heat is not None
        shown = image @ (0.299, 0.587, 0.114) if grey and len(image.shape) == 3 else image
        drawn = axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="none", aspect="auto")
        drawn.set_gid(panel.name if panel is not None else "image")
        y += head + rows * scale
        if panel is None and beside and columns * scale < wide - f * 1.2:
            self._classes(x + columns * scale + f * 0.12, y - rows * scale, wide - columns * scale - f * 0.12)
        elif panel is None:
            self._classes(x, y + f * 0.1, wide)
        else:
            if panel.heat is not None:  # the warmer, the less of the image shines through
                heat = axes.imshow(
                    panel.heat, cmap="autumn_r", vmin=0, vmax=1, alpha=0.75 * panel.heat, interpolation="none", aspect="auto"
                )
                heat.set_gid(f"{panel.name}/heat")
            if panel.box is not None:
                self._box(axes, panel)
            for number, line in enumerate(self._lines(panel.note, "small", room, 1 if self._sheet is None else 2)):
                self._text(x, y + f * (0.06 + LINE * number), line, "small", color=FAINT)

    def _box(self, axes: Any, panel: Panel) -> None:
        from matplotlib.patches import Rectangle

        assert panel.box is not None
        (top, bottom), (left, right) = panel.box
        corner, wide, high = (left - 0.5, top - 0.5), right - left + 1, bottom - top + 1
        for color, width in (("white", 3.2), (MARK, 1.6)):
            box = Rectangle(corner, wide, high, fill=False, edgecolor=color, linewidth=self._f * width, clip_on=False)
            box.set_gid(f"{panel.name}/box" if color == MARK else f"{panel.name}/rim")
            axes.add_patch(box)

    def _classes(self, x: float, y: float, wide: float) -> None:
        """Write the likeliest classes with a bar for each probability."""
        from matplotlib.patches import Rectangle

        f = self._f
        widths = [_width(name, f * SIZES["small"]) for name, _ in self._page.classes]
        label = min(0.55 * wide, f * 0.1 + max(widths, default=0.0))
        longest = wide - label - f * 0.55
        for number, (name, share) in enumerate(self._page.classes):
            line = y + f * LINE * number
            self._text(x, line, name, "small", label - f * 0.08)
            for gid, part, color in ((None, 1.0, "#e8ecef"), (f"class/{name}", share, "#3b7cb8")):
                corner = ((x + label) / self._wide, 1 - (line + f * 0.12) / self._high)
                bar = Rectangle(
                    corner, part * longest / self._wide, f * 0.11 / self._high, facecolor=color, transform=self.figure.transFigure
                )
                bar.set_gid(gid)
                self.figure.add_artist(bar)
            self._text(x + label + longest + f * 0.06, line, f"{100 * share:.1f} %", "small")

    # ---- bands of maps

    def _bands(self, top: float) -> None:
        left = EDGE + LEFT + 0.4
        budget = (self._high - top - EDGE + APART) / len(self._page.bands)
        for number, band in enumerate(self._page.bands):
            self._band(band, left, top + number * budget, self._wide - EDGE - KEY - left, budget - HEAD - APART)

    def _band(self, band: Band, x: float, y: float, wide: float, high: float) -> None:
        title = self._text(x, y, band.title, "title", 0.6 * wide, weight="bold")
        total = len(band.values)
        count = min(total, band.most) if band.most is not None else suited(total, band.aspect, wide, high)
        self._text(x + title + 0.2, y + 0.02, _note(band, count), "small", wide + KEY - title - 0.2, color=FAINT)
        self._maps(replace(band, values=band.values[:count]), x, y + HEAD, wide, high)

    def _maps(self, band: Band, x: float, y: float, wide: float, high: float) -> None:
        """Draw all maps of a band in a space, with the scale of their values."""
        from matplotlib.patches import Rectangle

        across, size = fitted(len(band.values), band.aspect, wide, high)
        settings, scale = self._scale(band)
        for number, values in enumerate(band.values):
            row, column = divmod(number, across)
            axes = self._axes(x + column * (size * band.aspect + GAP), y + row * (size + GAP), size * band.aspect, size)
            axes.imshow(values, interpolation="none", aspect="auto", **settings).set_gid(f"map/{band.name}/{number}")
            for at in band.marks:
                axes.add_patch(Rectangle((at[1] - 0.5, at[0] - 0.5), 1, 1, fill=False, edgecolor=MARK, linewidth=1.2, clip_on=False))
        if scale is not None:
            down = ceil(len(band.values) / across)
            end = x + min(across, len(band.values)) * (size * band.aspect + GAP)
            self._key(scale, end + self._f * 0.06, y, down * size + (down - 1) * GAP, settings["cmap"], band.name)

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
        f = self._f
        axes = self._axes(x, y, f * 0.09, high)
        ramp = [[1 - step / 63] for step in range(64)]
        axes.imshow(ramp, cmap=colors, vmin=0, vmax=1, aspect="auto", interpolation="none").set_gid(f"key/{name}")
        self._text(x + f * 0.13, y - f * 0.02, _number(ends[1]), "small", color=FAINT)
        self._text(x + f * 0.13, y + high - f * 0.13, _number(ends[0]), "small", color=FAINT)

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
        points = self._f * SIZES[size]
        shown = _cut(clean(text), points, room, weight) if room else clean(text)
        place = (x / self._wide, 1 - y / self._high)
        self.figure.text(*place, shown, va="top", fontsize=points, parse_math=False, weight=weight, color=color)
        return _width(shown, points, weight)

    def _lines(self, text: str, size: str, room: float, most: int = 2) -> list[str]:
        """Return a text in at most so many lines of a width, broken at blanks; the last one is cut."""
        points = self._f * SIZES[size]
        lines = [""]
        for word in clean(text).split(" "):
            longer = f"{lines[-1]} {word}".lstrip()
            if len(lines) < most and lines[-1] and _width(longer, points) > room:
                lines.append(word)
            else:
                lines[-1] = longer
        return [_cut(line, points, room) for line in lines]


def _title(panel: Panel | None, image: str = "the image as the network takes it") -> str:
    return panel.title if panel is not None else image


def _cut(text: str, size: float, room: float, weight: str = "normal") -> str:
    """Return a text, cut where it is wider than a room."""
    while len(text) > 1 and (width := _width(text, size, weight)) > room:
        kept = min(len(text) - 2, int(len(text) * room / width))
        text = f"{text[: max(kept, 0)]}…"
    return text


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


def suited(total: int, aspect: float, wide: float, high: float) -> int:
    """Return how many maps of a layer are drawn in a space: those that fill as few rows as hold FEWEST."""
    for down in range(1, total + 1):
        size = (high + GAP) / down - GAP
        if size <= 0:
            break
        held = down * int((wide + GAP) / (size * aspect + GAP))
        if held >= min(total, FEWEST):
            return min(total, held)
    return min(total, FEWEST)


def _note(band: Band, count: int) -> str:
    return band.note + (f"   the first {count}" if count < len(band.values) else "")


def _number(value: float) -> str:
    return f"{value:.2g}".replace("-", "\u2212") if value else "0"
