"""What a network computes of one image: maps of layers, filters, the field of a unit, Grad-CAM; as data, and as a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.compiler.analysis.notation import notation
from archc.compiler.analysis.parts import nodes_of
from archc.compiler.errors import UsageError, at_least
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.plots.map_pages import Band, Page, Panel, write
from archc.compiler.shapes.dim import show_shape

if TYPE_CHECKING:
    from archc.compiler.backends.torch.arch_module import ArchModule
    from archc.compiler.backends.torch.maps import Cam, Maps, Unit

Tensor = Any  # of torch


@dataclass(frozen=True)
class Asked:
    """What is to be shown: layers (without anything else, those that end a stage), units as `LABEL:ROW,COLUMN`, classes for Grad-CAM.

    `channels` is the most maps of a layer, None where they are as many as suit the page, and `top` the number of classes that are named.
    Raises UsageError for numbers below 1.
    """

    layers: tuple[str, ...] = ()
    filters: bool = False
    units: tuple[str, ...] = ()
    cams: tuple[str, ...] = ()
    cam_layer: str = ""
    channels: int | None = None
    top: int = 3

    def __post_init__(self) -> None:
        if self.channels is not None:
            at_least("channels", self.channels, 1)
        at_least("top", self.top, 1)


@dataclass(frozen=True)
class Taken:
    """An image as a network takes it: `given` `(C, H, W)` standardized, `plain` the same with values from 0 to 1."""

    name: str
    given: Tensor
    plain: Tensor


class Shown:
    """What a network computes of an image, in evaluation.

    `classes` are the names of the classes, or empty where only their numbers are known; `sign` is -1 where the smallest value of the
    output is the best, else 1. Raises UnknownName for an unknown layer, and UsageError for what cannot be shown.
    """

    def __init__(self, module: ArchModule, image: Taken, asked: Asked, classes: Sequence[str] = (), sign: int = 1) -> None:
        from archc.compiler.backends.torch.maps import Maps, default_layers

        self._maps: Maps = Maps(module, image.given)
        self._asked, self._image, self._sign = asked, image, sign
        self.graph: ArchGraph = self._maps.graph
        self.scores = self._maps.scores(sign)
        names = tuple(map(str, range(len(self.scores)))) if self.scores is not None else ()
        self.names = tuple(classes) if len(classes) == len(names) else names
        plain = not (asked.layers or asked.filters or asked.units or asked.cams)
        layers = default_layers(self.graph) if plain else asked.layers
        self.layers: dict[str, Tensor] = {name: self._maps.of(name) for name in layers}
        self.filters: tuple[str, Tensor] | None = self._maps.filters() if asked.filters else None
        self.units: list[Unit] = [self._maps.unit(*_unit(text)) for text in asked.units]
        self.cams: list[Cam] = [self._maps.cam(self._class(text), sign, asked.cam_layer) for text in asked.cams]

    @cached_property
    def likeliest(self) -> list[tuple[str, float]]:
        """The likeliest classes with their probabilities; none of a network that does not score classes."""
        if self.scores is None:
            return []
        shares = self.scores.softmax(0)
        best = shares.topk(min(self._asked.top, len(shares)))
        return [(self.names[index], share) for share, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)]

    def facts(self) -> dict[str, Any]:
        """Return it as plain data. A `silent` map is 0 everywhere; pixels are counted from 0, both ends included."""
        return {
            "name": self.graph.name,
            "image": self._image.name,
            "classes": self.likeliest,
            "layers": [
                {
                    "name": name,
                    "shape": list(values.shape),
                    "least": float(values.min()),
                    "largest": float(values.max()),
                    "mean": float(values.mean()),
                    "silent": int((values == 0).flatten(1).all(1).sum()),
                }
                for name, values in self.layers.items()
            ],
            **({"filters": {"name": self.filters[0], "shape": list(self.filters[1].shape)}} if self.filters else {}),
            "units": [
                {"layer": unit.layer, "row": unit.row, "column": unit.column, "rows": unit.rows, "columns": unit.columns, "size": unit.size}
                for unit in self.units
            ],
            "cams": [
                {"layer": cam.layer, "class": self.names[cam.number], "number": cam.number, "map": cam.map.tolist()} for cam in self.cams
            ],
        }

    def page(self, width: str = "slide") -> Page:
        """Return the page that shows it: a `slide`, or as wide as the `page` or the `column` of a paper. Raises UsageError."""
        bands = [*([self._filters(*self.filters)] if self.filters else []), *(self._band(*layer) for layer in self.layers.items())]
        panels = [*(self._field(unit) for unit in self.units), *map(self._cam, self.cams)]
        image = _picture(self._image.plain)
        return Page(f"{self.graph.name} · {self._image.name}", image, tuple(self.likeliest), tuple(panels), tuple(bands), width)

    def write(self, path: Path, width: str = "slide") -> None:
        """Write the page as .svg, .png or .pdf. Needs matplotlib. Raises UsageError and CannotWrite."""
        write(self.page(width), path)

    # ---- what is asked for

    def _class(self, text: str) -> int:
        """Return the number of a class by its name, else by its number."""
        if self.scores is None:
            what = f"is for networks that score classes, and the output of {self.graph.name} is {self._maps.output}"
            raise UsageError(what, option="cam", given=text)
        if text in self.names:
            return self.names.index(text)
        count = len(self.names)
        if not re.fullmatch(r"\d+", text):
            unknown = f"; their names are not known: give a number from 0 to {count - 1}" if self.names[0] == "0" else ""
            known = () if unknown else self.names
            raise UsageError(f"is one of {count} classes, not {text}{unknown}", option="cam", given=text, known=known)
        if int(text) >= count:
            raise UsageError(f"is one of {count} classes, 0 to {count - 1}, not {text}", option="cam", given=text)
        return int(text)

    # ---- parts of the page

    def _band(self, layer: str, values: Tensor) -> Band:
        title, written = _written(self.graph, layer)
        note = f"{written}   {show_shape(tuple(values.shape))}"
        end = nodes_of(self.graph, layer)[-1].name
        marks = tuple((unit.row, unit.column) for unit in self.units if unit.layer == end)
        return Band(layer, title, note, values.numpy(), marks, self._asked.channels)

    def _filters(self, name: str, weights: Tensor) -> Band:
        """Return the filters as pictures: in color with the same scale for all, or as one channel around 0."""
        count, channels, *size = weights.shape
        title, note, most = f"filters of {name}", f"{count} of {show_shape((channels, *size))}", self._asked.channels
        if channels == 1:
            return Band("filters", title, note, weights[:, 0].numpy(), most=most)
        largest = max(float(weights.abs().max()), 1e-12)
        note = f"{note}   weights from \u2212{largest:.2g} to {largest:.2g} as colors, grey is 0"
        return Band("filters", title, note, (weights / (2 * largest) + 0.5).permute(0, 2, 3, 1).numpy(), most=most)

    def _field(self, unit: Unit) -> Panel:
        size = " x ".join("all" if extent is None else str(extent) for extent in unit.size)
        title = f"field of {unit.layer}:{unit.row},{unit.column}"
        inside = f"{unit.rows[1] - unit.rows[0] + 1} x {unit.columns[1] - unit.columns[0] + 1}"
        note = f"{size} pixels" + ("" if inside == size else f", {inside} of them in the image")
        return Panel(f"unit/{unit.layer}:{unit.row},{unit.column}", title, note, box=(unit.rows, unit.columns))

    def _cam(self, cam: Cam) -> Panel:
        assert self.scores is not None
        share = float(self.scores.softmax(0)[cam.number])
        title = f"Grad-CAM for {self.names[cam.number]}, {100 * share:.1f} %"
        most = float(cam.map.max())
        note = (
            f"at {cam.layer}, {show_shape(tuple(cam.map.shape))}; red: most"
            if most > 0
            else f"at {cam.layer}: nothing speaks for this class"
        )
        from archc.compiler.backends.torch.maps import enlarged

        heat = enlarged(cam.map / most if most > 0 else cam.map, self._image.plain.shape[1:]).numpy()
        return Panel(f"cam/{self.names[cam.number]}", title, note, heat=heat)


def _unit(text: str) -> tuple[str, int, int]:
    """Read `LABEL:ROW,COLUMN`."""
    found = re.fullmatch(r"(.+):\s*(\d+)\s*,\s*(\d+)\s*", text)
    if found is None:
        raise UsageError(f"is LABEL:ROW,COLUMN, as in conv2:4,4, not {text}", option="unit", given=text)
    return found[1], int(found[2]), int(found[3])


def _picture(plain: Tensor) -> Any:
    return plain[0].numpy() if len(plain) == 1 else plain.permute(1, 2, 0).numpy()


def _written(graph: ArchGraph, layer: str) -> tuple[str, str]:
    """Return a node by name and as it is written, after the layer that it is attached to; of a block, its name and its call."""
    node: Node = nodes_of(graph, layer)[-1]
    if layer not in graph:
        calls = [frame.brief for frame in (node.frame.chain() if node.frame else ()) if frame.scope == layer]
        return layer, (calls[0] if calls else f"its last value, {node.name}")
    names, shown = [node.name], [notation(node)]
    while node.operator.is_attached and len(node.operands) == 1 and not node.operands[0].is_input:
        node = node.operands[0]
        names.insert(0, node.name)
        shown.insert(0, notation(node))
    first, *rest = names
    return " \u2192 ".join([first, *(name.rpartition(".")[2] for name in rest)]), " · ".join(shown)
