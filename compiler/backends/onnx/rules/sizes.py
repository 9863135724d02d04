"""Sizes and positions that are known only while the network runs."""

from __future__ import annotations

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.shapes.dim import Dim


def number(b: Building, x: Value, axis: int) -> Value:
    """Write a size of a value as a number."""
    return b.squeeze(b.op("Shape", x, start=axis, end=axis + 1, shape=(1,)), 0)


def up_to(b: Building, end: Value, size: Dim) -> Value:
    """Write the numbers from 0 up to one, exclusive; there are `size` of them."""
    value: Value = b.op("Range", b.const(0), end, b.const(1), shape=(size,))
    return value


def select(b: Building, x: Value, axis: int, places: Value) -> Value:
    """Write the positions along an axis that an index holds."""
    value: Value = b.op("Gather", x, places, axis=axis, shape=(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))
    return value
