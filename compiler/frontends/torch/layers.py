"""Rules of layers with weights, of normalization and of pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import comb
from typing import Any

import torch
from torch import Tensor

from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.selecting import merged, reduced
from archc.compiler.frontends.torch.attention import KEYLESS, length, projected
from archc.compiler.frontends.torch.nodes import Arguments, Fixed, operator, rule
from archc.compiler.frontends.torch.reader import Reader
from archc.compiler.frontends.torch.weights import kernels
from archc.compiler.frontends.views import Axis, View, size


def each(value: Any, count: int) -> tuple[int, ...]:
    """Return a setting for every axis."""
    parts = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return parts * count if len(parts) == 1 else parts


# ---- layers


@rule("conv1d", "conv2d", "conv3d")
def conv(reader: Reader, a: Any) -> View:
    """Read a convolution."""
    source = reader.data(a.input)
    if isinstance(a.weight, Fixed) and a.bias is None and (kernel := reader.constant(a.weight.node)) is not None:
        return blurred(reader, source, a, kernel)
    axes = len(a.weight.shape) - 2
    if is_point(a) and len(source.dims) == axes + 2 and len(source.dims[0]) > 1:
        return at_positions(reader, source, a)
    view, outer = reader.apart(source)
    computed, held = kernels(reader, a.weight)
    pad = a.padding
    if isinstance(pad, str):
        pad = "same" if pad == "same" else 0
        if pad == "same" and any(step != 1 for step in each(a.stride, axes)):
            raise CannotRead("it pads by `same` with a stride")
    if outer and (computed or len(held) != 1):
        raise CannotRead("its kernel is computed, and moves over parts of a map that are put into the batch")
    if outer:
        (key,) = held
        held[key] = reader.flat.changes.shapes[key] = (*a.weight.shape[:2], 1, *a.weight.shape[2:])
    given = {
        "kernel": (*one(outer), *a.weight.shape[2:]),
        "out": a.weight.shape[0],
        "stride": (*one(outer), *each(a.stride, axes)),
        "pad": pad if isinstance(pad, str) else (*one(outer, 0), *each(pad, axes)),
        "dilation": (*one(outer), *each(a.dilation, axes)),
        "groups": a.groups,
        "bias": a.bias is not None,
        **computed,
    }
    item = reader.add("conv", [view.item], given, weights={**held, **reader.weights(a.bias)})
    return reader.mapped(item, bool(source.dims[0]), outer)


def one(outer: Axis, value: int = 1) -> tuple[int, ...]:
    """Return the setting of a window for what is put into the batch, along which it does not move: none where that is nothing."""
    return (value,) if outer else ()


def is_point(a: Any) -> bool:
    """Return whether a convolution works at each position by itself."""
    rest = () if isinstance(a.padding, str) else each(a.padding, 1)
    return {1} == {*a.weight.shape[2:], *each(a.stride, 1)} and not any(rest)


def at_positions(reader: Reader, view: View, a: Any) -> View:
    """Read a convolution at each position of maps that are put into the batch: their first axis goes on with the next map."""
    dims = reader.sample_dims(view)
    want = (dims[1], dims[0] + dims[2], *dims[3:])
    view = replace(view, item=reader.as_axes(view, want), axes=want, picks=())
    computed, held = kernels(reader, a.weight)
    ones = (1,) * (len(want) - 1)
    given = {"kernel": ones, "out": a.weight.shape[0], "groups": a.groups, "bias": a.bias is not None, **computed}
    item = reader.add("conv", [view.item], given, weights={**held, **reader.weights(a.bias)})
    return reader.rechanneled(view, item, 1)


def blurred(reader: Reader, source: View, a: Any, kernel: Tensor) -> View:
    """Read a convolution of each channel with fixed binomial coefficients: means of two positions, one after another."""
    sides, steps = set(kernel.shape[2:]), set(each(a.stride, kernel.dim() - 2))
    side = sides.pop()
    row = torch.tensor([float(comb(side - 1, place)) for place in range(side)])
    wanted = row
    for _ in range(kernel.dim() - 3):
        wanted = wanted[..., None] * row
    own = a.groups == kernel.shape[0] == source.shape[1] and kernel.shape[1] == 1
    plain = not any(each(a.padding, 1)) and set(each(a.dilation, 1)) == {1} and not sides and len(steps) == 1 and side > 1
    if not own or not plain or not torch.allclose(kernel.float(), (wanted / wanted.sum()).expand(kernel.shape), rtol=1e-6, atol=0):
        raise CannotRead("its kernel is fixed, and is no blur")
    item = reader.plain(source).item
    for number in range(1, side):
        item = reader.add("avgpool", [item], {"kernel": 2, "stride": 1 if number < side - 1 else steps.copy().pop()})
    return reader.mapped(item, batched=bool(source.dims[0]))


@rule("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def convt(reader: Reader, a: Any) -> View:
    """Read a transposed convolution."""
    view, axes = reader.plain(reader.data(a.input)), len(a.weight.shape) - 2
    given = {
        "kernel": tuple(a.weight.shape[2:]),
        "out": a.weight.shape[1] * a.groups,
        "stride": each(a.stride, axes),
        "pad": each(a.padding, axes),
        "out_pad": each(a.output_padding, axes),
        "dilation": each(a.dilation, axes),
        "groups": a.groups,
        "bias": a.bias is not None,
    }
    return reader.mapped(reader.add("convt", [view.item], given, weights=reader.weights(a.weight, a.bias)))


@rule("linear")
def linear(reader: Reader, a: Any) -> View:
    """Read a layer over the last axis: over all values where the tensor has no other, or the end of an attention."""
    view = reader.data(a.input)
    if (done := projected(reader, view, a)) is not None:
        return done
    if isinstance(a.bias, Fixed) and a.bias.node not in reader.keys:
        return with_computed_bias(reader, view, a)
    held, given = reader.weights(a.weight, a.bias), {"out": a.weight.shape[0], "bias": a.bias is not None}
    if len(view.dims) == 2 and view.dims[0] == (reader.batch,):
        item = reader.add("fc", [reader.as_axes(view, (view.dims[1],))], given, weights=renamed(held))
        return reader.mapped(item)
    view = reader.along(view, -1)
    return reader.rechanneled(view, reader.add("channel_fc", [view.item], given, weights=renamed(held)), -1)


def with_computed_bias(reader: Reader, view: View, a: Any) -> View:
    """Read a layer whose bias is computed: as one without, and the addition of the bias."""
    if operator(a.bias.node) == "clone":
        return without_key_bias(reader, view, a)
    view = linear(reader, Arguments({**a.given, "input": view, "bias": None}))
    return merged(reader, "add", view, reader.data(a.bias, view))


def without_key_bias(reader: Reader, view: View, a: Any) -> View:
    """Read the projection of an attention between cosines, whose keys have no bias: a third of the stored one is set to 0."""
    node = a.bias.node
    parts = [user for user in node.users if operator(user) == "slice"]
    third = a.weight.shape[0] // 3
    cleared = [part for part in parts if part.args[1:] == (0, third, 2 * third) and [operator(user) for user in part.users] == ["zero_"]]
    if operator(node) != "clone" or node.args[0] not in reader.keys or len(parts) != 1 or cleared != parts:
        raise CannotRead("its bias is computed in the network")
    held = reader.weights(a.weight, Fixed(node.args[0]))
    view = reader.along(view, -1)
    item = reader.add("channel_fc", [view.item], {"out": a.weight.shape[0]}, weights=held)
    reader.flat.items[item].incomplete = KEYLESS
    return reader.rechanneled(view, item, -1)


def renamed(held: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return weights as a layer has them: those of a projection that an attention holds itself are renamed until that is found."""
    return {key.replace("in_proj_", "in_proj~."): shape for key, shape in held.items()}


