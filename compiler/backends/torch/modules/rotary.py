"""Rotary positions: pairs of channels that are turned by angles, and a table of the sines and cosines of these."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, fx

fx.wrap("rotary")
fx.wrap("rotary_positions")


def rotary(x: Tensor, table: Tensor, heads: int, halves: bool, skip: int) -> Tensor:
    """Return pairs of channels of `x`, `(N, C, *sizes)`, turned by the angles whose sines and cosines a table holds.

    The table is `(N, channels, *sizes)`: sines, then cosines, one of each for every pair of a head, or of all heads. Positions of a row
    before those of the table are not turned.
    """
    head = x.shape[1] // heads
    rows = torch.unflatten(x.flatten(2).transpose(1, 2), 2, (heads, head))
    sin, cos = (torch.unflatten(part, 2, (-1, head // 2)) for part in table.flatten(2).transpose(1, 2).chunk(2, 2))
    first, rest = rows[:, :skip], rows[:, skip:]
    one, two = rest.chunk(2, -1) if halves else (rest[..., 0::2], rest[..., 1::2])
    pair = (one * cos - two * sin, two * cos + one * sin)
    rest = torch.cat(pair, -1) if halves else torch.stack(pair, -1).flatten(3)
    turned = torch.cat((first, rest), 1) if skip else rest
    return turned.flatten(2).transpose(1, 2).reshape(x.shape)


def rotary_positions(
    x: Tensor, channels: int, temperature: float, centered: bool, offset: float,
    reference: Sequence[int] | None, swap: bool, sizes: Sequence[int] | None,
) -> Tensor:  # fmt: skip
    """Return sines and cosines of angles at each position for every sample of `x`: `(N, channels*axes, *sizes)`."""
    sizes = list(x.shape[2:] if sizes is None else sizes)
    count = channels // 2
    waves = temperature ** (torch.arange(count, device=x.device, dtype=torch.float32) / count)
    parts = []
    for axis, size in enumerate(sizes):
        places = torch.arange(size, device=x.device, dtype=torch.float32) + (0.5 if centered else 0.0) + offset
        if reference is not None:
            places = places / size * reference[axis]
        turns = (2.0 * (places / size) - 1.0) * (2 * torch.pi)
        angles = turns[:, None] / waves if centered else places[:, None] * (1.0 / waves)
        apart = angles.T.reshape(count, *(size if other == axis else 1 for other in range(len(sizes))))
        parts.append(apart.expand(count, *sizes))
    whole = torch.cat(parts[::-1] if swap else parts)
    table = torch.cat((whole.sin(), whole.cos())).to(x.dtype)
    return table.repeat(x.shape[0], *(1 for _ in range(len(sizes) + 1)))
