"""Embeddings of whole numbers, and trained tensors that depend on no input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.attention import project
from archc.compiler.backends.onnx.rules.rule import Rule


def embedding(b: Building, x: Value, **settings: Any) -> Value:
    """Write a row of a table for each whole number, or the products of tokens with all rows; channels first."""
    weight = b.need("weight")
    if x.rank == 2:
        found: Value = b.op("Gather", weight, x, axis=0, shape=(*x.shape, weight.shape[1]))
        return b.swap(found, 1, 2)
    return b.swap(project(b, b.swap(x, 1, 2), weight, None), 1, 2)


def learned(b: Building, x: Value, tensor: Value, axes: int, as_large: bool) -> Value:
    """Write a trained tensor once for every sample of `x`, channels first."""
    if axes == 1:  # stored as rows, (1, L, C) or (L, C)
        tensor = b.swap(tensor, tensor.rank - 2, tensor.rank - 1)
    sizes = [size for size in tensor.shape[-(axes + 1) :] if isinstance(size, int)]
    if as_large and tuple(sizes[1:]) != x.shape[2:]:
        b.refuse(f"{b.step.name} has the sizes {sizes[1:]}, and its operand {list(x.shape[2:])}", "give `sizes`")
    count = b.op("Slice", b.op("Shape", x, shape=(x.rank,)), b.const([0]), b.const([1]), shape=(1,))
    value: Value = b.op("Expand", tensor, b.op("Concat", count, b.const(sizes), axis=0), shape=b.out)
    return value


def sine_positions(b: Building, x: Value, channels: int, temperature: float, scale: float | None, sizes: Sequence[int] | None) -> Value:
    """Write the sines and cosines of coordinates as a constant, repeated for every sample of `x`."""
    held = [size for size in (x.shape[2:] if sizes is None else sizes) if isinstance(size, int)]
    if sizes is None and len(held) != x.rank - 2:
        b.refuse(f"{b.step.name} has open sizes", "give `sizes`, or those of the input with `--input`")
    numbers = np.arange(channels, dtype=np.float32)
    waves = np.float32(temperature) ** (2 * np.floor(numbers / 2) / channels)
    parts = []
    for axis, count in enumerate(held):
        places = np.arange(count, dtype=np.float32)
        if scale is not None:
            places = (places + 1) / np.float32(count + 1e-6) * np.float32(scale)
        angles = places[:, None] / waves
        values = np.stack((np.sin(angles[:, 0::2]), np.cos(angles[:, 1::2])), 2).reshape(count, channels).T
        apart = values.reshape(channels, *(count if other == axis else 1 for other in range(len(held))))
        parts.append(np.broadcast_to(apart, (channels, *held)))
    grid = b.const(np.concatenate(parts))
    return repeated(b, x, grid)


def constant(b: Building, x: Value, values: Sequence[float], shape: Sequence[int]) -> Value:
    """Write fixed numbers once for every sample of `x`."""
    held = np.asarray(values, np.float32)
    held = np.broadcast_to(held, shape) if held.size == 1 else held.reshape(tuple(shape))
    return repeated(b, x, b.const(np.ascontiguousarray(held)))


def repeated(b: Building, x: Value, tensor: Value) -> Value:
    """Write a tensor once for every sample of `x`."""
    count = b.op("Slice", b.op("Shape", x, shape=(x.rank,)), b.const([0]), b.const([1]), shape=(1,))
    value: Value = b.op("Expand", tensor, b.op("Concat", count, b.const(list(b.numbers(tensor.shape))), axis=0), shape=b.out)
    return value


def scaled(b: Building, x: Value, factors: Value) -> Value:
    """Write the product of each channel with its factor, `(C,)`."""
    value: Value = b.op("Mul", x, b.reshape(factors, [factors.shape[0], *[1] * (x.rank - 2)]))
    return value


RULES: dict[str, Rule] = {
    "archc.Constant": constant,
    "archc.Embedding": embedding,
    "archc.learned": learned,
    "archc.sine_positions": sine_positions,
    "archc.scaled": scaled,
}
