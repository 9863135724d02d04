"""Self-attention within windows of a map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

APART = -100.0  # the mask of two positions that share a window only because of the shift
HIDDEN = 512
SHARPEST = 100.0  # the largest scale of cosine similarity


class WindowAttention(nn.Module):
    """Self-attention with several heads within windows, or over grids, of `(N, C, *sizes)`, which may have any number of sizes.

    Liu et al. 2021, arXiv:2103.14030; with `position="continuous"` and `similarity="cosine"` Liu et al. 2022, arXiv:2111.09883; with
    `grid` Tu et al. 2022, arXiv:2204.01697. Operations are in the order of torchvision's modules, for the same results to the last bit.
    """

    relative_position_index: Tensor
    relative_coords_table: Tensor

    def __init__(
        self,
        channels: int,
        heads: int,
        window: Sequence[int],
        shift: Sequence[int],
        grid: bool,
        position: str,
        similarity: str,
        scale: float | None,
        bias: bool,
        dropout: float,
        names: Sequence[str],
        index_shape: Sequence[int],
    ) -> None:
        super().__init__()
        self.heads, self.windows = heads, Windows(tuple(window), tuple(shift), grid)
        self.position, self.similarity, self.dropout, self.names = position, similarity, dropout, tuple(names)
        self.scale = (channels // heads) ** -0.5 if scale is None else scale
        self.add_module(names[0], nn.Linear(channels, 3 * channels, bias))
        self.add_module(names[1], nn.Linear(channels, channels, bias))
        if position != "none":
            self.register_buffer("relative_position_index", distance_numbers(window).reshape(tuple(index_shape)))
        if position == "table":
            self.relative_position_bias_table = nn.Parameter(
                torch.empty(math.prod(2 * size - 1 for size in window), heads)
            )
            nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        if position == "continuous":
            self.register_buffer("relative_coords_table", distances(window))
            self.cpb_mlp = nn.Sequential(
                nn.Linear(len(window), HIDDEN), nn.ReLU(inplace=True), nn.Linear(HIDDEN, heads, bias=False)
            )
        if similarity == "cosine":
            self.logit_scale = nn.Parameter(torch.log(10 * torch.ones(heads, 1, 1)))

    def forward(self, x: Tensor) -> Tensor:
        x = x.movedim(1, -1)
        cut = self.windows.cut(x)
        result = self._attend(cut, self.windows.mask(x))
        return self.windows.joined(result, x.shape[1:-1]).movedim(-1, 1)

    def cosine_scale(self) -> Tensor:
        """Return the factors of cosines, `(heads, 1, 1)`."""
        return torch.clamp(self.logit_scale, max=math.log(SHARPEST)).exp()

    def _attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the attention of `(N * windows, positions, C)`."""
        count, positions, channels = x.shape
        project, merge = self.projections()
        qkv = (
            project(x) if self.similarity == "dot" else nn.functional.linear(x, project.weight, self.projection_bias())
        )
        qkv = qkv.reshape(count, positions, 3, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        if self.similarity == "cosine":
            products = nn.functional.normalize(q, dim=-1) @ nn.functional.normalize(k, dim=-1).transpose(-2, -1)
            products = products * self.cosine_scale()
        elif self.names[0] == "qkv":
            products = (q * self.scale).matmul(k.transpose(-2, -1))
        else:
            products = q.matmul((k * self.scale).transpose(-2, -1))
        if self.position != "none":
            products = products + self.position_bias(positions)
        if mask is not None:
            products = products.view(-1, mask.shape[0], self.heads, positions, positions) + mask.unsqueeze(1)
            products = products.view(-1, self.heads, positions, positions)
        weights = nn.functional.dropout(nn.functional.softmax(products, dim=-1), self.dropout, self.training)
        result: Tensor = merge(weights.matmul(v).transpose(1, 2).reshape(count, positions, channels))
        return result

    def projections(self) -> tuple[nn.Linear, nn.Linear]:
        """Return the layer of queries, keys and values, and the layer after attention."""
        project, merge = (self.get_submodule(name) for name in self.names)
        assert isinstance(project, nn.Linear) and isinstance(merge, nn.Linear)
        return project, merge

    def projection_bias(self) -> Tensor | None:
        """Return the bias of the projection; where similarities are cosines, keys have none."""
        bias: Tensor | None = self.projections()[0].bias
        if bias is None or self.similarity == "dot":
            return bias
        q, k, v = bias.chunk(3)
        return torch.cat((q, torch.zeros_like(k), v))

    def position_bias(self, positions: int) -> Tensor:
        """Return the bias of positions, `(1, heads, positions, positions)`."""
        continuous = self.position == "continuous"
        table = (
            self.cpb_mlp(self.relative_coords_table).view(-1, self.heads)
            if continuous
            else self.relative_position_bias_table
        )
        bias = (
            table[self.relative_position_index.view(-1)]
            .view(positions, positions, -1)
            .permute(2, 0, 1)
            .contiguous()
            .unsqueeze(0)
        )
        return 16 * torch.sigmoid(bias) if continuous else bias


@dataclass(frozen=True)
class Windows:
    """Windows of `(N, *sizes, C)`, moved by a shift, or a grid of distant positions. Maps are padded to whole windows."""

    size: tuple[int, ...]
    shift: tuple[int, ...]
    grid: bool

    def whole(self, sizes: Sequence[int]) -> list[int]:
        """Return the sizes of a map, padded to whole windows."""
        return [-(-size // window) * window for size, window in zip(sizes, self.size, strict=True)]

    def shifts(self, sizes: Sequence[int]) -> list[int]:
        """Return the shift along each axis: 0 where one window covers the axis."""
        return [
            0 if window >= size else by
            for by, window, size in zip(self.shift, self.size, self.whole(sizes), strict=True)
        ]

    def cut(self, x: Tensor) -> Tensor:
        """Cut `(N, *sizes, C)` into `(N * windows, positions, C)`."""
        sizes = x.shape[1:-1]
        missing = [whole - size for whole, size in zip(self.whole(sizes), sizes, strict=True)]
        if any(missing):
            x = nn.functional.pad(x, [0, 0, *(end for size in reversed(missing) for end in (0, size))])
        shift = self.shifts(sizes)
        if any(shift):
            x = torch.roll(x, [-by for by in shift], tuple(range(1, x.dim() - 1)))
        return self.split(x).reshape(-1, math.prod(self.size), x.shape[-1])

    def split(self, x: Tensor) -> Tensor:
        """Return a view of `(N, *sizes, C)`, of whole windows, as `(N, *windows, *window, C)`."""
        axes, grid = len(self.size), self.grid
        parts = [
            (size, whole // size) if grid else (whole // size, size)
            for whole, size in zip(x.shape[1:-1], self.size, strict=True)
        ]
        x = x.reshape(x.shape[0], *(size for part in parts for size in part), x.shape[-1])
        first, second = range(1, 2 * axes, 2), range(2, 2 * axes + 1, 2)
        return x.permute(0, *(second if grid else first), *(first if grid else second), 2 * axes + 1)

    def joined(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Join `(N * windows, positions, C)` to `(N, *sizes, C)`. The inverse of `cut`."""
        axes, whole, channels = len(sizes), self.whole(sizes), x.shape[-1]
        x = x.reshape(
            -1, *(size // window for size, window in zip(whole, self.size, strict=True)), *self.size, channels
        )
        outer, inner = (1 + axes, 1) if self.grid else (1, 1 + axes)
        order = [part + axis for axis in range(axes) for part in (outer, inner)]
        x = x.permute(0, *order, 1 + 2 * axes).reshape(-1, *whole, channels)
        shift = self.shifts(sizes)
        if any(shift):
            x = torch.roll(x, shift, tuple(range(1, 1 + axes)))
        for axis, size in enumerate(sizes, 1):
            x = x.narrow(axis, 0, size)
        return x.contiguous()

    def mask(self, x: Tensor) -> Tensor | None:
        """Return the mask that a shift adds to the products of `(N, *sizes, C)`, `(windows, positions, positions)`; None without a shift.

        It is -100 for two positions of a window that are not neighbors in the unshifted map.
        """
        shift, whole = self.shifts(x.shape[1:-1]), self.whole(x.shape[1:-1])
        if not any(shift):
            return None
        region = torch.zeros((1,) * x.dim(), dtype=torch.int64, device=x.device)
        for axis, (size, wide, by) in enumerate(zip(whole, self.size, shift, strict=True), 1):
            place = torch.arange(size, device=x.device)
            part = (place >= size - wide).long() + (place >= size - by).long() if by else torch.zeros_like(place)
            region = 3 * region + part.view(*(size if at == axis else 1 for at in range(region.dim())))
        region = self.split(region).reshape(-1, math.prod(self.size))
        apart = region.unsqueeze(1) != region.unsqueeze(2)
        return torch.zeros(apart.shape, dtype=x.dtype, device=x.device).masked_fill(apart, APART)


def distance_numbers(window: Sequence[int]) -> Tensor:
    """Return the index of the distance between each two positions of a window, `(positions, positions)`."""
    places = torch.stack(torch.meshgrid(*(torch.arange(size) for size in window), indexing="ij")).flatten(1)
    number = torch.zeros(places.shape[1], places.shape[1], dtype=torch.int64)
    for size, place in zip(window, places, strict=True):
        number = number * (2 * size - 1) + (place[:, None] - place[None, :] + size - 1)
    return number


def distances(window: Sequence[int]) -> Tensor:
    """Return the distances within a window on a logarithmic scale, `(1, *(2*size - 1), axes)`. Liu et al. 2022, equation 4."""
    steps = (torch.arange(-(size - 1), size, dtype=torch.float32) / (size - 1) for size in window)
    table = torch.stack(torch.meshgrid(*steps, indexing="ij"), dim=-1).unsqueeze(0) * 8
    return torch.sign(table) * torch.log2(torch.abs(table) + 1.0) / 3.0
