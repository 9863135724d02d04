"""What a network computes of one image: its feature maps, its first filters, what one unit sees, and Grad-CAM for a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional as F

from archc.compiler.analysis.parts import nodes_of
from archc.compiler.analysis.receptive import receptive_fields
from archc.compiler.analysis.seen import seen
from archc.compiler.backends.torch.arch_module import ArchModule, source_of
from archc.compiler.backends.torch.optimize import realized
from archc.compiler.errors import UnknownName, UsageError
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.lowering import lowered

LAYERS = 5  # shown where none is named


@dataclass(frozen=True)
class Unit:
    """One place of a map, and the pixels that it depends on: rows and columns of the image, from the first to the last, both included.

    `size` are the rows and columns of its receptive field, of which those in the padding are no pixels; None where it has no limit.
    """

    layer: str
    row: int
    column: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    size: tuple[int | None, int | None]


@dataclass(frozen=True)
class Cam:
    """Grad-CAM (Selvaraju et al. 2017) for a class at a layer: `map` is `(H, W)` at the size of the layer, not below 0."""

    layer: str
    number: int
    map: Tensor


class Maps:
    """The values of a network in evaluation for one image `(C, H, W)`, computed once and kept."""

    def __init__(self, module: ArchModule, image: Tensor) -> None:
        self.graph = source_of(module)
        self._flat = realized(module, lowered(self.graph, "inference", 0))
        self._image = image[None].to(next((weight.device for weight in module.parameters()), image.device))
        run = _Kept(self._flat)
        with torch.no_grad():
            run.run(self._image)
        self._values = run.kept

    def of(self, layer: str) -> Tensor:
        """Return the maps `(C, H, W)` of a layer or of the end of a block. Raises UnknownName, and UsageError where it has none."""
        node = spatial(self.graph, layer, "layer")
        if node.name not in self._values:
            raise UsageError(f"{node.name} is computed in training only", option="layer", given=layer)
        found: Tensor = self._values[node.name][0]
        return found.float().cpu()

    def scores(self, sign: int) -> Tensor | None:
        """Return the scores of the classes `(classes,)` of the first output, the largest for the likeliest class, before a softmax.

        None where the output is no row of scores: that of a network that segments, or makes an image.
        """
        found = self._values[_scored(self.graph)][0]
        return sign * found.flatten().float().cpu() if found.numel() == len(found) else None

    @property
    def output(self) -> str:
        """The shape of the first output, as text."""
        return "x".join(map(str, self._values[_scored(self.graph)][0].shape))

    def filters(self) -> tuple[str, Tensor]:
        """Return the name of the first convolution and its filters `(out, C, kH, kW)`. Raises UsageError where they are no pictures."""
        node = next((node for node in self.graph if node.operator.picture_family == "convolution" and node.window is not None), None)
        if node is None:
            raise UsageError(f"{self.graph.name} has no convolution, so no filters to show", option="filters")
        weight: Any = getattr(self._flat.get_submodule(node.key), "weight", None)
        if not isinstance(weight, Tensor) or weight.dim() != 4 or weight.shape[0] != node.shape[0] or weight.shape[1] not in (1, 3):
            sizes = "x".join(map(str, weight.shape)) if isinstance(weight, Tensor) else "none"
            raise UsageError(f"are shown where they look at 1 or 3 channels; {node.name} has weights of {sizes}", option="filters")
        return node.name, weight.detach().float().cpu()

    def unit(self, layer: str, row: int, column: int) -> Unit:
        """Return the pixels that a place of a layer depends on. Raises UnknownName, and UsageError for a place that is not there."""
        node = spatial(self.graph, layer, "unit")
        height, width = sizes(node)
        if not (0 <= row < height and 0 <= column < width):
            place = f"is a place in {node.name}, which is {height}x{width}, not {row},{column}"
            raise UsageError(f"{place}: rows are 0 to {height - 1}, columns 0 to {width - 1}", option="unit")
        axes = receptive_fields(self.graph)[node.name].axes
        found = seen(self.graph, node.name, (row, column)).get(self.graph.inputs[0].name, [])
        if len(found) != 2 or not all(found):
            raise UsageError(f"{node.name}:{row},{column} depends on no pixel", option="unit")
        rows, columns = ((min(positions), max(positions)) for positions in found)
        whole = [None if axis.whole else axis.size for axis in axes]
        return Unit(node.name, row, column, rows, columns, (whole[0], whole[1]))

    def cam(self, number: int, sign: int, layer: str = "") -> Cam:
        """Return Grad-CAM for a class: at a layer, else at the last one with maps that does not pool.

        The weight of a map is the mean of the gradient of the score by its values. Raises UnknownName, and UsageError where the score
        does not depend on the layer.
        """
        node = spatial(self.graph, layer, "cam-layer") if layer else last_map(self.graph)
        scored = _scored(self.graph)
        run = _Kept(self._flat, node.name)
        with torch.enable_grad():
            run.run(self._image)
            score = sign * run.kept[scored][0].flatten()[number]
            maps = run.kept.get(node.name)
            gradient = torch.autograd.grad(score, maps, allow_unused=True)[0] if maps is not None and score.requires_grad else None
        if gradient is None or maps is None:
            raise UsageError(f"the scores do not depend on {node.name}", option="cam-layer" if layer else "cam", given=layer)
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        return Cam(node.name, number, F.relu((weights * maps.detach()).sum(1))[0].float().cpu())


class _Kept(fx.Interpreter):
    """Runs a flat module and keeps the value of every node of the file; the value of `leaf` is one that gradients end at."""

    def __init__(self, flat: fx.GraphModule, leaf: str = "") -> None:
        super().__init__(flat)
        self._leaf = leaf
        self.kept: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        name = n.meta["arch"]["name"] if "arch" in n.meta else ""
        if name and name == self._leaf:
            result = result.detach().requires_grad_()
        if name:
            self.kept[name] = result
        return result


def spatial(graph: ArchGraph, layer: str, option: str) -> Node:
    """Return a node with maps: the named one, or the last of a block. Raises UnknownName, and UsageError for one that has no maps."""
    known = ", ".join(default_layers(graph))
    try:
        node = nodes_of(graph, layer)[-1]
    except UnknownName as error:
        error.hint = error.hint or f"layers with maps are {known}, and others that `archc summary` lists"
        raise
    if not _has_maps(node):
        shape = "x".join(map(str, node.shape))
        raise UsageError(f"{node.name} has no maps of rows and columns: it is {shape}; layers with maps are {known}", option=option)
    return node


def default_layers(graph: ArchGraph, most: int = LAYERS) -> list[str]:
    """Return the last layer at each size of maps, from the input to the output: where stages end. At most `most`, evenly chosen."""
    ends: dict[tuple[int, int], str] = {}
    for node in _path(graph):
        if _has_maps(node) and not node.is_input:
            ends.pop(sizes(node), None)
            ends[sizes(node)] = node.name
    names = list(ends.values())
    if len(names) > most:
        names = [names[round(number * (len(names) - 1) / (most - 1))] for number in range(most)]
    if not names:
        raise UsageError(f"{graph.name} has no layer with maps of rows and columns")
    return names


def last_map(graph: ArchGraph) -> Node:
    """Return the last node with maps that pools nothing: the one that Grad-CAM looks at."""
    found = [node for node in _path(graph) if _has_maps(node) and not node.is_input]
    chosen = [node for node in found if node.operator.picture_family not in ("pooling", "shape", "regularization")] or found
    if not chosen:
        raise UsageError(f"{graph.name} has no layer with maps of rows and columns, so no Grad-CAM", option="cam")
    return chosen[-1]


def sizes(node: Node) -> tuple[int, int]:
    """Return the rows and columns of a node with maps."""
    height, width = node.shape[1:]
    assert isinstance(height, int) and isinstance(width, int)
    return height, width


def _has_maps(node: Node) -> bool:
    return len(node.shape) == 3 and all(isinstance(size, int) for size in node.shape) and node.shape[1:] != (1, 1)


def _path(graph: ArchGraph) -> list[Node]:
    """Return the nodes on which the first output in evaluation depends, in order."""
    used = graph.ancestors([_output(graph)])
    return [node for node in graph if node.name in used]


def _output(graph: ArchGraph) -> str:
    return next(output.node for output in graph.outputs.values() if not output.training_only)


def _scored(graph: ArchGraph) -> str:
    """Return the node whose values are the scores of the classes: the first output, or what a softmax at the end takes."""
    node = graph[_output(graph)]
    while node.op in ("softmax", "log_softmax"):
        node = node.operands[0]
    return node.name


def enlarged(values: Tensor, size: Sequence[int]) -> Tensor:
    """Return a map `(H, W)` at another size, with values between the old ones (bilinear)."""
    return F.interpolate(values[None, None], size=tuple(size), mode="bilinear", align_corners=False)[0, 0]
