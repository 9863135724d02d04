"""Draw a plot with matplotlib: points, lines between those of a family, the front, keys, and labels where there is room for them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from archc.compiler.errors import UsageError
from archc.compiler.files import replacing
from archc.compiler.plots.pgf import Speech, write_pgf
from archc.compiler.plots.placing import Place, Spot, places
from archc.compiler.plots.request import Page

# Okabe & Ito's colors, which differ to every eye, without yellow, which is faint on paper. Signs differ too, for print without colors.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
SIGNS = ("o", "s", "^", "D", "v", "P", "X", "p")
# Signs whose sizes are compared, with what makes their areas equal to a circle's: the further ones where there are more groups than colors.
SIZED = (("o", 1.0), ("s", math.pi / 4), ("D", math.pi / 4), ("^", math.pi / 2))
SMALLEST, LARGEST = 12.0, 420.0  # the areas of points, in square points, at a text of 8 points
BASE = 8.0


@dataclass(frozen=True)
class Point:
    """One network: its name as it is shown, and its values."""

    name: str
    x: float
    y: float
    size: float | None = None
    group: str = ""  # of those that share a color
    shade: float | None = None  # in place of a group, a number
    line: str = ""  # of those that are joined
    label: str = ""


@dataclass(frozen=True)
class Drawing:
    """What is drawn: points and titles. `log` names logarithmic axes; `front` holds the points of the Pareto front, in order."""

    points: tuple[Point, ...]
    titles: dict[str, str]  # of x, y, size and color
    log: str
    front: tuple[Point, ...]
    labels: str  # one of LABELS
    page: Page
    styles: tuple[str, ...]


def write(drawing: Drawing, path: Path) -> list[str]:
    """Write a plot; return the names of the points without a label. Raises UsageError for an unknown style, and CannotWrite."""
    speech = Speech() if path.suffix in (".tex", ".pgf") else None
    with settings(drawing, speech is not None):
        figure, unlabelled = draw(drawing, speech or str)
        with replacing(path) as temporary:
            if speech is not None:
                write_pgf(figure, temporary, speech)
            else:
                nothing: dict[str, Any] = {{".svg": "Date", ".pdf": "CreationDate", ".png": "Software"}[path.suffix]: None}
                figure.savefig(temporary, format=path.suffix[1:], dpi=drawing.page.dpi, metadata=nothing)
    return unlabelled


class _Said(logging.Handler):
    """Keeps what matplotlib says of lines that it leaves out, and prints nothing of it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(" ".join(record.getMessage().split()).partition(" You probably need")[0])


@contextmanager
def settings(drawing: Drawing, tex: bool) -> Iterator[None]:
    """Provide the settings of a plot: matplotlib's defaults, ours, and those of the styles that are asked for."""
    import matplotlib
    from matplotlib import style

    text = drawing.page.text
    ours: Any = {
        "font.size": text, "axes.labelsize": text, "axes.titlesize": text, "xtick.labelsize": text * 0.9, "ytick.labelsize": text * 0.9,
        "legend.fontsize": text * 0.9, "axes.linewidth": text * 0.08, "lines.linewidth": text * 0.13,
        "xtick.major.width": text * 0.08, "ytick.major.width": text * 0.08,
        "xtick.major.size": text * 0.35, "ytick.major.size": text * 0.35, "xtick.minor.size": 0, "ytick.minor.size": 0,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
        "grid.color": "#e6e6e6", "grid.linewidth": text * 0.06, "legend.frameon": False,
        "font.family": ["serif" if tex else "sans-serif"], "font.sans-serif": ["DejaVu Sans"],
        "font.serif": ["DejaVu Serif"],  # wider than LaTeX's fonts, which are measured by it
        "pdf.fonttype": 42, "svg.fonttype": "path", "path.simplify": False,
    }  # fmt: skip
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(ours)
        for each in drawing.styles:
            said = _Said()
            logging.getLogger("matplotlib").addHandler(said)
            try:
                style.use(each)
            except OSError:
                known = style.available
                raise UsageError(f"is a file or one of matplotlib's styles, not {each}", option="style", given=each, known=known) from None
            except (ValueError, KeyError, TypeError) as error:
                raise UsageError(f"{each} is no style of matplotlib: {error}", option="style", given=each) from None
            finally:
                logging.getLogger("matplotlib").removeHandler(said)
            if said.texts:
                raise UsageError(f"{each} is no style of matplotlib: {said.texts[0]}", option="style", given=each)
        matplotlib.rcParams["svg.hashsalt"] = "archc"  # the same file from run to run
        yield