# ---- normalization


def affine(a: Any) -> bool:
    """Return whether there are a scale and a shift. Raises CannotRead where there is one of them."""
    if (a.weight is None) != (a.bias is None):
        raise CannotRead("it has a scale without a shift, or a shift without a scale")
    return a.weight is not None


@rule("batch_norm")
def batch_norm(reader: Reader, a: Any) -> View:
    """Read a batch norm."""
    view = reader.data(a.input)
    if a.running_mean is None or bool(a.training) != reader.training:
        raise CannotRead("it normalizes by the statistics of the batch")
    view = reader.along(view, 1)
    reader.weights(a.running_mean, a.running_var)
    given = {"eps": a.eps, "momentum": a.momentum, "affine": affine(a)}
    key = reader.keys[a.running_mean.node].rpartition(".")[0]
    return View(norm(reader, "bn", view, given, a, key), view.axes, view.dims)


def norm(reader: Reader, op: str, view: View, given: dict[str, Any], a: Any, key: str = "") -> int:
    """Append a normalization and return its number."""
    return reader.add(op, [view.item], given, weights=reader.weights(a.weight, a.bias), holder=key)


@rule("layer_norm")
def layer_norm(reader: Reader, a: Any) -> View:
    """Read a layer norm over the last axis."""
    if len(a.normalized_shape) != 1:
        raise CannotRead("it normalizes over several axes")
    view = reader.along(reader.data(a.input), -1)
    if a.bias is None and a.weight is not None:
        return _scaled(reader, View(reader.add("layer_norm", [view.item], {"eps": a.eps, "affine": False}), view.axes, view.dims), a)
    return View(norm(reader, "layer_norm", view, {"eps": a.eps, "affine": affine(a)}, a), view.axes, view.dims)


