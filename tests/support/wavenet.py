"""WaveNet as a plain module, from figure 4 and section 2 of van den Oord et al. 2016, arXiv:1609.03499."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Layer(nn.Module):
    """One layer of the stack: gated, dilated, with a residual and a skip connection. The last has no residual."""

    def __init__(self, residual: int, skip: int, dilation: int, last: bool) -> None:
        super().__init__()
        self.dilation = dilation
        self.filter = nn.Conv1d(residual, residual, 2, dilation=dilation)
        self.gate = nn.Conv1d(residual, residual, 2, dilation=dilation)
        self.skip = nn.Conv1d(residual, skip, 1)
        self.dense = None if last else nn.Conv1d(residual, residual, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        past = F.pad(x, (self.dilation, 0))
        gated = torch.tanh(self.filter(past)) * torch.sigmoid(self.gate(past))
        return x if self.dense is None else self.dense(gated) + x, self.skip(gated)


class WaveNet(nn.Module):
    """The stack between the causal convolution and the two 1x1 convolutions after the sum of the skips."""

    def __init__(self, cycles: int = 3, longest: int = 9, residual: int = 32, skip: int = 512, values: int = 256) -> None:
        super().__init__()
        self.causal = nn.Sequential()
        self.causal.conv1 = nn.Conv1d(values, residual, 2)
        dilations = [2**power for power in range(longest + 1)] * cycles
        for number, dilation in enumerate(dilations):
            self.add_module(f"layer{number}", Layer(residual, skip, dilation, number == len(dilations) - 1))
        self.layers = len(dilations)
        self.post1 = nn.Conv1d(skip, skip, 1)
        self.post2 = nn.Conv1d(skip, values, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.causal(F.pad(x, (1, 0)))
        total: Tensor | None = None
        for number in range(self.layers):
            x, skip = self.get_submodule(f"layer{number}")(x)
            total = skip if total is None else total + skip
        assert total is not None
        hidden: Tensor = self.post1(torch.relu(total))
        result: Tensor = self.post2(torch.relu(hidden))
        return result
