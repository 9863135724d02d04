"""Adaptive pooling, upsampling and crops. What depends on an open size is computed while the network runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from onnx import TensorProto

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.pooling import avg_pool
from archc.compiler.backends.onnx.rules.rule import Rule
from archc.compiler.backends.onnx.rules.sizes import number, select, up_to
from archc.compiler.shapes.dim import Dim

MODES = {"nearest": "nearest", "linear": "linear", "bilinear": "linear", "bicubic": "cubic"}


# ---- adaptive pooling


def adaptive_avg_pool(b: Building, x: Value, output_size: Sequence[int]) -> Value:
    """Write the means of as many windows as stated: one pool where all are alike, else a product with the weights for each axis."""
    if all(size == 1 for size in output_size):
        value: Value = b.op("GlobalAveragePool", x, shape=b.out)
        return value
    if alike := windows_alike(x, output_size):
        kernel, stride = alike
        return avg_pool(b, x, kernel, stride, (0,) * len(kernel))
    for axis, (size, count) in enumerate(zip(x.shape[2:], output_size, strict=True), 2):
        if count == 1:
            x = b.reduce("ReduceMean", x, [axis])
        elif size != count:
            weights = _weights(b, x, axis, count)
            x = b.swap(b.swap(x, axis, x.rank - 1) @ weights, axis, x.rank - 1)
    return x


def adaptive_max_pool(b: Building, x: Value, output_size: Sequence[int]) -> Value:
    """Write the largest values of as many windows as stated: one pool where all are alike, else a selection for each axis."""
    if all(size == 1 for size in output_size):
        value: Value = b.op("GlobalMaxPool", x, shape=b.out)
        return value
    if alike := windows_alike(x, output_size):
        kernel, stride = alike
        pooled: Value = b.op("MaxPool", x, kernel_shape=list(kernel), strides=list(stride), shape=b.out)
        return pooled
    for axis, (size, count) in enumerate(zip(x.shape[2:], output_size, strict=True), 2):
        if count == 1:
            x = b.reduce("ReduceMax", x, [axis])
        elif size != count:
            x = b.reduce("ReduceMax", select(b, x, axis, _places(b, x, axis, count)), [axis + 1], keep=False)
    return x


def windows_alike(x: Value, output_size: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return the kernel and the stride of a pool with as many windows as stated; None where they are not all alike."""
    steps = [step(size, count) for size, count in zip(x.shape[2:], output_size, strict=True)]
    if not all(steps):
        return None
    kernel, stride = zip(*(pair for pair in steps if pair), strict=True)
    return kernel, stride