def _scaled(reader: Reader, view: View, a: Any) -> View:
    """Return what was normalized, with a scale and no shift: a `layer_scale` whose label is `weight`, since the source stores that."""
    return reader.on(view, "layer_scale", {"flat": True}, weights=reader.weights(a.weight))


@rule("rms_norm")
def rms_norm(reader: Reader, a: Any) -> View:
    """Read a root mean square norm over the last axis."""
    if len(a.normalized_shape) != 1:
        raise CannotRead("it normalizes over several axes")
    view = reader.along(reader.data(a.input), -1)
    item = reader.add("rms_norm", [view.item], {"eps": a.eps, "affine": a.weight is not None}, weights=reader.weights(a.weight))
    return View(item, view.axes, view.dims)


@rule("group_norm")
def group_norm(reader: Reader, a: Any) -> View:
    """Read a group norm."""
    view = reader.plain(reader.data(a.input))
    given = {"groups": a.num_groups, "eps": a.eps}
    if a.bias is None and a.weight is not None:
        return _scaled(reader, reader.mapped(reader.add("group_norm", [view.item], {**given, "affine": False})), a)
    given["affine"] = affine(a)
    return reader.mapped(norm(reader, "group_norm", view, given, a))


@rule("instance_norm")
def instance_norm(reader: Reader, a: Any) -> View:
    """Read an instance norm."""
    if a.running_mean is not None or not a.use_input_stats:
        raise CannotRead("it keeps running statistics")
    view = reader.plain(reader.data(a.input))
    return reader.mapped(norm(reader, "instance_norm", view, {"eps": a.eps, "affine": affine(a)}, a))


@rule("embedding")
def embedding(reader: Reader, a: Any) -> View:
    """Read a table that an input indexes."""
    if not isinstance(a.indices, View):
        raise CannotRead("it reads fixed rows of a table")
    view = a.indices
    count, width = a.weight.shape
    item = reader.add(
        "embedding", [reader.as_axes(view, (view.dims[1],))], {"count": count, "width": width}, weights=reader.weights(a.weight)
    )
    made = reader.mapped(item)
    return made.with_dims((made.dims[0], made.dims[2], made.dims[1]))


# ---- pools


@rule("max_pool1d", "max_pool2d", "max_pool3d")
def max_pool(reader: Reader, a: Any) -> View:
    """Read a max pool."""
    view, outer = reader.apart(reader.data(a.x))
    axes = len(view.dims) - 2
    given = {
        "kernel": (*one(outer), *each(a.kernel_size, axes)),
        "stride": (*one(outer), *each(a.stride or a.kernel_size, axes)),
        "pad": (*one(outer, 0), *each(a.padding, axes)),
        "dilation": (*one(outer), *each(a.dilation, axes)),
        "ceil": bool(a.ceil_mode),
    }
    return reader.mapped(reader.add("maxpool", [view.item], given), outer=outer)


@rule("avg_pool1d", "avg_pool2d", "avg_pool3d")
def avg_pool(reader: Reader, a: Any) -> View:
    """Read an average pool."""
    view, outer = reader.apart(reader.data(a.x))
    axes = len(view.dims) - 2
    if a.divisor_override is not None:
        raise CannotRead("it divides by a number of its own")
    given = {
        "kernel": (*one(outer), *each(a.kernel_size, axes)),
        "stride": (*one(outer), *each(a.stride or a.kernel_size, axes)),
        "pad": (*one(outer, 0), *each(a.padding, axes)),
        "ceil": bool(a.ceil_mode),
        "count_pad": bool(a.count_include_pad),
    }
    return reader.mapped(reader.add("avgpool", [view.item], given), outer=outer)


