"""Self-attention within windows of a map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

APART = -100.0  # added to the products of positions that a shift has brought into one window
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
        self.heads, self.window, self.shift, self.grid = heads, tuple(window), tuple(shift), grid
        self.position, self.similarity, self.dropout, self.names = position, similarity, dropout, tuple(names)
        self.scale = (channels // heads) ** -0.5 if scale is None else scale
        self.add_module(names[0], nn.Linear(channels, 3 * channels, bias))
        self.add_module(names[1], nn.Linear(channels, channels, bias))
        if position != "none":
            self.register_buffer("relative_position_index", distance_numbers(self.window).reshape(tuple(index_shape)))
        if position == "table":
            self.relative_position_bias_table = nn.Parameter(torch.empty(math.prod(2 * size - 1 for size in window), heads))
            nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        if position == "continuous":
            self.register_buffer("relative_coords_table", distances(self.window))
            self.cpb_mlp = nn.Sequential(nn.Linear(len(window), HIDDEN), nn.ReLU(inplace=True), nn.Linear(HIDDEN, heads, bias=False))
        if similarity == "cosine":
            self.logit_scale = nn.Parameter(torch.log(10 * torch.ones(heads, 1, 1)))

    def forward(self, x: Tensor) -> Tensor:
        x = x.movedim(1, -1)
        sizes = x.shape[1:-1]
        missing = [-size % window for size, window in zip(sizes, self.window, strict=True)]
        if any(missing):
            x = nn.functional.pad(x, [0, 0, *(end for size in reversed(missing) for end in (0, size))])
        whole = x.shape[1:-1]
        # Where one window covers an axis, there is nothing to shift.
        shift = [0 if window >= size else by for by, window, size in zip(self.shift, self.window, whole, strict=True)]
        axes = tuple(range(1, x.dim() - 1))
        if any(shift):
            x = torch.roll(x, [-by for by in shift], axes)
        mask = shift_mask(x, self.window, shift) if any(shift) else None
        x = self._joined(self._attend(self._cut(x), mask), x.shape)
        if any(shift):
            x = torch.roll(x, shift, axes)
        for axis, size in zip(axes, sizes, strict=True):
            x = x.narrow(axis, 0, size)
        return x.contiguous().movedim(-1, 1)

    def _cut(self, x: Tensor) -> Tensor:
        """Cut `(N, *sizes, C)` into `(N * windows, positions, C)`."""
        return windows(x, self.window, self.grid).reshape(-1, math.prod(self.window), x.shape[-1])

    def _joined(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """Join `(N * windows, positions, C)` to a map of the given shape."""
        counts = [size // window for size, window in zip(shape[1:-1], self.window, strict=True)]
        axes = len(counts)
        x = x.reshape(shape[0], *counts, *self.window, shape[-1])
        outer, inner = (1 + axes, 1) if self.grid else (1, 1 + axes)
        order = [part + axis for axis in range(axes) for part in (outer, inner)]
        return x.permute(0, *order, 1 + 2 * axes).reshape(tuple(shape))

    def _attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the attention of `(N * windows, positions, C)`."""
        count, positions, channels = x.shape
        project, merge = self.get_submodule(self.names[0]), self.get_submodule(self.names[1])
        qkv = project(x) if self.similarity == "dot" else self._without_bias_of_keys(x, project)
        qkv = qkv.reshape(count, positions, 3, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        if self.similarity == "cosine":
            products = nn.functional.normalize(q, dim=-1) @ nn.functional.normalize(k, dim=-1).transpose(-2, -1)
            products = products * torch.clamp(self.logit_scale, max=math.log(SHARPEST)).exp()
        elif self.names[0] == "qkv":
            products = (q * self.scale).matmul(k.transpose(-2, -1))
        else:
            products = q.matmul((k * self.scale).transpose(-2, -1))
        if self.position != "none":
            products = products + self._bias(positions)
        if mask is not None:
            products = products.view(-1, mask.shape[0], self.heads, positions, positions) + mask.unsqueeze(1)
            products = products.view(-1, self.heads, positions, positions)
        weights = nn.functional.dropout(nn.functional.softmax(products, dim=-1), self.dropout, self.training)
        result: Tensor = merge(weights.matmul(v).transpose(1, 2).reshape(count, positions, channels))
        return result

    def _without_bias_of_keys(self, x: Tensor, project: nn.Module) -> Tensor:
        assert isinstance(project, nn.Linear)
        bias = project.bias
        if bias is not None:
            q, k, v = bias.chunk(3)
            return nn.functional.linear(x, project.weight, torch.cat((q, torch.zeros_like(k), v)))
        return nn.functional.linear(x, project.weight)

    def _bias(self, positions: int) -> Tensor:
        """Return what is added to each product, `(1, heads, positions, positions)`."""
        continuous = self.position == "continuous"
        table = self.cpb_mlp(self.relative_coords_table).view(-1, self.heads) if continuous else self.relative_position_bias_table
        bias = table[self.relative_position_index.view(-1)].view(positions, positions, -1).permute(2, 0, 1).contiguous().unsqueeze(0)
        return 16 * torch.sigmoid(bias) if continuous else bias


def windows(x: Tensor, window: Sequence[int], grid: bool) -> Tensor:
    """Return a view of `(N, *sizes, C)` as `(N, *windows, *window, C)`, where the positions of a grid are far apart."""
    axes = len(window)
    parts = [(size, whole // size) if grid else (whole // size, size) for whole, size in zip(x.shape[1:-1], window, strict=True)]
    x = x.reshape(x.shape[0], *(size for part in parts for size in part), x.shape[-1])
    first, second = range(1, 2 * axes, 2), range(2, 2 * axes + 1, 2)
    return x.permute(0, *(second if grid else first), *(first if grid else second), 2 * axes + 1)


def shift_mask(x: Tensor, window: Sequence[int], shift: Sequence[int]) -> Tensor:
    """Return `(windows, positions, positions)`, -100 for two positions of a window of the shifted map that are no neighbors in the map."""
    region = torch.zeros((1,) * (len(window) + 2), dtype=torch.int64, device=x.device)
    for axis, (size, wide, by) in enumerate(zip(x.shape[1:-1], window, shift, strict=True), 1):
        place = torch.arange(size, device=x.device)
        part = (place >= size - wide).long() + (place >= size - by).long() if by else torch.zeros_like(place)
        region = 3 * region + part.view(*(size if at == axis else 1 for at in range(region.dim())))
    region = windows(region, window, grid=False).reshape(-1, math.prod(window))
    apart = region.unsqueeze(1) != region.unsqueeze(2)
    return torch.zeros(apart.shape, dtype=x.dtype, device=x.device).masked_fill(apart, APART)


def distance_numbers(window: Sequence[int]) -> Tensor:
    """Return a number for the distance of each two positions of a window, `(positions, positions)`."""
    places = torch.stack(torch.meshgrid(*(torch.arange(size) for size in window), indexing="ij")).flatten(1)
    number = torch.zeros(places.shape[1], places.shape[1], dtype=torch.int64)
    for size, place in zip(window, places, strict=True):
        number = number * (2 * size - 1) + (place[:, None] - place[None, :] + size - 1)
    return number


def distances(window: Sequence[int]) -> Tensor:
    """Return all distances within a window, `(1, *(2*size - 1), axes)`, on a logarithmic scale. Liu et al. 2022, equation 4."""
    steps = (torch.arange(-(size - 1), size, dtype=torch.float32) / (size - 1) for size in window)
    table = torch.stack(torch.meshgrid(*steps, indexing="ij"), dim=-1).unsqueeze(0) * 8
    return torch.sign(table) * torch.log2(torch.abs(table) + 1.0) / 3.0
