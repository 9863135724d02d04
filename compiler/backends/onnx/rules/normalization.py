"""Normalization, and what drops values in training only."""

from __future__ import annotations

from typing import Any

import numpy as np

from archc.compiler.backends.onnx import schemas
from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.rule import Rule
from archc.compiler.shapes.dim import product


def batch_norm(b: Building, x: Value, num_features: int, eps: float, **unused: Any) -> Value:
    """Write batch normalization with the running statistics."""
    scale, shift = scale_and_shift(b, num_features)
    value: Value = b.op("BatchNormalization", x, scale, shift, b.need("running_mean"), b.need("running_var"), epsilon=float(eps))
    return value


def scale_and_shift(b: Building, channels: int) -> tuple[Value, Value]:
    """Return the trained scale and shift of each channel; ones and zeros where there are none."""
    scale, shift = b.weight("weight"), b.weight("bias")
    return (b.const(np.ones(channels)) if scale is None else scale), (b.const(np.zeros(channels)) if shift is None else shift)


def instance_norm(b: Building, x: Value, num_features: int, eps: float, **unused: Any) -> Value:
    """Write the normalization of each channel of a sample."""
    value: Value = b.op("InstanceNormalization", x, *scale_and_shift(b, num_features), epsilon=float(eps))
    return value


def group_norm(b: Building, x: Value, num_groups: int, num_channels: int, eps: float, **unused: Any) -> Value:
    """Write the normalization of groups of channels, as instances of which each is a group.

    Runtimes compute ONNX's own GroupNormalization as a dozen operators.
    """
    rest = product(x.shape[1:])
    groups = b.reshape(x, (x.shape[0], num_groups, rest // num_groups))
    ones, zeros = b.const(np.ones(num_groups)), b.const(np.zeros(num_groups))
    normal = b.op("InstanceNormalization", groups, ones, zeros, epsilon=float(eps))
    return b.affine(b.reshape(normal, x.shape, like=x))


def channel_norm(b: Building, x: Value, normalized_shape: int, eps: float, **unused: Any) -> Value:
    """Write layer normalization over the channels, position by position."""
    scale, shift = scale_and_shift(b, normalized_shape)
    if b.weight("bias") is None:
        shift = None  # type: ignore[assignment]
    last = b.channels_last(x)
    normal = b.op("LayerNormalization", last, scale, shift, axis=-1, epsilon=float(eps))
    return b.channels_first(normal)


def channel_rms_norm(b: Building, x: Value, normalized_shape: int, eps: float | None, **unused: Any) -> Value:
    """Write RMS normalization over the channels, position by position."""
    if eps is None:
        eps = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}[b.dtype]
    scale = b.weight("weight")
    if schemas.schema("RMSNormalization", b.opset) is not None:
        ones = b.const(np.ones(normalized_shape)) if scale is None else scale
        value: Value = b.channels_first(b.op("RMSNormalization", b.channels_last(x), ones, axis=-1, epsilon=float(eps)))
        return value
    wide = b.wide(x)
    root = b.op("Sqrt", b.op("Add", b.reduce("ReduceMean", wide * wide, [1]), b.floats(float(eps))))
    normal = b.cast(wide / root, x.dtype)
    return normal if scale is None else normal * b.per_channel(scale, x)


def global_response_norm(b: Building, x: Value, num_channels: int, eps: float) -> Value:
    """Write the scaling of channels by their lengths, which are computed in float32."""
    wide = b.wide(x)
    lengths = b.reduce("ReduceL2", wide, range(2, x.rank))
    relative = b.cast(lengths / (b.reduce("ReduceMean", lengths, [1]) + float(eps)), x.dtype)
    weight, bias = b.need("weight"), b.need("bias")
    value: Value = x + ((x * relative) * b.per_channel(weight, x) + b.per_channel(bias, x))
    return value


def response_norm(b: Building, x: Value, size: int, alpha: float, beta: float, k: float) -> Value:
    """Write normalization over neighboring channels, in float32."""
    wide = b.wide(x)
    # Not as ONNX's LRN: runtimes are slow at it, and its window of even size begins one channel later than PyTorch's.
    rows = b.reshape(wide * wide, (x.shape[0], 1, x.shape[1], product(x.shape[2:])))
    padded = b.pad(rows, [0, 0, size // 2, 0], [0, 0, (size - 1) // 2, 0])
    means = b.op("AveragePool", padded, kernel_shape=[size, 1], strides=[1, 1], shape=rows.shape)
    base = b.reshape(means, x.shape, like=x) * float(alpha) + float(k)
    return b.cast(wide / base ** float(beta), x.dtype)


def spatial_response_norm(b: Building, x: Value, size: int, alpha: float, beta: float, k: float) -> Value:
    """Write normalization over a window of the same channel."""
    means = b.op("AveragePool", x * x, kernel_shape=[size, size], strides=[1, 1], pads=[size // 2] * 4, count_include_pad=1, shape=x.shape)
    return x / (means * float(alpha) + float(k)) ** float(beta)


def unchanged(b: Building, x: Value, **unused: Any) -> Value:
    """Write nothing: it does nothing in inference."""
    return x


AXES = (1, 2, 3)
RULES: dict[str, Rule] = {
    **{f"nn.BatchNorm{axes}d": batch_norm for axes in AXES},
    **{f"nn.InstanceNorm{axes}d": instance_norm for axes in AXES},
    "nn.GroupNorm": group_norm,
    "archc.ChannelNorm": channel_norm,
    "archc.ChannelRMSNorm": channel_rms_norm,
    "archc.GlobalResponseNorm": global_response_norm,
    "archc.ResponseNorm": response_norm,
    "archc.SpatialResponseNorm": spatial_response_norm,
    "nn.Dropout": unchanged,
    "archc.StochasticDepth": unchanged,
}