def windows(size: int, count: int) -> list[tuple[int, int]]:
    """Return the range of positions of each window of an adaptive pool."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def step(size: Dim, count: int) -> tuple[int, int] | None:
    """Return the kernel and the stride with which the windows of an adaptive pool slide; None where they differ, or the size is open."""
    if not isinstance(size, int):
        return None
    ranges = windows(size, count)
    kernels = {end - start for start, end in ranges}
    strides = {after - before for (before, _), (after, _) in pairwise(ranges)} or {1}
    return (kernels.pop(), strides.pop()) if len(kernels) == len(strides) == 1 and min(strides) > 0 else None


def _weights(b: Building, x: Value, axis: int, count: int) -> Value:
    """Write the weight of each position in each window, `(positions, windows)`."""
    size = x.shape[axis]
    if isinstance(size, int):
        weights = np.zeros((size, count))
        for i, (start, end) in enumerate(windows(size, count)):
            weights[start:end, i] = 1 / (end - start)
        return b.const(weights)
    first, last = _ranges(b, x, axis, count)
    positions = b.unsqueeze(up_to(b, number(b, x, axis), size), 1)
    inside = b.op("And", b.op("GreaterOrEqual", positions, first), b.op("Less", positions, last))
    return b.cast(inside, b.float) / b.cast(b.op("Sub", last, first), b.float)


def _places(b: Building, x: Value, axis: int, count: int) -> Value:
    """Write the positions in each window, `(windows, longest)`; a shorter window repeats its last one."""
    size = x.shape[axis]
    if isinstance(size, int):
        ranges = windows(size, count)
        longest = max(end - start for start, end in ranges)
        return b.const([[min(start + i, end - 1) for i in range(longest)] for start, end in ranges])
    start, end = _ranges(b, x, axis, count)
    most = size // count + 2  # no window is longer
    most_of = b.op("Add", b.op("Div", number(b, x, axis), b.const(count)), b.const(2))
    places = b.op("Add", b.unsqueeze(start, 1), up_to(b, most_of, most))
    value: Value = b.op("Min", places, b.unsqueeze(b.op("Sub", end, b.const(1)), 1), shape=(count, most))
    return value


def _ranges(b: Building, x: Value, axis: int, count: int) -> tuple[Value, Value]:
    """Write where each window along an open axis begins and ends."""
    size, numbers = number(b, x, axis), np.arange(count)
    start = b.op("Div", b.op("Mul", b.const(numbers), size), b.const(count))
    end = b.op("Div", b.op("Add", b.op("Mul", b.const(numbers + 1), size), b.const(count - 1)), b.const(count))
    return start, end


# ---- upsampling and crops


def upsample(
    b: Building, x: Value, size: Sequence[int] | None, scale_factor: Sequence[float] | None, mode: str, align_corners: bool | None
) -> Value:
    """Write an enlarged map: each value repeated, or values between its values."""
    if mode == "nearest" and size is not None:
        return _nearest(b, x, size)
    where = "asymmetric" if mode == "nearest" else "align_corners" if align_corners else "half_pixel"
    scales = None if scale_factor is None else b.floats([1.0, 1.0, *scale_factor])
    target = None if size is None else b.const(list(size))
    value: Value = b.op(
        "Resize", x, None, scales, target, mode=MODES[mode],
        coordinate_transformation_mode=where, nearest_mode="floor" if mode == "nearest" else None,
        axes=list(range(2, x.rank)) if size is not None else None, shape=b.out,
    )  # fmt: skip
    return value


def _nearest(b: Building, x: Value, targets: Sequence[int]) -> Value:
    """Write the nearest values for stated sizes.

    ONNX's Resize multiplies by a rounded factor where torch divides: of 14 values it takes the seventh for the eighth. So this is Resize
    for whole factors only, and otherwise a selection of the positions that torch computes, in float32.
    """
    sizes = x.shape[2:]
    if all(isinstance(size, int) and target % size == 0 for size, target in zip(sizes, targets, strict=True)):
        factors = [target // size for size, target in zip(b.numbers(sizes), targets, strict=True)]
        return upsample(b, x, None, factors, "nearest", None)
    for axis, (size, target) in enumerate(zip(sizes, targets, strict=True), 2):
        if size == target:
            continue
        numbers = np.arange(target, dtype=np.float32)
        if isinstance(size, int):
            places = np.floor(numbers * (np.float32(size) / np.float32(target))).astype(np.int64)
            x = b.gather(x, axis, np.minimum(places, size - 1))
            continue
        whole = number(b, x, axis)
        factor = b.op("Div", b.cast(whole, TensorProto.FLOAT), b.floats(target))
        floor = b.cast(b.op("Floor", b.op("Mul", b.floats(numbers), factor)), TensorProto.INT64)
        x = select(b, x, axis, b.op("Min", floor, b.op("Sub", whole, b.const(1))))
    return x


def filtered(
    b: Building, x: Value, *, mode: str, antialias: bool, size: Sequence[int] | None = None, scale_factor: Sequence[float] | None = None
) -> Value:
    """Write a map resized by a filter as a product with the weights for each axis."""
    sizes = b.numbers(x.shape[2:])
    targets = size if size is not None else [int(one * factor) for one, factor in zip(sizes, scale_factor or (), strict=True)]
    for axis, (before, after) in enumerate(zip(sizes, targets, strict=True), 2):
        if before != after:
            x = b.swap(b.swap(x, axis, x.rank - 1) @ b.const(filter_weights(before, after, mode)), axis, x.rank - 1)
    return x


def filter_weights(size: int, count: int, mode: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the weight of each position of an axis in each position that a filter makes of it, `(size, count)`."""
    wide = max(size / count, 1.0)
    centers = (np.arange(count) + 0.5) * (size / count)
    away = np.abs((np.arange(size)[:, None] + 0.5 - centers) / wide)
    if mode == "bilinear":
        weights = np.maximum(1 - away, 0)
    else:
        near, far = (1.5 * away - 2.5) * away**2 + 1, -0.5 * (((away - 5) * away + 8) * away - 4)
        weights = np.where(away < 1, near, np.where(away < 2, far, 0))
    total: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = weights / weights.sum(0)
    return total


def crop(b: Building, x: Value, sizes: Sequence[int]) -> Value:
    """Write the center of a map; of an odd number of cut positions, the extra one is after it."""
    for axis, (size, target) in enumerate(zip(x.shape[2:], sizes, strict=True), 2):
        if isinstance(size, int):
            start = (size - target) // 2
            x = x if size == target else b.slice(x, axis, start, start + target)
            continue
        whole = b.unsqueeze(number(b, x, axis), 0)
        begin = b.op("Div", b.op("Sub", whole, b.const(target)), b.const(2))
        shape = (*x.shape[:axis], target, *x.shape[axis + 1 :])
        x = b.op("Slice", x, begin, b.op("Add", begin, b.const(target)), b.const([axis]), shape=shape)
    return x


AXES = (1, 2, 3)
RULES: dict[str, Rule] = {
    **{f"nn.AdaptiveAvgPool{axes}d": adaptive_avg_pool for axes in AXES},
    **{f"nn.AdaptiveMaxPool{axes}d": adaptive_max_pool for axes in AXES},
    "nn.Upsample": upsample,
    "F.interpolate": filtered,
    "archc.Crop": crop,
}
