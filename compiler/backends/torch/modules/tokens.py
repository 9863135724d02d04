"""Trained tensors that depend on no input, and embeddings of integers, channels first."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn

fx.wrap("learned")
fx.wrap("sine_positions")
fx.wrap("table")


def learned(x: Tensor, tensor: Tensor, axes: int, as_large: bool) -> Tensor:
    """Return a view of a trained tensor with `axes` sizes for every sample of `x`, channels first: `(N, C, *sizes)`.

    Rows of tokens are stored as `(L, C)`, all others channels first, with an optional first axis of 1. Raises ValueError if the
    tensor should be `as_large` as `x` and is not.
    """
    if axes == 1:
        tensor = tensor.movedim(-1, -2)
    sizes = tensor.shape[-(axes + 1) :]
    if as_large and sizes[1:] != x.shape[2:]:
        raise ValueError(f"the trained tensor has the sizes {tuple(sizes[1:])}, and the input {tuple(x.shape[2:])}")
    return tensor.expand(x.shape[0], *sizes)


def sine_positions(
    x: Tensor, channels: int, temperature: float, scale: float | None, sizes: Sequence[int] | None
) -> Tensor:
    """Return sines and cosines of the coordinates of each position for every sample of `x`: `(N, channels*axes, *sizes)`."""
    sizes = list(x.shape[2:] if sizes is None else sizes)
    numbers = torch.arange(channels, device=x.device, dtype=torch.float32)
    waves = temperature ** (2 * torch.div(numbers, 2, rounding_mode="floor") / channels)
    parts = []
    for axis, count in enumerate(sizes):
        places = torch.arange(count, device=x.device, dtype=torch.float32)
        if scale is not None:
            places = (places + 1) / (count + 1e-6) * scale
        angles = places[:, None] / waves
        values = torch.stack((angles[:, 0::2].sin(), angles[:, 1::2].cos()), 2).flatten(1).T
        apart = values.reshape(channels, *(count if other == axis else 1 for other in range(len(sizes))))
        parts.append(apart.expand(channels, *sizes))
    return torch.cat(parts).to(x.dtype).repeat(x.shape[0], *(1 for _ in range(len(sizes) + 1)))


class Embedding(nn.Embedding):
    """A table that returns a row for each integer of `(N, L)`, and multiplies tokens `(N, width, L)` with all rows; channels first."""

    def forward(self, input: Tensor) -> Tensor:
        return table(input, self.weight).movedim(-1, 1)


def table(x: Tensor, weight: Tensor) -> Tensor:
    """Return the rows of a table for integers `(N, L)`, or the products of tokens `(N, width, L)` with all rows, channels last."""
    if x.dim() == 2:
        return nn.functional.embedding(x, weight)
    return nn.functional.linear(x.movedim(1, -1), weight)
