"""Fixed numbers, for every sample of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Constant(nn.Module):
    """Fixed numbers as a tensor `(N, *shape)` for the N samples of an input; one number is everywhere. They are not in the state."""

    values: Tensor

    def __init__(self, values: Sequence[float], shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        held = torch.tensor(values, dtype=torch.get_default_dtype())
        self.register_buffer(
            "values", held.expand(self.shape) if len(values) == 1 else held.reshape(self.shape), persistent=False
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.values.to(x.dtype).expand(x.shape[0], *self.shape)

    def extra_repr(self) -> str:
        return f"shape={self.shape}"
