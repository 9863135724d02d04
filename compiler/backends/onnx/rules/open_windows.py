"""Windows of a map whose sizes are open: the positions that they hold are computed while the network runs, axis by axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import Any

from onnx import TensorProto

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.sizes import number, select, up_to
from archc.compiler.shapes.dim import Dim, product


@dataclass(frozen=True)
class OpenWindows:
    """The windows of `rules.windowed.Windows`, for a map `(N, *sizes, C)`. Where it is not to be `padded`, other sizes fail at run time."""

    x: Value
    window: Sequence[int]
    shift: Sequence[int]
    grid: bool
    padded: bool

    @property
    def positions(self) -> int:
        """Return the number of positions of a window."""
        return prod(self.window)

    @property
    def is_shifted(self) -> bool:
        """Return whether windows are moved along an axis, where it has more than one."""
        return any(self.shift)

    @property
    def counts(self) -> list[Dim]:
        """Return the number of windows along each axis."""
        return [(size + window - 1) // window for size, window in zip(self.x.shape[1:-1], self.window, strict=True)]

    def cut(self, b: Building, x: Value) -> Value:
        """Write `(N, *sizes, C)` as `(N*windows, positions, C)`."""
        batch, channels = x.shape[0], x.shape[-1]
        rows = b.reshape(x, (batch, product(x.shape[1:-1]), channels))
        if self.padded:
            rows = b.pad(rows, [0, 0, 0], [0, 1, 0])
        return b.reshape(select(b, rows, 1, self._table(b)), (batch * product(tuple(self.counts)), self.positions, channels))

    def joined(self, b: Building, x: Value, batch: Dim) -> Value:
        """Write `(N*windows, positions, C)` as `(N, *sizes, C)`."""
        places = self._table(b)
        sizes = b.concat([b.const([-1]), b.op("Shape", places, shape=(1,)), b.const([x.shape[-1]])], 0)
        rows = b.op("Reshape", x, sizes, shape=(batch, places.shape[0], x.shape[-1]))
        return b.reshape(select(b, rows, 1, self._back(b)), self.x.shape, like=self.x)

    def sides(self, b: Building) -> tuple[Value, Value]:
        """Write the region of neighbors that each position is in, as `(windows, 1, positions, 1)`, and with the last two exchanged."""
        region = b.const(0)
        for i, axis in enumerate(self._axes(b)):
            inside = [b.op("GreaterOrEqual", axis.places, axis.whole - by) for by in (b.const(axis.window), axis.shift)]
            parts = b.cast(inside[0], TensorProto.INT64) + b.cast(inside[1], TensorProto.INT64)
            moved = b.op("Where", b.op("Greater", axis.shift, b.const(0)), parts, b.const(0), dtype=TensorProto.INT64)
            region = region * 3 + self._spread(b, moved, i)
        flat = b.reshape(region, (product(tuple(self.counts)), self.positions))
        return b.unsqueeze(b.unsqueeze(flat, 1), 3), b.unsqueeze(b.unsqueeze(flat, 1), 1)

    def by_window(self, b: Building, products: Value, batch: Dim, regions: Value) -> Value:
        """Write `(N*windows, heads, positions, positions)` as `(N, windows, heads, positions, positions)`."""
        count = b.op("Shape", regions, start=0, end=1, shape=(1,))
        sizes = b.concat([b.const([-1]), count, b.const(list(products.shape[1:]))], 0)
        value: Value = b.op("Reshape", products, sizes, shape=(batch, regions.shape[0], *products.shape[1:]))
        return value

    # ---- positions

    def _axes(self, b: Building) -> list[Axis]:
        return [Axis.of(b, self.x, i, window, by) for i, (window, by) in enumerate(zip(self.window, self.shift, strict=True), 1)]

    def _spread(self, b: Building, value: Value, axis: int) -> Value:
        """Write what is known of the places along an axis in the shape `(*counts, *window)`, with sizes of 1 along the other axes."""
        count, window, axes = self.counts[axis], self.window[axis], len(self.window)
        split = b.swap(b.reshape(value, (window, count)), 0, 1) if self.grid else b.reshape(value, (count, window))
        sizes: list[Dim] = [1] * (2 * axes)
        sizes[axis], sizes[axes + axis] = count, window
        return b.reshape(split, sizes)

    def _table(self, b: Building) -> Value:
        """Write the position of the map at each position of each window, in a row; the number of positions for padding."""
        axes = self._axes(b)
        sources = [self._spread(b, b.op("Mod", axis.places + axis.shift, axis.whole), i) for i, axis in enumerate(axes)]
        numbers = _numbers(sources, [axis.size for axis in axes])
        if self.padded:
            inside = [b.op("Less", source, axis.size) for source, axis in zip(sources, axes, strict=True)]
            total = reduce(lambda left, right: left * right, [axis.size for axis in axes])
            numbers = b.op("Where", reduce(lambda left, right: b.op("And", left, right), inside), numbers, total, dtype=TensorProto.INT64)
        return b.reshape(numbers, (product(tuple(self.counts)) * self.positions,))

    def _back(self, b: Building) -> Value:
        """Write the position in the row of all windows of each position of the map."""
        windows: list[Value] = []
        inner: list[Value] = []
        axes = self._axes(b)
        for i, axis in enumerate(axes):
            place = b.op("Mod", up_to(b, axis.size, self.x.shape[1 + i]) - axis.shift + axis.whole, axis.whole)
            divisor = axis.count if self.grid else b.const(axis.window)
            quotient, rest = place / divisor, b.op("Mod", place, divisor)
            sizes: list[Dim] = [1] * len(axes)
            sizes[i] = self.x.shape[1 + i]
            for into, part in ((windows, rest if self.grid else quotient), (inner, quotient if self.grid else rest)):
                into.append(b.reshape(part, sizes))
        number_of = _numbers(windows, [axis.count for axis in axes]) * self.positions
        places = number_of + _numbers(inner, [b.const(axis.window) for axis in axes])
        return b.reshape(places, (product(self.x.shape[1:-1]),))


@dataclass(frozen=True)
class Axis:
    """An axis of a map while the network runs: its size, the number of windows, the padded size, the shift, and all places."""

    window: int
    size: Value
    count: Value
    whole: Value
    shift: Value
    places: Value

    @classmethod
    def of(cls, b: Building, x: Value, axis: int, window: int, shift: int) -> Axis:
        """Write what is computed of an axis; it is not shifted where one window covers it."""
        size = number(b, x, axis)
        count = (size + (window - 1)) / window
        moved = b.op("Where", b.op("Greater", count, b.const(1)), b.const(shift), b.const(0), dtype=TensorProto.INT64)
        whole = count * window
        return cls(window, size, count, whole, moved, up_to(b, whole, (x.shape[axis] + window - 1) // window * window))


def _numbers(indices: Sequence[Value], sizes: Sequence[Value]) -> Value:
    """Write the number of a position from its index along each axis, the last one fastest."""
    result: Any = indices[0]
    for index, size in zip(indices[1:], sizes[1:], strict=True):
        result = result * size + index
    value: Value = result
    return value
