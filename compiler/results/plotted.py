"""A plot of networks: the values of their columns as points, in units that suit them, and the front of the best."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archc.compiler.analysis.family import Entry
from archc.compiler.errors import UsageError, one_of
from archc.compiler.plots.request import Axes, can_plot
from archc.compiler.results.columns import COLUMNS, Column, Look

if TYPE_CHECKING:
    from archc.compiler.plots.figure import Drawing, Point

WIDE = 30.0  # an axis whose values differ by a larger factor is logarithmic


@dataclass(frozen=True)
class Plotted:
    """What a plot leaves out: networks without a value on an axis, and those for whose names there was no room."""

    missing: tuple[str, ...]
    unlabelled: tuple[str, ...]


@dataclass(frozen=True)
class Scale:
    """A column of numbers in a unit: its title, with the unit, and the value of an entry, None where it has none."""

    column: Column
    title: str
    value: Callable[[Entry], float | None]


def plot(entries: Sequence[Entry], look: Look, axes: Axes, path: Path) -> Plotted:
    """Write a plot. Raises UsageError for an axis that is no column of numbers, and where no network has both values; CannotWrite."""
    path = can_plot(path)
    made, missing = drawing(entries, look, axes)
    from archc.compiler.plots.figure import write

    return Plotted(tuple(missing), tuple(write(made, path)))


def drawing(entries: Sequence[Entry], look: Look, axes: Axes) -> tuple[Drawing, list[str]]:
    """Return what a plot shows, and the networks that are not in it. Raises UsageError."""
    scales, groups = check_axes(entries, look, axes)
    from archc.compiler.plots.figure import Drawing, Point

    x, y = scales["x"], scales["y"]
    points: list[Point] = []
    missing = []
    for entry in entries:
        here, there = x.value(entry), y.value(entry)
        size = scales["size"].value(entry) if "size" in scales else None
        shade = scales["color"].value(entry) if "color" in scales else None
        if here is None or there is None or ("size" in scales and (size is None or size < 0)):
            missing.append(look.named(entry.name))
            continue
        words = {name: column.write(entry) for name, column in groups.items()}
        name, group = look.named(entry.name), words.get("color", "")
        label = short(name, group) if axes.labels == "short" else name
        points.append(Point(name, here, there, size, look.named(group), shade, words.get("join", ""), label))
    if not points:
        needed = " and ".join(dict.fromkeys(scale.column.key for scale in scales.values()))
        raise UsageError(f"no network has {needed}: there is nothing to plot")
    log = _logarithmic(points, axes)
    if axes.pareto:
        for name in ("x", "y"):
            if not scales[name].column.best:
                raise UsageError(f"needs axes of which less or more is better, and {scales[name].column.key} is none", option="pareto")
    best = {name: scales[name].column.best == "high" for name in ("x", "y")}
    front = front_of(points, best["x"], best["y"]) if axes.pareto else ()
    titles = {name: scale.title for name, scale in scales.items()}
    return Drawing(tuple(points), titles, log, front, axes.labels, axes.page(), axes.styles), missing


def short(name: str, family: str) -> str:
    """Return a name without that of the family in front of it: `b0`, `18`; the whole name where nothing would be left."""
    plain = re.sub(r"[\s_-]", "", family).lower()
    for end in range(1, len(name)):
        if plain and re.sub(r"[\s_-]", "", name[:end]).lower() == plain:
            return name[end:].lstrip(" _-") or name
    return name


def check_axes(entries: Sequence[Entry], look: Look, axes: Axes) -> tuple[dict[str, Scale], dict[str, Column]]:
    """Return the scales of a plot, and the columns of words that color and join its points. Raises UsageError."""
    known = look.everything(entries)
    numeric = [key for key, column in known.items() if column.head.startswith(">")]
    usual = next((key for key in numeric if key not in COLUMNS), "params")
    chosen = {"x": axes.x, "y": axes.y or usual, "size": axes.size}
    scales = {}
    for name, key in chosen.items():
        if key:
            one_of(name, key, numeric)
            scales[name] = _scale(known[key], entries, look)
    groups = {}
    if axes.color != "none":
        one_of("color", axes.color, [*known, "none"])
        if axes.color in numeric:
            scales["color"] = _scale(known[axes.color], entries, look)
        else:
            groups["color"] = known[axes.color]
    join = axes.join or (axes.color if "color" in groups else "none")
    if join != "none":
        one_of("join", join, [*(key for key in known if key not in numeric), "none"])
        groups["join"] = known[join]
    return scales, groups


def _scale(column: Column, entries: Sequence[Entry], look: Look) -> Scale:
    """Return a column in the unit that is asked for, or in the largest one in which the middle value is at least 1."""
    found = (column.number(entry) for entry in entries)
    values = sorted(abs(value) for value in found if value is not None and math.isfinite(value))
    unit = look.units.get(column.key) or _suited(column.units, values[len(values) // 2] if values else 0.0)
    factor = column.units[unit] if unit else 1
    shown = f"10{unit[1:].translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}" if unit.startswith("e") else unit
    title = look.rename.get(column.key, column.title)

    def value(entry: Entry) -> float | None:
        number = column.number(entry)
        return number / factor if number is not None and math.isfinite(number) else None

    return Scale(column, f"{title} ({shown})" if shown else title, value)


def _suited(units: Mapping[str, int], middle: float) -> str:
    fits = [unit for unit, factor in units.items() if (factor <= middle and not unit.startswith("e") and not unit.endswith("B")) or
            (unit.endswith("iB") and factor <= middle)]  # fmt: skip
    return max(fits, key=lambda unit: units[unit], default="")


def _logarithmic(points: Sequence[Point], axes: Axes) -> str:
    """Return the names of the logarithmic axes. Raises UsageError for one on which a value is not above 0."""
    found = ""
    for name in ("x", "y"):
        values = [getattr(point, name) for point in points]
        if name in axes.log.replace("none", "") and min(values) <= 0:
            raise UsageError(f"{name} has values that are not above 0, and a logarithm needs them", option="log", given=axes.log)
        wide = not axes.log and min(values) > 0 and max(values) / min(values) > WIDE
        found += name if name in axes.log.replace("none", "") or wide else ""
    return found


def front_of(points: Sequence[Point], x_high: bool, y_high: bool) -> tuple[Point, ...]:
    """Return the points that no other one equals or excels in both axes and excels in one, from left to right."""
    front = []
    for point in points:
        here = (point.x if x_high else -point.x, point.y if y_high else -point.y)
        others = [(p.x if x_high else -p.x, p.y if y_high else -p.y) for p in points]
        if not any(other[0] >= here[0] and other[1] >= here[1] and other != here for other in others):
            front.append(point)
    return tuple(sorted(front, key=lambda point: (point.x, point.y)))
