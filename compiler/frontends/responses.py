"""Global response normalization that a source writes out, as one operator: x + (bias + weight*(x*n))."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archc.compiler.frontends.arranging import words
from archc.compiler.frontends.views import View
from archc.compiler.frontends.walk import Walk


@dataclass(frozen=True)
class Affine:
    """What is noted of a sum: the operator that multiplies channels by trained factors, and the trained tensor that is added, by key."""

    scaled: int
    bias: Mapping[str, tuple[int, ...]]


def response_norm(reader: Walk, one: View, two: View) -> View | None:
    """Append a `grn` in place of the sum of a tensor and of its scaled response; None where two tensors are anything else."""
    for x, response in ((one, two), (two, one)):
        held = reader.flat.items[response.item].data
        if isinstance(held, Affine) and x.axes == response.axes and x.dims == response.dims and _is_whole(x) and _is_whole(response):
            weights = {**reader.flat.items[held.scaled].weights, **held.bias}
            (eps, source) = _response(reader, held.scaled, list(words(x.axes).values())[1:])
            prefixes = {key.removesuffix(f".{name}") for key, name in zip(weights, ("weight", "bias"), strict=False)}
            if source == x.item and len(weights) == 2 and len(prefixes) == 1 and not prefixes & set(weights):
                return View(reader.add("grn", [x.item], {"eps": eps}, weights=weights), x.axes, x.dims)
    return None


def _is_whole(view: View) -> bool:
    return not view.picks and view.factor == 1.0 and not view.unit


def _response(reader: Walk, scaled: int, positions: list[str]) -> tuple[float, int]:
    """Return the constant and the operator of which `scaled` is the response, times factors; -1 where it is something else."""
    items, other = reader.flat.items, (0.0, -1)
    if items[scaled].op != "layer_scale" or not items[scaled].attrs["flat"]:
        return other
    product = items[items[scaled].operands[0]]
    if product.op != "mul" or len(product.operands) != 2:
        return other
    x, relative = product.operands[0], items[product.operands[1]]
    if relative.op != "div" or len(relative.operands) != 2:
        return other
    lengths, shift = relative.operands[0], items[relative.operands[1]]
    if shift.op != "shift" or items[lengths].op != "reduce_norm" or items[lengths].operands != (x,):
        return other
    mean = items[shift.operands[0]]
    over, among = items[lengths].attrs, mean.attrs
    if mean.op != "reduce_mean" or mean.operands != (lengths,) or not over["keep"] or not among["keep"]:
        return other
    if list(over["axis"]) != positions or list(among["axis"]) != ["c"]:
        return other
    return float(shift.attrs["by"]), x
