"""What moves, joins, selects or repeats values along axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.convolution import EDGES, transposed
from archc.compiler.backends.onnx.rules.rule import Rule
from archc.compiler.backends.onnx.rules.sizes import number, select


def cat(b: Building, parts: Sequence[Value], dim: int) -> Value:
    """Write tensors one after the other along an axis."""
    return b.concat(parts, dim)


def stack(b: Building, parts: Sequence[Value], dim: int) -> Value:
    """Write tensors one after the other along a new axis."""
    return b.concat([b.unsqueeze(part, dim) for part in parts], dim)


def pad(b: Building, x: Value, amounts: Sequence[int], value: float = 0.0, mode: str = "constant") -> Value:
    """Write padding by a constant or by values of the map: the amounts before and after each axis, the last axis first."""
    before, after = [0] * x.rank, [0] * x.rank
    for i in range(len(amounts) // 2):
        before[-1 - i], after[-1 - i] = amounts[2 * i], amounts[2 * i + 1]
    return b.pad(x, before, after, value) if mode == "constant" else b.pad(x, before, after, mode=EDGES[mode])


def getitem(b: Building, x: Value, index: tuple[Any, ...]) -> Value:
    """Write an index expression: a slice, a number or a list for each axis."""
    dropped = 0
    for place, part in enumerate(index):
        axis = place - dropped
        if isinstance(part, slice):
            if part != slice(None):
                x = b.slice(x, axis, part.start or 0, part.stop, part.step or 1)
        elif isinstance(part, int):
            size = x.shape[axis]
            x = b.gather(x, axis, part if part >= 0 or not isinstance(size, int) else size + part)
            dropped += 1
        else:
            x = b.gather(x, axis, part)
    return x


def roll(b: Building, x: Value, shifts: Sequence[int], dims: Sequence[int]) -> Value:
    """Write positions moved along axes, and those that fall off the end at the beginning."""
    for shift, axis in zip(shifts, dims, strict=True):
        size = x.shape[axis]
        if isinstance(size, int):
            shift %= size
        if shift:
            x = b.concat([b.slice(x, axis, -shift), b.slice(x, axis, 0, -shift)], axis)
    return x


def flip(b: Building, x: Value, dims: Sequence[int]) -> Value:
    """Write positions in reverse order."""
    for axis in dims:
        numbers = [b.const([number]) for number in (-1, np.iinfo(np.int64).min, axis, -1)]
        x = b.op("Slice", x, *numbers, shape=x.shape)
    return x


def broadcast_to(b: Building, x: Value, sizes: Sequence[int]) -> Value:
    """Write axes of size 1 repeated to a size; -1 keeps that of the operand."""
    value: Value = b.op("Expand", x, b.const([1 if size == -1 else size for size in sizes]), shape=b.out)
    return value


def patches(
    b: Building, x: Value, kernel_size: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> Value:
    """Write the window of each position as channels: the positions of the windows are selected along each axis."""
    amounts = [0, 0, *padding]
    x = b.pad(x, amounts, amounts)
    axes = len(kernel_size)
    for i, (size, kernel, step, spread) in enumerate(zip(x.shape[2:], kernel_size, stride, dilation, strict=True)):
        axis, covers = 2 + 2 * i, spread * (kernel - 1) + 1
        first, count = np.arange(kernel)[:, None] * spread, (size - covers) // step + 1
        if isinstance(count, int):
            x = b.gather(x, axis, first + np.arange(count)[None] * step)
            continue
        last = b.op("Sub", number(b, x, axis), b.const(covers - 1))  # after that where the last window begins
        begins: Value = b.op("Range", b.const(0), last, b.const(step), shape=(count,))
        x = select(b, x, axis, b.op("Add", begins, b.const(first), shape=(kernel, count)))
    ordered = b.transpose(x, [0, 1, *range(2, 2 + 2 * axes, 2), *range(3, 3 + 2 * axes, 2)])
    return b.reshape(ordered, b.out)


def patch_sum(b: Building, x: Value, kernel_size: Sequence[int], **settings: Sequence[int]) -> Value:
    """Write the sum of patches as a transposed convolution, whose kernels move each channel to its position."""
    window = prod(kernel_size)
    (channels,) = b.numbers(x.shape[1:2])
    moves = [[float(place == channel % window) for place in range(window)] for channel in range(channels)]
    kernels = b.const(np.asarray(moves).reshape(channels, 1, *kernel_size))
    return transposed(b, x, kernels, None, kernel_size, groups=channels // window, **settings)


RULES: dict[str, Rule] = {
    "torch.cat": cat,
    "torch.stack": stack,
    "F.pad": pad,
    "operator.getitem": getitem,
    "torch.roll": roll,
    "torch.flip": flip,
    "torch.broadcast_to": broadcast_to,
    "archc.Patches": patches,
    "archc.PatchSum": patch_sum,
}
