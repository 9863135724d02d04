"""The layers of Caffe: a function for each, which appends what it computes and returns its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from archc.compiler.frontends.caffe.reader import Layer, Reader
from archc.compiler.ops import OPERATORS

Rule = Callable[[Reader, Layer, list[int]], list[int]]

# ---- layers with weights


def convolution(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("num_output", "kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w", "pad", "pad_h", "pad_w",
                "dilation", "group", "bias_term")  # fmt: skip
    kernel, stride, pad = layer.pair("kernel_size", 0, "kernel"), layer.pair("stride", 1, "stride"), layer.pair("pad", 0, "pad")
    dilation, groups, out = layer.pair("dilation", 1, "dilation"), layer.whole("group", 1), layer.whole("num_output", 0)
    bias, channels = layer.flag("bias_term", True), r.size(operands[0])[0]
    if groups < 1 or channels % groups or out % groups:
        raise layer.refusal(f"{channels} channels cannot be divided into {groups} groups")
    given: dict[str, Any] = {
        "kernel": kernel,
        "out": out,
        "stride": stride,
        "pad": pad,
        "dilation": dilation,
        "groups": groups,
        "bias": bias,
    }
    backwards = layer.kind == "Deconvolution"
    weight = (channels, out // groups, *kernel) if backwards else (out, channels // groups, *kernel)
    weights = {"weight": weight, "bias": (out,)} if bias else {"weight": weight}
    return [r.weighted(layer, "convt" if backwards else "conv", operands[0], given, weights)]


def inner_product(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("num_output", "bias_term", "axis", "transpose")
    if layer.whole("axis", 1) != 1 or layer.flag("transpose", False):
        raise layer.refusal("only axis 1, not transposed, is known")
    out, bias = layer.whole("num_output", 0), layer.flag("bias_term", True)
    inputs = 1
    for size in r.size(operands[0]):
        inputs *= size
    flat = r.flattened(operands[0])
    weights = {"weight": (out, inputs), "bias": (out,)} if bias else {"weight": (out, inputs)}
    return [r.weighted(layer, "fc", flat, {"out": out, "bias": bias}, weights)]


def batch_norm(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("use_global_stats", "moving_average_fraction", "eps")
    channels = r.size(operands[0])[0]
    result = r.weighted(layer, "bn", operands[0], {"eps": layer.number("eps", 1e-5), "affine": False}, {})
    key = r.labels[layer.name]
    r.flat.items[result].key = key
    buffers = {f"{key}.running_mean": (channels,), f"{key}.running_var": (channels,), f"{key}.num_batches_tracked": ()}
    r.state |= buffers
    r.stored[layer.name] = list(buffers)
    r.normalized[result] = layer
    return [result]


def scale(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("bias_term", "axis", "num_axes")
    if len(operands) == 2:
        return [r.flat.add("mul", operands)]
    norm = r.normalized.get(operands[0])
    if norm is None or not layer.flag("bias_term", False) or layer.whole("axis", 1) != 1 or layer.whole("num_axes", 1) != 1:
        raise layer.refusal("only a Scale with a bias, directly after a BatchNorm, is known")
    item, key, channels = r.flat.items[operands[0]], r.labels[norm.name], r.size(operands[0])[0]
    affine = {f"{key}.weight": (channels,), f"{key}.bias": (channels,)}
    r.state |= affine
    r.stored[layer.name] = list(affine)
    whole = r.flat.add("bn", item.operands, {"eps": norm.number("eps", 1e-5)}, weights=affine, leaf=True, path=key)
    return [whole]


def prelu(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("channel_shared")
    count = 1 if layer.flag("channel_shared", False) else r.size(operands[0])[0]
    return [r.weighted(layer, "prelu", operands[0], {"slopes": count, "start": 0.25}, {"weight": (count,)})]


# ---- layers without weights


def pooling(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("pool", "kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w", "pad", "pad_h", "pad_w",
                "global_pooling", "round_mode")  # fmt: skip
    kind, size = str(layer.parameters.get("pool", "MAX")), r.size(operands[0])
    if kind not in ("MAX", "AVE"):
        raise layer.refusal(f"{kind} pooling is not known")
    if layer.flag("global_pooling", False):
        return [r.flat.add("adaptive_avgpool" if kind == "AVE" else "adaptive_maxpool", operands, {"out": 1})]
    kernel, stride, pad = layer.pair("kernel_size", 0, "kernel"), layer.pair("stride", 1, "stride"), layer.pair("pad", 0, "pad")
    if min(*kernel, *stride) < 1:
        raise layer.refusal("a window and its stride are at least 1")
    if kind == "AVE" and kernel == tuple(size[1:]) and pad == (0, 0):
        return [r.flat.add("adaptive_avgpool", operands, {"out": 1})]
    up = str(layer.parameters.get("round_mode", "CEIL")) in ("CEIL", "0")
    shape = [size[0]]
    for length, window, step, padding in zip(size[1:], kernel, stride, pad, strict=True):
        steps, rest = divmod(length + 2 * padding - window, step)
        count = steps + (1 if rest and up else 0) + 1
        if padding and (count - 1) * step >= length + padding:
            count -= 1  # a window that would begin in the padding
        shape.append(count)
    exact = all((length + 2 * p - k) % s == 0 for length, k, s, p in zip(size[1:], kernel, stride, pad, strict=True))
    given: dict[str, Any] = {"kernel": kernel, "stride": stride, "pad": pad, "ceil": up and not exact}
    return [r.flat.add("maxpool" if kind == "MAX" else "avgpool", operands, given, expected=shape)]


def relu(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("negative_slope")
    slope = layer.number("negative_slope", 0)
    return [r.flat.add("leaky_relu", operands, {"slope": slope}) if slope else r.flat.add("relu", operands)]


def dropout(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("dropout_ratio")
    return [r.flat.add("dropout", operands, {"p": layer.number("dropout_ratio", 0.5)})]


def lrn(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("local_size", "alpha", "beta", "k", "norm_region")
    within = str(layer.parameters.get("norm_region", "ACROSS_CHANNELS")) in ("WITHIN_CHANNEL", "1")
    given = {
        "size": layer.whole("local_size", 5),
        "alpha": layer.number("alpha", 1),
        "beta": layer.number("beta", 0.75),
        "k": 1.0 if within else layer.number("k", 1),
        "form": "spatial" if within else "mean",
    }
    return [r.flat.add("lrn", operands, given)]


def concat(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("axis", "concat_dim")
    if layer.whole("axis", layer.whole("concat_dim", 1)) not in (1, -3):
        raise layer.refusal("only the channels can be concatenated")
    return [r.flat.add("concat", operands) if len(operands) > 1 else operands[0]]


def eltwise(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("operation", "coeff", "stable_prod_grad")
    kind = str(layer.parameters.get("operation", "SUM"))
    coefficients = layer.parameters.all("coeff")
    if kind in ("SUM", "1") and coefficients == [1, -1]:
        return [r.flat.add("sub", operands)]
    if any(value != 1 for value in coefficients):
        raise layer.refusal("only the coefficients 1, and 1 and -1, are known")
    op = {"SUM": "add", "1": "add", "PROD": "mul", "0": "mul", "MAX": "max", "2": "max"}.get(kind)
    if op is None:
        raise layer.refusal(f"the operation {kind[:40]} is not known")
    return [r.flat.add(op, operands)]


def slice(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("axis", "slice_dim", "slice_point")
    channels, tops = r.size(operands[0])[0], len(layer.given.all("top"))
    if layer.whole("axis", layer.whole("slice_dim", 1)) != 1:
        raise layer.refusal("only the channels can be sliced")
    points = layer.parameters.wholes("slice_point")
    if not points and channels % tops == 0:
        points = [channels // tops * number for number in range(1, tops)]
    bounds = [0, *points, channels]
    if len(bounds) != tops + 1 or sorted(set(bounds)) != bounds:
        raise layer.refusal(f"{channels} channels cannot be cut at {points} into {tops}")
    return [r.flat.add("slice", operands, {"start": begin, "stop": end}) for begin, end in pairwise(bounds)]


def softmax(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("axis")
    if layer.whole("axis", 1) != 1:
        raise layer.refusal("only a softmax over the channels is known")
    return [r.flat.add("softmax", operands)]


def flatten(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("axis", "end_axis")
    if layer.whole("axis", 1) != 1 or layer.whole("end_axis", -1) != -1:
        raise layer.refusal("only all axes can be flattened")
    return [r.flattened(operands[0])]


def power(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("power", "scale", "shift")
    power, scale, shift = (layer.number(name, default) for name, default in (("power", 1), ("scale", 1), ("shift", 0)))
    result = operands[0]
    for op, value, idle in (("scale", scale, 1.0), ("shift", shift, 0.0), ("pow", power, 1.0)):
        if value != idle:
            result = r.flat.add(op, [result], {_only_option(op): value})
    return [result]


def split(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    return operands


def plain(r: Reader, layer: Layer, operands: list[int]) -> list[int]:
    layer.known("alpha") if layer.kind == "ELU" else layer.known()
    given = {"alpha": layer.number("alpha", 1)} if layer.kind == "ELU" else {}
    return [r.flat.add(PLAIN[layer.kind], operands, given)]


PLAIN = {"Sigmoid": "sigmoid", "TanH": "tanh", "ELU": "elu", "AbsVal": "abs", "Swish": "silu"}
KINDS: Mapping[str, Rule] = {
    "Convolution": convolution,
    "Deconvolution": convolution,
    "InnerProduct": inner_product,
    "BatchNorm": batch_norm,
    "Scale": scale,
    "PReLU": prelu,
    "Pooling": pooling,
    "ReLU": relu,
    "Dropout": dropout,
    "LRN": lrn,
    "Concat": concat,
    "Eltwise": eltwise,
    "Slice": slice,
    "Softmax": softmax,
    "Flatten": flatten,
    "Power": power,
    "Split": split,
    **dict.fromkeys(PLAIN, plain),
}


def _only_option(op: str) -> str:
    return OPERATORS[op].attrs[0].name
