"""Local response normalization, normalization over the channels, and stochastic depth."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

fx.wrap("response_norm")
fx.wrap("drop_samples")
fx.wrap("global_response_norm")
fx.wrap("scaled")


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


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of `(N, C, *sizes)`, position by position."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ChannelRMSNorm(nn.RMSNorm):
    """RMS norm over the channels of `(N, C, *sizes)`, position by position."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class GlobalResponseNorm(nn.Module):
    """Channels of `(N, C, *sizes)` scaled by their length over all positions, compared with that of the others; with a shortcut.

    Woo et al. 2023, arXiv:2301.00808, equations 1 to 3.
    """

    def __init__(self, num_channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.zeros(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        return global_response_norm(x, self.weight, self.bias, self.eps)


def global_response_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Return `weight*(x*n) + bias + x`, where `n` is the length of each channel over all positions, divided by their mean and `eps`."""
    lengths = x.norm(p=2, dim=tuple(range(2, x.dim())), keepdim=True)
    relative = lengths / (lengths.mean(dim=1, keepdim=True) + eps)
    shape = (1, -1, *(1,) * (x.dim() - 2))
    return x + torch.addcmul(bias.view(shape), weight.view(shape), x * relative)


def scaled(x: Tensor, factors: Tensor) -> Tensor:
    """Return `(N, C, *sizes)` times a factor for each channel, `(C,)`."""
    return x * factors.view(-1, *(1,) * (x.dim() - 2))
