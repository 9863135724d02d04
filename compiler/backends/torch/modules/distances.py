"""Values that depend on the distance of two positions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from archc.compiler.backends.torch.modules.windowed import Windows


class Distances(nn.Module):
    """The value of each two positions in a table of distances, `(N, C, *sizes)`, as `(N, C, queries, keys)`."""

    def __init__(self, positions: Sequence[int], step: Sequence[int], absolute: bool) -> None:
        super().__init__()
        self.positions, self.step, self.absolute = tuple(positions), tuple(step), absolute

    def forward(self, x: Tensor) -> Tensor:
        index = distance_index(self.positions, self.step, self.absolute).to(x.device)
        return x.flatten(2)[:, :, index]

    def extra_repr(self) -> str:
        return f"positions={self.positions}, step={self.step}, absolute={self.absolute}"


class ShiftMask(nn.Module):
    """The mask of windows of a map that was moved, `(N, 1, windows, positions, positions)` for the N samples of an input."""

    def __init__(self, window: Sequence[int], shift: Sequence[int], sizes: Sequence[int]) -> None:
        super().__init__()
        self.windows, self.sizes = Windows(tuple(window), tuple(shift), grid=False), tuple(sizes)

    def forward(self, x: Tensor) -> Tensor:
        mask = self.windows.mask(x.new_zeros(1, *self.sizes, 1))
        if mask is None:
            count = math.prod(self.windows.size)
            mask = x.new_zeros(math.prod(self.sizes) // count, count, count)
        return mask.expand(x.shape[0], 1, *mask.shape)


def distance_index(positions: Sequence[int], step: Sequence[int], absolute: bool) -> Tensor:
    """Return the index into a flat table of the distance between each query and each key, `(queries, keys)`."""
    number = torch.zeros((1,) * 2 * len(positions), dtype=torch.int64)
    for axis, (size, by) in enumerate(zip(positions, step, strict=True)):
        gap = torch.arange(0, size, by)[:, None] - torch.arange(size)[None, :]
        gap = gap.abs() if absolute else gap + size - 1
        shape = [1] * number.dim()
        shape[axis], shape[len(positions) + axis] = gap.shape
        number = number * (size if absolute else 2 * size - 1) + gap.reshape(shape)
    queries = 1
    for count in number.shape[: len(positions)]:
        queries *= count
    return number.reshape(queries, -1)
