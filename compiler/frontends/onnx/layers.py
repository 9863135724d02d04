"""Rules of layers with weights, of normalization, of pools and of resizing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from archc.compiler.frontends.flat import LOWEST, CannotRead
from archc.compiler.frontends.onnx.model import Node
from archc.compiler.frontends.onnx.pointwise import setting
from archc.compiler.frontends.onnx.reader import Reader, counted, rule
from archc.compiler.frontends.onnx.tensors import Fixed
from archc.compiler.frontends.views import View, size
from archc.compiler.ops.kinds import Word


def needed(fixed: Fixed | None) -> Fixed:
    """Return a weight. Raises CannotRead where there is none."""
    if fixed is None:
        raise CannotRead("a weight is missing")
    return fixed


def turned(fixed: Fixed) -> Fixed:
    """Return a matrix with its axes exchanged."""
    return replace(fixed, shape=fixed.shape[::-1], array=lambda: fixed.array().T, small=None)


# ---- padding of windows


def pads(
    node: Node, sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Return the padding before and after each axis."""
    count = len(sizes)
    auto = node.attrs.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", "VALID", ""):
        held = [0] * (2 * count) if auto == "VALID" else list(node.attrs.get("pads", [0] * (2 * count)))
        if len(held) != 2 * count or min(held) < 0:
            raise CannotRead("its padding is not that of its axes")
        return held[:count], held[count:]
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise CannotRead(f"its padding {auto[:20]} is not known")
    before, after = [], []
    for length, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        total = max(0, (-(-length // s) - 1) * s + d * (k - 1) + 1 - length)
        small, large = total // 2, total - total // 2
        before.append(small if auto == "SAME_UPPER" else large)
        after.append(large if auto == "SAME_UPPER" else small)
    return before, after


def each(node: Node, name: str, count: int) -> list[int]:
    """Return an attribute with a number for each axis, 1 by default."""
    held = list(node.attrs.get(name, [1] * count))
    if len(held) != count or min(held) < 1:
        raise CannotRead(f"its {name} are not those of its axes")
    return held


def padded(reader: Reader, view: View, before: Sequence[int], after: Sequence[int]) -> tuple[View, list[int]]:
    """Return a map and its padding by zeros on both sides; where they differ, the map is padded before."""
    if list(before) == list(after):
        return view, list(before)
    words = {1: "w", 2: "hw", 3: "dhw"}[len(before)]
    given = {word: pair for word, pair in zip(words, zip(before, after, strict=True), strict=True) if pair != (0, 0)}
    return reader.mapped(reader.add("pad", [view.item], given)), [0] * len(before)


# ---- layers


@rule("Conv")
def conv(reader: Reader, node: Node) -> View:
    """Read a convolution."""
    if len(node.inputs) > 1:
        reader.at_layer(node.inputs[1])
    view = reader.plain(reader.view(node))
    weight, bias = needed(reader.fixed(node, 1)), reader.fixed(node, 2)
    axes = len(weight.shape) - 2
    if len(view.axes) != axes + 1 or not 1 <= axes <= 3:
        raise CannotRead(f"its kernels have {axes} axes, and its operand {len(view.axes) - 1}")
    kernel, stride, dilation = list(weight.shape[2:]), each(node, "strides", axes), each(node, "dilations", axes)
    if list(node.attrs.get("kernel_shape", kernel)) != kernel:
        raise CannotRead("its kernels have another shape than it states")
    before, after = pads(node, view.shape[2:], kernel, stride, dilation)
    view, pad = padded(reader, view, before, after)
    given = {
        "kernel": tuple(kernel),
        "out": weight.shape[0],
        "stride": tuple(stride),
        "pad": tuple(pad),
        "dilation": tuple(dilation),
        "groups": node.attrs.get("group", 1),
        "bias": bias is not None,
    }
    held: dict[str, Fixed | None] = {"weight": weight, "bias": bias}
    if not weight.origin and (computed := standardized(reader, node.inputs[1])) is not None:
        given["weight"], held["weight"] = computed
    return reader.mapped(reader.layer("conv", [view.item], given, held))


def standardized(reader: Reader, name: str) -> tuple[Word, Fixed] | None:
    """Return how kernels are computed, and what they are computed of, if it is by their mean and deviation; None otherwise."""
    last = reader.made(name, "Reshape")
    norm = reader.made(last.inputs[0], "InstanceNormalization") if last is not None else None
    first = reader.made(norm.inputs[0], "Reshape") if norm is not None else None
    if norm is None or first is None:
        return None
    weight, scale, shift = (reader.values.get(each) for each in (first.inputs[0], norm.inputs[1], norm.inputs[2]))
    rows = reader.values.get(norm.inputs[0])
    if not isinstance(weight, Fixed) or not isinstance(rows, Fixed) or rows.shape[:2] != (1, weight.shape[0]):
        return None
    if not isinstance(scale, Fixed) or not isinstance(shift, Fixed) or not is_constant(scale, 1.0) or not is_constant(shift, 0.0):
        return None
    return Word("standardized", (("eps", setting(norm, "epsilon", 1e-5)),)), weight


@rule("ConvTranspose")
def convt(reader: Reader, node: Node) -> View:
    """Read a transposed convolution."""
    view = reader.plain(reader.view(node))
    weight, bias = needed(reader.fixed(node, 1)), reader.fixed(node, 2)
    axes, groups = len(weight.shape) - 2, node.attrs.get("group", 1)
    if len(view.axes) != axes + 1 or "output_shape" in node.attrs or node.attrs.get("auto_pad", "NOTSET") != "NOTSET":
        raise CannotRead("its padding follows from the shape that it is to make")
    before, after = pads(node, view.shape[2:], weight.shape[2:], [1] * axes, [1] * axes)
    if before != after:
        raise CannotRead("it cuts off more on one side than on the other")
    given = {
        "kernel": tuple(weight.shape[2:]),
        "out": weight.shape[1] * groups,
        "stride": tuple(each(node, "strides", axes)),
        "pad": tuple(before),
        "out_pad": tuple(node.attrs.get("output_padding", [0] * axes)),
        "dilation": tuple(each(node, "dilations", axes)),
        "groups": groups,
        "bias": bias is not None,
    }
    return reader.mapped(reader.layer("convt", [view.item], given, {"weight": weight, "bias": bias}))


def linear(reader: Reader, view: View, weight: Fixed, bias: Fixed | None) -> View:
    """Append a layer with a weight `(out, in)` over the last axis: over all values where the tensor has no other."""
    if len(weight.shape) != 2:
        raise CannotRead("its weight is no matrix")
    if bias is not None and bias.shape != weight.shape[:1]:
        if size_of(bias.shape) != weight.shape[0] or bias.shape[-1] != weight.shape[0]:
            raise CannotRead("its bias is not one number for each output")
        bias = replace(bias, shape=weight.shape[:1], array=lambda b=bias: b.array().reshape(-1), small=None)  # type: ignore[misc]
    given, held = {"out": weight.shape[0], "bias": bias is not None}, {"weight": weight, "bias": bias}
    if len(view.dims) == 2 and view.dims[0] == (reader.batch,):
        return reader.mapped(reader.layer("fc", [reader.as_axes(view, (view.dims[1],))], given, held))
    view = reader.along(view, -1)
    if bias is None and weight.origin and weight.origin in reader.tables and len(view.axes) == 2:  # scores of all rows of a table
        given = {"count": weight.shape[0], "width": weight.shape[1]}
        return reader.rechanneled(view, reader.layer("embedding", [view.item], given, held), -1)
    return reader.rechanneled(view, reader.layer("channel_fc", [view.item], given, held), -1)


def size_of(shape: Sequence[int]) -> int:
    """Return the number of values of a shape."""
    total = 1
    for count in shape:
        total *= count
    return total


# ---- normalization


@rule("BatchNormalization")
def batch_norm(reader: Reader, node: Node) -> list[Any]:
    """Read a batch norm with its running statistics."""
    if node.attrs.get("training_mode", 0) or not node.attrs.get("spatial", 1):
        raise CannotRead("it normalizes by the statistics of the batch, or for each position")
    view = reader.along(reader.view(node), 1)
    scale, shift, mean, var = (needed(reader.fixed(node, place)) for place in (1, 2, 3, 4))
    affine = not (scale.is_constant and shift.is_constant) or not reader.net.own
    given = {"eps": setting(node, "epsilon", 1e-5), "affine": affine}
    weights = {"weight": scale, "bias": shift} if affine else {}
    number = reader.layer("bn", [view.item], given, weights, buffers={"running_mean": mean, "running_var": var})
    return [replace(view, item=number)]


def is_constant(fixed: Fixed | None, value: float) -> bool:
    """Return whether a tensor is a constant with one value, or there is none."""
    return fixed is None or (fixed.is_constant and fixed.small is not None and bool((fixed.small == value).all()))


@rule("LayerNormalization", "RMSNormalization")
def layer_norm(reader: Reader, node: Node) -> list[Any]:
    """Read a layer norm or an RMS norm over the last axis."""
    view = reader.view(node)
    if reader.axis(node, len(view.dims), -1) != len(view.dims) - 1:
        raise CannotRead("it normalizes over several axes")
    view = reader.along(view, -1)
    scale, shift = reader.fixed(node, 1), reader.fixed(node, 2)
    affine = not is_constant(scale, 1.0) or not is_constant(shift, 0.0)
    given = {"eps": setting(node, "epsilon", 1e-5), "affine": affine}
    if node.op == "RMSNormalization":
        return [reader.holds(view, "rms_norm", given, {"weight": scale} if affine else {})]
    if affine and (scale is None or shift is None):
        raise CannotRead("it has a scale without a shift")
    return [reader.holds(view, "layer_norm", given, {"weight": scale, "bias": shift} if affine else {})]


@rule("InstanceNormalization")
def instance_norm(reader: Reader, node: Node) -> View:
    """Read an instance norm, or the group norm that is written as one."""
    view = reader.view(node)
    scale, shift = needed(reader.fixed(node, 1)), needed(reader.fixed(node, 2))
    plain = is_constant(scale, 1.0) and is_constant(shift, 0.0)
    eps = setting(node, "epsilon", 1e-5)
    first, rest = view.dims[1], tuple(atom for axis in view.dims[2:] for atom in axis)
    channels = view.axes[0]
    inside = tuple(atom for axis in view.axes for atom in axis)
    if view.dims[0] == (reader.batch,) and plain and channels != first and inside == first + rest and channels[: len(first)] == first:
        return reader.on(view, "group_norm", {"groups": size(first), "eps": eps, "affine": False})
    view = reader.along(view, 1)
    if len(view.dims) < 3 or view.dims[0] != (reader.batch,):
        raise CannotRead("it normalizes parts of channels")
    return reader.holds(view, "instance_norm", {"eps": eps, "affine": not plain}, {} if plain else {"weight": scale, "bias": shift})


@rule("GroupNormalization")
def group_norm(reader: Reader, node: Node) -> View:
    """Read a group norm."""
    view = reader.plain(reader.view(node))
    scale, shift = needed(reader.fixed(node, 1)), needed(reader.fixed(node, 2))
    given = {"groups": node.attrs["num_groups"], "eps": setting(node, "epsilon", 1e-5)}
    return reader.holds(view, "group_norm", given, {"weight": scale, "bias": shift})


@rule("LRN")
def response_norm(reader: Reader, node: Node) -> View:
    """Read normalization over neighboring channels."""
    view = reader.along(reader.view(node), 1)
    size_, defaults = node.attrs["size"], {"alpha": 1e-4, "beta": 0.75, "bias": 1.0}
    if size_ % 2 == 0:
        raise CannotRead("its window is even")
    alpha, beta, k = (setting(node, name, default) for name, default in defaults.items())
    return reader.on(view, "lrn", {"size": size_, "alpha": alpha, "beta": beta, "k": k})


# ---- pools


@rule("MaxPool", "AveragePool")
def pool(reader: Reader, node: Node) -> list[Any]:
    """Read a pool. Windows that reach further after the map than before it are those of `ceil`."""
    view = reader.plain(reader.view(node))
    axes, sizes = len(view.axes) - 1, view.shape[2:]
    kernel, stride, dilation = (each(node, name, axes) for name in ("kernel_shape", "strides", "dilations"))
    largest, counted = node.op == "MaxPool", bool(node.attrs.get("count_include_pad", 0))
    before, after = pads(node, sizes, kernel, stride, dilation)
    ceil = bool(node.attrs.get("ceil_mode", 0))
    if not largest and not reader.net.own and kernel == list(sizes) and not any((*before, *after)) and set(dilation) == {1}:
        return [reader.mapped(reader.add("adaptive_avgpool", [view.item], {"out": 1}))]
    reach = [length + b + e for length, b, e in zip(sizes, before, after, strict=True)]
    if not largest and not counted and any((*before, *after)) and kernel == reach and set(dilation) == {1}:
        return [reader.mapped(reader.add("adaptive_avgpool", [view.item], {"out": 1}))]  # one window, whose padding does not count
    if not largest and set(kernel) == {1} and set(stride) == {1}:
        return [reader.mapped(reader.add("adaptive_avgpool", [view.item], {"out": tuple(sizes)}))]
    if set(dilation) != {1} and not largest:
        raise CannotRead("an average over spread positions")
    counts = [
        (s + b + a - d * (k - 1) - 1) // step + 1
        for s, b, a, d, k, step in zip(sizes, before, after, dilation, kernel, stride, strict=True)
    ]
    given: dict[str, Any] = {"kernel": tuple(kernel), "stride": tuple(stride), "pad": tuple(before), "ceil": ceil}
    if largest:
        given["dilation"] = tuple(dilation)
    if before != after:
        if counted or ceil:
            raise CannotRead("its padding differs before and after the map, and counts")
        given["ceil"] = True
    if not largest and not counted and any(before):
        given["count_pad"] = False
    expected = None if ceil else (view.shape[1], *counts)
    if before == after or all(b <= a for b, a in zip(before, after, strict=True)):
        try:
            return [reader.mapped(reader.add("maxpool" if largest else "avgpool", [view.item], given, expected=expected))]
        except CannotRead:
            if before == after or not largest:
                raise
    if not largest:
        raise CannotRead("its padding differs before and after the map")
    words = {1: "w", 2: "hw", 3: "dhw"}[axes]
    amounts = {word: pair for word, pair in zip(words, zip(before, after, strict=True), strict=True) if pair != (0, 0)}
    wide = reader.add("pad", [view.item], {**amounts, "value": LOWEST})
    return [reader.mapped(reader.add("maxpool", [wide], {**given, "pad": 0, "ceil": False}, expected=expected))]


@rule("GlobalAveragePool", "GlobalMaxPool")
def global_pool(reader: Reader, node: Node) -> View:
    """Read a pool over all positions."""
    view = reader.plain(reader.view(node))
    return reader.mapped(reader.add("adaptive_avgpool" if "Average" in node.op else "adaptive_maxpool", [view.item], {"out": 1}))


# ---- resizing


@rule("Resize", "Upsample")
def resize(reader: Reader, node: Node) -> View:
    """Read an enlargement by whole factors, or to a size."""
    view = reader.plain(reader.view(node))
    count = len(view.dims)
    old = node.op == "Upsample" or reader.net.opset < 11
    scales = reader.numbers(node, 1 if old else 2, "scales")
    sizes = None if old else reader.numbers(node, 3)
    axes = [counted(axis, count) for axis in node.attrs.get("axes", range(count))]
    mode = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}.get(node.attrs.get("mode", "nearest"))
    where = "asymmetric" if old else node.attrs.get("coordinate_transformation_mode", "half_pixel")
    rounding = "floor" if old else node.attrs.get("nearest_mode", "round_prefer_floor")
    wanted = ("asymmetric",) if mode == "nearest" else ("half_pixel", "pytorch_half_pixel", "align_corners")
    if mode is None or where not in wanted or (mode == "nearest" and rounding != "floor") or node.attrs.get("antialias", 0):
        raise CannotRead(f"it enlarges in another way than PyTorch ({mode}, {where}, {rounding})")
    if mode == "bicubic" and abs(setting(node, "cubic_coeff_a", -0.75) + 0.75) > 1e-6:
        raise CannotRead("its cubic function is another one than PyTorch's")
    if node.attrs.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise CannotRead("it keeps the ratio of its sizes")
    given: dict[str, Any] = {"mode": mode, "align_corners": where == "align_corners"}
    if sizes:
        full = list(view.shape)
        for axis, length in zip(axes, sizes, strict=True):
            full[axis] = int(length)
        if full[:2] != list(view.shape[:2]):
            raise CannotRead("it enlarges the batch or the channels")
        given["size"] = tuple(full[2:])
    elif scales:
        factors = [1.0] * count
        for axis, factor in zip(axes, scales, strict=True):
            factors[axis] = factor
        if factors[:2] != [1.0, 1.0] or any(factor != int(factor) or factor < 1 for factor in factors):
            raise CannotRead("it enlarges by factors that are no whole numbers")
        given["scale"] = tuple(int(factor) for factor in factors[2:])
    else:
        raise CannotRead("it does not say how much it enlarges")
    return reader.mapped(reader.add("upsample", [view.item], given))
