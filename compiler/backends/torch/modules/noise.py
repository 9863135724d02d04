"""Modules that draw random numbers with the shape, dtype and device of their input."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NormalNoise(nn.Module):
    """Standard normal numbers in the shape of the input; zeros in evaluation unless `when` is `always`."""

    def __init__(self, when: str) -> None:
        super().__init__()
        self.when = when

    def forward(self, x: Tensor) -> Tensor:
        return torch.randn_like(x) if self.training or self.when == "always" else torch.zeros_like(x)


class BernoulliNoise(nn.Module):
    """Numbers that are 1 with probability `p` and 0 otherwise, in the shape of the input; zeros in evaluation unless `when` is `always`."""

    def __init__(self, p: float, when: str) -> None:
        super().__init__()
        self.p, self.when = p, when

    def forward(self, x: Tensor) -> Tensor:
        return torch.empty_like(x).bernoulli_(self.p) if self.training or self.when == "always" else torch.zeros_like(x)
