"""The layers of Keras: a function for each, which appends what it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isfinite, prod
from typing import Any

from archc.compiler.frontends.flat import LOWEST, quoted
from archc.compiler.frontends.keras.reader import Layer, Reader, axis_words

Rule = Callable[[Reader, Layer, list[int]], int]

# ---- layers with weights


def conv(r: Reader, layer: Layer, operands: list[int]) -> int:
    axes = int(layer.kind[-2])
    kernel, stride = layer.wholes("kernel_size", axes), layer.wholes("strides", axes, 1)
    dilation, groups, out = layer.wholes("dilation_rate", axes, 1), layer.whole("groups", 1), layer.whole("filters")
    bias, channels = bool(layer.get("use_bias", True)), r.shape(operands[0])[0]
    if groups < 1 or channels % groups:
        raise layer.refusal(f"{channels} channels cannot be divided into {groups} groups")
    operand, pad = r.padded(layer, operands[0], kernel, stride, dilation, 0.0)
    given: dict[str, Any] = {"kernel": kernel, "out": out, "stride": stride, "pad": pad, "dilation": dilation, "groups": groups}
    weights = {"weight": (out, channels // groups, *kernel)} | ({"bias": (out,)} if bias else {})
    r.store(layer, ("weight", "conv"), *[("bias", "same")] * bias)
    return r.activated(layer, r.weighted("conv", layer.path, operand, given | {"bias": bias}, weights))


def depthwise(r: Reader, layer: Layer, operands: list[int]) -> int:
    axes = int(layer.kind[-2])
    kernel, stride, dilation = (layer.wholes(name, axes, 1) for name in ("kernel_size", "strides", "dilation_rate"))
    channels, bias = r.shape(operands[0])[0], bool(layer.get("use_bias", True))
    out = channels * layer.whole("depth_multiplier", 1)
    operand, pad = r.padded(layer, operands[0], kernel, stride, dilation, 0.0)
    given: dict[str, Any] = {"kernel": kernel, "out": out, "stride": stride, "pad": pad, "dilation": dilation, "groups": channels}
    weights = {"weight": (out, 1, *kernel)} | ({"bias": (out,)} if bias else {})
    r.store(layer, ("weight", "depthwise"), *[("bias", "same")] * bias)
    return r.activated(layer, r.weighted("conv", layer.path, operand, given | {"bias": bias}, weights))


def separable(r: Reader, layer: Layer, operands: list[int]) -> int:
    axes = int(layer.kind[-2])
    kernel, stride, dilation = (layer.wholes(name, axes, 1) for name in ("kernel_size", "strides", "dilation_rate"))
    channels, out, bias = r.shape(operands[0])[0], layer.whole("filters"), bool(layer.get("use_bias", True))
    middle = channels * layer.whole("depth_multiplier", 1)
    operand, pad = r.padded(layer, operands[0], kernel, stride, dilation, 0.0)
    given: dict[str, Any] = {"kernel": kernel, "out": middle, "stride": stride, "pad": pad, "dilation": dilation, "groups": channels}
    depthwise = r.weighted("conv", f"{layer.path}.depthwise", operand, given | {"bias": False}, {"weight": (middle, 1, *kernel)})
    weights = {"weight": (out, middle, *[1] * axes)} | ({"bias": (out,)} if bias else {})
    own = (("depthwise.weight", "depthwise"), ("pointwise.weight", "conv"), *[("pointwise.bias", "same")] * bias)
    r.store(layer, *own)
    pointwise = r.weighted("conv", f"{layer.path}.pointwise", depthwise, {"kernel": 1, "out": out, "bias": bias}, weights)
    return r.activated(layer, pointwise)


def dense(r: Reader, layer: Layer, operands: list[int]) -> int:
    shape, out, bias = r.shape(operands[0]), layer.whole("units"), bool(layer.get("use_bias", True))
    weights = {"weight": (out, shape[0])} | ({"bias": (out,)} if bias else {})
    op = "fc" if len(shape) == 1 else "channel_fc"
    r.store(layer, ("weight", "dense"), *[("bias", "same")] * bias)
    return r.activated(layer, r.weighted(op, layer.path, operands[0], {"out": out, "bias": bias}, weights))


def batch_norm(r: Reader, layer: Layer, operands: list[int]) -> int:
    shape = r.shape(operands[0])
    last_axis(r, layer, len(shape))
    scale, center = bool(layer.get("scale", True)), bool(layer.get("center", True))
    if center and not scale:
        return centered(r, layer, operands[0], shape)
    if scale != center:
        raise layer.refusal("a normalization with a scale and no shift is not known")
    affine = [(name, "same") for name in ("weight", "bias")] if scale else []
    r.store(layer, *affine, ("running_mean", "same"), ("running_var", "same"))
    return norm(r, layer, operands[0], {"eps": layer.number("epsilon", 1e-3), "affine": scale}, shape[0])


def norm(r: Reader, layer: Layer, operand: int, given: Mapping[str, Any], channels: int, name: str = "") -> int:
    """Append a batch norm."""
    key = f"{layer.path}{name}"
    affine = {"weight": (channels,), "bias": (channels,)} if given["affine"] else {}
    result = r.weighted("bn", key, operand, given, affine)
    r.flat.items[result].key = key
    r.state |= {f"{key}.running_mean": (channels,), f"{key}.running_var": (channels,), f"{key}.num_batches_tracked": ()}
    return result


def centered(r: Reader, layer: Layer, operand: int, shape: list[int]) -> int:
    """A batch norm that shifts and does not scale: its shift is a trained tensor that is added."""
    normed = norm(r, layer, operand, {"eps": layer.number("epsilon", 1e-3), "affine": False}, shape[0], ".norm")
    sizes = tuple(1 for _ in shape[1:])
    key = f"{layer.path}.beta"
    r.store(layer, ("beta", "learned"), ("norm.running_mean", "same"), ("norm.running_var", "same"))
    held = {key: (1, shape[0], *sizes)}
    r.state |= held
    given = {"sizes": sizes, "channels": shape[0], "init": "constant", "batch": True}
    beta = r.flat.add("learned", [normed], given, weights=held, leaf=True, path=key)
    return r.flat.add("add", [normed, beta], {"broadcast": True})


def last_axis(r: Reader, layer: Layer, rank: int) -> None:
    """Raise CannotRead where the axis of a layer is not that of the channels."""
    axis = layer.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if axis not in (-1, rank):
        raise layer.refusal(f"only the channels, axis -1, are known, and not {str(axis)[:40]}")


def normalization(r: Reader, layer: Layer, operands: list[int]) -> int:
    """Mean and variance of a dataset: weights, or in the configuration. As weights, a batch norm that is never trained."""
    channels, stated = r.shape(operands[0])[0], layer.get("mean") is not None
    if layer.get("invert", False):
        raise layer.refusal("the inverse of a normalization is not known")
    if not stated or layer.get("axis", -1) is not None:
        last_axis(r, layer, len(r.shape(operands[0])))
    if not stated:
        r.store(layer, ("running_mean", "same"), ("running_var", "same"), ("", "left out"))
        return norm(r, layer, operands[0], {"eps": 1e-30, "affine": False}, channels)
    mean, variance = (_numbers(layer, name, channels) for name in ("mean", "variance"))
    if any(value < LEAST_VARIANCE for value in variance):
        raise layer.refusal(f"a variance of less than {LEAST_VARIANCE}, which Keras raises, is not known")
    if len(set(mean)) == len(set(variance)) == 1:
        result = r.flat.add("shift", operands, {"by": -mean[0]}) if mean[0] else operands[0]
        return r.flat.add("scale", [result], {"factor": variance[0] ** -0.5}) if variance[0] != 1 else result
    r.constants |= {f"{layer.path}.running_mean": mean, f"{layer.path}.running_var": variance}
    return norm(r, layer, operands[0], {"eps": 1e-30, "affine": False}, channels)


LEAST_VARIANCE = 1e-14  # below it Keras divides by 1e-7


def _numbers(layer: Layer, name: str, channels: int) -> list[float]:
    """Return a setting with one number, or one for each channel, in lists of any depth."""
    found, stack = list[float](), [layer.get(name)]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(reversed(value))
        elif isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
            found.append(float(value))
        else:
            raise layer.refusal(f"`{name}` is numbers, not {str(value)[:40]}")
    if len(found) not in (1, channels):
        raise layer.refusal(f"`{name}` has {len(found)} numbers for {channels} channels")
    return found * channels if len(found) == 1 else found


def layer_norm(r: Reader, layer: Layer, operands: list[int]) -> int:
    shape = r.shape(operands[0])
    last_axis(r, layer, len(shape))
    affine = bool(layer.get("scale", True))
    if affine != bool(layer.get("center", True)) or layer.get("rms_scaling", False):
        raise layer.refusal("only a scale together with a shift is known")
    given = {"eps": layer.number("epsilon", 1e-3), "affine": affine}
    weights = {"weight": (shape[0],), "bias": (shape[0],)} if affine else {}
    r.store(layer, *((name, "same") for name in weights))
    return r.weighted("layer_norm", layer.path, operands[0], given, weights)


# ---- layers without weights


def pool(r: Reader, layer: Layer, operands: list[int]) -> int:
    axes = int(layer.kind[-2])
    kernel = layer.wholes("pool_size", axes, 2)
    stride = layer.wholes("strides", axes) if layer.config.get("strides") is not None else kernel
    layer.get("strides")
    highest = layer.kind.startswith("Max")
    operand, pad = r.padded(layer, operands[0], kernel, stride, [1] * axes, LOWEST if highest else 1.0)
    given: dict[str, Any] = {"kernel": kernel, "stride": stride, "pad": pad}
    return r.flat.add("maxpool" if highest else "avgpool", [operand], given if highest else given | {"count_pad": False})


def global_pool(r: Reader, layer: Layer, operands: list[int]) -> int:
    op = "adaptive_avgpool" if "Average" in layer.kind else "adaptive_maxpool"
    pooled = r.flat.add(op, operands, {"out": 1})
    return pooled if layer.get("keepdims", False) else r.flat.add("flatten", [pooled])


def zero_padding(r: Reader, layer: Layer, operands: list[int]) -> int:
    axes = int(layer.kind[-2])
    given = layer.get("padding", 1)
    pairs = [given] if axes == 1 else given
    pairs = [[pair, pair] if isinstance(pair, int) else pair for pair in ([pairs] * axes if isinstance(pairs, int) else pairs)]
    if len(pairs) != axes or any(len(pair) != 2 for pair in pairs):
        raise layer.refusal("`padding` is two numbers for each axis")
    return r.flat.add("pad", operands, dict(zip(axis_words(axes), pairs, strict=True)))


def cropping(r: Reader, layer: Layer, operands: list[int]) -> int:
    axes = int(layer.kind[-2])
    given = layer.get("cropping")
    pairs = [given] if axes == 1 else given
    result = operands[0]
    for name, pair, size in zip(axis_words(axes), pairs, r.shape(result)[1:], strict=True):
        before, after = (pair, pair) if isinstance(pair, int) else pair
        if before or after:
            result = r.flat.add("slice", [result], {"start": before, "stop": size - after, "axis": name})
    return result


def upsampling(r: Reader, layer: Layer, operands: list[int]) -> int:
    mode = layer.get("interpolation", "nearest")
    if mode not in ("nearest", "bilinear"):
        raise layer.refusal(f"the interpolation {str(mode)[:40]} is not known")
    return r.flat.add("upsample", operands, {"scale": layer.wholes("size", int(layer.kind[-2]), 2), "mode": mode})


def merge(r: Reader, layer: Layer, operands: list[int]) -> int:
    op = {"Add": "add", "Subtract": "sub", "Multiply": "mul", "Average": "mean", "Maximum": "max", "Minimum": "min"}[layer.kind]
    return r.flat.add(op, operands)


def concatenate(r: Reader, layer: Layer, operands: list[int]) -> int:
    rank = len(r.shape(operands[0]))
    axis = layer.get("axis", -1)
    if not isinstance(axis, int) or axis in (0, -rank - 1) or not -rank <= axis <= rank:
        raise layer.refusal(f"the axis {str(axis)[:40]} is not known")
    place = axis if axis > 0 else rank + 1 + axis
    if place == rank:
        return r.flat.add("concat", operands)
    return r.flat.add("concat", operands, {"axis": axis_words(rank - 1)[place - 1]})


def flatten(r: Reader, layer: Layer, operands: list[int]) -> int:
    shape = r.shape(operands[0])
    if len(shape) == 1:
        return operands[0]
    if prod(shape[1:]) == 1 or shape[0] == 1:
        return r.flat.add("flatten", operands)
    names = " ".join(axis_words(len(shape) - 1))
    return r.flat.add("rearrange", operands, {"pattern": quoted(f"c {names} -> ({names} c)")})


def reshape(r: Reader, layer: Layer, operands: list[int]) -> int:
    """Only what changes no order: between a vector and a map of one position."""
    shape, target = r.shape(operands[0]), layer.get("target_shape")
    wanted = [prod(shape) // max(-prod(target), 1) if size == -1 else size for size in target] if isinstance(target, list) else []
    last = [*shape[1:], shape[0]]
    if wanted == last:
        return operands[0]
    if len(shape) == 1 and wanted[:-1] == [1] * (len(wanted) - 1) and wanted[-1:] == shape:
        names = " ".join("1" for _ in wanted[:-1])
        return r.flat.add("rearrange", operands, {"pattern": quoted(f"c -> c {names}")})
    if prod(shape[1:]) == 1 and wanted == [shape[0]]:
        return r.flat.add("flatten", operands)
    raise layer.refusal(f"a reshape of {last} to {target} is not known")


def dropout(r: Reader, layer: Layer, operands: list[int]) -> int:
    return r.flat.add("dropout", operands, {"p": layer.number("rate")})


def idle(r: Reader, layer: Layer, operands: list[int]) -> int:
    """Noise of training, which we do not say: it computes nothing in evaluation."""
    layer.used |= set(layer.config)
    return operands[0]


def relu(r: Reader, layer: Layer, operands: list[int]) -> int:
    most, slope, threshold = layer.get("max_value"), layer.get("negative_slope", 0.0), layer.get("threshold", 0.0)
    if threshold or (most is not None and slope):
        raise layer.refusal("a threshold, or a largest value with a slope, is not known")
    if most is None:
        return r.flat.add("leaky_relu", operands, {"slope": float(slope)}) if slope else r.flat.add("relu", operands)
    return r.flat.add("relu6", operands) if most == 6 else r.flat.add("clamp", operands, {"min": 0.0, "max": float(most)})


def leaky_relu(r: Reader, layer: Layer, operands: list[int]) -> int:
    layer.get("alpha")
    return r.flat.add("leaky_relu", operands, {"slope": layer.number("negative_slope", layer.config.get("alpha", 0.3))})


def elu(r: Reader, layer: Layer, operands: list[int]) -> int:
    return r.flat.add("elu", operands, {"alpha": layer.number("alpha", 1.0)})


def softmax(r: Reader, layer: Layer, operands: list[int]) -> int:
    last_axis(r, layer, len(r.shape(operands[0])))
    return r.flat.add("softmax", operands)


def activation(r: Reader, layer: Layer, operands: list[int]) -> int:
    return r.activated(layer, operands[0])


def rescaling(r: Reader, layer: Layer, operands: list[int]) -> int:
    scale, offset = layer.number("scale"), layer.number("offset", 0.0)
    result = r.flat.add("scale", operands, {"factor": scale}) if scale != 1 else operands[0]
    return r.flat.add("shift", [result], {"by": offset}) if offset else result


def _each(name: str) -> Iterator[str]:
    yield from (f"{name}{axes}D" for axes in (1, 2, 3))


KINDS: Mapping[str, Rule] = {
    **dict.fromkeys(_each("Conv"), conv),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), separable),
    **dict.fromkeys((*_each("MaxPooling"), *_each("AveragePooling")), pool),
    **dict.fromkeys((*_each("GlobalMaxPooling"), *_each("GlobalAveragePooling")), global_pool),
    **dict.fromkeys(_each("ZeroPadding"), zero_padding),
    **dict.fromkeys(_each("Cropping"), cropping),
    **dict.fromkeys(_each("UpSampling"), upsampling),
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), merge),
    **dict.fromkeys(("SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "ActivityRegularization"), idle),
    "Concatenate": concatenate,
    "Dense": dense,
    "BatchNormalization": batch_norm,
    "Normalization": normalization,
    "LayerNormalization": layer_norm,
    "Flatten": flatten,
    "Reshape": reshape,
    "Dropout": dropout,
    "ReLU": relu,
    "LeakyReLU": leaky_relu,
    "ELU": elu,
    "Softmax": softmax,
    "Activation": activation,
    "Rescaling": rescaling,
}