def draw(drawing: Drawing, say: Callable[[str], str] = str) -> tuple[Any, list[str]]:
    """Return the figure of a plot, and the names of the points without a label. `say` writes a text for the format."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    page = drawing.page
    figure: Any = Figure(figsize=(page.width, page.height), dpi=page.dpi, layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=page.text * 0.5 / 72, h_pad=page.text * 0.5 / 72)
    axes = figure.add_subplot()
    for axis, name in ((axes.xaxis, "x"), (axes.yaxis, "y")):
        if name in drawing.log:
            (axes.set_xscale if name == "x" else axes.set_yscale)("log")
        _ticks(axis, name in drawing.log, say)
        axis.set_label_text(say(drawing.titles[name]), parse_math=False)
    axes.margins(0.09 if page.width > 5 else 0.12)
    areas = _areas(drawing)
    _draw_points(figure, axes, drawing, areas, say)
    unlabelled = _label(figure, axes, drawing, areas, say) if drawing.labels != "none" else []
    return figure, unlabelled


def _areas(drawing: Drawing) -> list[float]:
    """Return the areas of the points: in proportion to their sizes, as far as the largest and the smallest ones permit."""
    scale = (drawing.page.text / BASE) ** 2
    sizes = [point.size for point in drawing.points if point.size is not None]
    if not sizes:
        return [22.0 * scale] * len(drawing.points)
    most = max(sizes) or 1.0
    return [scale * max(SMALLEST, LARGEST * (point.size or 0.0) / most) for point in drawing.points]


def _draw_points(figure: Any, axes: Any, drawing: Drawing, areas: Sequence[float], say: Callable[[str], str]) -> None:
    from matplotlib.lines import Line2D

    points, text = drawing.points, drawing.page.text
    groups = list(dict.fromkeys(point.group for point in points))
    looks = {group: (COLORS[number % len(COLORS)], SIGNS[number % len(SIGNS)]) for number, group in enumerate(groups)}
    sized = any(point.size is not None for point in points)
    if sized:
        looks = {group: (color, SIZED[number // len(COLORS) % len(SIZED)][0]) for number, (group, (color, _)) in enumerate(looks.items())}
    shaded = any(point.shade is not None for point in points)
    alike = dict(SIZED) if sized else {}  # areas compare, in one form where there are colors enough
    areas = [area * alike.get(looks[point.group][1], 1.0) for point, area in zip(points, areas, strict=True)]
    ground = axes.get_facecolor()
    for line in dict.fromkeys(point.line for point in points if point.line):
        row = sorted((point for point in points if point.line == line), key=lambda point: (point.x, point.y))
        color = "#888888" if shaded else looks[row[0].group][0]
        axes.plot([p.x for p in row], [p.y for p in row], color=color, alpha=0.7, zorder=2, gid=_gid("line", line))
    if len(drawing.front) > 1:
        xs, ys = [p.x for p in drawing.front], [p.y for p in drawing.front]
        axes.plot(xs, ys, color="#666666", linestyle=(0, (4, 2)), linewidth=text * 0.11, zorder=1.8, gid="front")
    values = [point.shade for point in points if point.shade is not None]
    if sized:  # nothing shows through, but other points
        for point, area in zip(points, areas, strict=True):
            axes.scatter([point.x], [point.y], s=area, marker=looks[point.group][1], color=[ground], edgecolors="none", zorder=2.7)
    drawn: Any = None
    for point, area in zip(points, areas, strict=True):
        look: dict[str, Any] = {"color": [looks[point.group][0]]}
        if shaded:
            look = {"c": [math.nan if point.shade is None else point.shade], "cmap": "viridis", "vmin": min(values), "vmax": max(values)}
        drawn = axes.scatter(
            [point.x], [point.y], s=area, marker=looks[point.group][1], alpha=0.75 if sized else 1.0, edgecolors=[ground],
            linewidths=text * 0.07, zorder=3, gid=_gid("point", point.name), **look,
        )  # fmt: skip
    if shaded:
        bar = figure.colorbar(drawn, ax=axes, aspect=30, pad=0.02)
        bar.set_label(say(drawing.titles["color"]), parse_math=False)
        bar.outline.set_visible(False)
        bar.solids.set_rasterized(False)
        bar.solids.set_edgecolor("face")
        _ticks(bar.ax.yaxis, False, say)
    handles = []
    if len(groups) > 1 and not shaded:
        mark = text * 0.62
        handles = [
            Line2D([], [], linestyle="", marker=looks[g][1], markersize=mark, markeredgecolor="none", color=looks[g][0], label=say(g))
            for g in sorted(groups)
        ]
    if len(drawing.front) > 1:
        handles.append(Line2D([], [], color="#666666", linestyle=(0, (3, 1.5)), linewidth=text * 0.11, label="Pareto front"))
    if handles:
        _key(figure, handles, "upper", drawing)
    if sized:
        _size_key(figure, drawing, say)


def _key(figure: Any, handles: Sequence[Any], where: str, drawing: Drawing, **look: Any) -> Any:
    """Draw a key above or below the axes, where it hides nothing, in rows of about equal length."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    room = max(1, int(drawing.page.width * 72 / (drawing.page.text * (0.56 * longest + 3.2))))
    rows = -(-len(handles) // room)
    usual = {"ncols": -(-len(handles) // rows), "handlelength": 1.1, "handletextpad": 0.4, "columnspacing": 1.3}
    pads = {"borderaxespad": 0.3, "borderpad": 0.2, "labelspacing": 0.35}
    key = figure.legend(handles=list(handles), loc=f"outside {where} center", **{**pads, **usual, **look})
    key.set_gid(f"key-{where}")
    for written in key.get_texts():
        written.set_parse_math(False)
    return key


def _size_key(figure: Any, drawing: Drawing, say: Callable[[str], str]) -> None:
    """Draw the key of areas: round sizes from small to large, behind their title."""
    from matplotlib.lines import Line2D

    text = drawing.page.text
    sizes = [point.size for point in drawing.points if point.size is not None]
    most = max(sizes) or 1.0
    steps = dict.fromkeys(step for step in (_round(most / 16), _round(most / 4), _round(most)) if step > 0)
    handles = []
    widest = 0.0
    for step in steps:
        across = math.sqrt((text / BASE) ** 2 * max(SMALLEST, LARGEST * step / most))
        look: dict[str, Any] = {"marker": "o", "markersize": across, "color": "#999999", "markeredgecolor": "none", "linestyle": ""}
        handles.append(Line2D([], [], label=say(plain(step)), **look))
        widest = max(widest, across)
    across = widest / (text * 0.9)  # in heights of the key's text
    title = Line2D([], [], linestyle="", label=say(drawing.titles["size"]))
    key = _key(
        figure, [title, *handles], "lower", drawing, ncols=1 + len(handles), handlelength=across, handleheight=across, columnspacing=0.8
    )
    key.legend_handles[0].set_visible(False)


def _round(value: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not above a value."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 0.0
    return max((step * power for step in (1, 2, 5) if step * power <= value * 1.0001), default=0.0)


def plain(value: float) -> str:
    """Write a number of an axis: `0.5`, `20`, `1,000`."""
    text = f"{value:,.10g}" if abs(value) >= 1e-4 or not value else f"{value:g}"
    return text.replace("-", "\N{MINUS SIGN}")


def _ticks(axis: Any, log: bool, say: Callable[[str], str]) -> None:
    """Set the ticks of an axis: numbers as people write them, on logarithmic axes at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if log else MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: say(plain(round(value, 10)))))
    axis.set_minor_formatter(NullFormatter())


def _label(figure: Any, axes: Any, drawing: Drawing, areas: Sequence[float], say: Callable[[str], str]) -> list[str]:
    """Write the names of the points where there is room; return those that are not written."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    renderer = figure.canvas.get_renderer()
    dot = figure.dpi / 72
    small = drawing.page.text * 0.88
    gap = small * 0.22 * dot
    spots = []
    for point, area in zip(drawing.points, areas, strict=True):
        written = figure.text(0, 0, point.label, fontsize=small, parse_math=False)
        box = written.get_window_extent(renderer)
        written.remove()
        x, y = axes.transData.transform((point.x, point.y))
        spots.append(Spot(x, y, math.sqrt(area) / 2 * dot, box.width, box.height))
    frame = axes.get_window_extent(renderer)
    room = (frame.x0 + gap, frame.y0 + gap, frame.x1, frame.y1)
    lines = [tuple(axes.transData.transform([a, b]).ravel()) for a, b in _segments(drawing)]
    front = [number for number, point in enumerate(drawing.points) if point in drawing.front]
    found = places(spots, room, lines, gap, front)
    for point, spot, place in zip(drawing.points, spots, found, strict=True):
        if place is not None:
            _write(figure, axes, point, spot, place, small, say)
    return [point.name for point, place in zip(drawing.points, found, strict=True) if place is None]


def _segments(drawing: Drawing) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    rows = [drawing.front]
    for line in dict.fromkeys(point.line for point in drawing.points if point.line):
        rows.append(tuple(sorted((p for p in drawing.points if p.line == line), key=lambda point: (point.x, point.y))))
    for row in rows:
        for first, second in pairwise(row):
            yield (first.x, first.y), (second.x, second.y)


def _write(figure: Any, axes: Any, point: Point, spot: Spot, place: Place, size: float, say: Callable[[str], str]) -> None:
    """Write one label, with the line that leads to it."""
    back = axes.transData.inverted()
    left, bottom, right, top = place.box
    if place.lead is not None:
        (x1, y1), (x2, y2) = back.transform([(spot.x, spot.y), place.lead])
        axes.plot(
            [x1, x2], [y1, y2], color="#999999", linewidth=size * 0.06, zorder=2.5, gid=_gid("lead", point.name), scalex=False, scaley=False
        )
    x, y = back.transform(((left + right) / 2, (bottom + top) / 2))
    ground = {"facecolor": axes.get_facecolor(), "edgecolor": "none", "alpha": 0.8, "pad": 0.3}
    axes.text(
        x,
        y,
        say(point.label),
        fontsize=size,
        ha="center",
        va="center",
        parse_math=False,
        zorder=4,
        gid=_gid("label", point.name),
        bbox=ground,
    )


def _gid(kind: str, name: str) -> str:
    """Return the id of an element: the kind and the name, without blanks."""
    return f"{kind}-{'_'.join(name.split())}"
