"""Modules for operators that torch lacks: LeNet-5's layers, connection tables, stochastic depth and others.

Code that torch.fx cannot trace, such as code that depends on the dtype of an input, is in functions that fx treats as leaves (`fx.wrap`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn

fx.wrap("table_kernels")
fx.wrap("response_norm")
fx.wrap("drop_samples")
fx.wrap("gelu")


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


class ResponseNorm(nn.LocalResponseNorm):
    """torch.nn.LocalResponseNorm, computed in float32 for shorter dtypes: the squares exceed the range of float16."""

    def forward(self, input: Tensor) -> Tensor:
        return response_norm(input, self.size, self.alpha, self.beta, self.k)


def response_norm(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """Return the local response norm of `(N, C, *sizes)` in the dtype of `x`, computed in float32 for shorter dtypes."""
    small = x.dtype in (torch.float16, torch.bfloat16)
    result = nn.functional.local_response_norm(x.float() if small else x, size, alpha, beta, k)
    return result.to(x.dtype)


class SpatialResponseNorm(nn.Module):
    """`x / (k + alpha*mean of x^2 over a window)^beta`, the window within one channel; Caffe's WITHIN_CHANNEL."""

    def __init__(self, size: int, alpha: float, beta: float, k: float) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        mean = nn.functional.avg_pool2d(x.square(), self.size, 1, self.size // 2)
        return x / (self.k + self.alpha * mean) ** self.beta


class StochasticDepth(nn.Module):
    """Sets whole samples (`mode=row`) or the whole batch to zero at random in training. Huang et al. 2016, arXiv:1603.09382."""

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return drop_samples(x, self.p, self.mode)


def drop_samples(x: Tensor, p: float, mode: str) -> Tensor:
    """Return `x` with samples, or the whole batch unless `mode` is `row`, set to zero with probability `p`, and the rest scaled."""
    shape = [x.shape[0] if mode == "row" else 1, *(1,) * (x.ndim - 1)]
    keep = x.new_empty(shape).bernoulli_(1 - p)
    if p < 1:
        keep = keep / (1 - p)
    return x * keep


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


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of `(N, C, *sizes)`, position by position."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


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
