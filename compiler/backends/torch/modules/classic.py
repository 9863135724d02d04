"""LeNet-5's layers: convolution by a connection table, subsampling, its squashing function, and radial basis functions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn

fx.wrap("table_kernels")


class TableConv(nn.Module):
    """Convolution in which each output channel depends on the input channels that a table lists.

    `weight` is `(connections, *kernel)`: one kernel per connection, in the order of the table. The input is `(N, C, *sizes)` with as
    many sizes as the kernel. LeCun et al. 1998, table I.
    """

    def __init__(
        self,
        in_channels: int,
        table: Sequence[Sequence[int]],
        kernel_size: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        bias: bool,
        padding_mode: str,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.stride, self.padding, self.dilation = tuple(stride), tuple(padding), tuple(dilation)
        self.padding_mode = padding_mode
        self.out_channels = len(table)
        # Lists, since tensors would lose their values on the meta device and are not in the state_dict.
        self.outs = [out for out, row in enumerate(table) for _ in row]
        self.ins = [channel for row in table for channel in row]
        self.weight = nn.Parameter(torch.empty(len(self.outs), *kernel_size))
        self.bias = nn.Parameter(torch.empty(self.out_channels)) if bias else None
        # Each output channel is initialized like a convolution over the number of inputs that it depends on.
        fans = torch.tensor([float(len(table[out])) for out in self.outs]) * self.weight[0].numel()
        with torch.no_grad():
            bound = fans.rsqrt().view(-1, *(1,) * len(kernel_size)).to(self.weight.device)
            self.weight.uniform_(-1, 1).mul_(bound)
            if self.bias is not None:
                self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        dense = table_kernels(self.weight, self.outs, self.ins, self.out_channels, self.in_channels)
        padding = self.padding
        if self.padding_mode != "zeros":
            flat = [amount for amount in reversed(padding) for _ in (0, 1)]
            x = nn.functional.pad(x, flat, mode=self.padding_mode)
            padding = (0,) * len(padding)
        conv = (torch.conv1d, torch.conv2d, torch.conv3d)[len(padding) - 1]
        return conv(x, dense, self.bias, self.stride, padding, self.dilation)


def table_kernels(weight: Tensor, outs: list[int], ins: list[int], out_channels: int, in_channels: int) -> Tensor:
    """Return the kernels `(out_channels, in_channels, *kernel)` of a dense convolution, with zeros for missing connections."""
    dense = weight.new_zeros(out_channels, in_channels, *weight.shape[1:])
    places = (torch.tensor(outs, device=weight.device), torch.tensor(ins, device=weight.device))
    return dense.index_put(places, weight)


class Subsample(nn.Module):
    """The sum of each window, times a trained coefficient, plus a trained bias, for each channel of `(N, C, H, W)`.

    LeCun et al. 1998, section II.B, layers S2 and S4.
    """

    def __init__(self, channels: int, kernel_size: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        self.kernel_size, self.stride = tuple(kernel_size), tuple(stride)
        self.weight = nn.Parameter(torch.full((channels,), 1.0 / (kernel_size[0] * kernel_size[1])))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        # The mean times the area: ONNX has no sum pooling, and torch's exporter silently drops `divisor_override`.
        scale = self.weight * (self.kernel_size[0] * self.kernel_size[1])
        means = nn.functional.avg_pool2d(x, self.kernel_size, self.stride)
        return means * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)


class ScaledTanh(nn.Module):
    """`amplitude*tanh(slope*x)`. LeCun et al. 1998, appendix A."""

    def __init__(self, amplitude: float, slope: float) -> None:
        super().__init__()
        self.amplitude, self.slope = amplitude, slope

    def forward(self, x: Tensor) -> Tensor:
        return self.amplitude * torch.tanh(self.slope * x)


class RBF(nn.Module):
    """The squared distance of `(N, in)` to each of `out` fixed codes of -1 and +1. LeCun et al. 1998, equation 7."""

    codes: Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.register_buffer("codes", torch.randint(0, 2, (out_features, in_features)).float() * 2 - 1)

    def forward(self, x: Tensor) -> Tensor:
        return (x.unsqueeze(1) - self.codes).square().sum(dim=2)
