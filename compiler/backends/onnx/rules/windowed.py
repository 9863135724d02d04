"""Attention within windows, and over grids, of a map.

Where sizes are known, a shift or padding makes the windows a fixed selection of positions, one Gather, and so is the way back. Of open
sizes the selection is computed while the network runs (`open_windows`). Where windows are not shifted, attention is ONNX's operator, with
the bias of positions as its mask. Shifted windows are written in parts: there the mask of -100 leaves weights of e^-100, which are
subnormal, and slow processors down to less than half in the product with the values. Products are therefore raised to at least the
largest of their row minus 80, which changes weights by 1e-35 at most (the first shifted layer of Swin-T: 14.6 ms without, 6.0 ms with
it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, prod
from typing import Any

import numpy as np

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.attention import attend, attend_by_head, by_head, joined, project
from archc.compiler.backends.onnx.rules.open_windows import OpenWindows
from archc.compiler.backends.onnx.rules.rule import Rule
from archc.compiler.backends.onnx.rules.tokens import repeated
from archc.compiler.shapes.dim import Dim

APART = -100.0  # what is added to products of positions that share a window only because of the shift
LEAST = 80.0  # how far a product may be below the largest one of its row
SHARPEST = 100.0  # the largest scale of cosine similarity
SHORTEST = 1e-12  # the least length that a vector is divided by


def window_attention(
    b: Building,
    x: Value,
    channels: int,
    heads: int,
    window: Sequence[int],
    shift: Sequence[int],
    grid: bool,
    position: str,
    similarity: str,
    scale: float | None,
    names: Sequence[str],
    **unused: Any,
) -> Value:
    """Write attention within each window of a map."""
    last = b.channels_last(x)
    sizes = [size for size in x.shape[2:] if isinstance(size, int)]
    is_open = len(sizes) < x.rank - 2
    windows = OpenWindows(last, window, shift, grid, b.step.attrs["pad"]) if is_open else Windows(sizes, window, shift, grid)
    tokens = windows.cut(b, last)  # (N*windows, positions, C)
    weight, bias = b.need(f"{names[0]}.weight"), b.weight(f"{names[0]}.bias")
    if similarity == "cosine" and bias is not None:
        bias = _without_keys(b, bias, channels)
    q, k, v = b.split(project(b, tokens, weight, bias), 2, [channels] * 3)
    factor = 1.0 if similarity == "cosine" else (channels // heads) ** -0.5 if scale is None else float(scale)
    added = None if position == "none" else position_bias(b, position, windows.positions, heads)
    if similarity == "dot" and not windows.is_shifted:
        result = attend(b, q, k, v, heads, factor, mask=added)
    else:
        q, k, v = (by_head(b, part, heads) for part in (q, k, v))
        if similarity == "cosine":
            sharpness = b.op("Exp", b.op("Min", b.need("logit_scale"), b.const(log(SHARPEST)), shape=(heads, 1, 1)))
            q, k = unit(b, q) * sharpness, unit(b, k)
        plain = not windows.is_shifted
        result = joined(
            b, attend_by_head(b, q, k, v, factor, mask=added) if plain else _apart(b, windows, x.shape[0], q, k, v, factor, added)
        )
    merged = project(b, result, b.need(f"{names[1]}.weight"), b.weight(f"{names[1]}.bias"))
    return b.channels_first(windows.joined(b, merged, x.shape[0]))


def _apart(
    b: Building, windows: Windows | OpenWindows, batch: Dim, q: Value, k: Value, v: Value, scale: float, bias: Value | None
) -> Value:
    """Write the attention of `(N*windows, heads, positions, width)` where some positions of a window are not neighbors."""
    products = (q if scale == 1 else q * scale) @ b.swap(k, 2, 3)
    if bias is not None:
        products = products + bias
    shape = products.shape
    queries, keys = windows.sides(b)
    neighbors = b.op("Equal", queries, keys)
    mask = b.op("Where", neighbors, b.const(0.0), b.const(APART), shape=neighbors.shape, dtype=b.float)
    by_window = windows.by_window(b, products, batch, queries) + mask
    products = b.reshape(by_window, shape)
    products = b.op("Max", products, b.reduce("ReduceMax", products, [-1]) - LEAST)
    return b.softmax(products) @ v


def _without_keys(b: Building, bias: Value, channels: int) -> Value:
    """Write the bias of queries, keys and values, with zeros for the keys."""
    q, _, v = b.split(bias, 0, [channels] * 3)
    return b.concat([q, b.const(np.zeros(channels)), v], 0)


def unit(b: Building, x: Value) -> Value:
    """Write vectors, along the last axis, divided by their lengths."""
    length = b.op("Max", b.reduce("ReduceL2", x, [-1]), b.const(SHORTEST))
    value: Value = x / length
    return value


def position_bias(b: Building, position: str, positions: int, heads: int) -> Value:
    """Write the bias of positions, `(1, heads, positions, positions)`: rows of a table, or of one that is computed from distances."""
    if position == "continuous":
        distances = b.need("relative_coords_table")
        flat = b.reshape(distances, (prod(b.numbers(distances.shape[:-1])), distances.shape[-1]))
        hidden = b.op("Relu", project(b, flat, b.need("cpb_mlp.0.weight"), b.need("cpb_mlp.0.bias")))
        table = project(b, hidden, b.need("cpb_mlp.2.weight"), None)
    else:
        table = b.need("relative_position_bias_table")
    index = b.reshape(b.need("relative_position_index"), (positions, positions))
    rows = b.op("Gather", table, index, axis=0, shape=(positions, positions, heads))
    bias = b.unsqueeze(b.transpose(rows, (2, 0, 1)), 0)
    return b.op("Sigmoid", bias) * 16.0 if position == "continuous" else bias


@dataclass(frozen=True)
class Windows:
    """Windows of a map of the given sizes, moved by a shift, or a grid of distant positions. Maps are padded to whole windows."""

    sizes: Sequence[int]
    window: Sequence[int]
    shift: Sequence[int]
    grid: bool

    @property
    def positions(self) -> int:
        """Return the number of positions of a window."""
        return prod(self.window)

    @property
    def whole(self) -> list[int]:
        """Return the sizes of the map, padded to whole windows."""
        return [-(-size // window) * window for size, window in zip(self.sizes, self.window, strict=True)]

    @property
    def shifts(self) -> list[int]:
        """Return the shift along each axis: 0 where one window covers the axis."""
        return [0 if window >= size else by for by, window, size in zip(self.shift, self.window, self.whole, strict=True)]

    @property
    def is_shifted(self) -> bool:
        """Return whether windows are moved along an axis."""
        return any(self.shifts)

    @property
    def is_plain(self) -> bool:
        """Return whether windows are neither moved nor padded."""
        return not self.is_shifted and self.whole == list(self.sizes)

    @property
    def counts(self) -> list[int]:
        """Return the number of windows along each axis."""
        return [size // window for size, window in zip(self.whole, self.window, strict=True)]

    @property
    def parts(self) -> list[int]:
        """Return the sizes of the whole map, each as that of a window and the number of windows, the slower one first."""
        pairs = zip(self.counts, self.window, strict=True)
        return [size for count, window in pairs for size in ((window, count) if self.grid else (count, window))]

    @property
    def order(self) -> list[int]:
        """Return the order of the axes of `parts` that puts the numbers of windows first."""
        first, second = range(0, len(self.parts), 2), range(1, len(self.parts), 2)
        return [*second, *first] if self.grid else [*first, *second]

    def split(self, array: Any) -> Any:
        """Return an array in the shape of the whole map as `(windows, positions)`."""
        return array.reshape(self.parts).transpose(self.order).reshape(-1, self.positions)

    def table(self) -> Any:
        """Return the position of the map that is at each position of each window; the number of positions for padding."""
        numbers = np.full(self.whole, prod(self.sizes))
        numbers[tuple(slice(size) for size in self.sizes)] = np.arange(prod(self.sizes)).reshape(self.sizes)
        return self.split(np.roll(numbers, [-by for by in self.shifts], range(numbers.ndim)))

    def regions(self) -> Any:
        """Return the region of neighbors that each position is in, as `(windows, positions)`."""
        region = np.zeros(self.whole, np.int64)
        for axis, (size, window, by) in enumerate(zip(self.whole, self.window, self.shifts, strict=True)):
            place = np.arange(size)
            part = (place >= size - window).astype(np.int64) + (place >= size - by) if by else np.zeros_like(place)
            region = 3 * region + part.reshape([size if at == axis else 1 for at in range(region.ndim)])
        return self.split(region)

    def sides(self, b: Building) -> tuple[Value, Value]:
        """Write the region of each position as `(windows, 1, positions, 1)`, and with the last two exchanged."""
        regions = self.regions()
        return b.const(regions[:, None, :, None]), b.const(regions[:, None, None, :])

    def by_window(self, b: Building, products: Value, batch: Dim, regions: Value) -> Value:
        """Write `(N*windows, heads, positions, positions)` as `(N, windows, heads, positions, positions)`."""
        return b.reshape(products, (batch, prod(self.counts), *products.shape[1:]))

    def cut(self, b: Building, x: Value) -> Value:
        """Write `(N, *sizes, C)` as `(N*windows, positions, C)`."""
        batch, channels = x.shape[0], x.shape[-1]
        if self.is_plain:
            parts = b.reshape(x, (batch, *self.parts, channels))
            x = b.transpose(parts, [0, *(1 + axis for axis in self.order), parts.rank - 1])
        else:
            table = self.table()
            x = b.reshape(x, (batch, prod(self.sizes), channels))
            if self.whole != list(self.sizes):
                x = b.pad(x, [0, 0, 0], [0, 1, 0])
            x = b.gather(x, 1, table.reshape(-1))
        return b.reshape(x, (batch * prod(self.counts), self.positions, channels))

    def joined(self, b: Building, x: Value, batch: Any) -> Value:
        """Write `(N*windows, positions, C)` as `(N, *sizes, C)`."""
        channels = x.shape[-1]
        if self.is_plain:
            parts = b.reshape(x, (batch, *(self.parts[axis] for axis in self.order), channels))
            back = np.argsort(self.order)
            return b.reshape(b.transpose(parts, [0, *(1 + int(axis) for axis in back), parts.rank - 1]), (batch, *self.sizes, channels))
        table = self.table().reshape(-1)
        places = np.argsort(table, kind="stable")[: prod(self.sizes)]
        rows = b.gather(b.reshape(x, (batch, len(table), channels)), 1, places)
        return b.reshape(rows, (batch, *self.sizes, channels))


def shift_mask(b: Building, x: Value, window: Sequence[int], shift: Sequence[int], sizes: Sequence[int]) -> Value:
    """Write the mask of windows that are moved, once for every sample of `x`."""
    region = Windows(sizes, window, shift, grid=False).regions()
    apart = region[:, :, None] != region[:, None, :]
    return repeated(b, x, b.const(np.where(apart, APART, 0.0)[None]))


RULES: dict[str, Rule] = {"archc.ShiftMask": shift_mask, "archc.WindowAttention": window_attention}
