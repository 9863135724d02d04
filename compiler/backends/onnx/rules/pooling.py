"""Pooling, upsampling and crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from archc.compiler.backends.onnx.building import Building, Value
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
    ends, ceil = _ends(b, x, kernel_size, stride, padding, dilation, ceil_mode)
    if any(end >= kernel for end, kernel in zip(ends, kernel_size, strict=True)):  # onnxruntime wants less padding than that
        x = b.pad(x, [0, 0, *padding], [0, 0, *ends], value=-np.inf)
        padding, ends = (0,) * len(ends), [0] * len(ends)
    value: Value = b.op(
        "MaxPool", x, kernel_shape=list(kernel_size), strides=list(stride), pads=[*padding, *ends],
        dilations=list(dilation) if set(dilation) != {1} else None, ceil_mode=ceil, shape=b.out,
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
    ends, ceil = _ends(b, x, kernel_size, stride, padding, (1,) * len(kernel_size), ceil_mode)
    counted = count_include_pad and any((*padding, *ends))
    value: Value = b.op(
        "AveragePool", x, kernel_shape=list(kernel_size), strides=list(stride), pads=[*padding, *ends], ceil_mode=ceil,
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


def _ends(
    b: Building, x: Value, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], ceil: bool
) -> tuple[list[int], int | None]:
    """Return the padding after each axis, and ONNX's `ceil_mode`.

    Windows that extend past the edge are stated as padding, where the sizes are known: runtimes disagree on what they count.
    """
    if not ceil:
        return list(padding), None
    sizes, counts = x.shape[2:], b.out[2:]
    if not all(isinstance(size, int) for size in (*sizes, *counts)):
        if x.b.step.op == "avgpool":
            b.refuse_open()
        return list(padding), 1
    ends = []
    for size, count, k, s, p, d in zip(sizes, counts, kernel, stride, padding, dilation, strict=True):
        assert isinstance(size, int) and isinstance(count, int)
        ends.append(max(p, (count - 1) * s + d * (k - 1) + 1 - size - p))
    return ends, None


def windows(size: int, count: int) -> list[tuple[int, int]]:
    """Return the range of positions of each window of an adaptive pool."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def adaptive_avg_pool(b: Building, x: Value, output_size: Sequence[int]) -> Value:
    """Write the means of as many windows as stated: one pool where all are alike, else a product with the weights for each axis."""
    if all(size == 1 for size in output_size):
        value: Value = b.op("GlobalAveragePool", x, shape=b.out)
        return value
    sizes = b.numbers(x.shape[2:])
    if all(size % count == 0 for size, count in zip(sizes, output_size, strict=True)):
        kernel = [size // count for size, count in zip(sizes, output_size, strict=True)]
        return avg_pool(b, x, kernel, kernel, (0,) * len(kernel))
    for axis, (size, count) in enumerate(zip(sizes, output_size, strict=True), 2):
        weights = np.zeros((size, count))
        for i, (start, end) in enumerate(windows(size, count)):
            weights[start:end, i] = 1 / (end - start)
        if count == 1:
            x = b.reduce("ReduceMean", x, [axis])
        elif size != count:
            x = b.swap(b.swap(x, axis, x.rank - 1) @ b.const(weights), axis, x.rank - 1)
    return x


def adaptive_max_pool(b: Building, x: Value, output_size: Sequence[int]) -> Value:
    """Write the largest values of as many windows as stated."""
    if all(size == 1 for size in output_size):
        value: Value = b.op("GlobalMaxPool", x, shape=b.out)
        return value
    sizes = b.numbers(x.shape[2:])
    for axis, (size, count) in enumerate(zip(sizes, output_size, strict=True), 2):
        if count == 1:
            x = b.reduce("ReduceMax", x, [axis])
        elif size != count:
            ranges = windows(size, count)
            longest = max(end - start for start, end in ranges)
            index = [[min(start + i, end - 1) for i in range(longest)] for start, end in ranges]
            x = b.reduce("ReduceMax", b.gather(x, axis, index), [axis + 1], keep=False)
    return x


def upsample(
    b: Building, x: Value, size: Sequence[int] | None, scale_factor: Sequence[float] | None, mode: str, align_corners: bool | None
) -> Value:
    """Write an enlarged map: each value repeated, or values between its values."""
    axes = list(range(2, x.rank))
    if mode == "nearest" and size is not None and all(isinstance(dim, int) for dim in x.shape[2:]):
        sizes = b.numbers(x.shape[2:])
        if any(target % own for own, target in zip(sizes, size, strict=True)):
            return _nearest(b, x, sizes, size)
        scale_factor, size = tuple(target / own for own, target in zip(sizes, size, strict=True)), None
    where = "asymmetric" if mode == "nearest" else "align_corners" if align_corners else "half_pixel"
    scales = None if scale_factor is None else b.floats([1.0, 1.0, *scale_factor])
    target = None if size is None else b.const(list(size))
    value: Value = b.op(
        "Resize", x, None, scales, target, mode={"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic"}[mode],
        coordinate_transformation_mode=where, nearest_mode="floor" if mode == "nearest" else None,
        axes=axes if size is not None else None, shape=b.out,
    )  # fmt: skip
    return value


def _nearest(b: Building, x: Value, sizes: Sequence[int], targets: Sequence[int]) -> Value:
    """Write the values at the positions that torch computes, in float32."""
    for axis, (size, target) in enumerate(zip(sizes, targets, strict=True), 2):
        if size != target:
            places = np.floor(np.arange(target, dtype=np.float32) * (np.float32(size) / np.float32(target)))
            x = b.gather(x, axis, np.minimum(places.astype(np.int64), size - 1))
    return x


def crop(b: Building, x: Value, sizes: Sequence[int]) -> Value:
    """Write the center of a map; of an odd number of cut positions, the extra one is after it."""
    for axis, (size, target) in enumerate(zip(b.numbers(x.shape[2:]), sizes, strict=True), 2):
        if size != target:
            start = (size - target) // 2
            x = b.slice(x, axis, start, start + target)
    return x


AXES = (1, 2, 3)
RULES: dict[str, Rule] = {
    **{f"nn.MaxPool{axes}d": max_pool for axes in AXES},
    **{f"nn.AvgPool{axes}d": avg_pool for axes in AXES},
    **{f"nn.AdaptiveAvgPool{axes}d": adaptive_avg_pool for axes in AXES},
    **{f"nn.AdaptiveMaxPool{axes}d": adaptive_max_pool for axes in AXES},
    "nn.Upsample": upsample,
    "archc.Crop": crop,
}
