"""Rules of concatenation and of reductions over axes."""

from __future__ import annotations

from typing import Any

from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.onnx.model import Node
from archc.compiler.frontends.onnx.reader import Reader, counted, rule
from archc.compiler.frontends.onnx.windows import rolled
from archc.compiler.frontends.selecting import joined, reduced
from archc.compiler.frontends.views import View

REDUCTIONS = {
    **{"ReduceMean": "reduce_mean", "ReduceSum": "reduce_sum", "ReduceMax": "reduce_max", "ReduceMin": "reduce_min"},
    "ReduceL2": "reduce_norm",
}


@rule("Concat")
def concat(reader: Reader, node: Node) -> Any:
    """Read a concatenation along an axis."""
    if (moved := rolled(reader, node)) is not None:
        return moved
    held = [reader.given(node, place) for place in range(len(node.inputs))]
    if any(isinstance(value, View) is False and getattr(value, "shape", None) is None for value in held):
        raise CannotRead("it joins something that is no tensor")
    rank = len(next(value.shape for value in held if isinstance(value, View)))
    return joined(reader, held, reader.axis(node, rank, rank))


@rule(*REDUCTIONS)
def reduction(reader: Reader, node: Node) -> View:
    """Read a reduction over axes; the mean over all positions of a map is a global average pool."""
    view = reader.view(node)
    axes = reader.numbers(node, 1, "axes")
    if not axes:
        if node.attrs.get("noop_with_empty_axes", 0):
            return view
        axes = list(range(len(view.dims)))
    axes = [counted(axis, len(view.dims)) for axis in axes]
    return reduced(reader, view, axes, bool(node.attrs.get("keepdims", 1)), REDUCTIONS[node.op], not reader.net.own)
