"""Rules of what normalizations that are written out are made of: variances, a product and a sum in one, and responses of channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.responses import Affine
from archc.compiler.frontends.selecting import merged, reduced
from archc.compiler.frontends.torch.nodes import Fixed, operator, rule
from archc.compiler.frontends.torch.pointwise import scaled, unshaped
from archc.compiler.frontends.torch.reader import Reader
from archc.compiler.frontends.views import View


@rule("var")
def variance(reader: Reader, a: Any) -> View:
    """Read a variance over axes, of which either the deviations are counted or one less."""
    view = reader.data(a.x)
    dims = a.dim if a.dim is not None else range(len(view.dims))
    by = a.given.get("correction", int(a.given.get("unbiased", True)))
    correction = 1 if by is None else by
    if correction not in (0, 1):
        raise CannotRead(f"it divides by the number of values less {correction}")
    return reduced(
        reader, view, dims if isinstance(dims, Sequence | range) else [dims], bool(a.keepdim), "reduce_var", unbiased=correction == 1
    )


@rule("addcmul")
def addcmul(reader: Reader, a: Any) -> View:
    """Read the sum of a tensor and the product of two others."""
    if a.value not in (None, 1):
        raise CannotRead(f"it multiplies the product by {a.value}")
    one, two = a.tensor1, a.tensor2
    for first, second in ((one, two), (two, one)):
        if isinstance(first, View) and (made := scaled(reader, first, second)) is not None:
            break
    else:
        beside = next((held for held in (one, two) if isinstance(held, View)), None)
        made = merged(reader, "mul", reader.data(one, beside), reader.data(two, beside))
    whole = merged(reader, "add", reader.data(a.x, made), made)
    if isinstance(a.x, Fixed) and len(reader.flat.items[made.item].operands) == 1:  # a factor for each channel
        reader.flat.items[whole.item].data = Affine(made.item, stored(reader, a.x))
    return whole


def stored(reader: Reader, value: Fixed) -> dict[str, tuple[int, ...]]:
    """Return the trained tensor that a value is, in another shape, by its key; nothing for any other value."""
    node = unshaped(reader, value.node)
    return {reader.key(node): tuple(node.meta["val"].shape)} if reader.keys.get(node, "") in reader.trained else {}


@rule("max", "min")
def largest(reader: Reader, a: Any) -> Any:
    """Read the largest or smallest value along an axis; where it is, is not known."""
    name = operator(reader.node)
    if a.other is not None:
        beside = next((held for held in (a.x, a.other) if isinstance(held, View)), None)
        return merged(reader, name, reader.data(a.x, beside), reader.data(a.other, beside))
    if not isinstance(a.dim, int):
        raise CannotRead("it is over all values, of all samples")
    return reduced(reader, reader.data(a.x), [a.dim], bool(a.keepdim), f"reduce_{name}"), None
