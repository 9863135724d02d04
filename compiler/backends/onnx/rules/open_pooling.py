"""Pooling with `ceil=yes` of a map whose sizes are open: where its windows end is computed while the network runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.sizes import up_to


def max_pool(b: Building, x: Value, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]) -> Value:
    """Write the largest value of each window."""
    x = _padded(b, x, kernel, stride, padding, dilation, b.const(-np.inf))
    spread = list(dilation) if set(dilation) != {1} else None
    value: Value = b.op("MaxPool", x, kernel_shape=list(kernel), strides=list(stride), dilations=spread, shape=b.out)
    return value


def avg_pool(b: Building, x: Value, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], counts_padding: bool) -> Value:
    """Write the sum of each window over the number of its positions in the map, or in the map and its padding."""
    wide = _padded(b, x, kernel, stride, padding, (1,) * len(kernel), None)
    result = b.op("AveragePool", wide, kernel_shape=list(kernel), strides=list(stride), shape=b.out)
    for axis, (size, step, pad) in enumerate(zip(kernel, stride, padding, strict=True), 2):
        whole, count, _ = _axis(b, x, axis, size, step, pad)
        begin = up_to(b, b.squeeze(count, 0), b.out[axis]) * step  # counted from the first position of the padding
        end = begin + size
        if counts_padding:
            inside = b.op("Min", end, whole + 2 * pad) - begin
        else:
            inside = b.op("Min", end, whole + pad) - b.op("Max", begin, b.const(pad))
        factor = b.const(float(size)) / b.cast(inside, b.float)
        result = result * b.reshape(factor, (b.out[axis], *(1,) * (x.rank - 1 - axis)))
    return result


def _padded(
    b: Building,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    fill: Value | None,
) -> Value:
    """Write the map with its padding, and as many positions after it as its last windows reach."""
    reaches = [spread * (size - 1) + 1 for size, spread in zip(kernel, dilation, strict=True)]
    ends = [_axis(b, x, axis, *of)[2] for axis, of in enumerate(zip(reaches, stride, padding, strict=True), 2)]
    amounts = b.concat([b.const([0, 0, *padding, 0, 0]), *ends], 0)
    sizes = [
        (count - 1) * step + reach if isinstance(count, int) and isinstance(size, int) else size
        for size, count, step, reach in zip(x.shape[2:], b.out[2:], stride, reaches, strict=True)
    ]
    value: Value = b.op("Pad", x, amounts, fill, shape=(*x.shape[:2], *sizes))
    return value


def _axis(b: Building, x: Value, axis: int, reach: int, step: int, pad: int) -> tuple[Value, Value, Value]:
    """Write the size of an axis, the number of its windows, and the padding after it, each of shape `(1,)`.

    A window that would begin after the map and the padding before it is none.
    """
    size = b.op("Shape", x, start=axis, end=axis + 1, shape=(1,))
    count = (size + (2 * pad - reach + step - 1)) / step + 1
    outside = b.op("GreaterOrEqual", (count - 1) * step, size + pad)
    count = count - b.cast(outside, TensorProto.INT64)
    end = b.op("Max", (count - 1) * step + (reach - pad) - size, b.const([pad]))
    return size, count, end
