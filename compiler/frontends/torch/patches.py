"""Rules of patches: parts of a map around each position as channels, and their sum."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.selecting import attempt, owning
from archc.compiler.frontends.torch import layers
from archc.compiler.frontends.torch.nodes import rule
from archc.compiler.frontends.torch.pointwise import tensor
from archc.compiler.frontends.torch.reader import Reader
from archc.compiler.frontends.views import View, fresh


@rule("im2col")
def im2col(reader: Reader, a: Any) -> View:
    """Read patches of a map as channels: those that do not overlap are another view of it."""
    view, given = tensor(reader, a), _window(a)
    kernel, stride, pads, dilation = given.values()
    batch, channels, *sizes = view.shape
    if kernel != stride or any(pads) or dilation != (1, 1) or any(count % step for count, step in zip(sizes, kernel, strict=True)):
        view = reader.plain(view)
        item = reader.add("unfold", [view.item], given)
        made = reader.mapped(item)
        return made.with_dims((*made.dims[:2], made.dims[2] + made.dims[3]))
    (rows, columns), (high, wide) = [count // step for count, step in zip(sizes, kernel, strict=True)], kernel
    apart = attempt(view, (batch, channels, rows, high, columns, wide))
    cut = apart.dims
    return apart.with_dims((cut[0], (*cut[1], *cut[3], *cut[5]), (*cut[2], *cut[4])))


@rule("col2im")
def col2im(reader: Reader, a: Any) -> View:
    """Read the sum of patches, which are channels, where they lie in a map."""
    view, given, whole = tensor(reader, a), _window(a), tuple(a.output_size)
    windows = zip(whole, *given.values(), strict=True)
    steps = [divmod(count + 2 * pad - spread * (side - 1) - 1, step) for count, side, step, pad, spread in windows]
    view = reader.plain(attempt(view, (*view.shape[:2], *(count + 1 for count, _ in steps))))
    given["out_pad"] = tuple(extra for _, extra in steps)
    return reader.mapped(reader.add("fold", [view.item], given, expected=(view.shape[1] // prod(given["kernel"]), *whole)))


def _window(a: Any) -> dict[str, tuple[int, ...]]:
    """Return the options of the window of `im2col` and `col2im`, in the order kernel, stride, padding, dilation."""
    return {
        "kernel": layers.each(a.kernel_size, 2),
        "stride": layers.each(a.stride, 2),
        "pad": layers.each(a.padding, 2),
        "dilation": layers.each(a.dilation, 2),
    }


@rule("unfold")
def windows(reader: Reader, a: Any) -> View:
    """Read windows along one axis, whose positions become the last axis; those along two axes of a map are one operator."""
    view = tensor(reader, a)
    dim = a.dimension % len(view.dims)
    if reader.batch in view.dims[dim]:
        raise CannotRead("it takes windows over samples")
    view, axis = owning(reader, view, dim)
    if axis == 0 or len(view.axes) > 3:
        raise CannotRead("its windows are not along the height or width of a map, or along a row")
    count = len(view.axes) - 1
    kernel, stride = ([amount if place == axis - 1 else 1 for place in range(count)] for amount in (a.size, a.step))
    before, source = reader.flat.items[view.item], view.item
    if before.op == "unfold" and axis == 2 and _is_along_height(before.attrs):
        kernel[0], stride[0], source = before.attrs["kernel"][0], before.attrs["stride"][0], before.operands[0]
    item = reader.add("unfold", [source], {"kernel": tuple(kernel), "stride": tuple(stride)})
    places, inside = fresh([int(reader.flat.items[item].shape[axis]), a.size])  # type: ignore[arg-type]
    axes = (view.axes[0] + inside, *(places if number == axis else own for number, own in enumerate(view.axes) if number))
    return View(item, axes, (*view.dims[:dim], places, *view.dims[dim + 1 :], inside))


def _is_along_height(attrs: Mapping[str, Any]) -> bool:
    """Return whether windows of a map are one position wide, and nothing else is done but to take them."""
    return attrs["kernel"][1] == attrs["stride"][1] == 1 and not any(attrs["pad"]) and set(attrs["dilation"]) == {1}
