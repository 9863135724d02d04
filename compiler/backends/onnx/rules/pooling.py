"""Pooling with a window that slides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules import open_pooling
from archc.compiler.backends.onnx.rules.rule import Rule


def max_pool(
    b: Building,
    x: Value,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Value:
    """Write the largest value of each window."""
    if ceil_mode and _is_open(b, x):
        return open_pooling.max_pool(b, x, kernel_size, stride, padding, dilation)
    ends = _ends(b, x, kernel_size, stride, padding, dilation, ceil_mode)
    if any(end >= kernel for end, kernel in zip(ends, kernel_size, strict=True)):  # onnxruntime wants less padding than that
        x = b.pad(x, [0, 0, *padding], [0, 0, *ends], value=-np.inf)
        padding, ends = (0,) * len(ends), [0] * len(ends)
    value: Value = b.op(
        "MaxPool", x, kernel_shape=list(kernel_size), strides=list(stride), pads=[*padding, *ends],
        dilations=list(dilation) if set(dilation) != {1} else None, shape=b.out,
    )  # fmt: skip
    return value


def avg_pool(
    b: Building,
    x: Value,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    shape: Any = None,
) -> Value:
    """Write the mean of each window. Padding counts in the divisor if it is included; positions past it, from `ceil_mode`, never do."""
    if ceil_mode and _is_open(b, x):
        return open_pooling.avg_pool(b, x, kernel_size, stride, padding, count_include_pad)
    ends = _ends(b, x, kernel_size, stride, padding, (1,) * len(kernel_size), ceil_mode)
    counted = count_include_pad and any((*padding, *ends))
    value: Value = b.op(
        "AveragePool", x, kernel_shape=list(kernel_size), strides=list(stride), pads=[*padding, *ends],
        count_include_pad=1 if counted else None, shape=shape or b.out,
    )  # fmt: skip
    if counted and list(ends) != list(padding):
        factor = np.ones(())
        for axis, (kernel, step, pad) in enumerate(zip(kernel_size, stride, padding, strict=True), 2):
            size, count = x.shape[axis], value.shape[axis]
            assert isinstance(size, int) and isinstance(count, int)
            inside = [min(i * step + kernel, size + 2 * pad) - i * step for i in range(count)]
            factor = np.multiply.outer(factor, kernel / np.array(inside))
        value = value * b.const(factor[np.newaxis, np.newaxis])
    return value


def _is_open(b: Building, x: Value) -> bool:
    return not all(isinstance(size, int) for size in (*x.shape[2:], *b.out[2:]))


def _ends(
    b: Building, x: Value, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], ceil: bool
) -> list[int]:
    """Return the padding after each axis. Windows that extend past the edge are stated as padding: runtimes disagree on what they count."""
    if not ceil:
        return list(padding)
    ends = []
    for size, count, k, s, p, d in zip(x.shape[2:], b.out[2:], kernel, stride, padding, dilation, strict=True):
        assert isinstance(size, int) and isinstance(count, int)
        ends.append(max(p, (count - 1) * s + d * (k - 1) + 1 - size - p))
    return ends


AXES = (1, 2, 3)
RULES: dict[str, Rule] = {
    **{f"nn.MaxPool{axes}d": max_pool for axes in AXES},
    **{f"nn.AvgPool{axes}d": avg_pool for axes in AXES},
}
