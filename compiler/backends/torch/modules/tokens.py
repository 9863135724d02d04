"""Trained tensors that depend on no input, and embeddings of integers, channels first."""

from __future__ import annotations

from torch import Tensor, fx, nn

fx.wrap("learned")
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


class Embedding(nn.Embedding):
    """A table that returns a row for each integer of `(N, L)`, and multiplies tokens `(N, width, L)` with all rows; channels first."""

    def forward(self, input: Tensor) -> Tensor:
        return table(input, self.weight).movedim(-1, 1)


def table(x: Tensor, weight: Tensor) -> Tensor:
    """Return the rows of a table for integers `(N, L)`, or the products of tokens `(N, width, L)` with all rows, channels last."""
    if x.dim() == 2:
        return nn.functional.embedding(x, weight)
    return nn.functional.linear(x.movedim(1, -1), weight)
