"""Layers whose weights are computed from trained ones: weight standardization and spectral normalization."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def standardized(weight: Tensor, eps: float, gain: Tensor | None = None) -> Tensor:
    """Return standardized kernels, times a gain for each. Qiao et al. 2019, arXiv:1903.10520."""
    rows = weight.reshape(1, len(weight), -1)
    return nn.functional.batch_norm(rows, None, None, weight=gain, training=True, momentum=0.0, eps=eps).reshape_as(
        weight
    )


class _Standardized(nn.modules.conv._ConvNd):
    """A convolution with standardized kernels, the same in training and evaluation."""

    def __init__(self, eps: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self._conv_forward(x, standardized(self.weight, self.eps), self.bias)
        return result


class StandardizedConv1d(_Standardized, nn.Conv1d):
    """nn.Conv1d with standardized kernels."""


class StandardizedConv2d(_Standardized, nn.Conv2d):
    """nn.Conv2d with standardized kernels."""


class StandardizedConv3d(_Standardized, nn.Conv3d):
    """nn.Conv3d with standardized kernels."""


class _Scaled(nn.modules.conv._ConvNd):
    """A convolution with standardized kernels, scaled for unit variance, and by a trained gain. Brock et al. 2021, arXiv:2101.08692."""

    def __init__(self, gamma: float, eps: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.eps = eps
        self.scale = gamma * self.weight[0].numel() ** -0.5
        self.gain = nn.Parameter(torch.ones(len(self.weight), *(1,) * (self.weight.dim() - 1)))

    def forward(self, x: Tensor) -> Tensor:
        weight = standardized(self.weight, self.eps, (self.gain * self.scale).view(-1))
        result: Tensor = self._conv_forward(x, weight, self.bias)
        return result


class ScaledConv1d(_Scaled, nn.Conv1d):
    """nn.Conv1d with scaled, standardized kernels."""


class ScaledConv2d(_Scaled, nn.Conv2d):
    """nn.Conv2d with scaled, standardized kernels."""


class ScaledConv3d(_Scaled, nn.Conv3d):
    """nn.Conv3d with scaled, standardized kernels."""


class Vectors(nn.Module):
    """The first singular vectors of a weight as a matrix, estimated by power iteration. Miyato et al. 2018, arXiv:1802.05957."""

    _u: Tensor
    _v: Tensor

    def __init__(self, matrix: Tensor, eps: float = 1e-12) -> None:
        super().__init__()
        self.eps = eps
        rows, columns = matrix.shape
        self.register_buffer("_u", nn.functional.normalize(matrix.new_empty(rows).normal_(0, 1), dim=0, eps=eps))
        self.register_buffer("_v", nn.functional.normalize(matrix.new_empty(columns).normal_(0, 1), dim=0, eps=eps))

    @torch.no_grad()
    def iterate(self, matrix: Tensor, times: int) -> None:
        """Improve the vectors, in place."""
        for _ in range(times):
            nn.functional.normalize(torch.mv(matrix, self._v), dim=0, eps=self.eps, out=self._u)
            nn.functional.normalize(torch.mv(matrix.H, self._u), dim=0, eps=self.eps, out=self._v)

    def norm(self, matrix: Tensor) -> Tensor:
        """Return the largest singular value of a matrix, from copies of the vectors, so that a later step may change these."""
        u, v = (vector.clone(memory_format=torch.contiguous_format) for vector in (self._u, self._v))
        return torch.vdot(u, torch.mv(matrix, v))


class _Parametrization(nn.Module):
    """The trained weight `original` and, as member 0, its singular vectors: the tree of keys of torch.nn.utils.parametrize."""

    original: nn.Parameter

    def __init__(self, weight: nn.Parameter, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.original = weight
        self.add_module("0", Vectors(self.matrix().detach()))

    @property
    def vectors(self) -> Vectors:
        found = self.get_submodule("0")
        assert isinstance(found, Vectors)
        return found

    def matrix(self) -> Tensor:
        """Return the weight as a matrix, with a row for each output channel."""
        weight: Tensor = self.original
        if self.axis:
            weight = weight.permute(self.axis, *(axis for axis in range(weight.dim()) if axis != self.axis))
        return weight.flatten(1)


class Spectral(nn.Module):
    """A layer whose weight is divided by its largest singular value. In training each call begins with one power iteration."""

    axis = 0  # that of the output channels

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        weight: Any = self.weight
        del self.weight
        self.parametrizations = nn.Module()
        self.parametrizations.weight = _Parametrization(weight, self.axis)
        self.settle()

    @property
    def _parametrization(self) -> _Parametrization:
        found = self.parametrizations.weight
        assert isinstance(found, _Parametrization)
        return found

    def settle(self) -> None:
        """Iterate until the vectors approximate the singular vectors of the weight."""
        self._parametrization.vectors.iterate(self._parametrization.matrix(), 15)

    def divided(self) -> Tensor:
        """Return the weight divided by its largest singular value."""
        own = self._parametrization
        matrix = own.matrix()
        if self.training:
            own.vectors.iterate(matrix, 1)
        return own.original / own.vectors.norm(matrix)


class SpectralLinear(Spectral, nn.Linear):
    """nn.Linear with spectral normalization."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.divided(), self.bias)


class _SpectralConv(Spectral):
    def forward(self, x: Tensor) -> Tensor:
        own: Any = self
        result: Tensor = own._conv_forward(x, self.divided(), own.bias)
        return result


class SpectralConv1d(_SpectralConv, nn.Conv1d):
    """nn.Conv1d with spectral normalization."""


class SpectralConv2d(_SpectralConv, nn.Conv2d):
    """nn.Conv2d with spectral normalization."""


class SpectralConv3d(_SpectralConv, nn.Conv3d):
    """nn.Conv3d with spectral normalization."""


class _SpectralTransposed(Spectral):
    axis = 1

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        run = (nn.functional.conv_transpose1d, nn.functional.conv_transpose2d, nn.functional.conv_transpose3d)[
            input.dim() - 3
        ]
        own: Any = self
        result: Tensor = run(
            input, self.divided(), own.bias, own.stride, own.padding, own.output_padding, own.groups, own.dilation
        )
        return result


class SpectralConvTranspose1d(_SpectralTransposed, nn.ConvTranspose1d):
    """nn.ConvTranspose1d with spectral normalization."""


class SpectralConvTranspose2d(_SpectralTransposed, nn.ConvTranspose2d):
    """nn.ConvTranspose2d with spectral normalization."""


class SpectralConvTranspose3d(_SpectralTransposed, nn.ConvTranspose3d):
    """nn.ConvTranspose3d with spectral normalization."""