def adaptive(reader: Reader, a: Any, op: str) -> View:
    """Read an adaptive pool."""
    view, outer = reader.apart(reader.data(a.x))
    sizes = each(a.output_size, len(view.dims) - 2)
    return reader.mapped(reader.add(op, [view.item], {"out": (*one(outer, size(outer)), *sizes)}), outer=outer)


@rule("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def adaptive_average(reader: Reader, a: Any) -> View:
    """Read an adaptive average pool."""
    return adaptive(reader, a, "adaptive_avgpool")


@rule("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def adaptive_largest(reader: Reader, a: Any) -> tuple[View, None]:
    """Read an adaptive max pool; its indices are not known."""
    return adaptive(reader, a, "adaptive_maxpool"), None


# ---- resizing


@rule("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d")
def upsample(reader: Reader, a: Any) -> View:
    """Read an interpolation: by a whole factor, or to a size."""
    source = reader.data(a.x)
    view = reader.plain(source)
    name = str(reader.node.target._schema.name)  # type: ignore[union-attr]
    mode = next(mode for mode in ("nearest", "bilinear", "linear", "bicubic") if mode in name)
    sizes = tuple(reader.node.meta["val"].shape[2:])
    factors = a.scale_factors
    given: dict[str, Any] = {"mode": mode, "align_corners": bool(a.align_corners)}
    if factors and all(float(factor).is_integer() for factor in factors):
        given["scale"] = tuple(int(factor) for factor in factors)
    elif factors and not all(before / after == 1 / factor for before, after, factor in zip(view.shape[2:], sizes, factors, strict=True)):
        raise CannotRead(f"it enlarges by {' and '.join(map(str, factors))}, and the size that follows is rounded")
    else:
        given["size"] = sizes
    return reader.mapped(reader.add("upsample", [view.item], given), bool(source.dims[0]))


@rule("_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa")
def antialiased(reader: Reader, a: Any) -> View:
    """Read a filter to another size; none where its input has that size already, as positions at the size that they were trained for."""
    view = reader.data(a.x)
    sizes = tuple(reader.node.meta["val"].shape[2:])
    factors = [factor for factor in a.scale_factors or (a.scales_h, a.scales_w) if factor is not None]
    if factors and any(before * factor != after for before, after, factor in zip(view.shape[2:], sizes, factors, strict=True)):
        raise CannotRead(f"it enlarges by {' and '.join(map(str, factors))}, and the size that follows is rounded")
    if view.shape[2:] == sizes:
        return view
    if a.align_corners:
        raise CannotRead("it interpolates with a filter between the corners")
    mode = "bicubic" if "bicubic" in operator(reader.node) else "bilinear"
    given = {"mode": mode, "size": sizes, "antialias": True}
    return reader.mapped(reader.add("upsample", [reader.plain(view).item], given), bool(view.dims[0]))


@rule("pixel_shuffle")
def pixel_shuffle(reader: Reader, a: Any) -> View:
    """Read a pixel shuffle."""
    view = reader.plain(reader.data(a.x))
    return reader.mapped(reader.add("pixel_shuffle", [view.item], {"block": a.upscale_factor}))


@rule("pixel_unshuffle")
def pixel_unshuffle(reader: Reader, a: Any) -> View:
    """Read the inverse of a pixel shuffle."""
    view = reader.plain(reader.data(a.x))
    return reader.mapped(reader.add("space_to_depth", [view.item], {"block": a.downscale_factor}))


@rule("channel_shuffle")
def channel_shuffle(reader: Reader, a: Any) -> View:
    """Read a channel shuffle."""
    view = reader.plain(reader.data(a.x))
    return reader.mapped(reader.add("channel_shuffle", [view.item], {"groups": a.groups}))


# ---- means and other reductions


def over_axes(reader: Reader, a: Any, op: str) -> View:
    """Read a reduction over axes."""
    view = reader.data(a.x)
    dims = a.dim if a.dim is not None else range(len(view.dims))
    return reduced(reader, view, dims if isinstance(dims, Sequence | range) else [dims], bool(a.keepdim), op)


for _name, _op in {"mean": "reduce_mean", "sum": "reduce_sum", "amax": "reduce_max", "amin": "reduce_min"}.items():
    rule(_name)(partial(over_axes, op=_op))


@rule("linalg_vector_norm")
def vector_norm(reader: Reader, a: Any) -> Any:
    """Read a length."""
    if a.ord != 2:
        raise CannotRead(f"its order is {a.ord}")
    if (found := length(reader, reader.data(a.x), a)) is not None:
        return found
    return over_axes(reader, a, "reduce_norm")
