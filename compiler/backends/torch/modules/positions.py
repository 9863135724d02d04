"""Layers and functions that work position by position where the channels are not last, and crops."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, fx, nn

fx.wrap("gelu")


class Gelu(nn.GELU):
    """GELU, computed on a contiguous view where the channels are last in memory: torch rounds differently for other layouts."""

    def forward(self, x: Tensor) -> Tensor:
        return gelu(x, self.approximate)


def gelu(x: Tensor, approximate: str) -> Tensor:
    """Return the GELU of `x`, computed on a contiguous channels-last view where there is one."""
    last = x.movedim(1, -1)
    if last.is_contiguous():
        return nn.functional.gelu(last, approximate=approximate).movedim(-1, 1)
    return nn.functional.gelu(x, approximate=approximate)


class ChannelLinear(nn.Linear):
    """A fully-connected layer over the channels of `(N, C, *sizes)`, position by position."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Crop(nn.Module):
    """The center of `(N, C, *sizes)`, of the given sizes; of an odd number of cut positions, the extra one is after the crop."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = tuple(sizes)

    def forward(self, x: Tensor) -> Tensor:
        for axis, size in enumerate(self.sizes, 2):
            x = x.narrow(axis, (x.shape[axis] - size) // 2, size)
        return x
